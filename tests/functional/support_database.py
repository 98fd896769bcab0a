"""Whole databases as plain values: read and written past the code under test, over the socket of the server."""

from __future__ import annotations

import json
import shutil
import socket
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from ovnqos import Owner
from ovnqos.sandbox import NorthboundServer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ovnqos import AddressSet, DesiredState, PortGroup

Row = dict[str, Any]
Dump = dict[str, dict[str, Row]]
"""Table → uuid → columns, as JSON-RPC gives them."""

TABLES: Final = ("Logical_Switch", "Logical_Switch_Port", "QoS", "Port_Group", "Address_Set")
OWNER_KEY: Final = "ovnqos.io/owner"


def transact(server: NorthboundServer, *operations: Mapping[str, Any]) -> list[Any]:
    """Runs one transaction (RFC 7047, section 4.1.3) and returns its results; fails if one operation did."""
    request = {"method": "transact", "params": ["OVN_Northbound", *operations], "id": 0}
    results: list[Any] = _answer(server, json.dumps(request).encode())["result"]
    assert not [result for result in results if result and result.get("error")], results
    return results


def _answer(server: NorthboundServer, request: bytes) -> Any:
    received = bytearray()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(str(server.socket))
        connection.sendall(request)
        while block := connection.recv(1 << 18):
            received += block
            if block.endswith(b"}"):  # seldom so before the end: a long answer is parsed once or twice
                with suppress(ValueError):
                    return json.loads(received)
    raise ConnectionResetError(f"{server.socket}: closed before the answer")


def dump(server: NorthboundServer) -> Dump:
    """All rows of the tables that QoS is about, every column."""
    found = transact(server, *({"op": "select", "table": table, "where": []} for table in TABLES))
    return {
        table: {row["_uuid"][1]: {name: value for name, value in row.items() if name[0] != "_"} for row in one["rows"]}
        for table, one in zip(TABLES, found, strict=True)
    }


def as_map(value: Any) -> dict[str, Any]:
    """A map column as a dictionary."""
    assert value[0] == "map"
    return dict(value[1])


def as_set(value: Any) -> set[str]:
    """A set column; references are uuids as text."""
    members = value[1] if value[0] == "set" else [value]
    return {member[1] if isinstance(member, list) else member for member in members}


def ovsdb_map(pairs: Mapping[str, Any]) -> list[Any]:
    return ["map", [[key, value] for key, value in pairs.items()]]


def row_of(columns: Mapping[str, Any]) -> Row:
    """Columns as JSON-RPC wants them: dictionaries become maps, sets become sets."""
    encoded: Row = {}
    for name, value in columns.items():
        if isinstance(value, dict):
            encoded[name] = ovsdb_map(value)
        elif isinstance(value, (set, frozenset)):
            encoded[name] = ["set", sorted(value)]
        else:
            encoded[name] = value
    return encoded


def wire(server: NorthboundServer, switches: Iterable[str], ports: Iterable[str] = ()) -> None:
    """Makes logical switches, and logical switch ports on the first of them."""
    names = sorted(set(switches)) or ["elsewhere"]
    port_names = sorted(set(ports))
    members = ["set", [["named-uuid", f"port{number}"] for number in range(len(port_names))]]
    transact(
        server,
        *(
            {"op": "insert", "table": "Logical_Switch_Port", "row": {"name": name}, "uuid-name": f"port{number}"}
            for number, name in enumerate(port_names)
        ),
        *(
            {
                "op": "insert",
                "table": "Logical_Switch",
                "row": {
                    "name": name,
                    "external_ids": ovsdb_map({"of": "others"}),
                    **({} if index else {"ports": members}),
                },
            }
            for index, name in enumerate(names)
        ),
    )


def wire_for(server: NorthboundServer, desired: DesiredState) -> None:
    """Makes every switch and port that is wanted."""
    wire(
        server,
        (name for row in desired.rows.values() for name in row.switches),
        (name for group in desired.port_groups.values() for name in group.ports),
    )


def add_row(server: NorthboundServer, switches: Iterable[str], **columns: Any) -> str:
    """Adds a QoS row to switches, as another client of the database; returns its uuid."""
    given = {"direction": "to-lport", "priority": 1, "match": "ip4", **columns}
    operations: list[Mapping[str, Any]] = [
        {"op": "insert", "table": "QoS", "row": row_of(given), "uuid-name": "row"},
        *(
            {
                "op": "mutate",
                "table": "Logical_Switch",
                "where": [["name", "==", name]],
                "mutations": [["qos_rules", "insert", ["named-uuid", "row"]]],
            }
            for name in switches
        ),
    ]
    return str(transact(server, *operations)[0]["uuid"][1])


def add_set(server: NorthboundServer, table: str, **columns: Any) -> str:
    """Adds an address set or port group without ports; returns its uuid."""
    return str(transact(server, {"op": "insert", "table": table, "row": row_of(columns)})[0]["uuid"][1])


def update(server: NorthboundServer, table: str, uuid: str, **columns: Any) -> None:
    """Assigns columns of a row, as another client of the database."""
    where = [["_uuid", "==", ["uuid", uuid]]]
    transact(server, {"op": "update", "table": table, "where": where, "row": row_of(columns)})


def unbind(server: NorthboundServer, switch: str, uuid: str) -> None:
    """Takes a QoS row off a switch, as another client of the database."""
    mutation = {"where": [["name", "==", switch]], "mutations": [["qos_rules", "delete", ["uuid", uuid]]]}
    transact(server, {"op": "mutate", "table": "Logical_Switch", **mutation})


@contextmanager
def copy_of(server: NorthboundServer) -> Iterator[NorthboundServer]:
    """A second server on a copy of the database, with the same uuids."""
    with NorthboundServer() as second:
        second.stop()
        shutil.copy(server.file, second.file)
        second.start()
        yield second


