"""The floor: what the database itself needs for the rows that ovnqos ends with, and ovn-nbctl beside it.

The rows of a filled Northbound are read by raw selects and turned into the insert and mutate operations that make them
in an equal, empty one. Those go over its unix socket as one `transact` that was encoded before the clock starts.
References to ports and switches are by name in dumped operations and become uuids of the target before that, too.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from errno import E2BIG
from typing import TYPE_CHECKING, Any

from bench.rpc import Exchange, Operation, RawClient, encode
from ovnqos.errors import TransactionRefused

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.generate import Cluster

OwnerFilter = Callable[[Mapping[str, str]], bool]
"""Tells from a row's external_ids whether it is ours."""

COLUMNS = {
    "QoS": ["action", "bandwidth", "direction", "external_ids", "match", "priority"],
    "Port_Group": ["external_ids", "name", "ports"],
    "Address_Set": ["addresses", "external_ids", "name"],
    "Logical_Switch": ["name", "qos_rules"],
}
PORT_COLUMNS = {"Logical_Switch_Port": ["name"]}
PORT_NAMED, SWITCH_NAMED = "port-named", "switch-named"
PORTS_A_TRANSACTION = 5_000


def _selects(tables: Mapping[str, list[str]]) -> list[Operation]:
    return [
        {"op": "select", "table": table, "where": [], "columns": ["_uuid", *columns]}
        for table, columns in tables.items()
    ]


def dump_operations(remote: str, owner_filter: OwnerFilter | None = None) -> list[Operation]:
    """Return the operations that make a database's QoS content in another with the same switches and ports by name.

    Args:
        remote: `unix:PATH` of the filled database.
        owner_filter: which rows to take; None takes all.

    Raises:
        NorthboundUnavailable: nothing serves OVN_Northbound there.
    """
    ours = owner_filter or (lambda _: True)
    with RawClient(remote) as client:
        result = client.transact(_selects(COLUMNS | PORT_COLUMNS)).result
    qos, groups, sets, switches, ports = (answer["rows"] for answer in result)
    port_names = {port["_uuid"][1]: port["name"] for port in ports}

    operations = [_insert("Address_Set", row) for row in _owned(sets, ours)]
    for row in _owned(groups, ours):
        members = sorted(port_names[uuid] for _, uuid in _members(row["ports"]))
        operations.append(_insert("Port_Group", row | {"ports": ["set", [[PORT_NAMED, name] for name in members]]}))
    names = {}
    for position, row in enumerate(_owned(qos, ours)):
        names[row["_uuid"][1]] = f"qos{position}"
        operations.append(_insert("QoS", row) | {"uuid-name": f"qos{position}"})
    for switch in switches:
        added = [["named-uuid", names[uuid]] for _, uuid in _members(switch["qos_rules"]) if uuid in names]
        if added:
            operations.append(_add_rules([SWITCH_NAMED, switch["name"]], added))
    return operations


def _owned(rows: list[dict[str, Any]], ours: OwnerFilter) -> Iterator[dict[str, Any]]:
    return (row for row in rows if ours(dict(row["external_ids"][1])))


def _members(value: list[Any]) -> list[list[str]]:
    """Return a column's uuids: OVSDB writes a set of one as the bare atom."""
    return value[1] if value[0] == "set" else [value]


def _insert(table: str, row: dict[str, Any]) -> Operation:
    kept = {column: row[column] for column in COLUMNS[table] if row[column] not in ("", ["map", []], ["set", []])}
    return {"op": "insert", "table": table, "row": kept}


def _add_rules(switch: list[str], rules: list[list[str]]) -> Operation:
    mutations = [["qos_rules", "insert", ["set", rules]]]
    return {"op": "mutate", "table": "Logical_Switch", "where": [["_uuid", "==", switch]], "mutations": mutations}


def resolve_references(remote: str, operations: Sequence[Operation]) -> list[Operation]:
    """Return the operations with their names of ports and switches replaced by the uuids these have at `remote`.

    Raises:
        KeyError: the database has no switch or port of that name.
        NorthboundUnavailable: nothing serves OVN_Northbound there.
    """
    with RawClient(remote) as client:
        result = client.transact(_selects({"Logical_Switch": ["name"]} | PORT_COLUMNS)).result
    uuids = {
        kind: {row["name"]: row["_uuid"] for row in answer["rows"]}
        for kind, answer in zip((SWITCH_NAMED, PORT_NAMED), result, strict=True)
    }

    def resolved(reference: list[str]) -> list[str]:
        kind, name = reference
        return uuids[kind][name] if kind in uuids else reference

    def with_uuids(operation: Operation) -> Operation:
        if operation["op"] == "mutate":
            return operation | {"where": [[column, test, resolved(to)] for column, test, to in operation["where"]]}
        if ports := operation["row"].get("ports"):
            return operation | {"row": operation["row"] | {"ports": ["set", [resolved(port) for port in ports[1]]]}}
        return operation

    return [with_uuids(operation) for operation in operations]


