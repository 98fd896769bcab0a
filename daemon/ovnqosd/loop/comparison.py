"""Compares what is desired with what the Northbound holds, and has the difference written."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from ovnqos import Code, Diagnostic, ObjectRef, Owner, plan_changes
from ovnqos.controller import (
    RowDelete,
    RowInsert,
    RowUpdate,
    SetDelete,
    SetInsert,
    SetUpdate,
    find_foreign_conflicts,
    find_shadowed_limits,
    listed,
    policy_of,
    qos_list_line,
    upstream_rows,
)
from ovnqosd.loop.object_table import POLICY_KIND, Source
from ovnqosd.loop.outcomes import Drift, DriftKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ovnqos import Compiler, DesiredState, Plan, Snapshot
    from ovnqos.controller import Change, DatabaseChange, Delta
    from ovnqosd.loop.northbound_writer import NorthboundWriter
    from ovnqosd.loop.object_table import ObjectTable
    from ovnqosd.loop.outcomes import PassRecord

_UPSTREAM: Final = Owner.ovn_kubernetes()
_ROW_KINDS: Final = {
    RowInsert: DriftKind.ROW_DELETED,
    RowUpdate: DriftKind.ROW_EDITED,
    RowDelete: DriftKind.ROW_EXTRA,
}


class Comparison:
    """Compare everything, or what changed. What is found goes to the record of the pass and to the table."""

    def __init__(self, compiler: Compiler, writer: NorthboundWriter, table: ObjectTable) -> None:
        self._compiler = compiler
        self._writer = writer
        self._table = table
        self.missing = MissingReferences()

    def prepare(self) -> None:
        """Compile as much as can be while the Northbound is still being read: not all, which takes more memory."""
        northbound = self._writer.northbound()
        self._compiler.compile_some(lambda: not northbound.has_contents)

    def compare_all(self, record: PassRecord, *, was_complete: bool) -> None:
        """Compare everything.

        Args:
            record: of the pass.
            was_complete: whether everything had been written before, so that a difference is drift.

        Raises:
            OvnQosError: what `Northbound.refresh` and `NorthboundWriter.apply` raise.
        """
        northbound = self._writer.northbound()
        northbound.refresh()
        delta = self._compiler.drain_all()
        record.policies |= delta.policies
        record.pods |= delta.pods
        desired, snapshot = delta.desired, northbound.snapshot()
        self._table.replace(Source.FOREIGN_ROWS, find_conflicts(desired, snapshot))
        record.upstream_rows = len(upstream_rows(snapshot))
        plan = plan_changes(desired, snapshot)
        if was_complete:
            record.drift.extend(find_drift(plan))  # nothing of it came from Kubernetes: events missed it
        self.missing.clear()
        self.missing.update(plan, ())
        self._table.replace(Source.MISSING_SWITCHES, self.missing.diagnostics(self.missing.policies()))
        self._writer.apply(plan, record)
        shadowed: dict[tuple[str, str], tuple[Diagnostic, ...]] = {}
        for limit in find_shadowed_limits(desired, self._compiler.inventory):  # after what is urgent
            one = limit.diagnostic
            key = (one.object.kind, one.object.key)
            shadowed[key] = (*shadowed.get(key, ()), one)
        self._table.replace(Source.SHADOWED_LIMITS, shadowed)

    def compare_changes(self, database: DatabaseChange, record: PassRecord) -> None:
        """Compare what changed: in Kubernetes, or in the database.

        A difference is drift where the database changed, and neither compiling nor a port or switch that appeared
        has anything to do with it.

        Raises:
            OvnQosError: what `NorthboundWriter.apply` raises.
        """
        appeared_rows, appeared_sets = self.missing.appeared(database)
        self._compiler.mark_dirty(rows=appeared_rows | database.rows, sets=appeared_sets)
        self._compiler.mark_dirty(sets=database.sets)
        delta = self._compiler.drain()
        record.policies |= delta.policies
        record.pods |= delta.pods
        if delta.is_empty:
            return
        edited = _Edits(database, delta, appeared_rows, appeared_sets)
        snapshot = self._writer.northbound().part(delta)
        known = {name for _kind, name in (*snapshot.sets, *snapshot.foreign_sets)}
        absent = [name for name, members in delta.sets.items() if members is not None and name not in known]
        if absent:  # they are to be compared as a whole
            self._compiler.mark_dirty(rows=delta.rows, sets={**delta.sets, **dict.fromkeys(absent)})
            delta = self._compiler.drain()
        plan = plan_changes(delta.desired, snapshot)
        record.drift.extend(find_drift(plan, edited))
        policies = self.missing.update(plan, delta.rows)
        self._table.update(Source.MISSING_SWITCHES, self.missing.diagnostics(policies))
        self._writer.apply(plan, record)


class MissingReferences:
    """Ports and switches that plans could not find in the Northbound, and what needs each."""

    def __init__(self) -> None:
        """Start with none."""
        self._groups: dict[str, set[str]] = defaultdict(set)  # by port
        self._rows: dict[str, set[str]] = defaultdict(set)  # by switch
        self._switches: dict[str, set[str]] = {}  # by row
        self._policy_rows: dict[str, set[str]] = defaultdict(set)  # by policy

    def __len__(self) -> int:
        return len(self._groups) + len(self._rows)

    def clear(self) -> None:
        """Forget all: everything is planned anew."""
        for known in (self._groups, self._rows, self._switches, self._policy_rows):
            known.clear()

    def policies(self) -> frozenset[str]:
        """Return the keys of the policies whose rows lack a switch."""
        return frozenset(self._policy_rows)

    def update(self, plan: Plan, rows: Iterable[str]) -> set[str]:
        """Take what a plan for these rows lacks; return the keys of the policies that lack, or lacked, a switch."""
        policies = {policy for row in rows if (policy := self._remove(row))}
        for one in plan.missing:
            if one.kind == "logical switch port":
                self._groups[one.name].add(one.needed_by)
                continue
            self._rows[one.name].add(one.needed_by)
            self._switches.setdefault(one.needed_by, set()).add(one.name)
            if policy := policy_of(one.needed_by):
                self._policy_rows[policy].add(one.needed_by)
                policies.add(policy)
        return policies

    def appeared(self, database: DatabaseChange) -> tuple[set[str], dict[str, set[str]]]:
        """Return the rows, and the sets with their ports, that needed what is in the Northbound now."""
        sets: dict[str, set[str]] = defaultdict(set)
        for port in database.ports & self._groups.keys():
            for group in self._groups.pop(port):
                sets[group].add(port)
        switches = database.switches & self._rows.keys()
        return {row for switch in switches for row in self._rows[switch]}, sets

    def diagnostics(self, policies: Iterable[str]) -> dict[tuple[str, str], tuple[Diagnostic, ...]]:
        """Say of each of these policies which switches its rows lack; nothing where none is missing."""
        found: dict[tuple[str, str], tuple[Diagnostic, ...]] = {}
        for key in policies:
            rows = self._policy_rows.get(key, ())
            names = {switch for row in rows for switch in self._switches[row]}
            text = f"applied, except on logical switches that do not exist yet: {listed(names)}"
            found[POLICY_KIND, key] = (_warning(key, Code.MISSING_SWITCH, text),) if names else ()
        return found

    def _remove(self, row: str) -> str:
        """Forget what a row lacked; return the key of its policy if it lacked anything."""
        lacked = self._switches.pop(row, None)
        if lacked is None:
            return ""
        for switch in lacked:
            self._rows[switch].discard(row)
            if not self._rows[switch]:
                del self._rows[switch]
        key = policy_of(row)
        if key:
            self._policy_rows[key].discard(row)
            if not self._policy_rows[key]:
                del self._policy_rows[key]
        return key


class _Edits:
    """What was changed in the database, and not by Kubernetes or by a port or switch that appeared."""

    def __init__(
        self, database: DatabaseChange, delta: Delta, rows: Iterable[str], sets: Mapping[str, Iterable[str]]
    ) -> None:
        self._rows = database.rows - delta.compiled_rows - set(rows)
        self._sets = database.sets
        self._compiled = delta.compiled_sets
        self._appeared = sets

    def has_row(self, identity: str) -> bool:
        """Whether the row was edited."""
        return identity in self._rows

    def members(self, name: str, members: Iterable[str]) -> tuple[str, ...]:
        """Return those of a set's members that were edited."""
        edited, compiled = self._sets.get(name, ()), self._compiled.get(name, ())
        appeared = self._appeared.get(name, ())
        if compiled is None:
            return ()
        return tuple(
            one for one in members if (edited is None or one in edited) and one not in compiled and one not in appeared
        )

    def has_set(self, name: str) -> bool:
        """Whether the set as a whole was edited."""
        return name in self._sets and self._sets[name] is None and self._compiled.get(name, ()) is not None


