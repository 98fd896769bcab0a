"""What a soak runs against: a Kubernetes API, Northbounds, daemons in either mode, and proxies between them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from ovnqos.sandbox import NorthboundServer, SandboxError
from ovnqos.sandbox.process import Process
from tests.cluster.conftest import DEPLOY, install_crds
from tests.cluster.support_daemon import LEASE_NAMESPACE
from tests.support.kubernetes.api import KubernetesApi
from tests.support.pki import Pki
from tests.support.proxy import Proxy, TlsEnds
from tests.support.raft import RaftCluster

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

NODES: Final = ("n1", "n2")
CENTRAL, ZONE = "central", "zone"
LEASE: Final = "soak"
FLAT_SWITCH: Final = "flat_ovn_layer2_switch"
OWNER_KEY: Final = "ovnqos.io/owner"
_TOKEN_S: Final = 86_400
_NBCTL_S: Final = 4
_TMPFS_SIZE: Final = "8m"
QUICK: Final = ("--lease-duration", "8", "--lease-renew", "6", "--api-retry", "2", "--absent-crd-seconds", "2")
"""Flags that make a soak short. Without them the daemons have the settings as shipped."""
FOREIGN: Final = (
    ("qos-add", "n1", "to-lport", "300", "ip4.dst == 203.0.113.1", "dscp=7"),
    ("qos-add", "n1", "from-lport", "31000", "ip4.dst == 203.0.113.2", "dscp=9"),
    ("qos-add", "n2", "to-lport", "12000", "ip4.dst == 203.0.113.3 && tcp", "rate=777"),
    ("create", "Address_Set", "name=foreign_set", 'addresses="203.0.113.4"'),
    ("pg-add", "foreign_group"),
)
Record = dict[str, Any]


class Database:
    """A Northbound, of one server or of a cluster, and the nodes whose switches it has.

    Attributes:
        nodes: these nodes.
        zone_node: the node whose zone it is; None in central mode.
        members: its servers.
        proxies: what daemons reach the servers by; none where they use the unix socket.
    """

    def __init__(
        self, nodes: Sequence[str], *, zone_node: str | None, members: Sequence[NorthboundServer], proxies: list[Proxy]
    ) -> None:
        self.nodes = tuple(nodes)
        self.zone_node = zone_node
        self.members = tuple(members)
        self.proxies = proxies
        self.remote = ",".join(one.remote for one in members)

    def nbctl(self, *arguments: str) -> str:
        """Run ovn-nbctl on the leader; SandboxError where there is none, or it refuses."""
        member = self.members[0]
        command = member.programs.command(
            "ovn-nbctl", f"--db={self.remote}", f"--timeout={_NBCTL_S}", "--no-shuffle-remotes", *arguments
        )
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_NBCTL_S + 10)
        if done.returncode:
            raise SandboxError(done.stderr.strip())
        return done.stdout

    def records(self, table: str) -> list[Record]:
        """The rows of a table: sets as lists, maps as dictionaries, optional values as lists."""
        answer = json.loads(self.nbctl("--format=json", "list", table))
        return [dict(zip(answer["headings"], map(_value, row), strict=True)) for row in answer["data"]]

    def owned(self, table: str) -> list[Record]:
        """The daemon's rows of a table."""
        return [one for one in self.records(table) if OWNER_KEY in one["external_ids"]]

    def foreign(self) -> dict[str, list[Record]]:
        """All that is not the daemon's, and can be compared by value."""
        found = {}
        for table in ("QoS", "Address_Set", "Port_Group"):
            rows = [one for one in self.records(table) if OWNER_KEY not in one["external_ids"]]
            found[table] = sorted(rows, key=lambda one: str(one["_uuid"]))
        return found

    def fill(self) -> None:
        """Add the switches of the nodes, and foreign rows on them."""
        for switch in (FLAT_SWITCH, *(name for node in self.nodes for name in (node, f"wide_{node}"))):
            self.nbctl("ls-add", switch)
        for command in FOREIGN:
            if command[0] != "qos-add" or command[1] in self.nodes:
                self.nbctl(*command)


