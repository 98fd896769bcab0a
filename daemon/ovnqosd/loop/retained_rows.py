"""Rows of objects that have no valid version to compile: kept as they were when this process first saw them."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

from ovnqos.controller import RowInsert, RowUpdate, SetDelete, SetInsert, SetKind, SetUpdate, object_of, references_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovnqos import DesiredState, Plan, Snapshot
    from ovnqos.controller import ActualRow, Change, DatabaseChange, Delta, SetContent


class RetainedRows:
    """Remember the rows of retained objects (`DesiredState.retained`) and their sets, and repair them.

    Attributes:
        objects: the retained objects, or rows, that have rows, as of the last comparison of everything.
    """

    def __init__(self) -> None:
        """Start with none."""
        self.objects: frozenset[str] = frozenset()
        self._known: frozenset[str] = frozenset()  # all that were retained then
        self._rows: dict[str, ActualRow] = {}  # by identity
        self._sets: dict[str, SetContent] = {}  # by name

    def update(self, desired: DesiredState, snapshot: Snapshot) -> None:
        """Take what is retained now; of what was before, the rows stay what they were."""
        new, self._known = desired.retained - self._known, desired.retained
        owner = snapshot.owner
        names = {identity: (identity, object_of(identity)) for identity in self._rows}
        self._rows = {
            identity: row
            for identity, row in self._rows.items()
            if not self._known.isdisjoint(names[identity]) and identity not in desired.rows
        }
        for row in snapshot.rows if new else ():
            identity = owner.identity(row.content.external_ids)
            names[identity] = (identity, owner.object_of(row.content.external_ids))
            if not new.isdisjoint(names[identity]) and identity not in desired.rows and row.switches:
                self._rows.setdefault(identity, row)
        self.objects = self._known.intersection(chain.from_iterable(names[one] for one in self._rows))
        used = {name for row in self._rows.values() for name in references_in(row.content.match)}
        known, self._sets = self._sets, {}
        for name in used - desired.port_groups.keys() - desired.address_sets.keys():
            if name in known:
                self._sets[name] = known[name]
                continue
            for kind in SetKind:
                if (actual := snapshot.sets.get((kind, name))) is not None:
                    self._sets[name] = actual.content

    def is_new(self, delta: Delta) -> bool:
        """Whether rows that were compiled are retained from now on."""
        new = delta.desired.retained - self._known
        return bool(new) and any(object_of(row) in new for row in delta.compiled_rows)

    def is_changed(self, database: DatabaseChange) -> bool:
        """Whether another writer may have changed such a row, or deleted a set that it uses."""
        return not database.rows.isdisjoint(self._rows) or any(
            members is None and name in self._sets for name, members in database.sets.items()
        )

    def repair(self, plan: Plan) -> tuple[Plan, Plan]:
        """Return the repairs that a plan for the whole database lacks, and the plan with them."""
        repairs = (*self._repair_sets(plan.snapshot), *self._repair_rows(plan.snapshot))
        lacking = replace(plan, changes=repairs)
        changes: list[Change] = [*repairs, *plan.changes]
        first = [one for one in changes if isinstance(one, SetInsert | SetUpdate)]
        rows = [one for one in changes if not isinstance(one, SetInsert | SetUpdate | SetDelete)]
        last = [one for one in changes if isinstance(one, SetDelete) and one.content.name not in self._sets]
        return lacking, replace(plan, changes=(*first, *rows, *last))

    def _repair_rows(self, snapshot: Snapshot) -> Iterator[Change]:
        actual = {snapshot.owner.identity(row.content.external_ids): row for row in snapshot.rows} if self._rows else {}
        for identity, row in sorted(self._rows.items()):
            switches = row.switches & snapshot.switches.keys()
            found = actual.get(identity)
            if not switches:
                continue
            if found is None:
                yield RowInsert(identity=identity, content=row.content, switches=tuple(sorted(switches)))
            elif (found.content, found.switches) != (row.content, switches):
                yield RowUpdate(
                    identity=identity,
                    uuid=found.uuid,
                    before=found.content,
                    after=row.content,
                    switches=found.switches,
                    bind=tuple(sorted(switches - found.switches)),
                    unbind=tuple(sorted(found.switches - switches)),
                )

    def _repair_sets(self, snapshot: Snapshot) -> Iterator[Change]:
        for name, content in sorted(self._sets.items()):
            members = content.members
            if content.kind is SetKind.PORT_GROUP:
                members &= snapshot.ports.keys()
            found = snapshot.sets.get((content.kind, name))
            if found is None and (content.kind, name) not in snapshot.foreign_sets:
                yield SetInsert(content=replace(content, members=members))
            elif found is not None and (add := members - found.content.members):
                yield SetUpdate(
                    uuid=found.uuid,
                    content=replace(content, members=found.content.members | add),
                    add=tuple(sorted(add)),
                    remove=(),
                    external_ids_before=found.content.external_ids,
                )
