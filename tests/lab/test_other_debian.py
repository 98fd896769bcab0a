"""OVN of another Debian release: its programs run in mount namespaces of their own, and nothing of it stays."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ovnqos.sandbox import Central, MissingProgramError, Programs, Sandbox
from ovnqos.sandbox.programs import run
from tests.support.ovn_programs import ProgramsOfRoot, ovn_version

if TYPE_CHECKING:
    from collections.abc import Iterator

_SCRIPT = textwrap.dedent("""
    import sys
    from pathlib import Path
    from ovnqos.sandbox import Programs, Sandbox
    from tests.support.ovn_programs import ProgramsOfRoot
    programs = ProgramsOfRoot(Path(sys.argv[1])) if sys.argv[1] else Programs()
    with Sandbox(nodes=("ovn-worker",), programs=programs) as sandbox:
        print("ready", flush=True)
        input()
""")


@pytest.fixture
def mounts_unchanged() -> Iterator[None]:
    """That this machine's mounts are the same after the test."""
    before = _mounts()
    yield
    assert _mounts() == before


def _root(programs: Programs) -> Path | None:
    return programs.root if isinstance(programs, ProgramsOfRoot) else None


def _mounts() -> str:
    return Path("/proc/self/mountinfo").read_text()


def test_a_sandbox_shows_no_mount_on_this_machine(programs: Programs, mounts_unchanged: None) -> None:
    before = _mounts()
    with Sandbox(nodes=("ovn-worker",), programs=programs) as sandbox:
        assert _mounts() == before
        control = sandbox.nodes["ovn-worker"]._control("ovn-controller")
        said = run(programs.command("ovs-appctl", "-t", control, "version"))
        assert f"ovn-controller {ovn_version(programs)}." in said


def test_a_killed_parent_leaves_no_mount_and_no_program(programs: Programs, mounts_unchanged: None) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _SCRIPT, str(_root(programs) or "")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        children = [
            os.pidfd_open(int(pid))
            for task in Path(f"/proc/{parent.pid}/task").iterdir()
            for pid in (task / "children").read_text().split()
        ]
        parent.send_signal(signal.SIGKILL)
    for pidfd in children:
        _await_end(pidfd)


def _await_end(pidfd: int) -> None:

    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    ended = poll.poll(5000)
    os.close(pidfd)
    assert ended


def test_its_temporary_files_are_this_machines(
    programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Central(programs=programs) as central:
        central.nbctl("ls-add", "lan")
        assert central.folder.parent == tmp_path
        assert central.northbound.file.stat().st_size > 0
        root = _root(programs)
        assert root is None or list((root / "tmp").iterdir()) == []


def test_a_release_that_was_not_made_is_missing_and_says_how_to_make_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(MissingProgramError, match="scripts/make-ovn-root trixie makes it"):
        ProgramsOfRoot.of_debian("trixie")


def test_a_folder_without_ovn_names_the_packages(lab: None, tmp_path: Path) -> None:
    with pytest.raises(MissingProgramError, match="openvswitch-switch, ovn-central"):
        ProgramsOfRoot(tmp_path).require("ovsdb-server", "ovn-northd")
