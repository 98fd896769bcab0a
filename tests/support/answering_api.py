"""A Kubernetes API that answers every request by a function of the test's own, on a real socket."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 20.0
"""Seconds after which something that was to happen is taken for never to happen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    content_type: str
    body: Any


class _Exchange(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    api: AnsweringApi

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        body = json.loads(self.rfile.read(length)) if length else None
        parts = urlsplit(self.path)
        kind = self.headers.get("Content-Type", "")
        query = dict(parse_qsl(parts.query))
        request = Request(method=self.command, path=parts.path, query=query, content_type=kind, body=body)
        status, document = self.api.serve(request)
        answer = json.dumps(document).encode()
        self.send_response(status)
        if isinstance(document, Refusal) and document.retry_after:
            self.send_header("Retry-After", document.retry_after)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        with suppress(ConnectionError):  # the client may have ended the request
            self.wfile.write(answer)

    do_GET = do_POST = do_PUT = do_PATCH = _serve  # noqa: N815 # the base class names them so

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # the base class names it so
        """Prints nothing."""


class AnsweringApi:
    """Attributes: `requests` holds every request; `answer` gives the status and document, and may be replaced."""

    def __init__(self, answer: Callable[[Request], tuple[int, object]]) -> None:
        self.requests: list[Request] = []
        self.answer = answer
        self._changed = threading.Condition()
        exchange = type("_ThisExchange", (_Exchange,), {"api": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), exchange)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def serve(self, request: Request) -> tuple[int, object]:
        with self._changed:
            answer = self.answer(request)
            self.requests.append(request)
            self._changed.notify_all()
            return answer

    def wait_for(self, count: int) -> list[Request]:
        """The first requests, when there are so many."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.requests) >= count, PATIENCE), self.requests
            return self.requests[:count]


class Refusal(dict[str, object]):
    """A `Status` document, and the seconds after which to ask again, as the header Retry-After has them."""

    retry_after = ""


def refusal(status: int, reason: str, *, retry_after: str = "") -> tuple[int, object]:
    """A refusal as the API server words it."""
    document = Refusal(kind="Status", status="Failure", reason=reason, message="no", code=status)
    document.retry_after = retry_after
    return status, document
