"""Documents that parsers refuse or warn of, and what each is to say: severity, code and path.

The texts that go with them are in tests/golden/messages.txt. The unit tests of a parser and the golden file share the
cases.
"""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

from ovnqos.sources import parse_namespace, parse_node, parse_pod

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ovnqos.diagnostics import Diagnostic

ABSENT = object()
POLICY: dict[str, Any] = {
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
EGRESS_QOS_OBJECT: dict[str, Any] = {
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
OVN_CONFIG: dict[str, Any] = {
    "cniVersion": "1.0.0",
    "name": "stream",
    "type": "ovn-k8s-cni-overlay",
    "topology": "layer2",
    "netAttachDefName": "default/net",
}
NAD_TYPE = "NetworkAttachmentDefinitions"
CALICO = "qos.projectcalico.org"


def outline(diagnostics: Iterable[Diagnostic]) -> list[str]:
    """What of diagnostics is stable: `error InvalidField spec.priority`."""
    return [f"{one.severity} {one.code} {one.path}".rstrip() for one in diagnostics]


def with_value(document: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """A copy with one field set, or removed; the path is dotted, with indexes as parts of their own."""
    changed = copy.deepcopy(document)
    target: Any = changed
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in parents:
        target = target.setdefault(part, {}) if isinstance(target, dict) else target[part]
    if value is ABSENT:
        del target[last]
    else:
        target[last] = value
    return changed


def policy_with_block(block: object) -> dict[str, Any]:
    """A policy whose only destination is this ipBlock."""
    return with_value(POLICY, "spec.egress.0.classifier.to.0.ipBlock", block)


def attachment_with(change: dict[str, object]) -> dict[str, Any]:
    """The `spec` of a NAD of OVN with some fields of its configuration changed."""
    return {"config": json.dumps({**OVN_CONFIG, **change})}


NETWORK_QOS: tuple[tuple[str, object, str], ...] = (
    ("apiVersion", ABSENT, "error MissingField apiVersion"),
    ("apiVersion", "k8s.ovn.org/v1", "error InvalidField apiVersion"),
    ("kind", "Pod", "error InvalidField kind"),
    ("kind", ABSENT, "error MissingField kind"),
    ("metadata", ABSENT, "error MissingField metadata.name"),
    ("metadata", "x", "error InvalidField metadata"),
    ("metadata.name", ABSENT, "error MissingField metadata.name"),
    ("metadata.name", "Voice", "error InvalidField metadata.name"),
    ("metadata.name", "a\nb", "error InvalidField metadata.name"),
    ("metadata.namespace", "a.b", "error InvalidField metadata.namespace"),
    ("metadata.labels", {"x": True}, "error InvalidField metadata.labels.x"),
    (
        "metadata.annotations",
        {"ovnqos.io/bandwidth-scope": "Pod"},
        "error InvalidField metadata.annotations[ovnqos.io/bandwidth-scope]",
    ),
    ("spec", ABSENT, "error MissingField spec"),
    ("spec", [], "error InvalidField spec"),
    ("spec.priority", ABSENT, "error MissingField spec.priority"),
    ("spec.priority", 101, "error InvalidField spec.priority"),
    ("spec.priority", -1, "error InvalidField spec.priority"),
    ("spec.podSelector", "app=web", "error InvalidField spec.podSelector"),
    ("spec.egress", ABSENT, "error MissingField spec.egress"),
    ("spec.egress", None, "error MissingField spec.egress"),
    ("spec.egress", {}, "error InvalidField spec.egress"),
    ("spec.egress", [{"dscp": 1}] * 21, "error InvalidField spec.egress"),
    ("spec.egress.0", None, "error InvalidField spec.egress[0]"),
    ("spec.egress.0", {"classifier": {}}, "error MissingField spec.egress[0].dscp"),
    ("spec.egress.0", {"dscp": None, "bandwidth": {"rate": None}}, "error MissingField spec.egress[0].dscp"),
    ("spec.egress.0", {"bandwidth": {"rate": 0}}, "error InvalidField spec.egress[0].bandwidth.rate"),
    ("spec.egress.0", {"bandwidth": 5}, "error InvalidField spec.egress[0].bandwidth"),
    ("spec.egress.0.dscp", 64, "error InvalidField spec.egress[0].dscp"),
    ("spec.egress.0.dscp", "20", "error InvalidField spec.egress[0].dscp"),
    ("spec.egress.0.dscp", "EF", "error InvalidField spec.egress[0].dscp"),
    ("spec.egress.0.dscp", True, "error InvalidField spec.egress[0].dscp"),
    ("spec.egress.0.dscp", 20.5, "error InvalidField spec.egress[0].dscp"),
    ("spec.egress.0.bandwidth", 5, "error InvalidField spec.egress[0].bandwidth"),
    ("spec.egress.0.bandwidth.rate", 0, "error InvalidField spec.egress[0].bandwidth.rate"),
    ("spec.egress.0.bandwidth.rate", 4294967296, "error InvalidField spec.egress[0].bandwidth.rate"),
    ("spec.egress.0.bandwidth.burst", 0, "error InvalidField spec.egress[0].bandwidth.burst"),
    ("spec.egress.0.classifier", [], "error InvalidField spec.egress[0].classifier"),
    ("spec.egress.0.classifier.to", {}, "error InvalidField spec.egress[0].classifier.to"),
    ("spec.egress.0.classifier.to.0.podSelector", {}, "error InvalidField spec.egress[0].classifier.to[0]"),
    ("spec.egress.0.classifier.to.0.namespaceSelector", {}, "error InvalidField spec.egress[0].classifier.to[0]"),
    (
        "spec.egress.0.classifier.from.0",
        {"podSelector": {}},
        "error InvalidField spec.egress[0].classifier.from[0].podSelector",
    ),
    (
        "spec.egress.0.classifier.ports.0.protocol",
        "ICMP",
        "error InvalidField spec.egress[0].classifier.ports[0].protocol",
    ),
    (
        "spec.egress.0.classifier.ports.0.protocol",
        "tcp",
        "error InvalidField spec.egress[0].classifier.ports[0].protocol",
    ),
    ("spec.egress.0.classifier.ports.0.port", 0, "error InvalidField spec.egress[0].classifier.ports[0].port"),
    ("spec.egress.0.classifier.ports.0.port", "https", "error InvalidField spec.egress[0].classifier.ports[0].port"),
    ("spec.egress.0.classifier.ports.0.endPort", 79, "error InvalidField spec.egress[0].classifier.ports[0].endPort"),
    (
        "spec.egress.0.classifier.ports.0.endPort",
        65536,
        "error InvalidField spec.egress[0].classifier.ports[0].endPort",
    ),
    (
        "spec.egress.0.classifier.ports.0",
        {"protocol": "TCP", "endPort": 90},
        "error MissingField spec.egress[0].classifier.ports[0].port",
    ),
    ("spec.networkSelectors", [{}], "error MissingField spec.networkSelectors[0].networkSelectionType"),
    (
        "spec.networkSelectors",
        [{"networkSelectionType": "NAD"}],
        "error InvalidField spec.networkSelectors[0].networkSelectionType",
    ),
    (
        "spec.networkSelectors",
        [{"networkSelectionType": NAD_TYPE}],
        "error MissingField spec.networkSelectors[0].networkAttachmentDefinitionSelector",
    ),
    (
        "spec.networkSelectors",
        [
            {
                "networkSelectionType": NAD_TYPE,
                "networkAttachmentDefinitionSelector": {"namespaceSelector": {}},
            }
        ],
        "error MissingField spec.networkSelectors[0].networkAttachmentDefinitionSelector.networkSelector",
    ),
    (
        "spec.networkSelectors",
        [{"networkSelectionType": "DefaultNetwork", "clusterUserDefinedNetworkSelector": {"networkSelector": {}}}],
        "error InvalidField spec.networkSelectors[0].clusterUserDefinedNetworkSelector",
    ),
)

EGRESS_QOS: tuple[tuple[str, object, str], ...] = (
    ("apiVersion", "k8s.ovn.org/v1alpha1", "error InvalidField apiVersion"),
    ("kind", "NetworkQoS", "error InvalidField kind"),
    ("metadata.name", "voice", "error InvalidField metadata.name"),
    ("metadata.name", None, "error MissingField metadata.name"),
    ("spec", None, "error MissingField spec"),
    ("spec.egress", None, "error MissingField spec.egress"),
    ("spec.egress", {}, "error InvalidField spec.egress"),
    ("spec.egress", [{"dscp": 1}] * 1001, "error InvalidField spec.egress"),
    ("spec.egress.0.dscp", 64, "error InvalidField spec.egress[0].dscp"),
    ("spec.egress.0.dscp", None, "error MissingField spec.egress[0].dscp"),
    ("spec.egress.0.dstCIDR", "203.0.113.1", "error InvalidField spec.egress[0].dstCIDR"),
    ("spec.egress.0.dstCIDR", "", "error InvalidField spec.egress[0].dstCIDR"),
    ("spec.egress.0.podSelector", "app=voice", "error InvalidField spec.egress[0].podSelector"),
)

EXPRESSIONS: tuple[tuple[object, str], ...] = (
    ({"key": "a", "operator": "In", "values": []}, "error MissingField spec.podSelector.matchExpressions[0].values"),
    ({"key": "a", "operator": "NotIn"}, "error MissingField spec.podSelector.matchExpressions[0].values"),
    (
        {"key": "a", "operator": "Exists", "values": ["b"]},
        "error InvalidField spec.podSelector.matchExpressions[0].values",
    ),
    (
        {"key": "a", "operator": "DoesNotExist", "values": ["b"]},
        "error InvalidField spec.podSelector.matchExpressions[0].values",
    ),
    (
        {"key": "a", "operator": "in", "values": ["b"]},
        "error InvalidField spec.podSelector.matchExpressions[0].operator",
    ),
    ({"key": "a", "operator": "Equals"}, "error InvalidField spec.podSelector.matchExpressions[0].operator"),
    ({"key": "a"}, "error MissingField spec.podSelector.matchExpressions[0].operator"),
    ({"operator": "Exists"}, "error MissingField spec.podSelector.matchExpressions[0].key"),
    ({"key": "a/b/c", "operator": "Exists"}, "error InvalidField spec.podSelector.matchExpressions[0].key"),
    (
        {"key": "a", "operator": "In", "values": ["b", "c d"]},
        "error InvalidField spec.podSelector.matchExpressions[0].values[1]",
    ),
    ({"key": "a", "operator": "In", "values": "b"}, "error InvalidField spec.podSelector.matchExpressions[0].values"),
    (
        {"key": "a", "operator": "In", "values": ["b", 1]},
        "error InvalidField spec.podSelector.matchExpressions[0].values[1]",
    ),
    ("a=b", "error InvalidField spec.podSelector.matchExpressions[0]"),
)

ATTACHMENT_SPECS: tuple[tuple[object, str], ...] = (
    ({"config": '{\n  "name": "a"\n  "type": "b"\n}'}, "error InvalidField spec.config"),
    ({"config": ""}, "error InvalidField spec.config"),
    ({"config": "[]"}, "error InvalidField spec.config"),
    ({"config": {"name": "a"}}, "error InvalidField spec.config"),
    ({"config": "[" * 100_000}, "error InvalidField spec.config"),
    ({"config": "{}"}, "error MissingField spec.config.type"),
    ([], "error InvalidField spec"),
)

ATTACHMENT_CONFIGS: tuple[tuple[dict[str, object], str], ...] = (
    ({"name": None}, "error MissingField spec.config.name"),
    ({"name": ""}, "error InvalidField spec.config.name"),
    ({"topology": "l3"}, "error InvalidField spec.config.topology"),
    ({"name": "bl\x00ue"}, "error InvalidField spec.config.name"),
    ({"name": "bl\ud800ue"}, "error InvalidField spec.config.name"),
    ({"name": "bl\x1b[31mue"}, "error InvalidField spec.config.name"),
    ({"netAttachDefName": "other/net"}, "error InvalidField spec.config.netAttachDefName"),
    ({"netAttachDefName": None}, "error MissingField spec.config.netAttachDefName"),
    ({"role": "main"}, "error InvalidField spec.config.role"),
    ({"subnets": "10.0.0.0/16/24"}, "error InvalidField spec.config.subnets"),
    ({"topology": "layer3", "subnets": "10.0.0.0/16/8"}, "error InvalidField spec.config.subnets"),
    ({"subnets": "10.0.0.0"}, "error InvalidField spec.config.subnets"),
    ({"subnets": ["10.0.0.0/8"]}, "error InvalidField spec.config.subnets"),
    ({"topology": 3}, "error InvalidField spec.config.topology"),
)

TOPOLOGY_MAPS: tuple[tuple[str, list[str]], ...] = (
    (("networks: {}"), ["error InvalidField networks"]),
    (("pods: {}"), ["error MissingField networks"]),
    (("- a"), ["error InvalidField"]),
    (("networks: {default: {topology: star}}"), ["error InvalidField networks.default.topology"]),
    (
        ("networks: {default: {topology: layer3, switch: lan, port: '{namespace}'}}"),
        ["error InvalidField networks.default.port", "error InvalidField networks.default.switch"],
    ),
    (
        (
            "networks: {default: {topology: layer2, port: '{pod}', direction: up, switch: '{lan', "
            "addresses: {annotation: a b}}}"
        ),
        [
            "error InvalidField networks.default.direction",
            "error InvalidField networks.default.switch",
            "error InvalidField networks.default.port",
            "error InvalidField networks.default.addresses.annotation",
        ],
    ),
    (
        ("networks: {default: {topology: layer2, switch: lan, port: '{nam}-{name}'}}"),
        ["error InvalidField networks.default.port"],
    ),
    (
        ("networks: {default: {topology: layer2, switch: lan, port: 'vm-{name}'}}"),
        ["error InvalidField networks.default.port"],
    ),
    (
        ("networks: {default: {topology: layer2, port: '{namespace}.{name}', addresses: {}}}"),
        ["error MissingField networks.default.switch", "error MissingField networks.default.addresses.annotation"],
    ),
    (
        ("networks: {Upper: {topology: layer2}, a/b/c: {topology: layer2}, x: }"),
        ["error InvalidField networks", "error InvalidField networks", "error MissingField networks.x"],
    ),
    (
        (
            "networks: {plain: {topology: layer2, switch: lan}}\n"
            "pods:\n"
            "  web: {plain: {port: a}}\n"
            "  shop/a: {plane: {port: a}, plain: {}}\n"
            "  shop/b: {plain: {port: '', addresses: [10.0.0.1/24, x, 5]}}\n"
        ),
        [
            "error InvalidField pods",
            "error InvalidField pods.shop/a",
            "error MissingField pods.shop/a.plain.port",
            "error InvalidField pods.shop/b.plain.port",
            "error InvalidField pods.shop/b.plain.addresses[2]",
            "error InvalidField pods.shop/b.plain.addresses[0]",
            "error InvalidField pods.shop/b.plain.addresses[1]",
        ],
    ),
    (
        (
            "networks: {lan: {topology: layer2, switch: lan}}\n"
            "pods: {shop/a: {lan: {port: vm1}}, shop/b: {lan: {port: vm1}}}"
        ),
        ["error InvalidField pods.shop/b.lan.port"],
    ),
    (
        ("networks: {lan: {topology: layer2}}\npods: {shop/a: {lan: {port: vm1}}}"),
        ["error MissingField pods.shop/a.lan.switch"],
    ),
    (("networks: {lan: {topology: layer2}, lan: {topology: layer2}}"), ["error DuplicateField networks.lan"]),
    (("networks: {lan: {topology: layer2, switch: ' lan'}}"), ["error InvalidField networks.lan.switch"]),
)

WORKLOADS: tuple[tuple[Callable[[object], object], dict[str, Any], str], ...] = (
    (parse_pod, {"metadata": {}}, "error MissingField metadata.name"),
    (parse_pod, {"metadata": {"name": "p", "labels": {"x": 1}}}, "error InvalidField metadata.labels.x"),
    (parse_pod, {"metadata": {"name": "p"}, "spec": {"hostNetwork": "yes"}}, "error InvalidField spec.hostNetwork"),
    (
        parse_pod,
        {"metadata": {"name": "p", "annotations": {"k8s.ovn.org/pod-networks": {}}}},
        "error InvalidField metadata.annotations[k8s.ovn.org/pod-networks]",
    ),
    (parse_pod, {"metadata": {"name": "p"}, "spec": {"nodeName": 5}}, "error InvalidField spec.nodeName"),
    (parse_pod, {"metadata": {"name": "p"}, "status": "x"}, "error InvalidField status"),
    (parse_node, {"metadata": {"name": "n", "labels": []}}, "error InvalidField metadata.labels"),
    (parse_namespace, {"metadata": {"name": "a.b"}}, "error InvalidField metadata.name"),
)

UNKNOWN_FIELDS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"egres": []}, "warning UnknownField spec.egres"),
    ({"podselector": {}}, "warning UnknownField spec.podselector"),
    ({"egress": [{"dscp": 1, "bandwith": {}}]}, "warning UnknownField spec.egress[0].bandwith"),
    (
        {"egress": [{"dscp": 1, "classifier": {"ports": [{"port": 1, "proto": "TCP"}]}}]},
        "warning UnknownField spec.egress[0].classifier.ports[0].proto",
    ),
    ({"egress": [{"dscp": 1, "classifier": {"To": []}}]}, "warning UnknownField spec.egress[0].classifier.To"),
    ({"podSelector": {"app/x": "y"}}, "warning UnknownField spec.podSelector[app/x]"),
)

