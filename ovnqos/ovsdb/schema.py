"""What a server's schema must hold for us, and what its constraints allow in a column."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import ovs.db.types

from ovnqos.errors import InvalidRow, SchemaMismatch

Columns = Mapping[str, Mapping[str, str]]
"""Table → column → type, in the words of `describe_type`."""

_Check = Callable[[Any], str | None]
_INT64: Final = range(-(2**63), 2**63)


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


class ColumnChecks:
    """Checks values against the constraints of a server's columns.

    `ovs` only logs and drops a value that breaks them, and a NUL in a string makes the server hang up.
    """

    def __init__(self, types: Mapping[str, Mapping[str, Any]]) -> None:
        """For columns of these `ovs.db.types.Type`, by table and column."""
        self._checks = {
            (table, column): _column_check(of_type)
            for table, columns in types.items()
            for column, of_type in columns.items()
        }

    def check(self, table: str, column: str, value: object) -> None:
        """Check a value before it is written.

        Args:
            table: its table.
            column: its column.
            value: a scalar, a collection of scalars for a set, a mapping for a map; references are `uuid.UUID`.

        Raises:
            InvalidRow: the server would refuse the value, or there is no such column.
        """
        check = self._checks.get((table, column))
        if check is None:
            raise InvalidRow(f"{table}.{column} is not a column in use")
        if problem := check(value):
            raise InvalidRow(f"{table}.{column}: {problem}")


def _column_check(column_type: Any) -> _Check:
    key = _atom_check(column_type.key)
    if column_type.is_map():
        value = _atom_check(column_type.value)
        return lambda given: _check_map(given, key, value, column_type)
    if column_type.is_scalar():
        return key
    return lambda given: _check_set(given, key, column_type)


def _check_map(given: object, key: _Check, value: _Check, column_type: Any) -> str | None:
    if not isinstance(given, Mapping):
        return f"a map is needed, not {given!r}"
    for name, content in given.items():
        if problem := key(name):
            return f"key {problem}"
        if problem := value(content):
            return f"{name}: {problem}"
    return _check_size(len(given), column_type)


def _check_set(given: object, key: _Check, column_type: Any) -> str | None:
    if not isinstance(given, Collection) or isinstance(given, str | bytes | Mapping):
        return f"a set is needed, not {given!r}"
    for member in given:
        if problem := key(member):
            return problem
    return _check_size(len(given), column_type)


def _check_size(size: int, column_type: Any) -> str | None:
    if column_type.n_min <= size <= column_type.n_max:
        return None
    return f"{size} members where {column_type.n_min} to {column_type.n_max} are allowed"


def _atom_check(base: Any) -> _Check:
    """The check of one scalar against its base type and its enum, range or length."""
    if base.enum is not None:
        allowed = frozenset(atom.value for atom in base.enum.values)
        words = ", ".join(sorted(map(str, allowed)))
        return lambda given: None if given in allowed else f"{given!r} is not one of {words}"
    if base.type is ovs.db.types.StringType:
        return lambda given: _check_string(given, base)
    if base.type is ovs.db.types.IntegerType:
        return lambda given: _check_integer(given, base)
    python_type = {ovs.db.types.UuidType: uuid.UUID, ovs.db.types.BooleanType: bool}.get(base.type, float)
    name = base.type.name
    return lambda given: None if isinstance(given, python_type) else f"{given!r} is not a {name}"


def _check_string(given: object, base: Any) -> str | None:
    if not isinstance(given, str):
        return f"{given!r} is not a string"
    if not base.min_length <= len(given) <= base.max_length:
        return f"{given!r} has {len(given)} characters; {base.min_length} to {base.max_length} are allowed"
    if "\0" in given:
        return f"{given!r} holds a NUL"
    if not given.isascii():
        try:
            given.encode("utf-8")
        except UnicodeEncodeError:
            return f"{given!r} is not valid Unicode"
    return None


def _check_integer(given: object, base: Any) -> str | None:
    if not isinstance(given, int) or isinstance(given, bool):
        return f"{given!r} is not an integer"
    low = _INT64[0] if base.min is None else base.min
    high = _INT64[-1] if base.max is None else base.max
    return None if low <= given <= high else f"{given} is not in the range {low} to {high}"
