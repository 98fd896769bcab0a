"""The values of an explanation: rows, what they are to a packet, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ovnqos.compile.generation import Generation
from ovnqos.model.policy import DSCP_MAXIMUM

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovnqos.compile.rows import Direction
    from ovnqos.match.packet import Packet
    from ovnqos.match.syntax import Match
    from ovnqos.match.verdict import Verdict


class Part(StrEnum):
    """What a row can decide of a packet."""

    MARK = "mark"
    LIMIT = "limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A row of the packet's switch, whosever it is.

    Attributes:
        name: whose it is, in words.
        direction: where it is looked up.
        priority: 0 to 32767.
        match: `Verbatim` where it could not be read.
        dscp: the mark it sets; None if it leaves the mark alone.
        rate_kbps: its limit in kbps; None for no limit.
        burst_kbit: the limit's bucket in kbit; None for OVN's default.
        acts: whether its column `action` holds anything; beside `dscp` that can be a `mark` of the packet in the host.
        identity: tells it apart from the others.
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

    @property
    def sets_mark(self) -> int | None:
        """The mark it really sets: northd drops one that does not fit the field (seen, from OVN 24.03)."""
        return None if self.dscp is not None and self.dscp > DSCP_MAXIMUM else self.dscp

    @property
    def sets_anything(self) -> bool:
        """Whether it does anything to a packet."""
        return self.acts or self.dscp is not None or self.rate_kbps is not None

    def is_looked_up(self, part: Part, generation: Generation) -> bool:
        """Whether it is among the rows of which the highest decides this part."""
        if generation is Generation.JOINED:
            return True
        return (self.acts or self.dscp is not None) if part is Part.MARK else self.rate_kbps is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What rows of one direction do to the packet: nothing where all is None."""

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
class Choice:
    """Which row decides one part.

    Attributes:
        rows: the row, or several where it is not known or not defined which; None among them stands for no row.
        undefined: whether rows of equal priority take the packet.
    """

    rows: tuple[Candidate | None, ...]
    undefined: bool = False

    @property
    def row(self) -> Candidate | None:
        """The row that decides; None where none does, or where that cannot be told."""
        return self.rows[0] if self.certain else None

    @property
    def certain(self) -> bool:
        """Whether it can be told."""
        return len(self.rows) == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What becomes of the packet in one direction, as one generation of OVN looks rows up."""

    mark: Choice
    limit: Choice
    effects: frozenset[Effect]

    @property
    def certain(self) -> bool:
        """Whether it can be told what happens."""
        return self.mark.certain and self.limit.certain


class Standing(StrEnum):
    """What became of a row."""

    WINS = "wins"  # it decides something, in one generation at least
    UNDEFINED = "undefined"  # another row of equal priority takes the packet too
    MAY_WIN = "may win"  # something is not known
    LOSES = "loses"  # it takes the packet, and higher rows decide
    NO_MATCH = "no match"


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedRow:
    """A row, what its match says of the packet, what became of it, and why."""

    row: Candidate
    verdict: Verdict
    standing: Standing
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """All rows of one direction, the highest first, and what they do, by generation of OVN."""

    direction: Direction
    rows: tuple[JudgedRow, ...]
    outcomes: Mapping[Generation, Outcome]

    @property
    def differs(self) -> bool:
        """Whether the generations asked about do different things."""
        return len({outcome.effects for outcome in self.outcomes.values()}) > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A packet, and what the rows of its switch do with it, as it enters (from-lport) and as it leaves (to-lport)."""

    packet: Packet
    passages: tuple[Passage, ...]

    @property
    def certain(self) -> bool:
        """Whether it can be told what happens, for each generation asked about."""
        return all(outcome.certain for passage in self.passages for outcome in passage.outcomes.values())

    def passage(self, direction: Direction) -> Passage:
        """The part of one direction."""
        return next(passage for passage in self.passages if passage.direction is direction)
