"""The work queue: what is due is written in turn, at its rate, and retried."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from ovnqos.kubernetes import (
    ApiStatusError,
    ApiUnreachableError,
    Clock,
    Interruption,
    RequestError,
    RequestInterruptedError,
    RetryPolicy,
)
from ovnqosd.status.work_queue import DelayingQueue, RateLimiter, WorkQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE = 20.0
SOON = RetryPolicy(first_delay=0.001, longest_delay=0.001)


class Written:
    """What was written, in order."""

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


class Pauses(Clock):
    """Pauses take no time, and are kept."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    def wait(self, seconds: float, interruption: Interruption) -> None:
        self.pauses.append(seconds)


def test_a_key_that_is_due_again_at_a_time_given_up_before_is_taken_once() -> None:
    queue = DelayingQueue()
    queue.add("a", 5.0)
    queue.add("a", 3.0)
    queue.add("b", 4.0)
    assert queue.pop(3.0) == "a"
    queue.add("a", 5.0)
    assert [queue.pop(5.0), queue.pop(5.0), queue.pop(5.0)] == ["b", "a", None]
    assert queue.next_time() is None


def test_namespaces_take_turns_and_each_is_in_the_order_of_its_due_times() -> None:
    keys = DelayingQueue(lambda key: key.partition("/")[0])
    for number in range(5):
        keys.add(f"shop/p{number}", 5.0 - number)
    keys.add("bank/late", 4.5)
    keys.add("bank/later", 7.0)
    assert keys.next_time() == 1.0
    assert [keys.pop(6.0), keys.pop(6.0)] == ["shop/p4", "bank/late"]
    keys.add("farm/new", 6.0)
    keys.add("shop/p3", 0.0)  # it is due already, and in the queue once
    assert [keys.pop(6.0) for _ in range(6)] == ["shop/p3", "farm/new", "shop/p2", "shop/p1", "shop/p0", None]
    assert keys.next_time() == 7.0
    assert len(keys) == 1


@contextmanager
def working(
    write: Callable[[str], None],
    *,
    prepare: Callable[[str, float], str | float | None] = lambda key, _now: key,
    rate: float = 1e6,
    burst: int = 1000,
    outage: RetryPolicy = SOON,
    refusal: RetryPolicy = SOON,
    clock: Clock | None = None,
) -> Iterator[WorkQueue[str]]:
    queue: WorkQueue[str] = WorkQueue(
        "queue",
        DelayingQueue(),
        prepare=prepare,
        write=write,
        rate=rate,
        burst=burst,
        outage=outage,
        refusal=refusal,
        clock=clock or Clock(),
    )
    queue.start()
    try:
        yield queue
    finally:
        queue.stop()
    assert not queue.is_alive


def fill(queue: WorkQueue[str], *keys: str, delay: float = 0.0) -> None:
    with queue.changing() as now:
        for key in keys:
            queue.keys.add(key, now + delay)


def test_what_comes_is_written_in_its_order() -> None:
    written = Written()
    with working(written) as queue:
        fill(queue, "a", "b")
        assert written.wait_for(2) == ["a", "b"]
        fill(queue, "c")
        assert written.wait_for(3) == ["a", "b", "c"]


def test_what_is_due_later_is_written_later() -> None:
    written = Written()
    with working(written) as queue:
        fill(queue, "late", delay=0.1)
        fill(queue, "soon")
        assert written.wait_for(2) == ["soon", "late"]


def test_a_key_for_which_there_is_nothing_to_write_yet_is_looked_at_again() -> None:
    written, looks = Written(), []

    def prepare(key: str, now: float) -> str | float | None:
        looks.append(now)
        return None if key == "nothing" else now + 0.05 if len(looks) < 3 else key

    with working(written, prepare=prepare) as queue:
        fill(queue, "nothing", "a")
        assert written.wait_for(1) == ["a"]
        assert len(looks) == 3
        assert queue.drain(PATIENCE, all_of_it=True)


def test_a_key_that_is_in_the_queue_keeps_the_earlier_time() -> None:
    keys = DelayingQueue()
    keys.add("a", 5.0)
    keys.add("a", 9.0)
    assert (len(keys), keys.next_time()) == (1, 5.0)
    keys.add("a", 2.0)
    assert (len(keys), keys.next_time()) == (1, 2.0)
    assert keys.pop(1.9) is None
    assert keys.pop(2.0) == "a"
    assert keys.pop(99.0) is None


def test_beyond_the_burst_the_rate_holds_back() -> None:
    written = Written()
    with working(written, rate=0.001, burst=3) as queue:
        fill(queue, *"abcde")
        assert written.wait_for(3) == ["a", "b", "c"]
        assert not queue.drain(PATIENCE, stalled_seconds=0.1)
        assert queue.pending == 2
    assert written.keys == ["a", "b", "c"]


