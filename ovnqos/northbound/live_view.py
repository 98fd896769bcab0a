"""A replica as one owner's plans see it, found by name: a part of it costs what it names, not what is there."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from ovnqos.compile.rows import NETWORK_QOS_BASE
from ovnqos.northbound.database_change import DatabaseChange, ExpectedChanges
from ovnqos.northbound.replica_reader import PORT, SWITCH, ReplicaReader
from ovnqos.plan.snapshot import SetKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ovnqos.compile.rows import Delta
    from ovnqos.model.owner import Owner
    from ovnqos.ovsdb.replica import RecordChange, RecordTable
    from ovnqos.plan.changes import Change
    from ovnqos.plan.snapshot import Snapshot

_KINDS = {str(kind): kind for kind in SetKind}
_GONE_PORTS_MAXIMUM = 1_000
_NAMED = (SWITCH, PORT, *_KINDS)


class LiveView:
    """Indexes over a replica, which it listens to. To be touched with the replica's lock held only."""

    def __init__(self, owner: Owner, on_change: Callable[[DatabaseChange], None] | None = None) -> None:
        """Start empty.

        Args:
            owner: whose rows and sets it is about.
            on_change: told of each change, on the replica's thread; it must not block. Not told of what was there at
                first; told of everything after a reconnect, when nobody knows what changed.
        """
        self._expected: ExpectedChanges | None = None
        self._on_change = on_change
        self._owner = owner
        self._rows_of: dict[str, list[str]] = {}  # identity -> rows
        self._switches_of: dict[str, list[str]] = {}  # row -> switches
        self._named: dict[str, dict[str, str]] = {table: {} for table in _NAMED}  # table -> name -> row
        self._gone_ports: dict[str, str] = {}  # -> name
        self._is_filled = False

    # Listening

    def replaced(self, tables: Mapping[str, RecordTable]) -> None:
        """Index everything anew."""
        for table, named in self._named.items():
            named.clear()
            named.update((record.name, record.uuid) for record in tables[table].records.values())
        rows_of, switches_of = defaultdict(list), defaultdict(list)
        rivals = False
        for record in tables["QoS"].records.values():
            if self._owner.owns(record.external_ids):
                rows_of[self._owner.identity(record.external_ids)].append(record.uuid)
            else:
                rivals |= record.priority >= NETWORK_QOS_BASE
        for record in tables[SWITCH].records.values():
            for rule in record.qos_rules:
                switches_of[rule].append(record.uuid)
        self._rows_of, self._switches_of = dict(rows_of), dict(switches_of)
        if self._is_filled and self._on_change is not None:
            change = DatabaseChange(
                rows=set(rows_of), switches=set(self._named[SWITCH]), ports=set(self._named[PORT]), rivals=rivals
            )
            for table in _KINDS:
                for record in tables[table].records.values():
                    if self._owner.owns(record.external_ids):
                        change.add_set(record.name, None)
            self._on_change(change)
        self._is_filled = True

    def changed(self, tables: Mapping[str, RecordTable], changes: Sequence[RecordChange]) -> None:
        """Take in what a server told of together."""
        told = DatabaseChange()
        for one in changes:
            if one.table in self._named:
                self._index_name(one)
            if one.table == PORT:
                self._port_changed(one, told)
        for one in changes:
            if one.table == "QoS":
                self._row_changed(one, told)
            elif one.table == SWITCH:
                self._switch_changed(one, tables, told)
            elif one.table in _KINDS:
                self._set_changed(one, _KINDS[one.table], tables, told)
        if self._on_change is None:
            return
        if self._expected is not None:
            self._expected.remove_from(told, self._reader(tables))
        if told:
            self._on_change(told)

    def _index_name(self, one: RecordChange) -> None:
        named, name, uuid = self._named[one.table], one.record.name, one.record.uuid
        former = one.before.get("name", name)
        if (one.event == "delete" or former != name) and named.get(former) == uuid:
            del named[former]
        if one.event != "delete":
            named[name] = uuid

    def _port_changed(self, one: RecordChange, told: DatabaseChange) -> None:
        if one.event != "delete":
            told.ports.add(one.record.name)
            return
        # the groups that a port was in tell of its uuid only, and later: the last ones to go are remembered
        self._gone_ports[one.record.uuid] = one.record.name
        if len(self._gone_ports) > _GONE_PORTS_MAXIMUM:
            del self._gone_ports[next(iter(self._gone_ports))]

    def _row_changed(self, one: RecordChange, told: DatabaseChange) -> None:
        ids_after = one.record.external_ids
        ids_before = one.before.get("external_ids", ids_after)
        was_ours = one.event != "create" and self._owner.owns(ids_before)
        is_ours = one.event != "delete" and self._owner.owns(ids_after)
        if was_ours:
            identity = self._owner.identity(ids_before)
            _discard(self._rows_of, identity, one.record.uuid)
            told.rows.add(identity)
        if is_ours:
            identity = self._owner.identity(ids_after)
            self._rows_of.setdefault(identity, []).append(one.record.uuid)
            told.rows.add(identity)
        if not was_ours and not is_ours:
            told.rivals |= one.record.priority >= NETWORK_QOS_BASE

    def _switch_changed(self, one: RecordChange, tables: Mapping[str, RecordTable], told: DatabaseChange) -> None:
        switch, rows = one.record, tables["QoS"].records
        moved: Iterable[str] = one.moved.get("qos_rules", ()) if one.event == "update" else switch.qos_rules
        for rule in moved:
            if one.event != "delete" and rule in switch.qos_rules:
                self._switches_of.setdefault(rule, []).append(switch.uuid)
            else:
                _discard(self._switches_of, rule, switch.uuid)
            if rule in rows and self._owner.owns(rows[rule].external_ids):
                told.rows.add(self._owner.identity(rows[rule].external_ids))
        if one.event == "create":
            told.switches.add(switch.name)

    def _set_changed(
        self, one: RecordChange, kind: SetKind, tables: Mapping[str, RecordTable], told: DatabaseChange
    ) -> None:
        ids_after = one.record.external_ids
        if not self._owner.owns(ids_after) and not self._owner.owns(one.before.get("external_ids", ids_after)):
            return
        if one.event != "update" or one.before:
            told.add_set(one.record.name, None)
            if "name" in one.before:
                told.add_set(one.before["name"], None)
            return
        moved = one.moved[kind.column]
        if kind is SetKind.ADDRESS_SET:
            told.add_set(one.record.name, set(moved))
            return
        ports = tables[PORT].records
        names = {ports[port].name if port in ports else self._gone_ports.get(port) for port in moved}
        # a port that went is to be known as missing, so that it is noticed when it comes again
        told.add_set(one.record.name, None if None in names else {name for name in names if name is not None})

    # Writing

    def expect(self, changes: Iterable[Change], tables: Mapping[str, RecordTable]) -> None:
        """Take the changes of a transaction that is about to be sent: while it is in flight, they are no news."""
        self._expected = ExpectedChanges(changes, self._reader(tables))

    def end_transaction(self, *, committed: bool) -> None:
        """Take that the transaction is over. If it was committed, all of it was told of already."""
        unheard = self._expected.unheard() if self._expected is not None and committed else None
        self._expected = None
        if unheard and self._on_change is not None:
            self._on_change(unheard)

    # Answering

    def part(self, delta: Delta, tables: Mapping[str, RecordTable]) -> Snapshot:
        """The part of the database that a delta names, as a snapshot to plan against.

        Args:
            delta: which rows, sets and members.
            tables: the replica's tables by name.
        """
        return self._reader(tables).part(delta, self._owner)

    def _reader(self, tables: Mapping[str, RecordTable]) -> ReplicaReader:
        return ReplicaReader(tables, named=self._named, rows_of=self._rows_of, switches_of=self._switches_of)


def _discard(index: dict[str, list[str]], key: str, uuid: str) -> None:
    known: list[Any] = index.get(key, [])
    if uuid in known:
        known.remove(uuid)
    if not known:
        index.pop(key, None)
