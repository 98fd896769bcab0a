"""NetworkQoS objects with one field right or wrong: what the daemon and the CRD both have to say of them."""

from __future__ import annotations

import copy
from typing import Any

WHOLE: dict[str, Any] = {
    "apiVersion": "k8s.ovn.org/v1alpha1",
    "kind": "NetworkQoS",
    "metadata": {"name": "voice", "namespace": "default"},
    "spec": {
        "priority": 10,
        "podSelector": {"matchLabels": {"app": "voice"}},
        "networkSelectors": [{"networkSelectionType": "DefaultNetwork"}],
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

SELECTOR = "spec.podSelector"
EXPRESSIONS = "spec.podSelector.matchExpressions"
NETWORKS = "spec.networkSelectors"
RULE = "spec.egress.0"
BANDWIDTH = f"{RULE}.bandwidth"
CLASSIFIER = f"{RULE}.classifier"
TO = f"{CLASSIFIER}.to.0"
FROM = f"{CLASSIFIER}.from.0"
PORT = f"{CLASSIFIER}.ports.0"
FIELDS_OF_TYPES = {
    "NetworkAttachmentDefinitions": ("networkAttachmentDefinitionSelector", ("namespaceSelector", "networkSelector")),
    "SecondaryUserDefinedNetworks": ("secondaryUserDefinedNetworkSelector", ("namespaceSelector", "networkSelector")),
    "PrimaryUserDefinedNetworks": ("primaryUserDefinedNetworkSelector", ("namespaceSelector",)),
    "ClusterUserDefinedNetworks": ("clusterUserDefinedNetworkSelector", ("networkSelector",)),
}
Case = tuple[str, object]


def with_value(path: str, value: object) -> dict[str, Any]:
    """The whole object with one field set, or removed; the path is dotted, with indexes as parts of their own."""
    document = copy.deepcopy(WHOLE)
    target: Any = document
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in parents:
        target = target[part]
    if value is ABSENT:
        del target[last]
    else:
        target[last] = value
    return document


def selectors(field: str, names: tuple[str, ...]) -> dict[str, Any]:
    return {field: {name: {} for name in names}}


def network_cases() -> tuple[list[Case], list[Case]]:
    """Each type with each set of selectors: its own alone is right, and each other one is wrong."""
    right: list[Case] = []
    wrong: list[Case] = []
    for kind in ("DefaultNetwork", *FIELDS_OF_TYPES):
        named: dict[str, Any] = {"networkSelectionType": kind}
        own = selectors(*FIELDS_OF_TYPES[kind]) if kind in FIELDS_OF_TYPES else {}
        right.append((NETWORKS, [named | own]))
        if own:
            wrong.append((NETWORKS, [named]))
            field, names = FIELDS_OF_TYPES[kind]
            wrong += [(NETWORKS, [named | selectors(field, tuple({*names} - {name}))]) for name in names]
        others = [other for other in FIELDS_OF_TYPES if other != kind]
        wrong += [(NETWORKS, [named | own | selectors(*FIELDS_OF_TYPES[other])]) for other in others]
    return right, wrong


NETWORKS_RIGHT, NETWORKS_WRONG = network_cases()

NO_ADDRESSES = (
    *(
        "",
        "10/8",
        "10.0.0.0/33",
        "010.0.0.0/8",
        "10.00.0.0/16",
        "10.0.0.0/08",
        "10.0.0.0/",
        "256.0.0.0/8",
        "10.0.0.0/8 ",
    ),
    *("::/129", "2001:db8::/032", "2001:db8::g/64", "::1%eth0/64", "::1.2.3.04/128", "a.example/24"),
    *("10.0.0.0/8 ", "10.0.0.0/8\n"),
)
VALID: list[Case] = [
    *((f"{RULE}.dscp", dscp) for dscp in (0, 63)),
    *(("spec.priority", priority) for priority in (0, 100)),
    *((path, ABSENT) for path in (SELECTOR, NETWORKS, BANDWIDTH, CLASSIFIER, f"{RULE}.dscp")),
    (RULE, {"bandwidth": {"rate": 1}}),
    (SELECTOR, {}),
    (f"{SELECTOR}.matchLabels", {}),
    (f"{SELECTOR}.matchLabels", {"a": "", "example.org/b": "x" * 63, "c-d_e.f": "1"}),
    (EXPRESSIONS, []),
    *((EXPRESSIONS, [{"key": "tier", "operator": operator, "values": ["a", ""]}]) for operator in ("In", "NotIn")),
    *((EXPRESSIONS, [{"key": "example.org/tier", "operator": word}]) for word in ("Exists", "DoesNotExist")),
    (EXPRESSIONS, [{"key": "k" * 63, "operator": "Exists", "values": []}]),
    (NETWORKS, []),
    *NETWORKS_RIGHT,
    ("spec.egress", []),
    ("spec.egress", [{"dscp": 1}] * 20),
    *((f"{BANDWIDTH}.{key}", value) for key in ("rate", "burst") for value in (1, 4_294_967_295)),
    (f"{BANDWIDTH}.burst", ABSENT),
    (BANDWIDTH, {}),
    (CLASSIFIER, {}),
    *((f"{CLASSIFIER}.{key}", value) for key in ("to", "from", "ports") for value in (ABSENT, [], [{}])),
    *(
        (TO, {"ipBlock": {"cidr": cidr}})
        for cidr in ("0.0.0.0/0", "::/0", "10.1.2.3/8", "2001:db8::1/128", "64:ff9b::192.0.2.33/128")
    ),
    (f"{TO}.ipBlock.except", []),
    (TO, {"podSelector": {}}),
    (TO, {"namespaceSelector": {"matchLabels": {"a": "b"}}}),
    (TO, {"podSelector": {}, "namespaceSelector": {}}),
    *((PORT, {"protocol": protocol}) for protocol in ("TCP", "UDP", "SCTP")),
    *((PORT, {"port": port}) for port in (1, 65_535)),
    (PORT, {"port": 1, "endPort": 65_535}),
    (PORT, {"protocol": "SCTP", "port": 80, "endPort": 80}),
]

INVALID: list[Case] = [
    *((path, ABSENT) for path in ("spec", "spec.priority", "spec.egress", f"{TO}.ipBlock.cidr")),
    (RULE, {}),
    (RULE, {"classifier": {}}),
    (RULE, {"bandwidth": {}}),
    (RULE, {"bandwidth": {"burst": 5}}),
    (PORT, {"endPort": 80}),
    (f"{PORT}.endPort", 65_536),
    *((path, "x") for path in ("spec", SELECTOR, NETWORKS, "spec.egress", RULE, BANDWIDTH, CLASSIFIER, TO, FROM, PORT)),
    *((path, value) for path in ("spec.priority", f"{RULE}.dscp") for value in (-1, 1.5, "10", True)),
    ("spec.priority", 101),
    (f"{RULE}.dscp", 64),
    ("spec.egress", [{"dscp": 1}] * 21),
    *((f"{BANDWIDTH}.{key}", value) for key in ("rate", "burst") for value in (0, -1, 4_294_967_296, "1M")),
    *((f"{SELECTOR}.matchLabels", {"a": value}) for value in ("-a", "a b", "x" * 64, 1, True)),
    *((EXPRESSIONS, [{"key": key, "operator": "Exists"}]) for key in ("", "-a", "a b", "A.b/c", "/a", "k" * 64)),
    (EXPRESSIONS, [{"operator": "Exists"}]),
    (EXPRESSIONS, [{"key": "a"}]),
    *((EXPRESSIONS, [{"key": "a", "operator": word}]) for word in ("In", "NotIn", "in", "Equals")),
    (EXPRESSIONS, [{"key": "a", "operator": "In", "values": []}]),
    (EXPRESSIONS, [{"key": "a", "operator": "In", "values": ["a b"]}]),
    (EXPRESSIONS, [{"key": "a", "operator": "Exists", "values": ["b"]}]),
    (NETWORKS, [{}]),
    (NETWORKS, [{"networkSelectionType": "NAD"}]),
    *NETWORKS_WRONG,
    *(
        (place, {"ipBlock": {"cidr": cidr}})
        for place in (TO, FROM)
        for cidr in (
            "",
            "10/8",
            "10.0.0.0/33",
            "010.0.0.0/8",
            "10.0.0.0/08",
            "::/129",
            "10.0.0.0/8 ",
            "a.example/24",
            7,
        )
    ),
    *((f"{TO}.ipBlock.except", [value]) for value in (*NO_ADDRESSES, 7)),
    (f"{TO}.podSelector", {}),
    (f"{TO}.namespaceSelector", {}),
    (f"{FROM}.podSelector", {}),
    (FROM, {"namespaceSelector": {}}),
    *((f"{PORT}.port", port) for port in (0, 65_536, "80", "https")),
    *((f"{PORT}.protocol", protocol) for protocol in ("tcp", "ICMP", "", 6)),
]

BEYOND_A_SCHEMA: list[tuple[str, object, str]] = [
    (f"{TO}.ipBlock.except", ["10.1.0.0/16", "11.0.0.0/8"], "each part must lie inside cidr and be of its IP family"),
    (f"{TO}.ipBlock.except", ["0.0.0.0/0"], "each part must lie inside cidr and be of its IP family"),
    (f"{TO}.ipBlock.except", ["2001:db8::/32"], "each part must lie inside cidr and be of its IP family"),
    (f"{TO}.ipBlock.except", ["::/0"], "each part must lie inside cidr and be of its IP family"),
    (f"{FROM}.ipBlock.except", ["10.0.0.0/8"], "each part must lie inside cidr and be of its IP family"),
    (TO, {"ipBlock": {"cidr": "::/0", "except": ["0.0.0.0/0"]}}, "each part must lie inside cidr"),
    (TO, {"ipBlock": {"cidr": "2001:db8::/32", "except": ["2001:db9::/48"]}}, "each part must lie inside cidr"),
    (f"{TO}.ipBlock.cidr", "::ffff:10.0.0.0/104", "no IPv4 address in IPv6 notation"),
    (f"{FROM}.ipBlock.cidr", "::ffff:a00:0/104", "no IPv4 address in IPv6 notation"),
    (f"{TO}.ipBlock.cidr", "2001:db8:1:2:3:4:5:6:7/64", "must be an address with a prefix length"),
    (f"{TO}.ipBlock.cidr", "2001::db8::/64", "must be an address with a prefix length"),
]
"""What only a rule of the CRD refuses, and its message; an API server without CEL leaves it to the daemon."""

BEYOND_THE_CRD: list[Case] = [
    (f"{SELECTOR}.matchLabels", {"a b": "c"}),
    (PORT, {"port": 80, "endPort": 79}),
    ("metadata.annotations", {"ovnqos.io/bandwidth-scope": "node"}),
    (f"{TO}.ipBlock.except", [*["10.1.0.0/16"] * 16, "11.0.0.0/8"]),
]
"""What only the daemon refuses."""

SINGLE_ADDRESSES: list[Case] = [
    *((f"{place}.ipBlock", {"cidr": cidr}) for place in (TO, FROM) for cidr in ("10.0.0.1", "2001:db8::1")),
    (f"{TO}.ipBlock.except", ["10.0.0.1"]),
    (BANDWIDTH, {"burst": 100}),
]
"""What ovn-kubernetes' CRD takes, so that this one takes it, too."""

ONCE_A_TYPE: Case = (NETWORKS, [{"networkSelectionType": "DefaultNetwork"}] * 2)
"""A list whose key is the type, in ovn-kubernetes' CRD as well; a file may have it."""
