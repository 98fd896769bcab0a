"""Every fault of a NetworkQoS: at which path, and in which words."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ovnqos.diagnostics import ObjectRef
from ovnqos.errors import InvalidObject
from ovnqos.sources import parse_policy

VALID: dict[str, Any] = {
    "apiVersion": "k8s.ovn.org/v1alpha1",
    "kind": "NetworkQoS",
    "metadata": {"name": "voice", "namespace": "calls"},
    "spec": {
        "priority": 10,
        "podSelector": {},
        "egress": [
            {
                "dscp": 46,
                "bandwidth": {"rate": 20000, "burst": 20000},
                "classifier": {
                    "to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}],
                    "from": [{"ipBlock": {"cidr": "10.245.0.0/16"}}],
                    "ports": [{"protocol": "TCP", "port": 80}],
                },
            }
        ],
    },
}
ABSENT = object()
RULE = "spec.egress[0]"
BLOCK = f"{RULE}.classifier.to[0].ipBlock"


def with_value(path: str, value: object) -> dict[str, Any]:
    """The valid object with one field set, or removed; the path is dotted, with indexes as parts of their own."""
    document = copy.deepcopy(VALID)
    target: Any = document
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in parents:
        target = target.setdefault(part, {}) if isinstance(target, dict) else target[part]
    if value is ABSENT:
        del target[last]
    else:
        target[last] = value
    return document


def faults_of(document: object) -> list[str]:
    with pytest.raises(InvalidObject) as raised:
        parse_policy(document)
    return [one.message for one in raised.value.diagnostics]


def test_the_object_that_the_cases_spoil_is_valid_and_draws_no_warning() -> None:
    assert parse_policy(VALID).diagnostics == ()


TYPES = (
    "DefaultNetwork, NetworkAttachmentDefinitions, SecondaryUserDefinedNetworks, PrimaryUserDefinedNetworks or "
    "ClusterUserDefinedNetworks"
)
NAME = (
    "is not a DNS name; use at most 253 lower-case letters, digits, - and ., with a letter or digit at both ends of "
    "each part"
)
NAD_TYPE = "NetworkAttachmentDefinitions"
DSCP = "use a whole number from 0 to 63"
RATE = "use a whole number from 1 to 4294967295"


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("apiVersion", ABSENT, "apiVersion: missing; use k8s.ovn.org/v1alpha1"),
        ("apiVersion", "k8s.ovn.org/v1", 'apiVersion: "k8s.ovn.org/v1" is not read here; use k8s.ovn.org/v1alpha1'),
        ("kind", "Pod", 'kind: "Pod" is not NetworkQoS'),
        ("kind", ABSENT, "kind: missing; use NetworkQoS"),
        ("metadata", ABSENT, "metadata.name: missing; name the object"),
        ("metadata", "x", 'metadata: must be a mapping, not the string "x"'),
        ("metadata.name", ABSENT, "metadata.name: missing; name the object"),
        ("metadata.name", "Voice", f'metadata.name: "Voice" {NAME}'),
        ("metadata.name", "a\nb", f'metadata.name: "a\\nb" {NAME}'),
        (
            "metadata.namespace",
            "a.b",
            'metadata.namespace: "a.b" is not a DNS label; use at most 63 lower-case letters, digits and -, with a '
            "letter or digit at both ends",
        ),
        (
            "metadata.labels",
            {"x": True},
            'metadata.labels.x: must be a string, but reads as the boolean true; quote it: "true" or "yes", as it '
            "was meant",
        ),
        (
            "metadata.annotations",
            {"ovnqos.io/bandwidth-scope": "Pod"},
            'metadata.annotations[ovnqos.io/bandwidth-scope]: "Pod" is not a scope; use pod (each pod gets the rate) '
            "or policy (they share it)",
        ),
        ("spec", ABSENT, "spec: missing; give priority and egress"),
        ("spec", [], "spec: must be a mapping, not a list"),
        ("spec.priority", ABSENT, "spec.priority: missing; give a whole number from 0 to 100"),
        ("spec.priority", 101, "spec.priority: 101 is not a priority; use a whole number from 0 to 100"),
        ("spec.priority", -1, "spec.priority: -1 is not a priority; use a whole number from 0 to 100"),
        ("spec.podSelector", "app=web", 'spec.podSelector: must be a mapping, not the string "app=web"'),
        ("spec.egress", ABSENT, "spec.egress: missing; give a list of 1 to 20 rules"),
        ("spec.egress", None, "spec.egress: missing; give a list of 1 to 20 rules"),
        ("spec.egress", {}, "spec.egress: must be a list, not a mapping"),
        (
            "spec.egress",
            [{"dscp": 1}] * 21,
            "spec.egress: 21 rules are too many; keep 20, the rest in another object",
        ),
        ("spec.egress.0", None, f"{RULE}: must be a mapping, not null"),
        ("spec.egress.0.dscp", ABSENT, f"{RULE}.dscp: missing; give a whole number from 0 to 63"),
        ("spec.egress.0.dscp", None, f"{RULE}.dscp: missing; give a whole number from 0 to 63"),
        ("spec.egress.0.dscp", 64, f"{RULE}.dscp: 64 is not a DSCP; {DSCP}"),
        ("spec.egress.0.dscp", "20", f'{RULE}.dscp: "20" is not a DSCP; {DSCP}, without quotes'),
        ("spec.egress.0.dscp", "EF", f'{RULE}.dscp: "EF" is not a DSCP; {DSCP}'),
        ("spec.egress.0.dscp", True, f"{RULE}.dscp: true is not a DSCP; {DSCP}"),
        ("spec.egress.0.dscp", 20.0, f"{RULE}.dscp: 20.0 is not a DSCP; {DSCP}"),
        ("spec.egress.0.bandwidth", 5, f"{RULE}.bandwidth: must be a mapping, not the number 5"),
        ("spec.egress.0.bandwidth.rate", 0, f"{RULE}.bandwidth.rate: 0 is not a rate in kbps; {RATE}"),
        (
            "spec.egress.0.bandwidth.rate",
            4294967296,
            f"{RULE}.bandwidth.rate: 4294967296 is not a rate in kbps; {RATE}",
        ),
        ("spec.egress.0.bandwidth.burst", 0, f"{RULE}.bandwidth.burst: 0 is not a burst in kbit; {RATE}"),
        (
            "spec.egress.0.bandwidth.rate",
            ABSENT,
            f"{RULE}.bandwidth.burst: does nothing without a rate; add bandwidth.rate, or remove burst",
        ),
        ("spec.egress.0.classifier", [], f"{RULE}.classifier: must be a mapping, not a list"),
        ("spec.egress.0.classifier.to", {}, f"{RULE}.classifier.to: must be a list, not a mapping"),
        (
            "spec.egress.0.classifier.to.0.podSelector",
            {},
            f"{RULE}.classifier.to[0]: ipBlock and podSelector exclude each other; make two entries of them",
        ),
        (
            "spec.egress.0.classifier.to.0.namespaceSelector",
            {},
            f"{RULE}.classifier.to[0]: ipBlock and namespaceSelector exclude each other; make two entries of them",
        ),
        (
            "spec.egress.0.classifier.from.0",
            {"podSelector": {}},
            f"{RULE}.classifier.from[0].podSelector: from takes an ipBlock only; the source pods are chosen by "
            "spec.podSelector",
        ),
        (
            "spec.egress.0.classifier.ports.0.protocol",
            "ICMP",
            f'{RULE}.classifier.ports[0].protocol: "ICMP" is not a protocol with ports; use TCP, UDP or SCTP',
        ),
        (
            "spec.egress.0.classifier.ports.0.protocol",
            "tcp",
            f'{RULE}.classifier.ports[0].protocol: "tcp" is spelt in capitals; write TCP',
        ),
        (
            "spec.egress.0.classifier.ports.0.port",
            0,
            f"{RULE}.classifier.ports[0].port: 0 is not a port; use a whole number from 1 to 65535",
        ),
        (
            "spec.egress.0.classifier.ports.0.port",
            "https",
            f'{RULE}.classifier.ports[0].port: "https" is not a port; use a whole number from 1 to 65535',
        ),
        (
            "spec.networkSelectors",
            [{}],
            f"spec.networkSelectors[0].networkSelectionType: missing; use {TYPES}",
        ),
        (
            "spec.networkSelectors",
            [{"networkSelectionType": "NAD"}],
            f'spec.networkSelectors[0].networkSelectionType: "NAD" is no such type; use {TYPES}',
        ),
        (
            "spec.networkSelectors",
            [{"networkSelectionType": NAD_TYPE}],
            "spec.networkSelectors[0].networkAttachmentDefinitionSelector: missing; networkSelectionType "
            "NetworkAttachmentDefinitions needs it",
        ),
        (
            "spec.networkSelectors",
            [
                {
                    "networkSelectionType": NAD_TYPE,
                    "networkAttachmentDefinitionSelector": {"namespaceSelector": {}},
                }
            ],
            "spec.networkSelectors[0].networkAttachmentDefinitionSelector.networkSelector: missing; give a label "
            "selector; {} selects all",
        ),
        (
            "spec.networkSelectors",
            [{"networkSelectionType": "DefaultNetwork", "clusterUserDefinedNetworkSelector": {"networkSelector": {}}}],
            "spec.networkSelectors[0].clusterUserDefinedNetworkSelector: goes with networkSelectionType "
            "ClusterUserDefinedNetworks, but the type is DefaultNetwork; remove it or change the type",
        ),
    ],
)
def test_a_wrong_field_is_told_with_its_path_and_what_would_be_right(path: str, value: object, fault: str) -> None:
    assert faults_of(with_value(path, value)) == [fault]


PREFIX_32 = "use a whole number from 0 to 32 after the slash"


@pytest.mark.parametrize(
    ("cidr", "message"),
    [
        ("10.0.0.1", "10.0.0.1 has no prefix length; write 10.0.0.1/32 for this one address"),
        ("2001:db8::1", "2001:db8::1 has no prefix length; write 2001:db8::1/128 for this one address"),
        ("10/8", '"10/8" is abbreviated; write all four numbers: 10.0.0.0/8'),
        ("10.1", '"10.1" is abbreviated; write all four numbers: 10.1.0.0/16'),
        ("10.0.0.0/33", f'"10.0.0.0/33" has a wrong prefix length; {PREFIX_32}'),
        ("10.0.0.0/-1", f'"10.0.0.0/-1" has a wrong prefix length; {PREFIX_32}'),
        ("10.0.0.0/", f'"10.0.0.0/" has a wrong prefix length; {PREFIX_32}'),
        ("10.0.0.0/08", f'"10.0.0.0/08" has a wrong prefix length; {PREFIX_32}'),
        ("10.0.0.0/255.0.0.0", f'"10.0.0.0/255.0.0.0" has a wrong prefix length; {PREFIX_32}'),
        ("::/129", '"::/129" has a wrong prefix length; use a whole number from 0 to 128 after the slash'),
        (
            "010.0.0.0/8",
            '"010.0.0.0/8" has a number with a leading zero, which could be meant as octal; write it without',
        ),
        ("fe80::1%eth0/64", '"fe80::1%eth0/64" names a zone (%...), which no CIDR can; leave it out'),
        (
            "::ffff:1.2.3.4/120",
            "::ffff:1.2.3.4/120 is IPv4 written as IPv6; write 1.2.3.4 with an IPv4 prefix length (0 to 32)",
        ),
        (" 10.0.0.0/8", '" 10.0.0.0/8" has spaces around it; remove them'),
        ("", '"" is not a CIDR; write it like 10.0.0.0/8 or 2001:db8::/32'),
        ("10.0.0.0/8 || 1", f'"10.0.0.0/8 || 1" has a wrong prefix length; {PREFIX_32}'),
        ("example.org/24", '"example.org/24" is not a CIDR; write it like 10.0.0.0/8 or 2001:db8::/32'),
        ("\u0661\u0660.0.0.0/8", r'"\u0661\u0660.0.0.0/8" is not a CIDR; write it like 10.0.0.0/8 or 2001:db8::/32'),
    ],
)
@pytest.mark.parametrize("field", ["cidr", "except"])
def test_a_cidr_is_read_as_kubernetes_reads_it_and_nothing_else(cidr: str, message: str, field: str) -> None:
    if field == "cidr":
        document = with_value("spec.egress.0.classifier.to.0.ipBlock", {"cidr": cidr})
        assert faults_of(document) == [f"{BLOCK}.cidr: {message}"]
    else:
        document = with_value("spec.egress.0.classifier.to.0.ipBlock.except", ["10.2.0.0/16", cidr])
        assert faults_of(document) == [f"{BLOCK}.except[1]: {message}"]


@pytest.mark.parametrize(
    ("exception", "message"),
    [
        ("11.0.0.0/8", "11.0.0.0/8 does not lie inside the cidr 10.0.0.0/8; leave it out or widen the cidr"),
        ("0.0.0.0/0", "0.0.0.0/0 does not lie inside the cidr 10.0.0.0/8; leave it out or widen the cidr"),
        (
            "2001:db8::/32",
            "2001:db8::/32 is IPv6, but the cidr 10.0.0.0/8 is IPv4; write one ipBlock for each family",
        ),
        (7, 'must be a string, but reads as the number 7; quote it, e.g. "7"'),
        (None, "must be a string, not null"),
    ],
)
def test_an_exception_must_lie_inside_its_cidr(exception: object, message: str) -> None:
    document = with_value("spec.egress.0.classifier.to.0.ipBlock.except", [exception])
    assert faults_of(document) == [f"{BLOCK}.except[0]: {message}"]


def test_an_ip_block_needs_its_cidr() -> None:
    document = with_value("spec.egress.0.classifier.from.0.ipBlock", {"except": []})
    right = "give one like 10.0.0.0/8 or 2001:db8::/32"
    assert faults_of(document) == [f"{RULE}.classifier.from[0].ipBlock.cidr: missing; {right}"]


def test_all_faults_of_an_object_are_told_at_once() -> None:
    document = with_value("spec.priority", 1000)
    document["spec"]["egress"] += [{"dscp": 64}, {"dscp": 1, "classifier": {"ports": [{"port": 70000}]}}]
    assert [fault.partition(":")[0] for fault in faults_of(document)] == [
        "spec.priority",
        "spec.egress[1].dscp",
        "spec.egress[2].classifier.ports[0].port",
    ]


def test_the_error_names_the_object_its_file_and_its_identity() -> None:
    with pytest.raises(InvalidObject) as raised:
        parse_policy(with_value("spec.priority", 101), origin="voice.yaml")
    error = raised.value
    assert str(error) == (
        "NetworkQoS calls/voice (voice.yaml): spec.priority: 101 is not a priority; use a whole number from 0 to 100"
    )
    assert error.object == ObjectRef(kind="NetworkQoS", namespace="calls", name="voice", origin="voice.yaml")


def test_an_object_without_a_usable_name_is_named_by_kind_and_file() -> None:
    with pytest.raises(InvalidObject) as raised:
        parse_policy(with_value("metadata.name", "x y"), origin="voice.yaml")
    assert str(raised.value.object) == "NetworkQoS (voice.yaml)"
    assert raised.value.object.name == ""


@pytest.mark.parametrize("document", [None, [], "x", 3])
def test_what_is_no_mapping_is_no_policy(document: object) -> None:
    with pytest.raises(InvalidObject, match="must be a mapping"):
        parse_policy(document)


def test_no_fault_spans_two_lines_whatever_an_object_holds() -> None:
    document = with_value("spec.egress.0.dscp", "a\nb\x1b[31m")
    document["spec"]["podSelector"] = {"matchLabels": {"a\nb": "c\nd"}}
    document["metadata"]["name"] = "x\ny"
    for fault in faults_of(document):
        assert fault.isprintable()
