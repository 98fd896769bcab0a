"""Which objects of a resource the handler knows, and the difference that a document makes.

Of an object only its key and resourceVersion are kept.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import structlog

from ovnqos.diagnostics import Code, Diagnostic, ObjectRef
from ovnqos.errors import InvalidObject
from ovnqos.kubernetes.changes import Changes, Invalid, Metadata, Updated
from ovnqos.kubernetes.request_errors import UnreadableAnswerError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovnqos.kubernetes.resources import Resource

_log = structlog.get_logger()
_FORGOTTEN = ""


def read_resource_version(document: object) -> str:
    """The resourceVersion in a document's metadata.

    Raises:
        UnreadableAnswerError: it has none.
    """
    return _string(_metadata(document), "resourceVersion")


def _metadata(document: object) -> Mapping[str, object]:
    metadata = document.get("metadata") if isinstance(document, Mapping) else None
    if not isinstance(metadata, Mapping):
        message = "a document without metadata"
        raise UnreadableAnswerError(message)
    return metadata


def _string(metadata: Mapping[str, object], key: str) -> str:
    value = metadata.get(key)
    if not isinstance(value, str) or not value:
        message = f"a document without metadata.{key}"
        raise UnreadableAnswerError(message)
    return value


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


class KnownObjects:
    """The objects of one resource that were told to the handler."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource
        self._versions: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._versions)

    def forget(self, changes: Changes) -> None:
        """Takes nothing for told any more, since these changes were told in part; all of it is to be told again."""
        updated = (one.metadata.key for one in changes.updated)
        invalid = (one.metadata.key for one in changes.invalid)
        self._versions = dict.fromkeys((*self._versions, *updated, *invalid, *changes.removed), _FORGOTTEN)

    def relisted(self) -> Relist:
        """Begins a new list."""
        return Relist(self._resource, self._versions)

    def replace(self, relist: Relist) -> None:
        """Takes a complete list for what is there; `Relist.changes` says what that changed."""
        self._versions = relist.found

    def all_removed(self) -> Changes:
        """The removal of every object."""
        return Changes(kind=self._resource.kind, removed=tuple(self._versions))

    def clear(self) -> None:
        """Takes nothing for being there."""
        self._versions = {}

    def observed(self, events: Iterable[tuple[str, object]]) -> Changes:
        """Takes in watch events (`ADDED`, `MODIFIED` or `DELETED`, and the object).

        Returns:
            What they changed in the end: of two events of one object the last counts.

        Raises:
            UnreadableAnswerError: an object has no name or version.
        """
        read = [(verb, document, _read_metadata(document)) for verb, document in events]  # raises before any effect
        outcomes: dict[str, Updated | Invalid | None] = {}
        untold: set[str] = set()
        for verb, document, metadata in read:
            key = metadata.key
            if verb == "DELETED":
                if self._versions.pop(key, None) is not None:
                    outcomes[key] = None
                    if key in untold:
                        del outcomes[key]
            elif self._versions.get(key) != metadata.resource_version:
                if key not in self._versions and key not in outcomes:
                    untold.add(key)
                self._versions[key] = metadata.resource_version
                outcomes[key] = _read(self._resource, document, metadata)
        return Changes(
            kind=self._resource.kind,
            updated=tuple(outcome for outcome in outcomes.values() if isinstance(outcome, Updated)),
            invalid=tuple(outcome for outcome in outcomes.values() if isinstance(outcome, Invalid)),
            removed=tuple(key for key, outcome in outcomes.items() if outcome is None),
        )


class Relist:
    """A list that is coming in page by page. Objects whose version is known are not even parsed.

    Attributes:
        found: key and version of each object listed so far.
    """

    def __init__(self, resource: Resource, known: Mapping[str, str]) -> None:
        self._resource = resource
        self._known = known
        self._updated: list[Updated] = []
        self._invalid: list[Invalid] = []
        self.found: dict[str, str] = {}

    def add_page(self, documents: list[object]) -> None:
        """Takes in the objects of a page.

        Raises:
            UnreadableAnswerError: one has no name or version.
        """
        for document in documents:
            metadata = _read_metadata(document)
            key = metadata.key
            self.found[key] = metadata.resource_version
            if self._known.get(key) == metadata.resource_version:
                continue
            outcome = _read(self._resource, document, metadata)
            if isinstance(outcome, Updated):
                self._updated.append(outcome)
            else:
                self._invalid.append(outcome)

    def changes(self) -> Changes:
        """The difference to what was known when the list began."""
        return Changes(
            kind=self._resource.kind,
            updated=tuple(self._updated),
            invalid=tuple(self._invalid),
            removed=tuple(key for key in self._known if key not in self.found),
        )


def _read(resource: Resource, document: object, metadata: Metadata) -> Updated | Invalid:
    warnings: list[Diagnostic] = []
    ref = ObjectRef(kind=resource.kind, namespace=metadata.namespace, name=metadata.name)
    try:
        parsed = resource.parse(document, warn=warnings.append)
    except InvalidObject as error:
        named = InvalidObject(ref, error.diagnostics)  # its document may have no readable name
        return Invalid(metadata=metadata, error=named, warnings=tuple(warnings))
    except Exception as error:  # an object that trips its parser must not keep the others from being read
        _log.exception("a parser failed", kind=resource.kind, object=metadata.key)
        text = f"cannot be read: {type(error).__name__}: {error}"
        invalid = InvalidObject(ref, [Diagnostic.error(ref, Code.UNREADABLE_OBJECT, text)])
        return Invalid(metadata=metadata, error=invalid, warnings=tuple(warnings))
    return Updated(metadata=metadata, object=parsed, warnings=tuple(warnings))
