"""Which packets a NetworkQoS takes, by the words of its reference: one policy, one rule and one packet at a time.

It looks at pods and policies alone: no sets, no groups, no matches, no index.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from netaddr import IPAddress

from ovnqos import IPBlock, NetworkSelectionType, PodPeer
from tests.support.label_oracle import selects

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ovnqos import Namespace, NetworkAttachmentDefinition, NetworkQoS, Pod, PortMatch
    from tests.support.packets import Packet

NAME_LABEL = "kubernetes.io/metadata.name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """A pod's end on a network: its name and layout, None when no OVN network is known behind its attachment."""

    pod: Pod
    attachment: str
    network: tuple[str, str] | None
    port: str
    switch: str
    addresses: tuple[IPAddress, ...]
    mac: str


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A cluster, of which `zone_nodes` (None: all) are wired by the Northbound in question."""

    pods: tuple[Pod, ...]
    namespaces: tuple[Namespace, ...]
    attachments: tuple[NetworkAttachmentDefinition, ...]
    zone_nodes: frozenset[str] | None = None

    @property
    def objects(self) -> tuple[object, ...]:
        return (*self.pods, *self.namespaces, *self.attachments)

    @cached_property
    def interfaces(self) -> tuple[Interface, ...]:
        """The interfaces of all pods that have addresses of their own."""
        return tuple(self._interfaces())

    def _interfaces(self) -> Iterator[Interface]:
        known = {f"{one.namespace}/{one.name}": one.ovn for one in self.attachments if one.ovn is not None}
        for pod in self.pods:
            if pod.host_network or pod.phase in {"Succeeded", "Failed"}:
                continue
            for key, found in json.loads(pod.annotations.get("k8s.ovn.org/pod-networks", "{}")).items():
                dotted = key.replace("-", ".").replace("/", ".")
                attachment = re.sub(r"^([^/]+/[^/]+)/\d+$", r"\1", key)
                config = known.get(attachment)
                network, switch = None, ""
                if attachment == "default":
                    network, switch = ("default", "layer3"), pod.node
                elif config is not None:
                    network = config.network, str(config.topology)
                    place = pod.node if config.topology == "layer3" else f"ovn_{config.topology}_switch"
                    switch = f"{config.network}_".replace("-", ".").replace("/", ".") + place
                yield Interface(
                    pod=pod,
                    attachment=attachment,
                    network=network,
                    port=("" if attachment == "default" else f"{dotted}_") + f"{pod.namespace}_{pod.name}",
                    switch=switch,
                    addresses=tuple(IPAddress(text.split("/")[0]) for text in found["ip_addresses"]),
                    mac=found["mac_address"],
                )

    def namespace_labels(self, name: str) -> Mapping[str, str]:
        known = {one.name: one.labels for one in self.namespaces}
        return {**known.get(name, {}), NAME_LABEL: name}


def takes(policy: NetworkQoS, index: int, packet: Packet, cluster: Cluster) -> bool:
    """Whether rule `index` of the policy marks or limits the packet in this zone."""
    rule = policy.rules[index]
    if rule.dscp is None and rule.bandwidth is None:
        return False
    found = [one for one in cluster.interfaces if (one.port, one.switch) == (packet.inport, packet.switch)]
    if not found or not _is_source(policy, found[0], cluster):
        return False
    classifier = rule.classifier
    return (
        (
            classifier.destinations is None
            or any(_reaches(peer, policy, packet, found[0], cluster) for peer in classifier.destinations)
        )
        and (classifier.sources is None or any(_in_block(one, packet.source) for one in classifier.sources))
        and (classifier.ports is None or any(_has_port(one, packet) for one in classifier.ports))
    )


def _is_source(policy: NetworkQoS, interface: Interface, cluster: Cluster) -> bool:
    pod = interface.pod
    return (
        pod.namespace == policy.namespace
        and selects(policy.pod_selector, pod.labels)
        and pod.node != ""
        and (cluster.zone_nodes is None or pod.node in cluster.zone_nodes)
        and interface.network is not None
        and (policy.network_selectors is None or _on_selected_network(policy, interface, cluster))
    )


def _on_selected_network(policy: NetworkQoS, interface: Interface, cluster: Cluster) -> bool:
    for selector in policy.network_selectors or ():
        if selector.type is NetworkSelectionType.DEFAULT_NETWORK:
            if interface.attachment == "default":
                return True
            continue
        for one in cluster.attachments:
            if (
                f"{one.namespace}/{one.name}" == interface.attachment
                and _is_of_type(one, selector.type)
                and (
                    selector.namespace_selector is None
                    or selects(selector.namespace_selector, cluster.namespace_labels(one.namespace))
                )
                and (selector.network_selector is None or selects(selector.network_selector, one.labels))
            ):
                return True
    return False


def _is_of_type(definition: NetworkAttachmentDefinition, wanted: NetworkSelectionType) -> bool:
    assert definition.ovn is not None
    made_by = {owner.kind for owner in definition.owners}
    match wanted:
        case "PrimaryUserDefinedNetworks":
            return definition.ovn.role == "primary"
        case "SecondaryUserDefinedNetworks":
            return definition.ovn.role == "secondary" and "UserDefinedNetwork" in made_by
        case "ClusterUserDefinedNetworks":
            return "ClusterUserDefinedNetwork" in made_by
        case _:
            return True


def _reaches(
    peer: IPBlock | PodPeer, policy: NetworkQoS, packet: Packet, interface: Interface, cluster: Cluster
) -> bool:
    if isinstance(peer, IPBlock):
        return _in_block(peer, packet.destination)
    return any(
        other.network == interface.network and packet.destination in other.addresses
        for other in cluster.interfaces
        if _is_peer(peer, policy.namespace, other.pod, cluster)
    )


def _is_peer(peer: PodPeer, own_namespace: str, pod: Pod, cluster: Cluster) -> bool:
    if peer.pod_selector is None and peer.namespace_selector is None:
        return False
    if peer.namespace_selector is None:
        in_namespace = pod.namespace == own_namespace
    else:
        in_namespace = selects(peer.namespace_selector, cluster.namespace_labels(pod.namespace))
    return in_namespace and (peer.pod_selector is None or selects(peer.pod_selector, pod.labels))


def _in_block(block: IPBlock, address: IPAddress) -> bool:
    return address in block.cidr and not any(address in one for one in block.excluded)


def _has_port(wanted: PortMatch, packet: Packet) -> bool:
    if packet.destination_port is None:  # ICMP has none
        return False
    of_protocol = wanted.protocol is None or wanted.protocol.lower() == packet.protocol
    last = wanted.port if wanted.end_port is None else wanted.end_port
    return of_protocol and (wanted.port is None or last is None or wanted.port <= packet.destination_port <= last)
