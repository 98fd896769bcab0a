"""Runs the demo as a program of its own, and sees what it leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.functional.support_command import PROGRAM, without_privileges

if TYPE_CHECKING:
    from collections.abc import Iterator


class Demo:
    """A demo under way.

    Attributes:
        folder: its HOME and TMPDIR.
        said: what it has written, as far as it has been read.
    """

    def __init__(self, *words: str, unprivileged: bool, folder: Path, seconds: int) -> None:
        self.folder = folder
        self.said = ""
        self._process = subprocess.Popen(
            [*(without_privileges() if unprivileged else []), PROGRAM, "demo", *words, "--seconds", str(seconds)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd="/",
            env={**os.environ, "HOME": str(folder), "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )

    def read_until(self, words: str) -> None:
        """Reads what it writes until a line has these words."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.said += line
            if words in line:
                return
        raise AssertionError(f"it ended before it said {words}: {self.said}")

    def wait(self, *, timeout: float) -> int:
        """Reads the rest; returns the exit code."""
        rest, _ = self._process.communicate(timeout=timeout)
        self.said += rest
        return self._process.returncode

    def interrupt(self) -> None:
        """What a terminal does at Ctrl-C."""
        os.killpg(self._process.pid, signal.SIGINT)

    def left_behind(self) -> list[str]:
        """Its files, and the processes that have its folder on their command lines or in their environment."""
        return sorted(str(path) for path in self.folder.rglob("*")) + self.processes()

    def processes(self) -> list[str]:
        """The processes of it and of what it started."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes()
                state = (process / "stat").read_text().rpartition(")")[2].split()[0]
                environment = (process / "environ").read_bytes()
            except OSError:  # it has ended meanwhile
                continue
            if state != "Z" and int(process.name) != os.getpid() and str(self.folder).encode() in words + environment:
                found.append(words.replace(b"\0", b" ").decode())
        return found

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


@contextmanager
def demo(*words: str, unprivileged: bool, seconds: int = 1) -> Iterator[Demo]:
    """A demo, of the guide or of the scenario that is named, in a folder of its own that every user may write to."""
    with tempfile.TemporaryDirectory(prefix="demo-") as name:
        folder = Path(name)
        folder.chmod(0o1777)
        running = Demo(*words, unprivileged=unprivileged, folder=folder, seconds=seconds)
        try:
            yield running
        finally:
            running.close()
