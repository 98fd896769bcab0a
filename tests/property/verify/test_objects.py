"""What objects promise, and the verdict on a Northbound: against the words of the reference, packet by packet."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import TYPE_CHECKING

from hypothesis import given, settings

from ovnqos.compile.promises import PromiseKind
from ovnqos.explain.pipeline import PipelineVersion
from ovnqos.match import Packet, Protocol
from ovnqos.verify import ObjectVerdict
from ovnqos.verify.effects import PromisedEffects
from tests.support import random_clusters as make
from tests.support import verified_clusters as clusters
from tests.support.policy_oracle import takes

if TYPE_CHECKING:
    from ovnqos import NetworkQoS
    from tests.support.packets import Packet as DrawnPacket
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
    assert verdicts[ObjectVerdict.IN_FORCE] > 60, verdicts
    assert packets > 2_000


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
        protocol=Protocol(drawn.protocol),
        source_port=None if drawn.destination_port is None else 1024,
        destination_port=drawn.destination_port,
    )
