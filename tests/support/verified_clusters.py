"""Clusters whose Northbound is held against what objects promise: rows of ours, and of ovn-kubernetes' controller.

Its rows are written from their documented form: direction, priority, match, external_ids, sets; not from its code.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from netaddr import IPAddress, IPNetwork

from ovnqos import (
    Bandwidth,
    Classifier,
    Compiler,
    IPBlock,
    NetworkQoS,
    Owner,
    Pod,
    PodPeer,
    PortMatch,
    Protocol,
    Rule,
    Snapshot,
)
from ovnqos.controller import ActualRow, ActualSet
from ovnqos.plan.snapshot import RowContent, SetContent, SetKind
from ovnqos.southbound.contents import SouthboundContents, SwitchDatapath, SwitchPort
from ovnqos.verify import ObjectReport, verify_objects
from ovnqos.verify.packets import SwitchPorts
from tests.support.cluster import compiled, labels, pod
from tests.support.database import stored
from tests.support.label_oracle import selects
from tests.support.policy_oracle import Cluster

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from random import Random

    from ovnqos import DesiredState
    from ovnqos.match import Packet
    from ovnqos.verify.proof import Tracer

NODES: Final = ("node1", "node2", "node3")
STAGES: Final = {"split": ("ls_out_qos_mark", "ls_out_qos_meter"), "joined": ("ls_out_qos",)}
_ROUTER: Final = "0a:00:00:00:ff:ff"
_CIDRS: Final = (
    "0.0.0.0/0",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "203.0.113.0/24",
    "203.0.113.9/32",
    "2001:db8::/32",
    "::/0",
)


def ports_of(cluster: Cluster) -> dict[str, dict[str, SwitchPort]]:
    """The ports of each switch: those of pods, and one to a router where each node has a switch."""
    found: dict[str, dict[str, SwitchPort]] = {}
    for number, one in enumerate(cluster.interfaces):
        if one.network is None or not one.switch:
            continue
        mac = f"0a:00:00:00:{number >> 8:02x}:{number & 255:02x}"
        ports = found.setdefault(one.switch, {})
        ports[one.port] = SwitchPort(name=one.port, mac=mac, addresses=one.addresses, chassis=one.pod.node)
        if one.network[1] == "layer3":
            ports[f"stor-{one.switch}"] = SwitchPort(name=f"stor-{one.switch}", kind="patch", mac=_ROUTER)
    return found


def southbound_of(cluster: Cluster, layout: str = "split") -> SouthboundContents:
    """The Southbound of a cluster, whose OVN looks rows up in one of the `STAGES`; its flows are not looked at."""
    return SouthboundContents(
        nb_cfg=0,
        stages=frozenset(STAGES[layout]),
        flows=(),
        switches={
            f"uuid-of-switch-{name}": SwitchDatapath(uuid=name, ports=ports)
            for name, ports in ports_of(cluster).items()
        },
        chassis=(),
        address_sets={},
        port_groups={},
    )


def snapshot_of_ours(compiler: Compiler, cluster: Cluster) -> Snapshot:
    """A Northbound that holds what the compiler desires."""
    return snapshot_of(compiler.desired(), compiler.owner, cluster)


def snapshot_of(desired: DesiredState, owner: Owner, cluster: Cluster) -> Snapshot:
    """A Northbound that holds these rows, as far as their switches and ports are there."""
    ports = ports_of(cluster)
    names = [name for on_switch in ports.values() for name in on_switch]
    return stored(desired, owner, ports, names).snapshot(owner)


def natural(packet: Packet, ports: Mapping[str, SwitchPort]) -> Packet | None:
    """The packet with the port by which OVN sends it out; None where that is not known."""
    switch = SwitchPorts(ports)
    outport = switch.next_port(packet.inport, packet.destination, None)
    known = replace(packet, outport=outport.name if outport is not None else "")
    return known if switch.is_natural(known) else None


def verified(
    compiler: Compiler,
    cluster: Cluster,
    snapshot: Snapshot,
    layout: str = "split",
    *,
    tracer: Tracer | None = None,
    without_meter: Collection[str] = (),
) -> ObjectReport:
    """The verdict on all objects of a cluster."""
    contents, promises = southbound_of(cluster, layout), compiler.promises()
    return verify_objects(promises, compiler.inventory, snapshot, contents, tracer=tracer, without_meter=without_meter)


# What ovn-kubernetes' controller writes


@dataclass
class UpstreamNorthbound:
    """Rows and sets as ovn-kubernetes' NetworkQoS controller writes them for the default network."""

    cluster: Cluster
    rows: list[ActualRow] = field(default_factory=list)
    sets: dict[tuple[SetKind, str], ActualSet] = field(default_factory=dict)

    @classmethod
    def of(cls, policies: Iterable[NetworkQoS], cluster: Cluster) -> UpstreamNorthbound:
        """Write the rows of policies: of each rule one on every node's switch, source pods there or not."""
        northbound = cls(cluster)
        for policy in policies:
            for index in range(len(policy.rules)):
                for node in NODES:
                    northbound._add(policy, index, node)
        return northbound

    def snapshot(self, owner: Owner | None = None) -> Snapshot:
        """In the eyes of another owner."""
        return Snapshot(
            owner=owner or Owner(),
            foreign_rows=tuple(self.rows),
            foreign_sets=self.sets,
            switches={name: f"uuid-of-switch-{name}" for name in ports_of(self.cluster)},
        )

    def _add(self, policy: NetworkQoS, index: int, node: str) -> None:
        rule = policy.rules[index]
        controller = "default-network-controller"
        identity = f"{controller}:NetworkQoS:{policy.namespace}:{policy.name}:{index}"
        source = self._sources(policy, node)
        parts = [source, *self._destinations(policy, index), *self._ports(rule)]
        bandwidth = {} if rule.bandwidth is None else {"rate": rule.bandwidth.rate_kbps}
        if rule.bandwidth is not None and rule.bandwidth.burst_kbit:
            bandwidth["burst"] = rule.bandwidth.burst_kbit
        content = RowContent(
            direction="to-lport",
            priority=10_000 + 10 * policy.priority + index,
            match=" && ".join(parts),
            action={"dscp": rule.dscp or 0},
            bandwidth=bandwidth,
            external_ids={
                "k8s.ovn.org/owner-controller": controller,
                "k8s.ovn.org/owner-type": "NetworkQoS",
                "k8s.ovn.org/name": f"{policy.namespace}:{policy.name}",
                "rule-index": str(index),
                "k8s.ovn.org/id": identity,
            },
        )
        self.rows.append(ActualRow(uuid=f"{len(self.rows):08d}-{node}", content=content, switches=frozenset({node})))

    def _sources(self, policy: NetworkQoS, node: str) -> str:
        pods = [
            one for one in self._pods(policy.namespace) if one.node == node and selects(policy.pod_selector, one.labels)
        ]
        return self._in_sets(f"{policy.namespace}:{policy.name}:src:0:{node}", pods, "src")

    def _destinations(self, policy: NetworkQoS, index: int) -> Iterator[str]:
        destinations = policy.rules[index].classifier.destinations
        found = []
        for number, peer in enumerate(destinations or ()):
            if isinstance(peer, PodPeer):
                pods = [
                    one
                    for one in self.cluster.pods
                    if (peer.namespace_selector is not None or one.namespace == policy.namespace)
                    and (
                        peer.namespace_selector is None
                        or selects(peer.namespace_selector, self.cluster.namespace_labels(one.namespace))
                    )
                    and (peer.pod_selector is None or selects(peer.pod_selector, one.labels))
                    and not one.host_network
                ]
                found.append(self._in_sets(f"{policy.namespace}:{policy.name}:{index}:{number}", pods, "dst"))
            else:
                field_ = f"ip{peer.cidr.version}.dst"
                text = f"{field_} == {peer.cidr}"
                if peer.excluded:
                    text += f" && {field_} != {{{','.join(map(str, peer.excluded))}}}"
                found.append(text)
        if len(found) == 1:
            yield found[0]
        elif found:
            yield "(" + " || ".join(f"({one})" for one in found) + ")"

    @staticmethod
    def _ports(rule: Rule) -> Iterator[str]:
        ports: dict[str, list[int]] = {}
        for one in rule.classifier.ports or ():
            assert one.protocol is not None
            ports.setdefault(one.protocol.lower(), []).extend(() if one.port is None else (one.port,))
        found = [
            f"{name} && {name}.dst == {{{','.join(map(str, numbers))}}}" if numbers else name
            for name, numbers in sorted(ports.items())
        ]
        if len(found) == 1:
            yield found[0]
        elif found:
            yield "(" + " || ".join(f"({one})" for one in found) + ")"

    def _pods(self, namespace: str) -> Iterator[Pod]:
        """Those of a namespace; completed ones keep their addresses in the sets."""
        return (one for one in self.cluster.pods if one.namespace == namespace and not one.host_network)

    def _in_sets(self, identity: str, pods: Iterable[Pod], side: str) -> str:
        addresses = [address for one in pods for address in _addresses(one)]
        parts = []
        for version in (4, 6):
            name = f"a{_fnv1a(f'{identity}:v{version}')}"
            members = frozenset(str(one) for one in addresses if one.version == version)
            content = SetContent(kind=SetKind.ADDRESS_SET, name=name, members=members, external_ids={"id": identity})
            self.sets[SetKind.ADDRESS_SET, name] = ActualSet(uuid=name, content=content)
            if version == 4 or any(":" in str(address) for one in self.cluster.pods for address in _addresses(one)):
                parts.append(f"ip{version}.{side} == {{${name}}}")
        return parts[0] if len(parts) == 1 else f"({' || '.join(parts)})"


