"""Kubernetes Events: what is said of an object when something happens to it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from ovnqos import Code, Severity
from ovnqosd.status.condition import ConditionStatus, message_of
from ovnqosd.status.policy_outcome import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ovnqos import Diagnostic
    from ovnqosd.loop.outcomes import Drift, ObjectUpdate
    from ovnqosd.status.condition import Condition
    from ovnqosd.status.policy_outcome import PolicyOutcome

NORMAL: Final = "Normal"
WARNING: Final = "Warning"
APPLIED: Final = "Applied"
DRIFT_REPAIRED: Final = "DriftRepaired"
QOS_ANNOTATIONS: Final = "QosAnnotations"
QOS_APPLIED: Final = "QosApplied"
QOS_REMOVED: Final = "QosRemoved"
NETWORK_QOS: Final = "NetworkQoS"
_ANNOTATED: Final = frozenset({"Pod", "Namespace"})
_WARNED_OF: Final = frozenset({Reason.INVALID, Reason.UNSUPPORTED, Reason.CONFLICT, Reason.REMOVAL_HELD})
_DRIFT_VERBS: Final = {"edited": "changed", "unbound": "unbound", "deleted": "deleted", "extra": "added"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What happened to an object.

    Attributes:
        kind: the object's kind.
        key: `<namespace>/<name>`, or `<name>` of a cluster-wide object.
        uid: the object's: `kubectl describe` finds an object's Events by it. Empty if it is not known.
        type: `Normal` or `Warning`.
        reason: one word.
        message: one line.
    """

    key: str
    uid: str
    type: str
    reason: str
    message: str
    kind: str = NETWORK_QOS


def events_of_report(report: ObjectUpdate) -> list[Event]:
    """Make the Events of an object: one a code of its diagnostics, for annotations of pods and namespaces one in all.

    And one of what a pod's annotations have in force, where that is new.
    """
    by_reason: dict[str, list[Diagnostic]] = {}
    for one in report.diagnostics:
        reason = QOS_ANNOTATIONS if report.object.kind in _ANNOTATED and is_of_qos(one) else one.code.value
        by_reason.setdefault(reason, []).append(one)
    event = partial(Event, kind=report.object.kind, key=report.object.key, uid=report.uid)
    said = []
    for reason, found in by_reason.items():
        kind = NORMAL if all(one.severity is Severity.INFO for one in found) else WARNING
        said.append(event(type=kind, reason=reason, message="; ".join(one.message for one in found)))
    if report.in_force:
        said.append(event(type=NORMAL, reason=QOS_APPLIED, message=f"in force: {report.in_force}"))
    elif report.in_force is not None:
        said.append(event(type=NORMAL, reason=QOS_REMOVED, message="no limit or mark is in force any more"))
    return said


def is_of_qos(diagnostic: Diagnostic) -> bool:
    """Whether what is said of a pod or namespace is about its annotations, not about another field of it."""
    is_of_field = diagnostic.code in {Code.INVALID_FIELD, Code.UNKNOWN_FIELD}
    return not is_of_field or diagnostic.path.startswith("metadata.annotations")


def events_of_condition(outcome: PolicyOutcome, previous: Condition | None) -> list[Event]:
    """Make the Events of a condition that was written: one when the object comes to be in force, or has a new error.

    Args:
        outcome: what the condition renders.
        previous: the condition that it replaced, which may be of an earlier process.
    """
    if outcome.reason is Reason.SUCCESS:
        if previous is not None and previous.status == ConditionStatus.TRUE and previous.reason == Reason.SUCCESS:
            return []
        kind, reason = NORMAL, APPLIED
    elif outcome.reason in _WARNED_OF:
        known = previous is not None and previous.reason == outcome.reason and previous.message == message_of(outcome)
        if known:
            return []
        kind, reason = WARNING, outcome.reason.value
    else:
        return []
    return [Event(key=outcome.key, uid=outcome.uid, type=kind, reason=reason, message=outcome.message)]


def event_of_refusal(outcome: PolicyOutcome, refusal: str) -> Event:
    """Make the Event that takes the place of a condition which the API server refuses to write on the object.

    Args:
        outcome: what the condition would render.
        refusal: the API server's message.
    """
    succeeded = outcome.reason is Reason.SUCCESS
    return Event(
        key=outcome.key,
        uid=outcome.uid,
        type=NORMAL if succeeded else WARNING,
        reason=APPLIED if succeeded else outcome.reason.value,
        message=f"{message_of(outcome)}; not in the object's status, which the API server refuses to write: {refusal}",
    )


def events_of_drift(drift: Iterable[Drift], uid_of: Callable[[str], str]) -> list[Event]:
    """Make one Event for each object whose rows were repaired; rows of no single object get none.

    Args:
        drift: what was repaired.
        uid_of: gives the uid of a NetworkQoS by its key.
    """
    by_object: dict[tuple[str, str], list[Drift]] = {}
    for one in drift:
        if one.policy:
            by_object.setdefault((NETWORK_QOS, one.policy), []).append(one)
        elif one.what.startswith("Pod/"):
            by_object.setdefault(("Pod", one.what.removeprefix("Pod/").rpartition("/")[0]), []).append(one)
    return [
        Event(
            kind=kind,
            key=key,
            uid=uid_of(key) if kind == NETWORK_QOS else "",
            type=WARNING,
            reason=DRIFT_REPAIRED,
            message=_drift_message(found),
        )
        for (kind, key), found in by_object.items()
    ]


def _drift_message(found: list[Drift]) -> str:
    first = found[0]
    what, _, how = first.kind.value.partition("_")
    message = f"{what} {first.what} was {_DRIFT_VERBS[how]} in the Northbound by another writer; repaired"
    if first.found:
        message += f"; found: {first.found}"
    return message + (f"; and {len(found) - 1} more" if len(found) > 1 else "")
