"""The conditions of a NetworkQoS object: one of each zone, and `Ready` with the one line that sums them up."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from ovnqos.controller import printable
from ovnqosd.status.policy_outcome import APPLIED, IN_FORCE, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from ovnqosd.status.policy_outcome import PolicyOutcome

CONDITION_PREFIX: Final = "Ready-In-Zone-"
READY: Final = "Ready"
"""The type of the condition over all zones."""
ZONE_ANNOTATION: Final = "k8s.ovn.org/zone-name"
"""Where ovn-kubernetes notes a node's zone."""
PENDING: Final = "Pending"
"""The reason of `Ready`, and in the summary, while a zone has not reported on the present generation."""
WORST_FIRST: Final = (
    Reason.INVALID,
    Reason.UNSUPPORTED,
    Reason.CONFLICT,
    Reason.NORTHBOUND_UNAVAILABLE,
    Reason.REMOVAL_HELD,
    Reason.WAITING,
)
"""What only the object's author can correct comes first; last come unknown reasons, then `PENDING`.
"""

# limits of metav1.Condition and metav1.PatchOptions; lengths count characters, and ours are ASCII where it matters
_TYPE_MAXIMUM: Final = 316
_MESSAGE_MAXIMUM: Final = 32_768
_MANAGER_MAXIMUM: Final = 128
_ZONE: Final = re.compile(r"[A-Za-z0-9_.-]*[A-Za-z0-9]\Z")
_MANAGER_PREFIX: Final = "ovnqosd-zone-"
_DIGEST: Final = 16


class ConditionStatus(StrEnum):
    """The three values of a condition's status; only `Ready` is ever Unknown."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A `metav1.Condition`; two are equal whatever their time of the last transition (RFC 3339) is."""

    type: str
    status: str
    reason: str
    message: str = ""
    last_transition_time: str = field(default="", compare=False)
    observed_generation: int = 0

    @property
    def zone(self) -> str:
        """The zone that it is about, as the condition's type has it; empty if it is no condition of a zone."""
        return self.type.removeprefix(CONDITION_PREFIX) if self.type.startswith(CONDITION_PREFIX) else ""

    def as_document(self) -> dict[str, object]:
        """Return the condition as the API has it."""
        return {
            "type": self.type,
            "status": self.status,
            "reason": self.reason,
            "message": self.message,
            "lastTransitionTime": self.last_transition_time,
            "observedGeneration": self.observed_generation,
        }


def read_conditions(documents: object) -> dict[str, Condition]:
    """Read the conditions in `status.conditions`, by type; what is not a condition is ignored."""
    found: dict[str, Condition] = {}
    for document in documents if isinstance(documents, list) else ():
        if isinstance(document, Mapping) and isinstance(document.get("type"), str):
            generation = document.get("observedGeneration")
            found[document["type"]] = Condition(
                type=sys.intern(document["type"]),  # there are as many as objects times zones
                status=sys.intern(text_of(document, "status")),
                reason=sys.intern(text_of(document, "reason")),
                message=text_of(document, "message"),
                last_transition_time=text_of(document, "lastTransitionTime"),
                observed_generation=generation if isinstance(generation, int) else 0,
            )
    return found


def text_of(document: Mapping[Any, object], key: str) -> str:
    """The text in a field; empty where there is none."""
    value = document.get(key)
    return str(value) if isinstance(value, str) else ""


def zone_of(node: str, annotations: Mapping[str, str]) -> str:
    """Return the name of a node's zone: what ovn-kubernetes noted on the node, else the node's own name."""
    return annotations.get(ZONE_ANNOTATION) or node


def condition_type(zone: str) -> str:
    """Return the type of a zone's condition: `Ready-In-Zone-<zone>`.

    A zone's name is free text (an annotation, or a setting), a condition's type is not: what it cannot hold becomes
    `-`, and a digest of the name is added, so that two zones never share a condition.
    """
    plain = CONDITION_PREFIX + zone
    if _ZONE.match(zone) and len(plain) <= _TYPE_MAXIMUM:
        return plain
    return _shortened(CONDITION_PREFIX + re.sub(r"[^A-Za-z0-9_.-]", "-", zone), zone, _TYPE_MAXIMUM)


