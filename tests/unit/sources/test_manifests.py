"""Sets of manifests: kinds, lists, duplicates, and one bad object among good ones."""

from __future__ import annotations

import io
import json
import textwrap
from typing import Any

import pytest

from ovnqos.diagnostics import ObjectRef
from ovnqos.errors import InvalidObject
from ovnqos.model.policy import NetworkQoS
from ovnqos.sources import Manifests, load_manifests, parse_object

POLICY = """
apiVersion: k8s.ovn.org/v1alpha1
kind: NetworkQoS
metadata: {name: %s, namespace: calls}
spec:
  priority: 1
  egress:
  - dscp: %s
"""


def load(text: str) -> Manifests:
    return load_manifests(["-"], stdin=io.StringIO(textwrap.dedent(text)))


def errors_of(manifests: Manifests) -> list[str]:
    return [line for error in manifests.invalid for line in str(error).splitlines()]


def pod(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}}


def test_objects_are_sorted_by_kind() -> None:
    manifests = load(
        POLICY % ("a", 1)
        + """
---
{apiVersion: v1, kind: Namespace, metadata: {name: calls}}
---
{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: calls}}
---
{apiVersion: v1, kind: Node, metadata: {name: n}}
---
{apiVersion: k8s.cni.cncf.io/v1, kind: NetworkAttachmentDefinition, metadata: {name: net}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: e}}
---
{apiVersion: longhorn.io/v1beta2, kind: Node, metadata: {name: n}}
"""
    )
    assert [policy.key for policy in manifests.policies] == ["calls/a"]
    assert [namespace.name for namespace in manifests.namespaces] == ["calls"]
    assert [found.key for found in manifests.pods] == ["calls/p"]
    assert [node.name for node in manifests.nodes] == ["n"]
    assert [nad.key for nad in manifests.network_attachment_definitions] == ["default/net"]
    assert manifests.ignored_kinds == {"Deployment": 2, "Node": 1}
    assert manifests.invalid == ()
    assert manifests.warnings == ()


def test_one_bad_object_does_not_stop_the_others() -> None:
    manifests = load("---".join(POLICY % (name, dscp) for name, dscp in [("a", 1), ("b", 64), ("c", 2)]))
    assert [policy.name for policy in manifests.policies] == ["a", "c"]
    (error,) = manifests.invalid
    assert isinstance(error, InvalidObject)
    assert error.object == ObjectRef(kind="NetworkQoS", namespace="calls", name="b", origin="standard input")
    assert str(error) == (
        "NetworkQoS calls/b (standard input): spec.egress[0].dscp: 64 is not a DSCP; use a whole number from 0 to 63"
    )


def test_lists_are_expanded_in_order_also_in_lists() -> None:
    typed = {"apiVersion": "v1", "kind": "PodList", "items": [{"metadata": {"name": "b"}}, {"metadata": {"name": "c"}}]}
    outer = {"apiVersion": "v1", "kind": "List", "items": [pod("a"), typed, {"kind": "List", "items": []}, pod("d")]}
    manifests = load(json.dumps(outer))
    assert [found.name for found in manifests.pods] == ["a", "b", "c", "d"]
    assert manifests.invalid == ()


def test_items_of_a_typed_list_take_its_kind_and_version() -> None:
    item = {"metadata": {"name": "a"}, "spec": {"priority": 1, "egress": [{"dscp": 1}]}}
    manifests = load(json.dumps({"apiVersion": "k8s.ovn.org/v1alpha1", "kind": "NetworkQoSList", "items": [item]}))
    assert [policy.name for policy in manifests.policies] == ["a"]


def test_an_empty_list_is_no_object_and_no_error() -> None:
    assert load("{apiVersion: v1, kind: List, items: []}") == Manifests()
    assert load("{apiVersion: v1, kind: PodList, items: null}") == Manifests()


