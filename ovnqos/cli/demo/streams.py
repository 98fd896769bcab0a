"""What arrives of an iperf3 stream in each second, as Calico's lab reports it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ovnqos.sandbox import Process, Programs, StreamError
from ovnqos.sandbox.programs import run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ovnqos.sandbox import Stream

_LISTEN: Final = "0A"  # a socket's state in /proc/<pid>/net/tcp, proc(5)
_MOST_OF_A_SECOND: Final = 0.9
"""iperf3 reports what came after the last whole second in an interval of its own."""
_PATIENCE_S: Final = 40.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondBySecond:
    """What one stream's receiver got.

    Attributes:
        rates: bit/s in each second: of UDP on layer 2, of TCP the payload's.
    """

    rates: tuple[float, ...]

    @property
    def rate(self) -> float:
        """bit/s over all seconds."""
        return sum(self.rates) / len(self.rates)

    def sustained(self, *, skip: int) -> float:
        """bit/s over the seconds after the first `skip`: once a bucket is empty this is its rate."""
        rest = self.rates[skip:]
        return sum(rest) / len(rest)


def measure_second_by_second(stream: Stream) -> SecondBySecond:
    """Run a stream and return what its receiver got.

    Raises:
        StreamError: iperf3 could not start the stream, or exchange its results; quotes its message.
        SandboxError: iperf3 is missing, failed, or did not end in time; quotes its message.
    """
    receiver, port = stream.receiver, str(stream.port)
    bound = stream.balanced_to or stream.address
    listen = ("--server", "--one-off", "--json", "--bind", bound, "--port", port)
    server = Process(
        receiver.namespace.command(Programs().command("iperf3", *listen)),
        name=f"iperf3 server of {receiver.name}",
        log=receiver.folder / "iperf3-second-by-second.log",
        urgent=True,
    )
    with server:
        server.wait_until(lambda: _listens(server.pid, stream.port), what="listen")
        command = Programs().command("iperf3", *_client_options(stream))
        report = json.loads(run(stream.sender.namespace.command(command), timeout=stream.seconds + _PATIENCE_S))
    if "server_output_json" not in report:
        reason = report.get("error", "its server's report is missing")
        raise StreamError(f"iperf3 of {stream.sender.name} could not send to {stream.address}, port {port}: {reason}")
    per_byte = 8 if stream.protocol == "tcp" else 8 * stream.frame / stream.payload
    seconds = _whole_seconds(report["server_output_json"]["intervals"])
    if len(seconds) < int(stream.seconds):
        raise StreamError(f"iperf3 of {receiver.name} reported {len(seconds)} of {int(stream.seconds)} seconds")
    return SecondBySecond(rates=tuple(one["bytes"] * per_byte / one["seconds"] for one in seconds))


def _client_options(stream: Stream) -> Sequence[str]:
    options = ["--client", stream.address, "--port", str(stream.port), "--time", f"{stream.seconds:g}"]
    options += ["--json", "--get-server-output"]
    if stream.protocol == "udp":
        rate = round(stream.offered * stream.payload / stream.frame)
        options += ["--udp", "--bitrate", str(rate), "--length", str(stream.payload)]
    return options


def _whole_seconds(intervals: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    sums = [interval["sum"] for interval in intervals]
    return [one for one in sums if one["seconds"] >= _MOST_OF_A_SECOND]


def _listens(pid: int, port: int) -> bool:
    """Whether a socket in the namespace of a process listens on a TCP port: with --json, iperf3 itself does not say."""
    for table in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/{pid}/net/{table}").read_text().splitlines()
        except OSError:  # it has just ended, as the caller will see
            return False
        for line in lines[1:]:
            _, local, _, state, *_ = line.split()
            if state == _LISTEN and int(local.rpartition(":")[2], 16) == port:
                return True
    return False
