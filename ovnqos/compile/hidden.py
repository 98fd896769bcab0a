"""Limits that a row of higher priority keeps from some packets: OVN applies one row of a stage to a packet.

Up to OVN 24.03 a row that only marks hides no limit, because marks and limits are looked up apart; from 24.09 it does.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from ovnqos.compile.pod_qos import POD_KIND
from ovnqos.compile.rows import Direction
from ovnqos.match import And, ip4, ip6
from ovnqos.match.overlap import alternatives, may_meet, needed_ports
from ovnqos.model.owner import JOINED_KEY, OBJECT_KEY, PORT_KEY, RULE_KEY
from ovnqos.model.pod_qos import Purpose

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovnqos.compile.inventory import Inventory
    from ovnqos.compile.rows import DesiredState, QosRow
    from ovnqos.match import Match
    from ovnqos.match.overlap import Alternatives, Members

_POD_PREFIX = f"{POD_KIND}/"
_Place = tuple[Direction, str]  # and namespace of the sources


@dataclass(frozen=True, slots=True, kw_only=True)
class HiddenLimit:
    """An object's limit that packets may escape because a row of higher priority takes them.

    Attributes:
        limit: the row with the limit.
        by: the row that takes the packets.
    """

    limit: QosRow
    by: QosRow

    @property
    def object(self) -> str:
        """The object whose limit it is, `NetworkQoS/<namespace>/<name>` or `Pod/<namespace>/<name>`."""
        return self.limit.external_ids.get(OBJECT_KEY, "")

    def __str__(self) -> str:
        """What to tell the object's author."""
        rival = self.by.external_ids.get(OBJECT_KEY, "").replace("/", " ", 1)
        when = "" if self.by.rate_kbps is not None else " from OVN 24.09 on"
        return (
            f"the limit of {_rule(self.limit)} does not hold{when} for packets that {_rule(self.by)} of {rival} may "
            f"take: of the rows of one stage OVN applies the one of the highest priority"
        )


PAIRS_MAXIMUM = 2_000
"""So many pairs of rows are looked at: a remark is not worth seconds."""


def find_hidden_limits(
    desired: DesiredState, inventory: Inventory, *, at_most: int = PAIRS_MAXIMUM
) -> tuple[HiddenLimit, ...]:
    """Find limits that another object's row, or a later rule of the same one that only marks, may hide.

    Among the rows that hide are those of pods whose own limit has joined a rule of higher priority.

    A NetworkQoS that hides another's limit behind its own is not told: that is what priorities are for. Neither is one
    whose sources and the limit's are known to be apart.

    Args:
        desired: rows with their groups and sets.
        inventory: what it was compiled against: where pods have their addresses.
        at_most: how many pairs of rows that share a stage are looked at; those beyond go untold.
    """

    def members(name: str) -> Iterable[str]:
        if name in desired.port_groups:
            return desired.port_groups[name].ports
        return desired.address_sets[name].addresses if name in desired.address_sets else ()

    rivals = _Rivals(desired.rows.values())
    pairs = (
        HiddenLimit(limit=limit, by=by)
        for limit in desired.rows.values()
        if limit.rate_kbps is not None
        for by in rivals.of_limit(limit)
        if by.priority > limit.priority and not by.switches.isdisjoint(limit.switches) and not _is_kept_by(limit, by)
    )
    packets = _Packets(inventory, members)
    found = [pair for pair in islice(pairs, at_most) if packets.may_meet(pair.limit, pair.by)]
    return tuple(sorted(found, key=lambda one: (one.limit.identity, one.by.identity)))


