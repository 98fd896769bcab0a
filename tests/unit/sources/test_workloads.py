"""Namespaces, pods and nodes, as the API server prints them and as people write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ovnqos.errors import InvalidObject
from ovnqos.model.workloads import Namespace, Node, Pod
from ovnqos.sources import parse_namespace, parse_node, parse_pod
from tests.support import invalid_documents as cases
from tests.support.invalid_documents import outline

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
        uid="1",
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


@pytest.mark.parametrize(("parse", "document", "expected"), cases.WORKLOADS)
def test_a_wrong_type_is_an_error(parse: Callable[[object], object], document: dict[str, Any], expected: str) -> None:
    with pytest.raises(InvalidObject) as raised:
        parse(document)
    assert outline(raised.value.diagnostics) == [expected]
