"""How soon the status of an object is written."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusPace:
    """How soon statuses are written, in seconds.

    Attributes:
        spacing: between two writes of the same field manager to one object.
        unavailable_settles: an outage of the Northbound becomes a condition when it lasts so long; a cluster that
            elects a new leader is not worth two writes of every object.
        pending_settles: the same for a summary that says `Pending`.
        retraction_settles: a condition that is not needed any more, but still true, is taken away after so long; pods
            that are replaced, and processes that are, come back sooner.
        repeat_longest: what somebody else undoes is written again after a delay that doubles up to this.
        missing_retry: an object that the API server does not know is tried once more so much later; a server that
            starts answers 404 for a moment.
        retry_first: ceiling of the delay after a first failure.
        retry_longest: the highest that ceiling becomes.
    """

    spacing: float = 1.0
    unavailable_settles: float = 10.0
    pending_settles: float = 2.0
    retraction_settles: float = 60.0
    repeat_longest: float = 300.0
    missing_retry: float = 10.0
    retry_first: float = 1.0
    retry_longest: float = 120.0
