"""When the Kubernetes API is asked again, and after what: backoff, and the reasons for which a list or watch ends."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ovnqos.kubernetes.errors import ApiStatusError, ApiUnreachableError, UnconfirmedListError, UnreadableAnswerError

if TYPE_CHECKING:
    from ovnqos.kubernetes.interruption import Interruption

_DOUBLINGS_MAXIMUM = 32
_GONE = 410
_NOT_FOUND = 404
_SAME_VERSION_LATER = frozenset({401, 403, 429})


class Clock:
    """The machine's clock; tests replace it."""

    def now(self) -> float:
        """Return the seconds since 1970."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds on a clock that is never set."""
        return time.monotonic()

    def wait(self, seconds: float, interruption: Interruption) -> None:
        """Wait, but not beyond the interruption."""
        interruption.wait(seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often the API is asked, in seconds.

    Attributes:
        first_delay: ceiling of the delay after a first failure; it doubles with each further one.
        longest_delay: the highest that ceiling becomes.
        stable_after: a watch that was open so long has ended the failures before it.
        absent_interval: between two requests for a resource whose CRD is not installed.
        absence_confirmed_after: a resource that was served counts as absent when it has been missing so long. API
            servers that start have answered 404 before they knew their CRDs (kubernetes/kubernetes#71218, #115241).
        emptiness_confirmed_after: a list that is empty, and was not, is believed when it is still empty so much later.
        watch_shortest: how long the server keeps a watch open, at least.
        watch_longest: and at most.
        silence_maximum: a watch that the server ends so much later than it was asked to is broken off.
        random: where jitter comes from.
    """

    first_delay: float = 0.5
    longest_delay: float = 30.0
    stable_after: float = 5.0
    absent_interval: float = 30.0
    absence_confirmed_after: float = 10.0
    emptiness_confirmed_after: float = 5.0
    watch_shortest: int = 240
    watch_longest: int = 300
    silence_maximum: float = 30.0
    random: random.Random = random.SystemRandom()  # noqa: RUF009 # it has no state to share

    def watch_seconds(self) -> int:
        """Return how long the next watch is to last, jittered: the reflectors of a cluster do not ask in step."""
        return self.random.randint(self.watch_shortest, self.watch_longest)

    def absent_delay(self) -> float:
        """Return the seconds until the next request for a resource that is absent."""
        return self.absent_interval * self.random.uniform(0.9, 1.1)


class Backoff:
    """Exponential backoff with full jitter over consecutive failures.

    tenacity repeats a call until it succeeds; a watch succeeds for minutes and then fails, and what ends its failures
    is its age, so they are counted here.
    """

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._failures = 0

    def count(self) -> None:
        """Count a failure that is retried without a delay."""
        self._failures += 1

    def next(self) -> float:
        """Count a failure; return its delay in seconds: anything from 0 to the ceiling."""
        ceiling = self._policy.first_delay * 2 ** min(self._failures, _DOUBLINGS_MAXIMUM)
        self._failures += 1
        return self._policy.random.uniform(0, min(ceiling, self._policy.longest_delay))

    def reset(self) -> None:
        """Forget the failures."""
        self._failures = 0


class RestartReason(StrEnum):
    """Why a list or watch ended; the values serve as a metric's label."""

    CLOSED = "closed"
    """The server ended a watch, as it does after some minutes."""
    EXPIRED = "expired"
    """The version to watch from is too old (HTTP 410)."""
    ABSENT = "absent"
    """The API server does not serve the resource, an optional one."""
    EMPTY = "empty"
    """A list has no objects, and had some before: it is asked for again."""
    REFUSED = "refused"
    """The API server answered with an error."""
    UNREACHABLE = "unreachable"
    """No answer: no connection, a broken one, or silence."""
    UNREADABLE = "unreadable"
    """The answer does not follow the Kubernetes API."""
    ERROR = "error"
    """The handler raised an exception."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """The end of a list or watch.

    Attributes:
        reason: why.
        text: the same for the log.
        status: the HTTP status behind it; 0 if none.
        relist: whether the watch cannot go on from where it was.
        retry_after: seconds to wait as the server asked.
        error: what was raised, if the cause is in this process.
    """

    reason: RestartReason
    text: str
    status: int = 0
    relist: bool = False
    retry_after: float = 0.0
    error: Exception | None = None

    @property
    def is_routine(self) -> bool:
        """Whether it is part of a watch's normal life, unless it comes again before a watch is stable."""
        return self.reason in {RestartReason.CLOSED, RestartReason.EXPIRED}

    @property
    def cause(self) -> tuple[RestartReason, int, type[Exception] | None]:
        """What it shares with restarts of the same cause, which are logged once."""
        return self.reason, self.status, type(self.error) if self.error is not None else None


CLOSED = Restart(reason=RestartReason.CLOSED, text="the server ended the watch")


def restart_after(error: Exception, *, optional: bool) -> Restart:
    """Say what follows from an error; `optional` is the resource's."""
    text = str(error)
    if isinstance(error, ApiStatusError):
        status = error.status
        reason = RestartReason.REFUSED
        if status == _GONE:
            reason = RestartReason.EXPIRED
        elif status == _NOT_FOUND and optional:
            reason = RestartReason.ABSENT
        # an overloaded or starting server is not asked for everything again by every node of a cluster
        relist = status < 500 and status not in _SAME_VERSION_LATER
        return Restart(reason=reason, text=text, status=status, relist=relist, retry_after=error.retry_after)
    if isinstance(error, ApiUnreachableError):
        return Restart(reason=RestartReason.UNREACHABLE, text=text)
    if isinstance(error, UnconfirmedListError):
        return Restart(reason=RestartReason.EMPTY, text=text, relist=True)
    if isinstance(error, UnreadableAnswerError):
        return Restart(reason=RestartReason.UNREADABLE, text=text, relist=True)
    return Restart(reason=RestartReason.ERROR, text=f"{type(error).__name__}: {error}", relist=True, error=error)