CIDRS = (
    "10/8",
    "10.1",
    "10.0.0.0/33",
    "10.0.0.0/-1",
    "10.0.0.0/",
    "10.0.0.0/08",
    "10.0.0.0/255.0.0.0",
    "::/129",
    "010.0.0.0/8",
    "fe80::1%eth0/64",
    "::ffff:1.2.3.4/120",
    " 10.0.0.0/8",
    "",
    "10.0.0.0/8 || 1",
    "example.org/24",
    "\u0661\u0660.0.0.0/8",
)

EXCEPTIONS: tuple[object, ...] = ("11.0.0.0/8", "0.0.0.0/0", "2001:db8::/32", 7, None)

KINDS: tuple[tuple[dict[str, Any], str], ...] = (
    ({}, "error MissingField kind"),
    ({"kind": 5}, "error InvalidField kind"),
    ({"kind": "NetworkQos"}, "error InvalidField kind"),
    (
        {
            "kind": "NetworkQoS",
            "apiVersion": "other.io/v1",
            "metadata": {"name": "a"},
            "spec": {"priority": 1, "egress": [{"dscp": 1}]},
        },
        "error InvalidField apiVersion",
    ),
)

ANNOTATIONS: tuple[dict[str, str], ...] = (
    {f"{CALICO}/egressBandwidth": "10Q", f"{CALICO}/ingressBandwidth": "10M", f"{CALICO}/dscp": "EF"},
    {f"{CALICO}/egressBandwidth": "", f"{CALICO}/ingressBandwidth": "10M", f"{CALICO}/dscp": "EF"},
    {f"{CALICO}/egressBandwidth": "-5M", f"{CALICO}/ingressBandwidth": "10M", f"{CALICO}/dscp": "EF"},
    {f"{CALICO}/egressBandwidth": "0", f"{CALICO}/ingressBandwidth": "10M", f"{CALICO}/dscp": "EF"},
    {f"{CALICO}/egressBandwidth": "1P", f"{CALICO}/ingressBandwidth": "10M", f"{CALICO}/dscp": "EF"},
    {"kubernetes.io/egress-bandwidth": "10Q", f"{CALICO}/ingressBandwidth": "10M", f"{CALICO}/dscp": "EF"},
    {"kubernetes.io/egress-bandwidth": "", f"{CALICO}/ingressBandwidth": "10M", f"{CALICO}/dscp": "EF"},
    {"kubernetes.io/egress-bandwidth": "-5M", f"{CALICO}/ingressBandwidth": "10M", f"{CALICO}/dscp": "EF"},
    {"kubernetes.io/egress-bandwidth": "0", f"{CALICO}/ingressBandwidth": "10M", f"{CALICO}/dscp": "EF"},
    {"kubernetes.io/egress-bandwidth": "1P", f"{CALICO}/ingressBandwidth": "10M", f"{CALICO}/dscp": "EF"},
    {f"{CALICO}/ingressBandwidth": "10Q", "kubernetes.io/ingress-bandwidth": "20M"},
    {f"{CALICO}/ingressBandwidth": "10M", "kubernetes.io/ingress-bandwidth": "1P"},
    {f"{CALICO}/ingressBandwidth": "10Q", "kubernetes.io/ingress-bandwidth": ""},
    {f"{CALICO}/egressBurst": "4M", f"{CALICO}/ingressBandwidth": "10M"},
    {f"{CALICO}/egressBurst": "4M", f"{CALICO}/egressBandwidth": "10Q"},
    {f"{CALICO}/egressBandwidth": "10M", f"{CALICO}/egressBurst": "0"},
    {f"{CALICO}/egressBurst": "4Q"},
    {f"{CALICO}/dscp": "AF99", f"{CALICO}/egressBandwidth": "10M"},
    {f"{CALICO}/egressBandwidth": "10m"},
    {f"{CALICO}/dscp": "CS7"},
    {f"{CALICO}/dscp": "EFF"},
    {f"{CALICO}/egressBandwidth": "10M", f"{CALICO}/egressBurst": "5T"},
    {f"{CALICO}/egressBandwidth": "20M", f"{CALICO}/egressBurst": "100k"},
    {f"{CALICO}/ingressBandwidth": "20M", f"{CALICO}/ingressBurst": "11k"},
    {"kubernetes.io/ingress-bandwidth": "5k"},
    {f"{CALICO}/ingressPacketRate": "100", f"{CALICO}/egressBandwidth": "10M"},
    {f"{CALICO}/ingressPacketBurst": "100", f"{CALICO}/egressBandwidth": "10M"},
    {f"{CALICO}/ingressPackets": "100", f"{CALICO}/egressBandwidth": "10M"},
    {f"{CALICO}/ingressMaxConnections": "100", f"{CALICO}/egressBandwidth": "10M"},
    {f"{CALICO}/ingressPeakrate": "100", f"{CALICO}/egressBandwidth": "10M"},
    {f"{CALICO}/ingressMinburst": "100", f"{CALICO}/egressBandwidth": "10M"},
    {f"{CALICO}/egressPacketRate": "100", f"{CALICO}/egressBandwidth": "10M"},
    {f"{CALICO}/egressPacketBurst": "100", f"{CALICO}/egressBandwidth": "10M"},
    {f"{CALICO}/egressPackets": "100", f"{CALICO}/egressBandwidth": "10M"},
    {f"{CALICO}/egressMaxConnections": "100", f"{CALICO}/egressBandwidth": "10M"},
    {f"{CALICO}/egressPeakrate": "100", f"{CALICO}/egressBandwidth": "10M"},
    {f"{CALICO}/egressMinburst": "100", f"{CALICO}/egressBandwidth": "10M"},
    {f"{CALICO}/ingressBandwith": "10M"},
    {f"{CALICO}/egress-bandwidth": "10M"},
    {f"{CALICO}/DSCP": "10M"},
    {f"{CALICO}/ingressPktRate": "10M"},
    {f"{CALICO}/colour": "10M"},
)

