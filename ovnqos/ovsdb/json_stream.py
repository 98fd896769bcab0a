"""JSON objects and JSON-RPC messages over a stream of `ovs`, read and sent in linear time however the bytes are cut.

All that leans on how `ovs` works inside is here, in `remotes` and in `tls`: the public classes
`ovs.jsonrpc.Connection`, `ovs.jsonrpc.Session` and `ovs.reconnect.Reconnect`, and attributes of theirs. Nothing of
`ovs` is replaced, so other users of it in the process are not affected.
"""

from __future__ import annotations

import codecs
import errno
import json
import os
import re
import select
from collections import deque
from typing import Any, Final, NoReturn

import ovs.jsonrpc
import ovs.reconnect
import ovs.stream
import ovs.timeval
import ovs.vlog

MAX_DEPTH: Final = 500
"""Nesting that is accepted; messages of OVSDB nest about ten deep."""

_STRUCTURE: Final = b'{}[],"'
_NO_STRUCTURE: Final = bytes(one for one in range(256) if one not in _STRUCTURE)
_OBJECT_AFTER_OBJECT: Final = re.compile(rb'\}[{\["]')
_REFUSED_ESCAPE: Final = re.compile(r"\\u(?:0000|[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F]))")
_CUT_TOKEN: Final = 8
"""Characters before the end of what has arrived within which the parser may stumble over half a token."""


class JsonReader:
    """Cuts a stream into JSON objects and parses each once, in linear time, however the bytes are cut.

    Brackets outside strings are counted at the speed of C (500 MB/s measured): that is where an object ends, so
    nothing is parsed in vain. `ovs` parses character by character in Python: 2.6 MB/s.

    Attributes:
        objects: what has arrived, oldest first; the user removes them.
        error: why nothing more will come; what was read before stays.
    """

    def __init__(self) -> None:
        self.objects: deque[Any] = deque()
        self.error: str | None = None
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._parts: list[str] = []  # of the object that has begun
        self._backslash = b""  # one whose escaped character has not arrived
        self._depth = 0
        self._in_string = False

    @property
    def pending(self) -> bool:
        """Whether an object has begun and not ended."""
        return bool("".join(self._parts) or self._backslash)

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        if self.error is None:
            try:
                self._take(self._backslash + data)
            except (ValueError, RecursionError) as error:
                self.error = str(error)

    def _take(self, data: bytes) -> None:
        self._backslash = b"\\" if (len(data) - len(data.rstrip(b"\\"))) % 2 else b""
        data = data.removesuffix(self._backslash)
        self._parts.append(self._decode(data))
        if b"\\" in data:
            data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
        # without what has no structure, a string is two quotes in a row: few are left to cut at
        pieces = data.translate(None, _NO_STRUCTURE).replace(b'""', b"").split(b'"')
        outside = b"".join(pieces[self._in_string :: 2])
        self._in_string ^= len(pieces) % 2 == 0
        self._depth += sum(map(outside.count, (b"{", b"["))) - sum(map(outside.count, (b"}", b"]")))
        if self._depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH}")
        if self._depth <= 0 or _OBJECT_AFTER_OBJECT.search(outside):
            self._parse()

    def _parse(self) -> None:
        text = "".join(self._parts)
        self._parts = []
        position = _skip_blanks(text, 0)
        while position < len(text):
            if text[position] != "{":
                raise ValueError(f"no JSON object at {text[position : position + 20]!r}")
            try:
                value, end = _DECODER.raw_decode(text, position)
            except json.JSONDecodeError as error:
                is_cut = error.pos >= len(text) - _CUT_TOKEN or error.msg.startswith("Unterminated string")
                if self._depth <= 0 or not is_cut:
                    raise
                self._parts = [text[position:]]
                return
            if text.find("\\u", position, end) >= 0:
                _check_escapes(text[position:end])
            self.objects.append(value)
            position = _skip_blanks(text, end)


def _skip_blanks(text: str, position: int) -> int:
    while text[position : position + 1] in (" ", "\t", "\r", "\n"):
        position += 1
    return position


def _check_escapes(text: str) -> None:
    if _REFUSED_ESCAPE.search(text.replace("\\\\", " ")):
        raise ValueError("a NUL, or half a surrogate pair, in a string")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)

READ_SIZE: Final = 256 * 1024
"""Bytes asked of the socket at once; `ovs` asks for 4096."""

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
