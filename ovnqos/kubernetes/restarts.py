"""Why a list or watch ended, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ovnqos.kubernetes.request_errors import ApiStatusError, ApiUnreachableError, UnreadableAnswerError

_GONE = 410
_NOT_FOUND = 404
_SAME_VERSION_LATER = frozenset({401, 403, 429})


class RestartReason(StrEnum):
    """Why a list or watch ended; the words serve as a metric's label."""

    CLOSED = "closed"
    """The server ended a watch, as it does after some minutes."""
    EXPIRED = "expired"
    """The version to watch from is too old (HTTP 410)."""
    ABSENT = "absent"
    """The API server does not serve the resource, an optional one."""
    REFUSED = "refused"
    """The API server answered with an error."""
    UNREACHABLE = "unreachable"
    """No answer: no connection, a broken one, or silence."""
    UNREADABLE = "unreadable"
    """The answer is not what the Kubernetes API says."""
    ERROR = "error"
    """The handler raised an exception."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """The end of a list or watch.

    Attributes:
        reason: why.
        words: the same for a person.
        status: the HTTP status behind it; 0 if none.
        relist: whether the watch cannot go on from where it was.
        retry_after: seconds that the server asked to be left alone.
        error: what was raised, if the cause is in this process.
    """

    reason: RestartReason
    words: str
    status: int = 0
    relist: bool = False
    retry_after: float = 0.0
    error: Exception | None = None

    @property
    def is_routine(self) -> bool:
        """Whether it is part of a watch's normal life, unless it comes again before a watch has settled."""
        return self.reason in {RestartReason.CLOSED, RestartReason.EXPIRED}

    def is_like(self, other: Restart) -> bool:
        """Whether it tells a person nothing new after the other one."""
        mine, theirs = (self.reason, self.status, type(self.error)), (other.reason, other.status, type(other.error))
        return mine == theirs


CLOSED = Restart(reason=RestartReason.CLOSED, words="the server ended the watch")


def restart_after(error: Exception, *, optional: bool) -> Restart:
    """What follows from an error; `optional` is the resource's."""
    words = str(error)
    if isinstance(error, ApiStatusError):
        status = error.status
        reason = RestartReason.REFUSED
        if status == _GONE:
            reason = RestartReason.EXPIRED
        elif status == _NOT_FOUND and optional:
            reason = RestartReason.ABSENT
        # an overloaded or starting server is not asked for everything again by every node of a cluster
        relist = status < 500 and status not in _SAME_VERSION_LATER
        return Restart(reason=reason, words=words, status=status, relist=relist, retry_after=error.retry_after)
    if isinstance(error, ApiUnreachableError):
        return Restart(reason=RestartReason.UNREACHABLE, words=words)
    if isinstance(error, UnreadableAnswerError):
        return Restart(reason=RestartReason.UNREADABLE, words=words, relist=True)
    words = f"{type(error).__name__}: {error}"
    return Restart(reason=RestartReason.ERROR, words=words, relist=True, error=error)
