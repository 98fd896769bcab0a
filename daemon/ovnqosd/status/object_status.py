"""The status of a NetworkQoS object: what the API server holds of it, and the patches that change it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from ovnqosd.status.condition import Condition, field_manager, read_conditions

if TYPE_CHECKING:
    from ovnqosd.status.policy_outcome import PolicyOutcome

SUMMARY_MANAGER: Final = "ovnqosd-aggregator"
"""The field manager of `status.status`, whichever process is elected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedStatus:
    """An object's status, and which version of which object it is.

    Attributes:
        key: `<namespace>/<name>`.
        uid: the object's.
        generation: the object's.
        resource_version: of the whole object.
        conditions: the conditions of zones in `status.conditions`, by type.
        summary: `status.status`; empty if there is none.
        condition_count: how many conditions there are, of zones and others.
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


def read_status(document: object, own_type: str) -> ObservedStatus | None:
    """Read an object as the API has it; None if it has no name.

    Args:
        document: the object.
        own_type: the type of the condition that is kept whole. Of other zones' conditions the texts are dropped: there
            are as many as objects times zones.
    """
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
        conditions={
            sys.intern(kind): condition if kind == own_type else _without_texts(condition)
            for kind, condition in conditions.items()
            if condition.zone
        },
        summary=_string(status, "status"),
        condition_count=len(conditions),
    )


def _without_texts(condition: Condition) -> Condition:
    return Condition(
        type=sys.intern(condition.type),
        status=sys.intern(condition.status),
        reason=sys.intern(condition.reason),
        message="",
        last_transition_time="",
        observed_generation=condition.observed_generation,
    )


def _mapping(document: object, key: str) -> Mapping[str, object]:
    value = document.get(key) if isinstance(document, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def _string(mapping: Mapping[str, object], key: str) -> str:
    value = mapping.get(key)
    return value if isinstance(value, str) else ""


class PatchKind(StrEnum):
    """What a patch is for."""

    CONDITION = "condition"
    RETRACTION = "retraction"
    SUMMARY = "summary"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusPatch:
    """One server-side apply on an object's status, or one merge patch if `replaces`.

    Attributes:
        key: `<namespace>/<name>`.
        uid: the object's; empty if it is not known.
        manager: the field manager.
        kind: what it is for.
        condition: the condition to write, if it is for one.
        summary: the summary to write, if it is for that; empty removes it.
        previous: the condition that `condition` replaces.
        outcome: what `condition` renders.
        replaces: the resourceVersion of the object whose list of conditions, this one's alone, is to become empty.
            Kubernetes 1.20 makes null of a list whose last item is not applied any more, and its own validation then
            refuses that (measured).
    """

    key: str
    uid: str
    manager: str
    kind: PatchKind
    condition: Condition | None = None
    summary: str = ""
    previous: Condition | None = None
    outcome: PolicyOutcome | None = None
    replaces: str = ""

    def status(self) -> dict[str, object]:
        """Return all of the status that the field manager owns; what it wrote before and is not in it goes."""
        if self.kind is PatchKind.SUMMARY:
            return {"status": self.summary} if self.summary else {}
        if self.condition is not None:
            return {"conditions": [self.condition.as_document()]}
        return {"conditions": []} if self.replaces else {}

    def repeats(self, other: StatusPatch) -> bool:
        """Whether it writes what the other one wrote."""
        if self.condition is None or other.condition is None:
            return (self.kind, self.condition, self.summary) == (other.kind, other.condition, other.summary)
        return self.condition.equals(other.condition)


def retraction(observed: ObservedStatus, kind: str) -> StatusPatch:
    """Make the patch that removes the condition of this type."""
    return StatusPatch(
        key=observed.key,
        uid=observed.uid,
        manager=field_manager(kind),
        kind=PatchKind.RETRACTION,
        replaces=observed.resource_version if observed.condition_count == 1 else "",
    )
