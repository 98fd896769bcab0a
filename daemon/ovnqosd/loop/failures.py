"""Passes that fail one after another: what is logged of them, and when the next one is due."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from ovnqos import LockLost, StalePlan
from ovnqos.controller import NorthboundUnavailable
from ovnqos.kubernetes import Backoff

if TYPE_CHECKING:
    from ovnqos import OvnQosError
    from ovnqos.kubernetes import Clock, RetryPolicy

_log = structlog.get_logger()
_LOOK_AGAIN_S: Final = 5.0
"""A Northbound that is out of reach, or locked, is asked for at least so often: asking costs it little."""


class Failures:
    """The row of failures since a pass last succeeded.

    Attributes:
        retry_at: before this time, on the monotonic clock, nothing is tried again.
    """

    def __init__(self, pace: RetryPolicy, clock: Clock) -> None:
        self.retry_at = 0.0
        self._backoff = Backoff(pace)
        self._clock = clock
        self._told: set[type[OvnQosError]] = set()

    def add(self, error: OvnQosError | None = None) -> None:
        """Counts a failure; None is one that was told already, or that is not the Northbound's.

        Each kind of error is logged once in a row, however often it comes. A plan that the database has outrun is made
        again at once.
        """
        now = self._clock.monotonic()
        delay = self._backoff.next()
        if isinstance(error, StalePlan):
            delay = 0.0
        elif isinstance(error, LockLost | NorthboundUnavailable):
            delay = min(delay, _LOOK_AGAIN_S)
        self.retry_at = now + delay
        if error is not None and type(error) not in self._told:
            self._told.add(type(error))
            _log.warning(
                "the Northbound is not as it should be; trying again and again",
                error=str(error),
                kind=type(error).__name__,
            )

    def end(self) -> None:
        """A pass succeeded."""
        self._backoff.reset()
        if self._told:
            self._told.clear()
            _log.info("the Northbound is as it should be again")