def make_switches_and_ports(remote: str, cluster: Cluster) -> None:
    """Make a Logical_Switch for each node and a Logical_Switch_Port for each pod, named as ovn-kubernetes names them.

    Raises:
        TransactionRefused: the database has some of them already.
        NorthboundUnavailable: nothing serves OVN_Northbound there.
    """
    pods = defaultdict(list)
    for pod in cluster.pods:
        pods[pod["spec"]["nodeName"]].append(pod)
    with RawClient(remote) as client:
        operations: list[Operation] = []
        for node in cluster.nodes:
            name = node["metadata"]["name"]
            ports = [
                {"op": "insert", "table": "Logical_Switch_Port", "row": _port(pod), "uuid-name": f"port{number}"}
                for number, pod in enumerate(pods[name], start=len(operations))
            ]
            references = [["named-uuid", port["uuid-name"]] for port in ports]
            switch = {"name": name, "ports": ["set", references]}
            operations += [*ports, {"op": "insert", "table": "Logical_Switch", "row": switch}]
            if len(operations) >= PORTS_A_TRANSACTION:
                client.transact(operations)
                operations = []
        client.transact(operations)


def _port(pod: Mapping[str, Any]) -> dict[str, Any]:
    metadata = pod["metadata"]
    network = json.loads(metadata["annotations"]["k8s.ovn.org/pod-networks"])["default"]
    addresses = " ".join([network["mac_address"], *(text.partition("/")[0] for text in network["ip_addresses"])])
    return {
        "name": f"{metadata['namespace']}_{metadata['name']}",
        "addresses": addresses,
        "port_security": addresses,
        "external_ids": ["map", [["namespace", metadata["namespace"]], ["pod", "true"]]],
        "options": ["map", [["iface-id-ver", metadata["uid"]], ["requested-chassis", pod["spec"]["nodeName"]]]],
    }


def time_transact(remote: str, operations: Sequence[Operation]) -> float:
    """Return the seconds of one pre-encoded `transact`, from its first byte to the last of its reply.

    Args:
        remote: `unix:PATH` of the database to fill.
        operations: as `dump_operations` returns them; names are resolved before the clock starts.

    Raises:
        TransactionRefused: the database did not take them.
        NorthboundUnavailable: nothing serves OVN_Northbound there.
    """
    request = encode(resolve_references(remote, operations))
    with RawClient(remote) as client:
        return client.exchange(request).seconds


def time_read(remote: str, *, with_ports: bool = False) -> Exchange:
    """Read QoS, Port_Group, Address_Set and Logical_Switch by one pre-encoded `transact` of selects.

    Args:
        remote: `unix:PATH` of the database.
        with_ports: read the ports' names too, which whoever resolves a port group's members must.

    Returns:
        The exchange: `seconds` until the reply is complete, and `parse_seconds` for the JSON beside it.
    """
    request = encode(_selects(COLUMNS | PORT_COLUMNS if with_ports else COLUMNS))
    with RawClient(remote) as client:
        return client.exchange(request)


def time_nbctl(remote: str, operations: Sequence[Operation]) -> float | None:
    """Return the seconds of one ovn-nbctl process that makes the same rows in one transaction.

    Args:
        remote: `unix:PATH` of the database to fill.
        operations: as for `time_transact`.

    Returns:
        None where the operating system cannot hold so long a command line.

    Raises:
        TransactionRefused: ovn-nbctl failed.
        FileNotFoundError: ovn-nbctl (Debian: ovn-common) is not installed.
    """
    arguments = ["ovn-nbctl", f"--db={remote}", "--no-syslog"]
    for operation in resolve_references(remote, operations):
        arguments += ["--", *_nbctl_command(operation)]
    environment = {name: value for name, value in os.environ.items() if name != "OVN_NB_DAEMON"}
    started = time.perf_counter()
    try:
        subprocess.run(arguments, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    except subprocess.CalledProcessError as error:
        raise TransactionRefused(error.stderr.decode().strip()) from error
    except OSError as error:
        if error.errno == E2BIG:
            return None
        raise
    return time.perf_counter() - started


def _nbctl_command(operation: Operation) -> list[str]:
    if operation["op"] == "mutate":
        (_, _, (_, switch)), ((column, _, (_, rules)),) = operation["where"][0], operation["mutations"]
        return ["add", operation["table"], switch, column, *(_nbctl_value(rule) for rule in rules)]
    identity = [f"--id=@{operation['uuid-name']}"] if "uuid-name" in operation else []
    values = [f"{column}={_nbctl_value(value)}" for column, value in operation["row"].items()]
    return [*identity, "create", operation["table"], *values]


def _nbctl_value(value: Any) -> str:
    match value:
        case ["uuid", uuid]:
            return str(uuid)
        case ["named-uuid", name]:
            return f"@{name}"
        case ["set", members]:
            return "[" + ",".join(_nbctl_value(member) for member in members) + "]"
        case ["map", pairs]:
            return "{" + ",".join(f"{_nbctl_value(key)}={_nbctl_value(content)}" for key, content in pairs) + "}"
    return json.dumps(value)