def test_bad_items_are_told_and_the_others_kept() -> None:
    manifests = load(json.dumps({"apiVersion": "v1", "kind": "List", "items": [1, pod("a"), {"metadata": {}}]}))
    assert [found.name for found in manifests.pods] == ["a"]
    assert errors_of(manifests) == [
        "List (standard input, line 1): items[0]: must be a mapping, not the number 1",
        "object (standard input, line 1, items[2]): kind: missing; give what it is, e.g. NetworkQoS",
    ]
    assert errors_of(load("{kind: List, items: {}}")) == [
        "List (standard input, line 1): items: must be a list, not a mapping"
    ]


def test_a_second_document_for_an_object_is_invalid_and_names_both_places() -> None:
    manifests = load(POLICY % ("a", 1) + "---" + POLICY % ("b", 1) + "---" + POLICY % ("a", 2))
    assert [(policy.name, policy.rules[0].dscp) for policy in manifests.policies] == [("a", 1), ("b", 1)]
    assert errors_of(manifests) == [
        "NetworkQoS calls/a (standard input, line 18): the same object is in standard input, line 2 already; keep one "
        "of the two"
    ]


def test_equal_names_of_other_kinds_or_namespaces_are_no_duplicates() -> None:
    text = "\n---\n".join(
        f"{{apiVersion: v1, kind: {kind}, metadata: {{name: x{namespace}}}}}"
        for kind, namespace in [("Pod", ""), ("Pod", ", namespace: other"), ("Node", ""), ("Namespace", "")]
    )
    assert load(text).invalid == ()


def test_a_repeated_key_makes_its_object_invalid_and_no_other() -> None:
    repeated = (POLICY % ("b", 1)) + "  priority: 2\n"
    manifests = load("\n---\n".join([POLICY % ("a", 1), repeated, "{kind: Deployment, kind: Deployment}"]))
    assert [policy.name for policy in manifests.policies] == ["a"]
    assert errors_of(manifests) == [
        "NetworkQoS calls/b (standard input): spec.priority: given twice, the second time in line 19; keep one"
    ]
    assert manifests.ignored_kinds == {"Deployment": 1}


def test_a_repeated_key_in_a_list_is_told_of_its_item() -> None:
    text = (
        '{"apiVersion": "v1", "kind": "List", "items": [%s, {"kind": "Pod", "metadata": {"name": "b", "name": "c"}}]}'
    )
    manifests = load(text % json.dumps(pod("a")))
    assert [found.name for found in manifests.pods] == ["a"]
    assert errors_of(manifests) == [
        "Pod default/c (standard input): metadata.name: given twice, the second time in line 1; keep one"
    ]


def test_warnings_name_the_object() -> None:
    manifests = load(POLICY % ("a", 1) + "  egres: []\n")
    assert [str(warning) for warning in manifests.warnings] == [
        "NetworkQoS calls/a (standard input): spec.egres: unknown field, ignored"
    ]
    assert len(manifests.policies) == 1


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ({}, "object (x.yaml): kind: missing; give what it is, e.g. NetworkQoS"),
        (
            {"kind": 5},
            "object (x.yaml): kind: must be a string, not the number 5; give what it is, e.g. NetworkQoS",
        ),
        (
            {"kind": "NetworkQos"},
            'object (x.yaml): kind: "NetworkQos" is not a kind; it is spelt NetworkQoS',
        ),
        (
            {
                "kind": "NetworkQoS",
                "apiVersion": "other.io/v1",
                "metadata": {"name": "a"},
                "spec": {"priority": 1, "egress": [{"dscp": 1}]},
            },
            'NetworkQoS default/a (x.yaml): apiVersion: "other.io/v1" is not read here; use k8s.ovn.org/v1alpha1',
        ),
    ],
)
def test_an_object_is_passed_over_only_when_its_kind_is_surely_another(document: dict[str, Any], error: str) -> None:
    parsed = parse_object(document, origin="x.yaml")
    assert isinstance(parsed, InvalidObject)
    assert str(parsed) == error


def test_parse_object_knows_the_kinds() -> None:
    policy = {"apiVersion": "k8s.ovn.org/v1alpha1", "metadata": {"name": "a"}, "spec": {"priority": 1, "egress": []}}
    assert isinstance(parse_object({**policy, "kind": "NetworkQoS"}), NetworkQoS)
    assert parse_object({"apiVersion": "v1", "kind": "Service"}) is None
