"""The connection to the Kubernetes API: the official client's configuration and TLS, the answers as plain JSON.

The generated models of `kubernetes` 37 cost 197 µs a small pod where `json.loads` takes 17 µs (measured), so requests
go to its connection pool directly.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import urllib3
import yaml
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError

from ovnqos.diagnostics import listed
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
    from collections.abc import Callable, Iterator, Mapping

    from kubernetes.client import Configuration

JSON: Final = "application/json"
APPLY_PATCH: Final = "application/apply-patch+yaml"
"""The content type of a server-side apply; JSON is YAML."""
MERGE_PATCH: Final = "application/merge-patch+json"
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
_NOT_INSTALLED: Final = "Kubernetes: the Python package kubernetes is not installed; install ovnqos[kubernetes]"
_TEXT_MAXIMUM: Final = 500
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
        kubeconfig: the file to use. None: what `$KUBECONFIG` names, else the service account when this process runs in
            a pod and no context is given, else `~/.kube/config`.
        context: the kubeconfig's context to use; None: its current one.
        user_agent: how requests name this program.

    Raises:
        KubernetesConfigurationError: there is no configuration, it cannot be used, or the Python package `kubernetes`
            is not installed.
    """
    try:
        from kubernetes import config  # noqa: PLC0415 # it takes half a second to load, and is an extra
        from kubernetes.client import Configuration  # noqa: PLC0415 # likewise
        from kubernetes.config import incluster_config, kube_config  # noqa: PLC0415 # likewise
    except ImportError as error:
        raise KubernetesConfigurationError(_NOT_INSTALLED) from error
    configuration = Configuration()
    source = str(kubeconfig) if kubeconfig is not None else kube_config.KUBE_CONFIG_DEFAULT_LOCATION
    in_pod = "KUBERNETES_SERVICE_HOST" in os.environ and not os.environ.get("KUBECONFIG")
    loader: incluster_config.InClusterConfigLoader | kube_config.KubeConfigLoader
    try:
        if kubeconfig is None and context is None and in_pod:
            source = name = "the service account"
            token_file: Path | None = Path(incluster_config.SERVICE_TOKEN_FILENAME)
            loader = incluster_config.InClusterConfigLoader(  # type: ignore[no-untyped-call]  # kubernetes has no type for it
                token_filename=str(token_file), cert_filename=incluster_config.SERVICE_CERT_FILENAME
            )
        else:
            merger = kube_config.KubeConfigMerger(source)  # type: ignore[no-untyped-call]  # likewise
            _check_kubeconfig(source, merger.config, context)
            loader = kube_config.KubeConfigLoader(  # type: ignore[no-untyped-call]  # likewise
                config_dict=merger.config, active_context=context, config_base_path=None
            )
            token_file = _token_file(loader.current_context, merger.config)
            name = f"context {loader.current_context['name']}"
        credentials = Credentials(configuration, load=loader.load_and_set, token_file=token_file)
        return KubernetesClient(configuration, user_agent=user_agent, credentials=credentials, name=name)
    except (config.ConfigException, OSError, yaml.YAMLError) as error:
        raise KubernetesConfigurationError(f"Kubernetes: {source}: {_one_line(error)}") from None
    except (AttributeError, KeyError, TypeError, ValueError) as error:  # the loader checks little of the file's shape
        message = f"Kubernetes: {source}: malformed: {_one_line(error)}"
        raise KubernetesConfigurationError(message) from None


def context_names(kubeconfig: Path | None = None) -> list[str]:
    """The names of a kubeconfig's contexts, with the arguments of `connect`; raises KubernetesConfigurationError."""
    try:
        from kubernetes import config  # noqa: PLC0415 # see connect

        found, _ = config.list_kube_config_contexts(  # type: ignore[no-untyped-call]  # kubernetes has no type for it
            str(kubeconfig) if kubeconfig is not None else None
        )
        return [str(one["name"]) for one in found]
    except ImportError as error:
        raise KubernetesConfigurationError(_NOT_INSTALLED) from error
    except Exception as error:  # the loader checks little of the file's shape
        raise KubernetesConfigurationError(f"Kubernetes: {_one_line(error)}") from None


def _check_kubeconfig(source: str, merged: Any, context: str | None) -> None:
    """Raise KubernetesConfigurationError where there is no file, or no context of this name in it."""
    if merged is None:
        raise KubernetesConfigurationError(f"Kubernetes: {source}: no such file")
    if context is not None:
        names = [str(one["name"]) for one in merged.safe_get("contexts") or ()]
        if context not in names:
            known = f"use {listed(names)}" if names else "there is none"
            raise KubernetesConfigurationError(f"Kubernetes: {source}: no context {context}; {known}")


