"""Read a replica as values for plans: all of it, or a part by names, at the cost of what is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovnqos.match.addresses import canonical_address
from ovnqos.model.owner import PORT_KEY
from ovnqos.ovsdb.replica import frozen
from ovnqos.plan.snapshot import ActualRow, ActualSet, RowContent, SetContent, SetKind, Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ovnqos.compile.rows import Delta, DesiredState
    from ovnqos.model.owner import Owner
    from ovnqos.ovsdb.replica import RecordTable

SWITCH, PORT = "Logical_Switch", "Logical_Switch_Port"
_KINDS = tuple(SetKind)
_MAC_LENGTH, _MAC_COLONS = len("0a:58:0a:f4:00:05"), 5


def take_snapshot(tables: Mapping[str, RecordTable], owner: Owner) -> Snapshot:
    """Copy what an owner's plans need; sets and maps are the replica's own, which change no more once they are here.

    The caller holds the replica's lock.

    Args:
        tables: the replica's tables by name.
        owner: whose rows are told apart from foreign ones.
    """
    ports = tables[PORT].records
    return Snapshot.of_contents(
        owner,
        switches=((one.uuid, one.name, one.qos_rules) for one in tables[SWITCH].records.values()),
        ports={port.name: uuid for uuid, port in ports.items()},
        rows=((uuid, _row_content(record)) for uuid, record in sorted(tables["QoS"].records.items())),
        sets=(
            (record.uuid, _set_content(record, kind, _all_members(record, kind, ports)))
            for kind in SetKind
            for record in tables[kind].records.values()
        ),
    )


def port_addresses(row: Mapping[str, Any]) -> Iterator[str]:
    """The IP and MAC addresses of a logical switch port: its columns `addresses`, `dynamic_addresses` as JSON."""
    for column in ("addresses", "dynamic_addresses"):
        value = row[column]
        for entry in value[1] if isinstance(value, list) else [value]:
            for word in entry.split():
                if word.count(":") == _MAC_COLONS and len(word) == _MAC_LENGTH:
                    yield word.lower()
                    continue
                try:
                    yield canonical_address(word)
                except ValueError:
                    continue  # `router`, `unknown`, `dynamic`


class ReplicaReader:
    """Reads rows and sets by identity and name, and notes the uuids of the switches and ports met on the way."""

    def __init__(
        self,
        tables: Mapping[str, RecordTable],
        *,
        named: Mapping[str, Mapping[str, str]],
        rows_of: Mapping[str, Iterable[str]],
        switches_of: Mapping[str, Iterable[str]],
        marking_on: Mapping[str, Iterable[str]],
    ) -> None:
        """Over a replica and its indexes, as `LiveView` keeps them."""
        self._tables = tables
        self._named = named
        self._rows_of = rows_of
        self._switches_of = switches_of
        self._marking_on = marking_on
        self._switches: dict[str, str] = {}
        self._ports: dict[str, str] = {}

    def part(self, delta: Delta, owner: Owner) -> Snapshot:
        """The part that a delta names, as a snapshot of this owner."""
        rows = [row for identity in delta.rows for row in self.rows(identity)]
        self._look_up(delta.desired)
        sets: dict[tuple[SetKind, str], ActualSet] = {}
        foreign: dict[tuple[SetKind, str], ActualSet] = {}
        for name, members in delta.sets.items():
            for kind in _KINDS:
                actual = self.set(kind, name, members)
                if actual is not None:
                    (sets if owner.owns(actual.content.external_ids) else foreign)[kind, name] = actual
        return Snapshot(
            owner=owner,
            rows=tuple(sorted(rows, key=lambda one: one.uuid)),
            foreign_rows=self._foreign_marks(delta.desired),
            sets=sets,
            foreign_sets=foreign,
            switches=self._switches,
            ports=self._ports,
        )

    def _foreign_marks(self, desired: DesiredState) -> tuple[ActualRow, ...]:
        """The foreign rows that set marks of packets, on the switches of these rows."""
        if not self._marking_on:
            return ()
        records = self._tables["QoS"].records
        switches = {self._named[SWITCH].get(name, "") for row in desired.rows.values() for name in row.switches}
        uuids = {uuid for switch in switches for uuid in self._marking_on.get(switch, ())}
        return tuple(
            ActualRow(uuid=uuid, content=_row_content(records[uuid]), switches=self._switch_names(uuid))
            for uuid in sorted(uuids)
        )

    def rows(self, identity: str) -> list[ActualRow]:
        """The owner's rows of this identity."""
        records = self._tables["QoS"].records
        return [
            ActualRow(uuid=uuid, content=_row_content(records[uuid]), switches=self._switch_names(uuid))
            for uuid in self._rows_of.get(identity, ())
        ]

    def has(self, kind: SetKind, name: str) -> bool:
        """Whether there is a set of this name."""
        return name in self._named[kind]

    def set(self, kind: SetKind, name: str, among: frozenset[str] | None) -> ActualSet | None:
        """The set of this name with all its members, or those among the given; None when there is none."""
        record = self._find(kind, name)
        if record is None:
            return None
        if among is None:
            members = _all_members(record, kind, self._tables[PORT].records)
        else:
            members = frozenset(one for one in among if self._holds(record, kind, one))
        if kind is SetKind.PORT_GROUP:
            self._learn(PORT, members, self._ports)
        return ActualSet(uuid=record.uuid, content=_set_content(record, kind, members))

    def is_changed(
        self,
        kind: SetKind,
        name: str,
        external_ids: Mapping[str, str],
        *,
        added: Iterable[str],
        removed: Iterable[str],
    ) -> bool:
        """Whether the set of this name has these external_ids and the added members, and none of the removed."""
        record = self._find(kind, name)
        return (
            record is not None
            and record.external_ids == external_ids
            and all(self._holds(record, kind, member) for member in added)
            and not any(self._holds(record, kind, member) for member in removed)
        )

    def share(self, kind: SetKind, name: str, members: frozenset[str]) -> None:
        """Have the replica keep these very addresses in place of equal ones: 50 MB less at 950,000 (measured)."""
        record = self._find(kind, name)
        if record is not None and kind is SetKind.ADDRESS_SET:
            record.addresses = members

    def _holds(self, record: Any, kind: SetKind, member: str) -> bool:
        if kind is SetKind.ADDRESS_SET:
            return member in record.addresses
        return self._named[PORT].get(member) in record.ports

    def _find(self, table: str, name: str) -> Any | None:
        uuid = self._named[table].get(name)
        return None if uuid is None else self._tables[table].records.get(uuid)

    def _switch_names(self, row: str) -> frozenset[str]:
        records = self._tables[SWITCH].records
        named = {records[switch].name: switch for switch in self._switches_of.get(row, ())}
        self._switches.update(named)
        return frozenset(named)

    def _look_up(self, desired: DesiredState) -> None:
        """Find the switches and ports that are desired."""
        for row in desired.rows.values():
            self._learn(SWITCH, row.switches, self._switches)
            if (port := row.external_ids.get(PORT_KEY)) is not None:
                self._learn(PORT, (port,), self._ports)
        for group in desired.port_groups.values():
            self._learn(PORT, group.ports, self._ports)

    def _learn(self, table: str, names: Iterable[str], into: dict[str, str]) -> None:
        named = self._named[table]
        into.update((name, named[name]) for name in names if name in named)


def _row_content(record: Any) -> RowContent:
    return RowContent(
        direction=record.direction,
        priority=record.priority,
        match=record.match,
        action=record.action,
        bandwidth=record.bandwidth,
        external_ids=record.external_ids,
    )


def _set_content(record: Any, kind: SetKind, members: frozenset[str]) -> SetContent:
    return SetContent(kind=kind, name=record.name, members=members, external_ids=record.external_ids)


def _all_members(record: Any, kind: SetKind, ports: Mapping[str, Any]) -> frozenset[str]:
    """A set's addresses, or names of its ports; a port of which the server has not told is left out."""
    members = frozen(record, kind.column)
    if kind is SetKind.ADDRESS_SET:
        return members
    return frozenset(ports[port].name for port in members if port in ports)
