"""What a Northbound's schema must hold for us, and what its constraints allow in a column."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import ovs.db.idl
import ovs.db.types

from ovnqos.errors import InvalidRow, SchemaMismatch

DATABASE: Final = "OVN_Northbound"

Columns = Mapping[str, Mapping[str, str]]
"""Table → column → type, in the words of `describe_type`."""

NEEDED_COLUMNS: Final[Columns] = {
    "Logical_Switch": {"name": "string", "qos_rules": "set of references to QoS"},
    "Logical_Switch_Port": {"name": "string"},
    "QoS": {
        "priority": "integer",
        "direction": "string",
        "match": "string",
        "action": "map of string to integer",
        "bandwidth": "map of string to integer",
        "external_ids": "map of string to string",
    },
    "Port_Group": {
        "name": "string",
        "ports": "set of weak references to Logical_Switch_Port",
        "external_ids": "map of string to string",
    },
    "Address_Set": {"name": "string", "addresses": "set of strings", "external_ids": "map of string to string"},
}
"""The columns this project reads and writes (ovn-nb(5)); they have these types since OVN 20.03."""

_Check = Callable[[Any], str | None]
_INT64: Final = range(-(2**63), 2**63)


def describe_type(column_type: Any) -> str:
    """Says a column's type (RFC 7047, section 3.2, `<type>`) in words, without its constraints."""
    if isinstance(column_type, str):
        return column_type
    key, value = column_type["key"], column_type.get("value")
    many = column_type.get("max", 1) != 1
    if value is not None:
        return f"map of {_base(key)} to {_base(value)}"
    if many:
        return f"set of {_base(key)}s" if "reference" not in _base(key) else f"set of {_base(key, plural=True)}"
    return f"optional {_base(key)}" if column_type.get("min", 1) == 0 else _base(key)


def _base(base: Any, *, plural: bool = False) -> str:
    if isinstance(base, str):
        return base
    if table := base.get("refTable"):
        weak = "weak " if base.get("refType") == "weak" else ""
        return f"{weak}reference{'s' if plural else ''} to {table}"
    return str(base["type"])


class NorthboundSchema:
    """The part of a server's schema that is used, checked once.

    Attributes:
        version: the schema's version, as OVN counts it: `7.0.0`.
        columns: which tables and columns are replicated.
    """

    def __init__(self, schema_json: Mapping[str, Any], columns: Columns = NEEDED_COLUMNS) -> None:
        """Cuts the schema down to `columns`.

        Args:
            schema_json: a server's answer to `get_schema`.
            columns: what is needed, and of which type.

        Raises:
            SchemaMismatch: a table or column is missing, or has another type; all of them are named.
        """
        faults: list[str] = []
        tables: dict[str, Any] = {}
        for table, wanted in columns.items():
            found = schema_json["tables"].get(table)
            if found is None:
                faults.append(f"it has no table {table}")
                continue
            for column, column_type in wanted.items():
                if column not in found["columns"]:
                    faults.append(f"{table} has no column {column}")
                elif (actual := describe_type(found["columns"][column]["type"])) != column_type:
                    faults.append(f"{table}.{column} is a {actual}, not a {column_type}")
            tables[table] = {
                **found,
                "columns": {name: found["columns"].get(name) for name in wanted},
                "indexes": [index for index in found.get("indexes", []) if wanted.keys() >= set(index)],
            }
        self.version = str(schema_json.get("version", ""))
        self.columns = columns
        if faults:
            raise SchemaMismatch(f"the schema {self.version} of {DATABASE} does not fit: {'; '.join(faults)}")
        self._json = {"name": schema_json["name"], "version": schema_json.get("version"), "tables": tables}
        parsed = self.helper().get_idl_schema()
        self._checks = {
            (name, column.name): _column_check(column.type)
            for name, table in parsed.tables.items()
            for column in table.columns.values()
        }

    def helper(self) -> Any:
        """A new `ovs.db.idl.SchemaHelper` with the needed columns registered."""
        helper = ovs.db.idl.SchemaHelper(schema_json=self._json)
        for table, columns in self.columns.items():
            helper.register_columns(table, list(columns))
        return helper

    def check(self, table: str, column: str, value: object) -> None:
        """Checks a value against the column's type and constraints on this very server.

        `ovs` only logs and drops a value that breaks them, and a NUL in a string makes the server hang up.

        Args:
            table: a table of `columns`.
            column: a column of it.
            value: a scalar, a collection of scalars for a set, a mapping for a map; references are `uuid.UUID`.

        Raises:
            InvalidRow: the server would refuse the value, or this schema does not know the column.
        """
        check = self._checks.get((table, column))
        if check is None:
            raise InvalidRow(f"{table}.{column} is not a column in use")
        if fault := check(value):
            raise InvalidRow(f"{table}.{column}: {fault}")


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
        if fault := key(name):
            return f"key {fault}"
        if fault := value(content):
            return f"{name}: {fault}"
    return _check_size(len(given), column_type)


def _check_set(given: object, key: _Check, column_type: Any) -> str | None:
    if not isinstance(given, Collection) or isinstance(given, str | bytes | Mapping):
        return f"a set is needed, not {given!r}"
    for member in given:
        if fault := key(member):
            return fault
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
