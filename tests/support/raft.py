"""A clustered Northbound of three real servers, for tests of a leader's loss."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

import tenacity

from ovnqos.sandbox.ovsdb import NorthboundServer
from ovnqos.sandbox.programs import Programs, SandboxError, run

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Member(NorthboundServer):
    def __init__(self, *, number: int, folder: Path, election_timer: int, programs: Programs) -> None:
        super().__init__(name=f"nb{number}", folder=folder, programs=programs)
        self._number = number
        self._election_timer = election_timer

    def stop(self) -> None:
        # on SIGTERM a leader just ends; asked to exit, it hands over
        if self.running:
            self.thaw()
            run(self.programs.command("ovs-appctl", "-t", self.control, "exit"), folder=self.folder)
            self._started().wait(timeout=5)
        super().stop()

    def _create_database(self) -> None:
        own, first = (f"unix:{self.folder / f'nb{number}.raft'}" for number in (self._number, 1))
        if self._number == 1:
            timer = f"--election-timer={self._election_timer}"
            schema = self.programs.schema(self.database)
            arguments: tuple[str | Path, ...] = (timer, "create-cluster", self.file, schema, own)
        else:
            arguments = ("join-cluster", self.file, self.database, own, first)
        run(self.programs.command("ovsdb-tool", *arguments), folder=self.folder)


class RaftCluster:
    """A Northbound served by a RAFT cluster on unix sockets; a context manager."""

    def __init__(self, size: int = 3, *, election_timer: int = 1000, programs: Programs | None = None) -> None:
        """Describe a cluster; entering it starts it.

        Args:
            size: how many servers.
            election_timer: milliseconds after which a silent leader is replaced, 100 at least (OVN's default: 1000).
            programs: which programs to run.
        """
        self._size = size
        self._election_timer = election_timer
        self._programs = programs or Programs()
        self._stack = ExitStack()
        self.members: tuple[NorthboundServer, ...] = ()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            folder = Path(tempfile.mkdtemp(prefix="ovnqos-"))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            self.members = tuple(stack.enter_context(member) for member in self._describe(folder))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def remotes(self) -> tuple[str, ...]:
        """Each member's `unix:…`, in the order of their numbers."""
        return tuple(member.remote for member in self.members)

    @property
    def remote(self) -> str:
        """All members in one string, as clients take it: `unix:…,unix:…,unix:…`."""
        return ",".join(self.remotes)

    def leader(self, *, timeout: float = 15) -> int:
        """Wait until exactly one running member says that it leads, and return its index in `members`.

        Raises:
            SandboxError: there was none within `timeout` seconds.
        """
        try:
            return tenacity.Retrying(
                retry=tenacity.retry_if_result(lambda leaders: len(leaders) != 1),
                stop=tenacity.stop_after_delay(timeout),
                wait=tenacity.wait_fixed(0.02),
            )(self._leaders)[0]
        except tenacity.RetryError as error:
            raise SandboxError(f"no leader of the cluster within {timeout:g} s") from error

    def kill(self, member: int) -> None:
        """End one member as a crash would (SIGKILL)."""
        self.members[member].kill()

    def stop(self, member: int) -> None:
        """End one member in order; a leader hands over first."""
        self.members[member].stop()

    def restart(self, member: int) -> None:
        """Start a member that was ended; return when it is connected to the cluster again."""
        self.members[member].start()

    def _describe(self, folder: Path) -> Iterator[_Member]:
        for number in range(1, self._size + 1):
            yield _Member(number=number, folder=folder, election_timer=self._election_timer, programs=self._programs)

    def _leaders(self) -> list[int]:
        leaders = []
        for index, member in enumerate(self.members):
            try:
                if member.running and member.server_status().get("leader"):
                    leaders.append(index)
            except OSError:  # it is just ending, or starting
                continue
        return leaders
