"""The cluster that the traffic matrix is measured in: its networks, its pods, and where packets can go.

A further topology is one more entry of `NETWORKS`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from ovnqos.sandbox import Marks, Probe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ovnqos.sandbox import Host, Pod
    from tests.lab.support_cluster import Document, LabCluster

OWN: Final = "matrix"
"""The namespace of the policies and of the pods that they select."""
FRIENDS: Final = "matrix-friends"
"""Another namespace, with the label `team: friends`."""
LIMITED: Final = {"app": "limited"}
"""The labels of the pods that the policies select."""

SAME_NODE: Final = "same node"
OTHER_NODE: Final = "other node"
OUTSIDE: Final = "outside"
VERSIONS: Final = (4, 6)

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
class MatrixNetwork:
    """One network of the matrix.

    Attributes:
        title: its name in the table.
        key: in the annotation `k8s.ovn.org/pod-networks`.
        selector: what selects exactly it, an entry of `networkSelectors`.
        definition: its NetworkAttachmentDefinition; None for the default network.
        outside: the outside host's addresses `target` and `other`, of each IP version; empty if it has no way out.
    """

    title: str
    key: str
    selector: Document
    definition: Document | None = None
    outside: Mapping[str, Mapping[int, str]] = field(default_factory=dict)

    @property
    def places(self) -> tuple[str, ...]:
        """Where its packets can go."""
        return (SAME_NODE, OTHER_NODE, OUTSIDE) if self.outside else (SAME_NODE, OTHER_NODE)


def _attachment(title: str, name: str, **config: object) -> MatrixNetwork:
    key = f"{OWN}/{name}"
    whole = {"cniVersion": "1.0.0", "name": name, "type": "ovn-k8s-cni-overlay", "netAttachDefName": key} | config
    labels = {"network": name}
    selected = {"namespaceSelector": {}, "networkSelector": {"matchLabels": labels}}
    return MatrixNetwork(
        title=title,
        key=key,
        selector={
            "networkSelectionType": "NetworkAttachmentDefinitions",
            "networkAttachmentDefinitionSelector": selected,
        },
        definition={
            "apiVersion": "k8s.cni.cncf.io/v1",
            "kind": "NetworkAttachmentDefinition",
            "metadata": {"name": name, "namespace": OWN, "labels": labels},
            "spec": {"config": json.dumps(whole)},
        },
    )


DEFAULT_NETWORK: Final = MatrixNetwork(
    title="default network",
    key="default",
    selector={"networkSelectionType": "DefaultNetwork"},
    outside={
        "target": {4: "198.51.100.10", 6: "2001:db8:51::10"},
        "other": {4: "198.51.100.20", 6: "2001:db8:51::20"},
    },
)
LAYER3_ATTACHMENT: Final = _attachment(
    "layer3 attachment", "overlay", topology="layer3", subnets="10.145.0.0/16/24,fd10:145::/48/64"
)
NETWORKS: Final = (DEFAULT_NETWORK, LAYER3_ATTACHMENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Somebody who receives, at one of its addresses."""

    receiver: Host
    address: str


class Matrix:
    """The pods of the matrix, wired to all its networks.

    Senders, all in namespace `OWN`: `sender` and `second` on the first node, `distant` on the other, which policies
    select; `bystander`, which none does. Receivers, one of each on both nodes: `target` and `other` in `OWN`, `friend`
    and `stranger` in `FRIENDS`; `target` and `friend` have the label `role: target`, the others `role: other`.

    Attributes:
        cluster: its cluster.
    """

    def __init__(self, cluster: LabCluster) -> None:
        """Builds the networks and pods."""
        self.cluster = cluster
        cluster.add_namespace(OWN, {"team": "own"})
        cluster.add_namespace(FRIENDS, {"team": "friends"})
        for network in NETWORKS:
            if network.definition is not None:
                cluster.add_network(network.definition)
            for addresses in network.outside.values():
                for version, address in addresses.items():
                    cluster.sandbox.outside.add_address(f"{address}/{32 if version == 4 else 128}")
        for name, (node, labels) in _SENDERS.items():
            self.add_pod(name, OWN, node, labels)
        for kind, (namespace, role) in _RECEIVERS.items():
            for place, suffix in _SUFFIX_OF.items():
                self.add_pod(f"{kind}-{suffix}", namespace, _NODE_OF[place], {"role": role})

    def add_pod(self, name: str, namespace: str, node: str, labels: Mapping[str, str]) -> Pod:
        """One more pod on all networks of the matrix."""
        keys = [network.key for network in NETWORKS]
        return self.cluster.add_pod(name, node=node, namespace=namespace, labels=labels, networks=keys)

    def sender(self, name: str) -> Pod:
        """A pod of namespace `OWN`."""
        return self.cluster.pods[f"{OWN}/{name}"]

    def destination(self, network: MatrixNetwork, place: str, kind: str, version: int) -> Destination | None:
        """The receiver of a kind (`target`, `other`, `friend`, `stranger`) at a place; None if there is none."""
        if place == OUTSIDE:
            address = network.outside.get(kind, {}).get(version)
            return Destination(receiver=self.cluster.sandbox.outside, address=address) if address else None
        pod = self.cluster.pods[f"{_RECEIVERS[kind][0]}/{kind}-{_SUFFIX_OF[place]}"]
        return Destination(receiver=pod, address=pod.address_on(network.key, version=version))

    def target(self, network: MatrixNetwork, place: str, version: int) -> Destination:
        """The `target` at a place that the network reaches."""
        destination = self.destination(network, place, "target", version)
        assert destination is not None
        return destination

    def at_sender(self, network: MatrixNetwork, name: str, version: int) -> Destination:
        """A sender, as somebody who receives."""
        pod = self.sender(name)
        return Destination(receiver=pod, address=pod.address_on(network.key, version=version))

    def addresses(self, network: MatrixNetwork, kind: str, version: int) -> Iterator[str]:
        """All addresses of a kind of receiver on a network, of one IP version."""
        for place in network.places:
            destination = self.destination(network, place, kind, version)
            if destination is not None:
                yield destination.address


def whole(addresses: Iterable[str]) -> list[str]:
    """Each address as the CIDR that holds it alone."""
    return [f"{address}/{128 if ':' in address else 32}" for address in addresses]


def expected_marks(dscp: int, place: str) -> Marks:
    """What the packets of a mark should carry: there, and on the wire where they cross it."""
    seen = frozenset([dscp << 2])
    return Marks(received=seen, wire=frozenset() if place == SAME_NODE else seen)


def probe(sender: Pod, to: Destination, protocol: Literal["icmp", "udp", "tcp"], port: int = 5000) -> Probe:
    """A few packets from a pod."""
    return Probe(sender=sender, receiver=to.receiver, address=to.address, protocol=protocol, port=port)
