"""What a valid NetworkQoS means, and what it draws warnings for."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from netaddr import IPNetwork

from ovnqos.diagnostics import Code
from ovnqos.model.labels import EVERYTHING, LabelSelector, Operator, Requirement
from ovnqos.model.networks import ANY_NAD_SELECTOR, DEFAULT_NETWORK_SELECTOR, NetworkSelectionType, NetworkSelector
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
from ovnqos.sources import parse_policy
from tests.support import invalid_documents as cases
from tests.support.invalid_documents import POLICY, outline, with_value

GUIDE = """
apiVersion: k8s.ovn.org/v1alpha1
kind: NetworkQoS
metadata:
  name: qos-external
  namespace: default
spec:
  networkSelectors:
  - networkSelectionType: NetworkAttachmentDefinitions
    networkAttachmentDefinitionSelector:
      namespaceSelector: {}  # any namespace
      networkSelector:
        matchLabels:
          nad-type: ovn-kubernetes-nqos
  podSelector:
    matchLabels:
      nqos-app: bw-limited
  priority: 10              # higher value wins in a tie-break
  egress:
  - dscp: 20               
    bandwidth:
      burst: 100            # kilobits
      rate: 20000           # kbps
    classifier:
      to:
      - ipBlock:
          cidr: 0.0.0.0/0
          except:
          - 10.11.12.13/32
          - 172.16.0.0/12
          - 192.168.0.0/16
