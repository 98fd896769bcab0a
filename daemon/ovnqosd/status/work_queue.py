"""A work queue as client-go's: keys with due times, and one thread that writes at a bounded rate and retries."""

from __future__ import annotations

import heapq
import threading
import time
from collections import OrderedDict, deque
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import structlog

from ovnqos.kubernetes import (
    ApiStatusError,
    Backoff,
    Clock,
    Interruption,
    RequestError,
    RequestInterruptedError,
    RetryPolicy,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_Write = TypeVar("_Write")
_STOP_TIMEOUT: Final = 2.0
_ONE_OBJECT: Final = frozenset({400, 404, 409, 413, 415, 422})
"""Refusals that are about the one object; after any other the next object would fare no better."""
_log = structlog.get_logger()


class DelayingQueue:
    """Keys, each once, to be taken from their due times on: namespaces in turn, so that none waits for another's.

    Those of one namespace are taken in the order of their due times. Times are seconds of one clock. Not thread-safe.

    Args:
        namespace_of: tells the namespace of a key.
    """

    def __init__(self, namespace_of: Callable[[str], str] = lambda _key: "") -> None:
        self._namespace_of = namespace_of
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, int, str]] = []
        self._number = 0  # of keys due at the same time the one that came first goes first
        self._ready: OrderedDict[str, deque[str]] = OrderedDict()  # due keys by namespace, the next one first
        self._ready_keys: set[str] = set()

    def __len__(self) -> int:
        return len(self._due)

    def add(self, key: str, at: float) -> None:
        """Add a key; one that is in the queue keeps the earlier of the two times."""
        known = self._due.get(key)
        if key not in self._ready_keys and (known is None or at < known):
            self._due[key] = at
            self._number += 1
            heapq.heappush(self._heap, (at, self._number, key))

    def pop(self, now: float) -> str | None:
        """Remove the key that is due first and return it; None if none is due."""
        while (due := self._next_delayed()) is not None and due <= now:
            _, _, key = heapq.heappop(self._heap)
            if key not in self._ready_keys:  # a time that was given up for an earlier one may be its own again
                self._ready.setdefault(self._namespace_of(key), deque()).append(key)
                self._ready_keys.add(key)
        if not self._ready:
            return None
        namespace, keys = self._ready.popitem(last=False)
        key = keys.popleft()
        if keys:
            self._ready[namespace] = keys  # at the end
        self._ready_keys.discard(key)
        del self._due[key]
        return key

    def next_time(self) -> float | None:
        """Return when the next key is due; None if there is none."""
        return self._due[next(iter(self._ready.values()))[0]] if self._ready else self._next_delayed()

    def _next_delayed(self) -> float | None:
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None


class RateLimiter:
    """A token bucket, kept as the time at which it is full. Times are seconds of one clock. Not thread-safe."""

    def __init__(self, *, rate: float, burst: int) -> None:
        """Start full: `rate` tokens come in a second, and `burst` are kept at most."""
        self._interval = 1.0 / rate
        self._capacity = burst / rate
        self._full_at = float("-inf")

    def delay(self, now: float) -> float:
        """Return the seconds until a token can be taken; 0 when it can be now."""
        delay = self._full_at + self._interval - self._capacity - now
        return delay if delay > 1e-9 else 0.0  # a wait of exactly `delay` must be enough in floating point too

    def take(self, now: float) -> None:
        """Take a token."""
        self._full_at = max(self._full_at, now) + self._interval


@dataclass(slots=True)
class _Retry:
    backoff: Backoff
    at: float = 0.0
    status: int = 0  # that was logged


