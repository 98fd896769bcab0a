"""Every error of a NetworkQoS: its code and its path."""

from __future__ import annotations

import pytest

from ovnqos.diagnostics import ObjectRef
from ovnqos.errors import InvalidObject
from ovnqos.sources import parse_policy
from tests.support import invalid_documents as cases
from tests.support.invalid_documents import ABSENT, POLICY, outline, policy_with_block, with_value

RULE = "spec.egress[0]"
BLOCK = f"{RULE}.classifier.to[0].ipBlock"


def errors_of(document: object) -> list[str]:
    with pytest.raises(InvalidObject) as raised:
        parse_policy(document)
    return outline(raised.value.diagnostics)


def test_the_object_that_the_cases_spoil_is_valid_and_draws_no_warning() -> None:
    assert parse_policy(POLICY).diagnostics == ()


@pytest.mark.parametrize(("path", "value", "expected"), cases.NETWORK_QOS)
def test_a_wrong_field_is_an_error_at_its_path(path: str, value: object, expected: str) -> None:
    assert errors_of(with_value(POLICY, path, value)) == [expected]


@pytest.mark.parametrize("cidr", cases.CIDRS)
def test_a_cidr_is_read_as_kubernetes_reads_it_and_nothing_else(cidr: str) -> None:
    assert errors_of(policy_with_block({"cidr": cidr})) == [f"error InvalidField {BLOCK}.cidr"]
    excepted = policy_with_block({"cidr": "10.0.0.0/8", "except": ["10.2.0.0/16", cidr]})
    assert errors_of(excepted) == [f"error InvalidField {BLOCK}.except[1]"]


@pytest.mark.parametrize("exception", cases.EXCEPTIONS)
def test_an_exception_must_lie_inside_its_cidr(exception: object) -> None:
    document = policy_with_block({"cidr": "10.0.0.0/8", "except": [exception]})
    assert errors_of(document) == [f"error InvalidField {BLOCK}.except[0]"]


def test_an_ip_block_needs_its_cidr() -> None:
    assert errors_of(policy_with_block({"except": []})) == [f"error MissingField {BLOCK}.cidr"]


def test_all_errors_of_an_object_are_said_at_once() -> None:
    document = with_value(POLICY, "spec.priority", 1000)
    document["spec"]["egress"] += [{"dscp": 64}, {"dscp": 1, "classifier": {"ports": [{"port": 70000}]}}]
    assert errors_of(document) == [
        "error InvalidField spec.priority",
        "error InvalidField spec.egress[1].dscp",
        "error InvalidField spec.egress[2].classifier.ports[0].port",
    ]


def test_an_error_comes_with_the_warnings_that_may_explain_it() -> None:
    document = with_value(with_value(POLICY, "spec.egress", ABSENT), "spec.egres", [])
    with pytest.raises(InvalidObject) as raised:
        parse_policy(document)
    assert outline(raised.value.diagnostics) == ["error MissingField spec.egress"]
    assert outline(raised.value.warnings) == ["warning UnknownField spec.egres"]


def test_the_error_names_the_object_its_file_and_its_identity() -> None:
    with pytest.raises(InvalidObject) as raised:
        parse_policy(with_value(POLICY, "spec.priority", 101), origin="voice.yaml")
    error = raised.value
    assert str(error).startswith("NetworkQoS calls/voice (voice.yaml): spec.priority: 101 ")
    assert error.object == ObjectRef(kind="NetworkQoS", namespace="calls", name="voice", origin="voice.yaml")


def test_an_object_without_a_usable_name_is_named_by_kind_and_file() -> None:
    with pytest.raises(InvalidObject) as raised:
        parse_policy(with_value(POLICY, "metadata.name", "x y"), origin="voice.yaml")
    assert str(raised.value.object) == "NetworkQoS (voice.yaml)"
    assert raised.value.object.name == ""


@pytest.mark.parametrize("document", [None, [], "x", 3])
def test_what_is_no_mapping_is_no_policy(document: object) -> None:
    with pytest.raises(InvalidObject, match="must be a mapping"):
        parse_policy(document)


def test_no_message_spans_two_lines_whatever_an_object_holds() -> None:
    document = with_value(POLICY, "spec.egress.0.dscp", "a\nb\x1b[31m")
    document["spec"]["podSelector"] = {"matchLabels": {"a\nb": "c\nd"}}
    document["metadata"]["name"] = "x\ny"
    with pytest.raises(InvalidObject) as raised:
        parse_policy(document)
    assert all(str(one).isprintable() for one in raised.value.diagnostics)
