"""Floods: packets that a switch copies to several ports, or fragments, counted where they arrive."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ovnqos.sandbox.marks import Capture
from ovnqos.sandbox.programs import run
from tests.lab.support_rates import SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovnqos.sandbox import Host, SandboxPod

PAYLOAD: Final = 1200
IN_FLIGHT: Final = 0.5
"""Seconds after which what was sent has been captured."""
FRAGMENTS: Final = "(ip[6:2] & 0x3fff != 0 or ip6 proto 44)"
"""What a capture takes for a fragment, pcap-filter(7)."""
_HEADERS: Final = {4: 14 + 20, 6: 14 + 40}
_FRAGMENT: Final = {4: 1376, 6: 1344}
"""Bytes of IP payload in a fragment, a multiple of 8 that fits a pod's MTU of 1400."""
_UDP_HEADER, _FRAGMENT_HEADER = 8, {4: 0, 6: 8}
_SEND: Final = """
import socket, struct, sys, time
address, port, payload, pause, seconds, interface = sys.argv[1], *map(float, sys.argv[2:6]), sys.argv[6]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
with socket.socket(family, socket.SOCK_DGRAM) as sender:
    if interface:
        index = socket.if_nametoindex(interface)
        if family == socket.AF_INET6:
            sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        else:
            sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("@8si", bytes(8), index))
    if family == socket.AF_INET:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    start, sent, late = time.monotonic(), 0, 0.0
    while sent * pause < seconds:
        wait = start + sent * pause - time.monotonic()
        late = max(late, -wait)
        time.sleep(max(0, wait))
        sender.sendto(bytes(int(payload)), (address, int(port)))
        sent += 1
    print(time.monotonic() - start, late)
"""
_LATE_AT_MOST: Final = 0.2
"""Seconds that a packet may leave late: a bucket that is full meanwhile takes no more."""
_ATTEMPTS: Final = 3
_REFILL_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """The copies of a flood that came to one receiver: layer-2 bit/s, and the traffic classes seen."""

    bits_per_second: float
    marks: frozenset[int]


def flood(
    sender: SandboxPod,
    address: str,
    *,
    port: int,
    offered: float,
    receivers: Mapping[str, tuple[Host, str]],
    interface: str = "",
    fragmented: bool = False,
) -> dict[str, Copies]:
    """Sends UDP for `SECONDS` and counts the copies; again, twice at most, where the machine was too busy to send.

    Args:
        sender: sends.
        address: broadcast, multicast or somebody's.
        port: the destination port.
        offered: layer-2 bit/s.
        receivers: by a name, a host and its interface where copies may arrive.
        interface: by which multicast leaves the sender; empty for its routes' choice.
        fragmented: whether each datagram is two equal fragments, which are counted by themselves.
    """
    version = 6 if ":" in address else 4
    if fragmented:
        frame_bits = (_HEADERS[version] + _FRAGMENT_HEADER[version] + _FRAGMENT[version]) * 8
        payload, frames, expression = 2 * _FRAGMENT[version] - _UDP_HEADER, 2, f"{FRAGMENTS} and dst host {address}"
    else:
        frame_bits = (_HEADERS[version] + _UDP_HEADER + PAYLOAD) * 8
        payload, frames, expression = PAYLOAD, 1, f"udp dst port {port}"
    arguments = (address, port, payload, frames * frame_bits / offered, SECONDS, interface)
    for attempt in range(_ATTEMPTS):
        with ExitStack() as stack:
            captures = {
                name: stack.enter_context(Capture(host.namespace, where, folder=host.folder, expression=expression))
                for name, (host, where) in receivers.items()
            }
            said = run(sender.namespace.command([sys.executable, "-c", _SEND, *map(str, arguments)]), timeout=60)
            time.sleep(IN_FLIGHT)
            found = {
                name: [packet for packet in capture.packets() if packet.destination == address]
                for name, capture in captures.items()
            }
        seconds, late = map(float, said.split())
        if late <= _LATE_AT_MOST or attempt == _ATTEMPTS - 1:
            break
        time.sleep(_REFILL_SECONDS)
    return {
        name: Copies(
            bits_per_second=len(packets) * frame_bits / seconds,
            marks=frozenset(packet.traffic_class for packet in packets),
        )
        for name, packets in found.items()
    }
