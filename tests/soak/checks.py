"""What is to hold after each batch of faults, and at every moment."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Self

from ovnqos import Compiler, InvalidObject, Northbound, OvnKubernetesTopology, OvnQosError, plan_changes
from ovnqos.kubernetes import NETWORK_QOSES, RESOURCES
from ovnqosd.status.policy_outcome import IN_FORCE, PolicyState, Reason, choose_reason
from tests.soak.churn import SENTINEL_RATES, SENTINELS
from tests.soak.world import CENTRAL, Database

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.soak.churn import Churn
    from tests.soak.world import World

_GROUP: Final = re.compile(r"@(\w+)")
_PORT: Final = re.compile(r'"(\w+)"')
_WATCHED: Final = {
    "QoS": ["match", "bandwidth", "priority"],
    "Logical_Switch": ["name", "qos_rules"],
    "Logical_Switch_Port": ["name"],
    "Port_Group": ["name", "ports"],
}
_ROUTINE: Final = frozenset({"reconciled", "drift repaired", "invalid object", "object diagnostics"})
"""Lines that say what churn and tampering changed: one each."""
_RSS_GROWTH_KIB: Final = 40_000
_THREADS_GROWTH: Final = 6
_DESCRIPTORS_GROWTH: Final = 12


class SentinelWatch:
    """Follows one Northbound by its own updates, a transaction each: the sentinels' limits are to be in all of them.

    Attributes:
        absences: what was absent after a transaction, while it was watched for.
    """

    def __init__(self, database: Database) -> None:
        self.absences: list[str] = []
        self.is_armed = False
        self.database = database
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(10)

    def _run(self) -> None:
        number = 0
        while not self._ended.wait(0.05):
            member = self.database.members[number % len(self.database.members)]
            number += 1
            try:
                with socket.socket(socket.AF_UNIX) as connection:
                    connection.settimeout(1)
                    connection.connect(str(member.socket))
                    self._follow(connection)
            except OSError:  # it was ended, or ends; the contents of the next one are compared as a whole
                continue

    def _follow(self, connection: socket.socket) -> None:
        tables: dict[str, dict[str, Any]] = {table: {} for table in _WATCHED}
        columns = {table: [{"columns": names}] for table, names in _WATCHED.items()}
        connection.sendall(
            json.dumps({"method": "monitor", "params": ["OVN_Northbound", 0, columns], "id": 0}).encode()
        )
        for message in _messages(connection, self._ended):
            if message.get("method") == "echo":
                connection.sendall(
                    json.dumps({"result": message["params"], "error": None, "id": message["id"]}).encode()
                )
                continue
            updates = message["params"][1] if message.get("method") == "update" else message.get("result")
            for table, rows in (updates or {}).items():
                for uuid, row in rows.items():
                    if "new" in row:
                        tables[table][uuid] = row["new"]
                    else:
                        tables[table].pop(uuid, None)
            if self.is_armed and updates is not None and (absent := self._absent(tables)):
                self.absences.append(f"{time.strftime('%H:%M:%S')} {absent}: {json.dumps(updates)[:2000]}")

    def _absent(self, tables: Mapping[str, Mapping[str, Any]]) -> str:
        ports = {row["name"]: uuid for uuid, row in tables["Logical_Switch_Port"].items()}
        groups = {row["name"]: set(_uuids(row["ports"])) for row in tables["Port_Group"].values()}
        limits: set[tuple[str, int, str | None]] = set()
        for switch in tables["Logical_Switch"].values():
            rows = (tables["QoS"].get(uuid) for uuid in _uuids(switch["qos_rules"]))
            for row in rows:
                for _, rate in row["bandwidth"][1] if row is not None else ():
                    match = row["match"] if row is not None else ""
                    named = {one for group in _GROUP.findall(match) for one in groups.get(group, ())}
                    named.update(ports[name] for name in _PORT.findall(match) if name in ports)
                    limits.update((switch["name"], rate, port) for port in named)
        absent = [
            f"{name} on {node}"
            for name, rate in SENTINEL_RATES.items()
            if (node := "n2" if name == "s2" else "n1") in self.database.nodes
            and (node, rate, ports.get(f"{SENTINELS}_{name}")) not in limits
        ]
        return ", ".join(absent)


def _uuids(value: Any) -> list[str]:
    kind, content = value
    return [content] if kind == "uuid" else [one for _, one in content]


def _messages(connection: socket.socket, ended: threading.Event) -> Iterator[dict[str, Any]]:
    decoder, text, rest = json.JSONDecoder(), "", b""
    while not ended.is_set():
        try:
            block = connection.recv(1 << 20)
        except TimeoutError:
            continue
        if not block:
            return
        rest += block
        try:
            text, rest = text + rest.decode(), b""
        except UnicodeDecodeError:
            continue
        while text:
            try:
                message, end = decoder.raw_decode(text)
            except ValueError:
                break
            text = text[end:].lstrip()
            yield message


class Checks:
    """Compares the API's contents with Northbounds and statuses, and what daemons use with what they used."""

    def __init__(self, world: World, churn: Churn) -> None:
        """Take what is foreign now as what is to stay."""
        self._world = world
        self._churn = churn
        self._foreign = {one: one.foreign() for one in world.all_databases}
        self._usage: dict[int, tuple[int, int, int]] = {}  # by pid, when it was first settled
        self._lines = Counter[str]()  # that were read, by daemon
        self.growth = Counter[str]()
        self.most_lines = 0.0

    def differences(self) -> tuple[list[str], list[str]]:
        """How rows, and statuses, differ now from what the API's contents ask for."""
        try:
            documents = {one: self._list(one.path) for one in RESOURCES}
            rows: list[str] = []
            compilers = {}
            for database in self._world.databases:
                compilers[database], said = self._compare(database, documents)
                rows += said
            return rows, list(self._statuses(documents, compilers))
        except (OSError, OvnQosError) as error:
            return [f"{type(error).__name__}: {error}"], []

    def foreign(self) -> list[str]:
        """What of the foreign rows and sets changed."""
        found = []
        for database in self._world.databases:
            now = database.foreign()
            for table, rows in self._foreign[database].items():
                if now[table] != rows:
                    found.append(f"foreign {table}: {rows} became {now[table]}")
        return found

    def growing(self) -> list[str]:
        """Which daemon uses more than when it was first settled."""
        found = []
        for one in self._world.daemons:
            usage = one.usage()
            first = self._usage.setdefault(one.process.pid, usage)
            bounds = (_RSS_GROWTH_KIB, _THREADS_GROWTH, _DESCRIPTORS_GROWTH)
            for what, was, now, bound in zip(("KiB", "threads", "descriptors"), first, usage, bounds, strict=True):
                self.growth[what] = max(self.growth[what], now - was)
                if now - was > bound:
                    found.append(f"{one.name}: {was} {what} became {now}")
        return found

    def log(self, faults: int, lines_maximum: int) -> list[str]:
        """Whether the daemons logged an exception, or more than so many lines for each fault since the last call."""
        new: list[str] = []
        for one in self._world.all_daemons:
            lines = one.log_lines()
            new += lines[self._lines[one.name] :]
            self._lines[one.name] = len(lines)
        events = Counter(_event(line) for line in new)
        told = sum(count for event, count in events.items() if event not in _ROUTINE)
        self.most_lines = max(self.most_lines, told / max(1, faults))
        found = [f"traceback: {line[:2000]}" for line in new if "Traceback" in line or '"exception"' in line]
        if told > lines_maximum * faults:
            found.append(f"{told} lines of {faults} faults: {events.most_common(5)}")
        return found

    def _list(self, path: str) -> list[dict[str, Any]]:
        status, answer = self._world.api.request("GET", path)
        if status != 200:
            raise OSError(f"GET {path}: {status}")
        items: list[dict[str, Any]] = answer["items"]
        return items

    def _compare(self, database: Database, documents: Mapping[Any, list[dict[str, Any]]]) -> tuple[Compiler, list[str]]:
        """A policy without a valid version keeps the rows of the last one that the daemon saw, or what it found."""
        changes: list[str] = []
        with Northbound.connect(database.remote) as northbound:
            snapshot = northbound.snapshot()
        compiler = Compiler(OvnKubernetesTopology())
        versions = [one for key in self._churn.last_valid for one in self._churn.versions[key]]
        for version in [*reversed(versions), None]:
            compiler = self._compile(database, documents, version)
            plan = plan_changes(replace(compiler.desired(), scope=None), snapshot)
            if plan.is_empty:
                return compiler, [f"missing: {one}" for one in plan.missing]
            changes = [f"{database.zone_node or CENTRAL}: {one}"[:600] for one in plan.changes]
        return compiler, changes

    def _compile(
        self, database: Database, documents: Mapping[Any, list[dict[str, Any]]], version: dict[str, Any] | None
    ) -> Compiler:
        nodes = None if database.zone_node is None else [database.zone_node]
        compiler = Compiler(OvnKubernetesTopology(zone_nodes=nodes))
        if version is not None:
            compiler.apply(NETWORK_QOSES.parse(version))
        for resource, items in documents.items():
            for document in items:
                try:
                    compiler.apply(resource.parse(document))
                except InvalidObject as invalid:
                    compiler.apply(invalid)
        return compiler

    def _statuses(
        self, documents: Mapping[Any, list[dict[str, Any]]], compilers: Mapping[Database, Compiler]
    ) -> Iterator[str]:
        (policies,) = (items for resource, items in documents.items() if resource.kind == "NetworkQoS")
        for document in policies:
            metadata, status = document["metadata"], document.get("status", {})
            key, generation = f"{metadata['namespace']}/{metadata['name']}", metadata["generation"]
            told = {one["type"]: one for one in status.get("conditions", [])}
            due = set()
            for database, compiler in compilers.items():
                zone = database.zone_node or "global"
                expected, pods = _outcome(compiler, key)
                condition = told.pop(f"Ready-In-Zone-{zone}", None)
                if pods or database.zone_node is None:
                    due.add(zone)
                if condition is None:
                    if zone in due:
                        yield f"{key}: no condition of zone {zone}"
                    continue
                if (condition["reason"], condition.get("observedGeneration")) != (expected, generation):
                    yield f"{key}: zone {zone} says {condition}; expected {expected} of generation {generation}"
                elif (condition["status"] == "True") is not (expected in IN_FORCE):
                    yield f"{key}: zone {zone} says {condition}"
                counted = status.get("zones", {}).get(zone, {}).get("pods")
                if counted != pods and expected is not Reason.INVALID:
                    yield f"{key}: zone {zone} counts {counted} pods; expected {pods}"
            ready = told.pop("Ready", None)
            if ready is None or ready.get("observedGeneration") != generation or ready["status"] == "Unknown":
                yield f"{key}: Ready says {ready}; expected of generation {generation}"
            if told:
                yield f"{key}: conditions of no zone: {sorted(told)}"


def _outcome(compiler: Compiler, key: str) -> tuple[Reason, int]:
    """The reason of a policy's condition in this zone where all is in order, and its pods there."""
    compiled, invalid = compiler.compiled(key), compiler.invalid.get(key)
    state = PolicyState(
        is_invalid=invalid is not None,
        is_compiled=compiled is not None,
        has_rows=compiled is not None and bool(compiled.rows),
        diagnostics=compiler.diagnostics("NetworkQoS", key),
    )
    return choose_reason(state)[0], compiler.policy_counts(key).pods


def _event(line: str) -> str:
    try:
        return str(json.loads(line).get("event"))
    except (ValueError, AttributeError):
        return line[:80]
