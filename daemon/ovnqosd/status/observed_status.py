"""What the API server holds as the status of a NetworkQoS object."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ovnqosd.status.condition import Condition, read_conditions


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedStatus:
    """An object's status, and which version of which object it is.

    Attributes:
        key: `<namespace>/<name>`.
        uid: the object's.
        generation: the object's.
        resource_version: of the whole object.
        conditions: `status.conditions` by type.
        summary: `status.status`; empty if there is none.
        condition_count: how many conditions there are, whatever of them is kept here.
    """

    key: str
    uid: str
    generation: int
    resource_version: str
    conditions: Mapping[str, Condition]
    summary: str
    condition_count: int = 0

    def is_older_than(self, other: ObservedStatus) -> bool:
        """Whether it is an earlier version of the same object.

        The two can come out of order: one by the watch, the other as the answer to a write.
        """
        versions = (self.resource_version, other.resource_version)
        return self.uid == other.uid and all(map(str.isdecimal, versions)) and int(versions[0]) < int(versions[1])

    def condensed(self, kept: str) -> ObservedStatus:
        """The same without the words of the conditions, but those of one type: many objects times many zones."""
        conditions = {
            sys.intern(kind): condition if kind == kept else _without_words(condition)
            for kind, condition in self.conditions.items()
            if condition.zone
        }
        return replace(self, conditions=conditions)


def _without_words(condition: Condition) -> Condition:
    return Condition(
        type=sys.intern(condition.type),
        status=sys.intern(condition.status),
        reason=sys.intern(condition.reason),
        message="",
        last_transition_time="",
        observed_generation=condition.observed_generation,
    )


def read_status(document: object) -> ObservedStatus | None:
    """Reads an object as the API has it; None if it has no name."""
    metadata = _mapping(document, "metadata")
    namespace, name = _string(metadata, "namespace"), _string(metadata, "name")
    if not namespace or not name:
        return None
    status = _mapping(document, "status")
    generation = metadata.get("generation")
    conditions = read_conditions(status.get("conditions"))
    return ObservedStatus(
        key=f"{namespace}/{name}",
        uid=_string(metadata, "uid"),
        generation=generation if isinstance(generation, int) else 0,
        resource_version=_string(metadata, "resourceVersion"),
        conditions=conditions,
        summary=_string(status, "status"),
        condition_count=len(conditions),
    )


def _mapping(document: object, key: str) -> Mapping[str, object]:
    value = document.get(key) if isinstance(document, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def _string(mapping: Mapping[str, object], key: str) -> str:
    value = mapping.get(key)
    return value if isinstance(value, str) else ""
