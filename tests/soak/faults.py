"""The faults of a soak: each has a name, begins, and ends; what it chooses comes from the soak's seed."""

from __future__ import annotations

import json
import os
import signal
import socket
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ovnqos import Owner
from ovnqos.sandbox import SandboxError
from ovnqos.sandbox.programs import run
from tests.cluster.conftest import DEPLOY, NETWORK_ATTACHMENT_DEFINITION_CRD, NETWORK_QOS_CRD
from tests.cluster.support_daemon import LEASE_NAMESPACE
from tests.soak.churn import SENTINEL_RATES, SENTINELS
from tests.soak.world import CENTRAL, FLAT_SWITCH, LEASE, ZONE, choose, patiently
from tests.support.kubernetes.http import MERGE_PATCH

if TYPE_CHECKING:
    from random import Random

    from ovnqos.sandbox import NorthboundServer
    from tests.soak.world import Database, Record, World

_CRDS: Final = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_ROLES: Final = "/apis/rbac.authorization.k8s.io/v1"
_LEASE: Final = f"/apis/coordination.k8s.io/v1/namespaces/{LEASE_NAMESPACE}/leases/{LEASE}"
_POLICIES: Final = "/apis/k8s.ovn.org/v1alpha1/networkqoses"


class Fault(ABC):
    """One fault. `begin` may raise SandboxError or OSError: then it was not made, as another one is in its way.

    Attributes:
        name: of its kind.
        concerns: `daemon`, `api`, or `northbound`: at most one fault that lasts concerns each.
        mode: in which mode alone there is such a fault; both if empty.
        ends_limits: whether the sentinels' limits end by it, rightly.
    """

    concerns: ClassVar[str] = "northbound"
    mode: ClassVar[str] = ""
    ends_limits: ClassVar[bool] = False

    def __init__(self, world: World, random: Random) -> None:
        self.world = world
        self.random = random

    @property
    def name(self) -> str:
        words = "".join(f" {one.lower()}" if one.isupper() else one for one in type(self).__name__)
        return f"{words.strip()} {self.parameter}".strip()

    @property
    def parameter(self) -> str:
        return ""

    @abstractmethod
    def begin(self) -> None: ...

    def end(self) -> None:  # noqa: B027 - what does not last has ended
        pass


# Processes


class _OfDaemon(Fault):
    concerns = "daemon"

    def begin(self) -> None:
        self.daemon = self.random.choice(self.world.daemons)
        self.strike()

    @abstractmethod
    def strike(self) -> None: ...


class DaemonKilled(_OfDaemon):
    def strike(self) -> None:
        self.daemon.process.kill()

    def end(self) -> None:
        self.daemon.process.start()


class DaemonTerminated(DaemonKilled):
    def strike(self) -> None:
        self.daemon.process.stop(timeout=15)


class DaemonStopped(_OfDaemon):
    def strike(self) -> None:
        self.daemon.process.freeze()

    def end(self) -> None:
        self.daemon.process.thaw()


class ClockJumped(_OfDaemon):
    def strike(self) -> None:
        self.daemon.shift_clock(self.random.choice((-86_400, -30, 20, 86_400)))

    def end(self) -> None:
        if self.random.random() < 0.5:
            self.daemon.shift_clock(0)


class AllDaemonsKilled(Fault):
    concerns = "daemon"

    def begin(self) -> None:
        for one in self.world.daemons:
            one.process.kill()

    def end(self) -> None:
        for one in self.world.daemons:
            one.process.start()


class _OfServer(Fault):
    def begin(self) -> None:
        self.server: NorthboundServer = self.choose_server()
        self.strike()

    def choose_server(self) -> NorthboundServer:
        return self.random.choice(self.world.servers)

    @abstractmethod
    def strike(self) -> None: ...


class ServerKilled(_OfServer):
    def strike(self) -> None:
        self.server.kill()

    def end(self) -> None:
        self.server.start()


class ServerTerminated(ServerKilled):
    def strike(self) -> None:
        self.server.stop()


