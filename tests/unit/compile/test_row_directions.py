"""In which direction the rows of policies are on a switch, so that they shadow no limit of a receiver there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import yaml
from netaddr import IPNetwork

from ovnqos import Bandwidth, BandwidthScope, Code, Compiler, Direction, OvnKubernetesTopology, StaticTopology
from ovnqos.controller import NetworkTopology, find_shadowed_limits
from ovnqos.model.networks import NetworkRole
from ovnqos.model.workloads import PodQos
from ovnqos.sources.topology_map import parse_topology_map
from tests.support.cluster import attachment, block, codes, compiled, messages, pod, policy, rule

if TYPE_CHECKING:
    from ovnqos import NetworkQoS, Pod

LIMIT = Bandwidth(rate_kbps=10_000)
CLIENT, FAR_CLIENT = pod("client", "10.0.0.1"), pod("far", "10.0.1.1", node="node2")
SERVER = replace(pod("server", "10.0.0.9", namespace="bank"), qos=PodQos(ingress=LIMIT))
TO, FROM = Direction.TO_LPORT, Direction.FROM_LPORT
_Where = dict[str, tuple[Direction, set[str]]]


def _rows(policies: list[NetworkQoS], *objects: object) -> _Where:
    """By identity, where the rows of policies are; nothing may be shadowed."""
    compiler = compiled(policies, *objects)
    desired = compiler.desired()
    assert not find_shadowed_limits(desired, compiler.inventory)
    return {
        key: (row.direction, set(row.switches)) for key, row in desired.rows.items() if key.startswith("NetworkQoS/")
    }


def test_on_the_switch_of_a_limited_receiver_a_rule_is_in_the_other_stage() -> None:
    main = "NetworkQoS/shop/gold/0/default"
    assert _rows([policy(rule(rate=5))], CLIENT, FAR_CLIENT) == {main: (TO, {"node1", "node2"})}
    assert _rows([policy(rule(rate=5))], CLIENT, FAR_CLIENT, SERVER) == {
        main: (TO, {"node2"}),
        f"{main}/from-lport": (FROM, {"node1"}),
    }
    assert _rows([policy(rule(rate=5))], CLIENT, SERVER) == {f"{main}/from-lport": (FROM, {"node1"})}


def test_all_policies_of_a_namespace_change_the_stage_together_so_that_priorities_decide() -> None:
    first, second = policy(rule(1), name="first", priority=1), policy(rule(2), name="second", priority=2)
    found = _rows([first, second], CLIENT, SERVER)
    assert {direction for direction, _ in found.values()} == {FROM}


@pytest.mark.parametrize("own", [PodQos(egress=LIMIT), PodQos(dscp=46)], ids=["limit", "mark"])
def test_where_a_sender_of_the_namespace_has_its_own_row_the_direction_stays_and_the_shadowed_limit_is_told(
    own: PodQos,
) -> None:
    sender = replace(pod("other", "10.0.0.2"), qos=own)
    compiler = compiled(policy(rule(rate=5)), CLIENT, sender, SERVER, cluster_cidrs=[IPNetwork("10.0.0.0/8")])
    desired = compiler.desired()
    assert desired.rows["NetworkQoS/shop/gold/0/default"].direction is TO
    (shadowed,) = find_shadowed_limits(desired, compiler.inventory)
    assert shadowed.limit.identity == "Pod/bank/server/ingress"


def test_limits_of_senders_in_other_namespaces_and_on_other_nodes_do_not_matter() -> None:
    stranger = replace(pod("stranger", "10.0.0.3", namespace="bank"), qos=PodQos(egress=LIMIT))
    distant = replace(FAR_CLIENT, qos=PodQos(egress=LIMIT))
    found = _rows([policy(rule(rate=5))], CLIENT, SERVER, stranger, distant)
    assert found["NetworkQoS/shop/gold/0/default/from-lport"] == (FROM, {"node1"})
    assert found["NetworkQoS/shop/gold/0/default"] == (TO, {"node2"})


def test_rows_of_single_ports_keep_their_identity_in_the_other_stage() -> None:
    each = policy(rule(rate=5), scope=BandwidthScope.POD)
    (before,) = _rows([each], CLIENT).items()
    (after,) = _rows([each], CLIENT, SERVER).items()
    assert before == ("NetworkQoS/shop/gold/0/default/shop_client", (TO, {"node1"}))
    assert after == ("NetworkQoS/shop/gold/0/default/shop_client", (FROM, {"node1"}))


def test_what_it_means_for_services_is_noted_where_a_rule_looks_at_destinations() -> None:
    nodes = [f"node{number}" for number in range(1, 7)]
    clients = [pod(f"client-{node}", "10.0.0.1", node=node) for node in nodes]
    servers = [
        replace(pod(f"s-{node}", "10.0.0.9", node=node, namespace="bank"), qos=PodQos(ingress=LIMIT)) for node in nodes
    ]
    by_address = policy(rule(destinations=(block("10.0.0.0/8"),)))
    found = compiled(by_address, *clients, *servers)
    assert codes(found) == [("NetworkQoS/shop/gold", "", Code.BEFORE_LOAD_BALANCING)]
    assert "node1, node2, node3, node4, node5 and 1 more" in messages(found)[0]
    assert not messages(compiled(by_address, *clients))
    assert not messages(compiled(policy(), *clients, *servers))


def test_on_layer2_receivers_limits_have_their_own_stage_anyway() -> None:
    flat = attachment("shop/main", "10.3.0.0/16", topology=NetworkTopology.LAYER2, role=NetworkRole.PRIMARY)
    client = pod("client", networks={"shop/main": ["10.3.0.1"]})
    server = replace(pod("server", networks={"shop/main": ["10.3.0.9"]}), qos=PodQos(ingress=LIMIT))
    found = _rows([policy(rule(rate=5))], client, server, flat)
    assert found == {"NetworkQoS/shop/gold/0/main@layer2": (FROM, {"main_ovn_layer2_switch"})}


def test_a_direction_that_a_topology_map_gives_is_kept() -> None:
    text = "networks: {lan: {topology: layer3, switch: '{node}', port: '{namespace}_{name}', direction: %s}}"
    for given, expected in (("to-lport", TO), ("from-lport", FROM)):
        topology = StaticTopology(parse_topology_map(yaml.safe_load(text % given)))
        rows = compiled(policy(rule(rate=5)), CLIENT, SERVER, topology=topology).desired().rows
        assert rows["NetworkQoS/shop/gold/0/lan"].direction is expected


def _compiler_of(*objects: object) -> Compiler:
    compiler = Compiler(OvnKubernetesTopology())
    for one in objects:
        compiler.apply(one)
    compiler.drain()
    return compiler


def test_a_limit_turns_the_rows_of_its_switch_alone() -> None:
    compiler = _compiler_of(
        CLIENT, FAR_CLIENT, policy(rule(rate=5)), policy(rule(rate=5), name="else", namespace="lab")
    )
    compiler.apply(SERVER)
    delta = compiler.drain()
    assert delta.policies == {"shop/gold"}
    assert delta.rows == {
        "Pod/bank/server/ingress",
        "NetworkQoS/shop/gold/0/default",
        "NetworkQoS/shop/gold/0/default/from-lport",
    }
    compiler.apply(replace(pod("second", "10.0.0.10", namespace="bank"), qos=PodQos(ingress=LIMIT)))
    assert not compiler.drain().policies  # the switch has one already
    compiler.apply(replace(SERVER, qos=PodQos()))
    assert not compiler.drain().policies


def test_the_first_limit_of_a_sender_turns_the_rows_back() -> None:
    compiler = _compiler_of(CLIENT, SERVER, policy(rule(rate=5)))
    compiler.apply(replace(CLIENT, qos=PodQos(egress=LIMIT)))
    assert compiler.drain().policies == {"shop/gold"}
    assert [row.direction for key, row in compiler.desired().rows.items() if key.startswith("NetworkQoS/")] == [TO]
    compiler.delete("Pod", SERVER.key)
    compiler.drain()
    compiler.apply(replace(CLIENT, qos=PodQos()))
    assert not compiler.drain().policies  # no receiver has a limit there, so it does not matter


def _pods(count: int) -> list[Pod]:
    return [pod(f"p{number}", f"10.0.{number}.1", node=f"node{number}") for number in range(count)]


def test_a_port_on_another_switch_is_found_again_when_that_switchs_limits_change() -> None:
    each = policy(rule(rate=5), scope=BandwidthScope.POD)
    compiler = _compiler_of(*_pods(2), each)
    compiler.apply(FAR_CLIENT)
    assert not compiler.drain().policies  # it has rows of its own
    compiler.apply(replace(SERVER, node="node2"))
    assert compiler.drain().policies == {"shop/gold"}
    assert compiler.desired().rows["NetworkQoS/shop/gold/0/default/shop_far"].direction is FROM
