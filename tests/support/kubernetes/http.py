"""Plain requests to an API server, by the standard library: what a test needs to set a scene and to look at it."""

from __future__ import annotations

import json
import ssl
import time
import urllib.request
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.error import HTTPError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.client import HTTPResponse
    from pathlib import Path

JSON: Final = "application/json"
APPLY: Final = "application/apply-patch+yaml"
"""The content type of a server-side apply."""
MERGE_PATCH: Final = "application/merge-patch+json"
YAML: Final = "application/yaml"
_PATIENCE_SECONDS: Final = 30
_CACHE_POLL_SECONDS: Final = 0.1


class KubernetesHttp:
    """Sends requests to one API server, each on a connection of its own.

    Attributes:
        url: the server's, `https://<address>:<port>`.
        token: the bearer token of a request that brings none.
    """

    def __init__(self, url: str, *, authority: Path, token: str) -> None:
        """Read the certificate by which the server is checked.

        Args:
            url: the server's.
            authority: the certificate of the server's authority (PEM).
            token: see the attribute.
        """
        self.url = url
        self.token = token
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),  # a proxy of the environment has no business with loopback
            urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=str(authority))),
        )

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = None,
        content_type: str = JSON,
    ) -> tuple[int, Any]:
        """One request, and its answer whatever its status.

        Args:
            method: `GET`, `POST`, …
            path: with its query, e.g. `/api/v1/pods?limit=1`.
            body: text is sent as it is, anything else as JSON; None sends none.
            token: whose request it is; None takes the client's own token.
            content_type: of the body.

        Returns:
            The HTTP status and the body: read as JSON, or as text if it is none.

        Raises:
            OSError: the server does not answer.
        """
        request = self._describe(method, path, body, token=token, content_type=content_type)
        try:
            with self._opener.open(request, timeout=_PATIENCE_SECONDS) as answer:
                return answer.status, _read(answer.read())
        except HTTPError as refusal:
            with refusal:
                return refusal.code, _read(refusal.read())

    def watch(self, path: str, *, token: str | None = None, timeout: float = 30) -> Iterator[dict[str, Any]]:
        """The events of a watch, as they come, until the server ends it or the connection breaks.

        Args:
            path: with its query, e.g. `/api/v1/pods?watch=true&resourceVersion=7&timeoutSeconds=5`.
            token: whose request it is; None takes the client's own token.
            timeout: seconds without an event.

        Yields:
            `{"type": "ADDED", "object": …}`.

        Raises:
            HTTPError: the server refused the watch.
            OSError: the server does not answer, or no event came in time.
        """
        request = self._describe("GET", path, None, token=token, content_type=JSON)
        # A server that has just started refuses watches while its caches fill; it says when to come back
        deadline = time.monotonic() + timeout
        while (answer := self._open_watch(request, timeout)) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{path}: the server's caches were not filled within {timeout:g} s")
            time.sleep(_CACHE_POLL_SECONDS)
        # http.client makes a clean end of most broken connections, so the others are made the same
        with answer, suppress(ConnectionError):
            for line in answer:
                yield json.loads(line)

    def _open_watch(self, request: urllib.request.Request, timeout: float) -> HTTPResponse | None:
        try:
            answer: HTTPResponse = self._opener.open(request, timeout=timeout)
        except HTTPError as refusal:
            if refusal.code == HTTPStatus.TOO_MANY_REQUESTS and "Retry-After" in refusal.headers:
                refusal.close()
                return None
            raise
        return answer

    def _describe(
        self, method: str, path: str, body: object, *, token: str | None, content_type: str
    ) -> urllib.request.Request:
        headers = {"Accept": JSON, "Authorization": f"Bearer {self.token if token is None else token}"}
        data = None
        if body is not None:
            data = (body if isinstance(body, str) else json.dumps(body)).encode()
            headers["Content-Type"] = content_type
        return urllib.request.Request(self.url + path, data=data, method=method, headers=headers)


def _read(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")