def comparable(found: Dump, known: Dump) -> dict[str, list[str]]:
    """The rows in an order and under names that do not depend on the uuids of rows that `known` does not have.

    A row that `known` has keeps its uuid; a new one goes by its content.
    """
    old = {uuid for rows in known.values() for uuid in rows}
    names: dict[str, str] = {}

    def stable(value: Any) -> Any:
        match value:
            case ["uuid", str() as uuid]:
                return f"uuid {uuid}" if uuid in old else names[uuid]
            case ["set", list() as members]:
                return ["set", sorted((stable(member) for member in members), key=json.dumps)]
            case ["map", list() as pairs]:
                return ["map", sorted(pairs)]
        # a set of one is written as its member
        return value

    def text(row: Row) -> str:
        return json.dumps({name: stable(value) for name, value in row.items()}, sort_keys=True, ensure_ascii=False)

    for table in ("QoS", "Port_Group", "Address_Set", "Logical_Switch_Port", "Logical_Switch"):
        for uuid, row in found[table].items():
            names[uuid] = f"uuid {uuid}" if uuid in old else f"new {text(row)}"
    return {table: sorted(f"{names[uuid]}: {text(row)}" for uuid, row in rows.items()) for table, rows in found.items()}


def of_others(found: Dump, owner: Owner | None = None) -> Dump:
    """The rows and sets of everybody else, with their uuids, and all that switches and ports hold but QoS rows."""
    name = (owner or Owner()).name
    foreign = {
        table: {uuid: row for uuid, row in found[table].items() if as_map(row["external_ids"]).get(OWNER_KEY) != name}
        for table in ("QoS", "Port_Group", "Address_Set")
    }
    switches = {
        uuid: {
            **row,
            "qos_rules": sorted(as_set(row["qos_rules"]) & foreign["QoS"].keys()),
        }
        for uuid, row in found["Logical_Switch"].items()
    }
    return {**foreign, "Logical_Switch": switches, "Logical_Switch_Port": found["Logical_Switch_Port"]}


def bindings(found: Dump) -> dict[str, set[str]]:
    """The names of the switches that each QoS row is bound to, by uuid."""
    bound: dict[str, set[str]] = {uuid: set() for uuid in found["QoS"]}
    for row in found["Logical_Switch"].values():
        for uuid in as_set(row["qos_rules"]):
            bound[uuid].add(row["name"])
    return bound


def owned(found: Dump, owner: Owner) -> dict[str, Any]:
    """An owner's rows by identity and sets by name, as plain values. Two rows of one identity fail."""
    rows: dict[str, Any] = {}
    bound = bindings(found)
    for uuid, row in found["QoS"].items():
        external_ids = as_map(row["external_ids"])
        if external_ids.get(OWNER_KEY) == owner.name:
            identity = external_ids["ovnqos.io/id"]
            assert identity not in rows, f"twice: {identity}"
            rows[identity] = {
                "switches": bound[uuid],
                "direction": row["direction"],
                "priority": row["priority"],
                "match": row["match"],
                "action": as_map(row["action"]),
                "bandwidth": as_map(row["bandwidth"]),
                "external_ids": external_ids,
            }
    ports = {uuid: row["name"] for uuid, row in found["Logical_Switch_Port"].items()}
    sets: dict[str, Any] = {}
    for table, column in (("Port_Group", "ports"), ("Address_Set", "addresses")):
        for row in found[table].values():
            external_ids = as_map(row["external_ids"])
            if external_ids.get(OWNER_KEY) == owner.name:
                members = as_set(row[column])
                sets[row["name"]] = {
                    "table": table,
                    "members": {ports[one] for one in members} if table == "Port_Group" else members,
                    "external_ids": external_ids,
                }
    return {"rows": rows, "sets": sets}


def wanted(desired: DesiredState, owner: Owner, found: Dump) -> dict[str, Any]:
    """What `owned` must be once a state is applied to a Northbound with the switches and ports of `found`."""
    switches = {row["name"] for row in found["Logical_Switch"].values()}
    ports = {row["name"] for row in found["Logical_Switch_Port"].values()}
    rows = {
        identity: {
            "switches": set(row.switches) & switches,
            "direction": str(row.direction),
            "priority": row.priority,
            "match": str(row.match),
            "action": {} if row.dscp is None else {"dscp": row.dscp},
            "bandwidth": {
                key: value for key, value in (("rate", row.rate_kbps), ("burst", row.burst_kbit)) if value is not None
            },
            "external_ids": {**row.external_ids, OWNER_KEY: owner.name, "ovnqos.io/id": identity},
        }
        for identity, row in desired.rows.items()
        if row.switches & switches
    }
    sets: dict[str, tuple[str, set[str], PortGroup | AddressSet]] = {
        **{name: ("Port_Group", set(one.ports) & ports, one) for name, one in desired.port_groups.items()},
        **{name: ("Address_Set", set(one.addresses), one) for name, one in desired.address_sets.items()},
    }
    return {
        "rows": rows,
        "sets": {
            name: {
                "table": table,
                "members": members,
                "external_ids": {**one.external_ids, OWNER_KEY: owner.name, "ovnqos.io/id": one.identity},
            }
            for name, (table, members, one) in sets.items()
        },
    }


def marks(server: NorthboundServer) -> dict[str, int]:
    """The mark of each of our rows by identity."""
    return {
        as_map(row["external_ids"])["ovnqos.io/id"]: as_map(row["action"])["dscp"]
        for row in dump(server)["QoS"].values()
        if as_map(row["external_ids"]).get("ovnqos.io/owner") == "ovnqos"
    }