class ServerStopped(_OfServer):
    def strike(self) -> None:
        self.server.freeze()

    def end(self) -> None:
        self.server.thaw()


class LeaderKilled(ServerKilled):
    mode = CENTRAL

    def choose_server(self) -> NorthboundServer:
        return self.world.raft.members[self.world.raft.leader(timeout=5)]


class LeaderStopped(ServerStopped):
    mode = CENTRAL

    def choose_server(self) -> NorthboundServer:
        return self.world.raft.members[self.world.raft.leader(timeout=5)]


class MajorityKilled(Fault):
    mode = CENTRAL

    def begin(self) -> None:
        self.killed = self.random.sample(range(3), 2)
        for one in self.killed:
            self.world.raft.kill(one)

    def end(self) -> None:
        for one in self.killed:
            self.world.raft.members[one].start()


class DatabaseCompacted(_OfServer):
    def strike(self) -> None:
        command = self.server.programs.command("ovs-appctl", "-t", self.server.control, "ovsdb-server/compact")
        run(command)


class DiskFull(Fault):
    mode = ZONE

    def begin(self) -> None:
        if self.world.disk is None:
            raise SandboxError("no disk of its own without root")
        self.file = self.world.disk / "filler"
        with suppress(OSError), self.file.open("wb", buffering=0) as filler:
            while True:
                filler.write(b"x" * 4096)

    def end(self) -> None:
        self.file.unlink()


class ApiKilled(Fault):
    concerns = "api"

    def begin(self) -> None:
        self.world.api.stop_api()

    def end(self) -> None:
        self.world.api.start_api()


class ApiStopped(Fault):
    concerns = "api"

    def begin(self) -> None:
        self.world.api.freeze_api()

    def end(self) -> None:
        self.world.api.thaw_api()


class EtcdKilled(Fault):
    concerns = "api"

    def begin(self) -> None:
        self.world.api.etcd.kill()

    def end(self) -> None:
        self.world.api.etcd.start()


class EtcdStopped(Fault):
    concerns = "api"

    def begin(self) -> None:
        os.kill(self.world.api.etcd.pid, signal.SIGSTOP)

    def end(self) -> None:
        os.kill(self.world.api.etcd.pid, signal.SIGCONT)


class HistoryCompacted(Fault):
    """With its start anew, the API server has forgotten all versions but the last."""

    concerns = "api"

    def begin(self) -> None:
        self.world.api.compact()


# Connections


class _OfApiProxy(Fault):
    concerns = "api"

    def end(self) -> None:
        self.world.api_proxy.recover()


class ApiStalls(_OfApiProxy):
    def begin(self) -> None:
        self.world.api_proxy.stall()


class ApiAnswersCut(_OfApiProxy):
    def begin(self) -> None:
        self.world.api_proxy.cut_messages()


class ApiDelayed(_OfApiProxy):
    def begin(self) -> None:
        self.world.api_proxy.delay(self.random.uniform(0.05, 0.5))


class ApiDisconnected(_OfApiProxy):
    def begin(self) -> None:
        self.world.api_proxy.disconnect()


class ApiRefuses(_OfApiProxy):
    def begin(self) -> None:
        self.status = self.random.choice((401, 403, 404, 410, 429, 500, 503))
        self.world.api_proxy.answer(self.status)

    @property
    def parameter(self) -> str:
        return str(self.status)


class _OfNorthboundProxies(Fault):
    def begin(self) -> None:
        self.proxies = [one for one in self.world.proxies if self.random.random() < 0.7] or self.world.proxies
        for one in self.proxies:
            self.strike(one)

    @abstractmethod
    def strike(self, proxy: Any) -> None: ...

    def end(self) -> None:
        for one in self.proxies:
            one.recover()


class NorthboundStalls(_OfNorthboundProxies):
    def strike(self, proxy: Any) -> None:
        proxy.stall()


class NorthboundMessagesCut(_OfNorthboundProxies):
    def strike(self, proxy: Any) -> None:
        proxy.cut_messages()


