"""Which annotations of a pod are kept: those that say where it is wired, and those that a topology map names."""

from __future__ import annotations

import io
import json

import pytest

from ovnqos import Pod, load_manifests, parse_object
from ovnqos.controller import parse_pod
from ovnqos.errors import InvalidObject
from ovnqos.sources.objects import keeps_pod_annotation
from tests.support.invalid_documents import outline

MEANT = {
    "k8s.ovn.org/pod-networks": "{}",
    "ovn.kubernetes.io/logical_switch": "ovn-default",
    "ovn.kubernetes.io/logical_router": "ovn-cluster",
    "ovn.kubernetes.io/ip_address": "10.16.0.5",
    "ovn.kubernetes.io/allocated": "true",
    "ovn.kubernetes.io/virtualmachine": "vm1",
    "fast.infra.ovn.kubernetes.io/logical_switch": "fast",
}
OTHERS = {
    "ovn.kubernetes.io/mac_address": "00:00:00:00:00:01",
    "ovn.kubernetes.io/cidr": "10.16.0.0/16",
    "kubectl.kubernetes.io/last-applied-configuration": "{}" * 1000,
    "example.com/addresses": "10.0.0.1",
}
DOCUMENT = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "web", "annotations": {**OTHERS, **MEANT}}}
KEY = frozenset({"example.com/addresses"})


def test_only_what_means_something_is_kept() -> None:
    assert parse_pod(DOCUMENT).annotations == MEANT


@pytest.mark.parametrize(
    "key",
    [*MEANT, "qos.projectcalico.org/dscp", "qos.projectcalico.org/anything", "kubernetes.io/egress-bandwidth"],
)
def test_the_keys_that_mean_something(key: str) -> None:
    assert keeps_pod_annotation(key)


@pytest.mark.parametrize("key", [*OTHERS, "logical_switch", "ovn.kubernetes.io/logical_switch_x", "kubernetes.io/x"])
def test_other_keys(key: str) -> None:
    assert not keeps_pod_annotation(key)


def test_a_topology_map_has_more_kept() -> None:
    kept = {**MEANT, "example.com/addresses": "10.0.0.1"}
    assert parse_pod(DOCUMENT, also_keep=KEY).annotations == kept
    found = parse_object(DOCUMENT, also_keep=KEY)
    assert isinstance(found, Pod)
    assert found.annotations == kept
    (loaded,) = load_manifests(["-"], stdin=io.StringIO(json.dumps(DOCUMENT)), also_keep=KEY).pods
    assert loaded.annotations == kept


def test_a_kept_annotation_must_be_a_string_and_another_need_not() -> None:
    annotations = {"ovn.kubernetes.io/logical_switch": 5, "x": 5}
    with pytest.raises(InvalidObject) as raised:
        parse_pod({"metadata": {"name": "web", "annotations": annotations}})
    expected = "error InvalidField metadata.annotations[ovn.kubernetes.io/logical_switch]"
    assert outline(raised.value.diagnostics) == [expected]
    assert parse_pod({"metadata": {"name": "web", "annotations": {"x": 5, 7: "y"}}}).annotations == {}
