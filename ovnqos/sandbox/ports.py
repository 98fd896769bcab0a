"""TCP ports for servers that cannot choose one themselves."""

from __future__ import annotations

import random
import socket
from pathlib import Path
from typing import Final

from ovnqos.sandbox.programs import SandboxError

_ATTEMPTS: Final = 200
_LOWEST: Final = 10_000
_EPHEMERAL_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_port(address: str = "127.0.0.1") -> int:
    """A port of this address on which nothing listens now.

    It lies below the range that outgoing connections take theirs from (`ip(7)`, ip_local_port_range), so a server that
    is stopped finds it free when it starts again.

    Raises:
        SandboxError: none was found.
    """
    lowest_ephemeral = int(_EPHEMERAL_RANGE.read_text().split()[0])
    ceiling = lowest_ephemeral if lowest_ephemeral > _LOWEST else 1 << 16
    for _ in range(_ATTEMPTS):
        port = random.randrange(_LOWEST, ceiling)
        with socket.socket() as probe:
            try:
                probe.bind((address, port))
            except OSError:
                continue
        return port
    raise SandboxError(f"no free TCP port on {address} from {_LOWEST} to {ceiling - 1}")
