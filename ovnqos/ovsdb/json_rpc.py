"""JSON-RPC over `ovs`' streams, with our JSON reader where `ovs` has only its slow one, and sending in linear time.

The seam is the session of one connection: it puts a `StreamConnection` where `ovs` made its own. Nothing of the `ovs`
modules is replaced, so other users of `ovs` in the process notice nothing.
"""

from __future__ import annotations

import errno
import json
import os
import select
import ssl
from typing import TYPE_CHECKING, Any, Final

import ovs.json
import ovs.jsonrpc
import ovs.poller
import ovs.reconnect
import ovs.stream
import ovs.timeval
import ovs.vlog

from ovnqos.ovsdb.json_stream import DocumentCutter, InvalidJsonError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ovnqos.ovsdb.remotes import Remote

READ_SIZE: Final = 256 * 1024
"""Bytes asked of the socket at once; `ovs` asks for 4096."""

_BACKOFF_MS: Final = (250, 1000)
"""The first and the longest pause between attempts. `ovs` takes 1000 and 8000, and a write after a leader's death comes
3 to 8 s late, measured; a cluster elects its next leader in one or two."""

_NOBODY_LISTENS: Final = (errno.ECONNREFUSED, errno.ENOENT)
_HUNG_UP: Final = (ovs.jsonrpc.EOF, errno.ECONNRESET, errno.ENOTCONN, errno.EPIPE)

_vlog = ovs.vlog.Vlog("jsonrpc")
_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def fast_parser_needed() -> bool:
    """True where `ovs` was built without its C parser, so that ours is the faster one."""
    return bool(ovs.json.PARSER != ovs.json.PARSER_C)


