"""EgressQoS objects of ovn-kubernetes: their rules, warnings and errors."""

from __future__ import annotations

import pytest
from netaddr import IPNetwork

from ovnqos.errors import InvalidObject
from ovnqos.model.labels import EVERYTHING, LabelSelector
from ovnqos.sources.egress_qos import EgressQoS, EgressQoSRule, parse_egress_qos
from tests.support import invalid_documents as cases
from tests.support.invalid_documents import EGRESS_QOS_OBJECT, outline, with_value


def test_an_object_keeps_its_rules_in_order() -> None:
    egress_qos = parse_egress_qos(EGRESS_QOS_OBJECT)
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
    assert parse_egress_qos(with_value(EGRESS_QOS_OBJECT, "metadata", {"name": "default"})).namespace == "default"


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("spec.egress.1.dstCIDR", "10.1.2.3/8", "warning HostBits spec.egress[1].dstCIDR"),
        ("spec.egress", [], "warning NoEffect spec.egress"),
        ("spec.egress.1", {"dscp": 30, "dstCidr": "10.0.0.0/8"}, "warning UnknownField spec.egress[1].dstCidr"),
    ],
)
def test_what_is_odd_is_a_warning(path: str, value: object, expected: str) -> None:
    parsed = parse_egress_qos(with_value(EGRESS_QOS_OBJECT, path, value))
    assert outline(parsed.diagnostics) == [expected]


@pytest.mark.parametrize(("path", "value", "expected"), cases.EGRESS_QOS)
def test_a_wrong_field_is_an_error_at_its_path(path: str, value: object, expected: str) -> None:
    with pytest.raises(InvalidObject) as raised:
        parse_egress_qos(with_value(EGRESS_QOS_OBJECT, path, value), origin="qos.yaml")
    assert outline(raised.value.diagnostics) == [expected]
    assert (raised.value.object.kind, raised.value.object.origin) == ("EgressQoS", "qos.yaml")


def test_all_errors_are_said_at_once() -> None:
    document = with_value(EGRESS_QOS_OBJECT, "spec.egress", [{"dscp": -1}, {"dscp": 1, "dstCIDR": "x"}])
    with pytest.raises(InvalidObject) as raised:
        parse_egress_qos(document)
    assert [one.path for one in raised.value.diagnostics] == ["spec.egress[0].dscp", "spec.egress[1].dstCIDR"]


def test_the_most_rules_that_ovn_kubernetes_takes_are_taken() -> None:
    assert len(parse_egress_qos(with_value(EGRESS_QOS_OBJECT, "spec.egress", [{"dscp": 1}] * 1000)).rules) == 1000
