"""Compare desired with actual rows and sets, by identity."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovnqos.errors import NameTaken
from ovnqos.plan.changes import (
    Change,
    MissingReference,
    RowDelete,
    RowInsert,
    RowUpdate,
    SetDelete,
    SetInsert,
    SetUpdate,
)
from ovnqos.plan.coverage import Coverage
from ovnqos.plan.plan import Plan
from ovnqos.plan.snapshot import RowContent, SetContent, SetKind, references_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovnqos.compile.rows import DesiredState
    from ovnqos.plan.snapshot import ActualRow, Snapshot


def plan_changes(desired: DesiredState, snapshot: Snapshot, *, prune: bool = False) -> Plan:
    """Plan the changes that turn the owner's part of the snapshot into what is desired.

    Where the desired state has a scope, absence from it is not removal: rows of other objects stay, and so do members
    whose pod is not in it; see `Plan.kept` and `Plan.incomplete`.

    A row that is as desired is not touched, since rewriting one refills its meter's bucket. Foreign rows are not
    touched either. Switches and ports that the Northbound does not have are left out, and named in `Plan.missing`. The
    order of the changes is the same for the same arguments: sets that rows need come first, sets that no row needs any
    more last.

    A set or group that has a desired name but no owner is taken over: its external_ids were wiped.

    Args:
        desired: the desired rows and sets.
        snapshot: the actual ones.
        prune: whether objects that are not in the scope are gone, so that their rows are extra.

    Raises:
        NameTaken: a desired set or group has the name of another owner's.
    """
    coverage = None if desired.scope is None else Coverage(desired.scope, snapshot, prune=prune)
    rows, missing, kept_references = _plan_rows(desired, snapshot, coverage)
    sets, missing_ports = _plan_sets(desired, snapshot, kept_references, coverage)
    first = [change for change in sets if not isinstance(change, SetDelete)]
    last = [change for change in sets if isinstance(change, SetDelete)]
    return Plan(
        snapshot=snapshot,
        changes=(*first, *rows, *last),
        missing=(*missing, *missing_ports),
        desired_rows=len(desired.rows),
        kept=tuple(sorted(coverage.kept)) if coverage is not None else (),
        incomplete=tuple(coverage.diagnostics()) if coverage is not None else (),
    )


def _plan_rows(
    desired: DesiredState, snapshot: Snapshot, coverage: Coverage | None
) -> tuple[list[Change], list[MissingReference], set[str]]:
    owner = snapshot.owner
    actual: dict[str, list[ActualRow]] = {}
    extra: list[ActualRow] = []
    kept_references: set[str] = set()
    for row in snapshot.rows:
        identity = owner.identity(row.content.external_ids)
        if identity in desired.rows:
            actual.setdefault(identity, []).append(row)
        elif owner.object_of(row.content.external_ids) in desired.retained or (coverage and coverage.keeps_row(row)):
            kept_references |= references_in(row.content.match)
        else:
            extra.append(row)
    changes: list[Change] = []
    missing: list[MissingReference] = []
    for identity in sorted(desired.rows):
        wanted = desired.rows[identity]
        content = RowContent.desired(wanted, owner)
        bindable = wanted.switches & snapshot.switches.keys()
        if len(bindable) < len(wanted.switches):
            missing.extend(
                MissingReference(kind="logical switch", name=name, needed_by=identity)
                for name in sorted(wanted.switches - bindable)
            )
        candidates = actual.get(identity)
        if candidates:
            kept = _best(candidates, content, bindable)
            extra.extend(one for one in candidates if one is not kept)
            if coverage is not None and coverage.keeps_row_as_it_is(
                kept, match=content.match, unbinds=not kept.switches <= bindable
            ):
                kept_references |= references_in(kept.content.match)
            else:
                changes.extend(_row_update(identity, kept, content, bindable))
        elif bindable:
            changes.append(RowInsert(identity=identity, content=content, switches=tuple(sorted(bindable))))
    extra.sort(key=lambda one: (owner.identity(one.content.external_ids), one.uuid))
    changes.extend(_row_delete(owner.identity(row.content.external_ids), row) for row in extra)
    return changes, missing, kept_references


def _best(candidates: list[ActualRow], content: RowContent, bindable: frozenset[str]) -> ActualRow:
    """Of rows with one identity the one to keep: one that is as desired, and where, so that its meter lives on."""
    if len(candidates) == 1:
        return candidates[0]
    return max(
        candidates,
        key=lambda row: (row.content == content, row.switches == bindable, len(row.switches & bindable)),
    )


def _row_update(identity: str, row: ActualRow, content: RowContent, bindable: frozenset[str]) -> Iterator[Change]:
    if not bindable:
        yield _row_delete(identity, row)  # none of its desired switches exists, and the database drops unbound rows
    elif row.content != content or row.switches != bindable:
        yield RowUpdate(
            identity=identity,
            uuid=row.uuid,
            before=row.content,
            after=content,
            switches=row.switches,
            bind=tuple(sorted(bindable - row.switches)),
            unbind=tuple(sorted(row.switches - bindable)),
        )


def _row_delete(identity: str, row: ActualRow) -> RowDelete:
    return RowDelete(identity=identity, uuid=row.uuid, content=row.content, switches=tuple(sorted(row.switches)))


def _plan_sets(
    desired: DesiredState, snapshot: Snapshot, kept_references: set[str], coverage: Coverage | None
) -> tuple[list[Change], list[MissingReference]]:
    changes: list[Change] = []
    missing: list[MissingReference] = []
    for name, address_set in sorted(desired.address_sets.items()):
        members = address_set.addresses
        if coverage is not None:
            members |= coverage.missing_members(SetKind.ADDRESS_SET, name, desired=members)
        content = SetContent.desired(address_set, SetKind.ADDRESS_SET, members, snapshot.owner)
        changes.extend(_set_change(content, snapshot))
    for name, group in sorted(desired.port_groups.items()):
        present = group.ports & snapshot.ports.keys()
        missing.extend(
            MissingReference(kind="logical switch port", name=port, needed_by=name)
            for port in sorted(group.ports - present)
        )
        if coverage is not None:
            present |= coverage.missing_members(SetKind.PORT_GROUP, name, desired=present)
        content = SetContent.desired(group, SetKind.PORT_GROUP, present, snapshot.owner)
        changes.extend(_set_change(content, snapshot))
    names = {SetKind.ADDRESS_SET: desired.address_sets, SetKind.PORT_GROUP: desired.port_groups}
    unused = ((kind, name) for kind, name in snapshot.sets if name not in names[kind] and name not in kept_references)
    for key in sorted(unused):
        actual = snapshot.sets[key]
        changes.append(SetDelete(uuid=actual.uuid, content=actual.content))
    return changes, missing


def _set_change(content: SetContent, snapshot: Snapshot) -> Iterator[Change]:
    key = (content.kind, content.name)
    actual = snapshot.sets.get(key)
    if actual is None:
        actual = snapshot.foreign_sets.get(key)
        if actual is not None and not snapshot.owner.is_unclaimed(actual.content.external_ids):
            raise NameTaken(
                f"{content.kind.words} {content.name} belongs to another owner ({actual.uuid}); nothing is planned"
            )
    if actual is None:
        yield SetInsert(content=content)
    elif actual.content != content:
        yield SetUpdate(
            uuid=actual.uuid,
            content=content,
            add=tuple(sorted(content.members - actual.content.members)),
            remove=tuple(sorted(actual.content.members - content.members)),
            external_ids_before=actual.content.external_ids,
        )
