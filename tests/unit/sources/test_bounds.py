"""How large an object may be: what is beyond is an error of the object, whose last valid version stays in force."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ovnqos import Code, InvalidObject, parse_object
from ovnqos.model.policy import (
    CIDRS_MAXIMUM,
    EXCEPTIONS_MAXIMUM,
    PEER_SELECTORS_MAXIMUM,
    PEERS_MAXIMUM,
    PORTS_MAXIMUM,
    RULES_MAXIMUM,
    SELECTOR_MAXIMUM,
    SELECTOR_VALUES_MAXIMUM,
)

CRD = Path(__file__).parents[3] / "daemon" / "deploy" / "crd.yaml"


def parsed(**spec: Any) -> object:
    return parse_object(
        {
            "apiVersion": "k8s.ovn.org/v1alpha1",
            "kind": "NetworkQoS",
            "metadata": {"name": "gold", "namespace": "shop"},
            "spec": {"priority": 1, "egress": [{"dscp": 1}], **spec},
        }
    )


def with_classifier(**classifier: Any) -> dict[str, Any]:
    return {"egress": [{"dscp": 1, "classifier": classifier}]}


def block(index: int, *excluded: str) -> dict[str, Any]:
    return {"ipBlock": {"cidr": f"10.{index // 256}.{index % 256}.0/24", "except": list(excluded)}}


def addresses(count: int) -> list[str]:
    return [f"10.{index >> 16}.{index >> 8 & 255}.{index & 255}/32" for index in range(count)]


def labels(count: int) -> dict[str, Any]:
    return {"matchLabels": {f"key{index}": "x" for index in range(count)}}


def expressions(count: int) -> dict[str, Any]:
    return {"matchExpressions": [{"key": f"key{index}", "operator": "Exists"} for index in range(count)]}


def values(count: int) -> dict[str, Any]:
    listed = [f"value{index}" for index in range(count)]
    return {"matchExpressions": [{"key": "key", "operator": "In", "values": listed}]}


def excepting(count: int) -> dict[str, Any]:
    return with_classifier(to=[{"ipBlock": {"cidr": "10.0.0.0/8", "except": addresses(count)}}])


BOUNDS = [
    ("spec.egress[0].classifier.to", PEERS_MAXIMUM, lambda n: with_classifier(to=[block(i) for i in range(n)])),
    ("spec.egress[0].classifier.from", PEERS_MAXIMUM, lambda n: with_classifier(**{"from": [block(0)] * n})),
    ("spec.egress[0].classifier.ports", PORTS_MAXIMUM, lambda n: with_classifier(ports=[{"port": 1}] * n)),
    ("spec.egress[0].classifier.to[0].ipBlock.except", EXCEPTIONS_MAXIMUM, excepting),
    ("spec.egress", RULES_MAXIMUM, lambda n: {"egress": [{"dscp": 1}] * n}),
    ("spec.podSelector.matchLabels", SELECTOR_MAXIMUM, lambda n: {"podSelector": labels(n)}),
    ("spec.podSelector.matchExpressions", SELECTOR_MAXIMUM, lambda n: {"podSelector": expressions(n)}),
    ("spec.podSelector.matchExpressions[0].values", SELECTOR_VALUES_MAXIMUM, lambda n: {"podSelector": values(n)}),
    (
        "spec.egress",
        PEER_SELECTORS_MAXIMUM,
        lambda n: with_classifier(to=[{"podSelector": {"matchLabels": {"app": f"a{i}"}}} for i in range(n)]),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("path", "maximum", "spec"), BOUNDS, ids=[f"{path} {most}" for path, most, _ in BOUNDS])
def test_each_list_has_a_bound(path: str, maximum: int, spec: Any) -> None:
    assert not isinstance(parsed(**spec(maximum)), InvalidObject)
    found = parsed(**spec(maximum + 1))
    assert isinstance(found, InvalidObject)
    assert {(one.code, one.path) for one in found.diagnostics} == {(Code.INVALID_FIELD, path)}


def test_the_cidrs_that_exceptions_come_to_are_bounded() -> None:
    many = [{"ipBlock": {"cidr": "::/0", "except": [f"2001:db8::{index:x}" for index in range(1, 513)]}}]
    assert CIDRS_MAXIMUM < 512 * 128 + 1
    found = parsed(**with_classifier(to=many))
    assert isinstance(found, InvalidObject)
    assert {(one.code, one.path) for one in found.diagnostics} == {(Code.INVALID_FIELD, "spec.egress")}
    few = [{"ipBlock": {"cidr": "::/0", "except": [f"2001:db8::{index:x}" for index in range(1, 512)]}}]
    assert not isinstance(parsed(**with_classifier(to=few)), InvalidObject)


def test_an_object_of_many_errors_has_a_bounded_number_of_diagnostics() -> None:
    found = parsed(egress=[{"dscp": "no", "classifier": {"ports": [{"port": "no"}] * PORTS_MAXIMUM}}] * RULES_MAXIMUM)
    assert isinstance(found, InvalidObject)
    assert 100 < len(found.diagnostics) <= 200


def test_the_custom_resource_has_the_bounds_of_the_parser() -> None:
    (version,) = yaml.safe_load(CRD.read_text())["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    classifier = spec["egress"]["items"]["properties"]["classifier"]["properties"]
    block = classifier["to"]["items"]["properties"]["ipBlock"]["properties"]
    selector = spec["podSelector"]["properties"]
    expression = selector["matchExpressions"]["items"]["properties"]
    assert spec["egress"]["maxItems"] == RULES_MAXIMUM
    assert classifier["to"]["maxItems"] == classifier["from"]["maxItems"] == PEERS_MAXIMUM
    assert classifier["ports"]["maxItems"] == PORTS_MAXIMUM
    assert block["except"]["maxItems"] == EXCEPTIONS_MAXIMUM
    assert selector["matchLabels"]["maxProperties"] == selector["matchExpressions"]["maxItems"] == SELECTOR_MAXIMUM
    assert expression["values"]["maxItems"] == SELECTOR_VALUES_MAXIMUM


def test_every_list_and_map_of_the_custom_resource_that_is_written_by_users_has_a_bound() -> None:
    (version,) = yaml.safe_load(CRD.read_text())["spec"]["versions"]

    def unbounded(schema: Any, path: str) -> list[str]:
        found = [path] if schema.get("type") == "array" and "maxItems" not in schema else []
        if "additionalProperties" in schema and "maxProperties" not in schema:
            found.append(path)
        for name, one in schema.get("properties", {}).items():
            found += unbounded(one, f"{path}.{name}")
        return found + (unbounded(schema["items"], f"{path}[]") if "items" in schema else [])

    assert unbounded(version["schema"]["openAPIV3Schema"]["properties"]["spec"], "spec") == []
