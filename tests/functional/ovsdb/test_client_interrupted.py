"""Ctrl-C while a connection is waited for: the wait ends, and what it held is free for the rest of the way out."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

from tests.functional.support_connection import await_lock, connect

if TYPE_CHECKING:
    from types import FrameType

    from ovnqos.ovsdb.client import OvsdbClient
    from ovnqos.sandbox import NorthboundServer

PATIENCE_S = 5.0


class Interrupt:
    """Raises KeyboardInterrupt where Ctrl-C may: at the n-th step that this thread takes in the module `threading`."""

    def __init__(self, step: int) -> None:
        self._left = step
        self.came = False

    def __call__(self, frame: FrameType, event: str, _argument: Any) -> Interrupt | None:
        if frame.f_code.co_filename != threading.__file__:
            return self if event == "call" and not self.came else None
        self._left -= 1
        if self._left < 0 and not self.came:
            self.came = True
            raise KeyboardInterrupt
        return self


def _waits_until_interrupted(connection: OvsdbClient, step: int) -> bool:
    """Returns whether it came to that step."""
    interrupt, raised = Interrupt(step), False
    sys.settrace(interrupt)
    try:
        await_lock(connection, "taken", held=True, timeout_s=0.05)
    except KeyboardInterrupt:
        raised = True
    finally:
        sys.settrace(None)
    assert raised == interrupt.came, "it was swallowed"
    return raised


def _is_free(connection: OvsdbClient) -> bool:
    """Whether another thread, as the one that reads, can take the replica's lock."""
    done = threading.Event()

    def look() -> None:
        assert connection.has_contents
        done.set()

    threading.Thread(target=look, daemon=True).start()
    return done.wait(PATIENCE_S)


def test_an_interrupt_at_any_step_of_a_wait_leaves_the_replica_free(northbound: NorthboundServer) -> None:
    steps, came = 0, True
    while came:
        connection = connect(northbound.remote)
        came = _waits_until_interrupted(connection, steps)
        assert _is_free(connection), f"interrupted at step {steps}, the lock is held for ever"
        connection.close()  # only now: it would wait for that lock
        steps += 1
    assert steps > 5
