"""Objects out of the API server's answers: lists in pages, watch events, and what changed since the last of either."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog

from ovnqos.collector import collector_paused
from ovnqos.diagnostics import Code, Diagnostic, ObjectRef
from ovnqos.errors import InvalidObject
from ovnqos.kubernetes.client import parse_document
from ovnqos.kubernetes.errors import ApiStatusError, UnreadableAnswerError
from ovnqos.kubernetes.resources import Changes, Emptied, Metadata, ObservedObject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ovnqos.kubernetes.client import KubernetesClient
    from ovnqos.kubernetes.interruption import Interruption
    from ovnqos.kubernetes.resources import Resource
    from ovnqos.sources import KubernetesObject

_log = structlog.get_logger()
_PAGE_SIZE: Final = 500
"""Objects a page, as kubectl and client-go ask for."""
_LINE_MAXIMUM: Final = 16 * 2**20
"""Bytes of an event in a watch; etcd takes objects of 1.5 MiB."""
_FORBIDDEN: Final = 403
_GONE: Final = 410
_NOT_FOUND: Final = 404
_DELIVER_AGAIN: Final = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchEvent:
    """`type` is ADDED, MODIFIED, DELETED, BOOKMARK or ERROR; the document of an ERROR is a Status."""

    type: str
    document: dict[str, object]


@dataclass(slots=True)
class ResourceList:
    """The objects of a resource as they were at one version, page by page.

    Attributes:
        resource: what is listed.
        known: versions by key; an object that still has its version is not even parsed.
        resource_version: from where a watch goes on.
        objects: those that do not have the version that is known.
        versions: the resourceVersion of each object by its key.
    """

    resource: Resource
    known: Mapping[str, str] = field(default_factory=dict)
    resource_version: str = ""
    objects: list[ObservedObject] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)

    def add_page(self, page: Mapping[str, object]) -> None:
        """Add a page; raises UnreadableAnswerError: an object has no name or version, or the page has none."""
        for document in items_of(page):
            metadata = _read_metadata(document)
            self.versions[metadata.key] = metadata.resource_version
            if self.known.get(metadata.key) != metadata.resource_version:
                self.objects.append(_read_object(self.resource, document, metadata))
        self.resource_version = read_resource_version(page)


def read_list(
    client: KubernetesClient, resource: Resource, known: Mapping[str, str], interruption: Interruption
) -> ResourceList:
    """List all objects as they are now (a consistent read: never older than what was read before).

    At most one page of whole documents is in memory. A list whose next page is refused, because the server forgot
    that version, begins again without pages: that cannot expire (client-go's convention).

    Args:
        client: the API.
        resource: what to list.
        known: versions by key; an object that still has its version is not even parsed.
        interruption: ends the request from another thread.

    Raises:
        RequestError: one of its kinds; of HTTP 410 only for a list without pages.
    """

    def read(path: str, query: Mapping[str, str | int]) -> bytes:
        return client.read(path, query, interruption)

    for page_size in (_PAGE_SIZE, 0):
        listed = ResourceList(resource, known)
        try:
            for page in read_pages(read, resource.path, page_size=page_size):
                with collector_paused():
                    listed.add_page(page)
            break
        except ApiStatusError as error:
            if error.status != _GONE or not listed.resource_version:
                raise
    return listed


def read_pages(
    read: Callable[[str, Mapping[str, str | int]], bytes], path: str, *, page_size: int = _PAGE_SIZE
) -> Iterator[Mapping[str, object]]:
    """List a collection page by page, all of one version; raises what `read` raises, and UnreadableAnswerError.

    Args:
        read: gets the document at a path with these query parameters.
        path: of the collection.
        page_size: objects a page; 0 asks for all at once.
    """
    query: dict[str, str | int] = {"limit": page_size} if page_size else {}
    while True:
        body = read(path, query)
        with collector_paused():
            page = parse_document(body, path)
        del body
        yield page
        token = _metadata(page).get("continue")
        if not isinstance(token, str) or not token:
            return
        query = {"limit": page_size, "continue": token}


def remaining_items(page: Mapping[str, object]) -> int:
    """How many objects the pages after this one have, as far as the server says; 0 if it does not."""
    remaining = _metadata(page).get("remainingItemCount")
    return remaining if isinstance(remaining, int) else 0


def check_served(client: KubernetesClient, resource: Resource, interruption: Interruption) -> None:
    """Check that a custom resource is not being removed, which deletes its objects one by one before it is missing.

    The API server lists the verbs of a resource whose CRD is being deleted without `create` (measured:
    from the first delete event on; the removal of 30 objects took a second). Who may not read that takes it for served.

    Raises:
        RequestError: one of its kinds; of HTTP 404 if the resource is being removed, or is.
    """
    group, _, name = resource.path.rpartition("/")
    try:
        document = client.request("GET", group, interruption=interruption)
    except ApiStatusError as error:
        if error.status == _FORBIDDEN:
            return
        raise
    resources = document.get("resources")
    for one in resources if isinstance(resources, list) else ():
        if isinstance(one, Mapping) and one.get("name") == name:
            if "create" in (one.get("verbs") or ()):
                return
            raise ApiStatusError(_NOT_FOUND, f"{resource.kind}: its custom resource definition is being deleted")
    raise ApiStatusError(_NOT_FOUND, f"{resource.kind}: not among the resources of {group}")


def read_events(chunks: Iterable[bytes], *, line_maximum: int = _LINE_MAXIMUM) -> Iterator[list[WatchEvent]]:
    """Read the events of a watch's byte stream, one JSON object a line; those that arrived together come together.

    An unfinished last line is dropped: a watch that goes on from the last version gets it again.

    Raises:
        UnreadableAnswerError: a line is no event, or longer than so many bytes.
    """
    unfinished: list[bytes] = []  # joined once, when the line ends: a large object comes in many pieces
    size = 0
    for chunk in chunks:
        *finished, rest = chunk.split(b"\n")
        if finished:
            finished[0] = b"".join([*unfinished, finished[0]])
            unfinished, size = [], 0
            if lines := [line for line in finished if line.strip()]:
                yield [_read_event(line) for line in lines]
        if rest:
            unfinished.append(rest)
            size += len(rest)
            if size > line_maximum:
                raise UnreadableAnswerError(f"a line of the watch is longer than {line_maximum} bytes")


def read_resource_version(document: object) -> str:
    """Read the resourceVersion in a document's metadata; raises UnreadableAnswerError: it has none."""
    return _string(_metadata(document), "resourceVersion")


class KnownObjects:
    """The objects of one resource that were delivered to the handler: of each only its key and resourceVersion."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource
        self.versions: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self.versions)

    def replace(self, listed: ResourceList) -> Changes:
        """Take a complete list; return what it changed."""
        deleted = tuple(key for key in self.versions if key not in listed.versions)
        self.versions = listed.versions
        emptied = Emptied.EMPTY if deleted and not listed.versions else None
        return Changes(
            kind=self._resource.kind, updated=tuple(listed.objects), deleted=deleted, listed=True, emptied=emptied
        )

    def clear(self) -> Changes:
        """Take the resource, which is absent, to have no objects; return what that changed."""
        deleted = tuple(self.versions)
        self.versions = {}
        emptied = Emptied.ABSENT if deleted else None
        return Changes(kind=self._resource.kind, deleted=deleted, listed=True, emptied=emptied)

    def apply(self, events: Iterable[WatchEvent]) -> Changes:
        """Take watch events of type ADDED, MODIFIED or DELETED.

        Returns:
            What they changed in the end: of two events of one object the last counts.

        Raises:
            UnreadableAnswerError: an object has no name or version.
        """
        read = [(event, _read_metadata(event.document)) for event in events]  # raises before any effect
        updated: dict[str, ObservedObject] = {}
        deleted: dict[str, None] = {}
        new: set[str] = set()  # that the handler has not seen
        for event, metadata in read:
            key = metadata.key
            if event.type == "DELETED":
                if self.versions.pop(key, None) is not None:
                    updated.pop(key, None)
                    if key not in new:
                        deleted[key] = None
            elif self.versions.get(key) != metadata.resource_version:
                if key not in self.versions and key not in deleted:
                    new.add(key)
                self.versions[key] = metadata.resource_version
                deleted.pop(key, None)
                updated[key] = _read_object(self._resource, event.document, metadata)
        return Changes(kind=self._resource.kind, updated=tuple(updated.values()), deleted=tuple(deleted))

    def deliver_again(self, changes: Changes) -> None:
        """Have every object delivered again, since the handler took these changes in part."""
        updated = (one.metadata.key for one in changes.updated)
        self.versions = dict.fromkeys((*self.versions, *updated, *changes.deleted), _DELIVER_AGAIN)


def _read_object(resource: Resource, document: Mapping[str, object], metadata: Metadata) -> ObservedObject:
    one: KubernetesObject | InvalidObject
    ref = ObjectRef(kind=resource.kind, namespace=metadata.namespace, name=metadata.name)
    try:
        one = resource.parse(document)
    except InvalidObject as error:
        one = InvalidObject(ref, error.diagnostics)  # its document may have no readable name
    except Exception as error:  # an object that trips its parser must not keep the others from being read
        _log.exception("parser failed", kind=resource.kind, object=metadata.key)
        text = f"cannot be read: {type(error).__name__}: {error}"
        one = InvalidObject(ref, [Diagnostic.error(ref, Code.UNREADABLE_OBJECT, text)])
    status = resource.parse_status(document) if resource.parse_status is not None else None
    return ObservedObject(metadata=metadata, object=one, status=status)


def _read_metadata(document: object) -> Metadata:
    metadata = _metadata(document)
    namespace, uid, generation = metadata.get("namespace"), metadata.get("uid"), metadata.get("generation")
    return Metadata(
        namespace=sys.intern(namespace) if isinstance(namespace, str) else "",
        name=_string(metadata, "name"),
        uid=uid if isinstance(uid, str) else "",
        generation=generation if isinstance(generation, int) else 0,
        resource_version=_string(metadata, "resourceVersion"),
    )


def _metadata(document: object) -> Mapping[str, object]:
    metadata = document.get("metadata") if isinstance(document, Mapping) else None
    if not isinstance(metadata, Mapping):
        raise UnreadableAnswerError("a document without metadata")
    return metadata


def _string(metadata: Mapping[str, object], key: str) -> str:
    value = metadata.get(key)
    if not isinstance(value, str) or not value:
        raise UnreadableAnswerError(f"a document without metadata.{key}")
    return value


def items_of(page: Mapping[str, object]) -> list[dict[str, object]]:
    """The documents in a page of a list; raises UnreadableAnswerError: its items are not a list of mappings."""
    items = page.get("items")
    if items is None:
        return []  # how Go prints an empty list that was never made
    if not isinstance(items, list) or not all(isinstance(one, dict) for one in items):
        raise UnreadableAnswerError("a list whose items are not a list of mappings")
    return items


def _read_event(line: bytes) -> WatchEvent:
    try:
        event: object = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UnreadableAnswerError(f"a line of the watch is not JSON: {error}") from None
    if isinstance(event, dict):
        kind, document = event.get("type"), event.get("object")
        if isinstance(kind, str) and isinstance(document, dict):
            return WatchEvent(type=kind, document=document)
    raise UnreadableAnswerError("a line of the watch is not an event")
