"""Runs `ovn-trace`: what the logical flows of a Southbound do to one packet. Nothing is sent, nothing is written."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from ovnqos.errors import OvnQosError, SouthboundUnavailable
from ovnqos.southbound.trace import read_faults, read_trace
from ovnqos.southbound.trace_server import TraceServer, TraceServerEnded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ovnqos.ovsdb.tls import TlsFiles
    from ovnqos.southbound.trace import Trace

_PATTERN: Final = "%c|%p|%m"  # what `read_faults` reads
_LOG: Final = (
    "-vsyslog:off",
    "-vfile:warn",
    "-vconsole:warn",
    f"-vPATTERN:console:{_PATTERN}",
    f"-vPATTERN:file:{_PATTERN}",
)
_FORM: Final = "--detailed"
_NO_CONNECTION: Final = "database connection failed"


class TraceFailed(OvnQosError):  # noqa: N818 - named like the other errors
    """ovn-trace cannot run, or does not know the switch, the port or the packet."""


class _Answer(NamedTuple):
    """The answer of ovn-trace for one packet.

    Attributes:
        output: the trace.
        log: all warnings since the start.
        new_log: the warnings since the packet before.
    """

    output: str
    log: str
    new_log: str


class OvnTrace:
    """ovn-trace on one Southbound.

    By itself each run is a process of its own, which reads the Southbound anew. As a context manager it reads the
    Southbound once, at the first run, and answers from that for as long as the `with` lasts: for many packets.
    """

    def __init__(
        self,
        southbound: str,
        *,
        tls: TlsFiles | None = None,
        timeout_s: float = 30.0,
        program: Sequence[str] = ("ovn-trace",),
    ) -> None:
        """Describe it; nothing runs yet.

        Args:
            southbound: the remote: `unix:/path`, `tcp:host:port`, `ssl:host:port`, or several with commas.
            tls: needed for `ssl:`.
            timeout_s: seconds that a run may take.
            program: the words that run ovn-trace, e.g. `("chroot", "/srv/other", "ovn-trace")`; the temporary folder
                is to be at the same path there.
        """
        self._southbound = southbound
        self._timeout_s = timeout_s
        self._command = [*program, f"--db={southbound}", *_LOG, *_tls_options(tls)]
        self._together = False
        self._server: TraceServer | None = None

    def __enter__(self) -> Self:
        self._together = True
        return self

    def __exit__(self, *_: object) -> None:
        self._together = False
        self._end_server()

    def run(self, switch: str, microflow: str) -> Trace:
        """Send a packet through the logical flows.

        Args:
            switch: name or uuid of the logical switch that the packet enters.
            microflow: the packet, as an expression of `field == value` (ovn-trace(8)); it names `inport`.

        Raises:
            SouthboundUnavailable: no server answers, or not within the time allowed.
            TraceFailed: there is no ovn-trace, or it knows no such switch or port, or cannot read the microflow.
        """
        try:
            answer = self._ask_server(switch, microflow) if self._together else self._run_once(switch, microflow)
        except (subprocess.TimeoutExpired, TimeoutError):
            raise SouthboundUnavailable(
                f"{self._southbound}: ovn-trace gave no answer within {self._timeout_s:g} s"
            ) from None
        except OSError as error:
            raise TraceFailed(
                f"{self._command[0]}: {error.strerror or error}; ovn-trace is in the Debian package ovn-common"
            ) from None
        if _NO_CONNECTION in answer.log:
            raise SouthboundUnavailable(_last_line(answer.log).removeprefix("ovn-trace: "))
        faults = read_faults(answer.log)
        trace = read_trace(answer.output, faults)
        # the exit code is 0 for an unknown switch; for an unknown port, OVN 23.03 ends by an assertion (seen)
        if trace is None:
            cause = _first_line(_without_faults(answer.new_log, faults)) or _first_line(answer.output)
            raise TraceFailed(f"ovn-trace on switch {switch}: {cause or 'no answer'}")
        return trace

    def _run_once(self, switch: str, microflow: str) -> _Answer:
        done = subprocess.run(
            [*self._command, _FORM, switch, microflow],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=self._timeout_s,
            check=False,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
        return _Answer(done.stdout, done.stderr, done.stderr)

    def _ask_server(self, switch: str, microflow: str) -> _Answer:
        known = 0
        try:
            if self._server is None:
                self._server = TraceServer(self._command, timeout_s=self._timeout_s)
            known = len(self._server.log)
            output = self._server.ask(_FORM, switch, microflow)
        except TraceServerEnded as ended:
            self._end_server()
            log = str(ended)
            return _Answer("", log, log[known:])
        except TimeoutError:
            self._end_server()
            raise
        log = self._server.log
        return _Answer(output, log, log[known:])

    def _end_server(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None


def _tls_options(tls: TlsFiles | None) -> list[str]:
    if tls is None:
        return []
    return [f"--private-key={tls.private_key}", f"--certificate={tls.certificate}", f"--ca-cert={tls.ca_certificate}"]


def _without_faults(log: str, faults: Mapping[str, str]) -> str:
    for match, reason in faults.items():
        log = log.replace(f"ovntrace|WARN|{match}: parsing expression failed ({reason})", "")
    return log


def _first_line(text: str) -> str:
    """The first line names the cause; what follows is what came of it."""
    return next((line.rpartition("|")[2].strip() for line in text.splitlines() if line.strip()), "")


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
