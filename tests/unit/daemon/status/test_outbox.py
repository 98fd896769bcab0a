"""The thread that sends what is due: in turn, at its rate, and to the end that it is told."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ovnqos.kubernetes import Clock, RequestInterruptedError
from ovnqosd.status.due_queue import DueQueue
from ovnqosd.status.outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE = 20.0


class Sent:
    """What was sent, in order."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self._changed = threading.Condition()

    def __call__(self, key: str) -> None:
        with self._changed:
            self.keys.append(key)
            self._changed.notify_all()

    def wait_for(self, count: int) -> list[str]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.keys) >= count, PATIENCE), self.keys
            return self.keys[:count]


@contextmanager
def sending(
    queue: DueQueue, send: Callable[[str], None], *, rate: float = 1e6, burst: int = 1000
) -> Iterator[Outbox[str]]:
    outbox = Outbox(
        "outbox", next_time=queue.next_time, take=queue.pop, send=send, rate=rate, burst=burst, clock=Clock()
    )
    outbox.start()
    try:
        yield outbox
    finally:
        outbox.stop()
    assert not outbox.is_alive


def fill(outbox: Outbox[str], queue: DueQueue, *keys: str, delay: float = 0.0) -> None:
    with outbox.changing():
        for key in keys:
            queue.add(key, Clock().monotonic() + delay)


def test_what_comes_is_sent_in_its_order() -> None:
    queue, sent = DueQueue(), Sent()
    with sending(queue, sent) as outbox:
        fill(outbox, queue, "a", "b")
        assert sent.wait_for(2) == ["a", "b"]
        fill(outbox, queue, "c")
        assert sent.wait_for(3) == ["a", "b", "c"]


def test_what_is_due_later_is_sent_later() -> None:
    queue, sent = DueQueue(), Sent()
    with sending(queue, sent) as outbox:
        fill(outbox, queue, "late", delay=0.1)
        fill(outbox, queue, "soon")
        assert sent.wait_for(2) == ["soon", "late"]


def test_beyond_the_burst_the_rate_holds_back() -> None:
    queue, sent = DueQueue(), Sent()
    with sending(queue, sent, rate=0.001, burst=3) as outbox:
        fill(outbox, queue, *"abcde")
        assert sent.wait_for(3) == ["a", "b", "c"]
        assert not outbox.drain(PATIENCE, stalled_seconds=0.1)
    assert sent.keys == ["a", "b", "c"]


def test_draining_waits_for_what_is_due_and_for_the_rest_if_it_is_told_to() -> None:
    queue, sent = DueQueue(), Sent()
    with sending(queue, sent) as outbox:
        fill(outbox, queue, "late", delay=0.3)
        fill(outbox, queue, "now")
        assert outbox.drain(PATIENCE)
        assert sent.keys == ["now"]
        assert outbox.drain(PATIENCE, all_of_it=True)
        assert sent.keys == ["now", "late"]


def test_draining_ends_when_its_time_is_over_or_nothing_moves() -> None:
    queue, going_on = DueQueue(), threading.Event()

    def wait(_: str) -> None:
        going_on.wait(PATIENCE)

    with sending(queue, wait) as outbox:
        fill(outbox, queue, "a", "b")
        assert not outbox.drain(0.05)
        assert not outbox.drain(PATIENCE, stalled_seconds=0.05)
        going_on.set()
        assert outbox.drain(PATIENCE)


def test_stop_sends_first_what_is_due() -> None:
    queue, sent = DueQueue(), Sent()
    with sending(queue, sent) as outbox:
        fill(outbox, queue, *"abc")
        fill(outbox, queue, "late", delay=PATIENCE)
        outbox.stop(drain_seconds=PATIENCE)
        assert sent.keys == ["a", "b", "c"]


def test_a_request_that_is_interrupted_ends_the_thread() -> None:
    queue, ended = DueQueue(), threading.Event()

    def interrupted(_: str) -> None:
        ended.set()
        raise RequestInterruptedError("from outside")

    with sending(queue, interrupted) as outbox:
        fill(outbox, queue, "a", "b")
        assert ended.wait(PATIENCE)
        assert outbox.drain(PATIENCE)
