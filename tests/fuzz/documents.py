"""Documents of every kind that is read, from a `random.Random`: some valid, some wrong in one place or in many."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

Document = dict[str, Any]

NAMESPACES = ("shop", "shop", "bank", "lab")
NAMES = ("a", "b", "c", "d.e", "f-g")
NODES = ("node1", "node2", "")
LABELS = ("app", "tier")
NETWORKS = ("blue", "red", "green")
_WORDS = (
    "",
    "a",
    "default",
    "true",
    "10M",
    "AF11",
    "0",
    "-1",
    "1e99",
    "0x10",
    "Infinity",
    "shop/blue",
    "a b",
    "x" * 99,
)
_RAW = ("\x1b[2J", "\x00", "\n", "\r\n", "\u202e", "\ud800", "\udfff", "\U000e0001", *"'\"\\{}", "$(x)", "%s", "@g")
_WHOLE = (0, 1, -1, 63, 64, 100, 101, 65535, 65536, 2**32 - 1, 2**32, 2**63, 2**200)
_NUMBERS = (*_WHOLE, 0.5, 10.0, float("inf"), float("nan"))
_V4 = ("0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/29", "10.0.0.4/30", "10.0.0.5/32", "10.0.0.5", "172.16.0.1/12")
_V6 = (
    "::/0",
    "fd00::/8",
    "fd00::4/126",
    "fd00::5/128",
    "fd00::5",
    "2001:db8::/32",
    "::ffff:10.0.0.1/128",
    "fe80::1%a/64",
)
_NO_CIDRS = ("10.0.0.0/33", "10.0.0", "010.0.0.1/8", "10.0.0.1/-1", "1::2::3/64", "/8", "10.0.0.0/8/8", "0/0", "::/129")
_QUANTITIES = ("1M", "10M", "1k", "999", "5G", "1.5G", "4294967295k", "4294967296k", "1P", "m", "1Ki", "1e6", "1E400")
_DSCPS = ("0", "10", "63", "64", "EF", "af41", "CS7", "x", " 5 ")
_QOS = ("ingressBandwidth", "egressBandwidth", "ingressBurst", "egressBurst", "dscp", "ingressPacketRate", "unknown")
_MAXIMUM_DEPTH = 3


def document(random: Random) -> Document:
    """A document of a kind that is read."""
    make: Callable[[Random], Document] = random.choice(
        (network_qos, network_qos, network_qos, pod, pod, pod, namespace, node, attachment, attachment)
    )
    found = make(random)
    while random.random() < 0.3:
        mutate(random, found)
    return found


def anything(random: Random, depth: int = 0) -> Any:
    """A value of any type."""
    kind = random.randrange(9 if depth < _MAXIMUM_DEPTH else 6)
    if kind == 0:
        return random.choice((None, True, False))
    if kind == 1:
        return random.choice(_NUMBERS)
    if kind < 4:
        return random.choice(_WORDS)
    if kind < 6:
        return "".join(random.choices((*_RAW, *_WORDS[:6]), k=random.randrange(4)))
    if kind == 6:
        return [anything(random, depth + 1) for _ in range(random.randrange(4))]
    return {str(anything(random, _MAXIMUM_DEPTH)): anything(random, depth + 1) for _ in range(random.randrange(4))}


def mutate(random: Random, found: Any) -> None:
    """Change one value somewhere in a document, or remove, repeat or add one."""
    while isinstance(found, dict | list) and found:
        key: Any = random.choice([*found]) if isinstance(found, dict) else random.randrange(len(found))
        if isinstance(found[key], dict | list) and found[key] and random.random() < 0.85:
            found = found[key]
            continue
        change = random.randrange(6)
        if change == 0:
            del found[key]
        elif change == 1 and isinstance(found, list):
            found.append(found[key])
        elif change == 1 and isinstance(found, dict):
            found[str(anything(random, _MAXIMUM_DEPTH))] = anything(random)
        elif change == 2 and isinstance(found[key], str):
            found[key] += random.choice(_RAW)
        else:
            found[key] = anything(random)
        return


def _some(random: Random, make: Callable[[Random], Any], most: int, least: int = 0) -> list[Any]:
    return [make(random) for _ in range(random.randint(least, most))]


def _metadata(random: Random, **more: Any) -> Document:
    name = random.choice(NAMES)
    return {"name": name, "uid": f"{name}{random.randrange(2)}", "generation": 1, "labels": _labels(random), **more}


def _namespaced(random: Random, **more: Any) -> Document:
    return _metadata(random, namespace=random.choice(NAMESPACES), **more)


def _labels(random: Random) -> dict[str, str]:
    return {key: random.choice(("x", "y", "")) for key in LABELS if random.random() < 0.6}


def _requirement(random: Random) -> Document:
    operator = random.choice(("In", "NotIn", "Exists", "DoesNotExist"))
    values = {"values": ["x", "y"][: random.randint(1, 2)]} if operator.endswith("In") else {}
    return {"key": random.choice(LABELS), "operator": operator, **values}


def _selector(random: Random) -> Document:
    found: Document = {"matchLabels": _labels(random)} if random.random() < 0.6 else {}
    if random.random() < 0.3:
        found["matchExpressions"] = _some(random, _requirement, 2)
    return found


def _cidr(random: Random) -> str:
    return random.choice(random.choice((_V4, _V4, _V6, _V6, _NO_CIDRS if random.random() < 0.1 else _V4)))


def _block(random: Random) -> Document:
    pool = random.choice((_V4, _V6))
    found: Document = {"cidr": random.choice(pool[:2])}
    if random.random() < 0.5:
        found["except"] = [random.choice(pool[2:6]) for _ in range(random.randrange(4))]
    return {"ipBlock": found if random.random() < 0.7 else {"cidr": _cidr(random)}}


def _peer(random: Random) -> Document:
    if random.random() < 0.5:
        return _block(random)
    found = {}
    if random.random() < 0.8:
        found["podSelector"] = _selector(random)
    if random.random() < 0.4:
        found["namespaceSelector"] = _selector(random)
    return found


def _port(random: Random) -> Document:
    found: Document = {}
    if random.random() < 0.8:
        found["protocol"] = random.choice(("TCP", "UDP", "SCTP"))
    if random.random() < 0.7:
        found["port"] = random.choice((1, 80, 443, 65535))
        if random.random() < 0.3:
            found["endPort"] = random.choice((80, 443, 65535))
    return found


def _rule(random: Random) -> Document:
    found: Document = {}
    if random.random() < 0.8:
        found["dscp"] = random.choice((0, 20, 63))
    if random.random() < 0.6:
        found["bandwidth"] = {"rate": random.choice((1, 1000, 20_000))} | (
            {"burst": random.choice((1, 12, 100, 2000))} if random.random() < 0.5 else {}
        )
    if random.random() < 0.7:
        found["classifier"] = {
            name: _some(random, make, 3)
            for name, make in (("to", _peer), ("from", _block), ("ports", _port))
            if random.random() < 0.6
        }
    return found


def _network_selector(random: Random) -> Document:
    both = {"namespaceSelector": _selector(random), "networkSelector": _selector(random)}
    return random.choice(
        (
            {"networkSelectionType": "DefaultNetwork"},
            {"networkSelectionType": "NetworkAttachmentDefinitions", "networkAttachmentDefinitionSelector": both},
            {
                "networkSelectionType": "ClusterUserDefinedNetworks",
                "clusterUserDefinedNetworkSelector": {"networkSelector": both["networkSelector"]},
            },
        )
    )


def network_qos(random: Random) -> Document:
    """A NetworkQoS."""
    scope = {"annotations": {"ovnqos.io/bandwidth-scope": random.choice(("pod", "policy"))}}
    spec: Document = {"priority": random.choice((0, 1, 1, 50, 100)), "egress": _some(random, _rule, 3, 1)}
    if random.random() < 0.6:
        spec["podSelector"] = _selector(random)
    if random.random() < 0.3:
        spec["networkSelectors"] = _some(random, _network_selector, 2)
    return {
        "apiVersion": "k8s.ovn.org/v1alpha1",
        "kind": "NetworkQoS",
        "metadata": _namespaced(random, **(scope if random.random() < 0.4 else {})),
        "spec": spec,
    }


def _addresses(random: Random) -> list[str]:
    return [random.choice((f"10.0.0.{random.randrange(9)}/24", f"fd00::{random.randrange(9)}/64")) for _ in range(2)]


def _wiring(random: Random) -> dict[str, str]:
    found = {}
    networks = {
        key: {"ip_addresses": _addresses(random), "mac_address": "0a:58:0a:00:00:05"}
        for key in ("default", "shop/blue", "lab/red", "shop/blue/1")
        if random.random() < 0.5
    }
    found["k8s.ovn.org/pod-networks"] = json.dumps(networks)
    for provider in ("ovn", "blue.shop.ovn", "red.lab.ovn.net1"):
        if random.random() < 0.5:
            prefix = f"{provider}.kubernetes.io/"
            found[f"{prefix}logical_switch"] = random.choice(NETWORKS)
            found[f"{prefix}ip_address"] = ",".join(one.partition("/")[0] for one in _addresses(random))
            found[f"{prefix}allocated"] = random.choice(("true", "true", "false"))
            found[f"{prefix}logical_router"] = random.choice(("ovn-cluster", "vpc1", ""))
    found["example.com/addresses"] = ",".join(_addresses(random))
    return found


def _qos(random: Random) -> dict[str, str]:
    found = {}
    for name in _QOS:
        if random.random() < 0.25:
            found[f"qos.projectcalico.org/{name}"] = random.choice(_DSCPS if name == "dscp" else _QUANTITIES)
    if random.random() < 0.2:
        found[f"kubernetes.io/{random.choice(('ingress', 'egress'))}-bandwidth"] = random.choice(_QUANTITIES)
    return found


def pod(random: Random) -> Document:
    """A Pod, wired as each topology has it."""
    annotations = {**_wiring(random), **_qos(random)}
    for key in annotations:
        if random.random() < 0.03:
            annotations[key] = random.choice(("", "{", "[]", "null", "1", "x" * 70_000, "[" * 5000, *_RAW))
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _namespaced(random, annotations=annotations),
        "spec": {"nodeName": random.choice(NODES), "hostNetwork": random.random() < 0.05},
        "status": {"phase": random.choice(("Running", "Running", "Running", "Pending", "Succeeded"))},
    }


def namespace(random: Random) -> Document:
    """A Namespace, with limits for its pods now and then."""
    metadata = {"name": random.choice(NAMESPACES), "uid": "1", "labels": _labels(random)}
    if random.random() < 0.4:
        metadata["annotations"] = _qos(random)
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def egress_qos(random: Random) -> Document:
    """An EgressQoS."""
    rules = [
        {"dscp": random.choice((0, 20, 63)), "dstCIDR": _cidr(random), "podSelector": _selector(random)}
        for _ in range(random.randrange(4))
    ]
    metadata = _namespaced(random)
    metadata["name"] = "default"
    return {"apiVersion": "k8s.ovn.org/v1", "kind": "EgressQoS", "metadata": metadata, "spec": {"egress": rules}}


def topology_map(random: Random) -> Document:
    """A topology map."""
    templates = ("{node}", "lan", "{namespace}_{name}", "{name}", "{nam}", "{")
    networks = {
        name: {
            "topology": random.choice(("layer3", "layer2", "localnet")),
            "switch": random.choice(templates[:2]),
            "port": random.choice(templates[2:]) if random.random() < 0.3 else templates[2],
            "addresses": {"annotation": "example.com/addresses"},
        }
        for name in ("default", "shop/blue", "lan")
        if random.random() < 0.6
    }
    entry = {"port": random.choice(("p1", "p2", "\x1b")), "addresses": ["10.0.0.1", "fd00::1"][: random.randrange(3)]}
    found: Document = {"networks": networks, "pods": {"shop/a": {"default": entry}}}
    while random.random() < 0.4:
        mutate(random, found)
    return found


def node(random: Random) -> Document:
    """A Node."""
    annotations = {"k8s.ovn.org/zone-name": random.choice(NODES)}
    return {"apiVersion": "v1", "kind": "Node", "metadata": _metadata(random, annotations=annotations)}


def attachment(random: Random) -> Document:
    """A NetworkAttachmentDefinition."""
    metadata = _namespaced(random)
    metadata["name"] = random.choice(NETWORKS)
    config = {
        "cniVersion": "1.0.0",
        "name": random.choice(("tenant", "blue.net", "a/b")),
        "type": random.choice(("ovn-k8s-cni-overlay", "ovn-k8s-cni-overlay", "kube-ovn", "macvlan")),
        "topology": random.choice(("layer3", "layer2", "localnet")),
        "subnets": random.choice(("10.1.0.0/16", "10.1.0.0/16/24,fd01::/48/64", "fd01::/64", "")),
        "netAttachDefName": f"{metadata['namespace']}/{metadata['name']}",
        "role": random.choice(("primary", "secondary")),
        "mtu": random.choice((1400, 9000, 0)),
    }
    if random.random() < 0.2:
        mutate(random, config)
    return {
        "apiVersion": "k8s.cni.cncf.io/v1",
        "kind": "NetworkAttachmentDefinition",
        "metadata": metadata,
        "spec": {"config": json.dumps(config)},
    }
