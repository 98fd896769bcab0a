"""Real `ovsdb-server`s on temporary files: a Northbound, a Southbound, a switch's own database."""

from __future__ import annotations

import json
import re
import shutil
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from ovnqos.sandbox.process import Process
from ovnqos.sandbox.programs import Programs, SandboxError, last_lines, run, unused_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PORT: Final = re.compile(r"\|0:(\S+): listening on port (\d+)")


def ask(unix_socket: Path, method: str, parameters: Sequence[object], *, timeout: float = 2) -> Any:
    """Send one JSON-RPC request (RFC 7047, section 4) to an ovsdb-server and return its result.

    Raises:
        OSError: nothing listens, or no answer came within `timeout` seconds.
        SandboxError: the server answered with an error.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        connection.connect(str(unix_socket))
        connection.sendall(json.dumps({"method": method, "params": list(parameters), "id": 0}).encode())
        received = b""
        while block := connection.recv(1 << 16):
            received += block
            try:
                answer = json.loads(received)
            except ValueError:
                continue
            if answer.get("error"):
                raise SandboxError(f"{unix_socket}: {method}: {answer['error']}")
            return answer["result"]
    raise ConnectionResetError(f"{unix_socket}: closed before the answer")


class OvsdbServer:
    """An ovsdb-server that serves one database from a temporary file; a context manager.

    Inside `with` it listens on a unix socket, and on what `listen` asks for. `close()`, or the end of the `with`, ends
    the server and removes its folder.

    Attributes:
        database: the name of the database's schema: `OVN_Northbound`, `OVN_Southbound` or `Open_vSwitch`.
        client: the command-line program of that database.
        folder: holds the database file, the sockets and the log.
        remotes: where clients connect: `unix:…` first, then one `tcp:…` or `ssl:…` for each entry of `listen`.
    """

    database: ClassVar[str] = "OVN_Northbound"
    client: ClassVar[str] = "ovn-nbctl"

    def __init__(
        self,
        *,
        name: str | None = None,
        folder: Path | None = None,
        listen: Sequence[str] = (),
        tls_options: Sequence[str] = (),
        programs: Programs | None = None,
    ) -> None:
        """Describe a server; entering it starts it.

        Args:
            name: the stem of its files; the database's name if None.
            folder: an existing folder that takes its files and is left in place; None makes one and removes it.
            listen: further remotes, each on an address of its own: `ptcp:0:127.0.0.1`, `pssl:0:127.0.0.2`; port 0 takes
                a free one, and a later `start()` takes the same one again.
            tls_options: needed for `pssl:`: `--private-key=…`, `--certificate=…`, `--ca-cert=…`.
            programs: which programs to run.
        """
        if any(remote.count(":") < 2 for remote in listen):
            raise SandboxError("a remote to listen on is <method>:<port>:<address>, e.g. ptcp:0:127.0.0.1")
        if not tls_options and any(remote.startswith("pssl:") for remote in listen):
            raise SandboxError("a pssl: remote needs a certificate")
        self.programs = programs or Programs()
        self._name = name or self.database
        self._own_folder = folder is None
        self.folder = folder.resolve() if folder else Path()
        self._listen = tuple(listen)
        self._tls_options = tuple(tls_options)
        self.remotes: tuple[str, ...] = ()
        self._process: Process | None = None

    def __enter__(self) -> Self:
        self.programs.require("ovsdb-server", "ovsdb-tool")
        if self._own_folder:
            self.folder = unused_path()
        try:
            if self._own_folder:
                self.folder.mkdir(mode=0o700)
            self._create_database()
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def remote(self) -> str:
        """Where clients of this machine connect: `unix:<path>`."""
        return f"unix:{self.socket}"

    @property
    def socket(self) -> Path:
        """The unix socket."""
        return self.folder / f"{self._name}.sock"

    @property
    def control(self) -> Path:
        """The control socket, for `ovs-appctl -t`."""
        return self.folder / f"{self._name}.ctl"

    @property
    def file(self) -> Path:
        """The database file."""
        return self.folder / f"{self._name}.db"

    @property
    def running(self) -> bool:
        """Whether the server runs (also while it is frozen)."""
        return self._process is not None and self._process.running

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._started().pid

    def start(self) -> None:
        """Start the server, or start it again on the same file and the same remotes; return when it serves."""
        if self.running:
            raise SandboxError(f"ovsdb-server ({self._name}) already runs")
        log = self.folder / f"{self._name}.log"
        self.socket.unlink(missing_ok=True)
        self._process = Process(self._server_command(), name=f"ovsdb-server ({self._name})", log=log)
        self._process.start(self._serves)
        said = self._process.log_text()
        chosen = dict(_PORT.findall(said))
        try:
            self._listen = tuple(_with_port(remote, chosen) for remote in self._listen)
        except KeyError as address:
            self.kill()
            raise SandboxError(f"ovsdb-server ({self._name}) cannot listen on {address}: {last_lines(said)}") from None
        self.remotes = (self.remote, *(_active(remote) for remote in self._listen))

    def stop(self) -> None:
        """End the server in order; the file stays, and `start()` serves it again."""
        if self._process is not None:
            self._process.stop()

    def kill(self) -> None:
        """End the server as a crash would (SIGKILL); the file stays, and `start()` serves it again."""
        if self._process is not None:
            self._process.kill()

    def freeze(self) -> None:
        """Stop the server's execution: requests are taken by the kernel and not answered until `thaw()`."""
        self._started().freeze()

    def thaw(self) -> None:
        """Let a frozen server go on; it then works off what has arrived."""
        self._started().thaw()

    def close(self) -> None:
        """End the server and remove the folder that it made."""
        self.kill()
        if self._own_folder and self.folder != Path():
            shutil.rmtree(self.folder, ignore_errors=True)

    def ctl(self, *arguments: str, timeout: float = 30) -> str:
        """Run the database's command-line client and return its output."""
        common = (f"--db={self.remote}", f"--timeout={max(1, round(timeout))}")
        return run(self.programs.command(self.client, *common, *arguments), timeout=timeout + 5, folder=self.folder)

    def server_status(self) -> dict[str, Any]:
        """What the server says of its database: `connected`, `leader`, `model`, `sid` (ovsdb-server(5), _Server).

        Raises:
            OSError: it does not answer.
        """
        select = {"op": "select", "table": "Database", "where": [["name", "==", self.database]]}
        rows = ask(self.socket, "transact", ["_Server", select])[0].get("rows", [])
        return rows[0] if rows else {}

    def _create_database(self) -> None:
        schema = self.programs.schema(self.database)
        run(self.programs.command("ovsdb-tool", "create", self.file, schema), folder=self.folder)

    def _server_command(self) -> list[str]:
        return self.programs.command(
            "ovsdb-server",
            "-vconsole:info",
            "-vsyslog:off",
            f"--unixctl={self.control}",
            f"--remote=punix:{self.socket}",
            *(f"--remote={remote}" for remote in self._listen),
            *self._tls_options,
            self.file,
        )

    def _serves(self) -> bool:
        try:
            return bool(self.server_status().get("connected"))
        except OSError:
            return False

    def _started(self) -> Process:
        if self._process is None:
            raise SandboxError(f"ovsdb-server ({self._name}) does not run")
        return self._process


class NorthboundServer(OvsdbServer):
    """An empty OVN Northbound."""

    nbctl = OvsdbServer.ctl


class SouthboundServer(OvsdbServer):
    """An empty OVN Southbound."""

    database = "OVN_Southbound"
    client = "ovn-sbctl"

    sbctl = OvsdbServer.ctl


class VswitchServer(OvsdbServer):
    """A switch's own database (conf.db)."""

    database = "Open_vSwitch"
    client = "ovs-vsctl"

    vsctl = OvsdbServer.ctl


def _with_port(remote: str, chosen: Mapping[str, str]) -> str:
    method, port, address = remote.split(":", 2)
    return f"{method}:{chosen[address] if port == '0' else port}:{address}"


def _active(remote: str) -> str:
    method, port, address = remote.split(":", 2)
    return f"{method.removeprefix('p')}:{address}:{port}"
