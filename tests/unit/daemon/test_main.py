"""The process: the name of its zone, which one answer of the API does not decide, and its end."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from ovnqosd.main import find_zone
from ovnqosd.settings.settings import Mode, Settings
from tests.support.scripted_api import ScriptedApi, client_of, refusal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.scripted_api import Exchange

ZONE = Settings(mode=Mode.ZONE, node="n1")
FORBIDDEN, BUSY = refusal(403, "Forbidden"), refusal(503, "ServiceUnavailable")


def _node(exchange: Exchange) -> None:
    exchange.send_json(200, {"metadata": {"name": "n1", "annotations": {"k8s.ovn.org/zone-name": "rack-a"}}})


@pytest.mark.parametrize("answers", [(), (FORBIDDEN,), (BUSY, BUSY)], ids=["at once", "after a 403", "after 503s"])
def test_the_zone_is_that_of_the_node(tmp_path: Path, answers: tuple[Callable[[Exchange], None], ...]) -> None:
    with capture_logs() as logs, ScriptedApi(*answers, _node) as api, client_of(api.url, tmp_path) as client:
        assert find_zone(ZONE, client, (0.0, 0.0)) == "rack-a"
    assert logs == []


def test_a_node_that_is_not_readable_gives_the_zone_its_name_and_is_told(tmp_path: Path) -> None:
    with capture_logs() as logs, ScriptedApi(FORBIDDEN, FORBIDDEN) as api, client_of(api.url, tmp_path) as client:
        assert find_zone(ZONE, client, (0.0,)) == "n1"
    assert [line["log_level"] for line in logs] == ["warning"]


def test_a_signal_at_any_moment_of_the_wait_ends_it() -> None:
    """In a process of its own: at each line of Python that the wait runs, one after the other, SIGTERM arrives."""
    program = """
import faulthandler, os, signal, sys
from ovnqosd.main import catch_signals
faulthandler.dump_traceback_later(20, exit=True)
for moment in range(40):
    wait, lines = catch_signals(), 0
    def trace(frame, event, _argument):
        global lines
        lines += 1
        if lines == moment:
            os.kill(os.getpid(), signal.SIGTERM)
        return trace
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGTERM))  # of a wait that is not traced
    sys.settrace(trace)
    wait()
    sys.settrace(None)
print("ended")
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (0, "ended\n"), ended.stderr


def test_a_signal_that_comes_to_another_thread_ends_the_wait() -> None:
    """In a process of its own. As where it comes just before the wait begins: Python's handler alone wakes nobody."""
    program = """
import faulthandler, signal, threading, time
from ovnqosd.main import catch_signals
faulthandler.dump_traceback_later(20, exit=True)
wait = catch_signals()
other = threading.Thread(target=time.sleep, args=(60,), daemon=True)
other.start()
threading.Timer(0.1, signal.pthread_kill, (other.ident, signal.SIGTERM)).start()
wait()
print("ended")
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (0, "ended\n"), ended.stderr
