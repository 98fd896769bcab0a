"""Rows of policies beside ingress limits of receivers: further ones, in the other direction, for packets to these."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import yaml

from ovnqos import Bandwidth, BandwidthScope, Code, Compiler, Direction, OvnKubernetesTopology, PodPeer, StaticTopology
from ovnqos.controller import NetworkTopology
from ovnqos.model.networks import NetworkRole
from ovnqos.model.policy import PortMatch, Protocol
from ovnqos.model.workloads import PodQos
from ovnqos.sources.topology_map import parse_topology_map
from tests.support.cluster import (
    POD_NETWORKS,
    attachment,
    block,
    codes,
    compiled,
    labels,
    mac_address,
    pod,
    policy,
    rule,
)

LIMIT = Bandwidth(rate_kbps=10_000)
CLIENT, FAR_CLIENT = pod("client", "10.0.0.1"), pod("far", "10.0.1.1", node="node2")
SERVER = replace(pod("server", "10.0.0.9", namespace="bank"), qos=PodQos(ingress=LIMIT))
SECOND = replace(pod("second", "10.0.0.10", namespace="bank"), qos=PodQos(ingress=LIMIT))
TO, FROM = Direction.TO_LPORT, Direction.FROM_LPORT
MAIN = "NetworkQoS/shop/gold/0/default"
OTHER = f"{MAIN}/from-lport"


def _where(compiler: Compiler) -> dict[str, tuple[Direction, set[str]]]:
    """By identity, where the rows of policies are."""
    rows = compiler.desired().rows
    return {key: (row.direction, set(row.switches)) for key, row in rows.items() if key.startswith("NetworkQoS/")}


def test_a_mark_has_a_second_row_on_switches_of_limited_receivers_for_packets_to_these() -> None:
    assert _where(compiled([policy(rule(5))], CLIENT, FAR_CLIENT)) == {MAIN: (TO, {"node1", "node2"})}
    found = compiled([policy(rule(5))], CLIENT, FAR_CLIENT, SERVER)
    assert _where(found) == {MAIN: (TO, {"node1", "node2"}), OTHER: (FROM, {"node1"})}
    desired = found.desired()
    (receivers,) = desired.address_sets.values()
    assert receivers.addresses == {mac_address("10.0.0.9")}
    main, other = desired.rows[MAIN], desired.rows[OTHER]
    assert (other.dscp, other.priority) == (main.dscp, main.priority)
    assert str(other.match) == f"{main.match} && eth.dst == ${receivers.name}"
    assert desired.rows["Pod/bank/server/ingress"].priority > main.priority


@pytest.mark.parametrize(
    ("addresses", "made"),
    [
        (["10.0.0.9/24", "fd00::9/64"], "0a:58:0a:00:00:09"),
        (["fd00::9/64", "10.0.0.9/24"], "0a:58:0a:00:00:09"),
        (["fd00::9/64"], "0a:58:78:29:33:47"),
    ],
)
@pytest.mark.parametrize("claimed", ["0a:58:DE:AD:BE:EF", "none", None])
def test_an_annotation_with_another_mac_address_leaves_the_limits_of_packets_to_the_pod_in_force(
    addresses: list[str], made: str, claimed: str | None
) -> None:
    networks = {"default": {"ip_addresses": addresses} | ({} if claimed is None else {"mac_address": claimed})}
    forged = replace(SERVER, annotations={POD_NETWORKS: json.dumps(networks)})
    (receivers,) = compiled([policy(rule(5))], CLIENT, forged).desired().address_sets.values()
    assert receivers.addresses == {made} | ({claimed.lower()} if claimed and ":" in claimed else set())


@pytest.mark.parametrize("limited", [False, True])
def test_a_limit_meters_packets_to_groups_of_receivers_as_they_enter(limited: bool) -> None:
    desired = compiled(policy(rule(rate=5)), CLIENT, FAR_CLIENT, *([SERVER] if limited else [])).desired()
    (receivers,) = desired.address_sets.values()
    (group,) = desired.port_groups
    assert str(desired.rows[MAIN].match) == f"inport == @{group} && ip && !eth.mcast"
    assert str(desired.rows[OTHER].match) == f"inport == @{group} && ip && (eth.mcast || eth.dst == ${receivers.name})"
    assert desired.rows[OTHER].switches == desired.rows[MAIN].switches
    assert len(receivers.addresses) == limited


TCP = (PortMatch(protocol=Protocol.TCP, port=80),)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (rule(rate=5, destinations=(block("0.0.0.0/0"),)), True),
        (rule(rate=5, destinations=(block("10.0.0.0/24"),)), True),
        (rule(rate=5, destinations=(block("239.1.1.1/32"),)), True),
        (rule(rate=5, destinations=(block("ff02::/16"),)), True),
        (rule(rate=5, destinations=(block("203.0.113.1/32"), block("2001:db8::/32"))), False),
        (rule(rate=5, destinations=(PodPeer(pod_selector=labels(app="client")),)), False),
        (rule(rate=5, ports=TCP), False),
        (rule(rate=5, ports=(*TCP, PortMatch(port=53))), True),
        (rule(5), False),
    ],
)
def test_only_limits_that_may_take_packets_to_groups_have_a_row_for_them(given: object, expected: bool) -> None:
    client = replace(CLIENT, labels={"app": "client"})
    rows = compiled(policy(given), client).desired().rows  # type: ignore[arg-type] # a Rule
    assert (OTHER in rows) is expected
    assert ("!eth.mcast" in str(rows[MAIN].match)) is expected


def test_rows_of_single_ports_have_such_rows_too() -> None:
    each = policy(rule(rate=5, ports=TCP), scope=BandwidthScope.POD)
    port = f"{MAIN}/shop_client"
    assert _where(compiled([each], CLIENT)) == {port: (TO, {"node1"})}
    assert _where(compiled([each], CLIENT, SERVER)) == {
        port: (TO, {"node1"}),
        f"{OTHER}/shop_client": (FROM, {"node1"}),
    }


def test_on_layer2_receivers_limits_have_their_own_direction_anyway() -> None:
    flat = attachment("shop/main", "10.3.0.0/16", topology=NetworkTopology.LAYER2, role=NetworkRole.PRIMARY)
    client = pod("client", networks={"shop/main": ["10.3.0.1"]})
    server = replace(pod("server", networks={"shop/main": ["10.3.0.9"]}), qos=PodQos(ingress=LIMIT))
    found = compiled([policy(rule(rate=5))], client, server, flat)
    assert _where(found) == {"NetworkQoS/shop/gold/0/main@layer2": (FROM, {"main_ovn_layer2_switch"})}
    assert not codes(found)


@pytest.mark.parametrize("role", NetworkRole)
def test_on_layer2_it_is_said_what_rules_mean_for_services(role: NetworkRole) -> None:
    flat = attachment("shop/main", "10.3.0.0/16", topology=NetworkTopology.LAYER2, role=role)
    client = pod("client", networks={"shop/main": ["10.3.0.1"]})
    found = codes(compiled(policy(rule(5, destinations=(block("10.0.0.0/8"),))), client, flat))
    has_services = role is NetworkRole.PRIMARY
    assert found == ([("NetworkQoS/shop/gold", "", Code.BEFORE_LOAD_BALANCING)] if has_services else [])


def test_where_mac_addresses_are_not_known_receivers_are_told_by_their_ip_addresses() -> None:
    text = (
        "networks: {default: {topology: layer3, switch: '{node}', port: '{namespace}_{name}', addresses: "
        "{annotation: addresses}}}"
    )
    topology = StaticTopology(parse_topology_map(yaml.safe_load(text)))
    client, server = (
        replace(one, annotations={"addresses": given})
        for one, given in ((CLIENT, "10.0.0.1,fd00::1"), (SERVER, "10.0.0.9,fd00::9"))
    )
    desired = compiled(policy(rule(5)), client, server, topology=topology).desired()
    assert sorted(one.addresses for one in desired.address_sets.values()) == [{"10.0.0.9"}, {"fd00::9"}]
    assert "(ip4.dst == $" in str(desired.rows[OTHER].match)


def test_a_direction_that_a_topology_map_gives_is_kept() -> None:
    text = "networks: {lan: {topology: layer3, switch: '{node}', port: '{namespace}_{name}', direction: %s}}"
    for given, expected in (("to-lport", TO), ("from-lport", FROM)):
        topology = StaticTopology(parse_topology_map(yaml.safe_load(text % given)))
        rows = _where(compiled(policy(rule(rate=5)), CLIENT, SERVER, topology=topology))
        assert rows == {"NetworkQoS/shop/gold/0/lan": (expected, {"node1"})}


def _compiler_of(*objects: object) -> Compiler:
    compiler = Compiler(OvnKubernetesTopology())
    for one in objects:
        compiler.apply(one)
    compiler.drain()
    return compiler


def test_the_first_limit_of_a_switch_adds_rows_there_and_rewrites_none() -> None:
    compiler = _compiler_of(CLIENT, FAR_CLIENT, policy(rule(5)), policy(rule(5), name="else", namespace="lab"))
    compiler.apply(SERVER)
    delta = compiler.drain()
    assert delta.policies == {"shop/gold"}
    assert delta.rows == {"Pod/bank/server/ingress", OTHER}
    assert len(delta.sets) == 1


def test_a_further_limit_costs_its_own_row_and_a_member() -> None:
    compiler = _compiler_of(CLIENT, SERVER, policy(rule(5)))
    compiler.apply(SECOND)
    delta = compiler.drain()
    assert not delta.policies
    assert delta.rows == {"Pod/bank/second/ingress"}
    assert list(delta.sets.values()) == [frozenset({mac_address("10.0.0.10")})]
    compiler.apply(replace(SERVER, qos=PodQos()))
    delta = compiler.drain()
    assert delta.rows == {"Pod/bank/server/ingress"}
    assert list(delta.sets.values()) == [frozenset({mac_address("10.0.0.9")})]
    compiler.delete("Pod", SECOND.key)
    assert compiler.drain().rows == {"Pod/bank/second/ingress", OTHER}
    assert not compiler.desired().address_sets


def test_limits_of_a_policy_that_meters_groups_are_not_compiled_anew_for_a_receiver() -> None:
    compiler = _compiler_of(CLIENT, policy(rule(rate=5)))
    compiler.apply(SERVER)
    assert compiler.drain().rows == {"Pod/bank/server/ingress"}


def test_a_limit_whose_rate_changes_leaves_the_policies_alone() -> None:
    compiler = _compiler_of(CLIENT, SERVER, policy(rule(5)))
    compiler.apply(replace(SERVER, qos=PodQos(ingress=Bandwidth(rate_kbps=1))))
    delta = compiler.drain()
    assert delta.rows == {"Pod/bank/server/ingress"}
    assert not delta.sets
    assert not delta.policies


def test_a_port_on_another_switch_is_found_again_when_that_switchs_limits_change() -> None:
    each = policy(rule(rate=5, ports=TCP), scope=BandwidthScope.POD)
    compiler = _compiler_of(CLIENT, pod("p1", "10.0.2.1", node="node3"), each)
    compiler.apply(FAR_CLIENT)
    assert not compiler.drain().policies  # it has rows of its own
    compiler.apply(replace(SERVER, node="node2"))
    assert compiler.drain().policies == {"shop/gold"}
    assert compiler.desired().rows[f"{OTHER}/shop_far"].direction is FROM