def field_manager(kind: str) -> str:
    """Return the field manager that owns the condition of this type: `ovnqosd-zone-<zone>`.

    The API server takes at most 128 characters (measured); a longer name ends in its digest.
    """
    zone = kind.removeprefix(CONDITION_PREFIX)
    plain = _MANAGER_PREFIX + zone
    return plain if len(plain) <= _MANAGER_MAXIMUM else _shortened(plain, zone, _MANAGER_MAXIMUM)


def _shortened(text: str, name: str, most: int) -> str:
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]
    return f"{text[: most - _DIGEST - 1]}-{digest}"


def condition_of(outcome: PolicyOutcome, zone: str, *, previous: Condition | None, now: datetime) -> Condition:
    """Make the condition that renders a policy's outcome in a zone.

    Args:
        outcome: the outcome.
        zone: the zone's name.
        previous: the condition that the object has for this zone; None if it has none.
        now: the time, in UTC; the condition bears it if its status is not the previous one's.
    """
    status = ConditionStatus.TRUE if outcome.reason in IN_FORCE else ConditionStatus.FALSE
    return Condition(
        type=condition_type(zone),
        status=status,
        reason=outcome.reason,
        message=message_of(outcome),
        last_transition_time=_transition(previous, status, now),
        observed_generation=outcome.generation,
    )


def message_of(outcome: PolicyOutcome) -> str:
    """Render a condition's message: the reason, then the warnings, no longer than the API takes."""
    message = printable("; ".join((outcome.message, *(one.message for one in outcome.warnings))))
    return message if len(message) <= _MESSAGE_MAXIMUM else message[: _MESSAGE_MAXIMUM - 1] + "…"


def format_time(moment: datetime) -> str:
    """Render a time as `metav1.Time`, in whole seconds; `moment` is in UTC."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def summarise(
    conditions: Iterable[Condition], generation: int, *, previous: Condition | None, now: datetime
) -> tuple[str, Condition] | None:
    """Sum up the conditions of an object; None if no zone has one, which says nothing yet.

    Returns `status.status` and the condition `Ready`. The text is `APPLIED` if every zone's condition is True for this
    generation, else `<reason> in zone <zone>`: the reason that comes first in `WORST_FIRST`, and of its zones the first
    by name.

    Args:
        conditions: those of the object; others than zones' are ignored. The message of one that is known stands in
            `Ready` as well.
        generation: the object's own; what a zone said of an earlier one is out of date.
        previous: the object's condition `Ready`; None if it has none.
        now: the time, in UTC; `Ready` bears it if its status is not the previous one's.
    """
    zones = [condition for condition in conditions if condition.zone]
    if not zones:
        return None
    worst = min(zones, key=lambda one: (_rank(one, generation), one.zone))
    status, reason, text = ConditionStatus.TRUE, worst.reason, APPLIED
    message = worst.message if len(zones) == 1 else ""
    if worst.observed_generation < generation:
        status, reason, text = ConditionStatus.UNKNOWN, PENDING, f"{PENDING} in zone {worst.zone}"
        message = f"zone {worst.zone} has not reported on generation {generation} yet"
    elif worst.status != ConditionStatus.TRUE:
        status = ConditionStatus.FALSE if worst.status == ConditionStatus.FALSE else ConditionStatus.UNKNOWN
        text = f"{reason} in zone {worst.zone}"
        message = worst.message or f"{text}; see condition {worst.type}"
    ready = Condition(
        type=READY,
        status=status,
        reason=reason,
        message=message or text,
        last_transition_time=_transition(previous, status, now),
        observed_generation=generation,
    )
    return text, ready


def _rank(condition: Condition, generation: int) -> int:
    """How urgent a condition is, the least number first."""
    if condition.observed_generation < generation:
        return len(WORST_FIRST) + 1
    if condition.status == ConditionStatus.TRUE:
        return len(WORST_FIRST) + 2 + (condition.reason != Reason.SUCCESS)
    return next((rank for rank, reason in enumerate(WORST_FIRST) if reason == condition.reason), len(WORST_FIRST))


def _transition(previous: Condition | None, status: str, now: datetime) -> str:
    keeps = previous is not None and previous.status == status and previous.last_transition_time
    return previous.last_transition_time if previous is not None and keeps else format_time(now)