class NorthboundDelayed(_OfNorthboundProxies):
    def strike(self, proxy: Any) -> None:
        proxy.delay(self.random.uniform(0.05, 0.5))


class NorthboundDisconnected(_OfNorthboundProxies):
    def strike(self, proxy: Any) -> None:
        proxy.disconnect()


# The API's contents


class RightsTaken(Fault):
    concerns = "api"

    def begin(self) -> None:
        self.path = self.random.choice(
            (f"{_ROLES}/clusterrolebindings/ovnqosd", f"{_ROLES}/namespaces/{LEASE_NAMESPACE}/rolebindings/ovnqosd")
        )
        _expect(self.world, "DELETE", self.path, codes={200})

    def end(self) -> None:
        self.world.api.kubectl("apply", "-k", str(DEPLOY / "base"))


class _ResourceTaken(Fault):
    """The definition and all objects go, which watches tell; the objects come back with other uids."""

    concerns = "api"
    definition: ClassVar[str]
    manifest: ClassVar[str]

    def begin(self) -> None:
        _expect(self.world, "DELETE", f"{_CRDS}/{self.definition}", codes={200})

    def end(self) -> None:
        api = self.world.api
        path = f"{_CRDS}/{self.definition}"
        api.wait_until(lambda: api.request("GET", path)[0] == 404, what=f"remove {self.definition}", timeout=120)
        api.install_crd(self.manifest)


class PolicyResourceTaken(_ResourceTaken):
    ends_limits = True
    definition = "networkqoses.k8s.ovn.org"
    manifest = NETWORK_QOS_CRD.read_text()


class NetworkResourceTaken(_ResourceTaken):
    definition = "network-attachment-definitions.k8s.cni.cncf.io"
    manifest = NETWORK_ATTACHMENT_DEFINITION_CRD.read_text()


class LeaseTampered(Fault):
    concerns = "api"

    def begin(self) -> None:
        if self.random.random() < 0.3:
            _expect(self.world, "DELETE", _LEASE, codes={200, 404})
            return
        specs: tuple[Record, ...] = (
            {"holderIdentity": "intruder"},
            {"holderIdentity": "intruder", "renewTime": "2020-01-01T00:00:00.000000Z"},
            {"holderIdentity": "intruder", "renewTime": "2040-01-01T00:00:00.000000Z", "leaseDurationSeconds": 1},
            {"holderIdentity": None, "renewTime": None, "acquireTime": None},
            {"leaseTransitions": 2147483647, "leaseDurationSeconds": 2},
        )
        document = {"spec": self.random.choice(specs)}
        _expect(self.world, "PATCH", _LEASE, document, codes={200, 404})


class StatusTampered(Fault):
    concerns = "api"

    def begin(self) -> None:
        _, answer = self.world.api.request("GET", _POLICIES)
        one = choose(self.random, answer["items"])
        metadata = one["metadata"]
        path = f"/apis/k8s.ovn.org/v1alpha1/namespaces/{metadata['namespace']}/networkqoses/{metadata['name']}/status"
        # a zone's condition that another field manager wrote stays when that zone is gone
        ready = {"type": "Ready", "status": "True", "reason": "Forged", "message": ""}
        ready["lastTransitionTime"] = "2026-01-01T00:00:00Z"
        statuses: tuple[Any, ...] = (
            None,
            {"conditions": []},
            {"status": "forged"},
            {"conditions": [ready]},
            {"pods": 99, "zones": None},
            {"lastValid": "forged"},
        )
        _expect(self.world, "PATCH", path, {"status": self.random.choice(statuses)}, codes={200})


# The Northbound's contents


class LockStolen(Fault):
    """By a client that keeps it until the end; its server may end before."""

    def begin(self) -> None:
        database = self.random.choice(self.world.databases)
        member = (
            database.members[0] if database.zone_node else self.world.raft.members[self.world.raft.leader(timeout=5)]
        )
        self.thief = socket.socket(socket.AF_UNIX)
        self.thief.settimeout(2)
        self.thief.connect(str(member.socket))
        self.thief.sendall(json.dumps({"method": "steal", "params": [Owner().lock], "id": 0}).encode())
        self.thief.recv(1 << 16)

    def end(self) -> None:
        self.thief.close()


