"""A topology map: switches and ports as somebody wrote them down, for an OVN that no known CNI programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ovnqos.compile.rows import Direction
from ovnqos.compile.topology import Network, PodInterface, Topology, bare_address, invalid_annotation
from ovnqos.model.networks import NetworkTopology

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovnqos.errors import InvalidObject
    from ovnqos.model.networks import (
        MappedInterface,
        MappedNetwork,
        NameTemplate,
        NetworkAttachmentDefinition,
        TopologyMap,
    )
    from ovnqos.model.workloads import Pod


class StaticTopology(Topology):
    """As a topology map says. An attachment is a network's name in the map, a location the switch itself."""

    name = "static"

    def __init__(self, topology_map: TopologyMap, *, zone_nodes: Iterable[str] | None = None) -> None:
        super().__init__(zone_nodes=zone_nodes)
        self._map = topology_map

    def interfaces(self, pod: Pod) -> tuple[PodInterface, ...]:
        """By the pod's own entries, else by the networks' templates.

        Raises InvalidObject when an annotation with addresses holds something else.
        """
        own = self._map.pods.get(pod.key, {})
        found = (_interface(pod, network, own.get(name)) for name, network in self._map.networks.items())
        return tuple(one for one in found if one is not None)

    def may_own(self, pod: Pod, port: str) -> bool:
        """Whether a port is the pod's by its own entries or by a network's template."""
        own = self._map.pods.get(pod.key, {})
        return any(
            port == _named(pod, own[name].port if name in own else None, network.port)
            for name, network in self._map.networks.items()
        )

    def network(
        self,
        attachment: str,
        definition: NetworkAttachmentDefinition | None,  # noqa: ARG002 - the map says all of it
        seen_versions: frozenset[int],
    ) -> Network | None:
        """The network of the map, with the IP versions that its pods are seen to have."""
        known = self._map.networks.get(attachment)
        return None if known is None else Network(name=known.name, topology=known.topology, versions=seen_versions)

    def wires(self, definition: NetworkAttachmentDefinition) -> bool:
        """Whether the map has a network of this NAD's key, whatever CNI plugin the NAD names."""
        return definition.key in self._map.networks

    def switch(self, network: Network, location: str) -> str:  # noqa: ARG002 - a switch is on one network
        """The location, which is the switch."""
        return location

    def direction(self, network: Network) -> Direction:
        """As the map says; else to-lport where each node has its own switch, and from-lport elsewhere."""
        known = self._map.networks[network.name]
        if known.direction:
            return Direction(known.direction)
        return Direction.TO_LPORT if known.topology is NetworkTopology.LAYER3 else Direction.FROM_LPORT

    def allows_from_lport(self, network: Network) -> bool:
        """Not where the map gives the direction."""
        return not self._map.networks[network.name].direction and super().allows_from_lport(network)


def _interface(pod: Pod, network: MappedNetwork, own: MappedInterface | None) -> PodInterface | None:
    annotated = pod.annotations.get(network.address_annotation) if network.address_annotation else None
    if own is None and (network.port is None or (network.address_annotation and not annotated)):
        return None
    if own is not None and own.addresses is not None:
        addresses = own.addresses
    else:
        addresses = _addresses(pod, network, annotated) if annotated else ()
    return PodInterface(
        attachment=network.name,
        port=_named(pod, own.port if own is not None else None, network.port),
        addresses=addresses,
        location=_named(pod, own.switch if own is not None else None, network.switch),
    )


def _named(pod: Pod, own: str | None, template: NameTemplate | None) -> str:
    if own is not None or template is None:
        return own or ""
    return template.fill(namespace=pod.namespace, name=pod.name, node=pod.node)


def _addresses(pod: Pod, network: MappedNetwork, text: str) -> tuple[str, ...]:
    """Addresses with or without prefix length: a JSON list, or words between commas or blanks."""
    entries: list[object] = [*text.replace(",", " ").split()]
    if text.lstrip().startswith("["):
        try:
            entries = json.loads(text)
        except (ValueError, RecursionError):
            raise _broken(pod, network, "is not a JSON list") from None
    addresses = []
    for entry in entries:
        address = bare_address(entry) if isinstance(entry, str) else None
        if address is None:
            raise _broken(pod, network, f"{entry!r} is not an IP address")
        addresses.append(address)
    return tuple(dict.fromkeys(addresses))


def _broken(pod: Pod, network: MappedNetwork, text: str) -> InvalidObject:
    hint = f"the topology map takes the addresses on network {network.name} from it"
    return invalid_annotation(pod, network.address_annotation, text, hint=hint)
