"""The cells of the traffic matrix: what was expected and what was seen, kept for the report when the session ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovnqos.sandbox import Marks

TOLERANCE: Final = 0.05
"""How far, as a share, a measured rate may be from the one expected."""
MEASURED_AGAIN: Final = 2
"""How often a test whose streams got too little is run again; one that got too much never is."""
UNTOUCHED: Final = "not matched"
"""The outcome of a cell whose packets no rule matches."""


class ShortRateError(AssertionError):
    """Streams got less than their rate, none got more.

    A fault of the rows is there every time, while a busy machine loses packets now and then. So such a test is run
    again, `MEASURED_AGAIN` times at most.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Where and what: a network, where the receiver is, an IP version, a classifier or scene, what was sent.

    `outcome` is the word in the report for what the cell expects: `marked`, `limited`, `UNTOUCHED` …
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
            f"{self.cell}: expected {self.expected / 1e6:.2f} Mbit/s within {TOLERANCE:.0%}; "
            f"seen {self.seen / 1e6:.2f} ({self.deviation:+.1%})"
        )


@dataclass(slots=True)
class Results:
    """All cells of a session on one version of OVN, in the order in which they were measured, and remarks."""

    marks: list[MarkResult] = field(default_factory=list)
    rates: list[RateResult] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def check_marks(self, results: Iterable[MarkResult]) -> None:
        """Keep them for the report; fail if one does not hold, naming every such cell."""
        self.marks.extend(found := list(results))
        _check(found)

    def check_rates(self, results: Iterable[RateResult]) -> None:
        """Keep them for the report; fail if one does not hold, naming every such cell.

        Raises:
            ShortRateError: those that do not hold got too little.
        """
        self.rates.extend(found := list(results))
        too_much = any(one.deviation > TOLERANCE for one in found)
        _check(found, AssertionError if too_much else ShortRateError)

    @property
    def lengths(self) -> tuple[int, int, int]:
        """How many marks, rates and remarks are kept."""
        return len(self.marks), len(self.rates), len(self.remarks)

    def cut(self, marks: int, rates: int, remarks: int) -> None:
        """Keep the first ones only: a test that is run again counts once."""
        del self.marks[marks:], self.rates[rates:], self.remarks[remarks:]

    def extend(self, others: Results) -> None:
        """Keep what another process measured on the same version, too."""
        self.marks += others.marks
        self.rates += others.rates
        self.remarks += others.remarks


RESULTS: Final = pytest.StashKey[dict[str, Results]]()
"""Of a session: its results by the version of OVN."""


def _check(results: Iterable[MarkResult | RateResult], error: type[AssertionError] = AssertionError) -> None:
    __tracebackhide__ = True
    found = list(results)
    failed = [str(result) for result in found if not result.holds]
    if not found:
        pytest.fail("no cell was measured", pytrace=False)
    if failed:
        raise error(f"{len(failed)} of {len(found)} cells do not hold:\n" + "\n".join(failed))


def _marks(marks: Marks) -> str:
    words = []
    for where, seen in (("at the receiver", marks.received), ("on the wire", marks.wire)):
        words.append(f"{', '.join(f'{mark:#x}' for mark in sorted(seen)) or 'nothing'} {where}")
    return " and ".join(words)
