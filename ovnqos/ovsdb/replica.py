"""A copy of a database's tables in memory, as a monitor of its server keeps it (ovsdb-server(7)).

Each row is one small object of plain values, read from what a server sends.
`ovs` makes of a row a dictionary of columns, of each value an object and of each member of a set another. At 75,000
rows with 950,000 members that is 494 MB; as records it is 145 MB, and read in a third of the time (measured).
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, make_dataclass
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

import ovs.db.types

from ovnqos.ovsdb.schema import column_types

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ovnqos.ovsdb.schema import Columns

_Reader = Callable[[Any], Any]

_STRING: Final = ovs.db.types.StringType
_UUID: Final = ovs.db.types.UuidType
_DEFAULTS: Final = {ovs.db.types.IntegerType: 0, ovs.db.types.RealType: 0.0, ovs.db.types.BooleanType: False}
_NO_UUID: Final = str(uuid.UUID(int=0))
_NO_MEMBERS: Final[frozenset[Any]] = frozenset()
_NO_PAIRS: Final[Mapping[Any, Any]] = {}
_SHARED_MAPS: Final = 4096


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


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordColumn:
    """A column, and how its values are read.

    Attributes:
        name: its name.
        type: its `ovs.db.types.Type`.
        read: makes a plain value of a `<value>` of RFC 7047.
        default: the value of a column that a server leaves out.
        is_many: whether a change of it is told as a difference: it can hold more than one member.
        is_map: whether it holds pairs.
    """

    name: str
    type: Any
    read: _Reader
    default: Any
    is_many: bool
    is_map: bool

    @classmethod
    def of(cls, name: str, column_type: Any) -> RecordColumn:
        """The column of this name and type."""
        return cls(
            name=name,
            type=column_type,
            read=_reader(column_type),
            default=_default(column_type),
            is_many=bool(column_type.n_max > 1),
            is_map=bool(column_type.is_map()),
        )


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
        """Takes in many changes of which nobody needs to hear one by one: a `<table-update2>`, which is empty then."""
        columns = tuple((column.name, column.read, column.default) for column in self.columns.values())
        while updates:
            uuid, update = updates.popitem()
            row = update.get("initial")
            if row is None:
                self.take(uuid, update)
            else:
                values = [read(row[name]) if name in row else default for name, read, default in columns]
                shared = sys.intern(uuid)
                self.records[shared] = self._new(shared, *values)

    def take_all(self, updates: dict[str, Any]) -> Iterator[RecordChange]:
        """Takes in changes, and tells them one by one: a `<table-update2>`, which is empty then."""
        while updates:
            change = self.take(*updates.popitem())
            if change is not None:
                yield change

    def take(self, uuid: str, update: Mapping[str, Any]) -> RecordChange | None:
        """Takes in one change: a `<row-update2>` (ovsdb-server(7), section 4.1.13). None: it changed nothing.

        Raises:
            ValueError: what is to be changed is not there, or the update says nothing that is known.
        """
        if "modify" in update:
            return self._modify(uuid, update["modify"])
        if "delete" in update:
            record = self.records.pop(uuid, None)
            return None if record is None else RecordChange(event="delete", table=self.name, record=record)
        row = update.get("insert", update.get("initial"))
        if row is None:
            raise ValueError(f"an update of {self.name} that is none: {', '.join(update)}")
        shared = sys.intern(uuid)
        values = [
            column.read(row[column.name]) if column.name in row else column.default for column in self.columns.values()
        ]
        record = self.records[shared] = self._new(shared, *values)
        return RecordChange(event="create", table=self.name, record=record)

    def _modify(self, uuid: str, row: Mapping[str, Any]) -> RecordChange:
        record = self.records.get(uuid)
        if record is None:
            raise ValueError(f"{self.name} {uuid} changed, which the server never told of")
        before: dict[str, Any] = {}
        moved: dict[str, frozenset[Any]] = {}
        for name, json in row.items():
            column = self.columns[name]
            value, told = getattr(record, name), column.read(json)
            if column.is_many and not column.is_map:
                moved[name] = told
                if not isinstance(value, set):
                    value = set(value)  # the one copy between two calls of `frozen`
                value ^= told
            else:
                before[name] = value
                value = _changed_map(value, told) if column.is_many else told
            setattr(record, name, value)
        return RecordChange(event="update", table=self.name, record=record, before=before, moved=moved)


class Listener(Protocol):
    """Hears what happens in a replica, on the thread that keeps it: it must not block."""

    def replaced(self, tables: Mapping[str, RecordTable]) -> None:
        """Everything was read, for the first time or after a reconnect: no other call tells what came or went."""

    def changed(self, tables: Mapping[str, RecordTable], changes: Sequence[RecordChange]) -> None:
        """A server told of these changes, all of them made already: those of one transaction, or of some together."""


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
            listener: hears of changes.
        """
        self.tables: dict[str, RecordTable] = {}
        self.types: Mapping[str, Mapping[str, Any]] = {}
        self.is_complete = False
        self._columns = columns
        self._listener = listener
        self._last_transaction = _NO_UUID

    def set_schema(self, database: str, schema_json: Mapping[str, Any]) -> None:
        """Take a server's schema. Raises SchemaMismatch where a needed column is missing or has another type."""
        self.types = column_types(database, schema_json, self._columns)
        if not self.tables:
            self.tables = {table: RecordTable(table, columns) for table, columns in self.types.items()}

    def monitor_parameters(self) -> list[Any]:
        """What to ask `monitor_cond_since` for, after the names of database and monitor."""
        return [
            {table: [{"columns": list(columns)}] for table, columns in self._columns.items()},
            self._last_transaction,
        ]

    def take_contents(self, result: Sequence[Any]) -> None:
        """Take the reply to `monitor_cond_since`: all rows, or where the server remembers, what changed meanwhile."""
        remembered, last_transaction, updates = result
        if not remembered:
            for table in self.tables.values():
                table.records.clear()
        for table, rows in updates.items():
            self.tables[table].load(rows)
        self._last_transaction = last_transaction
        if self._listener is not None:
            self._listener.replaced(self.tables)
        self.is_complete = True

    def take_changes(self, last_transaction: str, updates: Mapping[str, Any]) -> None:
        """Take the parameters of `update3`."""
        changes = [change for table, rows in updates.items() for change in self.tables[table].take_all(rows)]
        self._last_transaction = last_transaction
        if changes and self._listener is not None:
            self._listener.changed(self.tables, changes)

    def forget(self) -> None:
        """Have everything read anew: what is there may be wrong."""
        self._last_transaction = _NO_UUID
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


