"""JSON-RPC over the streams of `ovs`: read and sent in linear time.

All that leans on how `ovs` works inside is here and in `tls`: the public classes `ovs.jsonrpc.Connection`,
`ovs.jsonrpc.Session` and `ovs.reconnect.Reconnect`, and attributes of theirs. Nothing of `ovs` is replaced, so other
users of it in the process are not affected.
"""

from __future__ import annotations

import errno
import json
import os
import select
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import ovs.jsonrpc
import ovs.reconnect
import ovs.stream
import ovs.timeval
import ovs.vlog

from ovnqos.ovsdb.json_reader import JsonReader
from ovnqos.ovsdb.tls import stream_method

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ovnqos.ovsdb.remotes import Remote
    from ovnqos.ovsdb.tls import TlsFiles

READ_SIZE: Final = 256 * 1024
"""Bytes asked of the socket at once; `ovs` asks for 4096."""

_BACKOFF_MS: Final = (250, 1000)
"""The first and the longest pause between attempts. `ovs` takes 1000 and 8000, and a write after a leader's death comes
3 to 8 s late, measured; a cluster elects its next leader in one or two."""

_REFUSED: Final = (errno.ECONNREFUSED, errno.ENOENT)
_HUNG_UP: Final = (ovs.jsonrpc.EOF, errno.ECONNRESET, errno.ENOTCONN, errno.EPIPE)

_vlog = ovs.vlog.Vlog("jsonrpc")
_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