def test_the_limiter_lets_a_burst_through_and_then_its_rate() -> None:
    limiter = RateLimiter(rate=50, burst=100)
    for _ in range(100):
        assert limiter.delay(0.0) == 0
        limiter.take(0.0)
    assert limiter.delay(0.0) == pytest.approx(0.02)
    now, taken = 0.0, 0
    while now < 10.0:
        now += limiter.delay(now)
        limiter.take(now)
        taken += 1
    assert taken == pytest.approx(500, abs=2)
    assert limiter.delay(now + 3600.0) == 0


def test_draining_waits_for_what_is_due_and_for_the_rest_if_it_is_told_to() -> None:
    written = Written()
    with working(written) as queue:
        fill(queue, "late", delay=0.3)
        fill(queue, "now")
        assert queue.drain(PATIENCE)
        assert written.keys == ["now"]
        assert queue.drain(PATIENCE, all_of_it=True)
        assert written.keys == ["now", "late"]


def test_draining_ends_when_its_time_is_over_or_nothing_moves() -> None:
    going_on = threading.Event()

    def wait(_: str) -> None:
        going_on.wait(PATIENCE)

    with working(wait) as queue:
        fill(queue, "a", "b")
        assert not queue.drain(0.05)
        assert not queue.drain(PATIENCE, stalled_seconds=0.05)
        going_on.set()
        assert queue.drain(PATIENCE)


def test_stop_writes_first_what_is_due() -> None:
    written = Written()
    with working(written) as queue:
        fill(queue, *"abc")
        fill(queue, "late", delay=PATIENCE)
        queue.stop(drain_seconds=PATIENCE)
        assert written.keys == ["a", "b", "c"]


def test_a_request_that_is_interrupted_ends_the_thread() -> None:
    ended = threading.Event()

    def interrupted(_: str) -> None:
        ended.set()
        raise RequestInterruptedError("from outside")

    with working(interrupted) as queue:
        fill(queue, "a", "b")
        assert ended.wait(PATIENCE)
        assert queue.drain(PATIENCE)


class Failing:
    """Writes of one key, or all, that fail so often."""

    def __init__(self, error: RequestError, times: int, key: str = "") -> None:
        self.written = Written()
        self._error = error
        self._left = times
        self._key = key

    def __call__(self, key: str) -> None:
        if self._left and self._key in ("", key):
            self._left -= 1
            raise self._error
        self.written(key)


def test_a_refused_write_is_retried_and_holds_up_no_other() -> None:
    failing = Failing(ApiStatusError(409, "Conflict"), 30, "a")
    clock = Pauses()
    with capture_logs() as logs, working(failing, refusal=RetryPolicy(first_delay=0.01), clock=clock) as queue:
        fill(queue, "a", "b", "c")
        assert failing.written.wait_for(2) == ["b", "c"]
    assert clock.pauses == []
    (line,) = logs
    assert (line["log_level"], line["object"]) == ("warning", "a")


def test_refusals_of_one_key_are_retried_ever_more_slowly() -> None:
    class Longest(Pauses):
        time = 0.0

        def monotonic(self) -> float:
            return self.time

    clock, delays = Longest(), []
    refused = threading.Semaphore(0)

    def refuse(_: str) -> None:
        refused.release()
        raise ApiStatusError(422, "Invalid")

    with capture_logs() as logs, working(refuse, refusal=RetryPolicy(longest_delay=8.0), clock=clock) as queue:
        fill(queue, "a")
        for _ in range(40):
            assert refused.acquire(timeout=PATIENCE)
            assert queue.drain(PATIENCE)
            due = queue.keys.next_time()
            assert due is not None
            delays.append(due - clock.time)
            with queue.changing():
                clock.time = due
    assert delays[0] <= 0.5
    assert 2.0 < max(delays) <= 8.0
    assert len(logs) == 1


@pytest.mark.parametrize(
    "error", [ApiStatusError(500, "InternalError"), ApiStatusError(403, "Forbidden"), ApiUnreachableError("refused")]
)
def test_an_outage_of_the_api_pauses_the_queue_and_is_two_lines(error: RequestError) -> None:
    failing, clock = Failing(error, 12), Pauses()
    with capture_logs() as logs, working(failing, clock=clock) as queue:
        fill(queue, "a", "b", "c")
        assert sorted(failing.written.wait_for(3)) == ["a", "b", "c"]
        assert queue.drain(PATIENCE)
    assert len(clock.pauses) == 12
    assert [line["log_level"] for line in logs] == ["warning", "info"]
    assert str(error) in logs[0]["cause"]


def test_the_api_is_left_alone_as_long_as_it_asks_within_bounds() -> None:
    failing, clock = Failing(ApiStatusError(429, "TooManyRequests", retry_after=9999), 1), Pauses()
    with working(failing, outage=RetryPolicy(first_delay=0.0, longest_delay=30.0), clock=clock) as queue:
        fill(queue, "a")
        assert failing.written.wait_for(1) == ["a"]
    assert clock.pauses == [30.0]