def _default(column_type: Any) -> Any:
    if column_type.is_map():
        return _NO_PAIRS
    if column_type.is_scalar():
        return _atom_default(column_type.key.type)
    return _NO_MEMBERS if column_type.n_min == 0 else frozenset({_atom_default(column_type.key.type)})


def _atom_default(atomic_type: Any) -> Any:
    return _NO_UUID if atomic_type is _UUID else _DEFAULTS.get(atomic_type, "")


def _reader(column_type: Any) -> _Reader:
    """How a column is read: texts that other rows are likely to hold, too, become one object in memory."""
    key = column_type.key
    if column_type.is_map():
        return _map_reader(key.type, column_type.value.type)
    if not column_type.is_scalar():
        return _set_reader(key.type)
    if key.type is _STRING and key.enum is None:
        return _as_is
    return _ATOM_READERS.get(key.type, _as_is)


def _set_reader(atomic_type: Any) -> _Reader:
    read = _ATOM_READERS.get(atomic_type, _as_is)

    def read_set(json: Any) -> frozenset[Any]:
        if isinstance(json, list) and json[0] == "set":
            members: Iterable[Any] = json[1]
            if atomic_type is _UUID:
                members = map(sys.intern, map(itemgetter(1), members))  # 100,000 by `_read_uuid` take 30 ms more
            elif read is not _as_is:
                members = map(read, members)
            return frozenset(set(members)) or _NO_MEMBERS  # a copy has less room to spare: 14 MB in 950,000 members
        return frozenset((read(json),))

    return read_set


def _map_reader(key_type: Any, value_type: Any) -> _Reader:
    if key_type is _STRING and value_type is ovs.db.types.IntegerType:
        return _read_map_of_numbers
    read_key, read_value = _ATOM_READERS.get(key_type, _as_is), _ATOM_READERS.get(value_type, _as_is)

    def read_map(json: Any) -> Mapping[Any, Any]:
        return {read_key(key): read_value(value) for key, value in json[1]} or _NO_PAIRS

    return read_map


def _read_map_of_numbers(json: Any) -> Mapping[str, int]:
    """A map as of `action` and `bandwidth`: few are different."""
    return _shared_map(tuple(map(tuple, json[1])))


@lru_cache(maxsize=_SHARED_MAPS)
def _shared_map(pairs: tuple[tuple[str, int], ...]) -> Mapping[str, int]:
    return {sys.intern(key): value for key, value in pairs}


def _read_uuid(json: Any) -> str:
    return sys.intern(json[1])


def _as_is(json: Any) -> Any:
    return json


_ATOM_READERS: Final[Mapping[Any, _Reader]] = {_STRING: sys.intern, _UUID: _read_uuid, ovs.db.types.RealType: float}
