"""Compares what is desired with what the Northbound holds, and has the difference written."""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from ovnqos import Snapshot, plan_changes
from ovnqos.controller import (
    PORT,
    PORT_KEY,
    Delta,
    NameTaken,
    SetKind,
    carry_marks,
    claimed_rows,
    describe_conflicts,
    find_shadowed_limits,
    listed,
    missing_ports,
    missing_switches,
    neighbour_rows,
    object_of,
    references_in,
    upstream_rows,
)
from ovnqosd.loop.outcomes import Trigger, find_drift
from ovnqosd.loop.resync import Resync
from ovnqosd.loop.retained_rows import RetainedRows
from ovnqosd.loop.unreadable_pods import UnreadablePods
from ovnqosd.status.policy_outcome import ComparisonFinding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ovnqos import Compiler, DesiredState, Diagnostic, Plan, QosRow
    from ovnqos.controller import DatabaseChange
    from ovnqosd.loop.northbound_writer import NorthboundWriter
    from ovnqosd.loop.object_table import ObjectTable
    from ovnqosd.loop.outcomes import PassRecord
    from ovnqosd.loop.removal_guard import RemovalGuard

_log = structlog.get_logger()


class NorthboundComparison:
    """Compare everything, or what changed. What is found goes to the record of the pass and to the table."""

    def __init__(self, compiler: Compiler, writer: NorthboundWriter, table: ObjectTable, guard: RemovalGuard) -> None:
        self._compiler = compiler
        self._writer = writer
        self._guard = guard
        self._table = table
        self._taken: set[str] = set()  # names of desired sets that belong to other owners
        self._failed: set[str] = set()  # searches that failed, and were logged
        self._retained = RetainedRows()
        self._unreadable = UnreadablePods(compiler)
        self._resync: Resync | None = None
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
        self.end_resync()
        northbound = self._writer.northbound()
        northbound.refresh()
        delta = self._compiler.drain_all()
        record.policies |= delta.policies | delta.recounted
        record.pods |= delta.pods
        snapshot = northbound.snapshot()
        self._taken.clear()
        self._unreadable.update(delta.desired, snapshot, lambda: northbound.snapshot(addresses=True).addresses or {})
        whole = self._unreadable.extend(delta.desired)
        desired = self._without_taken(whole, snapshot, record)
        plan = plan_changes(desired, snapshot)
        snapshot = plan.snapshot  # with the rows that are found to be ours
        self._search_conflicts(desired, snapshot, record)
        self._table.replace(ComparisonFinding.FOREIGN_ROW_SHADOWED, _by_object(plan.shadowed))
        plan = self._guard.check_all(plan, desired, northbound, is_drift=was_complete)
        self._table.replace(ComparisonFinding.REMOVAL_HELD, self._guard.diagnostics())
        self._retained.update(whole, snapshot)
        repairs, plan = self._retained.repair(plan)
        if was_complete:
            record.drift.extend(find_drift(plan))  # nothing of it came from Kubernetes: events missed it
        else:
            record.drift.extend(find_drift(repairs))
        self.missing.replace(plan, desired)
        self._tell_missing()
        self._writer.apply(plan, record)
        self._search_shadowed_limits(desired)  # after what is urgent

    # Everything, in parts

    @property
    def can_resync(self) -> bool:
        """Whether everything can be compared in parts: rows that are retained are in none."""
        return not self._retained.objects

    @property
    def is_resyncing(self) -> bool:
        """Whether a resync is under way."""
        return self._resync is not None

    def begin_resync(self) -> None:
        """Begin to compare everything in parts; raises as `Northbound.refresh`."""
        northbound = self._writer.northbound()
        northbound.refresh()
        self._compiler.check_bounds()
        everything = northbound.everything()
        rows, sets = self._compiler.names()
        everything.rows |= rows
        everything.sets.update(dict.fromkeys(sets))
        self._resync = Resync(everything)

    def end_resync(self) -> None:
        """End a resync, if one is under way."""
        self._resync = None

    def resync_part(self, record: PassRecord) -> bool:
        """Compare the next part, or after the last one do the searches in everything. Returns as `compare_changes`."""
        assert self._resync is not None
        part = self._resync.next_part()
        if part is not None:
            return self.compare_changes(part, record, resync=self._resync)
        desired, has_foreign_rows = self._resync.desired(), self._resync.has_foreign_rows
        self._resync = None
        snapshot = self._writer.northbound().snapshot() if has_foreign_rows else Snapshot()
        if claimed_rows(desired, snapshot):
            return False
        self._search_conflicts(desired, snapshot, record)
        self._table.replace(
            ComparisonFinding.FOREIGN_ROW_SHADOWED, _by_object(carry_marks(desired, snapshot).diagnostics)
        )
        self._search_shadowed_limits(desired)
        record.trigger = Trigger.FULL
        return True

    def _search_conflicts(self, desired: DesiredState, snapshot: Snapshot, record: PassRecord) -> None:
        with self._search("conflicts with foreign rows"):
            self._table.replace(ComparisonFinding.FOREIGN_CONFLICT, _by_object(describe_conflicts(desired, snapshot)))
        record.upstream_rows = len(upstream_rows(snapshot))

    def _search_shadowed_limits(self, desired: DesiredState) -> None:
        with self._search("shadowed limits"):
            shadowed = _by_object(one.diagnostic for one in find_shadowed_limits(desired))
            self._table.replace(ComparisonFinding.SHADOWED_LIMIT, shadowed)

    def compare_changes(self, database: DatabaseChange, record: PassRecord, *, resync: Resync | None = None) -> bool:
        """Compare what changed: in Kubernetes, or in the database.

        A difference is drift where the database changed, and neither compiling nor a port or switch that appeared
        has anything to do with it.

        Args:
            database: what changed in the database.
            record: of the pass.
            resync: gathers what is desired.

        Returns:
            Whether that was done; else nothing was written, and everything is to be compared: see `RemovalGuard`.

        Raises:
            OvnQosError: what `NorthboundWriter.apply` raises.
        """
        if self._retained.objects and self._retained.is_changed(database):
            return False
        appeared_rows, appeared_sets = self.missing.appeared(database)
        appeared_rows.update(row for switch in database.switches for row in neighbour_rows(switch))
        self._tell_missing()
        self._compiler.mark_dirty(rows=appeared_rows | database.rows | database.beside_marks, sets=appeared_sets)
        self._compiler.mark_dirty(sets=database.sets)
        delta = self._drain()
        record.policies |= delta.policies | delta.recounted
        record.pods |= delta.pods
        if self._unreadable.is_over(delta) or self._retained.objects - delta.desired.retained:
            return False  # one was deleted, or mended: its rows are not compiled, and nothing else names them
        if self._retained.is_new(delta):
            return False  # what its rows and sets are has to be remembered, before they change
        if delta.is_empty:
            return True
        edited_rows = database.rows - delta.compiled_rows - appeared_rows
        edited_sets = {
            name: None if members is None else members - compiled - appeared_sets.get(name, frozenset())
            for name, members in database.sets.items()
            if (compiled := delta.compiled_sets.get(name, frozenset())) is not None
        }
        snapshot = self._writer.northbound().part(delta)
        known = {name for _kind, name in (*snapshot.sets, *snapshot.foreign_sets)}
        absent = [name for name, members in delta.sets.items() if members is not None and name not in known]
        if absent:  # they are to be compared as a whole
            self._compiler.mark_dirty(rows=delta.rows, sets={**delta.sets, **dict.fromkeys(absent)})
            delta = self._drain()
        if resync is not None:
            resync.add(delta.desired)
        desired = self._without_taken(delta.desired, snapshot, record)
        plan = self._guard.check_part(
            plan_changes(desired, snapshot), self._writer.northbound(), edited_rows, edited_sets
        )
        if plan is None:
            return False
        record.drift.extend(find_drift(plan, edited_rows, edited_sets))
        self.missing.update(plan, delta)
        self._tell_missing()
        self._writer.apply(plan, record)
        return True

    def _drain(self) -> Delta:
        """What changed, with what is kept of unreadable pods."""
        delta = self._compiler.drain()
        return replace(delta, desired=self._unreadable.extend(delta.desired, delta.sets))

    def _tell_missing(self) -> None:
        """Tell what is missing of the objects that lack something else than before."""
        objects = self.missing.take_changed()
        self._table.update(ComparisonFinding.MISSING_SWITCH, self.missing.switch_diagnostics(objects))
        self._table.update(ComparisonFinding.MISSING_PORT, self.missing.port_diagnostics(objects))

    @contextmanager
    def _search(self, what: str) -> Iterator[None]:
        """Span a search for what is to be told only: an error of ours in it must not stop what is to be written."""
        try:
            yield
        except Exception:
            if what not in self._failed:
                self._failed.add(what)
                _log.exception("search failed; nothing is told of it", search=what)

    def _without_taken(self, desired: DesiredState, snapshot: Snapshot, record: PassRecord) -> DesiredState:
        """Leave out the sets whose names other owners have, and the rows that use them: their present rows stay."""
        foreign, is_unclaimed = snapshot.foreign_sets, snapshot.owner.is_unclaimed
        for set_kind, sets in ((SetKind.PORT_GROUP, desired.port_groups), (SetKind.ADDRESS_SET, desired.address_sets)):
            for name in sets:
                actual = foreign.get((set_kind, name))
                if actual is not None and not is_unclaimed(actual.content.external_ids):
                    self._taken.add(name)
        if not self._taken:
            return desired
        rows: dict[str, QosRow] = {}
        objects = set(desired.retained)
        for identity, row in desired.rows.items():
            names = references_in(str(row.match)) & self._taken
            if not names:
                rows[identity] = row
                continue
            owner = object_of(identity)
            objects.add(owner)
            record.incomplete = True
            kind, _, key = owner.partition("/")
            record.refused[kind, key] = NameTaken(f"{listed(names)} in the Northbound belongs to another owner")
        return replace(
            desired,
            rows=rows,
            port_groups={name: one for name, one in desired.port_groups.items() if name not in self._taken},
            address_sets={name: one for name, one in desired.address_sets.items() if name not in self._taken},
            retained=frozenset(objects),
        )


