"""Faults of ovn-kubernetes' own controller that users meet, each shown not to be here."""

from __future__ import annotations

import pytest
from netaddr import IPAddress

from ovnqos import Code, Compiler, LabelSelector, NetworkSelectionType, NetworkSelector, PodPeer, PortMatch, Protocol
from ovnqos.model.labels import EVERYTHING
from tests.support.cluster import (
    attachment,
    attachments_selector,
    block,
    codes,
    compiled,
    destination_sets,
    labels,
    names_of,
    namespace,
    only_row,
    pod,
    policy,
    rule,
)
from tests.support.packets import Packet, matches

CLIENT = pod("client", "10.0.0.1", labels={"app": "client"})
TCP, UDP, SCTP = Protocol.TCP, Protocol.UDP, Protocol.SCTP


def _takes(compilation: Compiler, destination: str, protocol: str = "tcp", port: int | None = 80) -> bool:
    """Whether the one row takes a packet of the client to this destination."""
    row = only_row(compilation)
    version = IPAddress(destination).version
    packet = Packet(
        switch="node1",
        inport="shop_client",
        source=IPAddress("10.0.0.1" if version == 4 else "fd00::1"),
        destination=IPAddress(destination),
        protocol=protocol,
        destination_port=port,
    )
    return packet.switch in row.switches and matches(row.match, packet, names_of(compilation))


def test_ports_without_destinations_give_a_match_of_these_ports_alone() -> None:
    found = compiled(policy(rule(ports=(PortMatch(protocol=TCP, port=443),))), CLIENT)
    assert str(only_row(found).match).endswith(" && tcp.dst == 443")
    assert _takes(found, "192.0.2.1", port=443)
    assert not _takes(found, "192.0.2.1", port=80)
    assert not _takes(found, "192.0.2.1", "udp", 443)


def test_a_port_without_protocol_means_that_port_of_every_protocol_and_not_all_traffic() -> None:
    found = compiled(policy(rule(ports=(PortMatch(port=53),))), CLIENT)
    for protocol in ("tcp", "udp", "sctp"):
        assert _takes(found, "192.0.2.1", protocol, 53)
        assert not _takes(found, "192.0.2.1", protocol, 80)
    assert not _takes(found, "192.0.2.1", "icmp", None)


@pytest.mark.parametrize("turned", [False, True])
def test_a_protocol_beside_a_port_of_it_means_all_of_the_protocol(turned: bool) -> None:
    ports = (PortMatch(protocol=TCP), PortMatch(protocol=TCP, port=80))
    found = compiled(policy(rule(ports=ports[::-1] if turned else ports)), CLIENT)
    assert str(only_row(found).match).endswith(" && tcp")
    assert _takes(found, "192.0.2.1", port=9999)
    assert not _takes(found, "192.0.2.1", "udp")


def test_several_ports_of_several_protocols_are_a_union() -> None:
    ports = (
        PortMatch(protocol=UDP, port=53),
        PortMatch(protocol=TCP, port=80),
        PortMatch(protocol=TCP, port=443),
        PortMatch(protocol=SCTP),
    )
    found = compiled(policy(rule(ports=ports)), CLIENT)
    assert str(only_row(found).match).endswith(" && (sctp || tcp.dst == {80, 443} || udp.dst == 53)")


def test_objects_of_neighbouring_priority_never_collide() -> None:
    many = tuple(rule(dscp) for dscp in range(20))
    low = policy(*many, name="low", priority=1)
    high = policy(*many, name="high", priority=2)
    rows = compiled((low, high), CLIENT).desired().rows.values()
    priorities = {
        name: {row.priority for row in rows if row.external_ids["ovnqos.io/object"].endswith(name)}
        for name in ("low", "high")
    }
    assert priorities == {"low": set(range(10_040, 10_080, 2)), "high": set(range(10_080, 10_120, 2))}


def test_rule_10_of_priority_1_stays_below_rule_0_of_priority_2() -> None:
    rows = (
        compiled((policy(*[rule(1)] * 11, name="low", priority=1), policy(rule(2), name="high", priority=2)), CLIENT)
        .desired()
        .rows
    )
    assert rows["NetworkQoS/shop/low/10/default"].priority < rows["NetworkQoS/shop/high/0/default"].priority


