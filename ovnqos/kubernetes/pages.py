"""Lists a resource in pages, so that never more than one page of whole documents is in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovnqos.collector import collector_paused
from ovnqos.kubernetes.client import parse_document
from ovnqos.kubernetes.known_objects import read_resource_version
from ovnqos.kubernetes.request_errors import ApiStatusError, UnreadableAnswerError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovnqos.kubernetes.client import KubernetesClient
    from ovnqos.kubernetes.interruption import Interruption
    from ovnqos.kubernetes.known_objects import KnownObjects, Relist
    from ovnqos.kubernetes.resources import Resource

PAGE_SIZE = 500
"""Objects a page, as kubectl and client-go ask for."""
GONE = 410


def list_resource(
    client: KubernetesClient, resource: Resource, known: KnownObjects, interruption: Interruption
) -> tuple[Relist, str]:
    """Lists all objects as they are now (a consistent read: never older than what was read before).

    A list whose next page is refused, because the server forgot that version, begins again without pages: that
    cannot expire (client-go's convention).

    Returns:
        The list, and the resourceVersion to watch from.

    Raises:
        RequestError: one of its kinds; of HTTP 410 only for a list without pages.
    """
    query: dict[str, str | int] = {"limit": PAGE_SIZE}
    relist = known.relisted()
    while True:
        try:
            body = client.read(resource.path, query, interruption)
        except ApiStatusError as error:
            if error.status != GONE or "continue" not in query:
                raise
            query = {}
            relist = known.relisted()
            continue
        with collector_paused():
            version, token = _take_in(body, relist)
        if not token:
            return relist, version
        query = {"limit": PAGE_SIZE, "continue": token}


def _take_in(body: bytes, relist: Relist) -> tuple[str, str]:
    """Adds a page to a list; returns the list's resourceVersion, and the token of the next page or an empty one."""
    page = parse_document(body)
    relist.add_page(_items(page))
    return read_resource_version(page), _continue_token(page)


def _items(page: Mapping[str, object]) -> list[object]:
    items = page.get("items")
    if items is None:
        return []  # how Go prints an empty list that was never made
    if not isinstance(items, list):
        message = "a list whose items are none"
        raise UnreadableAnswerError(message)
    return items


def _continue_token(page: Mapping[str, object]) -> str:
    metadata = page.get("metadata")
    token = metadata.get("continue") if isinstance(metadata, dict) else None
    return token if isinstance(token, str) else ""
