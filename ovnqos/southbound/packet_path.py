"""The path of a packet through its logical switch, and the packet as a microflow (ovn-trace(8))."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from ovnqos.match.packet import ECHO_REQUEST, TRANSPORTS, PacketProtocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovnqos.match.packet import Packet
    from ovnqos.southbound.contents import SouthboundContents, SwitchPort

_SOURCE_PORT: Final = 40_000
_DISCARD: Final = 9  # RFC 863
UNKNOWN_SENDER: Final = "02:00:00:00:00:01"
"""Ethernet source of a packet from a port whose address is not known."""
UNKNOWN_NEXT_HOP: Final = "02:00:00:00:00:02"
"""Ethernet destination of a packet to a port whose address is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketPath:
    """A packet with the Ethernet addresses that lead it through its switch.

    Attributes:
        packet: the packet, with the port by which it leaves where that is known.
        eth_src: of its sender.
        eth_dst: of the next hop, which decides the port by which it leaves.
    """

    packet: Packet
    eth_src: str
    eth_dst: str

    @property
    def microflow(self) -> str:
        """The packet as ovn-trace takes it."""
        return microflow(self.packet, eth_src=self.eth_src, eth_dst=self.eth_dst)

    def __str__(self) -> str:
        """For people: `shop_a to 203.0.113.1, udp port 9`."""
        port = "" if self.packet.destination_port is None else f" port {self.packet.destination_port}"
        return f"{self.packet.inport} to {self.packet.destination}, {self.packet.protocol}{port}"


def find_path(contents: SouthboundContents, packet: Packet) -> PacketPath | None:
    """Find the ports of the packet's switch, and the one by which it leaves.

    That is the receiver's; else the port to the router, if there is one such port; else, likewise, the one to the
    physical network. Returns None where no switch has the port by which the packet enters.
    """
    ports = next((one.ports for one in contents.switches.values() if packet.inport in one.ports), None)
    if ports is None:
        return None
    outport = ports.get(packet.outport or "") or _next_port(ports.values(), packet)
    known = replace(
        packet,
        outport=outport.name if outport is not None else packet.outport,
        not_outports=frozenset() if outport is not None else packet.not_outports,
        switch_ports=packet.switch_ports | ports.keys(),
    )
    return PacketPath(
        packet=known,
        eth_src=ports[packet.inport].mac or UNKNOWN_SENDER,
        eth_dst=(outport.mac if outport is not None else "") or UNKNOWN_NEXT_HOP,
    )


def _next_port(ports: Iterable[SwitchPort], packet: Packet) -> SwitchPort | None:
    others = [port for port in ports if port.name != packet.inport]
    for choice in (
        [port for port in others if packet.destination in port.addresses and not port.is_router],
        [port for port in others if port.is_router],
        [port for port in others if port.kind == "localnet"],
    ):
        if choice:
            return choice[0] if len(choice) == 1 else None
    return None


def microflow(packet: Packet, *, eth_src: str, eth_dst: str) -> str:
    """Write a packet as an expression of `field == value`.

    Unknown fields are left out, except for ports, which ovn-trace would take for 0.

    Args:
        packet: what enters the switch.
        eth_src: Ethernet address of its sender.
        eth_dst: Ethernet address of the next hop, which decides the port by which it leaves.
    """
    ip = f"ip{packet.version}"
    fields = [
        f"inport == {json.dumps(packet.inport)}",
        f"eth.src == {eth_src}",
        f"eth.dst == {eth_dst}",
        f"{ip}.src == {packet.source}",
        f"{ip}.dst == {packet.destination}",
        f"ip.ttl == {64 if packet.icmp_type is None else 255}",  # as neighbour discovery needs (RFC 4861)
    ]
    if packet.protocol in TRANSPORTS:
        source = _SOURCE_PORT if packet.source_port is None else packet.source_port
        destination = _DISCARD if packet.destination_port is None else packet.destination_port
        fields += [f"{packet.protocol}.src == {source}", f"{packet.protocol}.dst == {destination}"]
    elif packet.protocol is PacketProtocol.ICMP:
        kind = ECHO_REQUEST[packet.version] if packet.icmp_type is None else packet.icmp_type
        fields.append(f"icmp{packet.version}.type == {kind}")
    return " && ".join(fields)
