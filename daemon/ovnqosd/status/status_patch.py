"""One write of an object's status."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from ovnqosd.status.condition import field_manager

if TYPE_CHECKING:
    from ovnqosd.loop.outcomes import PolicyOutcome
    from ovnqosd.status.condition import Condition
    from ovnqosd.status.observed_status import ObservedStatus

SUMMARY_MANAGER: Final = "ovnqosd-aggregator"
"""The field manager of `status.status`, whichever process is elected."""


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
        summary: the summary to write, if it is for that; empty takes it away.
        previous: the condition that `condition` replaces.
        outcome: what `condition` tells.
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
        """All of the status that the field manager says; what it said before and does not say now goes."""
        if self.kind is PatchKind.SUMMARY:
            return {"status": self.summary} if self.summary else {}
        if self.condition is not None:
            return {"conditions": [self.condition.as_document()]}
        return {"conditions": []} if self.replaces else {}

    def repeats(self, other: StatusPatch) -> bool:
        """Whether it writes what the other one wrote."""
        if self.condition is None or other.condition is None:
            return (self.kind, self.condition, self.summary) == (other.kind, other.condition, other.summary)
        return self.condition.says_the_same(other.condition)


def retraction(observed: ObservedStatus, kind: str) -> StatusPatch:
    """Takes the condition of this type away."""
    return StatusPatch(
        key=observed.key,
        uid=observed.uid,
        manager=field_manager(kind),
        kind=PatchKind.RETRACTION,
        replaces=observed.resource_version if observed.condition_count == 1 else "",
    )
