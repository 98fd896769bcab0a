"""What objects promise, and the verdict on a Northbound: against the words of the reference, packet by packet."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from netaddr import IPAddress

from ovnqos import QosRow
from ovnqos import match as m
from ovnqos.compile.promises import PromiseKind
from ovnqos.explain.pipeline import PipelineVersion
from ovnqos.match import Packet, PacketProtocol
from ovnqos.model.workloads import NO_POD_QOS
from ovnqos.verify import ObjectVerdict
from ovnqos.verify.effects import PromisedEffects
from tests.support import random_clusters as make
from tests.support import verified_clusters as clusters
from tests.support.cluster import names_of
from tests.support.effects import TableLayout, UndefinedEffect, effect
from tests.support.packets import Packet as DrawnPacket
from tests.support.policy_oracle import takes

if TYPE_CHECKING:
    from ovnqos import NetworkQoS
    from ovnqos.southbound.contents import SwitchPort
    from tests.support.policy_oracle import Cluster


def test_rows_of_ovn_kubernetes_draw_no_false_alarm() -> None:
    verdicts: Counter[ObjectVerdict] = Counter()
    packets = 0
    for seed in range(20):
        random = Random(seed)
        cluster, policies = clusters.ordinary_cluster(random), clusters.ordinary_policies(random)
        snapshot = clusters.UpstreamNorthbound.of(policies, cluster).snapshot()
        layout = list(clusters.STAGES)[seed % 2]
        report = clusters.verified(clusters.compiler_of(policies, cluster), cluster, snapshot, layout)
        verdicts.update(one.verdict for one in report.findings)
        packets += sum(one.packets for one in report.findings)
        wrong = [one for one in report.findings if not one.verdict.is_good]
        assert not wrong, [(one.object.key, one.path, one.verdict, one.reason) for one in wrong]
    assert verdicts[ObjectVerdict.IN_FORCE] > 50, verdicts
    assert packets > 1_200  # each once


@settings(max_examples=150)
@given(make.RANDOMS)
def test_a_packet_is_promised_what_the_words_say(random: Random) -> None:
    cluster, policies = make.cluster(random), make.policies(random)
    promised = PromisedEffects(clusters.compiler_of(policies, cluster).promises())
    for _ in range(12):
        drawn = make.packet(random, cluster)
        ranks = ranks_by_words(policies, drawn, cluster)
        found = promised.of(packet(drawn), PipelineVersion.JOINED)
        rules = {(one.object.key, int(one.path[12:-1])) for one in found.taking if one.kind is PromiseKind.RULE}
        assert rules == set(ranks), drawn
        best = [key for key, rank in ranks.items() if rank == max(ranks.values())]
        if len(best) == 1:
            (winner,) = best
            (policy,) = [one for one in policies if one.key == winner[0]]
            rule = policy.rules[winner[1]]
            assert rule.dscp is None or (found.mark is not None and found.mark.dscp == rule.dscp)
            assert [one.limit for one in found.limits if one.kind is PromiseKind.RULE] == (
                [] if rule.bandwidth is None else [rule.bandwidth]
            )


def ranks_by_words(
    policies: list[NetworkQoS], drawn: DrawnPacket, cluster: Cluster
) -> dict[tuple[str, int], tuple[int, int]]:
    """The rules that take a packet, with what decides which of them counts."""
    return {
        (policy.key, index): (policy.priority, index)
        for policy in policies
        for index in range(len(policy.rules))
        if takes(policy, index, drawn, cluster)
    }


def packet(drawn: DrawnPacket) -> Packet:
    return Packet(
        inport=drawn.inport,
        outport="",
        source=drawn.source,
        destination=drawn.destination,
        protocol=PacketProtocol(drawn.protocol),
        source_port=None if drawn.destination_port is None else 1024,
        destination_port=drawn.destination_port,
    )


@settings(max_examples=120)
@given(make.RANDOMS)
def test_what_breaks_a_promise_is_found(random: Random) -> None:
    """Rows are changed, removed and added at random; packets are judged by the tests' own oracle of what rows do."""
    cluster, policies = without_annotations(make.cluster(random)), make.policies(random)
    compiler = clusters.compiler_of(policies, cluster)
    every = compiler.desired().rows.values()
    rows = [row for row in every if "ovnqos.io/object" in row.external_ids]  # not those for neighbour discovery
    if not rows:
        return
    changed = [*rows, *foreign_rows(random, rows)]
    for _ in range(random.randint(0, 2)):
        place = random.randrange(len(rows))
        changed[place] = replace(changed[place], **change(random, changed[place]))
    if random.random() < 0.3:
        del changed[random.randrange(len(rows))]
    desired = replace(compiler.desired(), rows={row.identity: row for row in changed})
    snapshot = clusters.snapshot_of(desired, compiler.owner, cluster)
    verdicts: dict[tuple[str, str, str], set[ObjectVerdict]] = defaultdict(set)  # two networks may have one name
    for one in clusters.verified(compiler, cluster, snapshot).findings:
        verdicts[one.object.key, one.path, one.network].add(one.verdict)
    promised = PromisedEffects(compiler.promises())
    ports = clusters.ports_of(cluster)
    for _ in range(60):
        drawn = draw(random, ports)
        path = None if drawn is None else clusters.natural(packet(drawn), ports[drawn.switch])
        if drawn is None or path is None:
            continue
        wanted = promised.of(path, PipelineVersion.SPLIT)
        mark = wanted.mark
        if mark is None or mark.kind is not PromiseKind.RULE or wanted.conflicts:
            continue
        try:
            found = effect(changed, drawn, names_of(compiler), TableLayout.TWO_TABLES)
        except UndefinedEffect:
            continue
        if found.mark != mark.dscp:
            judged = verdicts[mark.object.key, mark.path, mark.network]
            assert not all(one.is_good for one in judged), (drawn, found, mark)


