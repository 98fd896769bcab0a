"""Leader election: one of several processes holds a Lease.

`kubernetes.leaderelection` of version 37 was looked at and measured: an API that cannot be reached raises out of its
`run` without the callback for the end, it measures by a clock that can be set, and it does not release on stop. This
one follows client-go's: a candidate trusts only its own monotonic clock, and gives up before the others may take over.
"""

from __future__ import annotations

import math
import random
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import structlog

from ovnqos.kubernetes import ApiStatusError, Clock, Interruption, RequestError, RequestInterruptedError
from ovnqosd.leadership.lease import INT32_MAXIMUM, LeaseRecord, micro_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovnqosd.leadership.lease import Lease

_JITTER: Final = random.SystemRandom()
_TIMEOUT_SHORTEST: Final = 0.05
_RELEASE_TIMEOUT: Final = 2.0
_RETRY: Final = 2.0
_ATTEMPTS: Final = 5
_RETRY_AFTER_MAXIMUM: Final = 30.0
_NOT_RENEWED: Final = "Lease not renewed in time"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTiming:
    """The timing of an election in seconds; each must be longer than the next.

    Attributes:
        duration: how long the others wait for a holder that is silent.
        renew_deadline: a holder that could not renew for so long gives up.
        retry: between two attempts, up to a fifth longer.
    """

    duration: float = 15.0
    renew_deadline: float = 10.0
    retry: float = _RETRY

    @classmethod
    def of(cls, *, duration: float, renew_deadline: float) -> LeaseTiming:
        """Make a timing that has several attempts before the deadline, however short that is."""
        return cls(duration=duration, renew_deadline=renew_deadline, retry=min(_RETRY, renew_deadline / _ATTEMPTS))


