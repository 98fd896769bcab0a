"""How much traffic arrives: iperf3 streams, measured at the receiver."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from ovnqos.sandbox.process import Process
from ovnqos.sandbox.programs import Programs, SandboxError, dies_with_parent, run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ovnqos.sandbox.host import Host

_HEADERS: Final = {4: 14 + 20 + 8, 6: 14 + 40 + 8}
_INTERVAL: Final = re.compile(r"\] +(\d+\.\d+)-(\d+\.\d+) +sec .* (\d+(?:\.\d+)?) Kbits/sec(?!.*receiver)")
_MOST_OF_A_SECOND: Final = 0.9
"""iperf3 reports what came after the last whole second in an interval of its own."""
_server_numbers: Final = count(1)


class StreamError(SandboxError):
    """A stream did not start or end; of UDP, iperf3's first datagram or its answer may have been lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One stream to measure.

    Attributes:
        sender: where iperf3's client runs.
        receiver: where its server runs.
        address: where it goes: the receiver's, or a load balancer's.
        balanced_to: the receiver's own address, where a load balancer puts it in place of `address`.
        protocol: what it is made of.
        offered: of a UDP stream, layer-2 bit/s that the sender sends.
        seconds: how long it sends.
        port: where the server listens; streams that run together to one receiver need different ones.
        payload: bytes in each UDP datagram; with their headers they must fit the interface's MTU.
        congestion_control: of a TCP stream, the algorithm of its sender, e.g. `cubic`; None for the machine's own.
        by_second: whether the receiver reports what it gets in each second, too.
    """

    sender: Host
    receiver: Host
    address: str
    balanced_to: str | None = None
    protocol: Literal["udp", "tcp"] = "udp"
    offered: float = 30e6
    seconds: float = 5
    port: int = 5201
    payload: int = 1300
    congestion_control: str | None = None
    by_second: bool = False

    @property
    def frame(self) -> int:
        """Bytes of one UDP datagram's Ethernet frame, as OVN's meters count it: without preamble and checksum."""
        return self.payload + _HEADERS[6 if ":" in self.address else 4]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamResult:
    """What one stream's receiver got.

    Attributes:
        bits_per_second: of UDP, layer-2 bits of the datagrams received, over the seconds sent; of TCP, the payload's.
        offered: what the sender sent, counted in the same way; a busy machine may have sent less than was asked for.
        seconds: how long the sender sent.
        received_bytes: payload received.
        rates: bit/s in each second, counted as `bits_per_second`; empty if that was not asked for.
    """

    bits_per_second: float
    offered: float
    seconds: float
    received_bytes: int
    rates: tuple[float, ...] = ()

    def sustained(self, *, skip: int) -> float:
        """bit/s over the seconds after the first `skip`: once a bucket is empty this is its rate."""
        rest = self.rates[skip:]
        return sum(rest) / len(rest)


def congestion_controls() -> tuple[str, ...]:
    """Of the two usual ones, `cubic` and `bbr`, those that this machine has."""
    available = Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text().split()
    return tuple(one for one in ("cubic", "bbr") if one in available)


def measure(streams: Sequence[Stream]) -> list[StreamResult]:
    """Run streams at the same time and return what each receiver got, in their order.

    A meter's bucket fills again at its rate: a stream soon after another one through the same meter finds less burst.
    A stream whose TCP control connection is metered too can take longer to end than it sends; limit `udp` only.

    Raises:
        StreamError: iperf3 could not start a stream, or exchange its results; quotes what it said.
        SandboxError: iperf3 is missing, failed, or did not end in time; quotes what it said.
    """
    with ExitStack() as stack, ThreadPoolExecutor(max_workers=max(1, len(streams))) as clients:
        for stream in streams:
            _start_server(stack, stream)
        return list(clients.map(_run_client, streams))


def _start_server(stack: ExitStack, stream: Stream) -> None:
    host = stream.receiver
    options = (
        "--server",
        "--one-off",
        "--forceflush",
        "--format",
        "k",
        "--bind",
        stream.balanced_to or stream.address,
        "--port",
        str(stream.port),
    )
    command = host.namespace.command(Programs().command("iperf3", *options))
    log = host.folder / f"iperf3-{next(_server_numbers)}.log"
    server = Process(command, name=f"iperf3 server of {host.name}", log=log, urgent=True)
    stack.callback(server.kill)
    server.start(lambda: "Server listening" in server.log_text())


def _run_client(stream: Stream) -> StreamResult:
    options = ["--client", stream.address, "--port", str(stream.port), "--time", f"{stream.seconds:g}", "--json"]
    if stream.protocol == "udp":
        rate = round(stream.offered * stream.payload / stream.frame)
        options += ["--udp", "--bitrate", str(rate), "--length", str(stream.payload)]
        # the default, 1 ms, wakes a slow sender up three times a packet
        options += ["--pacing-timer", str(max(1000, round(stream.frame * 8e6 / stream.offered)))]
    if stream.congestion_control is not None:
        options += ["--congestion", stream.congestion_control]
    if stream.by_second:
        options.append("--get-server-output")
    command = stream.sender.namespace.command(Programs().command("iperf3", *options))
    # without its parent a client whose namespace is gone would run on, at full load
    said = json.loads(run(dies_with_parent(command), timeout=stream.seconds + 40))
    if "sum_sent" not in (end := said["end"]):
        sender, reason = stream.sender.name, said.get("error", "it does not say why")
        raise StreamError(f"iperf3 of {sender} could not send to {stream.address}, port {stream.port}: {reason}")
    seconds, received = float(end["sum_sent"]["seconds"]), int(end["sum_received"]["bytes"])
    if stream.protocol == "tcp":
        got, sent = (float(end[side]["bits_per_second"]) for side in ("sum_received", "sum_sent"))
    else:
        got, sent = (
            size / stream.payload * stream.frame * 8 / seconds for size in (received, int(end["sum_sent"]["bytes"]))
        )
    rates = _rates(stream, said["server_output_text"]) if stream.by_second else ()
    return StreamResult(bits_per_second=got, offered=sent, seconds=seconds, received_bytes=received, rates=rates)


def _rates(stream: Stream, report: str) -> tuple[float, ...]:
    """What the receiver got in each whole second; raises StreamError when it did not report them all."""
    per_kbit = 1000 * (1 if stream.protocol == "tcp" else stream.frame / stream.payload)
    intervals = [tuple(map(float, found.groups())) for found in _INTERVAL.finditer(report)]
    rates = tuple(kbps * per_kbit for start, end, kbps in intervals if end - start >= _MOST_OF_A_SECOND)
    if len(rates) < int(stream.seconds):
        raise StreamError(f"iperf3 of {stream.receiver.name} reported {len(rates)} of {int(stream.seconds)} seconds")
    return rates