class _Edit(Fault):
    """One change by hand; a sentinel's limit is left alone."""

    def begin(self) -> None:
        self.database: Database = self.random.choice(self.world.databases)
        self.edit()

    @abstractmethod
    def edit(self) -> None: ...

    def row(self) -> Record:
        spared = set(SENTINEL_RATES.values())
        rows = [one for one in self.database.owned("QoS") if one["bandwidth"].get("rate") not in spared]
        found: Record = choose(self.random, [one for one in rows if SENTINELS not in one["match"]])
        return found

    def any_set(self) -> tuple[str, Record]:
        table = self.random.choice(("Address_Set", "Port_Group"))
        ports = {one["_uuid"] for one in self.database.records("Logical_Switch_Port") if SENTINELS in one["name"]}
        sets = self.database.owned(table)
        return table, choose(self.random, [one for one in sets if ports.isdisjoint(_list(one.get("ports", ())))])

    def switch(self) -> str:
        """One that no sentinel is on."""
        return str(self.random.choice((FLAT_SWITCH, *(f"wide_{node}" for node in self.database.nodes))))

    def port(self) -> Record:
        ports = [one for one in self.database.records("Logical_Switch_Port") if SENTINELS not in one["name"]]
        found: Record = choose(self.random, ports)
        return found

    def port_switch(self, port: Record) -> str:
        for one in self.database.records("Logical_Switch"):
            if port["_uuid"] in _list(one["ports"]):
                return str(one["_uuid"])
        raise SandboxError("the port is on no switch")


class RowEdited(_Edit):
    def edit(self) -> None:
        values = (
            ("priority=4", "priority=20000"),
            ("direction=from-lport", "direction=to-lport"),
            ('match="ip4"', 'match="ip4.src == 10.0.0.1"'),
            ("action:dscp=1", "action:dscp=2", "action={}"),
            ("bandwidth:rate=4000000", "bandwidth:burst=9", "bandwidth={}"),
            ("external_ids:ovnqos.io/rule=9", "external_ids:ovnqos.io/object=Pod/a/b", "external_ids:other=one"),
            ("external_ids:ovnqos.io/id=none",),
        )
        self.database.nbctl("set", "QoS", self.row()["_uuid"], self.random.choice(self.random.choice(values)))


class RowsDeleted(_Edit):
    def edit(self) -> None:
        self.database.nbctl("clear", "Logical_Switch", self.switch(), "qos_rules")


class RowDoubled(_Edit):
    def edit(self) -> None:
        row, switch = self.row(), self.switch()
        words = [f"{key}={_text(row[key])}" for key in ("direction", "match", "action", "bandwidth", "external_ids")]
        words.append(f"priority={row['priority']}")
        self.database.nbctl(
            *("--id=@one", "create", "QoS", *words, "--", "add", "Logical_Switch", switch, "qos_rules", "@one")
        )


class RowBoundElsewhere(_Edit):
    def edit(self) -> None:
        self.database.nbctl("add", "Logical_Switch", self.switch(), "qos_rules", self.row()["_uuid"])


class RowUnbound(_Edit):
    def edit(self) -> None:
        uuid = self.row()["_uuid"]
        for one in self.database.records("Logical_Switch"):
            if uuid in _list(one["qos_rules"]):
                self.database.nbctl("remove", "Logical_Switch", one["_uuid"], "qos_rules", uuid)
                return


class RowOwnerWiped(_Edit):
    def edit(self) -> None:
        self.database.nbctl("clear", "QoS", self.row()["_uuid"], "external_ids")


