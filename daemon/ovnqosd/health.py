"""Serves `/metrics`, `/healthz` and `/readyz`."""

from __future__ import annotations

import hmac
import math
import os
import selectors
import socket
import ssl
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import structlog
from prometheus_client.exposition import choose_encoder

from ovnqos import OvnQosError
from ovnqos.controller import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from prometheus_client import CollectorRegistry

    from ovnqosd.settings.settings import ListenAddress, Settings

_log = structlog.get_logger()
_TEXT: Final = "text/plain; charset=utf-8"
_CONNECTIONS: Final = 16
_REQUEST_S: Final = 10.0
"""Seconds from the first byte of a request, or the end of the last one, to the last byte of its answer."""
_PAUSE_S: Final = 0.2


class ListenError(OvnQosError):
    """The address cannot be bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """Who may read what is served.

    Attributes:
        certificate: the file of the server's certificate with its chain; None: no TLS.
        private_key: the file of its key.
        token_file: the file of the bearer token that `/metrics` asks for; None: everybody may read it.
    """

    certificate: Path | None = None
    private_key: Path | None = None
    token_file: Path | None = None

    @classmethod
    def of(cls, settings: Settings) -> Protection:
        """As the settings say."""
        return cls(
            certificate=settings.metrics_certificate,
            private_key=settings.metrics_private_key,
            token_file=settings.metrics_token_file,
        )

    def allows(self, authorization: str) -> bool:
        """Whether a request with this header may read the metrics; the token is read anew each time."""
        if self.token_file is None:
            return True
        try:
            token = self.token_file.read_bytes().strip()
        except OSError:
            return False
        scheme, _, given = authorization.partition(" ")
        return bool(token) and scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token)


class _Certificate:
    """The server's side of TLS, by files that are read again when they change."""

    def __init__(self, certificate: Path, private_key: Path | None) -> None:
        self._files = (certificate, private_key or certificate)
        self._stamp = self._read_stamp()
        self._context = self._load()

    def wrap(self, connection: socket.socket) -> ssl.SSLSocket:
        """A connection with TLS; the handshake comes with the first byte that is read, in the thread that reads it."""
        try:
            if (stamp := self._read_stamp()) != self._stamp:
                self._context, self._stamp = self._load(), stamp
        except OSError as error:  # it is being replaced: the next connection finds it whole
            _log.warning("certificate for metrics not read again", error=str(error))
        return self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)

    def _read_stamp(self) -> tuple[tuple[int, int], ...]:
        return tuple((found.st_mtime_ns, found.st_ino) for found in (path.stat() for path in self._files))

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(*self._files)
        return context


class HealthServer:
    """Serve from `start` to `stop`, each connection in a thread of its own, of which there are few."""

    def __init__(  # noqa: PLR0913 - keywords, each its own concern
        self,
        address: ListenAddress,
        registry: CollectorRegistry,
        *,
        alive: Callable[[], Sequence[str]],
        ready: Callable[[], Sequence[str]],
        role: Callable[[], str] = lambda: "",
        protection: Protection | None = None,
    ) -> None:
        """Describe a server; nothing is bound yet.

        Args:
            address: where to listen; port 0 takes a free one.
            registry: what `/metrics` shows.
            alive: returns which parts of this process have ended, one line each. It must be quick.
            ready: returns what is missing before, or while, the zone can be served, one line each.
            role: returns what `/readyz` says beside `ok`; nothing where it is empty.
            protection: who may read it; None: everybody, without TLS.
        """
        self._address = address
        self._protection = protection or Protection()
        attributes = {"registry": registry, "alive": alive, "ready": ready, "role": role}
        self._handler = type("_BoundHandler", (_Handler,), {**attributes, "protection": self._protection})
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """The port in use; 0 while the server does not run."""
        return self._server.server_port if self._server is not None else 0

    def start(self) -> None:
        """Bind the address and start to serve; raises ListenError: the address or the certificate cannot be used."""
        files = self._protection
        try:
            certificate = _Certificate(files.certificate, files.private_key) if files.certificate else None
        except OSError as error:  # ssl.SSLError is one
            raise ListenError(f"metrics_certificate {files.certificate}: {error.strerror or error}") from None
        try:
            self._server = _Server(self._address, self._handler, certificate)
        except OSError as error:
            raise ListenError(f"metrics_address {self._address}: {error.strerror or error}") from None
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop serving, and free the address."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server = self._thread = None


