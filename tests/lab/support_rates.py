"""Limits as the matrix measures them: rules, UDP streams above the limit, and what of these should arrive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ovnqos.sandbox import Stream
from tests.lab.support_cluster import rule, udp_ports

if TYPE_CHECKING:
    from ovnqos.sandbox import Pod
    from tests.lab.support_cluster import Document
    from tests.lab.support_matrix import Destination

SECONDS: Final = 5.0
"""How long a stream sends."""
OFFERED: Final = 1.5
"""How many times its limit a stream sends."""
BURST_KBIT: Final = 1000

_EVERYTHING: Final = {4: {"ipBlock": {"cidr": "0.0.0.0/0"}}, 6: {"ipBlock": {"cidr": "::/0"}}}


def limited_rule(
    dscp: int, port: int, rate_kbps: int, burst_kbit: int | None = BURST_KBIT, *, version: int | None = None
) -> Document:
    """A rule that limits one UDP port, and so never iperf3's own TCP connection, of one IP version or of both."""
    to: Document = {} if version is None else {"to": [_EVERYTHING[version]]}
    return rule(dscp, to | {"ports": udp_ports(port)}, rate_kbps=rate_kbps, burst_kbit=burst_kbit)


def limit(rate_kbps: int, burst_kbit: int | None = BURST_KBIT, *, bursts: int = 1) -> float:
    """What gets through a meter in `SECONDS`, bit/s of layer 2: its rate, and its bucket as often as it is full."""
    bucket = rate_kbps if burst_kbit is None else burst_kbit  # OVN's default: one second of the rate
    return (rate_kbps + bursts * bucket / SECONDS) * 1000


def udp_stream(sender: Pod, to: Destination, *, port: int, offered_kbps: float) -> Stream:
    """A UDP stream from a pod."""
    return Stream(
        sender=sender,
        receiver=to.receiver,
        address=to.address,
        port=port,
        offered=offered_kbps * 1000,
        seconds=SECONDS,
        payload=1200,
    )
