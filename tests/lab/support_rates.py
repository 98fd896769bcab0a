"""Limits as the matrix measures them: rules, UDP streams above the limit, and what of these should arrive."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tenacity import retry, retry_any, retry_if_exception_type, retry_if_result, stop_after_attempt, wait_fixed

from ovnqos.sandbox import Programs, Stream, StreamError, measure
from ovnqos.sandbox.programs import run
from tests.lab.support_cluster import rule, udp_ports

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ovnqos.sandbox import Host, Sandbox, StreamResult
    from tests.lab.support_cluster import Document
    from tests.lab.support_matrix import Destination

SECONDS: Final = 5.0
"""How long a stream sends."""
OFFERED: Final = 1.5
"""How many times its limit a stream sends."""
BURST_KBIT: Final = 1000
_REFILL_SECONDS: Final = 1.5
"""Longer than the fullest bucket of these tests takes to fill again: OVN's default burst is one second of the rate."""
_OFFERED_AT_LEAST: Final = 0.98
_OVERRUNS_AT_MOST: Final = 0.01
"""As a share of the packets of the smallest stream: all of them can be its."""

_DROPS: Final = re.compile(r"skmem:\([^)]*,d(\d+)\)")  # ss(8), --memory: sk_drop
_EVERYTHING: Final = {4: {"ipBlock": {"cidr": "0.0.0.0/0"}}, 6: {"ipBlock": {"cidr": "::/0"}}}


def limited_rule(
    dscp: int, port: int, rate_kbps: int, burst_kbit: int | None = BURST_KBIT, *, version: int | None = None
) -> Document:
    """A rule that limits one UDP port, and so never iperf3's own TCP connection, of one IP version or of both."""
    to: Document = {} if version is None else {"to": [_EVERYTHING[version]]}
    return rule(dscp, to | {"ports": udp_ports(port)}, rate_kbps=rate_kbps, burst_kbit=burst_kbit)


def limit(rate_kbps: int, burst_kbit: int | None = BURST_KBIT, *, bursts: int = 1, seconds: float = SECONDS) -> float:
    """What gets through a meter in some seconds, bit/s of layer 2: its rate, and its bucket as often as it is full."""
    bucket = rate_kbps if burst_kbit is None else burst_kbit  # OVN's default: one second of the rate
    return (rate_kbps + bursts * bucket / seconds) * 1000


def udp_stream(sender: Host, to: Destination, *, port: int, offered_kbps: float, seconds: float = SECONDS) -> Stream:
    """A UDP stream from a pod."""
    return Stream(
        sender=sender,
        receiver=to.receiver,
        address=to.address,
        port=port,
        offered=offered_kbps * 1000,
        seconds=seconds,
        payload=1200,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    streams: Sequence[Stream]
    measured: Sequence[StreamResult]
    overruns: int

    @property
    def disturbed(self) -> bool:
        """Whether the machine was too busy to measure anything: a sender sent too little, or a switch lost packets."""
        fewest = min(one.offered * one.seconds / 8 / stream.frame for one, stream in self._pairs)
        too_little = any(one.offered < _OFFERED_AT_LEAST * stream.offered for one, stream in self._pairs)
        return too_little or self.overruns > _OVERRUNS_AT_MOST * fewest

    @property
    def _pairs(self) -> Iterable[tuple[StreamResult, Stream]]:
        return zip(self.measured, self.streams, strict=True)


def measure_rates(sandbox: Sandbox, streams: Sequence[Stream]) -> Sequence[StreamResult]:
    """Measures UDP streams at once.

    It does so again, twice at most, if the machine was too busy for a measurement (see `_Run.disturbed`), or if iperf3
    lost the datagram by which a stream starts; never for what the receivers got.
    """
    return _run(sandbox, streams).measured


@retry(
    retry=retry_any(retry_if_exception_type(StreamError), retry_if_result(lambda run: run.disturbed)),
    stop=stop_after_attempt(3),
    wait=wait_fixed(_REFILL_SECONDS),
    retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
)
def _run(sandbox: Sandbox, streams: Sequence[Stream]) -> _Run:
    before = _overruns(sandbox)
    measured = measure(streams)
    return _Run(streams=streams, measured=measured, overruns=_overruns(sandbox) - before)


def _overruns(sandbox: Sandbox) -> int:
    """How many packets its switches have lost because they did not get the processor in time.

    They are those that the kernel dropped at the sockets by which a userspace datapath reads its interfaces.
    """
    ss = Programs().command("ss", "-0", "-a", "-m", "-n", "-H")
    said = (run(node.namespace.command(ss)) for node in sandbox.nodes.values())
    return sum(int(drops) for text in said for drops in _DROPS.findall(text))
