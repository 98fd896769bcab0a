"""EgressQoS objects of ovn-kubernetes: their rules, warnings and faults."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from netaddr import IPNetwork

from ovnqos.errors import InvalidObject
from ovnqos.model.labels import EVERYTHING, LabelSelector
from ovnqos.sources.egress_qos import EgressQoS, EgressQoSRule, parse_egress_qos

VALID: dict[str, Any] = {
    "apiVersion": "k8s.ovn.org/v1",
    "kind": "EgressQoS",
    "metadata": {"name": "default", "namespace": "calls"},
    "spec": {
        "egress": [
            {"dscp": 46, "dstCIDR": "203.0.113.0/24", "podSelector": {"matchLabels": {"app": "voice"}}},
            {"dscp": 30, "dstCIDR": "2001:db8::/32"},
            {"dscp": 0},
        ]
    },
    "status": {"status": "EgressQoS Rules applied"},
}


def spoiled(path: str, value: object) -> dict[str, Any]:
    document = copy.deepcopy(VALID)
    target: Any = document
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in parents:
        target = target[part]
    target[last] = value
    return document


def test_an_object_keeps_its_rules_in_order() -> None:
    egress_qos = parse_egress_qos(VALID)
    assert egress_qos == EgressQoS(
        namespace="calls",
        name="default",
        rules=(
            EgressQoSRule(
                dscp=46,
                destination=IPNetwork("203.0.113.0/24"),
                pod_selector=LabelSelector.from_labels({"app": "voice"}),
            ),
            EgressQoSRule(dscp=30, destination=IPNetwork("2001:db8::/32"), pod_selector=EVERYTHING),
            EgressQoSRule(dscp=0, destination=None, pod_selector=EVERYTHING),
        ),
    )
    assert egress_qos.key == "calls/default"
    assert egress_qos.diagnostics == ()


def test_an_object_without_namespace_is_of_the_default_one() -> None:
    assert parse_egress_qos(spoiled("metadata", {"name": "default"})).namespace == "default"


@pytest.mark.parametrize(
    ("path", "value", "warning"),
    [
        (
            "spec.egress.1.dstCIDR",
            "10.1.2.3/8",
            "spec.egress[1].dstCIDR: 10.1.2.3/8 has bits set after its prefix; read as 10.0.0.0/8",
        ),
        ("spec.egress", [], "spec.egress: no rules, so the object does nothing; add a rule or delete the object"),
        (
            "spec.egress.1",
            {"dscp": 30, "dstCidr": "10.0.0.0/8"},
            "spec.egress[1].dstCidr: unknown field, ignored; did you mean dstCIDR?",
        ),
    ],
)
def test_what_is_odd_is_warned_of(path: str, value: object, warning: str) -> None:
    parsed = parse_egress_qos(spoiled(path, value))
    assert [one.message for one in parsed.diagnostics] == [warning]


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        (
            "apiVersion",
            "k8s.ovn.org/v1alpha1",
            'apiVersion: "k8s.ovn.org/v1alpha1" is not read here; use k8s.ovn.org/v1',
        ),
        ("kind", "NetworkQoS", 'kind: "NetworkQoS" is not EgressQoS'),
        (
            "metadata.name",
            "voice",
            'metadata.name: "voice" is passed over by ovn-kubernetes, which reads one EgressQoS of each namespace; '
            "name it default, or leave it out",
        ),
        ("metadata.name", None, "metadata.name: missing; name the object"),
        ("spec", None, "spec: missing; give egress"),
        ("spec.egress", None, "spec.egress: missing; give a list of 1 to 1000 rules"),
        ("spec.egress", {}, "spec.egress: must be a list, not a mapping"),
        ("spec.egress", [{"dscp": 1}] * 1001, "spec.egress: 1001 rules are too many; ovn-kubernetes takes 1000"),
        ("spec.egress.0.dscp", 64, "spec.egress[0].dscp: 64 is not a DSCP; use a whole number from 0 to 63"),
        ("spec.egress.0.dscp", None, "spec.egress[0].dscp: missing; give a whole number from 0 to 63"),
        (
            "spec.egress.0.dstCIDR",
            "203.0.113.1",
            "spec.egress[0].dstCIDR: 203.0.113.1 has no prefix length; write 203.0.113.1/32 for this one address",
        ),
        (
            "spec.egress.0.dstCIDR",
            "",
            'spec.egress[0].dstCIDR: "" is not a CIDR; write it like 10.0.0.0/8 or 2001:db8::/32',
        ),
        (
            "spec.egress.0.podSelector",
            "app=voice",
            'spec.egress[0].podSelector: must be a mapping, not the string "app=voice"',
        ),
    ],
)
def test_each_fault_is_told_at_its_path(path: str, value: object, fault: str) -> None:
    with pytest.raises(InvalidObject) as raised:
        parse_egress_qos(spoiled(path, value), origin="qos.yaml")
    assert [one.message for one in raised.value.diagnostics] == [fault]
    assert raised.value.object.kind == "EgressQoS"
    assert raised.value.object.origin == "qos.yaml"


def test_all_faults_are_told_at_once() -> None:
    document = spoiled("spec.egress", [{"dscp": -1}, {"dscp": 1, "dstCIDR": "x"}])
    with pytest.raises(InvalidObject) as raised:
        parse_egress_qos(document)
    assert [one.path for one in raised.value.diagnostics] == ["spec.egress[0].dscp", "spec.egress[1].dstCIDR"]


def test_the_most_rules_that_ovn_kubernetes_takes_are_taken() -> None:
    assert len(parse_egress_qos(spoiled("spec.egress", [{"dscp": 1}] * 1000)).rules) == 1000
