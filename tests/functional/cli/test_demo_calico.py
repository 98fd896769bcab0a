"""`ovnqos demo calico` as a user without root: the lab without packets."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.functional.support_command import PROGRAM, without_privileges

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user may write to."""
    with tempfile.TemporaryDirectory(prefix="demo-") as name:
        folder = Path(name)
        folder.chmod(0o1777)
        yield folder


def _demo(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*without_privileges(), PROGRAM, "demo", "calico", *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        cwd="/",
        env={**os.environ, "HOME": str(folder), "TMPDIR": str(folder)},
    )


def test_without_root_limits_come_change_and_go_and_nothing_is_left(folder: Path) -> None:
    done = _demo(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All checks passed" in done.stdout
    assert "Played without pods and packets" in done.stdout
    for place, side in (("from-lport  5000", "inport"), ("  to-lport 15000", "outport")):
        for pod in ("client", "server"):
            row = f'{place} ({side} == "default_iperf-{pod}-qos" && ip)'
            planned = row.strip()
            assert f"\n{row} rate=10000" in done.stdout  # as ovn-nbctl qos-list has it
            for line in (f"    + {planned} rate=10000", f"    + {planned} rate=20000", f"    - {planned} rate=20000"):
                assert line in done.stdout
    assert "iperf-client &&" not in done.stdout
    assert "error" not in done.stderr
    assert list(folder.iterdir()) == []


def test_checks_that_are_too_short_to_see_past_the_burst_are_refused(folder: Path) -> None:
    done = _demo(folder, "--seconds", "2")
    assert (done.returncode, done.stdout) == (1, "")
    assert "--seconds 3 or more" in done.stderr
