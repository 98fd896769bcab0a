"""The connection to the Kubernetes API: the official client's TLS, the answers as plain JSON.

The generated models of `kubernetes` 37 cost 197 µs a small pod where `json.loads` takes 17 µs (measured), so requests
go to its connection pool directly.
"""

from __future__ import annotations

import json
import socket
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import urlencode

import urllib3
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError

from ovnqos.kubernetes.errors import (
    ApiUnreachableError,
    RequestInterruptedError,
    UnreadableAnswerError,
    describe_http_error,
    one_line,
    status_error,
)
from ovnqos.kubernetes.interruption import Interruption, interruptible, make_interruptible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from kubernetes.client import Configuration

JSON: Final = "application/json"
APPLY_PATCH: Final = "application/apply-patch+yaml"
"""The content type of a server-side apply; JSON is YAML."""
MERGE_PATCH: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"
CONNECT_TIMEOUT: Final = 10.0
"""Seconds in which the API server must take a connection."""
REQUEST_TIMEOUT: Final = 60.0
"""Seconds in which an answer must begin and go on; the API server itself gives a request up after 60 s."""
ANSWER_MAXIMUM: Final = 512 * 2**20
"""Bytes of a document; a page has 500 objects, and 50,000 pods that are listed without pages take 300 MB."""
_WHOLE: Final = 2.0
"""A whole request takes at most so many times its timeout, however the server drips its answer."""
_UNAUTHORIZED: Final = 401
_POOL_SIZE: Final = 16
_CHUNK: Final = 65_536
_INTERRUPTED: Final = "the request was interrupted"
_KEEPALIVE: Final = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
]
"""A watch sends nothing, so only probes notice that the peer's machine is gone: after a minute (tcp(7))."""


def parse_document(body: bytes, where: str) -> dict[str, object]:
    """Parse a JSON object; `where` names its URL in errors; raises UnreadableAnswerError."""
    try:
        document: object = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UnreadableAnswerError(f"{where}: not JSON: {error}") from None
    if not isinstance(document, dict):
        raise UnreadableAnswerError(f"{where}: not a JSON object")
    return document


_Authorize: TypeAlias = "Callable[[Mapping[str, str] | None], dict[str, str]]"


