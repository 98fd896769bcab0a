"""A replica as one owner's plans see it, found by name: a part of it costs what it names, not what is there."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ovnqos.compile.priorities import NETWORK_QOS_BASE
from ovnqos.northbound.datum import (
    former_map,
    plain_members,
    stored_has,
    stored_map,
    stored_members,
    stored_scalar,
)
from ovnqos.northbound.replica_snapshot import row_content
from ovnqos.plan.content import SetContent, SetKind
from ovnqos.plan.snapshot import Snapshot, StoredRow, StoredSet

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Iterable, Mapping

    from ovnqos.compile.delta import Delta
    from ovnqos.compile.rows import DesiredState
    from ovnqos.model.owner import Owner

_KINDS = {str(kind): kind for kind in SetKind}
_GONE_PORTS_MAXIMUM = 1_000
_NAMED = ("Logical_Switch", "Logical_Switch_Port", *_KINDS)


@dataclass(slots=True, kw_only=True)
class DatabaseChange:
    """What changed in the database, by whomever, in the words of an owner's plans.

    Attributes:
        rows: identities of the owner's rows that came, changed, went, or are bound elsewhere.
        sets: names of the owner's sets that came, changed or went; with the members that came or went, or None when
            more changed.
        switches: names of logical switches that came.
        ports: names of logical switch ports that came.
        rivals: whether a row of somebody else came or changed that has a priority in the band of NetworkQoS rules.
    """

    rows: set[str] = field(default_factory=set)
    sets: dict[str, set[str] | None] = field(default_factory=dict)
    switches: set[str] = field(default_factory=set)
    ports: set[str] = field(default_factory=set)
    rivals: bool = False

    def __bool__(self) -> bool:
        return bool(self.rows or self.sets or self.switches or self.ports or self.rivals)

    def merge(self, other: DatabaseChange) -> None:
        """Take in what else changed, so that many changes stay one of the size of what they name."""
        self.rows |= other.rows
        self.switches |= other.switches
        self.ports |= other.ports
        self.rivals |= other.rivals
        for name, members in other.sets.items():
            known = self.sets.setdefault(name, set())
            if members is None:
                self.sets[name] = None
            elif known is not None:
                known |= members


class LiveView:
    """Indexes over a replica, kept by its row events. To be touched with the replica's lock held only.

    Attributes:
        on_change: told of each change, on the replica's thread; it must not block. None: nobody is.
    """

    def __init__(self, owner: Owner) -> None:
        """Start empty, for this owner's rows; events, or `rebuild`, fill it."""
        self.on_change: Callable[[DatabaseChange], None] | None = None
        self._owner = owner
        self._rows_of: dict[str, set[uuid.UUID]] = defaultdict(set)
        self._identity_of: dict[uuid.UUID, str] = {}
        self._switches_of: dict[uuid.UUID, set[uuid.UUID]] = defaultdict(set)
        self._rules_of: dict[uuid.UUID, frozenset[uuid.UUID]] = {}
        self._gone_ports: dict[uuid.UUID, str] = {}
        self._named: dict[tuple[str, str], uuid.UUID] = {}  # table and name; ten times as fast as ovs' sorted index

    def rebuild(self, tables: Mapping[str, Any]) -> None:
        """Index everything anew: after a reconnect rows are gone that no event told of."""
        for index in (self._rows_of, self._identity_of, self._switches_of, self._rules_of, self._named):
            index.clear()
        for table in _NAMED:
            for row in tables[table].rows.values():
                self._named[table, stored_scalar(row, "name")] = row.uuid
        for row in tables["QoS"].rows.values():
            self._index_row(row)
        for row in tables["Logical_Switch"].rows.values():
            self._index_switch(row.uuid, frozenset(stored_members(row, "qos_rules")))

    # Following events

    def row_changed(self, event: str, row: Any, before: Mapping[str, Any]) -> None:
        """Take in a row event of ovs: `create`, `update` or `delete`, and the former values of changed columns."""
        table = row._table.name  # noqa: SLF001 - ovs' rows have no other way
        change = DatabaseChange()
        if table in _NAMED:
            self._index_name(event, table, row, before)
        if table == "QoS":
            self._qos_changed(event, row, change)
        elif table == "Logical_Switch":
            self._switch_changed(event, row, change)
        elif table == "Logical_Switch_Port":
            if event != "delete":
                change.ports.add(stored_scalar(row, "name"))
            else:
                self._note_gone_port(row)
        elif table in _KINDS:
            self._set_changed(event, row, _KINDS[table], before, change)
        if self.on_change is not None and change:
            self.on_change(change)

    def _qos_changed(self, event: str, row: Any, change: DatabaseChange) -> None:
        former = self._identity_of.pop(row.uuid, None)
        if former is not None:
            self._rows_of[former].discard(row.uuid)
            if not self._rows_of[former]:
                del self._rows_of[former]
            change.rows.add(former)
        identity = self._index_row(row) if event != "delete" else None
        if identity is not None:
            change.rows.add(identity)
        elif former is None:
            change.rivals = stored_scalar(row, "priority") >= NETWORK_QOS_BASE

    def _switch_changed(self, event: str, row: Any, change: DatabaseChange) -> None:
        after = frozenset() if event == "delete" else frozenset(stored_members(row, "qos_rules"))
        moved = self._index_switch(row.uuid, after)
        change.rows.update(self._identity_of[one] for one in moved if one in self._identity_of)
        if event == "create":
            change.switches.add(stored_scalar(row, "name"))

    def _set_changed(
        self, event: str, row: Any, kind: SetKind, before: Mapping[str, Any], change: DatabaseChange
    ) -> None:
        former = before.get("external_ids")
        ids_before = former_map(former) if former is not None else stored_map(row, "external_ids")
        if not self._owner.owns(stored_map(row, "external_ids")) and not self._owner.owns(ids_before):
            return
        name = stored_scalar(row, "name")
        if event != "update" or set(before) != {kind.column}:
            change.sets[name] = None
            if "name" in before:
                change.sets.update(dict.fromkeys(plain_members(before["name"])))
            return
        moved = set(plain_members(before[kind.column])) ^ set(stored_members(row, kind.column))
        if kind is SetKind.PORT_GROUP:
            ports = row._idl.tables["Logical_Switch_Port"].rows  # noqa: SLF001 - ovs' rows have no other way
            names = {stored_scalar(ports[one], "name") if one in ports else self._gone_ports.get(one) for one in moved}
            # a port that went is to be known as missing, so that it is noticed when it comes again
            change.sets[name] = None if None in names else {one for one in names if one is not None}
            return
        change.sets[name] = moved

    def _note_gone_port(self, row: Any) -> None:
        """Remember the last ports that went: the groups that they were in tell of their uuids only."""
        self._gone_ports[row.uuid] = stored_scalar(row, "name")
        if len(self._gone_ports) > _GONE_PORTS_MAXIMUM:
            del self._gone_ports[next(iter(self._gone_ports))]

    def _index_name(self, event: str, table: str, row: Any, before: Mapping[str, Any]) -> None:
        name = stored_scalar(row, "name")
        former = next(iter(plain_members(before["name"])), name) if "name" in before else name
        if (event == "delete" or former != name) and self._named.get((table, former)) == row.uuid:
            del self._named[table, former]
        if event != "delete":
            self._named[table, name] = row.uuid

    def _index_row(self, row: Any) -> str | None:
        external_ids = stored_map(row, "external_ids")
        if not self._owner.owns(external_ids):
            return None
        identity = self._owner.identity(external_ids)
        self._identity_of[row.uuid] = identity
        self._rows_of[identity].add(row.uuid)
        return identity

    def _index_switch(self, switch: uuid.UUID, rules: frozenset[uuid.UUID]) -> frozenset[uuid.UUID]:
        former = self._rules_of.pop(switch, frozenset())
        if rules:
            self._rules_of[switch] = rules
        for rule in rules - former:
            self._switches_of[rule].add(switch)
        for rule in former - rules:
            self._switches_of[rule].discard(switch)
            if not self._switches_of[rule]:
                del self._switches_of[rule]
        return rules ^ former

    # Answering

    def part(self, delta: Delta, tables: Mapping[str, Any]) -> Snapshot:
        """The part of the database that a delta names, as a snapshot to plan against.

        Args:
            delta: which rows, sets and members.
            tables: the replica's tables by name.
        """

        def find(table: str, name: str) -> Any | None:
            found = self._named.get((table, name))
            return None if found is None else tables[table].rows.get(found)

        part = _Part(tables, find)
        rows = [
            StoredRow(uuid=str(one), content=row_content(tables["QoS"].rows[one]), switches=part.switch_names(bound))
            for identity in delta.rows
            for one in self._rows_of.get(identity, ())
            for bound in (self._switches_of.get(one, ()),)
        ]
        part.look_up(delta.desired)
        sets: dict[tuple[SetKind, str], StoredSet] = {}
        foreign: dict[tuple[SetKind, str], StoredSet] = {}
        for name, touched in delta.sets.items():
            for kind in SetKind:
                row = find(kind, name)
                if row is not None:
                    stored = part.stored_set(row, kind, touched)
                    (sets if self._owner.owns(stored.content.external_ids) else foreign)[kind, name] = stored
        return Snapshot(
            owner=self._owner,
            rows=tuple(sorted(rows, key=lambda one: one.uuid)),
            sets=sets,
            foreign_sets=foreign,
            switches=part.switches,
            ports=part.ports,
        )


