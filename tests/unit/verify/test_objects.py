"""The verdict on promises where no database can bring it about."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ovnqos import Bandwidth, PodQos
from ovnqos.verify import ObjectVerdict
from tests.support import verified_clusters as clusters
from tests.support.cluster import block, pod, policy, rule
from tests.support.policy_oracle import Cluster


@pytest.mark.parametrize("layout", clusters.STAGES)
@pytest.mark.parametrize("what", ["NetworkQoS", "Pod"])
def test_a_limit_whose_meter_this_chassis_lost_differs(layout: str, what: str) -> None:
    own = PodQos(egress=Bandwidth(rate_kbps=5_000)) if what == "Pod" else PodQos()
    pods = (replace(pod("a", "10.0.0.1"), qos=own), pod("b", "10.0.0.2"))
    cluster = Cluster(pods=pods, namespaces=(), attachments=())
    compiler = clusters.compiler_of([] if what == "Pod" else [policy(rule(rate=4_000))], cluster)
    snapshot = clusters.snapshot_of_ours(compiler, cluster)
    limits = [row.uuid for row in snapshot.rows if row.content.bandwidth]
    for lost, verdict in (((), ObjectVerdict.IN_FORCE), (limits, ObjectVerdict.DIFFERS)):
        report = clusters.verified(compiler, cluster, snapshot, layout, without_meter=lost)
        assert [one.verdict for one in report.findings] == [verdict]


@pytest.mark.parametrize("layout", list(clusters.STAGES))
def test_a_pod_of_ipv4_alone_sends_no_ipv6_past_the_rule_that_its_limit_has_joined(layout: str) -> None:
    """Its row takes all IP, and the rule IPv4; of other pods of the switch there are IPv6 addresses."""
    client = replace(pod("client", "10.0.0.1"), qos=PodQos(egress=Bandwidth(rate_kbps=3_000)))
    guest = pod("guest", "10.0.0.2", "fd00::2", namespace="bank")
    cluster = Cluster(pods=(client, guest), namespaces=(), attachments=())
    compiler = clusters.compiler_of([policy(rule(20, destinations=(block("0.0.0.0/0"),)))], cluster)
    assert compiler.desired().rows["Pod/shop/client/egress"].dscp == 20
    report = clusters.verified(compiler, cluster, clusters.snapshot_of_ours(compiler, cluster), layout)
    assert {one.verdict for one in report.findings} == {ObjectVerdict.IN_FORCE}
