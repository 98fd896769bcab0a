"""Ctrl-C ends the command, wherever it comes."""

from __future__ import annotations

import os
import subprocess
import sys

_SCRIPT = """
import signal, sys
from ovnqos.cli.main import main

class Finalized:
    def __del__(self):
        raise KeyboardInterrupt  # as from a handler that runs just now

signal.signal(signal.SIGALRM, lambda *_: Finalized() and None)
signal.setitimer(signal.ITIMER_REAL, 0.3)
sys.argv = ["ovnqos", "render", "-f", "-"]
main()
"""


def test_an_interrupt_in_a_finalizer_is_not_lost() -> None:
    reading, writing = os.pipe()  # no document ever comes
    try:
        ended = subprocess.run(
            [sys.executable, "-c", _SCRIPT], stdin=reading, capture_output=True, text=True, timeout=20, check=False
        )
    finally:
        os.close(reading)
        os.close(writing)
    assert (ended.returncode, ended.stdout) == (130, "")
    assert "Traceback" not in ended.stderr
