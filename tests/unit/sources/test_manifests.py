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
from tests.support import invalid_documents as cases
from tests.support.invalid_documents import outline

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
    return [f"{error.object}: {line}" for error in manifests.invalid for line in outline(error.diagnostics)]


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
    assert outline(error.diagnostics) == ["error InvalidField spec.egress[0].dscp"]


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
        "List (standard input, line 1): error InvalidField items[0]",
        "object (standard input, line 1, items[2]): error MissingField kind",
    ]
    assert errors_of(load("{kind: List, items: {}}")) == ["List (standard input, line 1): error InvalidField items"]


def test_a_second_document_for_an_object_is_invalid_and_names_both_places() -> None:
    manifests = load(POLICY % ("a", 1) + "---" + POLICY % ("b", 1) + "---" + POLICY % ("a", 2))
    assert [(policy.name, policy.rules[0].dscp) for policy in manifests.policies] == [("a", 1), ("b", 1)]
    assert errors_of(manifests) == ["NetworkQoS calls/a (standard input, line 18): error DuplicateObject"]
    assert "standard input, line 2" in manifests.invalid[0].diagnostics[0].text


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
    assert errors_of(manifests) == ["NetworkQoS calls/b (standard input): error DuplicateField spec.priority"]
    assert manifests.ignored_kinds == {"Deployment": 1}


def test_a_repeated_key_in_a_list_is_told_of_its_item() -> None:
    text = (
        '{"apiVersion": "v1", "kind": "List", "items": [%s, {"kind": "Pod", "metadata": {"name": "b", "name": "c"}}]}'
    )
    manifests = load(text % json.dumps(pod("a")))
    assert [found.name for found in manifests.pods] == ["a"]
    assert errors_of(manifests) == ["Pod default/c (standard input): error DuplicateField metadata.name"]


def test_warnings_name_the_object() -> None:
    manifests = load(POLICY % ("a", 1) + "  egres: []\n")
    (warning,) = manifests.warnings
    assert outline([warning]) == ["warning UnknownField spec.egres"]
    assert str(warning).startswith("NetworkQoS calls/a (standard input): spec.egres: ")
    assert len(manifests.policies) == 1


@pytest.mark.parametrize(("document", "expected"), cases.KINDS)
def test_an_object_is_passed_over_only_when_its_kind_is_surely_another(document: dict[str, Any], expected: str) -> None:
    parsed = parse_object(document, origin="x.yaml")
    assert isinstance(parsed, InvalidObject)
    assert outline(parsed.diagnostics) == [expected]
    assert parsed.object.origin == "x.yaml"


def test_parse_object_knows_the_kinds() -> None:
    policy = {"apiVersion": "k8s.ovn.org/v1alpha1", "metadata": {"name": "a"}, "spec": {"priority": 1, "egress": []}}
    assert isinstance(parse_object({**policy, "kind": "NetworkQoS"}), NetworkQoS)
    assert parse_object({"apiVersion": "v1", "kind": "Service"}) is None
