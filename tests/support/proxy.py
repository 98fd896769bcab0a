"""A proxy on loopback in front of a real server: it delays, stalls, cuts in mid-message, or answers in its stead."""

from __future__ import annotations

import asyncio
import http
import json
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

_BLOCK: Final = 1 << 16
_PATIENCE_S: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsEnds:
    """Makes a proxy read what it passes on: it needs the server's own certificate.

    Attributes:
        certificate: of the server (PEM).
        private_key: of the server (PEM).
        authority: of the authority that signed it (PEM).
    """

    certificate: Path
    private_key: Path
    authority: Path


class Proxy:
    """Listens on a port of its own; a context manager. Its methods may be called from any thread.

    Attributes:
        port: where clients connect, on 127.0.0.1.
    """

    def __init__(self, target: Path | int, *, tls: TlsEnds | None = None) -> None:
        """Describe it; entering it starts it.

        Args:
            target: the server's unix socket, or its port on 127.0.0.1.
            tls: ends the clients' TLS here, which `answer` needs; None passes it on as it is.
        """
        self.port = 0
        self._target = target
        self._server_tls: ssl.SSLContext | None = None
        self._client_tls: ssl.SSLContext | None = None
        if tls is not None:
            self._server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._server_tls.load_cert_chain(tls.certificate, tls.private_key)
            self._client_tls = ssl.create_default_context(cafile=str(tls.authority))
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._delay_s = 0.0
        self._cuts = False
        self._status: int | None = None
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._started = threading.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(_PATIENCE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE_S)

    def delay(self, seconds: float) -> None:
        """Pass each block on so many seconds later."""
        self._delay_s = seconds

    def stall(self) -> None:
        """Pass nothing on, and keep connections open, until `recover`."""
        self._call(self._flowing.clear)

    def cut_messages(self) -> None:
        """Until `recover`, break each connection in the middle of the next block that passes."""
        self._cuts = True

    def disconnect(self) -> None:
        """Break all connections."""
        self._call(self._abort_all)

    def answer(self, status: int) -> None:
        """Break all connections, and until `recover` answer each request with this HTTP status."""
        self._status = status
        self.disconnect()

    def recover(self) -> None:
        """Pass on as it comes."""
        self._delay_s, self._cuts, self._status = 0.0, False, None
        self._call(self._flowing.set)

    def _call(self, function: Any) -> None:
        self._loop.call_soon_threadsafe(function)

    def _abort_all(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    def _run(self) -> None:
        self._loop.set_exception_handler(lambda *_: None)  # connections that break are its purpose
        listening = asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._server_tls)
        server = self._loop.run_until_complete(listening)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._abort_all()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                await self._flowing.wait()
                if self._status is not None:
                    await reader.readuntil(b"\r\n\r\n")
                    writer.write(_refusal(self._status))
                    await writer.drain()
                else:
                    await self._pass_on(reader, writer)
        finally:
            self._writers.discard(writer)
            with suppress(OSError):
                writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opening: Coroutine[Any, Any, tuple[asyncio.StreamReader, asyncio.StreamWriter]]
        if isinstance(self._target, int):
            opening = asyncio.open_connection("127.0.0.1", self._target, ssl=self._client_tls)
        else:
            opening = asyncio.open_unix_connection(str(self._target))
        answers, upstream = await opening
        self._writers.add(upstream)
        ways = [asyncio.create_task(self._pump(*way)) for way in ((reader, upstream), (answers, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in ways:
                one.cancel()
            self._writers.discard(upstream)
            upstream.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while block := await source.read(_BLOCK):
                await self._flowing.wait()
                if self._delay_s:
                    await asyncio.sleep(self._delay_s)
                if self._cuts:
                    target.write(block[: len(block) // 2])
                    await target.drain()
                    return
                target.write(block)
                await target.drain()


def _refusal(status: int) -> bytes:
    phrase = http.HTTPStatus(status).phrase
    reasons = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 410: "Expired", 429: "TooManyRequests"}
    document = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": status,
        "reason": reasons.get(status, "InternalError"),
        "message": f"refused by the test's proxy: {phrase}",
    }
    body = json.dumps(document).encode()
    lines = [
        f"HTTP/1.1 {status} {phrase}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *(["Retry-After: 1"] if status == http.HTTPStatus.TOO_MANY_REQUESTS else []),
    ]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode() + body
