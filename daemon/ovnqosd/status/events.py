"""What is told of an object as a Kubernetes Event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ovnqosd.loop.outcomes import Reason
from ovnqosd.status.condition import ConditionStatus, message_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ovnqosd.loop.outcomes import Drift, ObjectRemark, PolicyOutcome
    from ovnqosd.status.condition import Condition

NORMAL: Final = "Normal"
WARNING: Final = "Warning"
APPLIED: Final = "Applied"
DRIFT_REPAIRED: Final = "DriftRepaired"
QOS_ANNOTATIONS: Final = "QosAnnotations"
NETWORK_QOS: Final = "NetworkQoS"
_WARNED_OF: Final = frozenset({Reason.INVALID, Reason.UNSUPPORTED, Reason.CONFLICT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What happened to an object.

    Attributes:
        kind: `NetworkQoS`, `Pod` or `Namespace`.
        key: `<namespace>/<name>`, or `<name>` of a namespace.
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


def event_of_remark(remark: ObjectRemark) -> Event:
    """The Event of what is to be said of a pod's or namespace's QoS annotations."""
    return Event(
        kind=remark.kind,
        key=remark.key,
        uid=remark.uid,
        type=WARNING,
        reason=QOS_ANNOTATIONS,
        message="; ".join(remark.notes),
    )


def event_of_condition(outcome: PolicyOutcome, previous: Condition | None) -> Event | None:
    """The Event of a condition that was written: one when the object comes to be in force, or gets a new fault.

    Args:
        outcome: what the condition says.
        previous: the condition that it replaced, which may be of an earlier process.
    """
    if outcome.reason is Reason.SUCCESS:
        if previous is not None and previous.status == ConditionStatus.TRUE:
            return None
        kind, reason = NORMAL, APPLIED
    elif outcome.reason in _WARNED_OF:
        known = previous is not None and previous.reason == outcome.reason and previous.message == message_of(outcome)
        if known:
            return None
        kind, reason = WARNING, outcome.reason.value
    else:
        return None
    return Event(key=outcome.key, uid=outcome.uid, type=kind, reason=reason, message=outcome.message)


def event_of_unsayable(outcome: PolicyOutcome, refusal: str) -> Event:
    """The Event that takes the place of a condition which the API server will not have on the object.

    Args:
        outcome: what the condition would say.
        refusal: the API server's words.
    """
    succeeded = outcome.reason is Reason.SUCCESS
    return Event(
        key=outcome.key,
        uid=outcome.uid,
        type=NORMAL if succeeded else WARNING,
        reason=APPLIED if succeeded else outcome.reason.value,
        message=f"{message_of(outcome)}. Its status does not say so: the API server refuses to write it: {refusal}",
    )


def events_of_drift(drift: Iterable[Drift], uid_of: Callable[[str], str]) -> list[Event]:
    """One Event for each object that something was put right of; what belongs to no single object gets none.

    Args:
        drift: what was put right.
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
    words = f"The {what} {first.what} was {'not ours to keep' if how == 'surplus' else how} and has been put right"
    if first.found:
        words += f"; found: {first.found}"
    return words + (f"; and {len(found) - 1} more" if len(found) > 1 else "")
