"""A packet in the words of `ovn-trace` (ovn-trace(8), microflow)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from ovnqos.match.packet import TRANSPORTS, Protocol

if TYPE_CHECKING:
    from ovnqos.match.packet import Packet

_SOURCE_PORT: Final = 40_000
_DISCARD: Final = 9  # RFC 863
_ECHO_REQUEST: Final = {4: 8, 6: 128}


def microflow(packet: Packet, *, eth_src: str, eth_dst: str) -> str:
    """The packet as an expression that names each field.

    What is not known of it is left out, but for ports: ovn-trace would take them for 0. ICMP is an echo request.

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
        "ip.ttl == 64",
    ]
    if packet.protocol in TRANSPORTS:
        source = _SOURCE_PORT if packet.source_port is None else packet.source_port
        destination = _DISCARD if packet.destination_port is None else packet.destination_port
        fields += [f"{packet.protocol}.src == {source}", f"{packet.protocol}.dst == {destination}"]
    elif packet.protocol is Protocol.ICMP:
        fields.append(f"icmp{packet.version}.type == {_ECHO_REQUEST[packet.version]}")
    return " && ".join(fields)
