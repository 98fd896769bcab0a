"""What a pass of the reconcile loop came to: values for status, events, metrics and logs."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Reason(StrEnum):
    """Why a policy is, or is not, in force in this zone: the reason of its condition."""

    SUCCESS = "Success"
    INVALID = "Invalid"
    UNSUPPORTED = "Unsupported"
    CONFLICT = "Conflict"
    NORTHBOUND_UNAVAILABLE = "NorthboundUnavailable"
    WAITING = "Waiting"


class Trigger(StrEnum):
    """What a pass compared with the database: what changed, or everything."""

    CHANGE = "change"
    FULL = "full"


class DriftKind(StrEnum):
    """What was found to be other than it was written, by kind."""

    ROW_EDITED = "row_edited"
    ROW_DELETED = "row_deleted"
    ROW_SURPLUS = "row_surplus"
    SET_EDITED = "set_edited"
    SET_DELETED = "set_deleted"
    SET_SURPLUS = "set_surplus"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyOutcome:
    """How one policy (NetworkQoS) stands in this zone.

    Attributes:
        key: `<namespace>/<name>`.
        uid: the object's uid; empty when it is not known.
        generation: the generation that `reason` is about.
        reason: Success, or what is wrong.
        message: one line a person can act on: names the field, the rival or the server.
        sources: whether the zone has source pods for it.
        notes: remarks that are no fault, e.g. a network that is passed over.
    """

    key: str
    uid: str
    generation: int
    reason: Reason
    message: str
    sources: bool = True
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Something of ours that somebody else changed, and that this pass put right.

    Attributes:
        kind: what was found.
        what: the row's identity, or the set's name.
        policy: key of the policy it belongs to; empty when it belongs to several, or none.
        found: what stood in the database, in the words of `ovn-nbctl qos-list`, or the members concerned.
    """

    kind: DriftKind
    what: str
    policy: str
    found: str


class AnnotationProblem(StrEnum):
    """Why a QoS annotation of a pod or namespace is not in force."""

    INVALID = "invalid"
    INEXPRESSIBLE = "inexpressible"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRemark:
    """What is to be said of a pod's or a namespace's QoS annotations.

    Attributes:
        kind: `Pod` or `Namespace`.
        key: `<namespace>/<name>`, or `<name>`.
        uid: the object's uid; empty when it is not known.
        notes: a line each, which names the annotation, its value and what would be right.
    """

    kind: str
    key: str
    uid: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PassOutcome:
    """One pass: what it did, how long it took, and how the policies it looked at stand.

    Attributes:
        trigger: what was compared.
        seconds: from taking up the work to the last commit's reply.
        age_seconds: how long the oldest change waited before it was taken up, 0 for a pass by the clock.
        changes: database changes by name (`row_insert`, `row_update`, `row_delete`, `set_insert`, `set_update`,
            `set_delete`).
        transactions: how many were committed.
        policies: outcomes by key, of the policies whose outcome may have changed; removed ones are not in it.
        removed: keys of the policies that are gone.
        drift: what was repaired.
        error: empty, or why the pass failed as a whole (one line).
        rows: rows wanted in all, by kind (`row`, `port_group`, `address_set`).
        waiting: how many switches and ports are wanted that the Northbound does not have.
        remarks: what is newly to be said of pods and namespaces.
        annotation_problems: how many of their annotations are not in force, by why.
        rival_rows: after a full pass, how many rows of ovn-kubernetes' own NetworkQoS controller are there; else None.
    """

    trigger: Trigger
    seconds: float
    age_seconds: float = 0.0
    changes: Mapping[str, int] = field(default_factory=dict)
    transactions: int = 0
    policies: Mapping[str, PolicyOutcome] = field(default_factory=dict)
    removed: frozenset[str] = frozenset()
    drift: tuple[Drift, ...] = ()
    error: str = ""
    rows: Mapping[str, int] = field(default_factory=dict)
    waiting: int = 0
    remarks: tuple[ObjectRemark, ...] = ()
    annotation_problems: Mapping[AnnotationProblem, int] = field(default_factory=dict)
    rival_rows: int | None = None
