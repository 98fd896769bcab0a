"""A copy of a database's tables in memory, as a monitor of its server keeps it (ovsdb-server(7))."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, make_dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ovnqos.ovsdb.protocol import NO_UUID, RecordColumn, column_types

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ovnqos.ovsdb.protocol import Columns


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordChange:
    """A row came, changed or went.

    Attributes:
        event: which of these.
        table: the row's table.
        record: the row as it is now; of one that went, as it was.
        before: of scalars and maps that changed in an update, the value they had.
        moved: of sets that changed in an update, the members that came or went.
    """

    event: Literal["create", "update", "delete"]
    table: str
    record: Any
    before: Mapping[str, Any] = field(default_factory=dict)
    moved: Mapping[str, frozenset[Any]] = field(default_factory=dict)


class RecordTable:
    """A table's rows. A record has `uuid`, and each column as an attribute.

    Scalars are str, int, float or bool, maps dictionaries that are shared and never changed, sets `set` or `frozenset`:
    read a set by `in` and iteration, keep one by `frozen`. UUIDs are texts. A record is changed in place.

    Attributes:
        name: the table's name.
        columns: by name.
        records: by uuid.
    """

    def __init__(self, name: str, column_types: Mapping[str, Any]) -> None:
        """A table without rows; `column_types` are `ovs.db.types.Type` by column."""
        self.name = name
        self.columns = {column: RecordColumn.of(column, of_type) for column, of_type in column_types.items()}
        self.records: dict[str, Any] = {}
        self._new = _record_class(name, tuple(self.columns))

    def load(self, updates: dict[str, Any]) -> None:
        """Apply a `<table-update2>`, which is empty then, without an account of its changes."""
        columns = tuple((column.name, column.read, column.default) for column in self.columns.values())
        while updates:
            uuid, update = updates.popitem()
            row = update.get("initial")
            if row is None:
                self.apply(uuid, update)
            else:
                values = [read(row[name]) if name in row else default for name, read, default in columns]
                shared = sys.intern(uuid)
                self.records[shared] = self._new(shared, *values)

    def apply_all(self, updates: dict[str, Any]) -> Iterator[RecordChange]:
        """Apply a `<table-update2>`, which is empty then, and yield its changes."""
        while updates:
            change = self.apply(*updates.popitem())
            if change is not None:
                yield change

    def apply(self, uuid: str, update: Mapping[str, Any]) -> RecordChange | None:
        """Apply a `<row-update2>` (ovsdb-server(7), section 4.1.13). Returns the change; None where nothing changed.

        Raises:
            ValueError: what is to be changed is not there, or the update has no known member.
        """
        if "modify" in update:
            return self._modify(uuid, update["modify"])
        if "delete" in update:
            record = self.records.pop(uuid, None)
            return None if record is None else RecordChange(event="delete", table=self.name, record=record)
        row = update.get("insert", update.get("initial"))
        if row is None:
            raise ValueError(f"an update of {self.name} without a known member: {', '.join(update)}")
        shared = sys.intern(uuid)
        values = [
            column.read(row[column.name]) if column.name in row else column.default for column in self.columns.values()
        ]
        record = self.records[shared] = self._new(shared, *values)
        return RecordChange(event="create", table=self.name, record=record)

    def _modify(self, uuid: str, row: Mapping[str, Any]) -> RecordChange:
        record = self.records.get(uuid)
        if record is None:
            raise ValueError(f"{self.name} {uuid} changed, which is not there")
        before: dict[str, Any] = {}
        moved: dict[str, frozenset[Any]] = {}
        for name, json in row.items():
            column = self.columns[name]
            value, update = getattr(record, name), column.read(json)
            if column.is_many and not column.is_map:
                moved[name] = update
                if not isinstance(value, set):
                    value = set(value)  # the one copy between two calls of `frozen`
                value ^= update
            else:
                before[name] = value
                value = _changed_map(value, update) if column.is_many else update
            setattr(record, name, value)
        return RecordChange(event="update", table=self.name, record=record, before=before, moved=moved)


class Listener(Protocol):
    """Is called for changes of a replica, on the thread that keeps it: it must not block."""

    def replaced(self, tables: Mapping[str, RecordTable]) -> None:
        """Everything was read, for the first time or after a reconnect: no other call says what came or went."""

    def changed(self, tables: Mapping[str, RecordTable], changes: Sequence[RecordChange]) -> None:
        """These changes were made: those of one transaction, or of several together."""


class Replica:
    """The replicated tables.

    Attributes:
        tables: by name; none before a server's schema is known.
        types: `ovs.db.types.Type` by table and column, of the last schema.
        is_complete: whether the contents were read, now or before the connection was lost.
    """

    def __init__(self, columns: Columns, listener: Listener | None = None) -> None:
        """Start empty.

        Args:
            columns: what to replicate, and the types this needs.
            listener: called for changes.
        """
        self.tables: dict[str, RecordTable] = {}
        self.types: Mapping[str, Mapping[str, Any]] = {}
        self.is_complete = False
        self._columns = columns
        self._listener = listener
        self._last_transaction = NO_UUID

    def listen(self, listener: Listener) -> None:
        """Have a listener called for changes, and for what is there."""
        self._listener = listener
        if self.is_complete:
            listener.replaced(self.tables)

    def set_schema(self, database: str, schema_json: Mapping[str, Any]) -> None:
        """Apply a server's schema. Raises SchemaMismatch where a needed column is missing or has another type."""
        self.types = column_types(database, schema_json, self._columns)
        if not self.tables:
            self.tables = {table: RecordTable(table, columns) for table, columns in self.types.items()}

    def monitor_parameters(self) -> list[Any]:
        """What to ask `monitor_cond_since` for, after the names of database and monitor."""
        return [
            {table: [{"columns": list(columns)}] for table, columns in self._columns.items()},
            self._last_transaction,
        ]

    def apply_contents(self, result: Sequence[Any]) -> None:
        """Apply the reply to `monitor_cond_since`: all rows, or only what changed since the last transaction."""
        is_since, last_transaction, updates = result
        if not is_since:
            for table in self.tables.values():
                table.records.clear()
        for table, rows in updates.items():
            self.tables[table].load(rows)
        self._last_transaction = last_transaction
        if self._listener is not None:
            self._listener.replaced(self.tables)
        self.is_complete = True

    def apply_changes(self, last_transaction: str, updates: Mapping[str, Any]) -> None:
        """Apply an `update3`."""
        changes = [change for table, rows in updates.items() for change in self.tables[table].apply_all(rows)]
        self._last_transaction = last_transaction
        if changes and self._listener is not None:
            self._listener.changed(self.tables, changes)

    def reset(self) -> None:
        """Have everything read anew, because what is there may be wrong."""
        self._last_transaction = NO_UUID
        self.is_complete = False


def frozen(record: Any, column: str) -> frozenset[Any]:
    """A set as it is now, to keep: the record has the very same until it changes."""
    value = getattr(record, column)
    if isinstance(value, set):
        value = frozenset(value)
        setattr(record, column, value)
    return value  # type: ignore[no-any-return]  # a set column has one of the two


@lru_cache(maxsize=64)
def _record_class(table: str, columns: tuple[str, ...]) -> type[Any]:
    return make_dataclass(f"{table}Record", ["uuid", *columns], slots=True, eq=False)


def _changed_map(value: Mapping[Any, Any], difference: Mapping[Any, Any]) -> dict[Any, Any]:
    """Pairs that are in the difference as they are in the map go; others come, or replace."""
    gone = {key for key, content in difference.items() if key in value and value[key] == content}
    return {key: content for key, content in {**value, **difference}.items() if key not in gone}
