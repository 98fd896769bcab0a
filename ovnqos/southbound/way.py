"""The way of a packet through its logical switch, by what the Southbound knows of ports."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from ovnqos.southbound.microflow import microflow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovnqos.match.packet import Packet
    from ovnqos.southbound.contents import SouthboundContents, SwitchPort

_ROUTER_KINDS: Final = frozenset({"patch", "l3gateway", "router"})
_SOME_SENDER: Final = "02:00:00:00:00:01"
_SOME_NEXT_HOP: Final = "02:00:00:00:00:02"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A packet with what the Southbound adds to it, and how ovn-trace is told of it."""

    packet: Packet
    microflow: str


def find_way(contents: SouthboundContents, packet: Packet) -> Way | None:
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
    return Way(
        packet=known,
        microflow=microflow(
            known,
            eth_src=ports[packet.inport].mac or _SOME_SENDER,
            eth_dst=(outport.mac if outport is not None else "") or _SOME_NEXT_HOP,
        ),
    )


def _next_port(ports: Iterable[SwitchPort], packet: Packet) -> SwitchPort | None:
    others = [port for port in ports if port.name != packet.inport]
    for choice in (
        [port for port in others if packet.destination in port.addresses and port.kind not in _ROUTER_KINDS],
        [port for port in others if port.kind in _ROUTER_KINDS],
        [port for port in others if port.kind == "localnet"],
    ):
        if choice:
            return choice[0] if len(choice) == 1 else None
    return None