def without_annotations(cluster: Cluster) -> Cluster:
    """The cluster without limits and marks of single pods, whose rows the oracle does not know."""
    pods = tuple(replace(one, qos=NO_POD_QOS) for one in cluster.pods)
    return replace(cluster, pods=pods, namespaces=tuple(replace(one, qos=NO_POD_QOS) for one in cluster.namespaces))


def draw(random: Random, ports: dict[str, dict[str, SwitchPort]]) -> DrawnPacket | None:
    """A packet from a pod's own address to a pod or outside; None where no pod has one."""
    senders = [(name, one) for name, of in ports.items() for one in of.values() if one.addresses and not one.kind]
    if not senders:
        return None
    switch, sender = random.choice(senders)
    source = random.choice(sender.addresses)
    known = (*make.V4_POOL, *make.V6_POOL, *make.OUTSIDE)
    destination = random.choice([one for text in known if (one := IPAddress(text)).version == source.version])
    protocol = random.choice(("tcp", "udp", "icmp"))
    port = None if protocol == "icmp" else random.choice((22, 80, 443))
    return DrawnPacket(
        switch=switch,
        inport=sender.name,
        source=source,
        destination=destination,
        protocol=protocol,
        destination_port=port,
    )


def change(random: Random, row: QosRow) -> dict[str, Any]:
    """What becomes of a row."""
    return random.choice(
        (
            {"dscp": 63 if row.dscp != 63 else 1},
            {"match": row.match & random.choice((m.tcp, m.ip4, m.ip6, m.udp.dst.isin(80)))},
            {"switches": frozenset(random.sample(sorted(row.switches), 1))},
        )
    )


def foreign_rows(random: Random, rows: list[QosRow]) -> list[QosRow]:
    """Rows that mark, above or beside the others."""
    return [
        QosRow(
            switches=random.choice(rows).switches,
            direction=random.choice(rows).direction,
            priority=random.choice((30_000, random.choice(rows).priority + 1)),
            match=random.choice(
                (m.ip4, m.tcp.dst.isin(80), m.ip4.dst.isin("10.0.0.4/30") & m.tcp, m.ip6.dst.isin("fd00::5"))
            ),
            dscp=random.randint(0, 63),
            identity=f"foreign/{number}",
        )
        for number in range(random.randint(0, 1))
    ]
