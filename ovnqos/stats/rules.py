"""Counters of a chassis, by row and object: pure."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from ovnqos.model.owner import NETWORK_KEY, RULE_KEY, UPSTREAM_NETWORK_KEY, Owner
from ovnqos.plan.snapshot import SetKind, references_in
from ovnqos.southbound.flow_table import FlowTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ovnqos.plan.snapshot import ActualRow, Snapshot
    from ovnqos.southbound.contents import QosFlow, SouthboundContents
    from ovnqos.stats.chassis import Counters

_STRING: Final = re.compile(r'"([^"]*)"')


class MeterState(StrEnum):
    """Whether this chassis holds a rule's packets to its rate."""

    NO_LIMIT = "no limit"
    """The rule has no rate."""
    ACTIVE = "active"
    """The switch has the meter."""
    MISSING = "missing"
    """ovn-controller has made a meter or flows of the rule, and the switch has no such meter: all packets pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleStatistics:
    """What a rule did to packets on one chassis since its meter and its flows are there.

    Attributes:
        object: `Kind/namespace/name` that the rows come from; empty where their owner does not say.
        rule: which of the object's rules.
        network: the logical network, as the row says.
        switches: names of the logical switches whose rows these are.
        direction: of the rows: `from-lport` or `to-lport`.
        priority: of the rows.
        match: of the rows.
        dscp: the mark; None for none.
        rate_kbps: the limit in kbps (1000 bit/s); None for none.
        burst_kbit: in kbit (1000 bit); None for OVN's default.
        rows: uuids of the rows in the Northbound.
        foreign: whether they are another owner's.
        meter: whether the limit holds here.
        packets: that the rule took; those that its meter dropped are among them.
        octets: of these packets, with Ethernet headers.
        dropped_packets: that the meter dropped.
        dropped_octets: of these packets.
        seconds: how long they were counted; None where the switch does not say.
    """

    object: str
    rule: str
    network: str
    switches: tuple[str, ...]
    direction: str
    priority: int
    match: str
    dscp: int | None
    rate_kbps: int | None
    burst_kbit: int | None
    rows: tuple[str, ...]
    foreign: bool
    meter: MeterState
    packets: int
    octets: int
    dropped_packets: int = 0
    dropped_octets: int = 0
    seconds: float | None = None

    @property
    def dropped_share(self) -> float:
        """Dropped packets among all that the rule took, 0 to 1."""
        return self.dropped_packets / self.packets if self.packets else 0.0

    @property
    def bits_per_second(self) -> float | None:
        """Of the packets that passed, with Ethernet headers; None where the time is not known."""
        return (self.octets - self.dropped_octets) * 8 / self.seconds if self.seconds else None

    def counts(self) -> dict[str, Any]:
        """The counters as a JSON object."""
        return {
            "packets": self.packets,
            "bytes": self.octets,
            "dropped_packets": self.dropped_packets,
            "dropped_bytes": self.dropped_octets,
            "dropped_share": round(self.dropped_share, 6),
            "seconds": self.seconds,
            "bits_per_second": self.bits_per_second,
        }

    def as_document(self) -> dict[str, Any]:
        """All of it as a JSON object."""
        return {
            "object": self.object or None,
            "rule": self.rule or None,
            "network": self.network or None,
            "foreign": self.foreign,
            "switches": list(self.switches),
            "direction": self.direction,
            "priority": self.priority,
            "match": self.match,
            "dscp": self.dscp,
            "rate_kbps": self.rate_kbps,
            "burst_kbit": self.burst_kbit,
            "rows": list(self.rows),
            "meter": self.meter.value,
            **self.counts(),
        }


def rule_statistics(
    counters: Counters, southbound: SouthboundContents, snapshot: Snapshot
) -> tuple[RuleStatistics, ...]:
    """Say what each rule that has flows on this chassis did there.

    Rows that are alike on several switches share a logical flow, and so a meter on a chassis: they are one entry.

    Args:
        counters: of the chassis.
        southbound: the Southbound that it gets its flows from.
        snapshot: the Northbound.

    Returns:
        One entry for each logical flow with a limit, or, where the rule has none, with its mark; most drops first.
    """
    datapaths = {
        name: southbound.switches[uuid].uuid for name, uuid in snapshot.switches.items() if uuid in southbound.switches
    }
    flows = FlowTable(southbound)
    rows: dict[str, dict[str, ActualRow]] = defaultdict(dict)  # by uuid of the flow
    counted: dict[str, QosFlow] = {}
    for row in (*snapshot.rows, *snapshot.foreign_rows):
        for switch in row.switches & datapaths.keys():
            for flow in flows.of_row(row.content, datapaths[switch]):
                # of two stages that of the meter counts, or that of the mark where there is no limit
                if (flow.effect.meter is None) is ("rate" not in row.content.bandwidth):
                    counted[flow.uuid] = flow
                    rows[flow.uuid][row.uuid] = row
    found: list[RuleStatistics] = []
    for uuid, flow in counted.items():
        found += _entries(flow, rows[uuid].values(), counters, snapshot.owner, datapaths)
    return tuple(sorted(found, key=lambda one: (-one.dropped_packets, -one.packets, one.object, one.rule)))


def _entries(
    flow: QosFlow, rows: Iterable[ActualRow], counters: Counters, owner: Owner, datapaths: Mapping[str, str]
) -> Iterator[RuleStatistics]:
    matched = counters.flows.get(flow.uuid[:8])
    meter = counters.meters.get(flow.uuid)
    if matched is None and flow.uuid not in counters.meters:
        return
    first = min(rows, key=lambda row: row.uuid)
    content, known = first.content, first.content.external_ids
    owners = (owner, Owner.ovn_kubernetes())
    entry = RuleStatistics(
        object=next((one.object_of(known) for one in owners if one.owns(known)), "") or "",
        rule=known.get(RULE_KEY, known.get("rule-index", "")),
        network=known.get(NETWORK_KEY, known.get(UPSTREAM_NETWORK_KEY, "")),
        switches=tuple(
            sorted({name for row in rows for name in row.switches if datapaths.get(name) in flow.datapaths})
        ),
        direction=content.direction,
        priority=content.priority,
        match=content.match,
        dscp=content.action.get("dscp"),
        rate_kbps=content.bandwidth.get("rate"),
        burst_kbit=content.bandwidth.get("burst"),
        rows=tuple(sorted(row.uuid for row in rows)),
        foreign=not owner.owns(known),
        meter=MeterState.NO_LIMIT if flow.effect.meter is None else MeterState.MISSING,
        packets=matched.packets if matched else 0,
        octets=matched.octets if matched else 0,
    )
    if meter is not None:
        entry = replace(
            entry,
            meter=MeterState.ACTIVE,
            packets=meter.packets,
            octets=meter.octets,
            dropped_packets=meter.dropped_packets,
            dropped_octets=meter.dropped_octets,
            seconds=meter.seconds,
        )
    yield entry


def rows_without_meter(statistics: Iterable[RuleStatistics]) -> frozenset[str]:
    """Find the rows whose limit does not hold on this chassis, for it has no meter; returns their uuids."""
    return frozenset(row for one in statistics if one.meter is MeterState.MISSING for row in one.rows)


def rows_of_pod(snapshot: Snapshot, namespace: str, name: str) -> frozenset[str]:
    """Find the rows whose match names a port of a pod, itself or in a port group; returns their uuids.

    Ports are known by name, as ovn-kubernetes (`<namespace>_<pod>`, a network's prefix before it) and Kube-OVN
    (`<pod>.<namespace>`, a provider behind it) have them.
    """
    ends, starts = f"{namespace}_{name}", f"{name}.{namespace}"

    def is_of_pod(port: str) -> bool:
        return port in (ends, starts) or port.endswith(("_" + ends, "." + ends)) or port.startswith(starts + ".")

    sets = (*snapshot.sets.items(), *snapshot.foreign_sets.items())
    groups = {
        group for (kind, group), one in sets if kind is SetKind.PORT_GROUP and any(map(is_of_pod, one.content.members))
    }
    return frozenset(
        row.uuid
        for row in (*snapshot.rows, *snapshot.foreign_rows)
        if not groups.isdisjoint(references_in(row.content.match))
        or any(map(is_of_pod, _STRING.findall(row.content.match)))
    )


def difference(
    before: Iterable[RuleStatistics], after: Iterable[RuleStatistics], *, seconds: float
) -> tuple[RuleStatistics, ...]:
    """What was counted between two readings; a meter made anew in between counts from its start.

    Args:
        before: the earlier reading.
        after: the later one, whose rules are returned.
        seconds: between the two.
    """
    known = {(one.rows, one.meter): one for one in before}
    found = []
    for one in after:
        old = known.get((one.rows, one.meter))
        if old is None or old.packets > one.packets:  # made anew in between
            found.append(one if one.seconds is not None else replace(one, seconds=seconds))
            continue
        found.append(
            replace(
                one,
                packets=one.packets - old.packets,
                octets=one.octets - old.octets,
                dropped_packets=one.dropped_packets - old.dropped_packets,
                dropped_octets=one.dropped_octets - old.dropped_octets,
                seconds=seconds,
            )
        )
    return tuple(found)
