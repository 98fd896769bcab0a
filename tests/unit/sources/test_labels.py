"""Faults of label selectors."""

from __future__ import annotations

from typing import Any

import pytest

from ovnqos.errors import InvalidObject
from ovnqos.sources import parse_policy

EXPRESSION = "spec.podSelector.matchExpressions[0]"
OPERATORS = "use In, NotIn, Exists or DoesNotExist"
KEY = (
    "is not a label key; use at most 63 letters, digits, -, _ and ., with a letter or digit at both ends, and before "
    "it, if need be, a DNS name and /"
)
VALUE = (
    "is not a label value; use at most 63 letters, digits, -, _ and ., with a letter or digit at both ends, or an "
    "empty string"
)


def faults_of(selector: object) -> list[str]:
    document: dict[str, Any] = {
        "apiVersion": "k8s.ovn.org/v1alpha1",
        "kind": "NetworkQoS",
        "metadata": {"name": "voice"},
        "spec": {"priority": 0, "egress": [{"dscp": 0}], "podSelector": selector},
    }
    try:
        parse_policy(document)
    except InvalidObject as error:
        return [one.message for one in error.diagnostics]
    return []


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        (
            {"key": "a", "operator": "In", "values": []},
            f"{EXPRESSION}.values: missing; operator In needs at least one value",
        ),
        ({"key": "a", "operator": "NotIn"}, f"{EXPRESSION}.values: missing; operator NotIn needs at least one value"),
        (
            {"key": "a", "operator": "Exists", "values": ["b"]},
            f"{EXPRESSION}.values: operator Exists takes no values; remove them, or use In or NotIn",
        ),
        (
            {"key": "a", "operator": "DoesNotExist", "values": ["b"]},
            f"{EXPRESSION}.values: operator DoesNotExist takes no values; remove them, or use In or NotIn",
        ),
        (
            {"key": "a", "operator": "in", "values": ["b"]},
            f'{EXPRESSION}.operator: "in" is not an operator; {OPERATORS}; did you mean In?',
        ),
        ({"key": "a", "operator": "Equals"}, f'{EXPRESSION}.operator: "Equals" is not an operator; {OPERATORS}'),
        ({"key": "a"}, f"{EXPRESSION}.operator: missing; {OPERATORS}"),
        ({"operator": "Exists"}, f"{EXPRESSION}.key: missing; name the label"),
        ({"key": "a/b/c", "operator": "Exists"}, f'{EXPRESSION}.key: "a/b/c" {KEY}'),
        ({"key": "a", "operator": "In", "values": ["b", "c d"]}, f'{EXPRESSION}.values[1]: "c d" {VALUE}'),
        ({"key": "a", "operator": "In", "values": "b"}, f'{EXPRESSION}.values: must be a list, not the string "b"'),
        (
            {"key": "a", "operator": "In", "values": ["b", 1]},
            f'{EXPRESSION}.values[1]: must be a string, but reads as the number 1; quote it, e.g. "1"',
        ),
        ("a=b", f'{EXPRESSION}: must be a mapping, not the string "a=b"'),
    ],
)
def test_a_wrong_expression_is_told(expression: object, fault: str) -> None:
    assert faults_of({"matchExpressions": [expression]}) == [fault]


@pytest.mark.parametrize("key", ["a", "A.b_c-9", "x" * 63, "example.com/a", "a.b-c.d/E", f"{'x.' * 126}y/{'z' * 63}"])
def test_keys_that_kubernetes_takes_are_taken(key: str) -> None:
    assert faults_of({"matchLabels": {key: "v"}}) == []


@pytest.mark.parametrize("key", ["", "-a", "a-", "x" * 64, "/a", "a/", "Example.com/a", "a b", "a\n", "é", "a..b/c"])
def test_keys_that_kubernetes_refuses_are_faults(key: str) -> None:
    (fault,) = faults_of({"matchLabels": {key: "v"}})
    assert fault.startswith("spec.podSelector.matchLabels")
    assert fault.endswith(KEY)


@pytest.mark.parametrize("value", ["", "1", "a.b_c-D", "x" * 63])
def test_values_that_kubernetes_takes_are_taken(value: str) -> None:
    assert faults_of({"matchLabels": {"app.kubernetes.io/name": value}}) == []


@pytest.mark.parametrize("value", ["-a", "a-", "x" * 64, "a/b", "a b", "a\n", "é"])
def test_values_that_kubernetes_refuses_are_faults(value: str) -> None:
    (fault,) = faults_of({"matchLabels": {"app.kubernetes.io/name": value}})
    assert fault.startswith("spec.podSelector.matchLabels[app.kubernetes.io/name]: ")
    assert fault.endswith(VALUE)
