"""Which networks a policy takes: the five types of networkSelectors, layouts, and what is said of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ovnqos import (
    Code,
    Compiler,
    Direction,
    LabelSelector,
    NetworkAttachmentDefinition,
    NetworkSelectionType,
    NetworkSelector,
    PodPeer,
)
from ovnqos.controller import NetworkTopology
from ovnqos.model.networks import ANY_NAD_SELECTOR, DEFAULT_NETWORK_SELECTOR, NetworkRole
from tests.support.cluster import (
    attachment,
    codes,
    compiled,
    destination_sets,
    labels,
    messages,
    namespace,
    pod,
    policy,
    rule,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

ALL = LabelSelector()
KINDS = NetworkSelectionType
EVERYWHERE = {
    KINDS.DEFAULT_NETWORK: DEFAULT_NETWORK_SELECTOR,
    KINDS.NETWORK_ATTACHMENT_DEFINITIONS: ANY_NAD_SELECTOR,
    KINDS.PRIMARY_USER_DEFINED_NETWORKS: NetworkSelector(
        type=KINDS.PRIMARY_USER_DEFINED_NETWORKS, namespace_selector=ALL
    ),
    KINDS.SECONDARY_USER_DEFINED_NETWORKS: NetworkSelector(
        type=KINDS.SECONDARY_USER_DEFINED_NETWORKS, namespace_selector=ALL, network_selector=ALL
    ),
    KINDS.CLUSTER_USER_DEFINED_NETWORKS: NetworkSelector(
        type=KINDS.CLUSTER_USER_DEFINED_NETWORKS, network_selector=ALL
    ),
}
NETWORKS = (
    attachment("shop/plain", "10.1.0.0/16"),
    attachment("shop/udn", "10.2.0.0/16", network="shop_udn", owner="UserDefinedNetwork"),
    attachment(
        "shop/main",
        "10.3.0.0/16",
        network="shop_main",
        topology=NetworkTopology.LAYER2,
        role=NetworkRole.PRIMARY,
        owner="UserDefinedNetwork",
    ),
    attachment("shop/cudn", "10.4.0.0/16", network="cluster_udn_x", owner="ClusterUserDefinedNetwork"),
)
CLIENT = pod(
    "client",
    networks={
        "default": ["10.0.0.1"],
        "shop/plain": ["10.1.0.1"],
        "shop/udn": ["10.2.0.1"],
        "shop/main": ["10.3.0.1"],
        "shop/cudn": ["10.4.0.1"],
    },
)


def _taken(found: Compiler) -> set[str]:
    assert {code for _, _, code in codes(found)} <= {Code.NO_NETWORK_MATCHES}
    return {row.external_ids["ovnqos.io/network"] for row in found.desired().rows.values()}


@pytest.mark.parametrize(
    ("kinds", "networks"),
    [
        ([KINDS.DEFAULT_NETWORK], {"default"}),
        ([KINDS.NETWORK_ATTACHMENT_DEFINITIONS], {"plain", "shop_udn", "shop_main", "cluster_udn_x"}),
        ([KINDS.PRIMARY_USER_DEFINED_NETWORKS], {"shop_main"}),
        ([KINDS.SECONDARY_USER_DEFINED_NETWORKS], {"shop_udn"}),
        ([KINDS.CLUSTER_USER_DEFINED_NETWORKS], {"cluster_udn_x"}),
        ([KINDS.CLUSTER_USER_DEFINED_NETWORKS, KINDS.DEFAULT_NETWORK], {"cluster_udn_x", "default"}),
    ],
)
def test_each_type_takes_its_networks_and_several_take_the_union(
    kinds: Iterable[NetworkSelectionType], networks: set[str]
) -> None:
    chosen = policy(networks=[EVERYWHERE[kind] for kind in kinds])
    assert _taken(compiled(chosen, CLIENT, *NETWORKS)) == networks


def test_without_selectors_every_network_is_taken() -> None:
    every = {"default", "plain", "shop_udn", "shop_main", "cluster_udn_x"}
    assert _taken(compiled(policy(), CLIENT, *NETWORKS)) == every


def test_a_primary_network_is_selected_by_its_namespace() -> None:
    selector = NetworkSelector(type=KINDS.PRIMARY_USER_DEFINED_NETWORKS, namespace_selector=labels(tenant="a"))
    chosen = policy(networks=[selector])
    assert not _taken(compiled(chosen, CLIENT, *NETWORKS))
    assert _taken(compiled(chosen, CLIENT, *NETWORKS, namespace("shop", tenant="a"))) == {"shop_main"}


def test_a_cluster_network_of_several_namespaces_is_one_network() -> None:
    of = [
        attachment(f"{space}/cudn", "10.4.0.0/16", network="cluster_udn_x", owner="ClusterUserDefinedNetwork")
        for space in ("shop", "bank")
    ]
    pods = [
        pod("client", networks={"shop/cudn": ["10.4.0.1"]}),
        pod("server", namespace="bank", networks={"bank/cudn": ["10.4.0.9"]}),
    ]
    found = compiled(policy(rule(1, destinations=(PodPeer(namespace_selector=ALL),))), *pods, *of)
    assert [one.addresses for one in destination_sets(found)] == [{"10.4.0.1", "10.4.0.9"}]


@pytest.mark.parametrize(
    ("layout", "switches", "direction"),
    [
        (NetworkTopology.LAYER3, {"a.b_node1", "a.b_node2"}, Direction.TO_LPORT),
        (NetworkTopology.LAYER2, {"a.b_ovn_layer2_switch"}, Direction.FROM_LPORT),
        (NetworkTopology.LOCALNET, {"a.b_ovn_localnet_switch"}, Direction.FROM_LPORT),
    ],
)
def test_rows_are_where_the_layout_has_its_switches(
    layout: NetworkTopology, switches: set[str], direction: Direction
) -> None:
    pods = [pod(f"p{node}", networks={"shop/x": [f"10.1.0.{node}"]}, node=f"node{node}") for node in (1, 2)]
    (row,) = (
        compiled(policy(), *pods, attachment("shop/x", "10.1.0.0/16", network="a-b", topology=layout))
        .desired()
        .rows.values()
    )
    assert row.switches == switches
    assert row.direction is direction


def test_a_pod_without_addresses_is_a_source_all_the_same_and_a_note_says_it_is_no_destination() -> None:
    nad = attachment("shop/wire", topology=NetworkTopology.LOCALNET)
    found = compiled(
        policy(rule(1), rule(2, destinations=(PodPeer(pod_selector=ALL),))), pod("p", networks={"shop/wire": []}), nad
    )
    assert [group.ports for group in found.desired().port_groups.values()] == [{"shop.wire_shop_p"}]
    assert codes(found) == [("NetworkQoS/shop/gold", "", Code.NO_POD_ADDRESSES)]
    assert "network wire " in messages(found)[0]


def test_a_pod_on_one_network_twice_has_both_of_its_ports_taken() -> None:
    one = pod("p", networks={"shop/x": ["10.1.0.1"], "shop/x/1": ["10.1.0.2"], "lab/x": ["10.1.0.3"]})
    nads = [attachment(key, "10.1.0.0/16", network="x") for key in ("shop/x", "lab/x")]
    (group,) = compiled(policy(), one, *nads).desired().port_groups.values()
    assert group.ports == {"shop.x_shop_p", "shop.x.1_shop_p", "lab.x_shop_p"}


def test_nads_that_disagree_on_a_networks_layout_are_taken_each_by_its_word_and_named() -> None:
    nads = [
        attachment("shop/x", "10.1.0.0/16", network="x"),
        attachment("lab/x", "10.1.0.0/16", network="x", topology=NetworkTopology.LAYER2),
    ]
    before = compiled(policy(), pod("p", networks={"shop/x": ["10.1.0.1"]}), nads[0])
    after = compiled(policy(), pod("p", networks={"shop/x": ["10.1.0.1"]}), *nads)
    assert before.desired() == after.desired()
    assert codes(after) == [("NetworkQoS/shop/gold", "", Code.TOPOLOGIES_DIFFER)]
    assert "layer2 and layer3" in messages(after)[0]
    both = compiled(policy(), pod("p", networks={"shop/x": ["10.1.0.1"], "lab/x": ["10.1.0.2"]}), *nads)
    assert {tuple(row.switches) for row in both.desired().rows.values()} == {("x_node1",), ("x_ovn_layer2_switch",)}


def test_a_selected_nad_of_another_cni_is_named() -> None:
    other = NetworkAttachmentDefinition(namespace="shop", name="fast", labels={}, plugin="sriov", ovn=None)
    found = compiled(policy(networks=[ANY_NAD_SELECTOR]), pod("p", "10.0.0.1"), other)
    assert codes(found) == [("NetworkQoS/shop/gold", "spec.networkSelectors[0]", Code.NOT_OVN)]
    assert "CNI plugin sriov" in messages(found)[0]


def test_a_network_that_disappears_takes_its_rows_along() -> None:
    chosen = policy(networks=[EVERYWHERE[KINDS.CLUSTER_USER_DEFINED_NETWORKS]])
    found = compiled(chosen, CLIENT, *NETWORKS)
    assert found.desired().rows
    found.delete("NetworkAttachmentDefinition", NETWORKS[3].key)
    assert not found.desired().rows
