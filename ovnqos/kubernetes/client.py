"""The connection to the Kubernetes API: the official client's settings and TLS, the answers as plain JSON.

The generated models of `kubernetes` 37 cost 197 µs a small pod where `json.loads` takes 17 µs (measured), so requests
go to its connection pool; whoever needs them finds the models' `ApiClient` in `KubernetesClient.api_client`.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import urllib3
import yaml
from kubernetes import config
from kubernetes.client import ApiClient, Configuration
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError

from ovnqos.errors import OvnQosError
from ovnqos.kubernetes.interruptible_pool import interruptible, make_interruptible
from ovnqos.kubernetes.request_errors import (
    ApiUnreachableError,
    RequestInterruptedError,
    UnreadableAnswerError,
    in_words,
    status_error,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ovnqos.kubernetes.interruption import Interruption

CONNECT_TIMEOUT = 10.0
"""Seconds in which the API server must take a connection."""
READ_TIMEOUT = 60.0
"""Seconds in which an answer must begin and go on; the API server itself gives a request up after 60 s."""
_POOL_SIZE = 16
_CHUNK = 65_536
_INTERRUPTED = "the request was ended from outside"
_KEEPALIVE = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
]
"""A watch sends nothing, so only probes notice that the peer's machine is gone: after a minute (tcp(7))."""


class KubernetesConfigurationError(OvnQosError):
    """There is no configuration for a Kubernetes API, or it cannot be used."""


def connect(kubeconfig: Path | None = None, *, context: str | None = None) -> KubernetesClient:
    """Makes a client; nothing is sent yet.

    Args:
        kubeconfig: the file to use. None: the service account when this process runs in a pod, else what kubectl
            would use (`$KUBECONFIG`, `~/.kube/config`).
        context: the kubeconfig's context to use; None: its current one.

    Raises:
        KubernetesConfigurationError: there is no configuration, or it cannot be used.
    """
    configuration = Configuration()
    source = str(kubeconfig) if kubeconfig is not None else "the kubeconfig"
    try:
        if kubeconfig is None and "KUBERNETES_SERVICE_HOST" in os.environ:
            source = "the service account"
            config.load_incluster_config(configuration)  # type: ignore[no-untyped-call]  # kubernetes types it not
        else:
            config.load_kube_config(  # type: ignore[no-untyped-call]  # kubernetes types it not
                str(kubeconfig) if kubeconfig is not None else None,
                context=context,
                client_configuration=configuration,
                persist_config=False,
            )
        return KubernetesClient(configuration)
    except (config.ConfigException, OSError, yaml.YAMLError) as error:
        raise KubernetesConfigurationError(f"Kubernetes: {source}: {_one_line(error)}") from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:  # the loader checks little of the file's shape
        message = f"Kubernetes: {source}: malformed: {_one_line(error)}"
        raise KubernetesConfigurationError(message) from None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def parse_document(body: bytes) -> dict[str, object]:
    """Parses a JSON object.

    Raises:
        UnreadableAnswerError: it is none.
    """
    try:
        document: object = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UnreadableAnswerError(f"an answer that is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise UnreadableAnswerError("an answer that is not a JSON object")
    return document


class KubernetesClient:
    """Reads from the Kubernetes API. Threads may share it.

    Attributes:
        api_client: the official client of the same connections, for what is not a list or a watch.
        server: the API server's URL.
    """

    def __init__(self, configuration: Configuration) -> None:
        configuration.connection_pool_maxsize = _POOL_SIZE
        configuration.socket_options = [*HTTPConnection.default_socket_options, *_KEEPALIVE]
        self.api_client = ApiClient(configuration)
        self.server = configuration.host
        self._pool = self.api_client.rest_client.pool_manager
        make_interruptible(self._pool)
        self._authentication = threading.Lock()

    def close(self) -> None:
        """Closes the idle connections."""
        self.api_client.close()  # type: ignore[no-untyped-call]  # kubernetes types it not

    def get(self, path: str, query: Mapping[str, str | int], interruption: Interruption) -> dict[str, object]:
        """Gets a document.

        Raises:
            RequestError: one of its kinds.
        """
        return parse_document(self.read(path, query, interruption))

    def read(self, path: str, query: Mapping[str, str | int], interruption: Interruption) -> bytes:
        """Gets a document, unparsed.

        Raises:
            RequestError: one of its kinds.
        """
        with self._request(path, query, READ_TIMEOUT, interruption) as response:
            return self._read(response, None, interruption)

    @contextmanager
    def stream(
        self, path: str, query: Mapping[str, str | int], interruption: Interruption, *, read_timeout: float
    ) -> Iterator[Iterator[bytes]]:
        """Opens an answer that goes on; gives its bytes as they come, until the server ends it.

        `read_timeout` is the longest silence in seconds.

        Raises:
            RequestError: one of its kinds; also while the bytes are read.
        """
        with self._request(path, query, read_timeout, interruption) as response:
            yield self._chunks(response, interruption)

    def _chunks(self, response: urllib3.BaseHTTPResponse, interruption: Interruption) -> Iterator[bytes]:
        while chunk := self._read(response, _CHUNK, interruption):
            yield chunk

    @contextmanager
    def _request(
        self, path: str, query: Mapping[str, str | int], read_timeout: float, interruption: Interruption
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        headers = self._headers()
        with interruption.request():
            if interruption.is_set():
                raise RequestInterruptedError(_INTERRUPTED)
            try:
                with interruptible(interruption):
                    response = self._pool.request(
                        "GET",
                        f"{self.server}{path}?{urlencode(query)}",
                        headers=headers,
                        timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT, read=read_timeout),
                        preload_content=False,
                        redirect=False,
                        retries=False,  # whoever asks decides when to ask again
                    )
            except (HTTPError, OSError) as error:
                raise self._failure(error, interruption) from error
            try:
                if response.status != 200:
                    body = self._read(response, _CHUNK, interruption)
                    raise status_error(response.status, response.reason or "", response.headers, body)
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
        words = in_words(error, self.server) if isinstance(error, HTTPError) else f"{self.server}: {_one_line(error)}"
        return ApiUnreachableError(words)

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": "ovnqosd"}
        try:
            with self._authentication:  # it may read a rotated token, or run the kubeconfig's credential program
                bearer = self.api_client.configuration.auth_settings().get("BearerToken")
        except (config.ConfigException, OSError) as error:
            raise ApiUnreachableError(f"{self.server}: no token to show it: {_one_line(error)}") from error
        if bearer is not None and bearer["value"]:
            headers[bearer["key"]] = bearer["value"].strip()
        return headers