def _addresses(one: Pod) -> list[IPAddress]:
    finished = replace(one, phase="Running")
    return [
        address
        for interface in Cluster(pods=(finished,), namespaces=(), attachments=()).interfaces
        for address in interface.addresses
        if interface.attachment == "default"
    ]


def _fnv1a(text: str) -> int:
    found = 0xCBF29CE484222325
    for byte in text.encode():
        found = (found ^ byte) * 0x100000001B3 % (1 << 64)
    return found


# Random clusters without what that controller is known to get wrong


def ordinary_cluster(random: Random) -> Cluster:
    """Pods of the default network with addresses of their own: dual stack or not, some of them completed."""
    dual = random.random() < 0.5
    pods = []
    for number in range(1, random.randint(5, 12)):
        addresses = [f"10.0.0.{number}", *([f"fd00::{number}"] if dual else [])]
        pods.append(
            pod(
                f"p{number}",
                *addresses,
                namespace=random.choice(("shop", "shop", "bank")),
                node=random.choice(NODES),
                labels={"app": random.choice("ab"), "tier": random.choice("xy")},
                phase=random.choice(("Running",) * 6 + ("Succeeded",)),
            )
        )
    return Cluster(pods=tuple(pods), namespaces=(), attachments=())


def ordinary_policies(random: Random) -> list[NetworkQoS]:
    """Objects as their guide shows them: priorities apart, ports with `to` and protocol, selectors with labels."""
    priorities = random.sample(range(1, 100), 3)
    return [
        NetworkQoS(
            namespace=random.choice(("shop", "bank")),
            name=name,
            priority=priority,
            rules=tuple(_rule(random) for _ in range(random.randint(1, 3))),
            pod_selector=labels(app=random.choice("ab")) if random.random() < 0.7 else labels(),
        )
        for name, priority in zip(("gold", "silver", "lead"), priorities, strict=True)
    ]


