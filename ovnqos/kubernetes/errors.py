"""How a request to the Kubernetes API can fail: one class a kind of failure, each with a message for the log."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from urllib3.exceptions import (
    ConnectTimeoutError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
    SSLError,
)

from ovnqos.errors import OvnQosError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from urllib3.exceptions import HTTPError

_TEXT_MAXIMUM = 500


class RequestError(OvnQosError):
    """A request to the Kubernetes API got no usable answer."""


class RequestInterruptedError(RequestError):
    """Another thread of this process interrupted the request."""


class ApiUnreachableError(RequestError):
    """No answer: the API server cannot be reached, went away, or is silent."""


class UnreadableAnswerError(RequestError):
    """An answer that does not follow the Kubernetes API."""


class UnconfirmedListError(RequestError):
    """A list is suddenly empty: it is believed if it still is after a while."""


class ApiStatusError(RequestError):
    """The API server refused.

    Attributes:
        status: the HTTP status, e.g. 403.
        retry_after: seconds to wait as the server asked (Retry-After); 0 if it did not.
    """

    def __init__(self, status: int, reason: str, *, retry_after: float = 0.0) -> None:
        self.status = status
        self.retry_after = retry_after
        super().__init__(f"HTTP {status} {reason}".rstrip())


def status_error(status: int, reason: str, headers: Mapping[str, str], body: bytes) -> ApiStatusError:
    """Read the error of an HTTP answer; a `Status` document in its body says more than its status line."""
    try:
        document: object = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    text = _status_text(document, reason)
    return ApiStatusError(status, text, retry_after=_seconds(headers.get("Retry-After", "")))


def status_event_error(document: Mapping[str, object]) -> ApiStatusError:
    """Read the error in an `ERROR` event of a watch, whose document is a `Status`."""
    code = document.get("code")
    return ApiStatusError(code if isinstance(code, int) else 500, _status_text(document, "in a watch"))


def _status_text(document: object, otherwise: str) -> str:
    if not isinstance(document, dict):
        return otherwise
    reason, message = document.get("reason"), document.get("message")
    text = ": ".join(part for part in (reason, message) if isinstance(part, str) and part)
    return " ".join(text.split())[:_TEXT_MAXIMUM] or otherwise


def _seconds(text: str) -> float:
    return float(text) if text.isascii() and text.isdigit() and len(text) <= 4 else 0.0


_TEXTS: Mapping[type[HTTPError], str] = {
    NameResolutionError: "its name cannot be resolved",
    NewConnectionError: "{system}",
    ConnectTimeoutError: "connection timed out",
    ReadTimeoutError: "no answer in time",
    SSLError: "TLS: {error}",
    ProtocolError: "the connection was lost: {system}",
}


def describe_http_error(error: HTTPError, server: str) -> str:
    """Say what went wrong on the way to a server, without the names of Python's objects."""
    text = next((text for kind, text in _TEXTS.items() if isinstance(error, kind)), "{error}")
    broken = "in the middle of an answer" if isinstance(error, ProtocolError) else "no connection"
    return f"{server}: {text.format(error=error, system=_system_error(error) or broken)}"


def one_line(error: Exception) -> str:
    """What an error says, in one line that is not too long."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= _TEXT_MAXIMUM else f"{text[:_TEXT_MAXIMUM]} …"


def _system_error(error: BaseException) -> str:
    """Return the operating system's text for the error behind this one, e.g. `Connection refused`."""
    behind = (error.__cause__, error.__context__, *error.args)
    numbers = (one.errno for one in behind if isinstance(one, OSError) and one.errno)
    return next(map(os.strerror, numbers), "")