class DaemonProcess:
    """One daemon, started again with the same flags.

    Attributes:
        name: of its log.
        process: it.
    """

    def __init__(self, name: str, folder: Path, flags: Sequence[str]) -> None:
        self.name = name
        self._clock = folder / f"{name}.clock"
        program = str(Path(__file__).with_name("shifted_clock.py"))
        command = [sys.executable, program, str(self._clock), *flags]
        self.process = Process(command, name=name, log=folder / f"{name}.log")

    def shift_clock(self, seconds: float) -> None:
        """Set how far its clock is off."""
        self._clock.write_text(str(seconds))

    def log_lines(self) -> list[str]:
        """All lines that it ever logged."""
        log = self.process.log
        return log.read_text(errors="replace").splitlines() if log.exists() else []

    def usage(self) -> tuple[int, int, int]:
        """Resident memory in KiB, threads, descriptors."""
        folder = Path(f"/proc/{self.process.pid}")
        fields = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
        return int(fields["VmRSS"].split()[0]), int(fields["Threads"]), len(list((folder / "fd").iterdir()))


class World:
    """All of it; a context manager.

    Attributes:
        api: the Kubernetes API; it has the custom resources and the daemon's rights, as shipped.
        api_proxy: by which the daemons reach it.
        mode: `central` or `zone`: which daemons run, and so which Northbounds are kept up to date.
        daemons: the daemons of this mode.
        disk: the folder of the Northbound that can be full; None without root.
    """

    def __init__(self, *, flags: Sequence[str] = ()) -> None:
        """Describe it; `flags` are for each daemon, after those that every one needs."""
        self._flags = tuple(flags)
        self._stack = ExitStack()
        self.mode = ""
        self.daemons: list[DaemonProcess] = []
        self.disk: Path | None = None
        self._client_options: tuple[str, ...] = ()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ovnqos-soak-")))
            self.api = stack.enter_context(KubernetesApi())
            install_crds(self.api)
            self.api.kubectl("apply", "-k", str(DEPLOY / "base"))
            # the API's own files: its certificate is for 127.0.0.1, whatever the port
            ends = TlsEnds(
                certificate=self.api.folder / "apiserver.crt",
                private_key=self.api.folder / "apiserver.key",
                authority=self.api.ca_certificate,
            )
            self.api_proxy = stack.enter_context(Proxy(int(self.api.url.rpartition(":")[2]), tls=ends))
            self._kubeconfig = self._write_kubeconfig()
            self._central = self._start_central(stack)
            self._zones = self._start_zones(stack)
            self._by_mode = {CENTRAL: self._describe_central(), ZONE: self._describe_zones()}
            for database in (self._central, *self._zones):
                database.fill()
            for node in NODES:
                self.api.create("/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}})
            stack.callback(self._end_daemons)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def databases(self) -> tuple[Database, ...]:
        """The Northbounds of this mode."""
        return (self._central,) if self.mode == CENTRAL else self._zones

    @property
    def all_databases(self) -> tuple[Database, ...]:
        """Those of both modes."""
        return (self._central, *self._zones)

    @property
    def servers(self) -> list[NorthboundServer]:
        """The servers of this mode's Northbounds."""
        return [member for one in self.databases for member in one.members]

    @property
    def proxies(self) -> list[Proxy]:
        """The proxies of this mode's Northbounds."""
        return [proxy for one in self.databases for proxy in one.proxies]

    @property
    def raft(self) -> RaftCluster:
        """The cluster of central mode."""
        return self._raft

    def change_mode(self, mode: str) -> None:
        """End the daemons of the other mode in order, and start those of this one."""
        for one in self.daemons:
            one.process.stop(timeout=15)
        self.mode, self.daemons = mode, self._by_mode[mode]
        for one in self.daemons:
            one.process.start()

    def recover(self) -> None:
        """Make all servers run and all proxies pass on; start the daemons that ended."""
        if not self.api.etcd.running:
            self.api.etcd.start()
        if not self.api.running:
            self.api.start_api()
        for server in self.servers:
            if not server.running:
                server.start()
        for one in self.daemons:
            if not one.process.running:
                one.process.start()

    @property
    def all_daemons(self) -> list[DaemonProcess]:
        """Those of both modes."""
        return [one for daemons in self._by_mode.values() for one in daemons]

    def _end_daemons(self) -> None:
        for one in self.all_daemons:
            one.process.kill()

    def _start_central(self, stack: ExitStack) -> Database:
        self._raft = stack.enter_context(RaftCluster())
        proxies = [stack.enter_context(Proxy(member.socket)) for member in self._raft.members]
        return Database(NODES, zone_node=None, members=self._raft.members, proxies=proxies)

    def _start_zones(self, stack: ExitStack) -> tuple[Database, ...]:
        first = stack.enter_context(NorthboundServer())
        pki = Pki(self.folder)
        self.disk = _small_disk(self.folder, stack)
        second = NorthboundServer(folder=self.disk, listen=["pssl:0:127.0.0.1"], tls_options=pki.server("nb").options)
        stack.enter_context(second)
        proxy = stack.enter_context(Proxy(int(second.remotes[1].rpartition(":")[2])))
        files = pki.client("ovnqosd")
        self._client_options = (
            *("--private-key", str(files.private_key), "--certificate", str(files.certificate)),
            *("--ca-cert", str(files.authority)),
        )
        return (
            Database(NODES[:1], zone_node=NODES[0], members=[first], proxies=[]),
            Database(NODES[1:], zone_node=NODES[1], members=[second], proxies=[proxy]),
        )

    def _describe_central(self) -> list[DaemonProcess]:
        remotes = ",".join(f"tcp:127.0.0.1:{proxy.port}" for proxy in self._central.proxies)
        return [self._daemon(f"central{number}", "--nb", remotes) for number in (1, 2)]

    def _describe_zones(self) -> list[DaemonProcess]:
        by_socket, by_tls = self._zones
        remote = f"ssl:127.0.0.1:{by_tls.proxies[0].port}"
        return [
            self._daemon("zone-n1", "--mode", "zone", "--node", NODES[0], "--nb", by_socket.remote),
            self._daemon("zone-n2", "--mode", "zone", "--node", NODES[1], "--nb", remote, *self._client_options),
        ]

    def _daemon(self, name: str, *flags: str) -> DaemonProcess:
        common = ("--kubeconfig", str(self._kubeconfig), "--lease-namespace", LEASE_NAMESPACE, "--lease-name", LEASE)
        # of so few pods, half may change at once while no daemon runs
        more = ("--max-deletes", "90%", "--metrics-address", "127.0.0.1:0")
        return DaemonProcess(name, self.folder, [*common, *more, *flags, *self._flags])

    def _write_kubeconfig(self) -> Path:
        path = f"/api/v1/namespaces/{LEASE_NAMESPACE}/serviceaccounts/ovnqosd/token"
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"audiences": ["https://kubernetes.default.svc"], "expirationSeconds": _TOKEN_S},
        }
        token = str(self.api.create(path, request)["status"]["token"])
        whole = json.loads(self.api.kubeconfig(token).read_text())
        whole["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{self.api_proxy.port}"
        file = self.folder / "kubeconfig"
        file.touch(mode=0o600)
        file.write_text(json.dumps(whole))
        return file


def _small_disk(folder: Path, stack: ExitStack) -> Path | None:
    """A file system of its own that can be filled, or None where this may not be mounted."""
    if os.geteuid() != 0:
        return None
    disk = folder / "disk"
    disk.mkdir()
    options = ("-o", f"size={_TMPFS_SIZE},mode=700")
    if subprocess.run(["mount", "-t", "tmpfs", *options, "ovnqos-soak", str(disk)], check=False).returncode:
        return None
    stack.callback(subprocess.run, ["umount", "--lazy", str(disk)], check=True)
    return disk


def _value(value: Any) -> Any:
    """A value in ovsdb's JSON (RFC 7047, section 5.1) in Python's terms; a uuid is its text."""
    if not isinstance(value, list):
        return value
    kind, content = value
    if kind == "uuid":
        return content
    if kind == "set":
        return [_value(one) for one in content]
    return {_value(key): _value(one) for key, one in content}


def choose(random: Random, candidates: Sequence[Any]) -> Any:
    """One of them; SandboxError where there is none, so that the fault counts as not made."""
    if not candidates:
        raise SandboxError("nothing to choose from")
    return random.choice(candidates)


def patiently(action: Callable[[], object], seconds: float = 120) -> None:
    """Do something as soon as servers that have just started let it be done."""
    deadline = time.monotonic() + seconds
    while not attempt(action):
        if time.monotonic() > deadline:
            action()
        time.sleep(0.5)


def attempt(action: Callable[[], object]) -> bool:
    """Do something that a fault elsewhere may refuse; whether it was done."""
    with suppress(SandboxError, OSError, AssertionError, subprocess.TimeoutExpired):
        action()
        return True
    return False
