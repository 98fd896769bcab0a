"""Fewer cells of a table with many factors: every two values that occur together still do."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

_Cell = TypeVar("_Cell", bound="tuple[Hashable, ...]")


def pairwise(cells: Sequence[_Cell]) -> list[_Cell]:
    """Choose cells that together hold each pair of values that some cell holds.

    Args:
        cells: each has its factors' values, in the same order.

    Returns:
        The chosen cells in the order in which they were given; equal arguments choose equal cells.
    """
    holders: dict[object, list[int]] = defaultdict(list)
    for number, cell in enumerate(cells):
        for pair in _pairs(cell):
            holders[pair].append(number)
    missing = set(holders)
    chosen: set[int] = set()
    # a pair that few cells hold leaves the least choice
    for pair in sorted(holders, key=lambda one: len(holders[one])):
        if pair in missing:
            best = max(holders[pair], key=lambda number: sum(one in missing for one in _pairs(cells[number])))
            chosen.add(best)
            missing.difference_update(_pairs(cells[best]))
    return [cells[number] for number in sorted(chosen)]


def _pairs(cell: tuple[Hashable, ...]) -> Iterator[object]:
    return combinations(enumerate(cell), 2)
