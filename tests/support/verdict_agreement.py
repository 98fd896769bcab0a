"""Random packets over random rows of ours, of ovn-kubernetes and of others: the verdict, and what ovn-trace shows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING, Final

from ovnqos import Northbound, plan_changes
from ovnqos.southbound.packet_path import microflow
from ovnqos.southbound.southbound import Southbound
from ovnqos.verify import verify_objects
from ovnqos.verify.effects import ActualEffects, PromisedEffects
from ovnqos.verify.objects import is_kept
from tests.support import explanation_agreement as agreement
from tests.support import random_clusters as make
from tests.support import verified_clusters as clusters
from tests.support.traced_ovn import TracedOvn

if TYPE_CHECKING:
    from ovnqos import NetworkQoS
    from ovnqos.explain.pipeline import PipelineVersion
    from ovnqos.sandbox import Programs
    from ovnqos.southbound.trace import Trace
    from ovnqos.verify import ObjectVerdict
    from tests.support.policy_oracle import Cluster

PACKETS: Final = 25
"""Packets for each cluster."""


@dataclass
class Compared:
    """What was compared, and where verdict and OVN contradict.

    Attributes:
        packets: how many.
        affected: how many of them a row marked or limited.
        undefined: of how many it is not defined, or not seen, what they leave with.
        kept: how many promises were kept, and how many not.
        verdicts: on objects.
        wrong: the contradictions.
    """

    packets: int = 0
    affected: int = 0
    undefined: int = 0
    kept: Counter[bool] = field(default_factory=Counter)
    verdicts: Counter[ObjectVerdict] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def compare_verdicts(
    programs: Programs | None = None, *, version: PipelineVersion, packets: int = 150, seed: int = 20_261_129
) -> Compared:
    """Judge and trace packets of random clusters.

    Args:
        programs: the OVN.
        version: how it looks up rows.
        packets: how many at least.
        seed: of the clusters.
    """
    random, compared = Random(seed), Compared()
    with TracedOvn(programs) as ovn, Northbound.connect(ovn.central.northbound.remote) as northbound:
        while compared.packets < packets:
            _compare_cluster(random, ovn, northbound, version, compared)
    return compared


def _compare_cluster(
    random: Random, ovn: TracedOvn, northbound: Northbound, version: PipelineVersion, compared: Compared
) -> None:
    cluster = make.cluster(random)
    ours = {one.key: one for one in make.policies(random)}
    theirs = [one for one in clusters.ordinary_policies(random) if one.key not in ours]
    switches = agreement._switches(cluster)
    if not switches:
        return
    for switch, ports in switches.items():
        wired = {one.port: " ".join(map(str, one.addresses)) for one in cluster.interfaces if one.switch == switch}
        macs = {port: f"{mac} {wired[port]}".strip() for port, mac in ports.items()}
        ovn.add_switch(switch, {**macs, f"away_{switch}": agreement._AWAY})
    ovn.central.nbctl("--wait=sb", "sync")
    northbound.refresh()
    northbound.apply(plan_changes(clusters.compiler_of(ours.values(), cluster).desired(), northbound.snapshot()))
    _write_theirs(ovn, theirs, cluster, switches)
    for switch, ports in switches.items():
        for row in agreement._rows_of_others(random, next(iter(ports)), []):
            ovn.add_row(switch, row.direction, row.priority, str(row.match), f"action:dscp={row.dscp}")
    compiler = clusters.compiler_of((*ours.values(), *theirs), cluster)
    with ovn.tracer() as tracer, Southbound(ovn.central.southbound.remote) as southbound:
        northbound.refresh()
        snapshot, contents = northbound.snapshot(), southbound.read()
        promises = compiler.promises()
        actual = ActualEffects(snapshot, snapshot.named_sets(contents.address_sets), (version,))
        promised = PromisedEffects(promises)
        for _ in range(PACKETS):
            switch, packet, eth_dst = agreement._packet(random, cluster, switches)
            packet = replace(packet, next_hop=int(eth_dst.replace(":", ""), 16))
            explanation = actual.explain(switch, packet)
            departures = actual.departures(explanation, version, crosses=False)
            flow = microflow(packet, eth_src=switches[switch][packet.inport], eth_dst=eth_dst)
            trace = tracer.run(switch, flow)
            traced = _traced(trace)
            compared.packets += 1
            compared.affected += traced != (None,)
            if trace.leaves and traced not in {one.value for one in departures}:
                compared.wrong.append(f"{switch}: {flow}: {traced}, not {departures}")
            if len(departures) > 1 or not trace.leaves:
                compared.undefined += 1
                continue
            wanted = promised.of(packet, version)
            for one in () if wanted.conflicts else (wanted.mark, *wanted.limits):
                if one is not None:
                    compared.kept[is_kept(one, wanted, departures[0])] += 1
        plain, confirmed = (
            verify_objects(promises, compiler.inventory, snapshot, contents, tracer=one).findings
            for one in (None, tracer)
        )
        compared.wrong.extend(str(two) for one, two in zip(plain, confirmed, strict=True) if one.verdict != two.verdict)
        compared.verdicts.update(one.verdict for one in plain)
    ovn.run(["--if-exists", "ls-del", switch] for switch in switches)
    ovn.central.nbctl("--all", "destroy", "Address_Set", "--", "--all", "destroy", "Port_Group")


def _write_theirs(
    ovn: TracedOvn, theirs: list[NetworkQoS], cluster: Cluster, switches: dict[str, dict[str, str]]
) -> None:
    """Write rows as ovn-kubernetes does."""
    upstream = clusters.UpstreamNorthbound.of(theirs, cluster)
    ovn.add_sets({name: one.content.members for (_, name), one in upstream.sets.items()}, {})
    for row in upstream.rows:
        known = [f'external_ids:"{key}"="{value}"' for key, value in row.content.external_ids.items()]
        rate = [f"bandwidth:{key}={value}" for key, value in row.content.bandwidth.items()]
        for switch in row.switches & switches.keys():
            mark = f"action:dscp={row.content.action['dscp']}"
            ovn.add_row(switch, "to-lport", row.content.priority, row.content.match, mark, *rate, *known)


def _traced(trace: Trace) -> tuple[object, ...]:
    """Mark and limits of a trace, as `Departure.value` has them."""
    return (trace.dscp, *((hit.meter.rate_kbps, hit.meter.burst_kbit) for hit in trace.hits if hit.meter is not None))
