"""The cells of the traffic matrix: what was expected, what was seen, and the table printed when the session ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ovnqos.sandbox import Marks

TOLERANCE: Final = 0.05
"""How far, as a share, a measured rate may be from the one expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Where and what: a network, where the receiver is, an IP version, a classifier or scene, what was sent.

    `outcome` is the word in the table for what the cell expects: `marked`, `not matched`, `limited` …
    """

    network: str
    place: str
    version: int
    scene: str
    sent: str
    outcome: str

    def __str__(self) -> str:
        return f"{self.network}, {self.place}, IPv{self.version}, {self.scene}: {self.sent}, {self.outcome}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkResult:
    """The marks of one cell's packets."""

    cell: Cell
    expected: Marks
    seen: Marks

    @property
    def holds(self) -> bool:
        """Whether the packets carried what they should, where they arrived and on the wire."""
        return self.expected == self.seen

    def __str__(self) -> str:
        return f"{self.cell}: expected {_marks(self.expected)}; seen {_marks(self.seen)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RateResult:
    """The throughput of one cell's stream, or the sum of several, in layer-2 bit/s."""

    cell: Cell
    expected: float
    seen: float

    @property
    def holds(self) -> bool:
        """Whether it is within `TOLERANCE`."""
        return abs(self.deviation) <= TOLERANCE

    @property
    def deviation(self) -> float:
        """How far it is from the expected rate, as a share of that."""
        return self.seen / self.expected - 1

    def __str__(self) -> str:
        return (
            f"{self.cell}: expected {_mbit(self.expected)} Mbit/s within {TOLERANCE:.0%}; "
            f"seen {_mbit(self.seen)} ({self.deviation:+.1%})"
        )


@dataclass(slots=True)
class Results:
    """All cells of a session, in the order in which they were measured, and remarks for the end of the table."""

    marks: list[MarkResult] = field(default_factory=list)
    rates: list[RateResult] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def check_marks(self, results: Iterable[MarkResult]) -> None:
        """Keep them for the table; fail if one does not hold, naming every such cell."""
        self.marks.extend(found := list(results))
        _check(found)

    def check_rates(self, results: Iterable[RateResult]) -> None:
        """Keep them for the table; fail if one does not hold, naming every such cell."""
        self.rates.extend(found := list(results))
        _check(found)

    def table(self) -> Iterator[str]:
        """The lines of the table; none when nothing was measured."""
        if self.marks:
            yield from _mark_table(self.marks)
        if self.rates:
            yield from _rate_table(self.rates)
        yield from self.remarks


RESULTS: Final = pytest.StashKey[Results]()


def _check(results: Iterable[MarkResult | RateResult]) -> None:
    found = list(results)
    failed = [str(result) for result in found if not result.holds]
    if not found:
        pytest.fail("no cell was measured", pytrace=False)
    if failed:
        pytest.fail(f"{len(failed)} of {len(found)} cells do not hold:\n" + "\n".join(failed), pytrace=False)


def _mark_table(results: Iterable[MarkResult]) -> Iterator[str]:
    columns: dict[tuple[str, int], None] = {}
    rows: dict[tuple[str, str], dict[tuple[str, int], list[MarkResult]]] = {}
    for one in results:
        column = (one.cell.place, one.cell.version)
        columns[column] = None
        rows.setdefault((one.cell.network, one.cell.scene), {}).setdefault(column, []).append(one)
    places = list(dict.fromkeys(place for place, _ in columns))
    ordered = sorted(columns, key=lambda column: (places.index(column[0]), column[1]))
    yield "marks that arrived, of matched packets / of those that no rule matches (-: none was sent)"
    yield from _aligned(
        [
            ["network", "classifier", *(f"{place} v{version}" for place, version in ordered)],
            *([*names, *(_mark_entry(cells.get(column, [])) for column in ordered)] for names, cells in rows.items()),
        ]
    )


def _mark_entry(results: list[MarkResult]) -> str:
    if not results:
        return ""
    sides = []
    for matched in (True, False):
        seen = {mark for one in results if (one.expected.received != {0}) is matched for mark in one.seen.received}
        sides.append(",".join(f"{mark:#x}" for mark in sorted(seen)) or "-")
    return "/".join(sides) + ("" if all(one.holds for one in results) else " WRONG")


def _rate_table(results: Iterable[RateResult]) -> Iterator[str]:
    yield "layer-2 throughput at the receiver, Mbit/s"
    rows = [["network", "scene", "receiver", "family", "outcome", "expected", "seen", "off by"]]
    for one in results:
        cell = one.cell
        off = f"{one.deviation:+.1%}" + ("" if one.holds else " WRONG")
        family = f"IPv{cell.version}"
        rows.append(
            [cell.network, cell.scene, cell.place, family, cell.outcome, _mbit(one.expected), _mbit(one.seen), off]
        )
    yield from _aligned(rows)


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(f"{entry:<{width}}" for entry, width in zip(row, widths, strict=True)).rstrip()


def _marks(marks: Marks) -> str:
    words = []
    for where, seen in (("at the receiver", marks.received), ("on the wire", marks.wire)):
        words.append(f"{', '.join(f'{mark:#x}' for mark in sorted(seen)) or 'nothing'} {where}")
    return " and ".join(words)


def _mbit(bits_per_second: float) -> str:
    return f"{bits_per_second / 1e6:.2f}"
