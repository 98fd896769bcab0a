"""What becomes of a packet on a logical switch: its mark and the meters it passes, on either pipeline version of OVN.

Up to OVN 24.03 mark and meter are two tables that are looked up apart; from 24.09 the highest row decides both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from ovnqos import Direction
from tests.support.packets import matches

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ovnqos import QosRow
    from tests.support.packets import Names, Packet


class TableLayout(StrEnum):
    """How OVN looks rows up."""

    TWO_TABLES = "up to 24.03"
    ONE_TABLE = "from 24.09"


class UndefinedEffect(Exception):  # noqa: N818 - says what is the case, and is no error
    """Two rows of equal priority take the packet: either may win."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """A packet's mark, None when it keeps its own; and its meters: rate (kbps), burst (kbit), and which one it is."""

    mark: int | None = None
    meters: frozenset[tuple[int, int | None, str]] = field(default_factory=frozenset)

    @property
    def limits(self) -> list[tuple[int, int | None]]:
        return sorted(((rate, burst) for rate, burst, _ in self.meters), key=str)


def effect(rows: Iterable[QosRow], packet: Packet, names: Names, layout: TableLayout) -> Effect:
    """What rows do to a packet. Raises UndefinedEffect."""
    mark, meters = None, set()
    taking = [row for row in rows if packet.switch in row.switches and matches(row.match, packet, names)]
    for direction in (Direction.FROM_LPORT, Direction.TO_LPORT):
        stage = [row for row in taking if row.direction is direction]
        marking, metering = stage, stage
        if layout is TableLayout.TWO_TABLES:
            marking = [row for row in stage if row.dscp is not None]
            metering = [row for row in stage if row.rate_kbps is not None]
        marker, meter = _highest(marking), _highest(metering)
        if marker is not None and marker.dscp is not None:
            mark = marker.dscp
        if meter is not None and meter.rate_kbps is not None:
            # what goes to groups and to limited receivers has a meter of its own, which counts as the rule's
            identity = meter.identity.replace(f"/{Direction.FROM_LPORT}", "")
            meters.add((meter.rate_kbps, meter.burst_kbit, identity))
    return Effect(mark=mark, meters=frozenset(meters))


def _highest(rows: Sequence[QosRow]) -> QosRow | None:
    ranked = sorted(rows, key=lambda row: row.priority, reverse=True)
    if len(ranked) > 1 and ranked[0].priority == ranked[1].priority:
        raise UndefinedEffect
    return ranked[0] if ranked else None