"""  # noqa: W291  # as the guide has it


def policy_of(spec: dict[str, Any], **metadata: object) -> tuple[NetworkQoS, list[str]]:
    document = {
        "apiVersion": "k8s.ovn.org/v1alpha1",
        "kind": "NetworkQoS",
        "metadata": {"name": "voice", **metadata},
        "spec": {"priority": 0, "egress": [{"dscp": 0}], **spec},
    }
    policy = parse_policy(document)
    return policy, outline(policy.diagnostics)


def classifier_of(classifier: object) -> tuple[Classifier, list[str]]:
    policy, warnings = policy_of({"egress": [{"dscp": 0, "classifier": classifier}]})
    return policy.rules[0].classifier, warnings


def test_the_guides_object_means_what_the_guide_says() -> None:
    assert parse_policy(yaml.safe_load(GUIDE)) == NetworkQoS(
        namespace="default",
        name="qos-external",
        priority=10,
        pod_selector=LabelSelector.from_labels({"nqos-app": "bw-limited"}),
        network_selectors=(
            NetworkSelector(
                type=NetworkSelectionType.NETWORK_ATTACHMENT_DEFINITIONS,
                namespace_selector=EVERYTHING,
                network_selector=LabelSelector.from_labels({"nad-type": "ovn-kubernetes-nqos"}),
            ),
        ),
        rules=(
            Rule(
                dscp=20,
                bandwidth=Bandwidth(rate_kbps=20000, burst_kbit=100),
                classifier=Classifier(
                    destinations=(
                        IPBlock(
                            cidr=IPNetwork("0.0.0.0/0"),
                            excluded=(
                                IPNetwork("10.11.12.13/32"),
                                IPNetwork("172.16.0.0/12"),
                                IPNetwork("192.168.0.0/16"),
                            ),
                        ),
                    )
                ),
            ),
        ),
    )


def test_the_guides_burst_draws_advice() -> None:
    (warning,) = parse_policy(yaml.safe_load(GUIDE)).diagnostics
    assert (warning.code, warning.path) == (Code.BURST_LIMITS_TCP, "spec.egress[0].bandwidth.burst")
    assert "2 %" in warning.text


def test_what_is_absent_has_the_defaults_of_kubernetes() -> None:
    policy, warnings = policy_of({})
    assert policy == NetworkQoS(namespace="default", name="voice", priority=0, rules=(Rule(dscp=0),))
    assert warnings == []


def test_null_is_as_good_as_absent() -> None:
    rule = {"dscp": 0, "bandwidth": None, "classifier": {"to": None, "from": None, "ports": None}}
    spec = {"podSelector": None, "networkSelectors": None, "egress": [rule]}
    assert policy_of(spec, namespace=None, labels=None, annotations=None) == policy_of({})


def test_empty_lists_are_as_good_as_absent() -> None:
    rule = {"dscp": 0, "bandwidth": {}, "classifier": {"to": [], "from": [], "ports": []}}
    assert policy_of({"networkSelectors": [], "egress": [rule]}) == policy_of({})


def test_status_and_metadata_may_hold_what_they_like() -> None:
    _, warnings = policy_of({}, uid="1", managedFields=[{}], generation=3, finalizers=["x"])
    assert warnings == []


def test_the_generation_is_kept() -> None:
    assert policy_of({}, generation=3)[0].generation == 3


def test_an_object_without_rules_is_valid_and_warned_of() -> None:
    policy, warnings = policy_of({"egress": []})
    assert policy.rules == ()
    assert warnings == ["warning NoEffect spec.egress"]


def test_twenty_rules_are_the_most() -> None:
    assert len(policy_of({"egress": [{"dscp": 1}] * 20})[0].rules) == 20


@pytest.mark.parametrize("scope", list(BandwidthScope))
def test_the_annotation_chooses_what_shares_a_meter(scope: BandwidthScope) -> None:
    policy, warnings = policy_of({}, annotations={"ovnqos.io/bandwidth-scope": str(scope), "other/one": "x"})
    assert policy.bandwidth_scope is scope
    assert warnings == []


def test_a_misspelt_annotation_of_ours_is_warned_of() -> None:
    _, warnings = policy_of({}, annotations={"ovnqos.io/bandwith-scope": "pod"})
    assert warnings == ["warning UnknownField metadata.annotations[ovnqos.io/bandwith-scope]"]


@pytest.mark.parametrize(("spec", "expected"), cases.UNKNOWN_FIELDS)
def test_an_unknown_field_is_ignored_with_a_warning(spec: dict[str, Any], expected: str) -> None:
    assert policy_of(spec)[1] == [expected]


@pytest.mark.parametrize(
    ("entry", "selector"),
    [
        ({"networkSelectionType": "DefaultNetwork"}, DEFAULT_NETWORK_SELECTOR),
        (
            {
                "networkSelectionType": "NetworkAttachmentDefinitions",
                "networkAttachmentDefinitionSelector": {"namespaceSelector": {}, "networkSelector": {}},
            },
            ANY_NAD_SELECTOR,
        ),
        (
            {
                "networkSelectionType": "SecondaryUserDefinedNetworks",
                "secondaryUserDefinedNetworkSelector": {
                    "namespaceSelector": {"matchLabels": {"a": "b"}},
                    "networkSelector": {},
                },
            },
            NetworkSelector(
                type=NetworkSelectionType.SECONDARY_USER_DEFINED_NETWORKS,
                namespace_selector=LabelSelector.from_labels({"a": "b"}),
                network_selector=EVERYTHING,
            ),
        ),
        (
            {
                "networkSelectionType": "PrimaryUserDefinedNetworks",
                "primaryUserDefinedNetworkSelector": {"namespaceSelector": {}},
            },
            NetworkSelector(type=NetworkSelectionType.PRIMARY_USER_DEFINED_NETWORKS, namespace_selector=EVERYTHING),
        ),
        (
            {
                "networkSelectionType": "ClusterUserDefinedNetworks",
                "clusterUserDefinedNetworkSelector": {"networkSelector": {}},
            },
            NetworkSelector(type=NetworkSelectionType.CLUSTER_USER_DEFINED_NETWORKS, network_selector=EVERYTHING),
        ),
    ],
)
def test_each_of_the_five_types_has_its_selectors(entry: dict[str, Any], selector: NetworkSelector) -> None:
    policy, warnings = policy_of({"networkSelectors": [entry, entry]})
    assert policy.network_selectors == (selector, selector)
    assert warnings == []


def test_a_selector_holds_labels_and_expressions() -> None:
    expressions = [
        {"key": "tier", "operator": "In", "values": ["a", "b"]},
        {"key": "env", "operator": "NotIn", "values": ["dev"]},
        {"key": "example.com/x", "operator": "Exists"},
        {"key": "y", "operator": "DoesNotExist", "values": []},
    ]
    policy, _ = policy_of({"podSelector": {"matchLabels": {"app": ""}, "matchExpressions": expressions}})
    assert policy.pod_selector == LabelSelector.of(
        [
            Requirement(key="app", operator=Operator.IN, values=frozenset({""})),
            Requirement(key="tier", operator=Operator.IN, values=frozenset({"a", "b"})),
            Requirement(key="env", operator=Operator.NOT_IN, values=frozenset({"dev"})),
            Requirement(key="example.com/x", operator=Operator.EXISTS),
            Requirement(key="y", operator=Operator.DOES_NOT_EXIST),
        ]
    )


def test_destinations_are_blocks_and_pods() -> None:
    classifier, warnings = classifier_of(
        {
            "to": [
                {"ipBlock": {"cidr": "2001:db8::/32", "except": ["2001:db8:1::/48"]}},
                {"podSelector": {}},
                {"namespaceSelector": {}},
                {"podSelector": {"matchLabels": {"a": "b"}}, "namespaceSelector": {}},
            ]
        }
    )
    assert classifier.destinations == (
        IPBlock(cidr=IPNetwork("2001:db8::/32"), excluded=(IPNetwork("2001:db8:1::/48"),)),
        PodPeer(pod_selector=EVERYTHING),
        PodPeer(namespace_selector=EVERYTHING),
        PodPeer(pod_selector=LabelSelector.from_labels({"a": "b"}), namespace_selector=EVERYTHING),
    )
    assert warnings == []


def test_destinations_that_select_nothing_match_no_packet() -> None:
    classifier, warnings = classifier_of({"to": [{}, {"podSelector": None}], "from": [{}]})
    assert classifier.destinations == ()
    assert classifier.sources == ()
    assert warnings == [
        "warning NoEffect spec.egress[0].classifier.to[0]",
        "warning NoEffect spec.egress[0].classifier.to[1]",
        "warning NoEffect spec.egress[0].classifier.from[0]",
    ]


def test_host_bits_are_cleared_with_a_warning() -> None:
    block = {"cidr": "10.1.2.3/8", "except": ["10.9.9.9/16"]}
    classifier, warnings = classifier_of({"from": [{"ipBlock": block}]})
    assert classifier.sources == (IPBlock(cidr=IPNetwork("10.0.0.0/8"), excluded=(IPNetwork("10.9.0.0/16"),)),)
    place = "spec.egress[0].classifier.from[0].ipBlock"
    assert warnings == [
        f"warning HostBits {place}.cidr",
        f"warning HostBits {place}.except[0]",
    ]


@pytest.mark.parametrize(("address", "cidr"), [("10.1.2.3", "10.1.2.3/32"), ("2001:db8::1", "2001:db8::1/128")])
def test_a_single_address_is_read_as_its_cidr_with_a_warning(address: str, cidr: str) -> None:
    whole = "10.0.0.0/8" if "." in address else "2001:db8::/32"
    classifier, warnings = classifier_of({"to": [{"ipBlock": {"cidr": whole, "except": [address]}}]})
    assert classifier.destinations == (IPBlock(cidr=IPNetwork(whole), excluded=(IPNetwork(cidr),)),)
    place = "spec.egress[0].classifier.to[0].ipBlock"
    assert warnings == [f"warning HostBits {place}.except[0]"]
    classifier, warnings = classifier_of({"to": [{"ipBlock": {"cidr": address}}]})
    assert classifier.destinations == (IPBlock(cidr=IPNetwork(cidr)),)
    assert warnings == [f"warning HostBits {place}.cidr"]


def test_whole_numbers_may_be_written_with_a_fraction_of_zero() -> None:
    policy = parse_policy(with_value(with_value(POLICY, "spec.egress.0.dscp", 20.0), "spec.priority", 7.0))
    assert (policy.rules[0].dscp, policy.priority) == (20, 7)
    assert type(policy.priority) is int


def test_a_burst_without_a_rate_has_no_effect_and_the_mark_stays() -> None:
    policy = parse_policy(with_value(POLICY, "spec.egress.0.bandwidth", {"burst": 100}))
    assert policy.rules[0].dscp is not None
    assert policy.rules[0].bandwidth is None
    assert outline(policy.diagnostics) == ["warning NoEffect spec.egress[0].bandwidth.burst"]


@pytest.mark.parametrize(
    ("exceptions", "selects_nothing"),
    [(["10.0.0.0/8"], True), (["10.0.0.0/9", "10.128.0.0/9"], True), (["10.0.0.0/9", "10.0.0.0/9"], False)],
)
def test_exceptions_of_everything_are_valid_and_warned_of(exceptions: list[str], selects_nothing: bool) -> None:
    _, warnings = classifier_of({"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": exceptions}}]})
    warning = "warning NoEffect spec.egress[0].classifier.to[0].ipBlock.except"
    assert warnings == ([warning] if selects_nothing else [])


def test_a_rule_that_only_limits_leaves_the_mark_alone() -> None:
    policy, warnings = policy_of({"egress": [{"bandwidth": {"rate": 5000}}]})
    assert policy.rules == (Rule(bandwidth=Bandwidth(rate_kbps=5000)),)
    assert warnings == []


def test_a_range_of_ports_has_its_last_one() -> None:
    classifier, warnings = classifier_of({"ports": [{"protocol": "UDP", "port": 8000, "endPort": 8100}]})
    assert classifier.ports == (PortMatch(protocol=Protocol.UDP, port=8000, end_port=8100),)
    assert warnings == []


def test_ports_take_a_protocol_a_port_or_both() -> None:
    classifier, warnings = classifier_of(
        {"ports": [{"protocol": "SCTP"}, {"port": 53}, {"protocol": "UDP", "port": 1}]}
    )
    assert classifier.ports == (
        PortMatch(protocol=Protocol.SCTP),
        PortMatch(port=53),
        PortMatch(protocol=Protocol.UDP, port=1),
    )
    assert warnings == []


@pytest.mark.parametrize(("more", "ports"), [([], None), ([{"port": 53}], (PortMatch(port=53),))])
def test_an_empty_port_entry_is_dropped_with_a_warning(more: list[object], ports: tuple[PortMatch, ...] | None) -> None:
    classifier, warnings = classifier_of({"ports": [{}, *more]})
    assert classifier.ports == ports
    assert warnings == ["warning NoEffect spec.egress[0].classifier.ports[0]"]
