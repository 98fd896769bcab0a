"""A packet that a pod sends: its addresses, and the switch and the ports by which it goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from netaddr import IPAddress

from ovnqos.errors import OvnQosError
from ovnqos.match import Packet
from ovnqos.match.packet import TRANSPORTS
from ovnqos.model.labels import LabelSelector

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ovnqos.compile.inventory import Inventory, PodRecord
    from ovnqos.compile.topology import Network, PodInterface
    from ovnqos.match import PacketProtocol

_EVERYTHING = LabelSelector()
_Target = tuple["Network | None", IPAddress]
"""An address, and the network that it is on where that is known."""


class InvalidPacket(OvnQosError):  # noqa: N818 - named like the other errors
    """The pod cannot send such a packet, or there are several that it could be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodPacket:
    """A packet and the pod that sends it.

    Attributes:
        pod: `<namespace>/<name>` of the sender.
        network: on which it sends.
        switch: name of the logical switch that the packet enters.
        packet: the packet; `outport` is known where the receiver is on the same switch.
        receiver: `<namespace>/<name>` of the pod that it goes to; empty where it was given by its address.
        choice: why this network, of several of the pod; empty where there was nothing to choose.
    """

    pod: str
    network: str
    switch: str
    packet: Packet
    receiver: str = ""
    choice: str = ""

    @property
    def flow(self) -> str:
        """For people: `10.0.0.1 to 203.0.113.9, tcp port 443`."""
        packet = self.packet
        protocol = "" if packet.protocol is None else f", {packet.protocol}"
        port = "" if packet.destination_port is None else f" port {packet.destination_port}"
        receiver = f" (pod {self.receiver})" if self.receiver else ""
        return f"{packet.source} to {packet.destination}{receiver}{protocol}{port}"


def packet_of_pod(  # noqa: PLR0913 - what a packet is made of, and keywords
    inventory: Inventory,
    pod: str,
    destination: IPAddress | str,
    *,
    network: str | None = None,
    source: IPAddress | None = None,
    protocol: PacketProtocol | None = None,
    port: int | None = None,
) -> PodPacket:
    """Find the packet that a pod sends to a destination.

    Args:
        inventory: the pods and networks.
        pod: `<namespace>/<name>` of the sender.
        destination: where the packet goes: an address, or the pod `<namespace>/<name>`.
        network: its name, or the key of the attachment; None for that which the destination is on, else the default
            one, else the only one.
        source: the packet's source; None for the pod's only address of the destination's IP version.
        protocol: None for any.
        port: the destination port; None for any.

    Raises:
        InvalidPacket: there is no such pod, network, or address of the pod, or the protocol has no ports.
    """
    if port is not None and protocol not in TRANSPORTS:
        raise InvalidPacket(f"port {port}: needs a protocol that has ports; use tcp, udp or sctp")
    record = _find_pod(inventory, pod)
    receiver = destination if isinstance(destination, str) else ""
    targets = _addresses_of(inventory, receiver) if isinstance(destination, str) else [(None, destination)]
    chosen, interface, choice = _find_interface(inventory, record, network, source, targets)
    destination = _find_destination(interface, chosen, receiver, targets, source)
    source = _find_source(interface, chosen, destination, source)
    switch = inventory.topology.switch(chosen, interface.location)
    neighbours = {one.port: one for one in _on_switch(inventory, chosen, switch)}
    found = next((one for one in neighbours.values() if str(destination) in one.addresses), None)
    outport = found.port if found is not None else None
    next_hop: int | None = 0  # a router's, or that of a group
    if found is not None:
        next_hop = int(found.mac.replace(":", ""), 16) if found.mac else None
    packet = Packet(
        inport=interface.port,
        source=source,
        destination=destination,
        protocol=protocol,
        destination_port=port,
        outport=outport,
        # a pod without addresses of its own could be the receiver
        not_outports=frozenset(name for name, one in neighbours.items() if one.addresses)
        if outport is None
        else frozenset(),
        switch_ports=frozenset(neighbours),
        next_hop=next_hop,
    )
    return PodPacket(
        pod=record.pod.key, network=chosen.name, switch=switch, packet=packet, receiver=receiver, choice=choice
    )


def _find_pod(inventory: Inventory, key: str) -> PodRecord:
    namespace, slash, name = key.partition("/")
    if not (namespace and slash and name) or "/" in name:
        raise InvalidPacket(f"pod {key!r}: not a pod's key; use <namespace>/<name>")
    record = inventory.record(namespace, name)
    if record is None:
        raise InvalidPacket(
            f"pod {key}: not found, or without interfaces of its own, as finished pods and those of the host network"
        )
    if not inventory.topology.in_zone(record.pod.node):
        raise InvalidPacket(f"pod {key}: on node {record.pod.node or '(none)'}, which is not of this zone")
    return record


