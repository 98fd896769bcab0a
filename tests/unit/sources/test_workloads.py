"""Namespaces, pods and nodes, as the API server prints them and as people write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ovnqos.errors import InvalidObject
from ovnqos.model.workloads import Namespace, Node, Pod
from ovnqos.sources import parse_namespace, parse_node, parse_pod

if TYPE_CHECKING:
    from collections.abc import Callable

NETWORKS = '{"default":{"ip_addresses":["10.244.1.5/24"],"mac_address":"0a:58:0a:f4:01:05"}}'


def test_a_pod_keeps_what_qos_needs() -> None:
    pod = parse_pod(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": "pod1",
                "namespace": "default",
                "uid": "1",
                "labels": {"nqos-app": "bw-limited"},
                "annotations": {"k8s.ovn.org/pod-networks": NETWORKS, "other": "dropped"},
            },
            "spec": {"nodeName": "ovn-worker", "hostNetwork": True, "containers": [{"name": "x", "image": "y"}]},
            "status": {"phase": "Succeeded", "podIPs": [{"ip": "10.244.1.5"}]},
        }
    )
    assert pod == Pod(
        namespace="default",
        name="pod1",
        node="ovn-worker",
        labels={"nqos-app": "bw-limited"},
        annotations={"k8s.ovn.org/pod-networks": NETWORKS},
        host_network=True,
        phase="Succeeded",
    )


def test_a_pod_may_lack_nearly_everything() -> None:
    assert parse_pod({"metadata": {"name": "p"}}) == Pod(
        namespace="default", name="p", node="", labels={}, annotations={}
    )


def test_a_node_keeps_its_zone() -> None:
    metadata = {
        "name": "node.example.com",
        "labels": {"a": "b"},
        "annotations": {"k8s.ovn.org/zone-name": "z", "x": "y"},
    }
    assert parse_node({"metadata": metadata}) == Node(
        name="node.example.com", labels={"a": "b"}, annotations={"k8s.ovn.org/zone-name": "z"}
    )


def test_a_namespace_keeps_its_labels() -> None:
    assert parse_namespace({"metadata": {"name": "a", "labels": {"team": "x"}}}) == Namespace(
        name="a", labels={"team": "x"}
    )


@pytest.mark.parametrize(
    ("parse", "document", "fault"),
    [
        (parse_pod, {"metadata": {}}, "Pod: metadata.name: missing; name the object"),
        (
            parse_pod,
            {"metadata": {"name": "p", "labels": {"x": 1}}},
            'Pod default/p: metadata.labels.x: must be a string, but reads as the number 1; quote it, e.g. "1"',
        ),
        (
            parse_pod,
            {"metadata": {"name": "p"}, "spec": {"hostNetwork": "yes"}},
            'Pod default/p: spec.hostNetwork: must be true or false, not the string "yes"',
        ),
        (
            parse_pod,
            {"metadata": {"name": "p", "annotations": {"k8s.ovn.org/pod-networks": {}}}},
            "Pod default/p: metadata.annotations[k8s.ovn.org/pod-networks]: must be a string, not a mapping",
        ),
        (
            parse_pod,
            {"metadata": {"name": "p"}, "spec": {"nodeName": 5}},
            'Pod default/p: spec.nodeName: must be a string, but reads as the number 5; quote it, e.g. "5"',
        ),
        (
            parse_pod,
            {"metadata": {"name": "p"}, "status": "x"},
            'Pod default/p: status: must be a mapping, not the string "x"',
        ),
        (
            parse_node,
            {"metadata": {"name": "n", "labels": []}},
            "Node n: metadata.labels: must be a mapping, not a list",
        ),
        (
            parse_namespace,
            {"metadata": {"name": "a.b"}},
            'Namespace: metadata.name: "a.b" is not a DNS label; use at most 63 lower-case letters, digits and -, with '
            "a letter or digit at both ends",
        ),
    ],
)
def test_a_wrong_type_is_told(parse: Callable[[object], object], document: dict[str, Any], fault: str) -> None:
    with pytest.raises(InvalidObject) as raised:
        parse(document)
    assert str(raised.value) == fault