class LeaderElector:
    """Take part in an election from `start` to `stop`, in a thread of its own. Any thread may ask `is_leader`.

    Attributes:
        identity: this process' name in the Lease.
        holder: who held the Lease when it was last read.
        problem: why it cannot be read or written now; empty if it can.
        took_over: whether this process, when it was last elected, took the Lease from one that had gone silent: that
            one may be frozen, and hold what it held.
    """

    def __init__(  # noqa: PLR0913 - keywords with defaults
        self,
        lease: Lease,
        identity: str,
        *,
        on_started: Callable[[], None],
        on_stopped: Callable[[], None],
        timing: LeaseTiming | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Describe a candidate; `start` starts it.

        Args:
            lease: what the candidates share.
            identity: a name that no other process has, see `lease.own_identity`.
            on_started: called when this process is elected. It must return soon: the renewal waits for it.
            on_stopped: called once after each `on_started`, when that has ended, also by `stop`. It returns when the
                work has stopped; the Lease is released only after that.
            timing: how often, and how long.
            clock: the time.
        """
        self.identity = identity
        self.holder = ""
        self.problem = ""
        self.took_over = False
        self._lease = lease
        self._on_started = on_started
        self._on_stopped = on_stopped
        self._timing = timing if timing is not None else LeaseTiming()
        self._clock = clock if clock is not None else Clock()
        self._interruption = Interruption()
        self._record: LeaseRecord | None = None
        self._seen_at = 0.0
        self._renewed_at = -math.inf
        self._not_before = -math.inf  # as the API asked by Retry-After
        self._leading = False
        self._log = structlog.get_logger().bind(lease=f"{lease.namespace}/{lease.name}", identity=identity)
        self._thread = threading.Thread(target=self._run, name="leader-elector", daemon=True)

    @property
    def is_leader(self) -> bool:
        """Whether this process is elected. It ends by the clock, even while a request hangs."""
        return self._leading and self._left() > 0

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; an elected process hands over at once. Returns after `on_stopped` and the release."""
        self._interruption.set()
        if self._thread is not threading.current_thread() and self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._interruption.is_set():
                self._attempt()
                asked = self._not_before - self._clock.monotonic()
                pause = max(asked, self._timing.retry * _JITTER.uniform(1.0, 1.2))
                if self._leading:
                    pause = min(pause, max(0.0, self._left()))
                self._clock.wait(pause, self._interruption)
        except RequestInterruptedError:
            pass
        finally:
            if self._leading:
                self._end("stopping")
                self._release()

    def _attempt(self) -> None:
        began = self._clock.monotonic()
        if began < self._not_before and self._leading and self._left() <= 0:
            self._end(_NOT_RENEWED)
            return
        try:
            held = self._take_or_renew()
        except RequestInterruptedError:
            raise
        except RequestError as error:
            self._log_problem(error)
            asked = error.retry_after if isinstance(error, ApiStatusError) else 0.0
            self._not_before = self._clock.monotonic() + min(asked, _RETRY_AFTER_MAXIMUM)
            if self._leading and self._left() <= 0:
                self._end(_NOT_RENEWED)
            return
        if self.problem:
            self.problem = ""
            self._log.info("Lease available again")
        if held:
            self._renewed_at = began  # not when the answer came: the others count from the write
            if not self._leading:
                self._leading = True
                self._log.info("elected")
                self._on_started()
        elif self._leading:
            self._end("another process holds the Lease")

    def _take_or_renew(self) -> bool:
        """Make one attempt; return whether the Lease is ours now."""
        if self._leading and self._record is not None and self._write(self._renewal(self._record)):
            return True
        self._see(self._lease.read(self._interruption, timeout=self._timeout()))
        record = self._record
        if record is None:
            return self._take(LeaseRecord(holder="", duration=0, acquired="", renewed=""))
        if record.holder == self.identity:
            return self._write(self._renewal(record))
        if record.holder and self._clock.monotonic() - self._seen_at < record.duration:
            return False
        return self._take(replace(record, transitions=min(record.transitions + 1, INT32_MAXIMUM)))

    def _take(self, record: LeaseRecord) -> bool:
        self.took_over = bool(record.holder)  # before the request: it may succeed without an answer
        return self._write(self._claim(record))

    def _see(self, record: LeaseRecord | None) -> None:
        if record != self._record:
            self._seen_at = self._clock.monotonic()
        self._record = record
        self.holder = record.holder if record is not None else ""

    def _renewal(self, record: LeaseRecord) -> LeaseRecord:
        return replace(record, duration=math.ceil(self._timing.duration), renewed=micro_time(self._clock.now()))

    def _claim(self, record: LeaseRecord) -> LeaseRecord:
        return self._renewal(replace(record, holder=self.identity, acquired=micro_time(self._clock.now())))

    def _write(self, record: LeaseRecord) -> bool:
        written = self._lease.write(record, self._interruption, timeout=self._timeout())
        if written is None:
            return False
        self._see(written)
        return True

    def _left(self) -> float:
        """Return the seconds until a holder must have renewed."""
        return self._renewed_at + self._timing.renew_deadline - self._clock.monotonic()

    def _timeout(self) -> float:
        """Return the timeout of a request; it counts twice, for the connection and for the answer."""
        timeout = self._timing.renew_deadline / 4
        return max(_TIMEOUT_SHORTEST, min(timeout, self._left() / 2)) if self._leading else timeout

    def _end(self, reason: str) -> None:
        self._leading = False
        self._log.info("no longer elected", reason=reason)
        self._on_stopped()

    def _release(self) -> None:
        unbroken = Interruption()
        try:
            for _ in range(2):  # the answer to a renewal may be missed, and with it the version to write upon
                record = self._record
                if record is None or record.holder != self.identity:
                    return
                now = micro_time(self._clock.now())
                released = replace(record, holder="", duration=1, acquired=now, renewed=now)
                if self._lease.write(released, unbroken, timeout=_RELEASE_TIMEOUT) is not None:
                    return
                self._see(self._lease.read(unbroken, timeout=_RELEASE_TIMEOUT))
        except RequestError as error:
            self._log.warning("Lease not released; the others wait until it expires", cause=str(error))

    def _log_problem(self, error: RequestError) -> None:
        if not self.problem:
            self._log.warning("Lease unavailable; retrying", cause=str(error))
        self.problem = str(error)