class SetEdited(_Edit):
    def edit(self) -> None:
        table, one = self.any_set()
        if table == "Address_Set":
            changes: tuple[tuple[str, ...], ...] = (
                ("clear", table, one["_uuid"], "addresses"),
                ("add", table, one["_uuid"], "addresses", '"203.0.113.9"'),
                ("set", table, one["_uuid"], "name=renamed"),
            )
        else:
            changes = (
                ("clear", table, one["_uuid"], "ports"),
                ("add", table, one["_uuid"], "ports", self.port()["_uuid"]),
                ("set", table, one["_uuid"], "external_ids:ovnqos.io/id=none"),
            )
        self.database.nbctl(*self.random.choice(changes))


class SetDeleted(_Edit):
    def edit(self) -> None:
        table, one = self.any_set()
        self.database.nbctl("destroy", table, one["_uuid"])


class SetOwnerWiped(_Edit):
    def edit(self) -> None:
        table, one = self.any_set()
        self.database.nbctl("clear", table, one["_uuid"], "external_ids")


class SwitchDeleted(_Edit):
    """A switch with its ports and rows; it comes back empty, and its ports after it."""

    def edit(self) -> None:
        self.gone = self.switch()
        records = {one["_uuid"]: one["name"] for one in self.database.records("Logical_Switch_Port")}
        switches = [one for one in self.database.records("Logical_Switch") if one["name"] == self.gone]
        self.ports = [records[port] for one in switches for port in _list(one["ports"]) if port in records]
        self.database.nbctl("ls-del", self.gone)

    def end(self) -> None:
        words = [word for port in self.ports for word in ("--", "--may-exist", "lsp-add", self.gone, port)]
        patiently(lambda: self.database.nbctl("--may-exist", "ls-add", self.gone, *words))


class SwitchRenamed(_Edit):
    def edit(self) -> None:
        self.name_before = self.switch()
        (self.uuid,) = (
            one["_uuid"] for one in self.database.records("Logical_Switch") if one["name"] == self.name_before
        )
        self.database.nbctl("set", "Logical_Switch", self.uuid, "name=renamed")

    def end(self) -> None:
        patiently(lambda: self.database.nbctl("set", "Logical_Switch", self.uuid, f"name={self.name_before}"))


class SwitchDoubled(_Edit):
    """A second switch of one name: the one that is there goes, or the new one does."""

    def edit(self) -> None:
        name = self.switch()
        self.uuid = self.database.nbctl("create", "Logical_Switch", f"name={name}").strip()

    def end(self) -> None:
        patiently(lambda: self.database.nbctl("--if-exists", "destroy", "Logical_Switch", self.uuid))


class PortReplaced(_Edit):
    def edit(self) -> None:
        self.gone = self.port()
        self.on = self.port_switch(self.gone)
        self.database.nbctl("lsp-del", self.gone["_uuid"])

    def end(self) -> None:
        with suppress(SandboxError):  # its switch may be another one now
            self.database.nbctl("--may-exist", "lsp-add", self.on, self.gone["name"])


class PortRenamed(_Edit):
    def edit(self) -> None:
        self.renamed = self.port()
        self.database.nbctl("set", "Logical_Switch_Port", self.renamed["_uuid"], "name=renamed")

    def end(self) -> None:
        with suppress(SandboxError):  # it may be gone, or have come again
            self.database.nbctl("set", "Logical_Switch_Port", self.renamed["_uuid"], f"name={self.renamed['name']}")


def all_kinds() -> list[type[Fault]]:
    """Every kind of fault, in the order of their names."""
    found: list[type[Fault]] = []
    open_: list[type[Fault]] = Fault.__subclasses__()
    while open_:
        kind = open_.pop()
        open_ += kind.__subclasses__()
        if not kind.__name__.startswith("_"):
            found.append(kind)
    return sorted(found, key=lambda one: one.__name__)


def _expect(world: World, method: str, path: str, document: object = None, *, codes: set[int]) -> None:
    status, answer = world.api.request(method, path, document, content_type=MERGE_PATCH)
    if status not in codes:
        raise SandboxError(f"{method} {path}: {status}: {answer}")


def _list(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def _text(value: Any) -> str:
    """A value as ovn-nbctl takes it."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}={json.dumps(one)}" for key, one in value.items()) + "}"
    return json.dumps(value)
