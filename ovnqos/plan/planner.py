"""Hold what is wanted against what was found, by identity."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovnqos.errors import NameTaken
from ovnqos.plan.changes import Change, RowDelete, RowInsert, RowUpdate, SetDelete, SetInsert, SetUpdate
from ovnqos.plan.content import RowContent, SetContent, SetKind
from ovnqos.plan.plan import Plan, Waiting
from ovnqos.plan.references import references_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovnqos.compile.rows import DesiredState
    from ovnqos.plan.snapshot import Snapshot, StoredRow


def plan_changes(desired: DesiredState, snapshot: Snapshot) -> Plan:
    """Plan the changes that turn the owner's part of the snapshot into what is desired.

    A row that is as wanted is not touched, since rewriting one refills its meter's bucket. Rows of other owners are
    not touched either. Switches and ports that the Northbound does not have (yet) are left out, and named in
    `Plan.waiting`. The order of the changes is the same for the same arguments: sets that rows need come first, sets
    that no row needs any more last.

    A set or group that has a wanted name but no owner is taken over: somebody wiped its external_ids.

    Raises:
        NameTaken: a wanted set or group has the name of another owner's.
    """
    rows, waiting, kept_references = _plan_rows(desired, snapshot)
    sets, missing_ports = _plan_sets(desired, snapshot, kept_references)
    waiting.extend(missing_ports)
    first = [change for change in sets if not isinstance(change, SetDelete)]
    last = [change for change in sets if isinstance(change, SetDelete)]
    return Plan(
        snapshot=snapshot,
        changes=(*first, *rows, *last),
        waiting=tuple(waiting),
        desired_rows=len(desired.rows),
    )


def _plan_rows(desired: DesiredState, snapshot: Snapshot) -> tuple[list[Change], list[Waiting], set[str]]:
    owner = snapshot.owner
    found: dict[str, list[StoredRow]] = {}
    surplus: list[StoredRow] = []
    kept_references: set[str] = set()
    for stored in snapshot.rows:
        identity = owner.identity(stored.content.external_ids)
        if identity in desired.rows:
            found.setdefault(identity, []).append(stored)
        elif owner.object_of(stored.content.external_ids) in desired.retained:
            kept_references |= references_in(stored.content.match)
        else:
            surplus.append(stored)
    changes: list[Change] = []
    waiting: list[Waiting] = []
    for identity in sorted(desired.rows):
        row = desired.rows[identity]
        content = RowContent.wanted(row, owner)
        bindable = row.switches & snapshot.switches.keys()
        if len(bindable) < len(row.switches):
            waiting.extend(
                Waiting(kind="logical switch", name=name, wanted_by=identity)
                for name in sorted(row.switches - bindable)
            )
        candidates = found.get(identity)
        if candidates:
            kept = _best(candidates, content, bindable)
            surplus.extend(one for one in candidates if one is not kept)
            changes.extend(_row_update(identity, kept, content, bindable))
        elif bindable:
            changes.append(RowInsert(identity=identity, content=content, switches=tuple(sorted(bindable))))
    changes.extend(
        RowDelete(
            identity=owner.identity(stored.content.external_ids),
            uuid=stored.uuid,
            content=stored.content,
            switches=tuple(sorted(stored.switches)),
        )
        for stored in sorted(surplus, key=lambda one: (owner.identity(one.content.external_ids), one.uuid))
    )
    return changes, waiting, kept_references


def _best(candidates: list[StoredRow], content: RowContent, bindable: frozenset[str]) -> StoredRow:
    """Of rows with one identity the one to keep: one that is as wanted, and where, so that its meter lives on."""
    if len(candidates) == 1:
        return candidates[0]
    return max(
        candidates,
        key=lambda stored: (stored.content == content, stored.switches == bindable, len(stored.switches & bindable)),
    )


def _row_update(identity: str, stored: StoredRow, content: RowContent, bindable: frozenset[str]) -> Iterator[Change]:
    if not bindable:
        # its last switch is gone from what is wanted and can be found: then so is the row
        yield RowDelete(
            identity=identity, uuid=stored.uuid, content=stored.content, switches=tuple(sorted(stored.switches))
        )
    elif stored.content != content or stored.switches != bindable:
        yield RowUpdate(
            identity=identity,
            uuid=stored.uuid,
            before=stored.content,
            after=content,
            switches=stored.switches,
            bind=tuple(sorted(bindable - stored.switches)),
            unbind=tuple(sorted(stored.switches - bindable)),
        )


def _plan_sets(
    desired: DesiredState, snapshot: Snapshot, kept_references: set[str]
) -> tuple[list[Change], list[Waiting]]:
    changes: list[Change] = []
    waiting: list[Waiting] = []
    for _, address_set in sorted(desired.address_sets.items()):
        content = SetContent.wanted(address_set, SetKind.ADDRESS_SET, address_set.addresses, snapshot.owner)
        changes.extend(_set_change(content, snapshot))
    for name, group in sorted(desired.port_groups.items()):
        present = group.ports & snapshot.ports.keys()
        missing = sorted(group.ports - present)
        waiting.extend(Waiting(kind="logical switch port", name=port, wanted_by=name) for port in missing)
        content = SetContent.wanted(group, SetKind.PORT_GROUP, present, snapshot.owner)
        changes.extend(_set_change(content, snapshot))
    wanted = {SetKind.ADDRESS_SET: desired.address_sets, SetKind.PORT_GROUP: desired.port_groups}
    unused = ((kind, name) for kind, name in snapshot.sets if name not in wanted[kind] and name not in kept_references)
    for key in sorted(unused):
        stored = snapshot.sets[key]
        changes.append(SetDelete(uuid=stored.uuid, content=stored.content))
    return changes, waiting


def _set_change(content: SetContent, snapshot: Snapshot) -> Iterator[Change]:
    key = (content.kind, content.name)
    stored = snapshot.sets.get(key)
    if stored is None:
        stored = snapshot.foreign_sets.get(key)
        if stored is not None and not snapshot.owner.is_unclaimed(stored.content.external_ids):
            raise NameTaken(
                f"{content.kind.words} {content.name} belongs to another owner ({stored.uuid}); nothing is planned"
            )
    if stored is None:
        yield SetInsert(content=content)
    elif stored.content != content:
        yield SetUpdate(
            uuid=stored.uuid,
            content=content,
            add=tuple(sorted(content.members - stored.content.members)),
            remove=tuple(sorted(stored.content.members - content.members)),
            external_ids_before=stored.content.external_ids,
        )