def _interfaces(inventory: Inventory, record: PodRecord) -> list[tuple[Network, PodInterface]]:
    """Those of a pod on networks that are known."""
    found = ((inventory.network_of(one.attachment), one) for one in record.interfaces)
    return [(network, one) for network, one in found if network is not None]


def _addresses_of(inventory: Inventory, key: str) -> list[_Target]:
    """Where a pod can be reached."""
    namespace, _, name = key.partition("/")
    record = inventory.record(namespace, name)
    found = _interfaces(inventory, record) if record is not None else ()
    targets: list[_Target] = [(network, IPAddress(text)) for network, one in found for text in one.addresses]
    if not targets:
        raise InvalidPacket(f"destination pod {key}: not found, or without addresses of its own; give an address")
    return targets


def _find_interface(
    inventory: Inventory, record: PodRecord, name: str | None, source: IPAddress | None, targets: Sequence[_Target]
) -> tuple[Network, PodInterface, str]:
    """The interface that sends, its network, and why this one where no name says it."""
    found = _interfaces(inventory, record)
    named = [pair for pair in found if name is None or name in {pair[0].name, pair[1].attachment}]
    pod = f"pod {record.pod.key}"
    networks = sorted({network.name for network, _ in found})
    if not named:
        on = "any network" if name is None else f"network {name}"
        raise InvalidPacket(f"{pod}: not on {on}; its networks: {', '.join(networks) or 'none of OVN'}")
    if source is not None:
        named = [pair for pair in named if str(source) in pair[1].addresses] or named
    choice = ""
    if name is None and len({network.key for network, _ in named}) > 1:
        near = [pair for pair in named if any(_is_on(inventory, pair[0], target) for target in targets)]
        default = [pair for pair in named if inventory.topology.is_default(pair[1].attachment)]
        choice = f"of {', '.join(networks)}: the destination is {'on it' if near else 'on none; it is the default'}"
        named = near or default or named
    if len(named) > 1:
        choices = ", ".join(f"{network.name} ({', '.join(one.addresses) or one.port})" for network, one in named)
        raise InvalidPacket(f"{pod}: several interfaces match; give the network or the source address: {choices}")
    return (*named[0], choice)


def _is_on(inventory: Inventory, network: Network, target: _Target) -> bool:
    """Whether an address is of a network: of its declared subnets, or of a pod on it."""
    on, address = target
    if on is not None:
        return on.key == network.key
    if any(address in subnet for subnet in network.subnets):
        return True
    text = str(address)
    return any(
        text in one.addresses and known.key == network.key
        for record in inventory.all_pods()
        for known, one in _interfaces(inventory, record)
    )


def _find_destination(
    interface: PodInterface, network: Network, receiver: str, targets: Sequence[_Target], source: IPAddress | None
) -> IPAddress:
    """Of a receiver's addresses that on the network of the sender, of an IP version that both have."""
    reachable = [address for on, address in targets if on is None or on.key == network.key]
    versions = {IPAddress(text).version for text in interface.addresses} if source is None else {source.version}
    fitting = [one for one in reachable if not receiver or not versions or one.version in versions]
    if not fitting:
        raise InvalidPacket(f"destination pod {receiver}: has no address on network {network.name}; give an address")
    return fitting[0]


def _find_source(
    interface: PodInterface, network: Network, destination: IPAddress, source: IPAddress | None
) -> IPAddress:
    version = destination.version
    if source is not None:
        if source.version != version:
            raise InvalidPacket(f"source {source} and destination {destination}: not of one IP version")
        if interface.addresses and str(source) not in interface.addresses:
            raise InvalidPacket(
                f"source {source}: not an address of the pod on network {network.name}; "
                f"it has {', '.join(interface.addresses)}"
            )
        return source
    own = [address for text in interface.addresses if (address := IPAddress(text)).version == version]
    if not own:
        raise InvalidPacket(
            f"destination {destination}: the pod has no IPv{version} address on network {network.name}"
            + ("" if interface.addresses else "; give the source address")
        )
    if len(own) > 1:
        raise InvalidPacket(f"the pod has several IPv{version} addresses; give one of {', '.join(map(str, own))}")
    return own[0]


def _on_switch(inventory: Inventory, network: Network, switch: str) -> Iterator[PodInterface]:
    """The interfaces of pods that are on a switch."""
    for record in inventory.pods(_EVERYTHING, _EVERYTHING):
        for interface in record.interfaces:
            found = inventory.network_of(interface.attachment)
            if found is None or found.key != network.key:
                continue
            if inventory.topology.switch(found, interface.location) == switch:
                yield interface