def find_drift(plan: Plan, edits: _Edits | None = None) -> tuple[Drift, ...]:
    """Return how the database differs from what was written to it.

    Args:
        plan: the plan that repairs it.
        edits: what was edited; other changes of the plan are no drift. None: all are.
    """
    return tuple(_drift(plan, edits))


def _drift(plan: Plan, edits: _Edits | None) -> Iterator[Drift]:
    owner = plan.snapshot.owner
    for change in plan.changes:
        if not isinstance(change, RowInsert | RowUpdate | RowDelete):
            yield from _set_drift(change, edits)
        elif edits is None or edits.has_row(change.identity):
            content = change.before if isinstance(change, RowUpdate) else change.content
            kind, _, key = owner.object_of(content.external_ids).partition("/")
            yield Drift(
                kind=_ROW_KINDS[type(change)],
                what=change.identity,
                policy=key if kind == POLICY_KIND else "",
                found="no row" if isinstance(change, RowInsert) else qos_list_line(content).strip(),
            )


def _set_drift(change: Change, edits: _Edits | None) -> Iterator[Drift]:
    if isinstance(change, SetUpdate):
        name, added, removed = change.content.name, change.add, change.remove
        relabelled = change.relabels and (edits is None or edits.has_set(name))
        if edits is not None:
            added, removed = edits.members(name, added), edits.members(name, removed)
        if added or removed or relabelled:
            lists = (("lacks", added), ("has extra", removed))
            found = "; ".join(f"{what} {listed(members)}" for what, members in lists if members)
            yield Drift(kind=DriftKind.SET_EDITED, what=name, policy="", found=found or "other external_ids")
    elif isinstance(change, SetInsert | SetDelete) and (edits is None or edits.has_set(change.content.name)):
        if isinstance(change, SetInsert):
            yield Drift(kind=DriftKind.SET_DELETED, what=change.content.name, policy="", found="no set")
        else:
            members = f"{len(change.content.members)} members"
            yield Drift(kind=DriftKind.SET_EXTRA, what=change.content.name, policy="", found=members)


