"""Test sessions side by side on one machine: a test that must be alone waits for the others' tests, and they for it."""

from __future__ import annotations

import fcntl
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def machine(*, alone: bool, folder: Path | None = None) -> Iterator[None]:
    """Share the machine with the tests of other sessions, or have it alone.

    Args:
        alone: whether no other test may run meanwhile.
        folder: holds the lock files; None is the folder for temporary files.
    """
    folder = folder or Path(tempfile.gettempdir())
    with (folder / "ovnqos-lab.turn").open("w") as turn, (folder / "ovnqos-lab.lock").open("w") as lock:
        fcntl.flock(turn, fcntl.LOCK_EX)  # whoever wants to be alone keeps the turn: the others' next tests wait
        fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        if not alone:
            fcntl.flock(turn, fcntl.LOCK_UN)
        yield  # closing the files gives both locks back
