"""Random clusters, policies and rows of others, put into a real OVN; packets explained, and traced by OVN itself."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING, Final

from ovnqos import Direction, Northbound, plan_changes
from ovnqos import match as m
from ovnqos.explain.explanation import CandidateRow, Effect, RowVerdict
from ovnqos.explain.lookup import explain
from ovnqos.match.named_sets import NamedSets
from ovnqos.match.packet import Packet, PacketProtocol
from ovnqos.southbound.packet_path import microflow
from ovnqos.southbound.trace import find_disagreements
from tests.support import random_clusters as make
from tests.support.cluster import compiled
from tests.support.random_matches import expression
from tests.support.traced_ovn import TracedOvn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ovnqos import DesiredState
    from ovnqos.explain.explanation import Explanation
    from ovnqos.explain.pipeline import PipelineVersion
    from ovnqos.sandbox import Programs
    from tests.support.policy_oracle import Cluster

CLUSTERS: Final = 24
PACKETS: Final = 32
"""Packets for each cluster."""
_AWAY: Final = "0a:ff:ff:ff:ff:ff"
_NOTHING: Final = Effect()


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What was compared, and where explanation and OVN contradict.

    Attributes:
        packets: how many.
        affected: how many of them a row marked or limited.
        verdicts: of the candidate rows.
        uncertain: how many explanations leave something open.
        wrong: the contradictions.
    """

    packets: list[str] = field(default_factory=list)
    affected: list[str] = field(default_factory=list)
    uncertain: list[str] = field(default_factory=list)
    verdicts: Counter[RowVerdict] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def compare_explanations(
    programs: Programs | None = None, *, version: PipelineVersion, seed: int = 20_230_315
) -> Compared:
    """Explain and trace packets of random clusters.

    Args:
        programs: the OVN.
        version: how it looks up rows.
        seed: of the clusters.
    """
    random = Random(seed)
    compared = Compared()
    with TracedOvn(programs) as ovn, Northbound.connect(ovn.central.northbound.remote) as northbound:
        for _ in range(CLUSTERS):
            _compare_cluster(random, ovn, northbound, version, compared)
    return compared


def _compare_cluster(
    random: Random, ovn: TracedOvn, northbound: Northbound, version: PipelineVersion, compared: Compared
) -> None:
    cluster = make.cluster(random)
    policies = {one.key: one for _ in range(3) for one in make.policies(random)}
    desired = compiled(policies.values(), *cluster.objects, nodes=cluster.zone_nodes).desired()
    desired = replace(desired, scope=None)  # complete: nothing stays of the cluster before
    switches = _switches(cluster)
    if not switches:
        return
    for switch, ports in switches.items():
        ovn.add_switch(switch, {**ports, f"away_{switch}": _AWAY})
    ovn.central.nbctl("--wait=sb", "sync")
    northbound.refresh()
    northbound.apply(plan_changes(desired, northbound.snapshot()))
    rows = {switch: list(_candidates(desired, switch)) for switch in switches}
    for switch, ports in switches.items():
        for row in _rows_of_others(random, next(iter(ports)), rows[switch]):
            ovn.add_row(switch, row.direction, row.priority, str(row.match), f"action:dscp={row.dscp}")
            rows[switch].append(row)
    names = NamedSets(
        address_sets={name: one.addresses for name, one in desired.address_sets.items()},
        port_groups={name: one.ports for name, one in desired.port_groups.items()},
    )
    with ovn.tracer() as tracer:
        for _ in range(PACKETS):
            switch, packet, eth_dst = _packet(random, cluster, switches)
            explanation = explain(packet, rows[switch], names, versions=(version,))
            flow = microflow(packet, eth_src=switches[switch][packet.inport], eth_dst=eth_dst)
            trace = tracer.run(switch, flow)
            _note(compared, f"{switch}: {flow}", explanation)
            compared.wrong.extend(f"{switch}: {flow}: {line}" for line in find_disagreements(explanation, trace))
            if not trace.leaves and packet.outport != packet.inport:
                compared.wrong.append(f"{switch}: {flow}: does not leave the switch")
    ovn.run(["--if-exists", "ls-del", switch] for switch in switches)


def _note(compared: Compared, text: str, explanation: Explanation) -> None:
    compared.packets.append(text)
    for lookup in explanation.lookups:
        compared.verdicts.update(one.verdict for one in lookup.rows)
    outcomes = [outcome for lookup in explanation.lookups for outcome in lookup.outcomes.values()]
    if any(_NOTHING not in outcome.effects for outcome in outcomes):
        compared.affected.append(text)
    if not explanation.certain:
        compared.uncertain.append(text)


def _switches(cluster: Cluster) -> dict[str, dict[str, str]]:
    """The ports of each switch, with their Ethernet addresses."""
    found: dict[str, dict[str, str]] = {}
    wired = [one for one in cluster.interfaces if one.network is not None and one.pod.node]
    for number, one in enumerate(wired):
        found.setdefault(one.switch, {})[one.port] = f"0a:00:00:00:{number >> 8:02x}:{number & 255:02x}"
    return found


def _candidates(desired: DesiredState, switch: str) -> Iterator[CandidateRow]:
    for row in desired.rows.values():
        if switch in row.switches:
            yield CandidateRow(
                name=row.identity,
                identity=row.identity,
                direction=row.direction,
                priority=row.priority,
                match=row.match,
                dscp=row.dscp,
                rate_kbps=row.rate_kbps,
                burst_kbit=row.burst_kbit,
            )


def _rows_of_others(random: Random, port: str, ours: list[CandidateRow]) -> Iterator[CandidateRow]:
    """Rows that only mark, some of the priority of a row that is there."""
    for number in range(random.choice((0, 0, 1, 2))):
        match = random.choice((m.ip4, m.tcp, m.inport(port), m.ip4.dst.isin("10.0.0.0/30"), expression(random, port)))
        if m.references(match) != m.references(m.ip4):
            continue  # its sets are not there
        near = random.choice(ours).priority if ours and random.random() < 0.5 else random.choice((1, 9_999, 12_000))
        yield CandidateRow(
            name=f"other {number}",
            identity=f"other/{number}",
            direction=random.choice(list(Direction)),
            priority=near,
            match=match,
            dscp=random.randint(0, 63),
        )


def _packet(random: Random, cluster: Cluster, switches: Mapping[str, Mapping[str, str]]) -> tuple[str, Packet, str]:
    """A packet on a switch, and the Ethernet address that it is sent to."""
    while True:
        drawn = make.packet(random, cluster)
        if drawn.inport in switches.get(drawn.switch, ()):
            break
    ports = switches[drawn.switch]
    receivers = [one.port for one in cluster.interfaces if one.port in ports and drawn.destination in one.addresses]
    outport = random.choice(receivers) if receivers else f"away_{drawn.switch}"
    next_hop = ports.get(outport, _AWAY)
    packet = Packet(
        inport=drawn.inport,
        outport=outport,
        source=drawn.source,
        destination=drawn.destination,
        protocol=PacketProtocol(drawn.protocol),
        source_port=None if drawn.destination_port is None else 1024,
        destination_port=drawn.destination_port,
        switch_ports=frozenset({*ports, f"away_{drawn.switch}"}),
        next_hop=int(next_hop.replace(":", ""), 16),
    )
    return drawn.switch, packet, next_hop