def test_priorities_reach_from_10000_to_14038() -> None:
    policies = (policy(priority=0, name="a"), policy(*[rule()] * 20, priority=100, name="b"))
    rows = compiled(policies, CLIENT).desired().rows
    assert min(row.priority for row in rows.values()) == 10_000
    assert max(row.priority for row in rows.values()) == 14_038


@pytest.mark.parametrize(
    "peer",
    [
        PodPeer(pod_selector=EVERYTHING),
        PodPeer(namespace_selector=EVERYTHING),
        PodPeer(pod_selector=EVERYTHING, namespace_selector=EVERYTHING),
    ],
)
def test_empty_selectors_match_pods_and_nothing_outside_the_cluster(peer: PodPeer) -> None:
    found = compiled(policy(rule(destinations=(peer,))), CLIENT, pod("server", "10.0.0.2"))
    assert _takes(found, "10.0.0.2")
    assert not _takes(found, "10.0.0.3")
    assert not _takes(found, "192.0.2.1")


def test_a_destination_without_any_selector_selects_nothing() -> None:
    found = compiled(policy(rule(destinations=(PodPeer(),))), CLIENT)
    assert not found.desired().rows
    assert codes(found) == [("NetworkQoS/shop/gold", "spec.egress[0]", Code.NEVER_MATCHES)]


def test_selectors_of_one_destination_do_not_leak_into_the_next() -> None:
    one = policy(
        rule(
            destinations=(
                PodPeer(pod_selector=labels(app="db"), namespace_selector=labels(team="data")),
                PodPeer(namespace_selector=labels(team="web")),
                PodPeer(pod_selector=labels(app="cache")),
            )
        )
    )
    objects = [
        CLIENT,
        namespace("data", team="data"),
        namespace("web", team="web"),
        pod("db", "10.0.1.1", namespace="data", labels={"app": "db"}),
        pod("cache-of-data", "10.0.1.2", namespace="data", labels={"app": "cache"}),
        pod("any", "10.0.2.1", namespace="web", labels={"app": "x"}),
        pod("cache", "10.0.3.1", labels={"app": "cache"}),
        pod("db-of-shop", "10.0.3.2", labels={"app": "db"}),
    ]
    found = compiled(one, *objects)
    taken = [f"10.0.{net}.{host}" for net in (1, 2, 3) for host in (1, 2) if _takes(found, f"10.0.{net}.{host}")]
    assert taken == ["10.0.1.1", "10.0.2.1", "10.0.3.1"]


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_finished_pod_is_no_source_and_no_destination(phase: str) -> None:
    """Its address may be another pod's by now."""
    one = policy(rule(destinations=(PodPeer(pod_selector=EVERYTHING),)))
    found = compiled(one, CLIENT, pod("done", "10.0.0.2", node="node2", phase=phase))
    assert not _takes(found, "10.0.0.2")
    assert only_row(found).switches == {"node1"}
    assert [group.ports for group in found.desired().port_groups.values()] == [{"shop_client"}]


def test_a_pod_of_the_host_network_is_no_source_and_no_destination() -> None:
    """Its address is the node's, which other pods and the host itself use as well."""
    one = policy(rule(destinations=(PodPeer(pod_selector=EVERYTHING),)))
    found = compiled(one, CLIENT, pod("agent", "10.0.0.2", node="node2", host_network=True))
    assert not _takes(found, "10.0.0.2")
    assert only_row(found).switches == {"node1"}
    assert [group.ports for group in found.desired().port_groups.values()] == [{"shop_client"}]


def test_a_reused_address_of_a_finished_pod_counts_for_its_new_pod_only() -> None:
    one = policy(rule(destinations=(PodPeer(pod_selector=labels(app="job")),)))
    done = pod("job", "10.0.0.2", labels={"app": "job"}, phase="Succeeded")
    heir = pod("heir", "10.0.0.2", labels={"app": "web"})
    assert not _takes(compiled(one, CLIENT, done, heir), "10.0.0.2")


