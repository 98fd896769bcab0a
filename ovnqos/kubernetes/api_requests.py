"""Requests to the Kubernetes API that write, or that must be answered soon."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

import urllib3
from kubernetes import config
from urllib3.exceptions import HTTPError

from ovnqos.kubernetes.interruptible_pool import interruptible
from ovnqos.kubernetes.request_errors import (
    ApiUnreachableError,
    RequestInterruptedError,
    UnreadableAnswerError,
    in_words,
    status_error,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovnqos.kubernetes.client import KubernetesClient
    from ovnqos.kubernetes.interruption import Interruption

JSON: Final = "application/json"
APPLY_PATCH: Final = "application/apply-patch+yaml"
"""Server-side apply; JSON is YAML."""
MERGE_PATCH: Final = "application/merge-patch+json"
_TIMEOUT: Final = 30.0


def send(  # noqa: PLR0913 - keywords with defaults
    client: KubernetesClient,
    method: str,
    path: str,
    document: object = None,
    *,
    interruption: Interruption,
    content_type: str = JSON,
    query: Mapping[str, str] | None = None,
    timeout: float = _TIMEOUT,
) -> dict[str, object]:
    """Sends one request over the client's connections and returns the answer's document.

    Args:
        client: whose connections and credentials.
        method: `GET`, `POST`, `PUT` or `PATCH`.
        path: with a leading slash, without a query.
        document: what to send, as JSON; None sends no body.
        interruption: ends the request from another thread.
        content_type: of the document.
        query: parameters.
        timeout: seconds for the connection, and for each silence of the server.

    Raises:
        RequestError: one of its kinds. A request without an answer may have been carried out.
    """
    url = f"{client.server}{path}" + (f"?{urlencode(query)}" if query else "")
    headers = {"Accept": JSON, "User-Agent": "ovnqosd", **_authorization(client)}
    body = None
    if document is not None:
        headers["Content-Type"] = content_type
        body = json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")
    with interruption.request(), interruptible(interruption):
        if interruption.is_set():
            raise RequestInterruptedError("the request was ended from outside")
        try:
            response = client.api_client.rest_client.pool_manager.request(
                method,
                url,
                body=body,
                headers=headers,
                timeout=urllib3.Timeout(connect=timeout, read=timeout),
                redirect=False,
                retries=False,  # whoever asks decides when to ask again
            )
        except (HTTPError, OSError) as error:
            if interruption.is_set():
                raise RequestInterruptedError("the request was ended from outside") from error
            words = in_words(error, client.server) if isinstance(error, HTTPError) else f"{client.server}: {error}"
            raise ApiUnreachableError(words) from error
    if not 200 <= response.status < 300:
        raise status_error(response.status, response.reason or "", response.headers, response.data)
    return _read(response.data, f"{client.server}{path}")


def _authorization(client: KubernetesClient) -> dict[str, str]:
    try:
        bearer = client.api_client.configuration.auth_settings().get("BearerToken")
    except (config.ConfigException, OSError) as error:
        words = " ".join(str(error).split())
        raise ApiUnreachableError(f"{client.server}: no token to show it: {words}") from error
    return {bearer["key"]: bearer["value"].strip()} if bearer is not None and bearer["value"] else {}


def _read(body: bytes, where: str) -> dict[str, object]:
    try:
        document: object = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UnreadableAnswerError(f"{where}: not JSON: {error}") from None
    if not isinstance(document, dict):
        raise UnreadableAnswerError(f"{where}: not a JSON object")
    return document