class _Packets:
    """What the packets of rows may be, found once a row, and only if it is asked for."""

    def __init__(self, inventory: Inventory, members: Members) -> None:
        self._inventory = inventory
        self._members = members
        self._ports: dict[str, dict[str, frozenset[object]]] = {}
        self._alternatives: dict[str, Alternatives] = {}

    def may_meet(self, one: QosRow, other: QosRow) -> bool:
        """Whether one packet may match both rows."""
        first, second = self._ports_of(one), self._ports_of(other)
        if any(first[field].isdisjoint(second[field]) for field in first.keys() & second.keys()):
            return False
        return may_meet(self._alternatives_of(one), self._alternatives_of(other))

    def _ports_of(self, row: QosRow) -> dict[str, frozenset[object]]:
        if row.identity not in self._ports:
            self._ports[row.identity] = needed_ports(row.match, self._members)
        return self._ports[row.identity]

    def _alternatives_of(self, row: QosRow) -> Alternatives:
        if row.identity not in self._alternatives:
            self._alternatives[row.identity] = alternatives(_whole_match(row, self._inventory), self._members)
        return self._alternatives[row.identity]


class _Rivals:
    """Rows that may hide a limit, by what they must share with it to do so."""

    def __init__(self, rows: Iterable[QosRow]) -> None:
        self._shared: dict[_Place, list[QosRow]] = defaultdict(list)  # by all of a policy's source ports
        self._marking: dict[_Place, list[QosRow]] = defaultdict(list)  # those of them that limit nothing
        self._joined: dict[_Place, list[QosRow]] = defaultdict(list)  # pods' rows that do what a rule does
        self._of_port: dict[tuple[Direction, str], list[QosRow]] = defaultdict(list)
        self._of_switch: dict[str, list[QosRow]] = defaultdict(list)
        for row in rows:
            if not _is_pods(row) or JOINED_KEY in row.external_ids:
                self._add(row)

    def _add(self, row: QosRow) -> None:
        port = row.external_ids.get(PORT_KEY)
        if port is None:
            self._shared[_place(row)].append(row)
            if row.rate_kbps is None:
                self._marking[_place(row)].append(row)
        else:
            self._of_port[row.direction, port].append(row)
        if _is_pods(row):
            self._joined[_place(row)].append(row)
        if row.direction is Direction.TO_LPORT:
            for switch in row.switches:
                self._of_switch[switch].append(row)

    def of_limit(self, row: QosRow) -> Iterable[QosRow]:
        """Those of one limit: rows of single ports meet only rows of the same port, and shared ones."""
        place, port = _place(row), row.external_ids.get(PORT_KEY)
        if _is_pods(row) and row.direction is Direction.TO_LPORT:
            return (one for switch in row.switches for one in self._of_switch[switch])
        if _is_pods(row):
            return (*self._shared[place], *self._of_port[row.direction, port or ""])
        joined = self._joined[place] if port is None else filter(_is_pods, self._of_port[row.direction, port])
        return (*self._marking[place], *joined)


def _is_pods(row: QosRow) -> bool:
    return row.external_ids.get(OBJECT_KEY, "").startswith(_POD_PREFIX)


def _place(row: QosRow) -> _Place:
    _, _, key = row.external_ids.get(OBJECT_KEY, "").partition("/")
    return row.direction, key.partition("/")[0]


def _is_kept_by(limit: QosRow, by: QosRow) -> bool:
    """Whether a pod's row keeps this limit beside its own."""
    return by.external_ids.get(JOINED_KEY) == f"{limit.external_ids.get(OBJECT_KEY)}/{limit.external_ids.get(RULE_KEY)}"


def _whole_match(row: QosRow, inventory: Inventory) -> Match:
    """The row's match; of a pod's ingress with its addresses, which a match on its port implies."""
    _, _, key = row.external_ids.get(OBJECT_KEY, "").partition("/")
    namespace, _, name = key.partition("/")
    record = inventory.record(namespace, name) if row.external_ids.get(RULE_KEY) == Purpose.INGRESS else None
    for interface in record.interfaces if record is not None else ():
        if interface.port == row.external_ids.get(PORT_KEY) and interface.addresses:
            earlier = [address for address in interface.addresses if ":" not in address]
            later = [address for address in interface.addresses if ":" in address]
            return And.of(row.match, ip4.dst.isin(*earlier) | ip6.dst.isin(*later))
    return row.match


def _rule(row: QosRow) -> str:
    rule = row.external_ids.get(RULE_KEY, "")
    return f"spec.egress[{rule}]" if rule.isdecimal() else rule