class StreamConnection(ovs.jsonrpc.Connection):  # type: ignore[misc]  # ovs ships no types
    """A JSON-RPC connection over an open stream, as `ovs.jsonrpc.Connection`, reading and writing in linear time."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self.output = bytearray()
        self._reader = JsonReader()
        self._drained = False

    def run(self) -> None:
        """Send what the socket takes of the output."""
        while self.output and not self.status:
            sent = self.stream.send(self.output)
            if sent < 0:
                if sent != -errno.EAGAIN:
                    _vlog.warn(f"{self.name}: send error: {os.strerror(-sent)}")
                    self.error(-sent)
                return
            del self.output[:sent]

    def send(self, msg: Any) -> int:
        """Queue a message and send what can be sent. Returns 0 or an errno."""
        if self.status:
            return int(self.status)
        was_empty = not self.output
        self.output += _encode(msg.to_json()).encode("ascii")
        if was_empty:
            self.run()
        return int(self.status)

    def recv(self) -> tuple[int, Any]:
        """Return (0, message), or (errno, None): EAGAIN when no whole one is there, EPROTO when it is not valid."""
        while not self.status:
            if self._reader.objects:
                return self._take_message()
            if self._reader.error is not None:
                self._refuse(f"error parsing stream: {self._reader.error}")
                break
            error, data = self.stream.recv(READ_SIZE)
            if error == errno.EAGAIN:
                self._drained = True
                return error, None
            if error:
                _vlog.warn(f"{self.name}: receive error: {os.strerror(error)}")
                self.error(error)
            elif not data:
                self.error(ovs.jsonrpc.EOF)
            else:
                self._drained = False
                self.received_bytes += len(data)
                self._reader.feed(data)
        return self.status, None

    def recv_wait(self, poller: Any) -> None:
        """Wake `poller` when `recv` has something to do, be it in our buffers or in those of the TLS layer."""
        if self.status or not self._drained:
            poller.immediate_wake()
        else:
            self.stream.recv_wait(poller)

    def error(self, error: int) -> None:
        """End the connection with this errno."""
        if not self.status:
            super().error(error)
            self.output = bytearray()

    def _take_message(self) -> tuple[int, Any]:
        message = ovs.jsonrpc.Message.from_json(self._reader.objects.popleft())
        if not isinstance(message, ovs.jsonrpc.Message):
            self._refuse(f"received bad JSON-RPC message: {message}")
            return self.status, None
        return 0, message

    def _refuse(self, reason: str) -> None:
        _vlog.warn(f"{self.name}: {reason}")
        self.error(errno.EPROTO)


class Failure(NamedTuple):
    """Why a remote is of no use: `reason` in words that follow its name; `final`: trying again will not help."""

    reason: str
    final: bool = False


class _Reconnect(ovs.reconnect.Reconnect):  # type: ignore[misc]  # ovs ships no types
    """`ovs`' state machine of connections, with a call for each loss and shorter pauses.

    A remote that refuses at once costs no pause as long as there are others to try.
    """

    def __init__(self, now: int, *, remotes: int, on_loss: Callable[[int], None]) -> None:
        super().__init__(now)
        self._others = remotes - 1
        self._refused = 0
        self._on_loss = on_loss
        self.min_backoff, self.max_backoff = _BACKOFF_MS

    def disconnected(self, now: int, error: int) -> None:
        self._on_loss(error)
        super().disconnected(now, error)
        self._refused = self._refused + 1 if error in _REFUSED else 0
        if 0 < self._refused <= self._others:
            self.state_entered = now - self.backoff


class JsonRpcSession(ovs.jsonrpc.Session):  # type: ignore[misc]  # ovs ships no types
    """A reconnecting JSON-RPC session over remotes whose names are resolved anew at each attempt.

    Attributes:
        remote: the one that is connected, or tried now or next.
        failures: why remotes were of no use, by their text, since `clear_failures`.
    """

    def __init__(self, remotes: Sequence[Remote], *, tls: TlsFiles | None = None) -> None:
        """Describe the session; its first `run` connects, to the first remote.

        An idle connection is probed after 5 s, and dropped after as much again, but for unix sockets.

        Args:
            remotes: tried in this order, round and round.
            tls: the files that `ssl:` needs.
        """
        reconnect = _Reconnect(ovs.timeval.msec(), remotes=len(remotes), on_loss=self._record_loss)
        super().__init__(reconnect, None, [])
        self.rpc: Any
        self.failures: dict[str, Failure] = {}
        self._tls = tls
        self._leaving = False
        self._attempts = 0
        self.remotes = list(remotes)
        self.pick_remote()
        reconnect.set_quiet(True)
        reconnect.enable(ovs.timeval.msec())
        self.reset_backoff()
        if all(remote.method == "unix" for remote in remotes):
            reconnect.set_probe_interval(0)  # the kernel reports that the peer is gone

    def pick_remote(self) -> None:
        """Turn to the next remote, and to the next of the addresses its name has at this time."""
        round_, index = divmod(self._attempts, len(self.remotes))
        self._attempts += 1
        self.remote: Remote = self.remotes[index]
        self._addresses = self.remote.stream_names()
        name = self._addresses[round_ % len(self._addresses)] if self._addresses else str(self.remote)
        if self._tls is not None and self.remote.method == "ssl":
            name = f"{stream_method(self._tls)}:{name.removeprefix('ssl:')}"
        self.reconnect.set_name(name)

    def run(self) -> None:
        """Connect, reconnect, probe and send, without blocking."""
        super().run()
        rpc: Any = self.rpc
        if type(rpc) is ovs.jsonrpc.Connection:
            self.rpc = StreamConnection(rpc.stream)  # it was made in this very call: nothing was read or written yet

    def leave(self, reason: str) -> None:
        """Turn to the next remote; `reason` says why this one is of no use, in words that follow its name."""
        self.failures[str(self.remote)] = Failure(reason)
        self._leaving = True
        self.force_reconnect()

    def clear_failures(self) -> None:
        """Clear the failures, as one remote is of use now; if it is lost, each gets one try at once."""
        self.failures.clear()
        self.reset_backoff()

    def _record_loss(self, error: int) -> None:
        if self._leaving:
            self._leaving = False
            return
        stream = self.stream if self.rpc is None else self.rpc.stream
        if of_tls := getattr(stream, "failure", ""):
            failure = Failure(of_tls, final=True)
        elif not self._addresses:
            failure = Failure(f"the name {self.remote.host} has no address")
        elif not error:
            failure = Failure("does not answer")
        elif error in _HUNG_UP:
            failure = Failure(
                "closed the connection"
                + (", perhaps it refuses our certificate" if self.remote.method == "ssl" else "")
            )
        else:
            failure = Failure("does not speak OVSDB" if error == errno.EPROTO else os.strerror(error))
        self.failures[str(self.remote)] = failure


class Poller:
    """What `ovs`' `wait` functions expect, over poll(2): `ovs`' own uses select(2), which ends at descriptor 1023."""

    def __init__(self) -> None:
        self._events: dict[int, int] = {}
        self._timeout_ms: int | None = None

    def fd_wait(self, fd: Any, events: int) -> None:
        """Wake for `events` of a descriptor."""
        number = fd if isinstance(fd, int) else fd.fileno()
        self._events[number] = self._events.get(number, 0) | events

    def timer_wait(self, msec: float) -> None:
        """Wake after so many milliseconds."""
        wait = max(0, int(msec))
        self._timeout_ms = wait if self._timeout_ms is None else min(self._timeout_ms, wait)

    def timer_wait_until(self, msec: float) -> None:
        """Wake at this time of `ovs.timeval.msec`."""
        self.timer_wait(msec - ovs.timeval.msec())

    def immediate_wake(self) -> None:
        """Do not block at all."""
        self._timeout_ms = 0

    def block(self) -> None:
        """Block until one of the above."""
        poll = select.poll()
        for number, events in self._events.items():
            poll.register(number, events)
        poll.poll(self._timeout_ms)
