"""`ovnqos demo calico` as root: the lab with packets, right and wrong, and nothing left behind."""

from __future__ import annotations

import io
import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from ovnqos.cli.demo.calico import calico_scenario
from ovnqos.cli.demo.scenario import run_scenario
from ovnqos.cli.output import EXIT_DRIFT
from tests.functional.support_command import PROGRAM

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

RATE = r"\d+\.\d\d [MG]bit/s +ok"
LINES = (
    rf"TCP, without limits +9\.44 Gbit/s +over 100\.00 Mbit/s +{RATE}",
    rf"TCP, second 1 +299 Mbit/s +at most 20\.00 Mbit/s +{RATE}",
    rf"TCP, seconds 3 to 5 +10\.5 Mbit/s +7\.5 to 10\.5 Mbit/s +{RATE}",
    rf"TCP, seconds 1 to 5 +60\.4 Mbit/s +at most 12\.00 Mbit/s +{RATE}",
    rf"UDP, client to server +- +10\.00 Mbit/s ± 5 % +{RATE}",
    rf"UDP, server to client +- +10\.00 Mbit/s ± 5 % +{RATE}",
    rf"TCP, seconds 3 to 5 +new pods +15\.0 to 21\.0 Mbit/s +{RATE}",
    rf"UDP, client to server +- +20\.00 Mbit/s ± 5 % +{RATE}",
    rf"UDP, server to client +- +20\.00 Mbit/s ± 5 % +{RATE}",
)


@pytest.fixture(autouse=True)
def _needs_lab(lab: None) -> None:
    """These start nodes and pods of their own."""


def test_the_lab_is_measured_and_nothing_is_left(tmp_path: Path) -> None:
    done = subprocess.run(
        [PROGRAM, "demo", "calico", "--seconds", "5"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "HOME": str(tmp_path), "TMPDIR": str(tmp_path)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All checks passed" in done.stdout
    assert "FAILED" not in done.stdout
    for line in LINES:
        assert re.search(line, done.stdout), done.stdout
    assert len(re.findall(LINES[0], done.stdout)) == 2, done.stdout  # before the limits, and after
    assert list(tmp_path.iterdir()) == []


def test_figures_that_miss_are_told_and_the_demo_fails() -> None:
    """A command that only says it applied something: whoever believes it finds no limit."""

    def pretend(words: Sequence[str]) -> int:
        return EXIT_DRIFT if "--exit-code" in words else 0

    shown = io.StringIO()
    console = Console(file=shown, width=80)
    assert not run_scenario(calico_scenario(), pretend, console, packets=True, seconds=3)
    said = shown.getvalue()
    assert "CHECKS FAILED" in said
    assert len(re.findall(r"UDP, .* FAILED", said)) == 4, said
    assert len(re.findall(r"TCP, without limits .* ok", said)) == 2, said
