"""The choice of cells for a change: every pair of values that can occur together is among them."""

from __future__ import annotations

from itertools import combinations, product
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tests.support.pairwise import pairwise

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTHS = st.lists(st.integers(1, 5), min_size=2, max_size=4)


def pairs(cells: Sequence[tuple[int, ...]]) -> set[object]:
    return {pair for cell in cells for pair in combinations(enumerate(cell), 2)}


@given(WIDTHS)
def test_every_pair_is_kept_and_nothing_is_made_up(widths: list[int]) -> None:
    cells = list(product(*map(range, widths)))
    chosen = pairwise(cells)
    assert pairs(chosen) == pairs(cells)
    assert set(chosen) <= set(cells)
    assert len(chosen) == len(set(chosen))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)), min_size=1, unique=True))
def test_tables_with_holes_too(cells: list[tuple[int, int, int]]) -> None:
    assert pairs(pairwise(cells)) == pairs(cells)


def test_a_product_shrinks_to_little_more_than_its_two_widest_factors() -> None:
    assert len(pairwise(list(product(range(7), range(13), range(2), range(2), range(3))))) <= 1.2 * 7 * 13