class StreamConnection(ovs.jsonrpc.Connection):  # type: ignore[misc]  # ovs ships no types
    """A JSON-RPC connection over an open stream, as `ovs.jsonrpc.Connection`, reading and writing in linear time."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self.output = bytearray()
        self._cutter = DocumentCutter()
        self._drained = False

    def run(self) -> None:
        """Sends what the socket takes of the output."""
        while self.output and not self.status:
            sent = self.stream.send(self.output)
            if sent < 0:
                if sent != -errno.EAGAIN:
                    _vlog.warn(f"{self.name}: send error: {os.strerror(-sent)}")
                    self.error(-sent)
                return
            del self.output[:sent]

    def send(self, msg: Any) -> int:
        """Queues a message and sends what can be sent. Returns 0 or an errno."""
        if self.status:
            return int(self.status)
        if _vlog.dbg_is_enabled():
            _vlog.dbg(f"{self.name}: send {msg}")
        was_empty = not self.output
        self.output += _encode(msg.to_json()).encode("ascii")
        if was_empty:
            self.run()
        return int(self.status)

    def recv(self) -> tuple[int, Any]:
        """Returns (0, message), or (errno, None): EAGAIN when no whole one is there, EPROTO when it is not valid."""
        while not self.status:
            if self._cutter.documents:
                return self._take_message()
            if self._cutter.error is not None:
                self._refuse(f"error parsing stream: {self._cutter.error}")
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
                self._cutter.feed(data)
        return self.status, None

    def recv_wait(self, poller: Any) -> None:
        """Wakes `poller` when `recv` has something to do, be it in our buffers or in those of the TLS layer."""
        if self.status or not self._drained:
            poller.immediate_wake()
        else:
            self.stream.recv_wait(poller)

    def error(self, error: int) -> None:
        """Ends the connection with this errno."""
        if not self.status:
            super().error(error)
            self.output = bytearray()

    def _take_message(self) -> tuple[int, Any]:
        try:
            value = self._cutter.documents.popleft().parse()
        except InvalidJsonError as invalid:
            self._refuse(f"error parsing stream: {invalid}")
            return self.status, None
        message = ovs.jsonrpc.Message.from_json(value)
        if not isinstance(message, ovs.jsonrpc.Message):
            self._refuse(f"received bad JSON-RPC message: {message}")
            return self.status, None
        if _vlog.dbg_is_enabled():
            _vlog.dbg(f"{self.name}: received {message}")
        return 0, message

    def _refuse(self, reason: str) -> None:
        _vlog.warn(f"{self.name}: {reason}")
        self.error(errno.EPROTO)


class _Reconnect(ovs.reconnect.Reconnect):  # type: ignore[misc]  # ovs ships no types
    """`ovs`' state machine of connections, which here remembers why the last one ended, and pauses less.

    A remote where nobody listens costs no pause as long as there are others to try.
    """

    def __init__(self, now: int, *, remotes: int) -> None:
        super().__init__(now)
        self._others = remotes - 1
        self._absent = 0
        self.min_backoff, self.max_backoff = _BACKOFF_MS
        self.last_failure = ("", 0)

    def disconnected(self, now: int, error: int) -> None:
        self.last_failure = (self.get_name(), error)
        super().disconnected(now, error)
        self._absent = self._absent + 1 if error in _NOBODY_LISTENS else 0
        if 0 < self._absent <= self._others:
            self.state_entered = now - self.backoff


class StreamSession(ovs.jsonrpc.Session):  # type: ignore[misc]  # ovs ships no types
    """A reconnecting JSON-RPC session over remotes whose names are resolved anew at each attempt."""

    def __init__(
        self,
        remotes: Sequence[Remote],
        *,
        probe_interval_ms: int | None = None,
        connection: Callable[[Any], Any] | None = None,
    ) -> None:
        """Describes the session; its first `run` connects, to the first remote.

        Args:
            remotes: tried in this order, round and round.
            probe_interval_ms: an idle connection is probed after this time, and dropped after as much again; 0 never
                probes; None is ovs' choice: 5 s, and none on unix sockets.
            connection: makes the connection from an open stream; None takes the faster one.
        """
        reconnect = _Reconnect(ovs.timeval.msec(), remotes=len(remotes))
        super().__init__(reconnect, None, [])
        self.rpc: Any
        self.remotes = list(remotes)
        self._attempts = 0
        self._connection = connection or (StreamConnection if fast_parser_needed() else ovs.jsonrpc.Connection)
        self.pick_remote()
        reconnect.set_quiet(True)
        reconnect.enable(ovs.timeval.msec())
        self.reset_backoff()
        if probe_interval_ms is not None:
            reconnect.set_probe_interval(probe_interval_ms)
        elif not any(remote.needs_probes for remote in remotes):
            reconnect.set_probe_interval(0)

    @property
    def last_failure(self) -> tuple[str, int]:
        """Which remote was lost or not reached last, and the errno (0: unknown, EOF: it hung up); ("", 0) for none."""
        return self.reconnect.last_failure  # type: ignore[no-any-return]  # ovs' attribute is untyped

    def pick_remote(self) -> None:
        """Turns to the next remote, and to the next of the addresses its name has at this time."""
        round_, index = divmod(self._attempts, len(self.remotes))
        self._attempts += 1
        names = self.remotes[index].stream_names()
        self.reconnect.set_name(names[round_ % len(names)])

    def run(self) -> None:
        """Connects, reconnects, probes and sends, without blocking."""
        super().run()
        rpc: Any = self.rpc
        if type(rpc) is ovs.jsonrpc.Connection and self._connection is not ovs.jsonrpc.Connection:
            # Made in this very call: nothing was read or written yet.
            self.rpc = self._connection(rpc.stream)

    def wait(self, poller: Any) -> None:
        """Wakes `poller` when `run` has something to do."""
        stream = self.stream
        if stream is None or not isinstance(stream.socket, ssl.SSLSocket):
            super().wait(poller)
        elif stream.connect() != errno.EAGAIN:
            poller.immediate_wake()
        elif ovs.stream.Stream.connect(stream):
            super().wait(poller)
        else:
            # A handshake waits for the server's words; ovs waits for room to send, which is always there.
            poller.fd_wait(stream.socket, ovs.poller.POLLIN)
            self.reconnect.wait(poller, ovs.timeval.msec())


def describe_loss(error: int, *, tls: bool) -> str:
    """Why a connection ended, or was not made, in words that follow the remote's name.

    Args:
        error: an errno, or what ovs gives instead: EOF, or a code of the TLS library.
        tls: whether it is one over TLS: a server that refuses a certificate may just hang up.
    """
    if error in _HUNG_UP:
        return "closed the connection" + (", perhaps it refuses our certificate" if tls else "")
    if tls and error == ssl.SSL_ERROR_SSL:
        return "TLS: the server refuses our certificate"
    return "does not speak OVSDB" if error == errno.EPROTO else os.strerror(error)


class Poller:
    """What `ovs`' `wait` functions expect, over poll(2): `ovs`' own uses select(2), which ends at descriptor 1023."""

    def __init__(self) -> None:
        self._events: dict[int, int] = {}
        self._timeout_ms: int | None = None

    def fd_wait(self, fd: Any, events: int) -> None:
        """Wakes for `events` of a descriptor."""
        number = fd if isinstance(fd, int) else fd.fileno()
        self._events[number] = self._events.get(number, 0) | events

    def timer_wait(self, msec: float) -> None:
        """Wakes after so many milliseconds."""
        wait = max(0, int(msec))
        self._timeout_ms = wait if self._timeout_ms is None else min(self._timeout_ms, wait)

    def timer_wait_until(self, msec: float) -> None:
        """Wakes at this time of `ovs.timeval.msec`."""
        self.timer_wait(msec - ovs.timeval.msec())

    def immediate_wake(self) -> None:
        """Does not block at all."""
        self._timeout_ms = 0

    def block(self) -> None:
        """Blocks until one of the above, then returns."""
        poll = select.poll()
        for number, events in self._events.items():
            poll.register(number, events)
        poll.poll(self._timeout_ms)
