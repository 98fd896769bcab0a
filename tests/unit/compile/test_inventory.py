"""The inventory's bookkeeping: what it takes in, forgets, and says of networks and pods."""

from __future__ import annotations

import pytest
from netaddr import IPNetwork

from ovnqos import Code, LabelSelector, Namespace, Node, OvnKubernetesTopology, Pod
from ovnqos.controller import Inventory, Network, NetworkTopology
from tests.support.cluster import attachment, inventory, kind_and_key, labels, namespace, pod

ALL = LabelSelector()


def _found(known: Inventory, selector: LabelSelector, namespaces: LabelSelector) -> set[str]:
    return {record.pod.key for record in known.pods(selector, namespaces)}


def test_only_objects_of_a_cluster_are_taken() -> None:
    known = inventory(Node(name="node1", labels={}, annotations={}))
    with pytest.raises(TypeError, match="does not hold str objects"):
        known.apply("a pod")


def test_removing_what_is_not_there_changes_nothing() -> None:
    known = inventory(pod("a", "10.0.0.1"))
    for one in (
        pod("b"),
        pod("a", namespace="bank"),
        namespace("bank"),
        attachment("x/y"),
        Node(name="n", labels={}, annotations={}),
    ):
        known.delete(*kind_and_key(one))
    assert _found(known, ALL, ALL) == {"shop/a"}


def test_a_pod_that_changes_its_labels_is_found_by_the_new_ones_only() -> None:
    known = inventory(pod("a", "10.0.0.1", labels={"app": "old", "tier": "x"}))
    known.apply(pod("a", "10.0.0.1", labels={"app": "new"}))
    assert not list(known.pods(labels(app="old"), "shop"))
    assert not list(known.pods(labels(tier="x"), "shop"))
    assert [record.pod.name for record in known.pods(labels(app="new"), "shop")] == ["a"]


@pytest.mark.parametrize(
    "gone",
    [
        pod("a", "10.0.0.1", host_network=True),
        pod("a", "10.0.0.1", phase="Succeeded"),
        pod("a", "10.0.0.1", phase="Failed"),
        Pod(namespace="shop", name="a", node="node1", labels={}, annotations={}),
    ],
)
def test_a_pod_that_lost_its_addresses_is_found_no_more(gone: Pod) -> None:
    known = inventory(pod("a", "10.0.0.1"))
    known.apply(gone)
    assert not list(known.pods(ALL, "shop"))
    assert not _found(known, ALL, ALL)


def test_a_changed_namespace_selects_other_pods() -> None:
    known = inventory(pod("a", "10.0.0.1"), namespace("shop", team="web"))
    assert _found(known, ALL, labels(team="web")) == {"shop/a"}
    known.apply(namespace("shop", team="data"))
    assert not _found(known, ALL, labels(team="web"))
    known.delete(*kind_and_key(namespace("shop")))
    assert not _found(known, ALL, labels(team="data"))


def test_a_namespace_is_found_by_its_name_whether_seen_or_not_labelled_or_not() -> None:
    by_name = LabelSelector.from_labels({"kubernetes.io/metadata.name": "shop"})
    for objects in (
        [],
        [Namespace(name="shop", labels={})],
        [Namespace(name="shop", labels={"team": "web"})],
        [namespace("shop")],
    ):
        assert _found(inventory(pod("a", "10.0.0.1"), *objects), ALL, by_name) == {"shop/a"}


def test_a_pod_in_a_namespace_new_to_a_selector_is_found() -> None:
    known = inventory(namespace("shop", team="web"), namespace("bank", team="web"), pod("a", "10.0.0.1"))
    assert _found(known, ALL, labels(team="web")) == {"shop/a"}
    known.apply(pod("b", "10.0.0.2", namespace="bank"))
    assert _found(known, ALL, labels(team="web")) == {"shop/a", "bank/b"}
    known.delete(*kind_and_key(pod("a")))
    assert _found(known, ALL, labels(team="web")) == {"bank/b"}


def test_a_pod_that_cannot_be_read_is_a_problem_until_it_can() -> None:
    broken = pod("a", networks={"default": ["banana"]})
    known = inventory(broken, pod("b", networks={"default": ["pear"]}))
    assert known.problems.keys() == {"shop/a", "shop/b"}
    known.apply(pod("a", "10.0.0.1"))
    known.delete(*kind_and_key(pod("b")))
    assert not known.problems
    assert [record.pod.name for record in known.pods(ALL, "shop")] == ["a"]


@pytest.mark.parametrize("name", ["bl\x00ue", "bl\ud800ue", "bl\nue", "bl\x1b[31mue", "bl\u202eue"])
def test_an_interface_whose_name_no_database_takes_is_a_problem(name: str) -> None:
    known = inventory(pod("a", networks={"default": ["10.0.0.1"], f"shop/{name}": ["10.9.0.1"]}))
    assert [one.code for one in known.problems["shop/a"].diagnostics] == [Code.INVALID_FIELD]
    assert str(known.problems["shop/a"]).isprintable()


def test_the_default_network_carries_the_families_of_its_pods() -> None:
    def default(*versions: int) -> Network:
        return Network(name="default", topology=NetworkTopology.LAYER3, versions=frozenset(versions))

    known = inventory()
    assert known.network_of("default") == default()
    known.apply(pod("a", "10.0.0.1"))
    assert known.network_of("default") == default(4)
    known.apply(pod("b", "10.0.0.2", "fd00::2"))
    assert known.network_of("default") == default(4, 6)
    known.apply(pod("b", "10.0.0.2"))
    assert known.network_of("default") == default(4)
    known.delete(*kind_and_key(pod("a")))
    assert known.network_of("default") == default(4)
    known.delete(*kind_and_key(pod("b")))
    assert known.network_of("default") == default()


def test_a_network_is_known_by_its_nad_and_carries_what_that_declares() -> None:
    known = inventory(pod("a", networks={"shop/blue": ["10.1.0.1"]}))
    assert known.network_of("shop/blue") is None
    known.apply(attachment("shop/blue", "10.1.0.0/16", "fd00::/64", network="sky"))
    assert known.network_of("shop/blue") == Network(
        name="sky",
        topology=NetworkTopology.LAYER3,
        versions=frozenset((4, 6)),
        subnets=(IPNetwork("10.1.0.0/16"), IPNetwork("fd00::/64")),
    )
    known.apply(attachment("shop/blue", network="sea", topology=NetworkTopology.LAYER2))
    assert known.network_of("shop/blue") == Network(
        name="sea", topology=NetworkTopology.LAYER2, versions=frozenset((4,))
    )
    known.delete(*kind_and_key(attachment("shop/blue")))
    assert known.network_of("shop/blue") is None
    assert known.attachment("shop/blue") is None


def test_a_topology_of_zone_nodes_holds_these_alone() -> None:
    topology = OvnKubernetesTopology(zone_nodes=["node1"])
    assert (topology.in_zone("node1"), topology.in_zone("node2"), topology.in_zone("")) == (True, False, False)
    everywhere = OvnKubernetesTopology()
    assert (everywhere.in_zone("node2"), everywhere.in_zone("")) == (True, False)
