"""Programs are started by one thread, and Ctrl-C while that thread starts holds up nobody's end."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import pytest

from ovnqos.sandbox.process import Starter

_INTERRUPTED = """
import sys, threading, time
from pathlib import Path
from ovnqos.sandbox.process import Process

def interrupt(frame, event, _argument):
    # as Ctrl-C does while the thread that starts programs is waited for
    if event == "call" and frame.f_code is threading.Event.wait.__code__:
        sys.settrace(None)
        time.sleep(0.2)  # until the thread has come up, so that the interpreter waits for it if it waits for any
        raise KeyboardInterrupt

sys.settrace(interrupt)
try:
    Process(["sleep", "60"], name="sleep", log=Path(sys.argv[1])).start()
except KeyboardInterrupt:
    sys.exit(130)
"""


def test_all_tasks_run_in_one_thread_and_return_or_raise_to_who_asked() -> None:
    starter = Starter[str]()
    first = starter.run(lambda: threading.current_thread().name)
    found: list[str] = []
    asking = [threading.Thread(target=lambda: found.append(starter.run(_thread_name))) for _ in range(3)]
    for one in asking:
        one.start()
    for one in asking:
        one.join()
    assert found == [first] * 3
    with pytest.raises(ZeroDivisionError):
        starter.run(lambda: str(1 // 0))
    assert starter.run(lambda: "still there") == "still there"


def _thread_name() -> str:
    return threading.current_thread().name


def test_an_interrupt_while_the_first_program_is_started_ends_the_process(tmp_path: object) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _INTERRUPTED, f"{tmp_path}/log"], capture_output=True, text=True, timeout=20, check=False
    )
    assert (ended.returncode, ended.stderr) == (130, "")


def test_an_interrupt_while_a_program_is_started_leaves_no_program() -> None:
    starter = Starter[str]()
    started = threading.Event()
    discarded: list[str] = []

    def start() -> str:
        started.set()
        time.sleep(0.2)
        return "program"

    def interrupt() -> None:
        started.wait()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    sender = threading.Thread(target=interrupt)
    sender.start()
    with pytest.raises(KeyboardInterrupt):
        starter.run(start, discard=discarded.append)
    sender.join()
    assert discarded == ["program"]
