"""The words of RFC 7047: types of columns and their values, requests, results of a transaction and its errors.

`ovs` makes of a row a dictionary of columns, of each value an object and of each member of a set another. At 75,000
rows with 950,000 members that is 494 MB; read as plain values it is 145 MB, in a third of the time (measured).
"""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import ovs.db.types
import ovs.jsonrpc

from ovnqos.errors import LockLost, OutcomeUnknown, SchemaMismatch, StalePlan, TransactionRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ovnqos.ovsdb.remotes import Database


Operation = Mapping[str, Any]
"""An `<operation>` of RFC 7047, section 5.2."""

Row = dict[str, Any]
"""A row's columns, or the result of an operation, as RFC 7047 has them in JSON."""

_UNKNOWN_NAMES: Final = frozenset({"syntax error", "unknown column", "unknown table"})


class Deadline:
    """A moment of the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds until then; 0 when it has passed."""
        return max(0.0, self._end - time.monotonic())


class Request:
    """A request that was sent.

    Attributes:
        reply: the `ovs.jsonrpc.Message` that answers it; None until there is one.
        is_lost: the connection ended before the reply.
        on_reply: called with the reply.
    """

    def __init__(self, on_reply: Callable[[Any], None] | None = None) -> None:
        self.reply: Any = None
        self.is_lost = False
        self.on_reply = on_reply

    @property
    def is_over(self) -> bool:
        """Whether the reply is there, or will not come."""
        return self.reply is not None or self.is_lost


def results_of(reply: Any, operations: Sequence[Operation], database: Database) -> list[Row]:
    """The results of a transaction that was committed.

    Args:
        reply: what a server answered.
        operations: what it was asked.
        database: which one.

    Raises:
        LockLost: an `assert` failed.
        StalePlan: a `wait` failed.
        SchemaMismatch: there is no such table or column.
        TransactionRefused: another error, in the server's words.
        OutcomeUnknown: there is no result for each operation.
    """
    refusal = f"the {database.title} refuses the transaction"
    if reply.type != ovs.jsonrpc.Message.T_REPLY or not isinstance(reply.result, list):
        raise TransactionRefused(f"{refusal}: {reply.error}")
    for number, result in enumerate(reply.result):
        error = result.get("error") if isinstance(result, dict) else None
        if error is None:
            continue
        if error == "not owner":
            raise lock_lost(operations[number]["lock"])
        if error == "timed out":
            row = _describe_row(operations[number])
            raise StalePlan(f"{row} has changed or is gone since the plan was made; nothing was written, plan again")
        details = result.get("details", "")
        if error in _UNKNOWN_NAMES:
            raise SchemaMismatch(f"the schema of {database.name} does not fit: {details}")
        raise TransactionRefused(f"{refusal}: {error}: {details}" if details else f"{refusal}: {error}")
    results: list[Row] = reply.result  # null only stands after an error
    if len(results) < len(operations) or not all(isinstance(one, dict) for one in results):
        raise OutcomeUnknown(f"the {database.title} gives no result for each operation of the transaction")
    return results


def lock_lost(name: str) -> LockLost:
    """The error that says that another client has this lock; which one, no part of OVSDB tells."""
    hint = "stop the other writer of this owner (an ovnqosd, an ovnqos apply), or use another owner"
    return LockLost(f"another client, which OVSDB does not name, holds the lock {name}; nothing was written; {hint}")


def _describe_row(operation: Operation) -> str:
    """The table of a condition, and the row if it is one by uuid."""
    column, _function, value = operation["where"][0]
    return f"{operation['table']} {value[1]}" if column == "_uuid" else str(operation["table"])


Columns = Mapping[str, Mapping[str, str]]
"""Table → column → type, in the words of `describe_type`."""

NO_UUID: Final = str(uuid.UUID(int=0))
_Reader = Callable[[Any], Any]
_STRING: Final = ovs.db.types.StringType
_UUID: Final = ovs.db.types.UuidType
_DEFAULTS: Final = {ovs.db.types.IntegerType: 0, ovs.db.types.RealType: 0.0, ovs.db.types.BooleanType: False}
_NO_MEMBERS: Final[frozenset[Any]] = frozenset()
_NO_PAIRS: Final[Mapping[Any, Any]] = {}
_SHARED_MAPS: Final = 4096


def describe_type(column_type: Any) -> str:
    """A column's type (RFC 7047, section 3.2, `<type>`) in words, without its constraints."""
    if isinstance(column_type, str):
        return column_type
    key, value = column_type["key"], column_type.get("value")
    if value is not None:
        return f"map of {_base(key)} to {_base(value)}"
    if column_type.get("max", 1) != 1:
        return f"set of {_base(key, plural=True)}"
    return f"optional {_base(key)}" if column_type.get("min", 1) == 0 else _base(key)


def _base(base: Any, *, plural: bool = False) -> str:
    ending = "s" if plural else ""
    if isinstance(base, str):
        return base + ending
    if table := base.get("refTable"):
        weak = "weak " if base.get("refType") == "weak" else ""
        return f"{weak}reference{ending} to {table}"
    return f"{base['type']}{ending}"


def column_types(database: str, schema_json: Mapping[str, Any], columns: Columns) -> dict[str, dict[str, Any]]:
    """The types of the needed columns, as `ovs.db.types.Type` by table and column.

    Args:
        database: its name.
        schema_json: a server's answer to `get_schema`.
        columns: what is needed, and of which type.

    Raises:
        SchemaMismatch: a table or column is missing, or has another type; all of them are named.
    """
    problems: list[str] = []
    types: dict[str, dict[str, Any]] = {}
    for table, needed in columns.items():
        present = schema_json["tables"].get(table)
        if present is None:
            problems.append(f"it has no table {table}")
            continue
        types[table] = {}
        for column, column_type in needed.items():
            if column not in present["columns"]:
                problems.append(f"{table} has no column {column}")
                continue
            actual = present["columns"][column]["type"]
            if describe_type(actual) != column_type:
                problems.append(f"{table}.{column} is a {describe_type(actual)}, not a {column_type}")
            types[table][column] = ovs.db.types.Type.from_json(actual)
    if problems:
        version = schema_json.get("version", "")
        raise SchemaMismatch(f"the schema {version} of {database} does not fit: {'; '.join(problems)}")
    return types


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordColumn:
    """A column, and how its values are read.

    Attributes:
        name: its name.
        type: its `ovs.db.types.Type`.
        read: makes a plain value of a `<value>` of RFC 7047.
        default: the value of a column that a server leaves out.
        is_many: whether an update of it is a difference: it can hold more than one member.
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


def _default(column_type: Any) -> Any:
    if column_type.is_map():
        return _NO_PAIRS
    if column_type.is_scalar():
        return _atom_default(column_type.key.type)
    return _NO_MEMBERS if column_type.n_min == 0 else frozenset({_atom_default(column_type.key.type)})


def _atom_default(atomic_type: Any) -> Any:
    return NO_UUID if atomic_type is _UUID else _DEFAULTS.get(atomic_type, "")


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
