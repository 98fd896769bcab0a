"""Whatever a document holds, parsing ends in the model or in our own error; valid policies keep their meaning."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from netaddr import IPNetwork

from ovnqos.diagnostics import Diagnostic, Severity
from ovnqos.errors import InvalidObject, OvnQosError
from ovnqos.model.labels import LabelSelector, Operator, Requirement
from ovnqos.model.networks import NetworkAttachmentDefinition, NetworkSelectionType, NetworkSelector
from ovnqos.model.policy import (
    Bandwidth,
    BandwidthScope,
    Classifier,
    IPBlock,
    NetworkQoS,
    PodPeer,
    PortMatch,
    Protocol,
    Rule,
)
from ovnqos.sources import KINDS, load_manifests, parse_manifests, parse_object, parse_policy, read_documents
from ovnqos.sources.rules import parse_label_selector

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
WORDS = st.sampled_from(
    [
        "apiVersion",
        "kind",
        "metadata",
        "name",
        "namespace",
        "labels",
        "annotations",
        "spec",
        "status",
        "config",
        "items",
        "priority",
        "egress",
        "dscp",
        "bandwidth",
        "rate",
        "burst",
        "classifier",
        "to",
        "from",
        "ports",
        "protocol",
        "port",
        "ipBlock",
        "cidr",
        "except",
        "podSelector",
        "namespaceSelector",
        "matchLabels",
        "matchExpressions",
        "operator",
        "key",
        "values",
        "networkSelectors",
        "networkSelectionType",
        "ownerReferences",
        "nodeName",
        "hostNetwork",
        "networkAttachmentDefinitionSelector",
        "networkSelector",
        "phase",
        "generation",
        "ovnqos.io/bandwidth-scope",
    ]
)
LIKELY = st.sampled_from(
    [
        "k8s.ovn.org/v1alpha1",
        "v1",
        "k8s.cni.cncf.io/v1",
        "List",
        "PodList",
        "10.0.0.0/8",
        "10.0.0.1",
        "::/0",
        "In",
        "a",
        "Exists",
        "TCP",
        "DefaultNetwork",
        '{"type": "ovn-k8s-cni-overlay"}',
        '{"plugins": [{}]}',
        *sorted(KINDS),
    ]
)
VALUES = st.recursive(
    SCALARS | LIKELY,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(max_size=8), inner, max_size=6),
    max_leaves=25,
)


def likely_fields(names: list[str], values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, values))


CLASSIFIERS = likely_fields(
    ["to", "from"],
    VALUES | st.lists(likely_fields(["ipBlock", "podSelector", "namespaceSelector"], VALUES), max_size=3),
)
RULES = st.fixed_dictionaries({}, optional={"dscp": VALUES, "bandwidth": VALUES, "classifier": VALUES | CLASSIFIERS})
DOCUMENTS = st.fixed_dictionaries(
    {"kind": LIKELY | SCALARS | st.sampled_from(sorted(KINDS))},
    optional={
        "apiVersion": LIKELY | VALUES,
        "metadata": VALUES | likely_fields(["name", "namespace", "labels", "annotations", "ownerReferences"], VALUES),
        "spec": VALUES
        | st.fixed_dictionaries(
            {}, optional={"priority": VALUES, "egress": VALUES | st.lists(RULES, max_size=3), "podSelector": VALUES}
        ),
        "status": VALUES,
        "items": VALUES,
    },
)


class QuotingDumper(yaml.SafeDumper):
    """PyYAML leaves strings such as `0e0` without quotes; it reads them as strings, but Kubernetes does not."""


QuotingDumper.add_representer(
    str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
)


def to_yaml(document: object) -> str:
    return str(yaml.dump(document, Dumper=QuotingDumper))


def check_error(error: InvalidObject) -> None:
    assert error.diagnostics
    assert all(one.severity is Severity.ERROR for one in error.diagnostics)
    check_warnings(error.warnings)
    for line in str(error).split("\n"):
        assert line.isprintable()


def check_warnings(warnings: tuple[Diagnostic, ...]) -> None:
    for one in warnings:
        assert one.severity is Severity.WARNING
        assert str(one).isprintable()


@given(DOCUMENTS)
@settings(max_examples=400, deadline=None)
def test_any_document_is_parsed_or_refused_in_printable_lines(document: dict[str, Any]) -> None:
    parsed = parse_object(document)
    if isinstance(parsed, InvalidObject):
        check_error(parsed)
    elif isinstance(parsed, (NetworkQoS, NetworkAttachmentDefinition)):
        check_warnings(parsed.diagnostics)


@given(VALUES)
@settings(deadline=None)
def test_anything_at_all_given_as_a_policy_is_refused(value: object) -> None:
    with pytest.raises(InvalidObject) as raised:
        parse_policy(value)
    check_error(raised.value)


@given(DOCUMENTS)
@settings(max_examples=200, deadline=None)
def test_yaml_and_json_of_a_document_load_alike(document: dict[str, Any]) -> None:
    try:
        as_json = json.dumps(document, allow_nan=False)
    except ValueError:
        return
    texts = [as_json, to_yaml(document)]
    outcomes = []
    for text in texts:
        manifests = load_manifests(["-"], stdin=io.StringIO(text))
        outcomes.append((manifests.policies, manifests.pods, len(manifests.invalid), manifests.ignored_kinds))
    assert outcomes[0] == outcomes[1]


PODS = st.fixed_dictionaries(
    {"kind": st.just("Pod"), "apiVersion": st.just("v1")},
    optional=dict.fromkeys(["metadata", "spec", "status"], VALUES),
)


@given(st.lists(DOCUMENTS | PODS, max_size=4), st.booleans())
@settings(max_examples=200, deadline=None)
def test_what_is_dropped_while_reading_means_nothing(documents: list[dict[str, Any]], is_list: bool) -> None:
    whole: Any = {"kind": "List", "apiVersion": "v1", "items": documents} if is_list else documents[:1] or [{}]
    try:
        texts = [json.dumps(one, allow_nan=False) for one in (whole if isinstance(whole, list) else [whole])]
    except ValueError:
        return
    for text in (texts[0], to_yaml(json.loads(texts[0]))):
        shortened = load_manifests(["-"], stdin=io.StringIO(text))
        complete = parse_manifests(read_documents(["-"], stdin=io.StringIO(text)))
        assert replace(shortened, invalid=()) == replace(complete, invalid=())
        assert [one.diagnostics for one in shortened.invalid] == [one.diagnostics for one in complete.invalid]


@given(st.text(alphabet=st.sampled_from("ab:- \n\t[]{}&*!|>'\"#,?%@0.<\x00é"), max_size=60) | st.text(max_size=60))
@settings(max_examples=400, deadline=None)
def test_any_text_loads_or_is_refused(text: str) -> None:
    with contextlib.suppress(OvnQosError):
        load_manifests(["-"], stdin=io.StringIO(text))


LABEL_NAMES = st.from_regex(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,8}[A-Za-z0-9])?", fullmatch=True).filter(str.isascii)
NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True).filter(str.isascii)
LABEL_KEYS = st.builds(lambda prefix, name: f"{prefix}/{name}" if prefix else name, st.just("") | NAMES, LABEL_NAMES)
LABEL_VALUES = st.just("") | LABEL_NAMES
VALUE_SETS = st.frozensets(LABEL_VALUES, min_size=1, max_size=3)
REQUIREMENTS = st.builds(
    Requirement, key=LABEL_KEYS, operator=st.sampled_from([Operator.IN, Operator.NOT_IN]), values=VALUE_SETS
) | st.builds(Requirement, key=LABEL_KEYS, operator=st.sampled_from([Operator.EXISTS, Operator.DOES_NOT_EXIST]))
SELECTORS = st.lists(REQUIREMENTS, max_size=3).map(LabelSelector.of)


@st.composite
def ip_blocks(draw: st.DrawFn) -> IPBlock:
    if draw(st.booleans()):
        version, bits = 4, 32
        address = draw(st.integers(0, 2**bits - 1))
    else:
        version, bits = 6, 128
        address = draw(st.integers(0, 2**bits - 1).filter(lambda number: number >> 32 != 0xFFFF))
    length = draw(st.integers(0, bits))
    cidr = IPNetwork((address, length), version=4 if version == 4 else 6).cidr
    excluded = []
    for _ in range(draw(st.integers(0, 2)) if version == 4 or cidr.prefixlen > 8 else 0):
        inner = cidr.first + draw(st.integers(0, cidr.size - 1))
        inner_length = draw(st.integers(cidr.prefixlen, bits))
        if version == 6 and inner >> 32 == 0xFFFF:
            continue  # IPv4-mapped, which is refused
        excluded.append(IPNetwork((inner, inner_length), version=4 if version == 4 else 6).cidr)
    return IPBlock(cidr=cidr, excluded=tuple(excluded))


@given(SELECTORS)
def test_a_selector_in_kubectls_words_reads_as_it_is_written(selector: LabelSelector) -> None:
    if selector.requirements:
        assert parse_label_selector(str(selector)) == selector


PEERS = st.builds(PodPeer, pod_selector=SELECTORS, namespace_selector=st.none() | SELECTORS) | st.builds(
    PodPeer, namespace_selector=SELECTORS
)
PORTS = st.builds(PortMatch, protocol=st.sampled_from(Protocol), port=st.none() | st.integers(1, 65535)) | st.builds(
    PortMatch, port=st.integers(1, 65535)
)


def non_empty(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | st.lists(values, min_size=1, max_size=3).map(tuple)


LIMITS = st.integers(1, 4294967295)
POLICY_RULES = st.builds(
    Rule,
    dscp=st.integers(0, 63),
    bandwidth=st.none() | st.builds(Bandwidth, rate_kbps=LIMITS, burst_kbit=st.none() | LIMITS),
    classifier=st.builds(
        Classifier, destinations=non_empty(ip_blocks() | PEERS), sources=non_empty(ip_blocks()), ports=non_empty(PORTS)
    ),
)
FIELDS = {
    NetworkSelectionType.NETWORK_ATTACHMENT_DEFINITIONS: "networkAttachmentDefinitionSelector",
    NetworkSelectionType.SECONDARY_USER_DEFINED_NETWORKS: "secondaryUserDefinedNetworkSelector",
    NetworkSelectionType.PRIMARY_USER_DEFINED_NETWORKS: "primaryUserDefinedNetworkSelector",
    NetworkSelectionType.CLUSTER_USER_DEFINED_NETWORKS: "clusterUserDefinedNetworkSelector",
}


def network_selector(kind: NetworkSelectionType, first: LabelSelector, second: LabelSelector) -> NetworkSelector:
    by_namespace = kind not in {
        NetworkSelectionType.DEFAULT_NETWORK,
        NetworkSelectionType.CLUSTER_USER_DEFINED_NETWORKS,
    }
    by_network = kind not in {NetworkSelectionType.DEFAULT_NETWORK, NetworkSelectionType.PRIMARY_USER_DEFINED_NETWORKS}
    return NetworkSelector(
        type=kind, namespace_selector=first if by_namespace else None, network_selector=second if by_network else None
    )


POLICIES = st.builds(
    NetworkQoS,
    namespace=NAMES,
    name=NAMES,
    priority=st.integers(0, 100),
    rules=st.lists(POLICY_RULES, max_size=4).map(tuple),
    pod_selector=SELECTORS,
    network_selectors=non_empty(
        st.builds(network_selector, st.sampled_from(NetworkSelectionType), SELECTORS, SELECTORS)
    ),
    bandwidth_scope=st.sampled_from(BandwidthScope),
    generation=st.integers(0, 2**62),
)


def without_none(**fields: object) -> dict[str, object]:
    return {key: value for key, value in fields.items() if value is not None}


def write_selector(selector: LabelSelector | None) -> dict[str, object] | None:
    if selector is None:
        return None
    return {
        "matchExpressions": [
            {"key": one.key, "operator": str(one.operator), "values": sorted(one.values)}
            for one in selector.requirements
        ]
    }


def write_peer(peer: IPBlock | PodPeer) -> dict[str, object]:
    if isinstance(peer, IPBlock):
        return {"ipBlock": {"cidr": str(peer.cidr), "except": [str(excluded) for excluded in peer.excluded]}}
    return without_none(
        podSelector=write_selector(peer.pod_selector), namespaceSelector=write_selector(peer.namespace_selector)
    )


def write_rule(rule: Rule) -> dict[str, object]:
    limit, classifier = rule.bandwidth, rule.classifier
    sources = None if classifier.sources is None else list(map(write_peer, classifier.sources))
    return without_none(
        dscp=rule.dscp,
        bandwidth=limit and without_none(rate=limit.rate_kbps, burst=limit.burst_kbit),
        classifier={
            "to": None if classifier.destinations is None else list(map(write_peer, classifier.destinations)),
            "from": sources,
            "ports": classifier.ports
            and [without_none(protocol=one.protocol and str(one.protocol), port=one.port) for one in classifier.ports],
        },
    )


def write_network(selector: NetworkSelector) -> dict[str, object]:
    written: dict[str, object] = {"networkSelectionType": str(selector.type)}
    if selector.type in FIELDS:
        written[FIELDS[selector.type]] = without_none(
            namespaceSelector=write_selector(selector.namespace_selector),
            networkSelector=write_selector(selector.network_selector),
        )
    return written


@given(POLICIES)
@settings(max_examples=200, deadline=None)
def test_a_valid_policy_keeps_its_meaning_through_yaml_and_json(policy: NetworkQoS) -> None:
    document = {
        "apiVersion": "k8s.ovn.org/v1alpha1",
        "kind": "NetworkQoS",
        "metadata": {
            "name": policy.name,
            "namespace": policy.namespace,
            "generation": policy.generation,
            "annotations": {"ovnqos.io/bandwidth-scope": str(policy.bandwidth_scope)},
        },
        "spec": {
            "priority": policy.priority,
            "podSelector": write_selector(policy.pod_selector),
            "networkSelectors": policy.network_selectors and list(map(write_network, policy.network_selectors)),
            "egress": list(map(write_rule, policy.rules)),
        },
    }
    assert parse_policy(document) == policy
    for text in (json.dumps(document), to_yaml(document)):
        manifests = load_manifests(["-"], stdin=io.StringIO(text))
        assert manifests.invalid == ()
        assert manifests.policies == (policy,)