def _token_file(context: Mapping[str, Any], merged: Any) -> Path | None:
    """The `tokenFile` of a context's user, relative to the kubeconfig that has it; None where there is none."""
    user = context["context"].get("user")
    entry = merged["users"].get_with_name(user, safe=True) if user and merged.safe_get("users") else None
    found = entry["user"].safe_get("tokenFile") if entry is not None and entry["user"] else None
    return Path(entry.path).absolute().parent / found if isinstance(found, str) and entry is not None else None


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= _TEXT_MAXIMUM else f"{text[:_TEXT_MAXIMUM]} …"


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


class _LoaderErrors(logging.Handler):
    """What the official client's loader of kubeconfigs logs as errors."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.module == "kube_config":
            self.texts.append(record.getMessage())


@contextmanager
def _logged_errors_raised() -> Iterator[None]:
    """Raise ConfigException where the loader only logs: a credential program failed, and requests would go without."""
    from kubernetes.config import ConfigException  # noqa: PLC0415 # see connect

    handler = _LoaderErrors()
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
    if handler.texts:
        raise ConfigException(f"the user's credential program failed: {handler.texts[0].removeprefix('exec: ')}")


class Credentials:
    """The bearer token of a configuration, read anew when its file changes. Threads may share it."""

    def __init__(
        self, configuration: Configuration, *, load: Callable[[Configuration], None], token_file: Path | None
    ) -> None:
        """Load the configuration.

        Args:
            configuration: of the official client.
            load: fills it in; it reads the token, or runs the program that prints it.
            token_file: where the token is from, if from a file.
        """
        self._configuration = configuration
        self._load = load
        self._token_file = token_file
        self._lock = threading.Lock()
        self._version = self._file_version()
        with _logged_errors_raised():
            load(configuration)

    def authorization(self, *, refused: Mapping[str, str] | None = None) -> dict[str, str]:
        """The header of a request; none where there is no token.

        Args:
            refused: the headers of a request that was refused for its token, which is then read again at once.

        Raises:
            ConfigException: of the official client: there are no credentials.
            OSError: likewise.
        """
        with self._lock, _logged_errors_raised():  # it may run the kubeconfig's credential program
            version = self._file_version()
            if refused is not None or version not in (None, self._version):
                self._load(self._configuration)
                self._version = version
            bearer = self._configuration.auth_settings().get("BearerToken")
        return {bearer["key"]: bearer["value"].strip()} if bearer is not None and bearer["value"] else {}

    def _file_version(self) -> object:
        """What differs between two versions of the file; None where there is none, or not at this moment."""
        if self._token_file is None:
            return None
        try:
            found = self._token_file.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size


class KubernetesClient:
    """Send requests to the Kubernetes API. Threads may share it.

    Attributes:
        server: the API server's URL.
        name: how its user knows it: the kubeconfig's context, or the service account.
        answer_maximum: bytes of a document; a longer one is refused.
    """

    def __init__(
        self, configuration: Configuration, *, user_agent: str = "ovnqos", credentials: Credentials, name: str = ""
    ) -> None:
        """Use a configuration of the official client; see `connect`."""
        from kubernetes.client import ApiClient  # noqa: PLC0415 # see connect

        configuration.connection_pool_maxsize = _POOL_SIZE
        configuration.socket_options = [*HTTPConnection.default_socket_options, *_KEEPALIVE]
        self.server: str = configuration.host
        self.name = name
        self._api_client = ApiClient(configuration)
        self._pool = self._api_client.rest_client.pool_manager
        make_interruptible(self._pool)
        self._user_agent = user_agent
        self._credentials = credentials
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
        """Get a document, unparsed.

        Raises:
            RequestError: one of its kinds.
        """
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
        return ApiUnreachableError(f"{self.server}: {_one_line(error)}")

    def _renewed(self, refused: Mapping[str, str]) -> dict[str, str]:
        """The header with a new token; empty where there is no other than the refused one."""
        found = self._authorization(refused=refused)
        return found if found != refused else {}

    def _authorization(self, *, refused: Mapping[str, str] | None = None) -> dict[str, str]:
        from kubernetes.config import ConfigException  # noqa: PLC0415 # see connect

        try:
            return self._credentials.authorization(refused=refused)
        except (ConfigException, OSError) as error:
            raise ApiUnreachableError(f"{self.server}: no credentials: {_one_line(error)}") from error
