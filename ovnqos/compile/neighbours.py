"""Rows that keep neighbour discovery from limits, as ARP is: at a limit a pod would not find its neighbours.

The types of ICMPv6 cannot be left out of a limit's own match: OVN tests them for equality only, so that it would be one
flow for each of the 500 other types and protocols, at each port. One row above all limits of a switch is nine flows.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from ovnqos.compile.rows import PRIORITY_MAXIMUM, Direction, QosRow
from ovnqos.match import And, Comparison, Constant, Or, Relation, Symbol
from ovnqos.model.owner import NEIGHBOUR_DISCOVERY, NETWORK_KEY, RULE_KEY
from ovnqos.model.policy import BANDWIDTH_MAXIMUM

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ovnqos.compile.compiled import CompiledObject
    from ovnqos.match import Match

_TYPES: Final = (130, 131, 132, 133, 134, 135, 136, 137, 143)
"""Multicast listener discovery; router and neighbour discovery, redirects (RFC 2710, 3810, 4861)."""
_MATCH: Final = Comparison("icmp6.type", Relation.EQUAL, tuple(Constant(str(one)) for one in _TYPES))
_OTHER_PROTOCOLS: Final = frozenset({"tcp", "udp", "sctp", "ip4", "icmp4", "ip.is_frag"})
_Place = tuple[Direction, str]  # and switch


class Neighbours:
    """One row a direction and switch, where there is a limit that would take neighbour discovery.

    It limits to the most that OVN takes, since up to 24.03 a row without a limit keeps no other row's away.
    """

    def __init__(self) -> None:
        """No limit is known."""
        self._limits: Counter[_Place] = Counter()

    def replace(self, old: CompiledObject | None, new: CompiledObject | None) -> set[str]:
        """Exchange an object's rows. Returns the identities of rows that come or go."""
        changed = self.add(old.rows.values() if old else (), old, -1)
        return changed ^ self.add(new.rows.values() if new else (), new, 1)

    def add(self, rows: Iterable[QosRow], compiled: CompiledObject | None, step: int) -> set[str]:
        """Count rows of an object (step 1), or no longer (-1). Returns the identities of rows that come or go."""
        changed: set[str] = set()
        for row in rows:
            if row.rate_kbps is None or compiled is None or row.external_ids.get(NETWORK_KEY) not in compiled.ipv6:
                continue
            if not _may_take(row.match):
                continue
            for switch in row.switches:
                place = row.direction, switch
                before = self._limits[place]
                self._limits[place] += step
                if not before or not self._limits[place]:
                    changed ^= {_identity(place)}
                if not self._limits[place]:
                    del self._limits[place]
        return changed

    def rows(self) -> Iterator[QosRow]:
        """All of them."""
        return map(_row, self._limits)

    def row(self, identity: str) -> QosRow | None:
        """The row of this identity, if it is needed."""
        kind, _, place = identity.partition("/")
        direction, _, switch = place.partition("/")
        if kind != NEIGHBOUR_DISCOVERY or (Direction(direction), switch) not in self._limits:
            return None
        return _row((Direction(direction), switch))

    def __len__(self) -> int:
        return len(self._limits)


def _identity(place: _Place) -> str:
    return f"{NEIGHBOUR_DISCOVERY}/{place[0]}/{place[1]}"


def _row(place: _Place) -> QosRow:
    direction, switch = place
    return QosRow(
        switches=frozenset([switch]),
        direction=direction,
        priority=PRIORITY_MAXIMUM,
        match=_MATCH,
        rate_kbps=BANDWIDTH_MAXIMUM,
        identity=_identity(place),
        external_ids={RULE_KEY: NEIGHBOUR_DISCOVERY},
    )


def _may_take(match: Match) -> bool:
    """Whether a match as the compiler makes it may take ICMPv6."""
    match match:
        case And():
            return all(map(_may_take, match.operands))
        case Or():
            return any(map(_may_take, match.operands))
        case Symbol():
            return match.name not in _OTHER_PROTOCOLS
        case Comparison():
            return match.field.partition(".")[0] not in _OTHER_PROTOCOLS
    return True
