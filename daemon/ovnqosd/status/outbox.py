"""A thread that sends what a ledger says is due: one write at a time, at a bounded rate, until it is told to end."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from ovnqos.kubernetes import Interruption, RequestInterruptedError
from ovnqosd.status.token_bucket import TokenBucket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ovnqos.kubernetes import Clock

_Write = TypeVar("_Write")
_STOP_TIMEOUT: Final = 2.0


class Outbox(Generic[_Write]):
    """Runs from `start` to `stop`.

    Attributes:
        interruption: set when the thread is to end; requests are to be covered by it.
    """

    def __init__(  # noqa: PLR0913 - keywords
        self,
        name: str,
        *,
        next_time: Callable[[], float | None],
        take: Callable[[float], _Write | None],
        send: Callable[[_Write], None],
        rate: float,
        burst: int,
        clock: Clock,
    ) -> None:
        """Makes an outbox.

        Args:
            name: the thread's.
            next_time: says when there is something to look at in the ledger, on the monotonic clock; None: not before
                something changes. Like `take` it is asked inside of `changing`.
            take: takes the next write out of it, given the time; None if nothing is due yet after all.
            send: sends a write, in the thread, and deals with failures itself; `RequestInterruptedError` ends the
                thread.
            rate: writes a second in the long run.
            burst: writes at once after a pause.
            clock: the time.
        """
        self.interruption = Interruption()
        self._next_time = next_time
        self._take = take
        self._send = send
        self._clock = clock
        self._bucket = TokenBucket(rate=rate, burst=burst)
        self._changed = threading.Condition()
        self._busy = False
        self._sent = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    @property
    def busy(self) -> bool:
        """Whether a write is being sent; to be asked inside of `changing`."""
        return self._busy

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Inside, the ledger is the caller's; then the thread looks at it again."""
        with self._changed:
            yield
            self._changed.notify_all()

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def drain(self, seconds: float, *, stalled_seconds: float | None = None, all_of_it: bool = False) -> bool:
        """Waits until what is due is sent; returns whether it is.

        Args:
            seconds: how long at most.
            stalled_seconds: and how long without a write that ended; None: no sooner.
            all_of_it: wait for what is due later, too.
        """
        end = time.monotonic() + seconds
        with self._changed:
            while not self._is_drained(all_of_it):
                sent, left = self._sent, end - time.monotonic()
                if not self._changed.wait_for(
                    lambda sent=sent: self._is_drained(all_of_it) or self._sent != sent,  # type: ignore[misc] # the default binds the loop's value
                    left if stalled_seconds is None else min(left, stalled_seconds),
                ):
                    return False
        return True

    def stop(self, *, drain_seconds: float = 0.0) -> None:
        """Ends the thread, after `drain`."""
        self.drain(drain_seconds)
        with self._changed:
            self.interruption.set()
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(_STOP_TIMEOUT)

    def _is_drained(self, all_of_it: bool) -> bool:
        if self.interruption.is_set() or not self._thread.is_alive():
            return True
        next_time = self._next_time()
        nothing = next_time is None or (not all_of_it and next_time > self._clock.monotonic())
        return nothing and not self._busy

    def _run(self) -> None:
        while (write := self._next()) is not None:
            try:
                self._send(write)
            except RequestInterruptedError:
                return
            with self._changed:
                self._busy = False
                self._sent += 1
                self._changed.notify_all()

    def _next(self) -> _Write | None:
        """Waits for the next write that may be sent; None at the end."""
        with self._changed:
            while not self.interruption.is_set():
                now = self._clock.monotonic()
                due = self._next_time()
                delay = None if due is None else max(due - now, self._bucket.delay(now))
                if delay is None or delay > 0:
                    self._changed.wait(delay)
                    continue
                write = self._take(now)
                if write is not None:
                    self._bucket.take(now)
                    self._busy = True
                    return write
                self._changed.notify_all()  # what was due is not any more: nobody need wait for it
        return None