class _Part:
    """Gathers a snapshot's values, and the uuids of the switches and ports that are met on the way."""

    def __init__(self, tables: Mapping[str, Any], find: Callable[[str, str], Any | None]) -> None:
        self._tables = tables
        self._find = find
        self.switches: dict[str, str] = {}
        self.ports: dict[str, str] = {}

    def switch_names(self, switches: Iterable[uuid.UUID]) -> frozenset[str]:
        rows = self._tables["Logical_Switch"].rows
        named = {stored_scalar(rows[one], "name"): str(one) for one in switches}
        self.switches.update(named)
        return frozenset(named)

    def look_up(self, desired: DesiredState) -> None:
        """Find the switches and ports that are wanted."""
        for row in desired.rows.values():
            for name in row.switches - self.switches.keys():
                self._learn("Logical_Switch", name, self.switches)
        for group in desired.port_groups.values():
            for name in group.ports - self.ports.keys():
                self._learn("Logical_Switch_Port", name, self.ports)

    def stored_set(self, row: Any, kind: SetKind, touched: frozenset[str] | None) -> StoredSet:
        """A set with all its members, or those among the touched."""
        members: Iterable[str]
        if kind is SetKind.PORT_GROUP:
            members = self._ports_of(row, touched)
        elif touched is None:
            members = stored_members(row, kind.column)
        else:
            members = (one for one in touched if stored_has(row, kind.column, one))
        content = SetContent(
            kind=kind,
            name=stored_scalar(row, "name"),
            members=frozenset(members),
            external_ids=stored_map(row, "external_ids"),
        )
        return StoredSet(uuid=str(row.uuid), content=content)

    def _ports_of(self, row: Any, touched: frozenset[str] | None) -> Iterable[str]:
        if touched is None:
            rows = self._tables["Logical_Switch_Port"].rows
            present = [rows[one] for one in stored_members(row, "ports") if one in rows]
        else:
            met = (self._find("Logical_Switch_Port", name) for name in touched)
            present = [port for port in met if port is not None and stored_has(row, "ports", port.uuid)]
        named = {stored_scalar(port, "name"): str(port.uuid) for port in present}
        self.ports.update(named)
        return named

    def _learn(self, table: str, name: str, into: dict[str, str]) -> None:
        row = self._find(table, name)
        if row is not None:
            into[name] = str(row.uuid)