def test_ipv6_destinations_are_matched_on_an_ipv6_network() -> None:
    client = pod("client", "fd00::1")
    one = policy(rule(destinations=(block("2001:db8::/32", "2001:db8:1::/48"), PodPeer(pod_selector=EVERYTHING))))
    found = compiled(one, client, pod("server", "fd00::2"))
    assert _takes(found, "fd00::2")
    assert _takes(found, "2001:db8:2::1")
    assert not _takes(found, "2001:db8:1::1")
    assert "ip4" not in str(only_row(found).match)


def test_dual_stack_destinations_are_matched_in_both_families_by_a_set_each() -> None:
    client = pod("client", "10.0.0.1", "fd00::1")
    one = policy(rule(destinations=(PodPeer(pod_selector=labels(app="db")),)))
    found = compiled(one, client, pod("db", "10.0.0.2", "fd00::2", labels={"app": "db"}))
    assert [one.addresses for one in destination_sets(found)] == [{"10.0.0.2"}, {"fd00::2"}]
    assert _takes(found, "10.0.0.2")
    assert _takes(found, "fd00::2")
    assert not _takes(found, "10.0.0.3")


def test_an_address_that_a_pod_gave_up_leaves_the_set() -> None:
    one = policy(rule(destinations=(PodPeer(pod_selector=EVERYTHING),)))
    before = compiled(one, pod("client", "10.0.0.1", "fd00::1"))
    after = compiled(one, pod("client", "10.0.0.9", "fd00::9"))
    assert [one.addresses for one in destination_sets(before)] == [{"10.0.0.1"}, {"fd00::1"}]
    assert [one.addresses for one in destination_sets(after)] == [{"10.0.0.9"}, {"fd00::9"}]


@pytest.mark.parametrize("turned", [False, True])
def test_two_entries_of_network_selectors_are_a_union(turned: bool) -> None:
    networks = [
        attachments_selector(EVERYTHING, labels(nad="red")),
        attachments_selector(labels(team="web"), labels(nad="blue")),
        NetworkSelector(type=NetworkSelectionType.DEFAULT_NETWORK),
    ]
    objects = [
        namespace("web", team="web"),
        attachment("web/red", "10.1.0.0/16", labels={"nad": "red"}),
        attachment("web/blue", "10.2.0.0/16", labels={"nad": "blue"}),
        attachment("shop/blue-too", "10.3.0.0/16", labels={"nad": "blue"}),
        pod("client", networks={one: ["10.0.0.1"] for one in ("default", "web/red", "web/blue", "shop/blue-too")}),
    ]
    found = compiled(policy(networks=networks[::-1] if turned else networks), *objects)
    rows = found.desired().rows.values()
    assert {row.external_ids["ovnqos.io/network"] for row in rows} == {"default", "red", "blue"}


def test_pods_without_addresses_on_a_network_are_taken_by_their_port() -> None:
    found = compiled(policy(), attachment("shop/flat"), pod("client", networks={"shop/flat": []}))
    assert only_row(found).switches == {"flat_node1"}
    assert [group.ports for group in found.desired().port_groups.values()] == [{"shop.flat_shop_client"}]


def test_absent_network_selectors_take_every_network_of_the_pods() -> None:
    found = compiled(
        policy(),
        attachment("shop/blue", "10.1.0.0/16"),
        pod("client", networks={"default": ["10.0.0.1"], "shop/blue": ["10.1.0.1"]}),
    )
    assert {key: row.switches for key, row in found.desired().rows.items()} == {
        "NetworkQoS/shop/gold/0/default": {"node1"},
        "NetworkQoS/shop/gold/0/blue": {"blue_node1"},
    }


def test_an_absent_pod_selector_takes_the_pods_of_the_own_namespace_only() -> None:
    found = compiled(policy(pods=LabelSelector()), CLIENT, pod("other", "10.0.0.2", namespace="bank", node="node2"))
    assert only_row(found).switches == {"node1"}


def test_dscp_0_is_a_mark_and_no_dscp_is_none() -> None:
    assert only_row(compiled(policy(rule(0)), CLIENT)).action == {"dscp": 0}
    rows = compiled(policy(rule(None, rate=100)), CLIENT).desired().rows
    assert [row.action for row in rows.values()] == [{}, {}]