class _Server(ThreadingHTTPServer):
    """A server with few connections, none of which waits for its client for long.

    Probes and scrapes take milliseconds, so a connection that is slow gives way to the next, and so many of them cost
    neither descriptors nor threads nor the probes' answers.
    """

    daemon_threads = True
    request_queue_size = 128
    timeout = 0.0  # of `handle_request`: it is called when there is one
    block_on_close = False  # a client that reads slowly does not hold up the end of the process

    def __init__(
        self, address: ListenAddress, handler: type[BaseHTTPRequestHandler], certificate: _Certificate | None
    ) -> None:
        self._certificate = certificate
        self._every_address = not address.host and socket.has_dualstack_ipv6()
        if self._every_address or ":" in address.host:
            self.address_family = socket.AF_INET6
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._wake_up = os.eventfd(0, os.EFD_CLOEXEC)
        self._waiting_since: dict[socket.socket, float] = {}  # in the order of these times
        super().__init__((address.host, address.port), handler)

    def server_bind(self) -> None:
        if self._every_address:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)  # the base class would ask DNS for the machine's name
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]  # typed for IPv4 only

    def serve_forever(self, poll_interval: float = 0.1) -> None:
        """Serve until `shutdown`. The thread sleeps while there is no connection; else it ends those that are slow."""
        with selectors.PollSelector() as selector:  # it takes no descriptor, of which there may be none left
            for one in (self.socket, self._wake_up):
                selector.register(one, selectors.EVENT_READ)
            while not self._stopping.is_set():
                for key, _ in selector.select(poll_interval if self._waiting_since else None):
                    if key.fileobj is self.socket:
                        self.handle_request()
                self.service_actions()

    def shutdown(self) -> None:
        """End `serve_forever`."""
        self._stopping.set()
        os.eventfd_write(self._wake_up, 1)

    def server_close(self) -> None:
        super().server_close()
        os.close(self._wake_up)

    def get_request(self) -> tuple[socket.socket, Any]:
        try:
            connection, client = super().get_request()
            return (connection if self._certificate is None else self._certificate.wrap(connection)), client
        except OSError:  # out of descriptors: the listener stays readable, so the loop would spin
            if not self._end_connections(at_most=len(self._waiting_since) - 1):
                time.sleep(_PAUSE_S)
            raise

    def process_request(self, request: Any, client_address: Any) -> None:
        self.begin_request(request)
        self._end_connections(at_most=_CONNECTIONS)
        super().process_request(request, client_address)

    def begin_request(self, connection: socket.socket) -> None:
        """From now on this connection has the time of one request, from its first byte to its answer's last one."""
        with self._lock:
            self._waiting_since.pop(connection, None)
            self._waiting_since[connection] = time.monotonic()

    def service_actions(self) -> None:
        self._end_connections(at_most=_CONNECTIONS, since=time.monotonic() - _REQUEST_S)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._waiting_since.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 # the base class calls it so
        error = sys.exception()
        unexpected = None if isinstance(error, OSError) else error
        _log.debug(
            "request for metrics or health broke off", client=str(client_address), error=str(error), exc_info=unexpected
        )

    def _end_connections(self, *, at_most: int, since: float = -math.inf) -> bool:
        """End the connections that wait since before a time, and the oldest beyond a number; return whether any was."""
        with self._lock:
            beyond = len(self._waiting_since) - at_most
            ended = [
                one for number, (one, at) in enumerate(self._waiting_since.items()) if number < beyond or at < since
            ]
            for one in ended:
                del self._waiting_since[one]
                with suppress(OSError):  # its thread may have closed it, or its client
                    one.shutdown(socket.SHUT_RDWR)
        return bool(ended)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    server_version = "ovnqosd"
    sys_version = ""
    registry: CollectorRegistry
    alive: Callable[[], Sequence[str]]
    ready: Callable[[], Sequence[str]]
    role: Callable[[], str]
    protection: Protection

    def handle_one_request(self) -> None:
        self.server.begin_request(self.request)
        super().handle_one_request()

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/metrics" and not self.protection.allows(self.headers.get("Authorization", "")):
            self._answer(HTTPStatus.UNAUTHORIZED, b"send the bearer token\n", _TEXT)
        elif path == "/metrics":
            encode, content_type = choose_encoder(self.headers.get("Accept", ""))
            self._answer(HTTPStatus.OK, encode(self.registry), content_type)
        elif path in {"/healthz", "/readyz"}:
            # from the class: on the instance a function would be a method
            reasons = type(self).alive() if path == "/healthz" else type(self).ready()
            status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
            role = type(self).role() if path == "/readyz" else ""
            lines = reasons or [f"ok: {role}" if role else "ok"]
            self._answer(status, ("\n".join(map(printable, lines)) + "\n").encode(), _TEXT)
        else:
            self._answer(HTTPStatus.NOT_FOUND, b"not found; try /metrics, /healthz or /readyz\n", _TEXT)

    do_HEAD = do_GET  # noqa: N815 # the base class names it so

    def _answer(self, status: HTTPStatus, body: bytes, content_type: str) -> None:
        self.send_response(status)
        if status is HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", "Bearer")
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # the base class names it so
        _log.debug("served", request=format % args)
