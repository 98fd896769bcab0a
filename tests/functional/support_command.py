"""The command as a user runs it: in this process, or as the installed program."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from unittest.mock import patch

from ovnqos.cli.main import run
from ovnqos.sandbox import Programs

if TYPE_CHECKING:
    from collections.abc import Mapping

PROGRAM: Final = Path(sys.executable).parent / "ovnqos"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a run ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        """The lines that say what is wrong, without the word `error`."""
        return [line.removeprefix("error: ") for line in self.err.splitlines() if line.startswith("error: ")]

    @property
    def warnings(self) -> list[str]:
        """The lines that warn."""
        return [line.removeprefix("warning: ") for line in self.err.splitlines() if line.startswith("warning: ")]


def ovnqos(*words: str | Path, stdin: str = "") -> Ended:
    """Runs a command line in this process: what an interpreter's start would cost, each test saves."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), patch.object(sys, "stdin", io.StringIO(stdin)):
        code = run([str(word) for word in words])
    ended = Ended(code=code, out=out.getvalue(), err=err.getvalue())
    assert "Traceback" not in ended.err
    return ended


def without_privileges() -> list[str]:
    """The words before a command that run it as a user who is not root; none when that is who we are.

    The user is `nobody`; where nobody may not read this checkout, root in a user namespace that calls it 1000.
    """
    if os.geteuid() != 0:
        return []
    nobody = Programs().command("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--")
    tried = subprocess.run([*nobody, PROGRAM, "--version"], capture_output=True, check=False, cwd="/")
    return nobody if tried.returncode == 0 else Programs().command("unshare", "--user", "--map-user=1000", "--")


def ovnqos_program(
    *words: str | Path, stdin: str = "", environment: Mapping[str, str] | None = None, unprivileged: bool = False
) -> Ended:
    """Runs the installed program to its end."""
    done = subprocess.run(
        [*(without_privileges() if unprivileged else []), PROGRAM, *map(str, words)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **(environment or {})},
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Ended(code=done.returncode, out=done.stdout, err=done.stderr)