class MissingReferences:
    """Ports and switches that plans could not find in the Northbound, and what needs each.

    Only ports that a comparison of everything missed are told of: a pod that starts lacks its port for a moment.
    """

    def __init__(self) -> None:
        """Start with none."""
        self._users: dict[str, set[str]] = defaultdict(set)  # by port, the groups and rows that need it
        self._port_of: dict[str, str] = {}  # by row
        self._rows: dict[str, set[str]] = defaultdict(set)  # by switch
        self._switches: dict[str, set[str]] = {}  # by row
        self._object_rows: dict[str, set[str]] = defaultdict(set)  # by object, as `object_of` has it
        self._told: dict[str, frozenset[str]] = {}  # by port, the objects that are told of it
        self._ports: dict[str, set[str]] = {}  # by object, the ports that it is told of
        self._no_port_exists = False
        self._changed: set[str] = set()

    def __len__(self) -> int:
        return len(self._users) + len(self._rows)

    def replace(self, plan: Plan, desired: DesiredState) -> None:
        """Take what a plan for everything lacks."""
        self._changed.update(self._object_rows, self._ports)
        for known in (self._users, self._port_of, self._rows, self._switches, self._object_rows, self._ports):
            known.clear()
        self.update(plan, Delta(rows=frozenset(), sets={}, desired=desired))
        told: dict[str, set[str]] = defaultdict(set)
        for one in plan.missing:
            for owner in one.objects if one.kind == PORT else ():
                told[one.name].add(owner)
                self._ports.setdefault(owner, set()).add(one.name)
        self._changed.update(self._ports)
        self._told = {port: frozenset(objects) for port, objects in told.items()}
        ports = plan.snapshot.ports.keys()
        self._no_port_exists = bool(ports) and not (
            any(not ports.isdisjoint(one.ports) for one in desired.port_groups.values())
            or any(one.external_ids.get(PORT_KEY) in ports for one in desired.rows.values())
        )

    def update(self, plan: Plan, delta: Delta) -> None:
        """Take what a plan for this delta lacks, in place of what the same rows and members lacked before."""
        for row in delta.rows:
            self._remove(row)
        for name, members in delta.sets.items():
            for port in tuple(self._users) if members is None else self._users.keys() & members:
                self._leave(port, name)
        for one in plan.missing:
            if one.kind == PORT:
                self._users[one.name].add(one.needed_by)
                if one.needed_by in delta.desired.rows:
                    self._port_of[one.needed_by] = one.name
            else:
                self._rows[one.name].add(one.needed_by)
                self._switches.setdefault(one.needed_by, set()).add(one.name)
                self._object_rows[owner := object_of(one.needed_by)].add(one.needed_by)
                self._changed.add(owner)

    def appeared(self, database: DatabaseChange) -> tuple[set[str], dict[str, set[str]]]:
        """Return the rows, and the sets with their ports, that needed what is in the Northbound now."""
        sets: dict[str, set[str]] = defaultdict(set)
        for port in database.ports & self._users.keys():
            for user in tuple(self._users[port]):
                if self._port_of.get(user) == port:
                    del self._port_of[user]  # its row names the port already
                else:
                    sets[user].add(port)
                self._leave(port, user)
        switches = database.switches & self._rows.keys()
        return {row for switch in switches for row in self._rows[switch]}, sets

    def take_changed(self) -> set[str]:
        """Return the objects (`<kind>/<namespace>/<name>`) that lack something else than at the last call."""
        changed, self._changed = self._changed, set()
        return changed

    def switch_diagnostics(self, objects: Iterable[str]) -> dict[tuple[str, str], tuple[Diagnostic, ...]]:
        """Say of each of these objects which switches its rows lack; nothing where none is missing."""
        found: dict[tuple[str, str], tuple[Diagnostic, ...]] = {}
        for one in objects:
            names = {switch for row in self._object_rows.get(one, ()) for switch in self._switches[row]}
            found[_key(one)] = (missing_switches(one, names),) if names else ()
        return found

    def port_diagnostics(self, objects: Iterable[str]) -> dict[tuple[str, str], tuple[Diagnostic, ...]]:
        """Say of each of these objects which ports of its pods are missing; nothing where none is."""
        none = self._no_port_exists
        return {
            _key(one): (missing_ports(one, ports, none=none),) if (ports := self._ports.get(one)) else ()
            for one in objects
        }

    def _remove(self, row: str) -> None:
        """Forget what a row lacked."""
        if (port := self._port_of.pop(row, None)) is not None:
            self._leave(port, row)
        lacked = self._switches.pop(row, None)
        if lacked is None:
            return
        for switch in lacked:
            self._rows[switch].discard(row)
            if not self._rows[switch]:
                del self._rows[switch]
        owner = object_of(row)
        self._changed.add(owner)
        self._object_rows[owner].discard(row)
        if not self._object_rows[owner]:
            del self._object_rows[owner]

    def _leave(self, port: str, user: str) -> None:
        """Forget that a group or row lacks a port."""
        self._users[port].discard(user)
        if self._users[port]:
            return
        del self._users[port]
        for owner in self._told.pop(port, ()):
            self._changed.add(owner)
            self._ports[owner].discard(port)
            if not self._ports[owner]:
                del self._ports[owner]


def _key(one: str) -> tuple[str, str]:
    kind, _, key = one.partition("/")
    return kind, key


def _by_object(diagnostics: Iterable[Diagnostic]) -> dict[tuple[str, str], tuple[Diagnostic, ...]]:
    found: dict[tuple[str, str], tuple[Diagnostic, ...]] = {}
    for one in diagnostics:
        key = (one.object.kind, one.object.key)
        found[key] = (*found.get(key, ()), one)
    return found
