"""A Kubernetes API that answers by script, on a real socket, and what a reflector needs to talk to it."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections import deque
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, urlsplit

import yaml

from ovnqos.kubernetes import PODS, Clock, Reflector, connect
from tests.support.reflectors import PATIENCE, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from ovnqos.kubernetes import ChangeHandler, Interruption, KubernetesClient, Resource, RetryPolicy


class Exchange(BaseHTTPRequestHandler):
    """One request and the means to answer it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    script: ScriptedApi

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.path).query))

    def do_GET(self) -> None:
        with suppress(ConnectionError):  # the client may have ended the request
            self.script.answer(self)

    def send_json(self, status: int, document: object, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(document, ensure_ascii=False).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def start_stream(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def send_chunk(self, piece: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))

    def end_stream(self) -> None:
        self.wfile.write(b"0\r\n\r\n")

    def reset(self) -> None:
        """Breaks the connection with a RST."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True
        self.wfile = self.rfile = _Nowhere()  # type: ignore[assignment]  # the base class flushes and closes them

    def hold(self) -> None:
        """Answers nothing more until the server ends."""
        self.script.ending.wait(PATIENCE)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # the base class names it so
        """Prints nothing."""


class _Nowhere:
    closed = True

    def close(self) -> None:
        """Close nothing."""

    def flush(self) -> None:
        """Flushes nothing."""


class ScriptedApi:
    """Answers requests one by one as the script says; when it is at its end, by `last`.

    Attributes:
        requests: the query of each request, in order.
        headers: and its headers.
        last: the answer to every request beyond the script; by default a watch without events.
    """

    def __init__(self, *answers: Callable[[Exchange], None]) -> None:
        self.requests: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.last: Callable[[Exchange], None] = watch()
        self.ending = threading.Event()
        self._answers = deque(answers)
        self._changed = threading.Condition()
        exchange = type("ThisExchange", (Exchange,), {"script": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), exchange)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, exchange: Exchange) -> None:
        with self._changed:
            self.requests.append(exchange.query)
            self.headers.append({name.lower(): value for name, value in exchange.headers.items()})
            answer = self._answers.popleft() if self._answers else self.last
            self._changed.notify_all()
        answer(exchange)

    def wait_for_requests(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.requests) >= count, PATIENCE), self.requests

    @property
    def lists(self) -> list[dict[str, str]]:
        return [query for query in self.requests if "watch" not in query]

    @property
    def watches(self) -> list[dict[str, str]]:
        return [query for query in self.requests if "watch" in query]


def page(items: Iterable[object], version: int, *, token: str = "") -> Callable[[Exchange], None]:
    """A page of a list; with a token there is another one."""
    metadata = {"resourceVersion": str(version)} | ({"continue": token} if token else {})
    document = {"kind": "List", "metadata": metadata, "items": list(items)}
    return lambda exchange: exchange.send_json(200, document)


def refusal(status: int, reason: str, message: str = "", *, retry_after: str = "") -> Callable[[Exchange], None]:
    """A refusal as the API server words it."""
    document = {"kind": "Status", "status": "Failure", "reason": reason, "message": message, "code": status}
    headers = {"Retry-After": retry_after} if retry_after else {}
    return lambda exchange: exchange.send_json(status, document, headers)


def watch(*pieces: bytes, ends: bool = False, resets: bool = False) -> Callable[[Exchange], None]:
    """A watch that sends these pieces, each a chunk of its own, and then ends, breaks, or stays open."""

    def answer(exchange: Exchange) -> None:
        exchange.start_stream()
        for piece in pieces:
            exchange.send_chunk(piece)
        if resets:
            exchange.reset()
        elif ends:
            exchange.end_stream()
        else:
            exchange.hold()

    return answer


def silence(exchange: Exchange) -> None:
    """Take the request and never answers."""
    exchange.hold()


def event(kind: str, document: object) -> bytes:
    """A line of a watch."""
    return json.dumps({"type": kind, "object": document}, ensure_ascii=False).encode() + b"\n"


def bookmark(version: int) -> bytes:
    return event("BOOKMARK", {"kind": "Pod", "metadata": {"resourceVersion": str(version)}})


def expired_event() -> bytes:
    return event("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"})


def pod(name: str, version: int, **labels: str) -> dict[str, Any]:
    """A pod in the namespace `shop`, as a list gives it."""
    metadata = {"namespace": "shop", "name": name, "uid": f"uid-{name}", "resourceVersion": str(version)}
    return {"metadata": metadata | {"labels": labels}, "spec": {"nodeName": "node1"}, "status": {"phase": "Running"}}


class FakeClock(Clock):
    """Waits take no time, but the clock shows that they did; beyond `ends_at` they last until the interruption.

    Attributes:
        waits: every wait, in seconds.
        time: what the clock shows; a test may set it.
    """

    def __init__(self, *, ends_at: float = float("inf")) -> None:
        self.waits: list[float] = []
        self.time = 1000.0
        self._ends_at = 1000.0 + ends_at
        self.ended = threading.Event()

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def wait(self, seconds: float, interruption: Interruption) -> None:
        self.waits.append(seconds)
        self.time += seconds
        if self.time >= self._ends_at:
            self.ended.set()
            interruption.wait(PATIENCE)


def write_kubeconfig(folder: Path, url: str, user: Mapping[str, object] | None = None) -> Path:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": {"server": url}}],
        "users": [{"name": "test", "user": dict(user or {})}],
    }
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(document))
    return path


@contextmanager
def client_of(url: str, folder: Path) -> Iterator[KubernetesClient]:
    """The daemon's real client for this URL."""
    client = connect(write_kubeconfig(folder, url))
    try:
        yield client
    finally:
        client.close()


@contextmanager
def reflected(
    url: str,
    folder: Path,
    handler: ChangeHandler,
    *,
    resource: Resource = PODS,
    policy: RetryPolicy | None = None,
    clock: Clock | None = None,
    handler_raises: bool = False,
) -> Iterator[Reflector]:
    """A running reflector of this URL. At the end its thread must have ended, and the handler have raised or not."""
    with (
        client_of(url, folder) as client,
        running(
            Reflector(resource, client, handler, policy=policy, clock=clock), handler_raises=handler_raises
        ) as reflector,
    ):
        yield reflector