class WorkQueue(Generic[_Write]):
    """Take keys when they are due and send what is to be written for them, one request at a time.

    A write that is refused for its object's sake is retried with a backoff of its own; when the API takes no write at
    all, the queue pauses with a backoff. Either is logged once.

    Attributes:
        keys: the queue; to be changed inside of `changing`.
        interruption: set when the thread is to end; requests are to be covered by it.
    """

    def __init__(  # noqa: PLR0913 - keywords
        self,
        name: str,
        keys: DelayingQueue,
        *,
        prepare: Callable[[str, float], _Write | float | None],
        write: Callable[[_Write], None],
        rate: float,
        burst: int,
        outage: RetryPolicy,
        refusal: RetryPolicy,
        clock: Clock,
    ) -> None:
        """Describe a queue; `start` starts its thread.

        Args:
            name: the thread's.
            keys: the keys.
            prepare: given a key that is due and the time: returns what to write, or the time from which there is
                something to write, or None. Called inside of `changing`, never twice for a key before it is done.
            write: sends a write in the thread. A `RequestError` has it retried, `RequestInterruptedError` ends the
                thread.
            rate: writes a second in the long run.
            burst: writes at once after a pause.
            outage: the backoff when the API takes no write at all.
            refusal: the backoff for an object whose write is refused.
            clock: the time.
        """
        self.keys = keys
        self.interruption = Interruption()
        self._name = name
        self._prepare = prepare
        self._write = write
        self._limiter = RateLimiter(rate=rate, burst=burst)
        self._outage = outage
        self._refusal = refusal
        self._clock = clock
        self._backoff = Backoff(outage)
        self._retries: dict[str, _Retry] = {}
        self._failing: tuple[type[RequestError], int] | None = None
        self._changed = threading.Condition()
        self._busy = False
        self._done = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    @property
    def pending(self) -> int:
        """How many keys wait, now or later, with the one that is being written."""
        with self._changed:
            return len(self.keys) + self._busy

    @contextmanager
    def changing(self) -> Iterator[float]:
        """Hold the queue's lock, and give the time; then the thread looks at the queue again."""
        with self._changed:
            yield self._clock.monotonic()
            self._changed.notify_all()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def drain(self, seconds: float, *, stalled_seconds: float | None = None, all_of_it: bool = False) -> bool:
        """Wait until what is due is written; return whether it is.

        Args:
            seconds: how long at most.
            stalled_seconds: and how long without a write that ended; None: no sooner.
            all_of_it: wait for what is due later, too.
        """
        end = time.monotonic() + seconds
        with self._changed:
            while not self._is_drained(all_of_it):
                done, left = self._done, end - time.monotonic()
                if not self._changed.wait_for(
                    lambda done=done: self._is_drained(all_of_it) or self._done != done,  # type: ignore[misc] # the default binds the loop's value
                    left if stalled_seconds is None else min(left, stalled_seconds),
                ):
                    return False
        return True

    def stop(self, *, drain_seconds: float = 0.0) -> None:
        """End the thread, after `drain`."""
        self.drain(drain_seconds)
        with self._changed:
            self.interruption.set()
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(_STOP_TIMEOUT)

    def _is_drained(self, all_of_it: bool) -> bool:
        if self.interruption.is_set() or not self._thread.is_alive():
            return True
        due = self.keys.next_time()
        return not self._busy and (due is None or (not all_of_it and due > self._clock.monotonic()))

    def _run(self) -> None:
        while (taken := self._wait_for_write()) is not None:
            key, write = taken
            try:
                self._write(write)
            except RequestInterruptedError:
                return
            except RequestError as error:
                self._fail(key, error)
            else:
                self._succeed(key)
            with self._changed:
                self._busy = False
                self._done += 1
                self._changed.notify_all()

    def _wait_for_write(self) -> tuple[str, _Write] | None:
        """Wait for the next write that may be sent; return it with its key, None at the end."""
        with self._changed:
            while not self.interruption.is_set():
                now = self._clock.monotonic()
                due = self.keys.next_time()
                delay = None if due is None else max(due - now, self._limiter.delay(now))
                if delay is None or delay > 0:
                    self._changed.wait(delay)
                    continue
                taken = self._take(now)
                if taken is not None:
                    self._limiter.take(now)
                    self._busy = True
                    return taken
                self._changed.notify_all()  # what was due is not any more: `drain` need not wait for it
        return None

    def _take(self, now: float) -> tuple[str, _Write] | None:
        key = self.keys.pop(now)
        if key is None:
            return None
        write = self._prepare(key, now)
        if write is None:
            self._retries.pop(key, None)
        elif isinstance(write, float):
            self.keys.add(key, write)
        elif key in self._retries and self._retries[key].at > now:
            self.keys.add(key, self._retries[key].at)
        else:
            return key, write
        return None

    def _succeed(self, key: str) -> None:
        self._retries.pop(key, None)
        self._backoff.reset()
        if self._failing is not None:
            self._failing = None
            _log.info("writes to the Kubernetes API recovered", queue=self._name)

    def _fail(self, key: str, error: RequestError) -> None:
        status = error.status if isinstance(error, ApiStatusError) else 0
        retry = self._retries.setdefault(key, _Retry(Backoff(self._refusal)))
        with self._changed:
            retry.at = self._clock.monotonic() + retry.backoff.next()
            self.keys.add(key, retry.at)
        about = {"queue": self._name, "object": key.partition("\n")[0], "cause": str(error)}
        if status in _ONE_OBJECT:
            if retry.status != status:
                _log.warning("write refused; retrying", **about)
            retry.status = status
            return
        if self._failing != (type(error), status):
            _log.warning("writes to the Kubernetes API failed; retrying", **about)
        self._failing = (type(error), status)
        asked = error.retry_after if isinstance(error, ApiStatusError) else 0.0
        self._clock.wait(self._backoff.next() + min(asked, self._outage.longest_delay), self.interruption)
