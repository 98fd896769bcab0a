"""A JSON-RPC exchange with ovsdb-server, timed from the first byte written to the last byte read (RFC 7047)."""

from __future__ import annotations

import gc
import json
import select
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from ovnqos.errors import NorthboundUnavailable, TransactionRefused

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

Operation = dict[str, Any]
"""An operation of RFC 7047's `transact`, as JSON holds it."""

DATABASE = "OVN_Northbound"
RECEIVE_BYTES = 1 << 18
PAUSE_SECONDS = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request and its complete reply.

    Attributes:
        seconds: from the request's first byte written to the reply's last byte read.
        parse_seconds: what the standard library's JSON parser needs for the reply, after that.
        reply_bytes: the reply's length.
        result: the reply's `result` member.
    """

    seconds: float
    parse_seconds: float
    reply_bytes: int
    result: Any


class RawClient:
    """A JSON-RPC client of one ovsdb-server on a unix socket that does nothing besides, so that it costs nothing."""

    def __init__(self, remote: str) -> None:
        kind, _, path = remote.partition(":")
        if kind != "unix":
            raise ValueError(f"{remote}: the floor is measured on a unix socket, unix:PATH")
        self._remote = remote
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(path)
        except OSError as error:
            self._socket.close()
            raise NorthboundUnavailable(f"{remote}: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def transact(self, operations: Sequence[Operation]) -> Exchange:
        """Encode, send and await one transaction.

        Raises:
            TransactionRefused: an operation, or the commit, failed.
            NorthboundUnavailable: the server closed the connection.
        """
        return self.exchange(encode(operations))

    def exchange(self, request: bytes) -> Exchange:
        """Send an encoded `transact` and await its reply; raises as `transact` does."""
        collecting = gc.isenabled()
        gc.disable()  # measured: collections in a process that holds a cluster take 5 times as long as the parser
        try:
            return self._exchange(request)
        finally:
            if collecting:
                gc.enable()

    def send(self, request: bytes) -> None:
        """Send an encoded `transact`, whose reply `receive` awaits."""
        self._socket.sendall(request)

    def receive(self) -> Exchange:
        """Await the reply to what was sent; raises as `transact` does."""
        return self._receive(time.perf_counter())

    def _exchange(self, request: bytes) -> Exchange:
        started = time.perf_counter()
        self.send(request)
        return self._receive(started)

    def _receive(self, started: float) -> Exchange:
        received = bytearray()
        while chunk := self._socket.recv(RECEIVE_BYTES):
            arrived = time.perf_counter()
            received += chunk
            if not chunk.endswith(b"}") or self._goes_on():
                continue
            parse_started = time.perf_counter()
            messages = _complete_messages(received)
            parsed = time.perf_counter()
            if messages is None:
                continue
            for reply in self._without_requests(messages):
                return Exchange(
                    seconds=arrived - started,
                    parse_seconds=parsed - parse_started,
                    reply_bytes=len(received),
                    result=_checked_result(reply),
                )
            received.clear()
        raise NorthboundUnavailable(f"{self._remote}: the server closed the connection")

    def _goes_on(self) -> bool:
        """Tell whether more arrives soon; a wait in vain comes after the clock has stopped."""
        return bool(select.select([self._socket], [], [], PAUSE_SECONDS)[0])

    def _without_requests(self, messages: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for message in messages:
            if "method" not in message:
                yield message
            elif message["method"] == "echo":  # the server probes a connection that was idle for some seconds
                answer = {"id": message["id"], "result": message["params"], "error": None}
                self._socket.sendall(json.dumps(answer).encode())


def encode(operations: Sequence[Operation]) -> bytes:
    """Return the bytes of one `transact` request on OVN_Northbound."""
    request = {"method": "transact", "id": 0, "params": [DATABASE, *operations]}
    return json.dumps(request, separators=(",", ":")).encode()


def _complete_messages(data: bytearray) -> list[dict[str, Any]] | None:
    messages, position, decoder = [], 0, json.JSONDecoder()
    try:
        text = data.decode()
        while position < len(text):
            message, position = decoder.raw_decode(text, position)
            messages.append(message)
    except ValueError:  # cut inside a message: the rest is on its way
        return None
    return messages


def _checked_result(reply: dict[str, Any]) -> Any:
    if reply["error"] is not None:
        raise TransactionRefused(f"the request failed: {reply['error']}")
    for index, outcome in enumerate(reply["result"]):
        if outcome and outcome.get("error"):
            raise TransactionRefused(f"operation {index}: {outcome['error']}: {outcome.get('details', '')}")
    return reply["result"]
