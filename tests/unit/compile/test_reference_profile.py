"""The profile `ovn-kubernetes`: exactly what that controller was seen to write, its faults included."""

from __future__ import annotations

import pytest

from ovnqos import (
    Compilation,
    Direction,
    NetworkQoS,
    PodPeer,
    PortMatch,
    Profile,
    Protocol,
    QosRow,
    Rule,
    parse_policy,
)
from ovnqos.compile.reference import set_name
from ovnqos.model.labels import EVERYTHING
from tests.support.cluster import attachment, attachments_selector, block, compiled, labels, only_row, pod, policy, rule

TCP, UDP = Protocol.TCP, Protocol.UDP
EXCEPT = ["10.11.12.13/32", "172.16.0.0/12", "192.168.0.0/16"]


def _guide(namespace: str = "nqos-ns") -> NetworkQoS:
    return parse_policy(
        {
            "apiVersion": "k8s.ovn.org/v1alpha1",
            "kind": "NetworkQoS",
            "metadata": {"name": "qos-external", "namespace": namespace},
            "spec": {
                "podSelector": {"matchLabels": {"nqos-app": "bw-limited"}},
                "priority": 10,
                "egress": [
                    {
                        "dscp": 20,
                        "bandwidth": {"burst": 100, "rate": 20000},
                        "classifier": {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": EXCEPT}}]},
                    }
                ],
            },
        }
    )


def _reference(one: NetworkQoS, *objects: object, nodes: tuple[str, ...] | None = None) -> Compilation:
    return compiled(one, *objects, nodes=nodes, profile=Profile.OVN_KUBERNETES)


def _source(name: str, *addresses: str, node: str = "node1", namespace: str = "nqos-ns") -> object:
    return pod(name, *addresses, namespace=namespace, node=node, labels={"nqos-app": "bw-limited"})


def test_the_row_of_the_guide_is_the_row_that_was_found() -> None:
    found = _reference(_guide(), _source("pod1", "10.244.0.5"), _source("pod2", "10.244.1.5", node="node2"))
    assert only_row(found) == QosRow(
        switches=frozenset(("node1", "node2")),
        direction=Direction.TO_LPORT,
        priority=10_100,
        match=only_row(found).match,
        dscp=20,
        rate_kbps=20_000,
        burst_kbit=100,
        identity="default-network-controller:NetworkQoS:nqos-ns:qos-external:0",
        external_ids={
            "k8s.ovn.org/owner-controller": "default-network-controller",
            "k8s.ovn.org/owner-type": "NetworkQoS",
            "k8s.ovn.org/name": "nqos-ns:qos-external",
            "rule-index": "0",
            "k8s.ovn.org/id": "default-network-controller:NetworkQoS:nqos-ns:qos-external:0",
        },
    )
    assert str(only_row(found).match) == (
        "ip4.src == {$a6430668309535955215} && ip4.dst == 0.0.0.0/0"
        " && ip4.dst != {10.11.12.13/32,172.16.0.0/12,192.168.0.0/16}"
    )
    assert only_row(found).bandwidth == {"rate": 20_000, "burst": 100}


def test_sources_are_a_set_of_this_zones_addresses() -> None:
    objects = _source("pod1", "10.244.0.5"), _source("pod2", "10.244.1.5", node="node2")
    found = _reference(
        _guide("default"),
        *(_source(f"p{i}", f"10.0.0.{i}", node=f"node{i}", namespace="default") for i in (1, 2)),
        *objects,
        nodes=("node2",),
    )
    (one,) = found.desired.address_sets.values()
    assert one.name == "a11630317542647663367"
    assert one.addresses == {"10.0.0.2"}
    assert one.external_ids == {
        "k8s.ovn.org/owner-controller": "default-network-controller",
        "k8s.ovn.org/owner-type": "NetworkQoS",
        "k8s.ovn.org/name": "default:qos-external",
        "rule-index": "src",
        "ip-block-index": "0",
        "ip-family": "v4",
        "k8s.ovn.org/id": "default-network-controller:NetworkQoS:default:qos-external:src:0:v4",
    }
    assert not found.desired.port_groups
    assert only_row(found).switches == {"node2"}


def test_a_set_is_named_by_the_fnv_1a_hash_of_its_id() -> None:
    identity = "default-network-controller:NetworkQoS:default:qos-external:src:0:v4"
    assert set_name(identity) == "a11630317542647663367"
    assert set_name("") == "a14695981039346656037"  # the hash's published offset basis
    assert set_name("a") == "a12638187200555641996"  # 0xaf63dc4c8601ec8c, its published test vector


def test_another_network_is_named_in_its_rows() -> None:
    one = policy(networks=[attachments_selector(EVERYTHING, labels(nad="x"))])
    declared = attachment("shop/blue", "10.1.0.0/16", labels={"nad": "x"})
    row = only_row(_reference(one, declared, pod("p", networks={"default": ["10.0.0.1"], "shop/blue": ["10.1.0.1"]})))
    assert row.switches == {"blue_node1"}
    assert row.external_ids == {
        "k8s.ovn.org/owner-controller": "blue-network-controller",
        "k8s.ovn.org/owner-type": "NetworkQoS",
        "k8s.ovn.org/name": "shop:gold",
        "rule-index": "0",
        "k8s.ovn.org/id": "blue-network-controller:NetworkQoS:shop:gold:0",
        "k8s.ovn.org/network": "blue",
    }


def test_absent_network_selectors_mean_the_default_network_only() -> None:
    objects = [
        attachment("shop/blue", "10.1.0.0/16"),
        pod("p", networks={"default": ["10.0.0.1"], "shop/blue": ["10.1.0.1"]}),
    ]
    assert only_row(_reference(policy(), *objects)).switches == {"node1"}


def _names(*parts: str) -> tuple[str, str]:
    base = "default-network-controller:NetworkQoS:shop:gold"
    four, six = (f"${set_name(':'.join((base, *parts, family)))}" for family in ("v4", "v6"))
    return four, six


def _match(one: Rule, *objects: object) -> str:
    return str(only_row(_reference(policy(one), *(objects or (pod("p", "10.0.0.1"),)))).match)


SRC4, SRC6 = _names("src", "0")
SRC = f"ip4.src == {{{SRC4}}}"


def test_dual_stack_sources_are_either_set() -> None:
    assert _match(rule(), pod("p", "10.0.0.1", "fd00::1")) == f"(ip4.src == {{{SRC4}}} || ip6.src == {{{SRC6}}})"


def test_several_destinations_are_a_union() -> None:
    destinations = (PodPeer(pod_selector=EVERYTHING), block("10.0.0.0/8", "10.1.0.0/16", "10.2.0.0/16"))
    d4, _ = _names("0", "0")
    assert _match(rule(destinations=destinations)) == (
        f"{SRC} && (ip4.dst == {{{d4}}} || (ip4.dst == 10.0.0.0/8 && ip4.dst != {{10.1.0.0/16,10.2.0.0/16}}))"
    )


@pytest.mark.parametrize(
    ("ports", "words"),
    [
        ([PortMatch(protocol=TCP)], "tcp"),
        ([PortMatch(protocol=TCP, port=80)], "tcp && tcp.dst == 80"),
        ([PortMatch(protocol=TCP, port=80), PortMatch(protocol=TCP, port=443)], "tcp && tcp.dst == {80,443}"),
        ([PortMatch(protocol=UDP, port=53), PortMatch(protocol=TCP)], "((tcp) || (udp && udp.dst == 53))"),
    ],
)
def test_ports_are_written_by_protocol_in_order(ports: list[PortMatch], words: str) -> None:
    destination = "ip4.dst == 10.0.0.0/8"
    assert _match(rule(destinations=(block("10.0.0.0/8"),), ports=tuple(ports))) == f"{SRC} && {destination} && {words}"


def test_fault_ports_alone_give_a_match_that_does_not_parse() -> None:
    assert _match(rule(ports=(PortMatch(protocol=TCP, port=80),))) == f"{SRC} &&  && tcp && tcp.dst == 80"


def test_fault_a_port_without_protocol_is_dropped() -> None:
    assert (
        _match(rule(destinations=(block("10.0.0.0/8"),), ports=(PortMatch(port=80),)))
        == f"{SRC} && ip4.dst == 10.0.0.0/8"
    )
    assert _match(rule(ports=(PortMatch(port=80),))) == SRC


def test_fault_a_protocol_beside_a_port_of_it_takes_that_port_only() -> None:
    ports = (PortMatch(protocol=TCP), PortMatch(protocol=TCP, port=80))
    assert _match(rule(destinations=(block("10.0.0.0/8"),), ports=ports)).endswith("&& tcp && tcp.dst == 80")


def test_fault_a_destination_without_selectors_matches_every_address() -> None:
    assert _match(rule(destinations=(PodPeer(),))) == f"{SRC} && (ip4.dst == 0.0.0.0/0 || ip6.dst == ::/0)"


def test_fault_priorities_collide() -> None:
    low = _reference(policy(*[rule()] * 11, priority=1), pod("p", "10.0.0.1")).desired.rows.values()
    high = _reference(policy(priority=2), pod("p", "10.0.0.1")).desired.rows.values()
    assert max(row.priority for row in low) == min(row.priority for row in high) == 10_020


def test_destinations_of_all_zones_are_in_their_set() -> None:
    one = policy(rule(destinations=(PodPeer(pod_selector=labels(app="db")),)))
    found = _reference(
        one, pod("p", "10.0.0.1"), pod("db", "10.0.0.2", node="node9", labels={"app": "db"}), nodes=("node1",)
    )
    by_rule = {one.external_ids["rule-index"]: one.addresses for one in found.desired.address_sets.values()}
    assert by_rule == {"src": {"10.0.0.1"}, "0": {"10.0.0.2"}}
    assert {one.external_ids["ip-block-index"] for one in found.desired.address_sets.values()} == {"0"}


def test_a_rule_without_burst_has_a_rate_only_and_no_limit_has_no_bandwidth() -> None:
    rows = _reference(policy(rule(rate=5), rule(6)), pod("p", "10.0.0.1")).desired.rows.values()
    assert [row.bandwidth for row in rows] == [{"rate": 5}, {}]


def test_a_rule_that_does_nothing_has_no_row_and_stops_no_other() -> None:
    rows = _reference(policy(Rule(), rule(6)), pod("p", "10.0.0.1")).desired.rows.values()
    assert [row.external_ids["rule-index"] for row in rows] == ["1"]
