"""OVN's central part: Northbound, Southbound and northd between them."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from ovnqos.sandbox.ovsdb import NorthboundServer, SouthboundServer, ask
from ovnqos.sandbox.process import Process
from ovnqos.sandbox.programs import Programs, SandboxError, unused_path


class Central:
    """A Northbound and a Southbound with northd between them; a context manager. It needs no root.

    Attributes:
        folder: holds the files of all three servers.
        northbound: the Northbound's server.
        southbound: the Southbound's server.
    """

    def __init__(self, *, programs: Programs | None = None) -> None:
        self.programs = programs or Programs()
        self._stack = ExitStack()
        self._northd: Process | None = None
        self.folder = Path()
        self.northbound = NorthboundServer(programs=self.programs)
        self.southbound = SouthboundServer(programs=self.programs)

    def __enter__(self) -> Self:
        self.programs.require("ovsdb-server", "ovsdb-tool", "ovn-northd", "ovn-nbctl", "ovn-sbctl")
        self.folder = unused_path()
        try:
            self._start(self._stack)
        except BaseException:
            self.close()
            raise
        return self

    def _start(self, stack: ExitStack) -> None:
        stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.folder.mkdir(mode=0o700)
        self.northbound = stack.enter_context(NorthboundServer(name="nb", folder=self.folder, programs=self.programs))
        self.southbound = stack.enter_context(SouthboundServer(name="sb", folder=self.folder, programs=self.programs))
        command = self.programs.command(
            "ovn-northd",
            "-vconsole:info",
            "-vsyslog:off",
            f"--unixctl={self.folder / 'northd.ctl'}",
            f"--ovnnb-db={self.northbound.remote}",
            f"--ovnsb-db={self.southbound.remote}",
        )
        self._northd = Process(command, name="ovn-northd", log=self.folder / "northd.log", run_folder=self.folder)
        stack.callback(self._northd.kill)
        self._northd.start(self._northd_wrote)

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def northd(self) -> Process:
        """The running ovn-northd; it can be frozen and stopped."""
        if self._northd is None:
            raise SandboxError("ovn-northd does not run")
        return self._northd

    def close(self) -> None:
        """End the servers and remove their files."""
        self._stack.close()

    def nbctl(self, *arguments: str, timeout: float = 30) -> str:
        """Run `ovn-nbctl` and return its output."""
        return self.northbound.nbctl(*arguments, timeout=timeout)

    def sbctl(self, *arguments: str, timeout: float = 30) -> str:
        """Run `ovn-sbctl` and return its output."""
        return self.southbound.sbctl(*arguments, timeout=timeout)

    def sync(self, *, timeout: float = 30) -> None:
        """Wait until northd and every chassis have caught up with the Northbound."""
        self.nbctl("--wait=hv", "sync", timeout=timeout)

    def _northd_wrote(self) -> bool:
        select = {"op": "select", "table": "SB_Global", "where": [], "columns": ["_uuid"]}
        return bool(ask(self.southbound.socket, "transact", ["OVN_Southbound", select])[0].get("rows"))