NETWORK_QOS_WARNINGS: tuple[tuple[str, object], ...] = (
    ("metadata.annotations", {"ovnqos.io/bandwith-scope": "pod"}),
    ("spec.egress", []),
    ("spec.egress.0.bandwidth", {"rate": 20000, "burst": 100}),
    ("spec.egress.0.bandwidth", {"rate": 20000, "burst": 11}),
    ("spec.egress.0.bandwidth", {"rate": 5}),
    ("spec.egress.0.classifier", {"to": [{}], "from": [{}], "ports": [{}]}),
    ("spec.egress.0.classifier.to.0.ipBlock", {"cidr": "10.1.2.3/8", "except": ["10.0.0.0/8"]}),
)

UNREADABLE_YAML: tuple[tuple[str, str], ...] = (
    ("a: b: c", ":1:5"),
    ("a: 1\nb: 'x\n", ":3:1"),
    ("a: 1\n---\n- x\n", ":3"),
    ("text", ":1"),
    ("a: *b", ":1:4"),
    ("a: &a [*a]", ":1:8"),
    ("a: !secret x", ":1:4"),
    ("a: !!int x", ":1:4"),
    ("a: !!set {x}", ":1:4"),
    ("[a]: b", ":1:1"),
    ("a:\n  <<: 5", ":2:3"),
    ("a: 1\nb: \x00", ":2"),
    ("", ""),
    ("# nothing\n---\n", ""),
    ("\udcff: 1", ""),
)

UNREADABLE_JSON: tuple[tuple[str, str], ...] = (
    ('{"a": 1,\n "b" 2}', ":2:6"),
    ('{"a": NaN}', ""),
    ("a: 1", ":1:1"),
    ('{"a": ' + "[" * 100_000, ""),
    ("[]", ":1"),
    ("", ""),
)
