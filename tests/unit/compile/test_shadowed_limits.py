"""One packet, one row: which limits a row of higher priority keeps from some packets, and what is said of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from netaddr import IPNetwork

from ovnqos import Bandwidth, Code, PodPeer
from ovnqos.controller import NetworkTopology, find_shadowed_limits
from ovnqos.model.networks import NetworkRole
from ovnqos.model.workloads import PodQos
from tests.support.cluster import attachment, block, compiled, labels, pod, policy, rule

if TYPE_CHECKING:
    from ovnqos import NetworkQoS, Pod

LIMIT = Bandwidth(rate_kbps=10_000)
CLIENT = pod("client", "10.0.0.1", labels={"app": "a"})


def _shadowed(policies: list[NetworkQoS], *objects: object) -> list[tuple[str, str]]:
    compiler = compiled(policies, *objects, cluster_cidrs=[IPNetwork("10.0.0.0/8")])
    found = find_shadowed_limits(compiler.desired())
    return [(one.limit.identity, one.by.identity) for one in found]


def _server(address: str = "10.0.0.9", node: str = "node1") -> Pod:
    return replace(pod("server", address, node=node), qos=PodQos(ingress=LIMIT))


def test_a_mark_shadows_a_lower_limit_of_the_same_packets() -> None:
    limit = policy(rule(1, rate=100), name="limit", priority=1)
    mark = policy(rule(2, destinations=(block("10.0.0.0/8"),)), name="mark", priority=2)
    assert _shadowed([limit, mark], CLIENT) == [
        ("NetworkQoS/shop/limit/0/default", "NetworkQoS/shop/mark/0/default"),
    ]
    assert not _shadowed([limit, replace(mark, priority=0)], CLIENT)


def test_a_later_rule_that_only_marks_shadows_an_earlier_limit_of_its_object() -> None:
    both = policy(rule(1, rate=100), rule(2, destinations=(block("10.0.0.0/8"),)))
    assert _shadowed([both], CLIENT) == [("NetworkQoS/shop/gold/0/default", "NetworkQoS/shop/gold/1/default")]


def test_a_limit_of_higher_priority_is_what_was_asked_for() -> None:
    low, high = policy(rule(1, rate=100), name="low", priority=1), policy(rule(2, rate=5), name="high", priority=2)
    assert not _shadowed([low, high], CLIENT)


def test_what_shares_no_pod_or_no_packet_shadows_nothing() -> None:
    limit = policy(
        rule(1, rate=100, destinations=(block("10.1.0.0/16"),)), name="limit", priority=1, pods=labels(app="a")
    )
    elsewhere = policy(rule(2, destinations=(block("10.2.0.0/16"),)), name="mark", priority=2)
    others = policy(rule(2), name="others", priority=2, pods=labels(app="b"))
    assert not _shadowed([limit, elsewhere, others], CLIENT, pod("b", "10.0.0.2", labels={"app": "b"}))


def test_a_pods_egress_limit_is_in_another_stage_on_layer3() -> None:
    assert not _shadowed([policy(rule(1, rate=5))], replace(CLIENT, qos=PodQos(egress=LIMIT)))


def test_a_pods_egress_limit_on_layer2_is_shadowed_by_any_rule_of_the_same_packets() -> None:
    flat = attachment("shop/main", "10.3.0.0/16", topology=NetworkTopology.LAYER2, role=NetworkRole.PRIMARY)
    client = replace(pod("client", networks={"shop/main": ["10.3.0.1"]}), qos=PodQos(egress=LIMIT))
    assert _shadowed([policy(rule(1, rate=5))], client, flat) == [
        ("Pod/shop/client/egress", "NetworkQoS/shop/gold/0/main@layer2")
    ]


def test_no_rule_of_a_sender_shadows_an_ingress_limit() -> None:
    sent = policy(rule(1, destinations=(PodPeer(pod_selector=labels()),)), rule(2, rate=9))
    client = replace(CLIENT, qos=PodQos(egress=LIMIT))
    found = _shadowed([sent], client, _server())
    assert found == [("Pod/shop/client/egress", f"NetworkQoS/shop/gold/{index}/default/from-lport") for index in (0, 1)]


def test_what_is_said_names_both_and_from_which_version_on() -> None:
    compiler = compiled(policy(rule(1, rate=100), rule(2)), CLIENT)
    (one,) = find_shadowed_limits(compiler.desired())
    found = one.diagnostic
    assert (str(found.object), found.path, found.code) == (
        "NetworkQoS shop/gold",
        "spec.egress[0]",
        Code.SHADOWED_LIMIT,
    )
    assert "from OVN 24.09 on" in found.text
    assert "spec.egress[1] of NetworkQoS shop/gold" in found.text
    assert not find_shadowed_limits(compiler.desired(), at_most=0)


def test_rows_for_neighbour_discovery_are_no_objects_and_shadow_nothing() -> None:
    server = _server("fd00::9")
    assert any("ovnqos.io/object" not in row.external_ids for row in compiled([], server).desired().rows.values())
    assert not _shadowed([policy(rule(rate=100))], server, pod("client", "fd00::1"))