def find_conflicts(desired: DesiredState, snapshot: Snapshot) -> dict[tuple[str, str], tuple[Diagnostic, ...]]:
    """Return the policies whose rows conflict with foreign rows, or are written by ovn-kubernetes' controller too."""
    found: dict[tuple[str, str], tuple[Diagnostic, ...]] = {}
    for row in upstream_rows(snapshot):
        key = _UPSTREAM.object_of(row.content.external_ids).removeprefix(f"{POLICY_KIND}/")
        text, hint = "ovn-kubernetes' own NetworkQoS controller writes rows for it too", "disable one of the two"
        found[POLICY_KIND, key] = (_warning(key, Code.SECOND_CONTROLLER, text, hint=hint),)
    for conflict in find_foreign_conflicts(desired, snapshot):
        key, row_text = policy_of(conflict.identity), qos_list_line(conflict.row.content).strip()
        where = f"foreign row {row_text} on switch {conflict.switch}"
        text = f"conflicts with {where}: equal priority and overlapping matches"
        one = _warning(key, Code.FOREIGN_CONFLICT, text, hint="change one priority")
        found.setdefault((POLICY_KIND, key), (one,))
    return found


def _warning(key: str, code: Code, text: str, *, hint: str = "") -> Diagnostic:
    namespace, _, name = key.partition("/")
    return Diagnostic.warning(ObjectRef(kind=POLICY_KIND, namespace=namespace, name=name), code, text, hint=hint)
