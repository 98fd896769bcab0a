"""A pod's own egress limit and a rule that takes all of its traffic: one row keeps both where OVN applies only one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from netaddr import IPNetwork

from ovnqos import (
    Bandwidth,
    BandwidthScope,
    Compiler,
    Direction,
    KubeOvnTopology,
    NetworkSelectionType,
    NetworkSelector,
    OvnKubernetesTopology,
    QosRow,
)
from ovnqos.controller import NetworkTopology, find_shadowed_limits
from ovnqos.model.networks import NetworkRole
from ovnqos.model.policy import NetworkQoS, PortMatch, Protocol
from ovnqos.model.workloads import PodQos
from tests.support import kube_ovn
from tests.support.cluster import attachment, block, compiled, labels, pod, policy, rule

OWN = Bandwidth(rate_kbps=3_000, burst_kbit=300)
FLAT = attachment("shop/main", "10.3.0.0/16", topology=NetworkTopology.LAYER2, role=NetworkRole.PRIMARY)
PLAIN = pod("client", networks={"shop/main": ["10.3.0.1"]}, labels={"app": "a"})
CLIENT = replace(PLAIN, qos=PodQos(egress=OWN))
EGRESS = "Pod/shop/client/egress"
EACH = BandwidthScope.POD
WEB = (PortMatch(protocol=Protocol.TCP, port=80),)


def _compile(*policies: NetworkQoS, objects: tuple[object, ...] = (CLIENT, FLAT)) -> tuple[QosRow, list[str]]:
    """The row of the pod's limit, and by which rows limits are shadowed."""
    compiler = compiled(policies, *objects, cluster_cidrs=[IPNetwork("10.0.0.0/8")])
    desired = compiler.desired()
    found = find_shadowed_limits(desired)
    shadowed = [f"{one.limit.identity} by {one.by.identity}" for one in found]
    return desired.rows[EGRESS], shadowed


def test_a_rule_that_only_marks_is_joined_by_the_limit() -> None:
    row, shadowed = _compile(policy(rule(20)))
    assert (row.dscp, row.rate_kbps, row.burst_kbit, row.direction) == (20, 3_000, 300, Direction.FROM_LPORT)
    assert str(row.match) == 'inport == "shop.main_shop_client" && ip'
    assert row.external_ids["ovnqos.io/joined"] == "NetworkQoS/shop/gold/0"
    assert not shadowed


def test_the_row_is_above_the_rules_and_below_any_that_wins_over_it() -> None:
    above = policy(rule(1), name="above", priority=11)
    gold = policy(*[rule(2, destinations=(block("10.9.0.0/16"),))] * 3, rule(3))
    rows = compiled([gold, replace(above, rules=(rule(1, ports=WEB),))], CLIENT, FLAT).desired().rows
    priorities = [rows[f"NetworkQoS/shop/gold/{index}/main@layer2"].priority for index in range(4)]
    assert max(priorities) < rows[EGRESS].priority < rows["NetworkQoS/shop/above/0/main@layer2"].priority
    assert rows[EGRESS].dscp == 3


@pytest.mark.parametrize(
    ("theirs", "expected"),
    [
        ((5_000, 50), (3_000, 300)),
        ((2_000, None), (2_000, None)),
        ((3_000, None), (3_000, 300)),
        ((3_000, 9), (3_000, 9)),
    ],
)
def test_of_two_rates_for_one_pod_the_lower_holds(
    theirs: tuple[int, int | None], expected: tuple[int, int | None]
) -> None:
    rate, burst = theirs
    row, shadowed = _compile(policy(rule(20, rate=rate, burst=burst), scope=EACH))
    assert (row.dscp, row.rate_kbps, row.burst_kbit) == (20, *expected)
    assert not shadowed


def test_a_rate_that_pods_share_cannot_be_joined_and_that_is_told() -> None:
    row, shadowed = _compile(policy(rule(20, rate=5_000)))
    assert (row.dscp, row.rate_kbps, row.priority) == (None, 3_000, 5_000)
    assert shadowed == [f"{EGRESS} by NetworkQoS/shop/gold/0/main@layer2"]


def test_under_a_rate_that_pods_share_no_other_rule_is_joined() -> None:
    row, shadowed = _compile(policy(rule(20), rule(30, rate=5_000)))
    assert (row.dscp, row.priority) == (None, 5_000)
    assert f"{EGRESS} by NetworkQoS/shop/gold/1/main@layer2" in shadowed


def test_a_rule_of_some_of_the_traffic_is_not_joined_and_that_is_told() -> None:
    for some in (rule(20, ports=WEB), rule(20, destinations=(block("0.0.0.0/0", "10.0.0.0/8"),))):
        row, shadowed = _compile(policy(some))
        assert row.priority == 5_000
        assert shadowed == [f"{EGRESS} by NetworkQoS/shop/gold/0/main@layer2"]


