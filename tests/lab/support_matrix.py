"""The cluster that the traffic matrix is measured in: its networks, its pods, and where packets can go."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

from ovnqos.sandbox import Marks, Probe, read_marks
from tests.lab.support_networks import (
    DEFAULT_NETWORK,
    FRIENDS,
    NETWORKS,
    OTHER_NODE,
    OUTSIDE,
    OWN,
    SAME_NODE,
    VERSIONS,
    MatrixNetwork,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ovnqos.sandbox import Host, Sandbox, SandboxPod
    from tests.lab.support_cluster import LabCluster

LIMITED: Final = {"app": "limited"}
"""The labels of the pods that the policies select."""

_PROBES_AT_A_TIME: Final = 4
_NODE_OF: Final = {SAME_NODE: "ovn-worker", OTHER_NODE: "ovn-worker2"}
_SUFFIX_OF: Final = {SAME_NODE: "near", OTHER_NODE: "far"}
_SENDERS: Final = {
    "sender": ("ovn-worker", LIMITED),
    "second": ("ovn-worker", LIMITED),
    "distant": ("ovn-worker2", LIMITED),
    "bystander": ("ovn-worker", {"app": "free"}),
}
_RECEIVERS: Final = {
    "target": (OWN, "target"),
    "other": (OWN, "other"),
    "friend": (FRIENDS, "target"),
    "stranger": (FRIENDS, "other"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Somebody who receives, at one of its addresses."""

    receiver: Host
    address: str


class Matrix:
    """The pods of the matrix, wired to all networks of their namespace.

    Senders, all in namespace `OWN`: `sender` and `second` on the first node, `distant` on the other, which policies
    select; `bystander`, which none does. Receivers, one of each on both nodes: `target` and `other` in `OWN`, `friend`
    and `stranger` in `FRIENDS`; `target` and `friend` have the label `role: target`, the others `role: other`.

    Attributes:
        cluster: its cluster.
    """

    def __init__(self, cluster: LabCluster) -> None:
        """Builds the networks and pods."""
        self.cluster = cluster
        self._pods = 0
        cluster.add_namespace(OWN, {"team": "own"})
        cluster.add_namespace(FRIENDS, {"team": "friends"})
        for network in NETWORKS:
            if network.definition is not None:
                cluster.add_network(network.definition)
            for addresses in network.outside.values():
                for address in addresses.values():
                    cluster.sandbox.outside.add_address(address)
        for name, (node, labels) in _SENDERS.items():
            self.add_pod(name, OWN, node, labels)
        for kind, (namespace, role) in _RECEIVERS.items():
            for place, suffix in _SUFFIX_OF.items():
                self.add_pod(f"{kind}-{suffix}", namespace, _NODE_OF[place], {"role": role})

    def add_pod(self, name: str, namespace: str, node: str, labels: Mapping[str, str]) -> SandboxPod:
        """One more pod."""
        pod = self.wire_pod(name, namespace, node)
        self.cluster.show_pod(pod, labels)
        return pod

    def wire_pod(self, name: str, namespace: str, node: str) -> SandboxPod:
        """One more pod, which the library does not see yet."""
        networks = [network for network in NETWORKS if namespace in network.namespaces]
        keys = [network.key for network in networks]
        pod = self.cluster.wire_pod(name, node=node, namespace=namespace, networks=keys)
        for network in networks:
            if not network.has_ipam:
                for version in VERSIONS:
                    address = network.address_by_hand(self._pods, version)
                    pod.add_address(address, interface=pod.interface_on(network.key))
            if network.key != DEFAULT_NETWORK.key:
                self._lead_outside(pod, network)
        self._pods += 1
        return pod

    @staticmethod
    def _lead_outside(pod: SandboxPod, network: MatrixNetwork) -> None:
        """Routes to the network's own addresses outside; all others go by the default network."""
        hops = {6 if ":" in gateway else 4: gateway for gateway in pod.attachment(network.key).gateways}
        routes = (
            (address, hops[version])
            for addresses in network.outside.values()
            for version, address in addresses.items()
            if version in hops
        )
        pod.add_routes(routes)

    def sender(self, name: str) -> SandboxPod:
        """A pod of namespace `OWN`."""
        return self.cluster.pods[f"{OWN}/{name}"]

    def destination(self, network: MatrixNetwork, place: str, kind: str, version: int) -> Destination:
        """The receiver of a kind (`target`, `other`, `friend`, `stranger`) at a place that has one."""
        if place == OUTSIDE:
            address = network.outside_address(kind, version)
            assert address is not None
            return Destination(receiver=self.cluster.sandbox.outside, address=address)
        pod = self.cluster.pods[f"{_RECEIVERS[kind][0]}/{kind}-{_SUFFIX_OF[place]}"]
        return Destination(receiver=pod, address=pod.address_on(network.key, version=version))

    def target(self, network: MatrixNetwork, place: str, version: int) -> Destination:
        """The `target` at a place that the network reaches."""
        return self.destination(network, place, "target", version)

    def at_sender(self, network: MatrixNetwork, name: str, version: int) -> Destination:
        """A sender, as somebody who receives."""
        pod = self.sender(name)
        return Destination(receiver=pod, address=pod.address_on(network.key, version=version))

    def addresses(self, network: MatrixNetwork, kind: str, version: int) -> Iterator[str]:
        """All addresses of a kind of receiver on a network, of one IP version."""
        for place in network.places:
            if has_destination(network, place, kind, version):
                yield self.destination(network, place, kind, version).address


def has_destination(network: MatrixNetwork, place: str, kind: str, version: int) -> bool:
    """Whether there is a receiver of a kind at a place."""
    if place == OUTSIDE:
        return network.outside_address(kind, version) is not None
    return _RECEIVERS[kind][0] in network.namespaces


def whole(addresses: Iterable[str]) -> list[str]:
    """Each address as the CIDR that holds it alone."""
    return [f"{address}/{128 if ':' in address else 32}" for address in addresses]


def expected_marks(dscp: int, place: str) -> Marks:
    """What the packets of a mark should carry: there, and on the wire where they cross it."""
    seen = frozenset([dscp << 2])
    return Marks(received=seen, wire=frozenset() if place == SAME_NODE else seen)


def all_marks(sandbox: Sandbox, probes: Iterable[Probe]) -> Iterator[Marks]:
    """What the packets of each probe carry, some probes at a time; no two are of the same packets."""
    with ThreadPoolExecutor(_PROBES_AT_A_TIME) as pool:
        yield from pool.map(partial(read_marks, sandbox), probes)


def probe(sender: SandboxPod, to: Destination, protocol: Literal["icmp", "udp", "tcp"], port: int = 5000) -> Probe:
    """A few packets from a pod."""
    return Probe(sender=sender, receiver=to.receiver, address=to.address, protocol=protocol, port=port)
