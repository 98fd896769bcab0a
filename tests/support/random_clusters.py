"""Random small clusters, policies and packets, so close together that they often meet.

Plain functions of a `random.Random`, since hypothesis' own strategies take twenty times as long for values this large.
`RANDOMS` draws the generator; with `use_true_random=False` there a failure shrinks.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from hypothesis import strategies as st
from netaddr import IPAddress, IPNetwork

from ovnqos import (
    Bandwidth,
    BandwidthScope,
    Classifier,
    IPBlock,
    LabelSelector,
    Namespace,
    NetworkAttachmentDefinition,
    NetworkQoS,
    NetworkSelectionType,
    NetworkSelector,
    Pod,
    PodPeer,
    PortMatch,
    Protocol,
    Rule,
)
from ovnqos.controller import NetworkTopology, Operator, Requirement
from ovnqos.diagnostics import Code, Diagnostic, ObjectRef
from ovnqos.model.networks import NetworkRole
from ovnqos.model.workloads import NO_POD_QOS, PodQos
from tests.support.cluster import POD_NETWORKS, attachment, mac_address, pod_networks
from tests.support.packets import GROUP, Packet
from tests.support.policy_oracle import NAME_LABEL, Cluster

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

_WEB = ObjectRef(kind="Pod", namespace="shop", name="web")
_WRONG = Diagnostic.error(_WEB, Code.INVALID_FIELD, "is wrong", path="metadata.annotations[x]")
RANDOMS = st.randoms(use_true_random=True)

KEYS = ("app", "tier", "team")
VALUES = ("a", "b", "")
NAMESPACES = ("shop", "shop", "shop", "bank", "lab")
NODES = ("node1", "node2", "node3")
V4_POOL = tuple(f"10.0.0.{host}" for host in range(8))
V6_POOL = tuple(f"fd00::{host}" for host in range(8))
OUTSIDE = ("172.16.0.1", "172.31.255.255", "203.0.113.9", "2001:db8::9", "::1")
V4_CIDRS = ("0.0.0.0/0", "10.0.0.0/29", "10.0.0.4/30", "10.0.0.5/32", "172.16.0.0/12", "172.16.0.1/32", "128.0.0.0/1")
V6_CIDRS = ("::/0", "fd00::/125", "fd00::4/126", "fd00::5/128", "2001:db8::/32", "8000::/1")
_ATTACHED = (
    ("default",),
    ("default",),
    ("default", "shop/blue"),
    ("default", "bank/dual"),
    ("default", "lab/blue-too", "lab/no-ipam"),
    ("shop/blue", "lab/blue-too", "bank/dual"),
    ("default", "lab/macvlan", "lab/unknown"),
    ("default", "lab/no-ipam", "lab/no-ipam/1"),
    ("default", "shop/flat", "bank/flat-too"),
    ("default", "shop/flat", "shop/flat/1", "lab/wire"),
    ("default", "bank/blue-flat", "shop/blue"),
    (),
)
_FAMILIES = ((4,), (6,), (4, 6), (4, 6))
_FAMILIES_OF = {"default": _FAMILIES, "bank/dual": _FAMILIES, "lab/no-ipam": ((), *_FAMILIES)}
_DECLARED = (
    "shop/blue",
    "lab/blue-too",
    "bank/dual",
    "lab/no-ipam",
    "lab/macvlan",
    "shop/flat",
    "bank/flat-too",
    "lab/wire",
    "bank/blue-flat",
)
_MADE_BY = ("", "UserDefinedNetwork", "ClusterUserDefinedNetwork")
_T = TypeVar("_T")


def _some(random: Random, make: Callable[[Random], _T], low: int, high: int) -> tuple[_T, ...]:
    return tuple(make(random) for _ in range(random.randint(low, high)))


def label_map(random: Random) -> dict[str, str]:
    """Labels of few keys and values, one value empty."""
    return {key: random.choice(VALUES) for key in KEYS if random.random() < 0.5}


def requirement(random: Random) -> Requirement:
    """A valid requirement."""
    operator = random.choice(list(Operator))
    valued = operator in {Operator.IN, Operator.NOT_IN}
    values = random.sample(VALUES, random.randint(1, 3)) if valued else ()
    return Requirement(key=random.choice(KEYS), operator=operator, values=frozenset(values))


def selector(random: Random) -> LabelSelector:
    """A selector, one in three of them empty."""
    return LabelSelector.of(_some(random, requirement, 0, 2))


def namespace_selector(random: Random) -> LabelSelector:
    """A selector, often of a namespace by its name."""
    if random.random() < 0.4:
        return LabelSelector.from_labels({NAME_LABEL: random.choice(NAMESPACES)})
    return selector(random)


def pod(random: Random) -> Pod:
    """A pod of few names, on none to three networks; finished ones and those of the host network among them."""
    networks = {
        key: [
            random.choice(V4_POOL if family == 4 else V6_POOL)
            for family in random.choice(_FAMILIES_OF.get(key, ((4,),)))
        ]
        for key in random.choice(_ATTACHED)
    }
    return Pod(
        namespace=random.choice(NAMESPACES),
        name=random.choice("pqrstuvw"),
        node=random.choice((*NODES, *NODES, *NODES, "")),
        labels=label_map(random),
        annotations={POD_NETWORKS: pod_networks(networks)} if networks else {},
        host_network=random.random() < 0.06,
        phase=random.choice(("Running",) * 7 + ("Pending", "Succeeded", "Failed")),
        qos=pod_qos(random),
    )


def tenant(random: Random) -> Pod | NetworkAttachmentDefinition | NetworkQoS:
    """A limited pod of a primary layer2 network, that network, or a policy that takes all of its traffic."""
    kind = random.random()
    if kind < 0.2:
        return attachment(
            "shop/flat", "10.0.0.0/16", network="flat", topology=NetworkTopology.LAYER2, role=NetworkRole.PRIMARY
        )
    if kind < 0.6:
        networks = {"default": ["10.0.0.1"], "shop/flat": [random.choice(V4_POOL)]}
        limits = PodQos(egress=Bandwidth(rate_kbps=random.randint(1, 9)))
        return replace(pod(random), namespace="shop", annotations={POD_NETWORKS: pod_networks(networks)}, qos=limits)
    whole = replace(rule(random), classifier=Classifier())
    return replace(policy(random), namespace="shop", rules=(*_some(random, rule, 0, 1), whole))


def pod_qos(random: Random) -> PodQos:
    """Half of the time nothing; else limits, a mark, something wrong, or several of them."""
    if random.random() < 0.5:
        return NO_POD_QOS

    def limit() -> Bandwidth | None:
        return Bandwidth(rate_kbps=random.randint(1, 9)) if random.random() < 0.5 else None

    wrong = (_WRONG,) if random.random() < 0.2 else ()
    dscp = random.randint(0, 63) if random.random() < 0.4 else None
    return PodQos(ingress=limit(), egress=limit(), dscp=dscp, diagnostics=wrong)


def namespace(random: Random) -> Namespace:
    """A namespace; half of them are as in a manifest, without the name label that the API server adds."""
    name = random.choice(NAMESPACES)
    implied = {NAME_LABEL: name} if random.random() < 0.5 else {}
    return Namespace(name=name, labels={**label_map(random), **implied}, qos=pod_qos(random))


def nad(random: Random) -> NetworkAttachmentDefinition:
    """A NAD, generated from a UDN or CUDN or not.

    Some of them are of one network, of which one disagrees about its layout; one is not OVN's.
    """
    key = random.choice(_DECLARED)
    labels = label_map(random)
    given: dict[str, Any] = {
        "labels": labels,
        "owner": random.choice(_MADE_BY),
        "role": random.choice((NetworkRole.PRIMARY, *NetworkRole)),
    }
    match key:
        case "shop/blue" | "lab/blue-too":
            return attachment(key, *random.choice(((), ("10.0.0.0/16",))), network="blue", **given)
        case "bank/blue-flat":
            return attachment(key, network="blue", topology=NetworkTopology.LAYER2, **given)
        case "shop/flat" | "bank/flat-too":
            return attachment(key, "10.0.0.0/16", network="flat", topology=NetworkTopology.LAYER2, **given)
        case "lab/wire":
            topology = random.choice((NetworkTopology.LOCALNET, NetworkTopology.LAYER3))
            return attachment(key, *random.choice(((), ("10.0.0.0/16",))), topology=topology, **given)
        case "bank/dual":
            return attachment(key, "10.0.0.0/16", "fd00::/64", network="dual/one-two", **given)
        case "lab/no-ipam":
            return attachment(key, **given)
    space, name = key.split("/")
    return NetworkAttachmentDefinition(namespace=space, name=name, labels=labels, plugin="macvlan", ovn=None)


def cluster(random: Random) -> Cluster:
    """A cluster, of which all nodes or some are in the zone."""
    return Cluster(
        pods=tuple({one.key: one for one in _some(random, pod, 3, 12)}.values()),
        namespaces=tuple({one.name: one for one in _some(random, namespace, 0, 4)}.values()),
        attachments=tuple({one.key: one for one in _some(random, nad, 2, 8)}.values()),
        zone_nodes=random.choice((None, None, frozenset(random.sample(NODES, 2)))),
    )


def block(random: Random) -> IPBlock:
    """An ipBlock of either family, with up to three exceptions inside it."""
    pool = random.choice((V4_CIDRS, V4_CIDRS, V6_CIDRS))
    cidr = IPNetwork(random.choice(pool))
    inside = [IPNetwork(text) for text in pool if IPNetwork(text) in cidr]
    excluded = tuple(random.choice(inside) for _ in range(random.choice((0, 0, 1, 2, 3))))
    return IPBlock(cidr=cidr, excluded=excluded)


def peer(random: Random) -> PodPeer:
    """Pods by either selector, both, or (seldom) none."""
    by_pods, by_namespaces = random.choice(((True, False), (False, True), (True, True), (True, True), (False, False)))
    return PodPeer(
        pod_selector=selector(random) if by_pods else None,
        namespace_selector=namespace_selector(random) if by_namespaces else None,
    )


def port_match(random: Random) -> PortMatch:
    """A protocol, a port or a range of ports, or both."""
    protocol, port = random.choice(list(Protocol)), random.choice((22, 80, 443))
    ports = replace(PortMatch(port=port), end_port=random.choice((None, None, port, 443, 65_535)))
    return random.choice((PortMatch(protocol=protocol), ports, replace(ports, protocol=protocol)))


def rule(random: Random) -> Rule:
    """A rule with a mark, a limit, both, or (seldom) neither."""
    marked, limited = random.choice(((True, False), (True, True), (False, True), (True, True), (False, False)))
    burst = random.choice((None, random.randint(1, 1_000_000)))
    return Rule(
        dscp=random.randint(0, 63) if marked else None,
        bandwidth=Bandwidth(rate_kbps=random.randint(1, 1_000_000), burst_kbit=burst) if limited else None,
        classifier=Classifier(
            destinations=_some(random, random.choice((block, peer)), 0, 3) if random.random() < 0.6 else None,
            sources=_some(random, block, 1, 2) if random.random() < 0.25 else None,
            ports=_some(random, port_match, 1, 3) if random.random() < 0.35 else None,
        ),
    )


def network_selector(random: Random) -> NetworkSelector:
    """An entry of any of the five types, NADs the most."""
    kind = random.choice((*NetworkSelectionType, NetworkSelectionType.NETWORK_ATTACHMENT_DEFINITIONS))
    by_namespace = kind not in {
        NetworkSelectionType.DEFAULT_NETWORK,
        NetworkSelectionType.CLUSTER_USER_DEFINED_NETWORKS,
    }
    by_network = kind not in {
        NetworkSelectionType.DEFAULT_NETWORK,
        NetworkSelectionType.PRIMARY_USER_DEFINED_NETWORKS,
    }
    return NetworkSelector(
        type=kind,
        namespace_selector=namespace_selector(random) if by_namespace else None,
        network_selector=selector(random) if by_network else None,
    )


def policy(random: Random) -> NetworkQoS:
    """A policy of a few rules."""
    return NetworkQoS(
        namespace=random.choice(NAMESPACES),
        name=random.choice(("gold", "silver", "lead")),
        priority=random.choice((0, 1, 2, 99, 100)),
        rules=_some(random, rule, 1, 4),
        pod_selector=selector(random),
        network_selectors=_some(random, network_selector, 1, 2) if random.random() < 0.4 else None,
        bandwidth_scope=random.choice((BandwidthScope.POLICY, BandwidthScope.POLICY, BandwidthScope.POD)),
    )


def policies(random: Random) -> list[NetworkQoS]:
    """Policies of different names."""
    return list({one.key: one for one in _some(random, policy, 1, 5)}.values())


def packet(random: Random, around: Cluster) -> Packet:
    """A packet from a port of the cluster, mostly; its source may be spoofed, its destination anywhere."""
    switch, inport = random.choice(NODES), "shop_nobody"
    if around.interfaces and random.random() < 0.95:
        chosen = random.choice(around.interfaces)
        switch, inport = chosen.switch, chosen.port
    pool = random.choice((V4_POOL, V4_POOL, V6_POOL))
    version = IPAddress(pool[0]).version
    outside = [text for text in OUTSIDE if IPAddress(text).version == version]
    protocol = random.choice(("tcp", "udp", "sctp", "icmp"))
    return Packet(
        switch=switch,
        inport=inport,
        source=IPAddress(random.choice((*pool, *outside))),
        destination=IPAddress(random.choice((*pool, *outside))),
        protocol=protocol,
        destination_port=None if protocol == "icmp" else random.choice((22, 80, 443)),
        next_hop=random.choice((GROUP, *map(mac_address, pool))),
    )