class KubernetesClient:
    """Send requests to the Kubernetes API. Threads may share it.

    Attributes:
        server: the API server's URL.
        name: how its user knows it: the kubeconfig's context, or the service account.
        answer_maximum: bytes of a document; a longer one is refused.
    """

    def __init__(self, configuration: Configuration, *, user_agent: str, authorize: _Authorize, name: str) -> None:
        """Use a configuration of the official client; `authorize` is `Credentials.authorization`."""
        from kubernetes.client import ApiClient  # noqa: PLC0415 # it takes half a second to load, and is an extra

        configuration.connection_pool_maxsize = _POOL_SIZE
        configuration.socket_options = [*HTTPConnection.default_socket_options, *_KEEPALIVE]
        self.server: str = configuration.host
        self.name = name
        self._api_client = ApiClient(configuration)
        self._pool = self._api_client.rest_client.pool_manager
        make_interruptible(self._pool)
        self._user_agent = user_agent
        self._authorize = authorize
        self.answer_maximum = ANSWER_MAXIMUM

    def close(self) -> None:
        """Close the idle connections."""
        self._api_client.close()  # type: ignore[no-untyped-call]  # kubernetes has no type for it

    def request(  # noqa: PLR0913 - keywords with defaults
        self,
        method: str,
        path: str,
        document: object = None,
        *,
        content_type: str = JSON,
        query: Mapping[str, str | int] | None = None,
        interruption: Interruption | None = None,
        timeout: float = REQUEST_TIMEOUT,
    ) -> dict[str, object]:
        """Send a request and return the answer's document.

        Args:
            method: `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
            path: with a leading slash, without a query.
            document: what to send, as JSON; None sends no body.
            content_type: of the document.
            query: parameters.
            interruption: ends the request from another thread; None: nothing does.
            timeout: seconds of silence of the server; for the connection that long, or `CONNECT_TIMEOUT`. The whole
                request takes at most twice as long.

        Raises:
            RequestError: one of its kinds. A request without an answer may have been carried out.
        """
        stop = interruption if interruption is not None else Interruption()
        body = None if document is None else json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")
        with self._exchange(method, path, query, stop, timeout, body=body, content_type=content_type) as response:
            return parse_document(self._read_whole(response, stop), f"{self.server}{path}")

    def read(self, path: str, query: Mapping[str, str | int], interruption: Interruption) -> bytes:
        """Get a document, unparsed; raises RequestError."""
        with self._exchange("GET", path, query, interruption, REQUEST_TIMEOUT) as response:
            return self._read_whole(response, interruption)

    @contextmanager
    def stream(
        self, path: str, query: Mapping[str, str | int], interruption: Interruption, *, seconds: float
    ) -> Iterator[Iterator[bytes]]:
        """Open an answer that goes on; give its bytes as they come, until the server ends it.

        Args:
            path: with a leading slash, without a query.
            query: parameters.
            interruption: ends the request from another thread.
            seconds: in which the server must have ended it.

        Raises:
            RequestError: one of its kinds; also while the bytes are read.
        """
        with self._exchange("GET", path, query, interruption, seconds, whole=seconds) as response:
            yield iter(lambda: self._read(response, interruption), b"")

    @contextmanager
    def _exchange(  # noqa: PLR0913 - of a request
        self,
        method: str,
        path: str,
        query: Mapping[str, str | int] | None,
        interruption: Interruption,
        timeout: float,
        *,
        whole: float | None = None,
        body: bytes | None = None,
        content_type: str = JSON,
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """Send a request, and once more where its token was refused and there is a new one; `whole` is in seconds."""
        url = f"{self.server}{path}" + (f"?{urlencode(query)}" if query else "")
        headers = {"Accept": JSON, "User-Agent": self._user_agent}
        if body is not None:
            headers["Content-Type"] = content_type
        authorization = self._authorization()
        send = partial(self._send, method, url, body, interruption=interruption, timeout=timeout)
        with interruption.request(_WHOLE * timeout if whole is None else whole):
            response = send(headers | authorization)
            try:
                if response.status == _UNAUTHORIZED and (renewed := self._renewed(authorization)):
                    response.close()
                    response = send(headers | renewed)
                if not 200 <= response.status < 300:
                    refusal = self._read(response, interruption)
                    raise status_error(response.status, response.reason or "", response.headers, refusal)
                if encoding := response.headers.get("Content-Encoding"):  # a small answer could become any size
                    raise UnreadableAnswerError(f"{url}: its Content-Encoding is {encoding!r}; none was asked for")
                yield response
            finally:
                response.close()

    def _send(  # noqa: PLR0913 - of a request
        self,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str],
        *,
        interruption: Interruption,
        timeout: float,
    ) -> urllib3.BaseHTTPResponse:
        if interruption.is_set():
            raise RequestInterruptedError(_INTERRUPTED)
        try:
            with interruptible(interruption):
                return self._pool.request(
                    method,
                    url,
                    body=body,
                    headers=headers,
                    timeout=urllib3.Timeout(connect=min(timeout, CONNECT_TIMEOUT), read=timeout),
                    preload_content=False,
                    decode_content=False,
                    redirect=False,
                    retries=False,  # the caller decides when to retry
                )
        except (HTTPError, OSError) as error:
            raise self._failure(error, interruption) from error

    def _read_whole(self, response: urllib3.BaseHTTPResponse, interruption: Interruption) -> bytes:
        pieces: list[bytes] = []
        size = 0
        while piece := self._read(response, interruption):
            pieces.append(piece)
            size += len(piece)
            if size > self.answer_maximum:
                raise UnreadableAnswerError(f"{self.server}: an answer of more than {self.answer_maximum} bytes")
        return b"".join(pieces)

    def _read(self, response: urllib3.BaseHTTPResponse, interruption: Interruption) -> bytes:
        try:
            piece = response.read1(_CHUNK)
        except (HTTPError, OSError) as error:
            raise self._failure(error, interruption) from error
        if interruption.expired:
            raise self._failure(TimeoutError(), interruption)
        return piece

    def _failure(self, error: Exception, interruption: Interruption) -> ApiUnreachableError | RequestInterruptedError:
        if interruption.is_set():
            return RequestInterruptedError(_INTERRUPTED)
        if interruption.expired:
            return ApiUnreachableError(f"{self.server}: no whole answer in time")
        if isinstance(error, HTTPError):
            return ApiUnreachableError(describe_http_error(error, self.server))
        return ApiUnreachableError(f"{self.server}: {one_line(error)}")

    def _renewed(self, refused: Mapping[str, str]) -> dict[str, str]:
        """The header with a new token; empty where there is no other than the refused one."""
        found = self._authorization(refused=refused)
        return found if found != refused else {}

    def _authorization(self, *, refused: Mapping[str, str] | None = None) -> dict[str, str]:
        from kubernetes.config import ConfigException  # noqa: PLC0415 # it takes half a second to load, and is an extra

        try:
            return self._authorize(refused)
        except (ConfigException, OSError) as error:
            raise ApiUnreachableError(f"{self.server}: no credentials: {one_line(error)}") from error
