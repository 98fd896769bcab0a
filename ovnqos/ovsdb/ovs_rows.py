"""Records as `ovs` and `ovsdbapp` know rows: a row object is made when one is asked for, and goes when it is let go."""

from __future__ import annotations

import uuid
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import ovs.db.idl
import ovs.db.types

from ovnqos.ovsdb.datum import PlainDatum

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovnqos.ovsdb.records import RecordColumn, RecordTable


class RecordRows(MutableMapping[uuid.UUID, Any]):
    """`rows` of an `ovs` table: UUID → row, out of records.

    A transaction adds rows of its own here and takes out those that it deletes; both are undone when it has been sent.

    Attributes:
        indexes: none; what is often looked for by name is in `LiveView`.
    """

    def __init__(self, idl: ovs.db.idl.Idl, table: Any, records: RecordTable) -> None:
        """For `table`, of `idl`."""
        self.indexes: dict[str, Any] = {}
        self._idl = idl
        self._table = table
        self._records = records
        self._made: WeakValueDictionary[str, Any] = WeakValueDictionary()
        self._inserted: dict[uuid.UUID, Any] = {}
        self._deleted: set[uuid.UUID] = set()

    def __getitem__(self, key: uuid.UUID) -> Any:
        if key in self._inserted:
            return self._inserted[key]
        record = self._records.records[str(key)]
        if key in self._deleted:
            raise KeyError(key)
        row = self._made.get(record.uuid)
        if row is None or row._data.record is not record:  # noqa: SLF001  # ovs' rows have no other way
            row = _Row(self._idl, self._table, key, RecordColumns(self._records, record))
            self._made[record.uuid] = row
        return row

    def __setitem__(self, key: uuid.UUID, row: Any) -> None:
        if row._data is None:  # noqa: SLF001  # same
            self._inserted[key] = row
        else:
            self._deleted.discard(key)

    def __delitem__(self, key: uuid.UUID) -> None:
        if self._inserted.pop(key, None) is None:
            self._deleted.add(key)

    def __iter__(self) -> Iterator[uuid.UUID]:
        yield from (key for key in map(uuid.UUID, self._records.records) if key not in self._deleted)
        yield from self._inserted

    def __len__(self) -> int:
        return len(self._records.records) - len(self._deleted) + len(self._inserted)

    def clear(self) -> None:
        """Drops what a server told; outside transactions."""
        self._records.records.clear()


class _Row(ovs.db.idl.Row):  # type: ignore[misc]  # ovs ships no types
    """`ovs`' row, whose verified columns are verified even where nothing of it is written."""

    def verify(self, column_name: str) -> None:
        super().verify(column_name)
        self._idl.txn._txn_rows[self.uuid] = self  # noqa: SLF001  # ovs verifies only rows that it writes (ovs 4.0)


class RecordColumns:
    """A record as `ovs` reads a row's committed columns: name → `PlainDatum`."""

    __slots__ = ("_columns", "record")

    def __init__(self, table: RecordTable, record: Any) -> None:
        self._columns = table.columns
        self.record = record

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __getitem__(self, name: str) -> PlainDatum:
        column = self._columns[name]
        return PlainDatum(column.type, _plain(column, getattr(self.record, name)))

    def get(self, name: str) -> PlainDatum | None:
        """The value of a column; None where the table has none of that name."""
        return self[name] if name in self._columns else None


def _plain(column: RecordColumn, value: Any) -> dict[Any, Any]:
    """A record's value as a `PlainDatum` has it: UUIDs are `uuid.UUID` there."""
    of_type = column.type
    if of_type.is_map():
        pairs = value.items()
    else:
        pairs = ((value, None),) if of_type.is_scalar() else ((member, None) for member in value)
    keys_are, values_are = of_type.key.type, of_type.value and of_type.value.type
    return {_atom(keys_are, key): _atom(values_are, content) for key, content in pairs}


def _atom(atomic_type: Any, value: Any) -> Any:
    return uuid.UUID(value) if atomic_type is ovs.db.types.UuidType else value
