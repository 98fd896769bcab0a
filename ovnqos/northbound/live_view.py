"""Indexes of a replica of a Northbound for one owner: what changed, and any part of it.

A part of it costs what it names, not what is there.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from ovnqos.compile.rows import POD_MARK_PRIORITY, carried_for
from ovnqos.northbound.database_change import DatabaseChange, ExpectedChanges
from ovnqos.northbound.replica_reader import PORT, SWITCH, ReplicaReader
from ovnqos.plan.foreign import MARK
from ovnqos.plan.snapshot import SetKind, choose_switches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ovnqos.compile.rows import Delta
    from ovnqos.model.owner import Owner
    from ovnqos.ovsdb.replica import RecordChange, RecordTable
    from ovnqos.plan.changes import Change
    from ovnqos.plan.snapshot import Snapshot


_KINDS = {str(kind): kind for kind in SetKind}
_GONE_PORTS_MAXIMUM = 1_000
_NOWHERE: frozenset[str] = frozenset()
_NAMED = (SWITCH, PORT, *_KINDS)


class LiveView:
    """Indexes of a replica, kept by listening to it. Use it with the replica's lock held only."""

    def __init__(self, owner: Owner, on_change: Callable[[DatabaseChange], None] | None = None) -> None:
        """Start empty.

        Args:
            owner: whose rows and sets it is about.
            on_change: called with each change, on the replica's thread; it must not block. What was there at first is
                no change; after a reconnect everything is one.
        """
        self._expected: ExpectedChanges | None = None
        self._on_change = on_change
        self._owner = owner
        self._rows_of: dict[str, list[str]] = {}  # identity -> rows, with those that carry foreign marks for it
        self._marking: dict[str, frozenset[str]] = {}  # foreign row that sets a mark -> switches
        self._marking_on: dict[str, set[str]] = defaultdict(set)  # switch -> such rows
        self._switches_of: dict[str, list[str]] = {}  # row -> switches
        self._named: dict[str, dict[str, str]] = {table: {} for table in _NAMED}  # table -> name -> row
        self._doubles: dict[str, set[str]] = {}  # name -> further switches that have it
        self._gone_ports: dict[str, str] = {}  # -> name
        self._is_filled = False

    # Listening

    def replaced(self, tables: Mapping[str, RecordTable]) -> None:
        """Index everything anew."""
        for table, named in self._named.items():
            named.clear()
            named.update((record.name, record.uuid) for record in tables[table].records.values())
        self._index_doubles(tables[SWITCH])
        rows_of, switches_of = defaultdict(list), defaultdict(list)
        for record in tables["QoS"].records.values():
            if self._owner.owns(record.external_ids):
                rows_of[self._identity(record.external_ids)].append(record.uuid)
        for record in tables[SWITCH].records.values():
            for rule in record.qos_rules:
                switches_of[rule].append(record.uuid)
        self._rows_of, self._switches_of = dict(rows_of), dict(switches_of)
        self._marking.clear()
        self._marking_on.clear()
        self._index_marks(tables["QoS"].records, tables, DatabaseChange())
        if self._is_filled and self._on_change is not None:
            change = self.everything(tables)
            change.switches.update(self._named[SWITCH])
            change.ports.update(self._named[PORT])
            self._on_change(change)
        self._is_filled = True

    def changed(self, tables: Mapping[str, RecordTable], changes: Sequence[RecordChange]) -> None:
        """Index changes that a server reported together, and pass them on unless they are expected."""
        change = DatabaseChange()
        for one in changes:
            if one.table in self._named:
                self._index_name(one, change)
            if one.table == PORT:
                self._port_changed(one, change)
        for one in changes:
            if one.table == "QoS":
                self._row_changed(one, change)
            elif one.table == SWITCH:
                self._switch_changed(one, tables, change)
            elif one.table in _KINDS:
                self._set_changed(one, _KINDS[one.table], tables, change)
        self._index_marks(_rows_concerned(changes), tables, change)
        if self._on_change is None:
            return
        if self._expected is not None:
            self._expected.remove_from(change, self._reader(tables))
        if change:
            self._on_change(change)

    def _index_doubles(self, switches: RecordTable) -> None:
        """Of switches that have one name, index the one that a `Snapshot` has."""
        self._doubles.clear()
        named, records = self._named[SWITCH], switches.records
        if len(named) == len(records):
            return
        named.update(choose_switches((one.uuid, one.name, one.qos_rules) for one in records.values()))
        for record in records.values():
            if named[record.name] != record.uuid:
                self._doubles.setdefault(record.name, set()).add(record.uuid)

    def _index_name(self, one: RecordChange, change: DatabaseChange) -> None:
        named, name, uuid = self._named[one.table], one.record.name, one.record.uuid
        former = one.before.get("name", name)
        if one.event == "delete" or former != name:
            doubles = self._doubles.get(former, set()) if one.table == SWITCH else set()
            doubles.discard(uuid)
            if named.get(former) == uuid:
                del named[former]
                if doubles:
                    named[former] = min(doubles)
                    doubles.remove(named[former])
                    change.switches.add(former)
        if one.event != "delete" and named.setdefault(name, uuid) != uuid:
            if one.table == SWITCH:
                self._doubles.setdefault(name, set()).add(uuid)
            else:
                named[name] = uuid

    def _port_changed(self, one: RecordChange, change: DatabaseChange) -> None:
        if one.event != "delete":
            change.ports.add(one.record.name)
            return
        # the changes of its groups have its uuid only, and come later: the last ports to go are remembered
        self._gone_ports[one.record.uuid] = one.record.name
        if len(self._gone_ports) > _GONE_PORTS_MAXIMUM:
            del self._gone_ports[next(iter(self._gone_ports))]

    def _row_changed(self, one: RecordChange, change: DatabaseChange) -> None:
        ids_after = one.record.external_ids
        ids_before = one.before.get("external_ids", ids_after)
        was_ours = one.event != "create" and self._owner.owns(ids_before)
        is_ours = one.event != "delete" and self._owner.owns(ids_after)
        if was_ours:
            identity = self._identity(ids_before)
            _discard(self._rows_of, identity, one.record.uuid)
            change.rows.add(identity)
        if is_ours:
            identity = self._identity(ids_after)
            self._rows_of.setdefault(identity, []).append(one.record.uuid)
            change.rows.add(identity)
        if not is_ours and not (was_ours and one.event == "delete"):
            highest = max(one.record.priority, one.before.get("priority", 0))
            change.foreign_rows |= highest >= POD_MARK_PRIORITY

    def _identity(self, external_ids: Mapping[str, str]) -> str:
        return carried_for(self._owner.identity(external_ids))

    def _index_marks(self, uuids: Iterable[str], tables: Mapping[str, RecordTable], change: DatabaseChange) -> None:
        """Index those of these rows that are foreign and set the mark of packets, and name the owner's beside them."""
        rows, switches = tables["QoS"].records, tables[SWITCH].records
        for uuid in uuids:
            record = rows.get(uuid)
            sets_mark = record is not None and MARK in record.action and not self._owner.owns(record.external_ids)
            before = self._marking.pop(uuid, _NOWHERE)
            after = frozenset(self._switches_of.get(uuid, ())) if sets_mark else _NOWHERE
            if after:
                self._marking[uuid] = after
            for switch in before - after:
                self._marking_on[switch].discard(uuid)
                if not self._marking_on[switch]:
                    del self._marking_on[switch]
            for switch in after:
                self._marking_on[switch].add(uuid)
            for rule in [rule for one in before | after if one in switches for rule in switches[one].qos_rules]:
                if rule in rows and self._owner.owns(rows[rule].external_ids):
                    change.beside_marks.add(self._identity(rows[rule].external_ids))

    def _switch_changed(self, one: RecordChange, tables: Mapping[str, RecordTable], change: DatabaseChange) -> None:
        switch, rows = one.record, tables["QoS"].records
        moved: Iterable[str] = one.moved.get("qos_rules", ()) if one.event == "update" else switch.qos_rules
        for rule in moved:
            if one.event != "delete" and rule in switch.qos_rules:
                self._switches_of.setdefault(rule, []).append(switch.uuid)
            else:
                _discard(self._switches_of, rule, switch.uuid)
            if rule in rows and self._owner.owns(rows[rule].external_ids):
                change.rows.add(self._identity(rows[rule].external_ids))
        if one.event == "create" or (one.event == "update" and "name" in one.before):
            change.switches.add(switch.name)
        if one.event == "update" and "name" in one.before:  # its rows are on a switch of another name
            change.rows.update(
                self._identity(rows[rule].external_ids)
                for rule in switch.qos_rules
                if rule in rows and self._owner.owns(rows[rule].external_ids)
            )

    def _set_changed(
        self, one: RecordChange, kind: SetKind, tables: Mapping[str, RecordTable], change: DatabaseChange
    ) -> None:
        ids_after = one.record.external_ids
        if not self._owner.owns(ids_after) and not self._owner.owns(one.before.get("external_ids", ids_after)):
            return
        if one.event != "update" or one.before:
            change.add_set(one.record.name, None)
            if "name" in one.before:
                change.add_set(one.before["name"], None)
            return
        moved = one.moved[kind.column]
        if kind is SetKind.ADDRESS_SET:
            change.add_set(one.record.name, set(moved))
            return
        ports = tables[PORT].records
        names = {ports[port].name if port in ports else self._gone_ports.get(port) for port in moved}
        # a port that went has to count as missing, so that its return is noticed
        change.add_set(one.record.name, None if None in names else {name for name in names if name is not None})

    # Writing

    def expect(self, changes: Iterable[Change], tables: Mapping[str, RecordTable]) -> None:
        """Expect the changes of a transaction that is about to be sent, as long as it is in flight."""
        self._expected = ExpectedChanges(changes, self._reader(tables))

    def end_transaction(self, *, committed: bool) -> None:
        """End the expectation. What a committed transaction changed was reported before its reply."""
        unreported = self._expected.unreported() if self._expected is not None and committed else None
        self._expected = None
        if unreported and self._on_change is not None:
            self._on_change(unreported)

    # Answering

    def everything(self, tables: Mapping[str, RecordTable]) -> DatabaseChange:
        """All rows and sets of the owner, and whether there are foreign rows, as if all had changed."""
        change = DatabaseChange(rows=set(self._rows_of))
        change.foreign_rows = len(tables["QoS"].records) > sum(map(len, self._rows_of.values()))
        for table in _KINDS:
            for record in tables[table].records.values():
                if self._owner.owns(record.external_ids):
                    change.add_set(record.name, None)
        return change

    def part(self, delta: Delta, tables: Mapping[str, RecordTable]) -> Snapshot:
        """The part of the database that a delta names, as a snapshot to plan against.

        Args:
            delta: which rows, sets and members.
            tables: the replica's tables by name.
        """
        return self._reader(tables).part(delta, self._owner)

    def _reader(self, tables: Mapping[str, RecordTable]) -> ReplicaReader:
        return ReplicaReader(
            tables, named=self._named, rows_of=self._rows_of, switches_of=self._switches_of, marking_on=self._marking_on
        )


def _rows_concerned(changes: Iterable[RecordChange]) -> set[str]:
    """The rows that changed, or came to a switch or left one."""
    found: set[str] = set()
    for one in changes:
        if one.table == "QoS":
            found.add(one.record.uuid)
        elif one.table == SWITCH:
            found.update(one.moved.get("qos_rules", ()) if one.event == "update" else one.record.qos_rules)
    return found


def _discard(index: dict[str, list[str]], key: str, uuid: str) -> None:
    known: list[Any] = index.get(key, [])
    if uuid in known:
        known.remove(uuid)
    if not known:
        index.pop(key, None)
