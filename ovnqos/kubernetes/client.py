"""The connection to the Kubernetes API: the official client's configuration and TLS, the answers as plain JSON.

The generated models of `kubernetes` 37 cost 197 µs a small pod where `json.loads` takes 17 µs (measured), so requests
go to its connection pool directly.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

import urllib3
import yaml
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError

from ovnqos.errors import OvnQosError
from ovnqos.kubernetes.errors import (
    ApiUnreachableError,
    RequestInterruptedError,
    UnreadableAnswerError,
    describe_http_error,
    status_error,
)
from ovnqos.kubernetes.interruption import Interruption, interruptible, make_interruptible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from kubernetes.client import Configuration

JSON: Final = "application/json"
APPLY_PATCH: Final = "application/apply-patch+yaml"
"""The content type of a server-side apply; JSON is YAML."""
MERGE_PATCH: Final = "application/merge-patch+json"
CONNECT_TIMEOUT: Final = 10.0
"""Seconds in which the API server must take a connection."""
REQUEST_TIMEOUT: Final = 60.0
"""Seconds in which an answer must begin and go on; the API server itself gives a request up after 60 s."""
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


class KubernetesConfigurationError(OvnQosError):
    """There is no configuration for a Kubernetes API, or it cannot be used."""


def connect(
    kubeconfig: Path | None = None, *, context: str | None = None, user_agent: str = "ovnqos"
) -> KubernetesClient:
    """Make a client; nothing is sent yet.

    Args:
        kubeconfig: the file to use. None: the service account when this process runs in a pod, else what kubectl
            would use (`$KUBECONFIG`, `~/.kube/config`).
        context: the kubeconfig's context to use; None: its current one.
        user_agent: how requests name this program.

    Raises:
        KubernetesConfigurationError: there is no configuration, it cannot be used, or the Python package `kubernetes`
            is not installed.
    """
    try:
        from kubernetes import config  # noqa: PLC0415 # it takes half a second to load, and is an extra
        from kubernetes.client import Configuration  # noqa: PLC0415 # likewise
    except ImportError as error:
        message = "Kubernetes: the Python package kubernetes is not installed; install ovnqos[kubernetes]"
        raise KubernetesConfigurationError(message) from error
    configuration = Configuration()
    source = str(kubeconfig) if kubeconfig is not None else "the kubeconfig"
    try:
        if kubeconfig is None and "KUBERNETES_SERVICE_HOST" in os.environ:
            source = "the service account"
            config.load_incluster_config(configuration)  # type: ignore[no-untyped-call]  # kubernetes has no type for it
        else:
            config.load_kube_config(  # type: ignore[no-untyped-call]  # kubernetes has no type for it
                str(kubeconfig) if kubeconfig is not None else None,
                context=context,
                client_configuration=configuration,
                persist_config=False,
            )
        return KubernetesClient(configuration, user_agent=user_agent)
    except (config.ConfigException, OSError, yaml.YAMLError) as error:
        raise KubernetesConfigurationError(f"Kubernetes: {source}: {_one_line(error)}") from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:  # the loader checks little of the file's shape
        message = f"Kubernetes: {source}: malformed: {_one_line(error)}"
        raise KubernetesConfigurationError(message) from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def parse_document(body: bytes, where: str) -> dict[str, object]:
    """Parse a JSON object; `where` names its URL in errors.

    Raises:
        UnreadableAnswerError: it is none.
    """
    try:
        document: object = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UnreadableAnswerError(f"{where}: not JSON: {error}") from None
    if not isinstance(document, dict):
        raise UnreadableAnswerError(f"{where}: not a JSON object")
    return document


class KubernetesClient:
    """Send requests to the Kubernetes API. Threads may share it.

    Attributes:
        server: the API server's URL.
    """

    def __init__(self, configuration: Configuration, *, user_agent: str = "ovnqos") -> None:
        """Use a configuration of the official client; see `connect`."""
        from kubernetes.client import ApiClient  # noqa: PLC0415 # see connect

        configuration.connection_pool_maxsize = _POOL_SIZE
        configuration.socket_options = [*HTTPConnection.default_socket_options, *_KEEPALIVE]
        self.server: str = configuration.host
        self._api_client = ApiClient(configuration)
        self._pool = self._api_client.rest_client.pool_manager
        make_interruptible(self._pool)
        self._user_agent = user_agent
        self._authentication = threading.Lock()

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
            timeout: seconds of silence of the server; for the connection that long, or `CONNECT_TIMEOUT`.

        Raises:
            RequestError: one of its kinds. A request without an answer may have been carried out.
        """
        stop = interruption if interruption is not None else Interruption()
        body = None if document is None else json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")
        with self._exchange(method, path, query, stop, timeout, body=body, content_type=content_type) as response:
            return parse_document(self._read(response, None, stop), f"{self.server}{path}")

    def read(self, path: str, query: Mapping[str, str | int], interruption: Interruption) -> bytes:
        """Get a document, unparsed.

        Raises:
            RequestError: one of its kinds.
        """
        with self._exchange("GET", path, query, interruption, REQUEST_TIMEOUT) as response:
            return self._read(response, None, interruption)

    @contextmanager
    def stream(
        self, path: str, query: Mapping[str, str | int], interruption: Interruption, *, timeout: float
    ) -> Iterator[Iterator[bytes]]:
        """Open an answer that goes on; give its bytes as they come, until the server ends it.

        Args:
            path: with a leading slash, without a query.
            query: parameters.
            interruption: ends the request from another thread.
            timeout: the longest silence of the server in seconds.

        Raises:
            RequestError: one of its kinds; also while the bytes are read.
        """
        with self._exchange("GET", path, query, interruption, timeout) as response:
            yield iter(lambda: self._read(response, _CHUNK, interruption), b"")

    @contextmanager
    def _exchange(  # noqa: PLR0913 - of a request
        self,
        method: str,
        path: str,
        query: Mapping[str, str | int] | None,
        interruption: Interruption,
        timeout: float,
        *,
        body: bytes | None = None,
        content_type: str = JSON,
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        headers = {"Accept": JSON, "User-Agent": self._user_agent, **self._authorization()}
        if body is not None:
            headers["Content-Type"] = content_type
        with interruption.request():
            if interruption.is_set():
                raise RequestInterruptedError(_INTERRUPTED)
            try:
                with interruptible(interruption):
                    response = self._pool.request(
                        method,
                        f"{self.server}{path}" + (f"?{urlencode(query)}" if query else ""),
                        body=body,
                        headers=headers,
                        timeout=urllib3.Timeout(connect=min(timeout, CONNECT_TIMEOUT), read=timeout),
                        preload_content=False,
                        redirect=False,
                        retries=False,  # the caller decides when to retry
                    )
            except (HTTPError, OSError) as error:
                raise self._failure(error, interruption) from error
            try:
                if not 200 <= response.status < 300:
                    refusal = self._read(response, _CHUNK, interruption)
                    raise status_error(response.status, response.reason or "", response.headers, refusal)
                yield response
            finally:
                response.close()

    def _read(self, response: urllib3.BaseHTTPResponse, most: int | None, interruption: Interruption) -> bytes:
        try:
            return response.read() if most is None else response.read1(most)
        except (HTTPError, OSError) as error:
            raise self._failure(error, interruption) from error

    def _failure(self, error: Exception, interruption: Interruption) -> ApiUnreachableError | RequestInterruptedError:
        if interruption.is_set():
            return RequestInterruptedError(_INTERRUPTED)
        if isinstance(error, HTTPError):
            return ApiUnreachableError(describe_http_error(error, self.server))
        return ApiUnreachableError(f"{self.server}: {_one_line(error)}")

    def _authorization(self) -> dict[str, str]:
        from kubernetes.config import ConfigException  # noqa: PLC0415 # see connect

        try:
            with self._authentication:  # it may read a rotated token, or run the kubeconfig's credential program
                bearer = self._api_client.configuration.auth_settings().get("BearerToken")
        except (ConfigException, OSError) as error:
            raise ApiUnreachableError(f"{self.server}: no credentials: {_one_line(error)}") from error
        return {bearer["key"]: bearer["value"].strip()} if bearer is not None and bearer["value"] else {}
