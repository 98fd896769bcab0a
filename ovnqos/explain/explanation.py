"""The values of an explanation: candidate rows, the verdict on each, and what OVN does to the packet."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ovnqos.explain.pipeline import PipelineVersion
from ovnqos.model.policy import DSCP_MAXIMUM

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovnqos.compile.rows import Direction
    from ovnqos.match.packet import Packet
    from ovnqos.match.syntax import Match
    from ovnqos.match.verdict import Verdict


class QosAction(StrEnum):
    """What a row can do to a packet."""

    MARK = "mark"
    LIMIT = "limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateRow:
    """A QoS row of the packet's switch, of any owner.

    Attributes:
        name: see `RowName.text`.
        direction: where it is looked up.
        priority: 0 to 32767.
        match: `Verbatim` where it could not be read.
        dscp: the mark it sets; None if it leaves the mark alone.
        rate_kbps: its limit in kbps; None for no limit.
        burst_kbit: the limit's bucket in kbit; None for OVN's default.
        acts: whether its column `action` is not empty; beside `dscp` that can be a `mark` of the packet in the host.
        identity: unique among the rows.
        object: see `RowName`.
        rule: see `RowName`.
    """

    name: str
    direction: Direction
    priority: int
    match: Match
    dscp: int | None = None
    rate_kbps: int | None = None
    burst_kbit: int | None = None
    acts: bool = False
    identity: str = ""
    object: str = ""
    rule: str = ""

    @property
    def effective_dscp(self) -> int | None:
        """The mark that it sets; northd drops one that does not fit the field (seen, from OVN 24.03)."""
        return None if self.dscp is not None and self.dscp > DSCP_MAXIMUM else self.dscp

    @property
    def sets_anything(self) -> bool:
        """Whether it does anything to a packet."""
        return self.acts or self.dscp is not None or self.rate_kbps is not None

    def effect(self, *, marks: bool, limits: bool) -> Effect:
        """What it does to a packet for which it decides on the mark, on the limit, or on both."""
        limits = limits and self.rate_kbps is not None
        return Effect(
            dscp=self.effective_dscp if marks else None,
            rate_kbps=self.rate_kbps if limits else None,
            burst_kbit=self.burst_kbit if limits else None,
        )

    def is_looked_up(self, action: QosAction, version: PipelineVersion) -> bool:
        """Whether it is among the rows of which the highest decides on this action."""
        if version is PipelineVersion.JOINED:
            return True
        return (self.acts or self.dscp is not None) if action is QosAction.MARK else self.rate_kbps is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What the rows of one direction do to the packet; nothing where all is None."""

    dscp: int | None = None
    rate_kbps: int | None = None
    burst_kbit: int | None = None

    def __str__(self) -> str:
        """For people: `dscp 20 and 20000 kbps (burst 100 kbit)`."""
        burst = "" if self.burst_kbit is None else f" (burst {self.burst_kbit} kbit)"
        parts = [
            *([] if self.dscp is None else [f"dscp {self.dscp}"]),
            *([] if self.rate_kbps is None else [f"{self.rate_kbps} kbps{burst}"]),
        ]
        return " and ".join(parts) or "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Which row decides on an action.

    Attributes:
        rows: the row, or several where it is not known or not defined which; None among them stands for no row.
        undefined: whether rows of equal priority take the packet.
    """

    rows: tuple[CandidateRow | None, ...]
    undefined: bool = False

    @property
    def row(self) -> CandidateRow | None:
        """The row that decides; None where none does, or where it is not certain which."""
        return self.rows[0] if self.certain else None

    @property
    def certain(self) -> bool:
        """Whether it is certain which row decides."""
        return len(self.rows) == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one pipeline version of OVN does to the packet in one direction."""

    mark: Decision
    limit: Decision
    effects: frozenset[Effect]

    @property
    def certain(self) -> bool:
        """Whether it is certain what happens."""
        return self.mark.certain and self.limit.certain


class RowVerdict(StrEnum):
    """Whether a row applies to the packet."""

    WINS = "wins"  # it decides on an action, in one pipeline version at least
    UNDEFINED = "undefined"  # another row of equal priority matches the packet too
    MAY_WIN = "may win"  # something is not known
    SHADOWED = "shadowed"  # it matches the packet, and rows of higher priority decide
    NO_MATCH = "no match"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowExplanation:
    """The verdict on a row.

    Attributes:
        row: the row.
        matches: whether its match takes the packet.
        verdict: whether it applies.
        reason: why; empty for a row that applies.
    """

    row: CandidateRow
    matches: Verdict
    verdict: RowVerdict
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """The lookup of the packet in one direction: all rows, the highest first, and the outcome by pipeline version."""

    direction: Direction
    rows: tuple[RowExplanation, ...]
    outcomes: Mapping[PipelineVersion, Outcome]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A packet, and its lookups as it enters its switch (from-lport) and as it leaves (to-lport)."""

    packet: Packet
    lookups: tuple[Lookup, ...]

    @property
    def certain(self) -> bool:
        """Whether it is certain what happens, in each pipeline version."""
        return all(outcome.certain for lookup in self.lookups for outcome in lookup.outcomes.values())

    def lookup(self, direction: Direction) -> Lookup:
        """The lookup of one direction."""
        return next(lookup for lookup in self.lookups if lookup.direction is direction)
