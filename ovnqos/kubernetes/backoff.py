"""When to try again: exponential backoff with full jitter, on a clock that tests replace."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ovnqos.kubernetes.interruption import Interruption

_DOUBLINGS_MAXIMUM = 32


class Clock:
    """The machine's clock."""

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds on a clock that is never set."""
        return time.monotonic()

    def wait(self, seconds: float, interruption: Interruption) -> None:
        """Waits, but not beyond the interruption."""
        interruption.wait(seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often the API is asked, in seconds.

    Attributes:
        first_delay: ceiling of the delay after a first failure; it doubles with each further one.
        longest_delay: the highest that ceiling becomes.
        settled_after: a watch that was open so long has ended the failures before it.
        absent_interval: between two looks for a resource whose CRD is not installed.
        absence_confirmed_after: a resource that was there is believed gone when it has been missing so long. API
            servers that start have answered 404 before they knew their CRDs (kubernetes/kubernetes#71218, #115241).
        watch_shortest: how long the server keeps a watch open, at least.
        watch_longest: and at most.
        silence_maximum: a server that is so much later to end a watch than it was asked to is dead.
        random: where jitter comes from.
    """

    first_delay: float = 0.5
    longest_delay: float = 30.0
    settled_after: float = 5.0
    absent_interval: float = 30.0
    absence_confirmed_after: float = 10.0
    watch_shortest: int = 240
    watch_longest: int = 300
    silence_maximum: float = 30.0
    random: random.Random = random.SystemRandom()  # noqa: RUF009 # it has no state to share

    def watch_seconds(self) -> int:
        """How long the next watch is to last. Jitter keeps the reflectors of a cluster from asking in step."""
        return self.random.randint(self.watch_shortest, self.watch_longest)

    def absent_delay(self) -> float:
        """Until the next look for a resource that is absent."""
        return self.absent_interval * self.random.uniform(0.9, 1.1)


class Backoff:
    """Delays that grow with each failure in a row.

    tenacity repeats a call until it succeeds; a watch succeeds for minutes and then fails, and what ends a row of
    failures is its age, so the row is counted here.
    """

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._failures = 0

    def count(self) -> None:
        """Counts a failure that is to have no delay of its own."""
        self._failures += 1

    def next(self) -> float:
        """Counts a failure; returns its delay in seconds: anything from 0 to the ceiling."""
        ceiling = self._pace.first_delay * 2 ** min(self._failures, _DOUBLINGS_MAXIMUM)
        self._failures += 1
        return self._pace.random.uniform(0, min(ceiling, self._pace.longest_delay))

    def reset(self) -> None:
        """Ends the row of failures."""
        self._failures = 0
