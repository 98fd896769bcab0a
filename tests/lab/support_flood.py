"""Floods: packets that a switch copies to several ports, counted where the copies arrive."""

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
_FRAME_BITS: Final = (PAYLOAD + 42) * 8
_SEND: Final = """
import socket, sys, time
address, port, payload, pause, seconds = sys.argv[1], *map(float, sys.argv[2:])
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    start, sent = time.monotonic(), 0
    while sent * pause < seconds:
        time.sleep(max(0, start + sent * pause - time.monotonic()))
        sender.sendto(bytes(int(payload)), (address, int(port)))
        sent += 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """The copies of a flood that came to one receiver: layer-2 bit/s, and the traffic classes seen."""

    bits_per_second: float
    marks: frozenset[int]


def flood(
    sender: SandboxPod, address: str, *, port: int, offered: float, receivers: Mapping[str, tuple[Host, str]]
) -> dict[str, Copies]:
    """Sends UDP for `SECONDS` and counts the copies.

    Args:
        sender: sends.
        address: IPv4, broadcast or somebody's.
        port: the destination port.
        offered: layer-2 bit/s.
        receivers: by a name, a host and its interface where copies may arrive.
    """
    arguments = (address, port, PAYLOAD, _FRAME_BITS / offered, SECONDS)
    with ExitStack() as stack:
        captures = {
            name: stack.enter_context(
                Capture(host.namespace, interface, folder=host.folder, expression=f"udp dst port {port}")
            )
            for name, (host, interface) in receivers.items()
        }
        run(sender.namespace.command([sys.executable, "-c", _SEND, *map(str, arguments)]), timeout=SECONDS + 30)
        time.sleep(IN_FLIGHT)
        found = {
            name: [packet for packet in capture.packets() if packet.destination == address]
            for name, capture in captures.items()
        }
    return {
        name: Copies(
            bits_per_second=len(packets) * _FRAME_BITS / SECONDS,
            marks=frozenset(packet.traffic_class for packet in packets),
        )
        for name, packets in found.items()
    }
