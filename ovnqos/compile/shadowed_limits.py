"""Limits that rows of higher priority shadow: OVN applies one row of a direction to a packet.

A row that only marks shadows a limit from OVN 24.09 on; up to 24.03 marks and limits are looked up apart.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from ovnqos.compile.conflicts import Overlaps
from ovnqos.compile.pod_qos import POD_KIND
from ovnqos.compile.rows import Direction
from ovnqos.diagnostics import Code, Diagnostic, ObjectRef
from ovnqos.match import And, ip4, ip6
from ovnqos.model.owner import JOINED_KEY, OBJECT_KEY, PORT_KEY, RULE_KEY
from ovnqos.model.pod_qos import Purpose

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovnqos.compile.inventory import Inventory
    from ovnqos.compile.rows import DesiredState, QosRow
    from ovnqos.match import Match

_POD_PREFIX = f"{POD_KIND}/"
_Place = tuple[Direction, str]  # and namespace of the sources


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowedLimit:
    """An object's limit that packets may escape because a row of higher priority takes them.

    Attributes:
        limit: the row with the limit.
        by: the row that takes the packets.
    """

    limit: QosRow
    by: QosRow

    @property
    def diagnostic(self) -> Diagnostic:
        """What to say of the object whose limit it is."""
        kind, namespace, name = self.limit.external_ids[OBJECT_KEY].split("/")
        by = f"{_rule(self.by)} of {self.by.external_ids[OBJECT_KEY].replace('/', ' ', 1)}"
        when = "" if self.by.rate_kbps is not None else " from OVN 24.09 on"
        text = f"limit may be shadowed{when} by {by}: of the rows that match a packet OVN applies the highest"
        ref = ObjectRef(kind=kind, namespace=namespace, name=name)
        return Diagnostic.warning(ref, Code.SHADOWED_LIMIT, text, path=_rule(self.limit))


PAIRS_MAXIMUM = 2_000
"""So many pairs of rows are compared: a warning is not worth seconds."""


def find_shadowed_limits(
    desired: DesiredState, inventory: Inventory, *, at_most: int = PAIRS_MAXIMUM
) -> tuple[ShadowedLimit, ...]:
    """Find limits that another object's row, or a later rule of the same one that only marks, may shadow.

    Among the rows that shadow are those of pods whose own limit has joined a rule of higher priority.

    A NetworkQoS that shadows another's limit by its own is left out: that is what priorities are for. So is one whose
    sources are known to be others than the limit's.

    Args:
        desired: rows with their groups and sets.
        inventory: what it was compiled against: where pods have their addresses.
        at_most: how many pairs of rows that share a direction are compared; those beyond are left out.
    """

    def members(name: str) -> frozenset[str]:
        if name in desired.port_groups:
            return desired.port_groups[name].ports
        return desired.address_sets[name].addresses if name in desired.address_sets else frozenset()

    candidates = _Candidates(desired.rows.values())
    pairs = (
        ShadowedLimit(limit=limit, by=by)
        for limit in desired.rows.values()
        if limit.rate_kbps is not None
        for by in candidates.of_limit(limit)
        if by.priority > limit.priority and not by.switches.isdisjoint(limit.switches) and not _is_kept_by(limit, by)
    )
    overlaps = Overlaps(members, lambda row: _whole_match(row, inventory))
    found = [pair for pair in islice(pairs, at_most) if overlaps.can_overlap(pair.limit, pair.by)]
    return tuple(sorted(found, key=lambda one: (one.limit.identity, one.by.identity)))


class _Candidates:
    """Rows that may shadow a limit, by what they must share with it to do so."""

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
