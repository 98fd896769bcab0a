"""What a pass of the reconcile loop came to: values for status, Events, metrics and log."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from ovnqos import Code
from ovnqos.controller import (
    RowDelete,
    RowInsert,
    RowUpdate,
    SetDelete,
    SetInsert,
    SetUpdate,
    listed,
    object_of,
    policy_of,
    qos_list_line,
)

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping

    from ovnqos import Diagnostic, ObjectRef, OvnQosError, Plan, Severity
    from ovnqos.controller import Change
    from ovnqosd.status.policy_outcome import PolicyOutcome, Reason

RowChange = RowInsert | RowUpdate | RowDelete
CHANGE_NAMES: Final[Mapping[type[Change], str]] = {
    RowInsert: "row_insert",
    RowUpdate: "row_update",
    RowDelete: "row_delete",
    SetInsert: "set_insert",
    SetUpdate: "set_update",
    SetDelete: "set_delete",
}


class Trigger(StrEnum):
    """What a pass compared with the database: what changed, or everything."""

    CHANGE = "change"
    FULL = "full"


class DriftKind(StrEnum):
    """How the database differed from what was written to it, by kind."""

    ROW_EDITED = "row_edited"
    ROW_UNBOUND = "row_unbound"
    ROW_DELETED = "row_deleted"
    ROW_EXTRA = "row_extra"
    SET_EDITED = "set_edited"
    SET_DELETED = "set_deleted"
    SET_EXTRA = "set_extra"


class AnnotationProblem(StrEnum):
    """Why a QoS annotation of a pod or namespace is not in force."""

    INVALID = "invalid"
    INEXPRESSIBLE = "inexpressible"
    NO_INTERFACE = "no_interface"
    NO_CLUSTER_CIDRS = "no_cluster_cidrs"
    CONFLICT = "conflict"
    SHADOWED = "shadowed"
    PORT_CLAIMED = "port_claimed"
    NORTHBOUND = "northbound"
    COMPILE_FAILED = "compile_failed"


PROBLEMS: Final = {
    Code.INVALID_FIELD: AnnotationProblem.INVALID,
    Code.UNSUPPORTED_ANNOTATION: AnnotationProblem.INEXPRESSIBLE,
    Code.POD_ON_HOST_NETWORK: AnnotationProblem.NO_INTERFACE,
    Code.POD_NOT_WIRED: AnnotationProblem.NO_INTERFACE,
    Code.NO_DEFAULT_INTERFACE: AnnotationProblem.NO_INTERFACE,
    Code.NO_CLUSTER_CIDRS: AnnotationProblem.NO_CLUSTER_CIDRS,
    Code.FOREIGN_CONFLICT: AnnotationProblem.CONFLICT,
    Code.SHADOWED_LIMIT: AnnotationProblem.SHADOWED,
    Code.PORT_CLAIMED: AnnotationProblem.PORT_CLAIMED,
    Code.MISSING_PORT: AnnotationProblem.NORTHBOUND,
    Code.MISSING_SWITCH: AnnotationProblem.NORTHBOUND,
    Code.NORTHBOUND_UNAVAILABLE: AnnotationProblem.NORTHBOUND,
    Code.COMPILE_FAILED: AnnotationProblem.COMPILE_FAILED,
}
"""What of that is said by which code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Something of ours that another writer changed, and that this pass repaired.

    Attributes:
        kind: what was found.
        what: the row's identity, or the set's name.
        policy: key of the policy it belongs to; empty when it belongs to several, or none.
        found: what stood in the database, as `ovn-nbctl qos-list` prints it, or the members concerned.
    """

    kind: DriftKind
    what: str
    policy: str
    found: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectUpdate:
    """What is new of an object: its diagnostics, or what a pod's annotations have in force.

    Attributes:
        object: the object.
        uid: its uid; empty when it is not known.
        diagnostics: all that is to be said of it now; empty if that is nothing new.
        logged: what else is new, of which its condition has an Event of its own, or which passes by itself.
        in_force: the limits and mark of a pod that were written, empty if none is left; None if that is nothing new.
    """

    object: ObjectRef
    uid: str
    diagnostics: tuple[Diagnostic, ...] = ()
    in_force: str | None = None
    logged: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PassOutcome:
    """One pass: what it did, how long it took, and the outcomes of the policies it looked at.

    Attributes:
        trigger: what was compared.
        seconds: from taking the work to the last commit's reply.
        age_seconds: how long the oldest change waited before the pass, 0 for a pass by the clock.
        changes: database changes by name (`CHANGE_NAMES`).
        transactions: how many were committed.
        objects: the objects whose rows or sets they changed, as `<kind>/<namespace>/<name>`.
        policies: outcomes by key, of the policies whose outcome may have changed; deleted ones are not in it.
        policy_counts: how many policies there are by reason.
        drift: what was repaired.
        error: empty, or why the pass failed as a whole (one line).
        rows: desired rows and sets in all, by kind (`row`, `port_group`, `address_set`).
        missing: how many switches and ports are desired that the Northbound does not have.
        reports: new diagnostics of objects.
        annotation_problems: how many annotations of pods and namespaces are not in force, by why.
        said: how many diagnostics there are of objects, by code and severity.
        removals_held: how many limits and marks of pods are kept, since objects are missing; see `RemovalGuard`.
        unreadable_pods: how many pods, of all zones, have networks that cannot be read.
        upstream_rows: after a full pass, how many rows of ovn-kubernetes' own NetworkQoS controller there are; else
            None.
    """

    trigger: Trigger
    seconds: float
    age_seconds: float = 0.0
    changes: Mapping[str, int] = field(default_factory=dict)
    transactions: int = 0
    objects: frozenset[str] = frozenset()
    policies: Mapping[str, PolicyOutcome] = field(default_factory=dict)
    policy_counts: Mapping[Reason, int] = field(default_factory=dict)
    drift: tuple[Drift, ...] = ()
    error: str = ""
    rows: Mapping[str, int] = field(default_factory=dict)
    missing: int = 0
    reports: tuple[ObjectUpdate, ...] = ()
    annotation_problems: Mapping[AnnotationProblem, int] = field(default_factory=dict)
    said: Mapping[tuple[Code, Severity], int] = field(default_factory=dict)
    removals_held: int = 0
    unreadable_pods: int = 0
    upstream_rows: int | None = None


@dataclass(slots=True)
class PassRecord:
    """What a pass gathers while it runs; `PassOutcome` is made of it.

    Attributes:
        trigger: what was compared.
        changes: database changes that were committed, by name.
        transactions: how many they took.
        objects: the objects whose rows they changed, as `<kind>/<namespace>/<name>`.
        sets: names of the sets that they changed.
        policies: keys of the policies that were compiled anew.
        pods: keys of the pods whose own limits were compiled anew.
        refused: objects whose own transaction was refused, by kind and key, and why.
        incomplete: whether a part of the plan was refused.
        drift: how the database differed from what was written to it.
        error: why the pass failed as a whole.
        upstream_rows: how many rows of ovn-kubernetes' own controller there are; None: they were not looked for.
    """

    trigger: Trigger = Trigger.CHANGE
    changes: Counter[str] = field(default_factory=Counter)
    transactions: int = 0
    objects: set[str] = field(default_factory=set)
    sets: set[str] = field(default_factory=set)
    policies: set[str] = field(default_factory=set)
    pods: set[str] = field(default_factory=set)
    refused: dict[tuple[str, str], OvnQosError] = field(default_factory=dict)
    incomplete: bool = False
    drift: list[Drift] = field(default_factory=list)
    error: OvnQosError | None = None
    upstream_rows: int | None = None

    def count(self, plan: Plan, transactions: int) -> None:
        """Count a plan that was committed."""
        self.transactions += transactions
        self.changes.update(CHANGE_NAMES[type(change)] for change in plan.changes)
        for one in plan.changes:
            if isinstance(one, RowChange):
                self.objects.add(object_of(one.identity))
            else:
                self.sets.add(one.content.name)


def find_drift(
    plan: Plan, rows: Container[str] | None = None, sets: Mapping[str, Container[str] | None] | None = None
) -> Iterator[Drift]:
    """Yield how the database differs from what was written to it.

    Args:
        plan: the plan that repairs it.
        rows: identities of the rows that were edited; None: all that the plan changes were.
        sets: the sets that were edited, with the members concerned, or None for more; None: all were.
    """
    owner = plan.snapshot.owner
    for change in plan.changes:
        if not isinstance(change, RowInsert | RowUpdate | RowDelete):
            yield from _set_drift(change, sets)
        elif rows is None or change.identity in rows:
            content = change.before if isinstance(change, RowUpdate) else change.content
            kind, found = _row_drift(change)
            policy = policy_of(owner.object_of(content.external_ids))
            yield Drift(kind=kind, what=change.identity, policy=policy, found=found)


def _row_drift(change: RowInsert | RowUpdate | RowDelete) -> tuple[DriftKind, str]:
    """How a row differed, and what stood in the database."""
    if isinstance(change, RowInsert):
        return DriftKind.ROW_DELETED, "no row"
    if isinstance(change, RowDelete):
        return DriftKind.ROW_EXTRA, qos_list_line(change.content).strip()
    if change.bind and not change.columns:
        return DriftKind.ROW_UNBOUND, f"not on logical switch {listed(change.bind)}"
    return DriftKind.ROW_EDITED, qos_list_line(change.before).strip()


def _set_drift(
    change: SetInsert | SetUpdate | SetDelete, sets: Mapping[str, Container[str] | None] | None
) -> Iterator[Drift]:
    name = change.content.name
    if sets is not None and name not in sets:
        return
    members = sets[name] if sets is not None else None
    if isinstance(change, SetUpdate):
        lists = [
            f"{what} {listed(found)}"
            for what, moved in (("lacks", change.add), ("has extra", change.remove))
            if (found := [one for one in moved if members is None or one in members])
        ]
        if lists or (members is None and change.relabels):
            text = "; ".join(lists) or "other external_ids"
            yield Drift(kind=DriftKind.SET_EDITED, what=name, policy="", found=text)
    elif members is None:
        kind = DriftKind.SET_DELETED if isinstance(change, SetInsert) else DriftKind.SET_EXTRA
        text = "no set" if isinstance(change, SetInsert) else f"{len(change.content.members)} members"
        yield Drift(kind=kind, what=name, policy="", found=text)
