"""Limits that a row of higher priority keeps from some packets: OVN applies one row of a stage to a packet.

Up to OVN 24.03 a row that only marks hides no limit, because marks and limits are looked up apart; from 24.09 it does.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from ovnqos.compile.match import And, ip4, ip6
from ovnqos.compile.overlap import can_overlap
from ovnqos.compile.pod_qos import POD_KIND
from ovnqos.compile.rows import Direction
from ovnqos.model.owner import JOINED_KEY, OBJECT_KEY, PORT_KEY, RULE_KEY
from ovnqos.model.pod_qos import Purpose

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ovnqos.compile.inventory import Inventory
    from ovnqos.compile.match import Match
    from ovnqos.compile.rows import DesiredState, QosRow

_POD_PREFIX = f"{POD_KIND}/"


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

    pairs = (
        HiddenLimit(limit=limit, by=by)
        for limit, candidates in _candidates(desired)
        for by in candidates
        if by.priority > limit.priority and not by.switches.isdisjoint(limit.switches) and not _is_kept_by(limit, by)
    )
    found = [
        pair
        for pair in islice(pairs, at_most)
        if can_overlap(_whole_match(pair.limit, inventory), pair.by.match, members)
    ]
    return tuple(sorted(found, key=lambda one: (one.limit.identity, one.by.identity)))


def _candidates(desired: DesiredState) -> Iterator[tuple[QosRow, Iterable[QosRow]]]:
    """Each row with a limit, and the rows that share a stage and may share a packet with it."""
    marking: dict[tuple[Direction, str], list[QosRow]] = defaultdict(list)  # that limit nothing, by namespace
    of_namespace: dict[tuple[Direction, str], list[QosRow]] = defaultdict(list)
    of_switch: dict[str, list[QosRow]] = defaultdict(list)
    limits = []
    for row in desired.rows.values():
        made_for = row.external_ids.get(OBJECT_KEY, "")
        is_pods = made_for.startswith(_POD_PREFIX)
        if row.rate_kbps is not None:
            limits.append((row, made_for, is_pods))
        if is_pods and JOINED_KEY not in row.external_ids:
            continue
        place = (row.direction, made_for.split("/")[1] if "/" in made_for else "")
        of_namespace[place].append(row)
        if row.rate_kbps is None or is_pods:
            marking[place].append(row)
        if row.direction is Direction.TO_LPORT:
            for switch in row.switches:
                of_switch[switch].append(row)
    for row, made_for, is_pods in limits:
        place = (row.direction, made_for.split("/")[1] if "/" in made_for else "")
        if not is_pods:
            yield row, marking[place]
        elif row.direction is Direction.FROM_LPORT:
            yield row, of_namespace[place]
        else:
            yield row, (one for switch in row.switches for one in of_switch[switch])


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
