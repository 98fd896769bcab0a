"""The project installed into an empty environment from the locks, as the image of the daemon does it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from tests.support.deploy import ROOT

if TYPE_CHECKING:
    from pathlib import Path


def run(*command: str | Path) -> str:
    done = subprocess.run(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_locks_are_enough_for_an_empty_environment(tmp_path: Path) -> None:
    wheels, target = tmp_path / "wheels", tmp_path / "target"
    pip = (sys.executable, "-m", "pip")  # it is of requirements-build.lock, as .venv is
    wheel = (*pip, "wheel", "--no-build-isolation", "--wheel-dir", wheels)
    run(*wheel, "--require-hashes", "-r", "requirements.lock")
    run(*wheel, "--no-deps", ".")
    run(sys.executable, "-m", "venv", "--without-pip", target)
    into = (*pip, "--python", target / "bin" / "python")
    run(*into, "install", "--no-index", "--no-deps", "--no-compile", *wheels.glob("*.whl"))
    run(*into, "check")
    assert "Usage: ovnqosd" in run(target / "bin" / "ovnqosd", "--help")
    assert "Usage: ovnqos" in run(target / "bin" / "ovnqos", "--help")
