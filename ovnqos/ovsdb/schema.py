"""What a server's schema must hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ovs.db.types

from ovnqos.errors import SchemaMismatch

Columns = Mapping[str, Mapping[str, str]]
"""Table → column → type, in the words of `describe_type`."""


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