def _rule(random: Random) -> Rule:
    destinations = tuple(_peer(random) for _ in range(random.choice((0, 1, 1, 2))))
    limit = Bandwidth(rate_kbps=random.randint(1, 9) * 1_000, burst_kbit=random.choice((None, 500)))
    return Rule(
        dscp=random.randint(0, 63),
        bandwidth=limit if random.random() < 0.5 else None,
        classifier=Classifier(
            destinations=destinations or None,
            ports=_ports(random) if destinations and random.random() < 0.5 else None,
        ),
    )


def _peer(random: Random) -> IPBlock | PodPeer:
    if random.random() < 0.6:
        cidr = IPNetwork(random.choice(_CIDRS))
        inside = [IPNetwork(text) for text in _CIDRS if IPNetwork(text) in cidr and IPNetwork(text) != cidr]
        return IPBlock(cidr=cidr, excluded=tuple(random.sample(inside, min(len(inside), random.randint(0, 2)))))
    pods, spaces = labels(app=random.choice("ab")), labels(**{"kubernetes.io/metadata.name": "shop"})
    return random.choice(
        (
            PodPeer(pod_selector=pods),
            PodPeer(namespace_selector=spaces),
            PodPeer(pod_selector=pods, namespace_selector=spaces),
        )
    )


def _ports(random: Random) -> tuple[PortMatch, ...]:
    return random.choice(
        (
            (PortMatch(protocol=Protocol.TCP, port=80), PortMatch(protocol=Protocol.TCP, port=443)),
            (PortMatch(protocol=Protocol.UDP),),
            (PortMatch(protocol=Protocol.UDP, port=53), PortMatch(protocol=Protocol.TCP, port=80)),
        )
    )


def compiler_of(policies: Iterable[NetworkQoS], cluster: Cluster) -> Compiler:
    """A compiler with a cluster's objects."""
    return compiled(policies, *cluster.objects, nodes=cluster.zone_nodes)