def test_all_addresses_of_the_networks_ip_version_are_all_of_its_traffic() -> None:
    everywhere = rule(20, destinations=(block("0.0.0.0/0"),))
    assert _compile(policy(everywhere))[0].dscp == 20
    both = replace(pod("client", networks={"shop/main": ["10.3.0.1", "fd00::1"]}), qos=PodQos(egress=OWN))
    dual = attachment(
        "shop/main", "10.3.0.0/16", "fd00::/64", topology=NetworkTopology.LAYER2, role=NetworkRole.PRIMARY
    )
    assert _compile(policy(everywhere), objects=(both, dual))[0].dscp is None
    whole = rule(20, destinations=(block("0.0.0.0/0"), block("::/0")))
    assert _compile(policy(whole), objects=(both, dual))[0].dscp == 20


def test_a_policy_of_other_pods_or_networks_is_not_joined() -> None:
    default = (NetworkSelector(type=NetworkSelectionType.DEFAULT_NETWORK),)
    for other in (policy(pods=labels(app="b")), policy(namespace="bank"), policy(networks=default)):
        assert _compile(other)[0].priority == 5_000


@pytest.mark.parametrize("scope", BandwidthScope)
def test_on_layer3_the_limit_joins_for_packets_to_receivers_with_a_limit(scope: BandwidthScope) -> None:
    client = replace(pod("client", "10.0.0.1"), qos=PodQos(egress=OWN))
    server = replace(pod("server", "10.0.0.9", namespace="bank"), qos=PodQos(ingress=OWN))
    rate = 2_000 if scope is BandwidthScope.POD else None
    row, shadowed = _compile(policy(rule(20, rate=rate), scope=scope), objects=(client, server))
    assert (row.direction, row.priority, row.dscp, row.rate_kbps) == (Direction.FROM_LPORT, 10_401, 20, rate or 3_000)
    assert not shadowed


def test_on_layer3_a_limit_that_pods_share_shadows_it_on_the_way_to_such_receivers_alone() -> None:
    client = replace(pod("client", "10.0.0.1"), qos=PodQos(egress=OWN))
    server = replace(pod("server", "10.0.0.9", namespace="bank"), qos=PodQos(ingress=OWN))
    row, shadowed = _compile(policy(rule(20, rate=9_000)), objects=(client, server))
    assert row.priority == 5_000
    assert shadowed == [f"{EGRESS} by NetworkQoS/shop/gold/0/default/from-lport"]
    itself = replace(client, qos=PodQos(egress=OWN, ingress=OWN))
    for objects in ((client,), (client, replace(server, node="node2")), (itself,)):
        assert not _compile(policy(rule(20, rate=9_000)), objects=objects)[1]


def test_the_limit_joined_hides_a_lower_limit_and_that_is_told() -> None:
    lower = policy(rule(1, rate=500, ports=WEB), name="lower", priority=1)
    _, shadowed = _compile(lower, policy(rule(20)))
    assert f"NetworkQoS/shop/lower/0/main@layer2 by {EGRESS}" in shadowed


def test_policies_that_come_change_and_go_take_the_limit_along() -> None:
    compiler = Compiler(OvnKubernetesTopology())
    for one in (CLIENT, FLAT):
        compiler.apply(one)
    compiler.drain()
    for given, expected in (
        (policy(rule(20)), 20),
        (policy(rule(30)), 30),
        (policy(rule(30, ports=WEB)), None),
        (policy(rule(40)), 40),
        (policy(rule(40), pods=labels(app="b")), None),
        (policy(rule(50), pods=labels(app="a")), 50),
    ):
        compiler.apply(given)
        assert EGRESS in compiler.drain().rows
        assert compiler.desired().rows[EGRESS].dscp == expected
    compiler.apply(replace(CLIENT, labels={}))
    compiler.drain()
    assert compiler.desired().rows[EGRESS].dscp is None
    compiler.apply(CLIENT)
    compiler.drain()
    compiler.delete("NetworkQoS", "shop/gold")
    compiler.drain()
    assert compiler.desired().rows[EGRESS].dscp is None


def test_an_address_that_another_pod_brings_to_the_network_does_not_part_limit_and_rule() -> None:
    """The first IPv6 pod of a VPC, say: what others' pods send decides nothing for a pod of IPv4 alone."""
    first = replace(
        kube_ovn.pod("client", kube_ovn.interface("10.16.0.5"), labels={"app": "a"}), qos=PodQos(egress=OWN)
    )
    other = replace(kube_ovn.pod("guest", kube_ovn.interface("10.16.0.6,fd00::6")), namespace="bank")
    gold = policy(rule(20, destinations=(block("0.0.0.0/0"),)))
    alone, together = (Compiler.of([gold, *pods], KubeOvnTopology()) for pods in ((first,), (first, other)))
    rows = [one.desired().rows[EGRESS] for one in (alone, together)]
    assert rows[0] == rows[1]
    assert rows[0].dscp == 20
    assert not find_shadowed_limits(together.desired())
