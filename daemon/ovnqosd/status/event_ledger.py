"""Which Event is to be written next, so that a fault that comes again and again does not become a stream of them.

It does no I/O and reads no clock: times are arguments, in seconds of one monotonic clock.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ovnqosd.status.due_queue import DueQueue

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovnqosd.status.events import Event

_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class EventWrite:
    """An Event to write.

    Attributes:
        event: what happened last.
        count: how often, with what `name` has counted.
        name: of the Event object that says the same and is to be counted up; empty: a new one is to be made.
        first_time: when it happened first, in seconds since 1970.
        last_time: and last.
    """

    event: Event
    count: int
    name: str
    first_time: float
    last_time: float


@dataclass(slots=True)
class _Series:
    event: Event
    waiting: int = 0
    name: str = ""
    written: Event | None = None
    count: int = 0
    first_time: float = 0.0
    last_time: float = 0.0
    next_at: float = 0.0


class EventLedger:
    """Per object and reason at most one write a minute; what happens in between is counted. Not for several threads."""

    def __init__(self, *, interval: float = 60.0, remembered: int = _REMEMBERED) -> None:
        """Makes a ledger.

        Args:
            interval: seconds between two writes for the same object and reason.
            remembered: of how many pairs of object and reason it knows what was written.
        """
        self._interval = interval
        self._remembered = remembered
        self._series: OrderedDict[str, _Series] = OrderedDict()
        self._of_object: dict[str, set[str]] = {}
        self._queue = DueQueue()

    def __len__(self) -> int:
        """How many objects and reasons wait to be written."""
        return len(self._queue)

    def next_time(self) -> float | None:
        """When the next write is due; None if there is none."""
        return self._queue.next_time()

    def record(self, event: Event, now: float, time: float) -> None:
        """Takes what happened; `time` is when, in seconds since 1970."""
        identity = _identity(event)
        series = self._series.get(identity)
        if series is None or series.event.uid != event.uid:
            series = self._series[identity] = _Series(event)
            self._of_object.setdefault(_object(identity), set()).add(identity)
        self._series.move_to_end(identity)
        if not series.waiting and series.written != event:
            series.first_time = time
        series.event = event
        series.waiting += 1
        series.last_time = time
        self._queue.add(identity, max(now, series.next_at))
        while len(self._series) > self._remembered:
            self._drop(next(iter(self._series)))

    def next(self, now: float) -> EventWrite | None:
        """The next write, None if none is due yet; it counts as done, whatever becomes of it."""
        identity = self._queue.pop(now)
        if identity is None:
            return None
        series = self._series[identity]
        again = series.name != "" and series.written == series.event
        series.count = series.waiting + (series.count if again else 0)
        series.name = series.name if again else ""
        series.waiting = 0
        series.written = series.event
        series.next_at = now + self._interval
        return EventWrite(
            event=series.event,
            count=series.count,
            name=series.name,
            first_time=series.first_time,
            last_time=series.last_time,
        )

    def named(self, event: Event, name: str) -> None:
        """The Event object of this name says this now; empty: there is none."""
        series = self._series.get(_identity(event))
        if series is not None and series.written == event:
            series.name = name

    def forget(self, kind: str, keys: Iterable[str]) -> None:
        """Takes objects for gone."""
        for key in keys:
            for identity in [*self._of_object.get(f"{kind} {key}", ())]:
                self._drop(identity)

    def _drop(self, identity: str) -> None:
        del self._series[identity]
        self._queue.discard(identity)
        identities = self._of_object[_object(identity)]
        identities.discard(identity)
        if not identities:
            del self._of_object[_object(identity)]


def _object(identity: str) -> str:
    return identity.partition("\n")[0]


def _identity(event: Event) -> str:
    return f"{event.kind} {event.key}\n{event.reason}"
