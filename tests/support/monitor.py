"""A Northbound in memory in the words of its server: contents and changes as ovsdb-server(7) tells a monitor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ovs.db.types

from ovnqos.ovsdb.replica import RecordTable
from ovnqos.plan.snapshot import ROW_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from tests.support.database import Database

_MANY = {"min": 0, "max": "unlimited"}
_SETS = {"addresses": {"key": "string", **_MANY}}
_REFERENCES = {"ports": {"key": "uuid", **_MANY}, "qos_rules": {"key": "uuid", **_MANY}}
_MAPS = {
    "external_ids": {"key": "string", "value": "string", **_MANY},
    "action": {"key": "string", "value": "integer", **_MANY},
    "bandwidth": {"key": "string", "value": "integer", **_MANY},
}
_SCALARS = {"name": "string", "direction": "string", "match": "string", "priority": "integer"}
_TYPES: dict[str, Any] = {**_SETS, **_REFERENCES, **_MAPS, **_SCALARS}
_COLUMNS = {
    "QoS": ROW_COLUMNS,
    "Logical_Switch": ("name", "qos_rules"),
    "Logical_Switch_Port": ("name",),
    "Port_Group": ("name", "ports", "external_ids"),
    "Address_Set": ("name", "addresses", "external_ids"),
}
_Rows = dict[str, dict[str, Any]]  # uuid -> column -> value


def empty_tables() -> dict[str, RecordTable]:
    """The tables of a replica that was told nothing yet."""
    return {
        table: RecordTable(table, {column: ovs.db.types.Type.from_json(_TYPES[column]) for column in columns})
        for table, columns in _COLUMNS.items()
    }


def contents(database: Database) -> dict[str, dict[str, Any]]:
    """What the server answers to `monitor_cond_since`: `<table-updates2>`."""
    return {
        table: {uuid: {"initial": _json_row(row)} for uuid, row in rows.items()}
        for table, rows in _tables(database).items()
    }


def changes(before: Database, after: Database, random: Random) -> dict[str, dict[str, Any]]:
    """What the server tells when one has become the other, in random order: `<table-updates2>`."""
    old, new = _tables(before), _tables(after)
    updates: dict[str, dict[str, Any]] = {}
    for table in random.sample(sorted(new), len(new)):
        uuids = sorted(old[table].keys() | new[table].keys())
        for uuid in random.sample(uuids, len(uuids)):
            was, is_ = old[table].get(uuid), new[table].get(uuid)
            if was is None and is_ is not None:
                updates.setdefault(table, {})[uuid] = {"insert": _json_row(is_)}
            elif is_ is None:
                updates.setdefault(table, {})[uuid] = {"delete": None}
            elif was is not None and was != is_:
                told = {name: _difference(name, was[name], is_[name]) for name in is_ if was[name] != is_[name]}
                updates.setdefault(table, {})[uuid] = {"modify": told}
    return updates


def _tables(database: Database) -> dict[str, _Rows]:
    tables: dict[str, _Rows] = {table: {} for table in _COLUMNS}
    for uuid, row in database.rows.items():
        tables["QoS"][uuid] = {column: getattr(row.content, column) for column in ROW_COLUMNS}
    for name in database.switches:
        rules = {uuid for uuid, row in database.rows.items() if name in row.switches}
        tables["Logical_Switch"][f"uuid-of-switch-{name}"] = {"name": name, "qos_rules": rules}
    for name in database.ports:
        tables["Logical_Switch_Port"][f"uuid-of-port-{name}"] = {"name": name}
    for uuid, one in database.sets.items():
        members = set(one.content.members)
        if one.content.kind == "Port_Group":
            members = {f"uuid-of-port-{name}" for name in members & database.ports}
        found = {"name": one.content.name, "external_ids": one.content.external_ids, one.content.kind.column: members}
        tables[one.content.kind][uuid] = found
    return tables


def _json_row(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _json(name, value) for name, value in row.items() if value not in (set(), {}, "", 0)}


def _json(name: str, value: Any) -> Any:
    if name in _MAPS:
        return ["map", [[key, content] for key, content in value.items()]]
    if name in _SCALARS:
        return value
    members = [["uuid", one] if name in _REFERENCES else one for one in sorted(value)]
    return members[0] if len(members) == 1 else ["set", members]


def _difference(name: str, was: Any, is_: Any) -> Any:
    if name in _SCALARS:
        return is_
    if name in _MAPS:
        keys = {key for key in was.keys() | is_.keys() if was.get(key) != is_.get(key)}
        return ["map", [[key, is_.get(key, was.get(key))] for key in sorted(keys)]]
    return _json(name, was ^ is_)
