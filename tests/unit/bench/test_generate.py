"""The generated clusters hold what the benchmark promises to measure."""

from __future__ import annotations

import json
from collections import Counter
from ipaddress import ip_address, ip_interface, ip_network
from typing import TYPE_CHECKING, Any

import pytest

from bench.generate import SIZES, ZONE_NODE, Cluster, Mode, Size, generate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MODES: tuple[Mode, ...] = ("zone", "central")


@pytest.fixture(scope="module")
def medium() -> Cluster:
    return generate("M")


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Evaluate the parts of a label selector that the generator writes; anything else fails the test."""
    assert set(selector) <= {"matchLabels", "matchExpressions"}
    expressions = selector.get("matchExpressions", [])
    assert all(expression["operator"] == "In" for expression in expressions)
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()) and all(
        labels.get(expression["key"]) in expression["values"] for expression in expressions
    )


def sources(cluster: Cluster, policy: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        pod
        for pod in cluster.pods
        if pod["metadata"]["namespace"] == policy["metadata"]["namespace"]
        and selects(policy["spec"]["podSelector"], pod["metadata"]["labels"])
    ]


def rules(cluster: Cluster) -> list[dict[str, Any]]:
    return [rule for policy in cluster.policies for rule in policy["spec"]["egress"]]


def destinations(cluster: Cluster) -> Iterator[tuple[str, dict[str, Any]]]:
    for policy in cluster.policies:
        for rule in policy["spec"]["egress"]:
            for destination in rule["classifier"]["to"]:
                yield policy["metadata"]["namespace"], destination


def default_network(pod: dict[str, Any]) -> dict[str, Any]:
    network: dict[str, Any] = json.loads(pod["metadata"]["annotations"]["k8s.ovn.org/pod-networks"])["default"]
    return network


@pytest.mark.parametrize("mode", MODES)
def test_equal_arguments_give_equal_documents_and_another_seed_gives_others(mode: Mode) -> None:
    first = json.dumps(generate("S", mode=mode).documents())
    assert first == json.dumps(generate("S", mode=mode).documents())
    assert first != json.dumps(generate("S", mode=mode, seed=2).documents())


@pytest.mark.parametrize("name", ["S", "M", "L"])
def test_a_size_has_the_numbers_of_the_benchmark(name: str) -> None:
    cluster, size = generate(name), SIZES[name]
    expected = {"S": (100, 10, 2, 5, 2), "M": (1_000, 100, 5, 20, 20), "L": (5_000, 1_000, 5, 50, 100)}[name]
    assert (size.pods, size.policies, size.rules, size.nodes, size.namespaces) == expected
    assert [len(items) for items in (cluster.pods, cluster.policies, cluster.nodes, cluster.namespaces)] == [
        size.pods,
        size.policies,
        size.nodes,
        size.namespaces,
    ]
    assert {len(policy["spec"]["egress"]) for policy in cluster.policies} == {size.rules}


def test_every_object_has_a_name_of_its_own(medium: Cluster) -> None:
    for items in (medium.namespaces, medium.nodes, medium.pods, medium.policies):
        names = [(item["metadata"].get("namespace"), item["metadata"]["name"]) for item in items]
        assert len(set(names)) == len(names)
        assert len({item["metadata"]["uid"] for item in items}) == len(items)


@pytest.mark.parametrize("name", ["S", "M"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_in_zone_mode_the_zones_node_holds_one_source_pod_of_each_object_and_nothing_else(name: str, seed: int) -> None:
    cluster = generate(name, seed=seed, mode="zone")
    seen = []
    for policy in cluster.policies:
        here = [pod for pod in sources(cluster, policy) if pod["spec"]["nodeName"] == ZONE_NODE]
        assert len(here) == 1, policy["metadata"]
        seen.append(here[0]["metadata"]["uid"])
    assert len(set(seen)) == len(seen)
    assert {pod["metadata"]["uid"] for pod in cluster.pods if pod["spec"]["nodeName"] == ZONE_NODE} == set(seen)


def test_in_central_mode_an_object_has_source_pods_on_several_nodes() -> None:
    cluster = generate("M", mode="central")
    spread = [len({pod["spec"]["nodeName"] for pod in sources(cluster, policy)}) for policy in cluster.policies]
    assert sum(count > 1 for count in spread) > 0.9 * len(spread)
    assert {pod["spec"]["nodeName"] for pod in cluster.pods} == {node["metadata"]["name"] for node in cluster.nodes}


def test_both_modes_differ_only_in_the_placement_of_the_pods() -> None:
    zone, central = generate("S", mode="zone"), generate("S", mode="central")
    assert zone.policies == central.policies
    assert zone.namespaces == central.namespaces
    assert [pod["metadata"]["labels"] for pod in zone.pods] == [pod["metadata"]["labels"] for pod in central.pods]


@pytest.mark.parametrize("dual_stack", [False, True])
def test_every_pods_address_is_unique_and_lies_in_its_nodes_subnet(dual_stack: bool) -> None:
    cluster = generate("M", dual_stack=dual_stack)
    subnets = {
        node["metadata"]["name"]: [
            ip_network(text)
            for text in json.loads(node["metadata"]["annotations"]["k8s.ovn.org/node-subnets"])["default"]
        ]
        for node in cluster.nodes
    }
    addresses, macs = Counter[Any](), Counter[str]()
    for pod in cluster.pods:
        network = default_network(pod)
        interfaces = [ip_interface(text) for text in network["ip_addresses"]]
        assert [interface.network for interface in interfaces] == subnets[pod["spec"]["nodeName"]]
        assert [interface.ip for interface in interfaces] == [
            ip_address(entry["ip"]) for entry in pod["status"]["podIPs"]
        ]
        assert [interface.version for interface in interfaces] == ([4, 6] if dual_stack else [4])
        addresses.update(interface.ip for interface in interfaces)
        macs[network["mac_address"]] += 1
    assert set(addresses.values()) == {1}
    assert set(macs.values()) == {1}


def test_half_of_the_rules_have_an_ip_block_and_the_others_select_pods_in_the_promised_shares(medium: Cluster) -> None:
    kinds = Counter(frozenset(destination) for _, destination in destinations(medium))
    assert kinds == {
        frozenset({"ipBlock"}): 250,
        frozenset({"podSelector"}): 150,
        frozenset({"namespaceSelector", "podSelector"}): 88,
        frozenset({"namespaceSelector"}): 12,
    }


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_except_lies_inside_its_block_and_leaves_something_of_it(seed: int) -> None:
    blocks = [
        block["ipBlock"] for _, block in destinations(generate("M", seed=seed, dual_stack=True)) if "ipBlock" in block
    ]
    assert {ip_network(block["cidr"]).version for block in blocks} == {4, 6}
    assert {len(block["except"]) for block in blocks} == {1, 2, 3, 4}
    for block in blocks:
        cidr, excluded = ip_network(block["cidr"]), [ip_network(text) for text in block["except"]]
        assert all(network.subnet_of(cidr) for network in excluded)  # type: ignore[arg-type] # one family, or it raises
        assert len(set(excluded)) == len(excluded)
        assert sum(network.num_addresses for network in excluded) < cidr.num_addresses


@pytest.mark.parametrize("name", ["S", "M"])
def test_every_destination_selects_some_pods_and_far_from_all(name: str) -> None:
    cluster = generate(name)
    namespaces = {item["metadata"]["name"]: item["metadata"]["labels"] for item in cluster.namespaces}
    for own, destination in destinations(cluster):
        if "ipBlock" in destination:
            continue
        chosen = (
            {ns for ns, labels in namespaces.items() if selects(destination["namespaceSelector"], labels)}
            if "namespaceSelector" in destination
            else {own}
        )
        pods = [
            pod
            for pod in cluster.pods
            if pod["metadata"]["namespace"] in chosen
            and selects(destination.get("podSelector", {}), pod["metadata"]["labels"])
        ]
        assert 0 < len(pods) <= 400, destination
        if chosen == {own} and "podSelector" in destination:
            assert len(pods) < 50, destination


def test_values_lie_in_the_ranges_of_the_custom_resource(medium: Cluster) -> None:
    everything = rules(medium)
    assert {policy["spec"]["priority"] for policy in medium.policies} <= set(range(101))
    assert {rule["dscp"] for rule in everything} <= set(range(64))
    limits = [rule["bandwidth"] for rule in everything if "bandwidth" in rule]
    assert 0.4 < len(limits) / len(everything) < 0.6
    assert all(limit["rate"] > 0 and limit.get("burst", limit["rate"]) >= limit["rate"] for limit in limits)
    ports = [rule["classifier"]["ports"] for rule in everything if "ports" in rule["classifier"]]
    assert 0.25 < len(ports) / len(everything) < 0.42
    for entries in ports:
        assert len({(entry["protocol"], entry["port"]) for entry in entries}) == len(entries) in (1, 2)


def test_objects_of_one_namespace_have_distinct_priorities_and_select_different_pods(medium: Cluster) -> None:
    specs = [(policy["metadata"]["namespace"], policy["spec"]) for policy in medium.policies]
    assert len({(namespace, spec["priority"]) for namespace, spec in specs}) == len(specs)
    assert len({(namespace, json.dumps(spec["podSelector"])) for namespace, spec in specs}) == len(specs)


def test_the_written_files_are_the_documents_as_kubernetes_lists(tmp_path: Path) -> None:
    cluster = generate("S")
    paths = cluster.write(tmp_path / "new")
    assert [path.stem for path in paths] == ["namespaces", "nodes", "pods", "networkqoses"]
    assert [json.loads(path.read_text()) for path in paths] == cluster.documents()
    assert {document["kind"] for document in cluster.documents()} == {"List"}
    kinds = [{item["kind"] for item in document["items"]} for document in cluster.documents()]
    assert kinds == [{"Namespace"}, {"Node"}, {"Pod"}, {"NetworkQoS"}]


@pytest.mark.parametrize(
    "size",
    [
        Size(name="crowded", pods=100, policies=200, rules=1, nodes=5),
        Size(name="one node", pods=100, policies=10, rules=1, nodes=1),
        Size(name="too many nodes", pods=100, policies=10, rules=1, nodes=1025),
    ],
)
def test_a_size_that_cannot_keep_its_promises_is_refused(size: Size) -> None:
    with pytest.raises(ValueError, match=size.name):
        generate(size)
