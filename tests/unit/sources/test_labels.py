"""Errors of label selectors."""

from __future__ import annotations

from typing import Any

import pytest

from ovnqos.errors import InvalidObject
from ovnqos.sources import parse_policy
from ovnqos.sources.rules import parse_label_selector
from tests.support import invalid_documents as cases
from tests.support.invalid_documents import outline


def errors_of(selector: object) -> list[str]:
    document: dict[str, Any] = {
        "apiVersion": "k8s.ovn.org/v1alpha1",
        "kind": "NetworkQoS",
        "metadata": {"name": "voice"},
        "spec": {"priority": 0, "egress": [{"dscp": 0}], "podSelector": selector},
    }
    try:
        parse_policy(document)
    except InvalidObject as error:
        return outline(error.diagnostics)
    return []


@pytest.mark.parametrize(("expression", "expected"), cases.EXPRESSIONS)
def test_a_wrong_expression_is_an_error(expression: object, expected: str) -> None:
    assert errors_of({"matchExpressions": [expression]}) == [expected]


@pytest.mark.parametrize("key", ["a", "A.b_c-9", "x" * 63, "example.com/a", "a.b-c.d/E", f"{'x.' * 126}y/{'z' * 63}"])
def test_keys_that_kubernetes_takes_are_taken(key: str) -> None:
    assert errors_of({"matchLabels": {key: "v"}}) == []


@pytest.mark.parametrize("key", ["", "-a", "a-", "x" * 64, "/a", "a/", "Example.com/a", "a b", "a\n", "é", "a..b/c"])
def test_keys_that_kubernetes_refuses_are_errors(key: str) -> None:
    (error,) = errors_of({"matchLabels": {key: "v"}})
    assert error.startswith("error InvalidField spec.podSelector.matchLabels")


@pytest.mark.parametrize("value", ["", "1", "a.b_c-D", "x" * 63])
def test_values_that_kubernetes_takes_are_taken(value: str) -> None:
    assert errors_of({"matchLabels": {"app.kubernetes.io/name": value}}) == []


@pytest.mark.parametrize("value", ["-a", "a-", "x" * 64, "a/b", "a b", "a\n", "é"])
def test_values_that_kubernetes_refuses_are_errors(value: str) -> None:
    errors = errors_of({"matchLabels": {"app.kubernetes.io/name": value}})
    assert errors == ["error InvalidField spec.podSelector.matchLabels[app.kubernetes.io/name]"]


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("app=web", "app=web"),
        (" app == web , tier!=x", "app=web,tier notin (x)"),
        ("a in (x, y),b notin(z)", "a in (x,y),b notin (z)"),
        ("example.org/a,!b", "!b,example.org/a"),
        ("a=", "a="),
    ],
)
def test_a_selector_is_read_as_kubectl_reads_it(text: str, canonical: str) -> None:
    assert str(parse_label_selector(text)) == canonical


@pytest.mark.parametrize("text", ["", ",", "a=b,", "a=b c=d", "a in x", "a in (x", "=a", "a>1", "-a=b", "a=-b"])
def test_what_is_no_selector_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"label|must|character"):
        parse_label_selector(text)
