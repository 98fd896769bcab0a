"""A program as a child process: ready when a condition holds, stopped by pidfd, killed with its parent."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final, Generic, Self, TypeVar

from ovnqos.sandbox.programs import SandboxError, clean_environment, dies_with_parent, last_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_T = TypeVar("_T")
_POLL_SECONDS: Final = 0.003
_TASK_SECONDS: Final = 2.0
_FREEZE_SECONDS: Final = 15
_URGENT: Final = -10


class Starter(Generic[_T]):
    """Runs tasks in a thread that lasts: the kernel kills a program when the thread that started it ends.

    A daemon thread, and queues written in C, because of Ctrl-C: one that comes while a thread pool starts its thread
    leaves it unknown to the pool, and the interpreter waits for it for ever (measured: 1 in 160 under load).
    """

    def __init__(self) -> None:
        self._tasks: SimpleQueue[tuple[Callable[[], _T], list[_T | BaseException], SimpleQueue[None]]] = SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def run(self, task: Callable[[], _T], *, discard: Callable[[_T], object] = lambda _: None) -> _T:
        """Return what the task returns, and raise what it raises; it may be called from any thread.

        Args:
            task: runs in the lasting thread.
            discard: takes the task's result where an interrupt kept this call from returning it.
        """
        outcome: list[_T | BaseException] = []  # an interrupt may come as `get` returns, and would lose what it returns
        done: SimpleQueue[None] = SimpleQueue()
        try:
            self._tasks.put((task, outcome, done))
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._work, name="ovnqos-sandbox", daemon=True)
                    self._thread.start()
            done.get()
            found = outcome[0]
        except BaseException:
            with suppress(Empty):  # the thread had not been started
                if not outcome:
                    done.get(timeout=_TASK_SECONDS)
            for lost in outcome:
                if not isinstance(lost, BaseException):
                    discard(lost)
            raise
        if isinstance(found, BaseException):
            raise found
        return found

    def _work(self) -> None:
        while True:
            task, outcome, done = self._tasks.get()
            try:
                outcome.append(task())
            except BaseException as error:  # whoever asked for the task gets it
                outcome.append(error)
            done.put(None)


_starter: Final = Starter[subprocess.Popen[bytes]]()


class Process:
    """One program that runs until it is stopped.

    Its output goes to a log file. The kernel kills it when this process ends, however that happens.

    Attributes:
        name: as it stands in error messages.
        log: the file that takes its standard output and error.
    """

    def __init__(
        self, command: Sequence[str], *, name: str, log: Path, run_folder: Path | None = None, urgent: bool = False
    ) -> None:
        """Describe it; `start` starts it.

        Args:
            command: the argument vector.
            name: as it stands in error messages.
            log: takes its output.
            run_folder: its OVN and Open vSwitch run folders.
            urgent: it goes before others where processors are busy; packets are lost while their receiver waits.
        """
        self.name = name
        self._urgent = urgent
        self.log = log
        self._command = tuple(command)
        self._run_folder = run_folder
        self._child: subprocess.Popen[bytes] | None = None
        self._pidfd = -1
        self._frozen = False
        self._log_start = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._running_child().pid

    @property
    def running(self) -> bool:
        """Whether it has been started and has not ended."""
        return self._child is not None and self._child.poll() is None

    def start(self, ready: Callable[[], bool] | None = None, *, timeout: float = 60) -> None:
        """Start the program and return as soon as `ready()` is true.

        Args:
            ready: the condition to wait for; None returns at once.
            timeout: seconds to wait at most.
        """
        if self.running:
            raise SandboxError(f"{self.name} already runs")
        self._close()
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        self._child = _starter.run(self._spawn, discard=_end)
        self._pidfd = os.pidfd_open(self._child.pid)
        if ready is not None:
            try:
                self.wait_until(ready, what="become ready", timeout=timeout)
            except BaseException:
                self.kill()
                raise

    def wait_until(self, condition: Callable[[], bool], *, what: str, timeout: float = 15) -> None:
        """Return as soon as the condition is true.

        Args:
            condition: asked every few milliseconds.
            what: what the program is waited for to do, for the error message.
            timeout: seconds to wait at most.
        """
        deadline = time.monotonic() + timeout
        while not condition():
            if self._ended_within(_POLL_SECONDS):
                raise SandboxError(f"{self.name} ended before it could {what}: {self.last_log_lines()}")
            if time.monotonic() > deadline:
                raise SandboxError(f"{self.name} did not {what} within {timeout:g} s: {self.last_log_lines()}")

    def wait(self, *, timeout: float) -> int:
        """Wait for the program to end by itself and return its exit code."""
        child = self._running_child()
        if not self._ended_within(timeout):
            raise SandboxError(f"{self.name} did not end within {timeout:g} s: {self.last_log_lines()}")
        return child.wait()

    def stop(self, *, timeout: float = 5) -> None:
        """End the program by SIGTERM, and by SIGKILL after `timeout` seconds; a program that does not run is left."""
        if self.running:
            self._signal(signal.SIGTERM)
            self.thaw()
            self._ended_within(timeout)
        self.kill()

    def kill(self) -> None:
        """End the program by SIGKILL and reap it; a program that does not run is left."""
        if self._child is not None:
            _end(self._child)
        self._close()

    def freeze(self) -> None:
        """Stop the program's execution (SIGSTOP): connections stay open and nothing is answered.

        Returns when all threads are stopped; on a busy machine that takes some milliseconds.
        """
        self._signal(signal.SIGSTOP)
        self._frozen = True
        self.wait_until(self._stopped, what="stop", timeout=_FREEZE_SECONDS)

    def _stopped(self) -> bool:
        try:
            stats = [task.joinpath("stat").read_text() for task in Path(f"/proc/{self.pid}/task").iterdir()]
        except FileNotFoundError:  # a thread has just ended
            return False
        # proc(5): the state follows the command's closing parenthesis; T is stopped, Z and X have ended
        return all(stat.rpartition(") ")[2][0] in "TZX" for stat in stats)

    def thaw(self) -> None:
        """Let a frozen program go on (SIGCONT)."""
        if self._frozen:
            self._signal(signal.SIGCONT)
            self._frozen = False

    def log_text(self) -> str:
        """All that the program has written since its last start."""
        return self.log.read_bytes()[self._log_start :].decode(errors="replace") if self.log.exists() else ""

    def last_log_lines(self) -> str:
        """The last lines that the program wrote, for an error message."""
        return last_lines(self.log_text())

    def _spawn(self) -> subprocess.Popen[bytes]:
        folders = {"OVN_RUNDIR": str(self._run_folder), "OVS_RUNDIR": str(self._run_folder)} if self._run_folder else {}
        with self.log.open("ab") as log:
            child = subprocess.Popen(
                dies_with_parent(self._command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=clean_environment(**folders),
                start_new_session=True,  # a terminal's Ctrl-C is for us; we then stop the servers in order
            )
        if self._urgent:
            with suppress(OSError):  # a container may not allow it; then it waits like all others
                os.setpriority(os.PRIO_PROCESS, child.pid, _URGENT)
                # sched(7): niceness counts within a session only, the autogroup's between them
                Path(f"/proc/{child.pid}/autogroup").write_text(str(_URGENT))
        return child

    def _running_child(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            raise SandboxError(f"{self.name} does not run")
        return self._child

    def _signal(self, number: signal.Signals) -> None:
        self._running_child().send_signal(number)

    def _ended_within(self, seconds: float) -> bool:
        if self._pidfd < 0:
            return True
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def _close(self) -> None:
        if self._pidfd >= 0:
            os.close(self._pidfd)
        self._pidfd, self._child, self._frozen = -1, None, False


def _end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()
