"""Writes Kubernetes Events, in a thread of its own, as well as it can."""

from __future__ import annotations

import re
import uuid
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import structlog

from ovnqos.controller import printable
from ovnqos.kubernetes import MERGE_PATCH, ApiStatusError, Clock, RetryPolicy
from ovnqosd.status.condition import format_time
from ovnqosd.status.events import NETWORK_QOS
from ovnqosd.status.work_queue import DelayingQueue, WorkQueue

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovnqos.kubernetes import KubernetesClient
    from ovnqosd.status.events import Event

_COMPONENT: Final = "ovnqosd"
_API_VERSIONS: Final = {
    NETWORK_QOS: "k8s.ovn.org/v1alpha1",
    "NetworkAttachmentDefinition": "k8s.cni.cncf.io/v1",
}  # of the others: v1
_NOT_FOUND: Final = 404
_RETRIED: Final = frozenset({401, 429})
"""Refusals that pass; of the others the next Event may fare better."""
_REMEMBERED: Final = 10_000
_TIMEOUT: Final = 10.0
_MESSAGE_MAXIMUM: Final = 1024
"""The limit of events.k8s.io/v1, which shows the same objects; core/v1 has none (measured with 1.20)."""
_NAME_MAXIMUM: Final = 253
_log = structlog.get_logger()


@dataclass(slots=True)
class EventWrite:
    """Equal Events of an object, and how they are written.

    Attributes:
        event: what happened last.
        new: how often since the last write.
        count: how often in all that `name` counts.
        name: of the Event object that says the same and counts them; empty: there is none.
        written: what was written last.
        first_time: when it happened first, in seconds since 1970.
        last_time: and last.
        next_at: when it may be written again, on the monotonic clock.
    """

    event: Event
    new: int = 0
    count: int = 0
    name: str = ""
    written: Event | None = None
    first_time: float = 0.0
    last_time: float = 0.0
    next_at: float = 0.0


class EventSeries:
    """Count equal Events, so that an error that repeats is one write a minute per object and reason. Not thread-safe.

    Times are arguments: `now` in seconds of one monotonic clock, `time` in seconds since 1970.
    """

    def __init__(self, queue: DelayingQueue, *, interval: float = 60.0, remembered: int = _REMEMBERED) -> None:
        """Start without Events.

        Args:
            queue: gets the keys of the series to write.
            interval: seconds between two writes for the same object and reason.
            remembered: of how many pairs of object and reason it is kept what was written.
        """
        self._queue = queue
        self._interval = interval
        self._remembered = remembered
        self._series: dict[str, EventWrite] = {}
        self._of_namespace: dict[str, OrderedDict[str, None]] = {}  # keys by namespace, that not recorded longest first
        self._of_object: dict[str, set[str]] = {}

    def __len__(self) -> int:
        """How many pairs of object and reason are kept."""
        return len(self._series)

    def record(self, event: Event, now: float, time: float) -> None:
        """Take what happened."""
        key = _key(event)
        series = self._series.get(key)
        is_new = series is None
        if series is None or series.event.uid != event.uid:
            series = self._series[key] = EventWrite(event)
            self._of_object.setdefault(_object(key), set()).add(key)
        if not is_new:
            self._of_namespace[_namespace(key)].move_to_end(key)
        if not series.new and series.written != event:
            series.first_time = time
        series.event = event
        series.new += 1
        series.last_time = time
        self._queue.add(key, max(now, series.next_at))
        if is_new:
            self._of_namespace.setdefault(_namespace(key), OrderedDict())[key] = None
        while len(self._series) > self._remembered:  # of the namespace with the most, so that none drives out another's
            largest = max(self._of_namespace, key=lambda name: len(self._of_namespace[name]))
            self._drop(next(iter(self._of_namespace[largest])))

    def prepare(self, key: str, now: float) -> EventWrite | float | None:
        """Return what to write of a series, or from when on; None if nothing happened."""
        series = self._series.get(key)
        if series is None or not series.new:
            return None
        if series.next_at > now:
            return series.next_at
        if series.written == series.event:
            return replace(series, count=series.count + series.new)
        return replace(series, count=series.new, name="")

    def written(self, write: EventWrite, name: str, now: float) -> None:
        """Take note of what was written, and of its Event object's name; empty: the API server refused it."""
        key = _key(write.event)
        series = self._series.get(key)
        if series is None or series.event.uid != write.event.uid:
            return
        series.new -= write.new
        series.count, series.name, series.written = write.count, name, write.event
        series.next_at = now + self._interval
        if series.new:
            self._queue.add(key, series.next_at)

    def delete(self, kind: str, keys: Iterable[str]) -> None:
        """Remove objects: nothing more is written of them."""
        for one in keys:
            for key in [*self._of_object.get(f"{kind} {one}", ())]:
                self._drop(key)

    def _drop(self, key: str) -> None:
        del self._series[key]
        of_namespace = self._of_namespace[_namespace(key)]
        del of_namespace[key]
        if not of_namespace:
            del self._of_namespace[_namespace(key)]
        keys = self._of_object[_object(key)]
        keys.discard(key)
        if not keys:
            del self._of_object[_object(key)]


def _object(key: str) -> str:
    return key.partition("\n")[0]


def _namespace(key: str) -> str:
    """The namespace that an Event is about: an object's own, or the object."""
    return _object(key).partition(" ")[2].partition("/")[0]


def _key(event: Event) -> str:
    return f"{event.kind} {event.key}\n{event.reason}"


class EventWriter:
    """Write Events. Any thread may call its methods; none of them waits for the API."""

    def __init__(  # noqa: PLR0913 - keywords with defaults
        self,
        client: KubernetesClient,
        host: str,
        *,
        interval: float = 60.0,
        rate: float = 5.0,
        burst: int = 50,
        clock: Clock | None = None,
    ) -> None:
        """Describe a writer; `start` starts it.

        Args:
            client: the API.
            host: the node or pod that this process runs on.
            interval: seconds between two writes for the same object and reason.
            rate: writes a second in the long run.
            burst: writes at once after a pause.
            clock: the time.
        """
        self._client = client
        self._host = host
        self._clock = clock if clock is not None else Clock()
        self._refused = 0
        keys = DelayingQueue(_namespace)
        self._series = EventSeries(keys, interval=interval)
        self._queue: WorkQueue[EventWrite] = WorkQueue(
            "event-writer",
            keys,
            prepare=self._series.prepare,
            write=self._write,
            rate=rate,
            burst=burst,
            outage=RetryPolicy(),
            refusal=RetryPolicy(),
            clock=self._clock,
        )

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._queue.is_alive

    def start(self) -> None:
        """Start the thread."""
        self._queue.start()

    def stop(self, *, drain_seconds: float = 0.0) -> None:
        """End the thread; before that, up to so many seconds, what is due now is written."""
        self._queue.stop(drain_seconds=drain_seconds)

    def record(self, events: Iterable[Event]) -> None:
        """Record what happened."""
        with self._queue.changing() as now:
            for event in events:
                self._series.record(event, now, self._clock.now())

    def delete(self, kind: str, keys: Iterable[str]) -> None:
        """Remove objects: nothing more is written of them."""
        with self._queue.changing():
            self._series.delete(kind, keys)

    def _write(self, write: EventWrite) -> None:
        try:
            name = self._send(write)
            self._refused = 0
        except ApiStatusError as error:
            if error.status >= 500 or error.status in _RETRIED:
                raise
            name = ""
            if error.status != self._refused:
                event = write.event
                _log.warning("Event refused", object=event.key, reason=event.reason, cause=str(error))
            self._refused = error.status
        with self._queue.changing() as now:
            self._series.written(write, name, now)

    def _send(self, write: EventWrite) -> str:
        """Write an Event; return the name of its object."""
        own_namespace, _, name = write.event.key.rpartition("/")
        namespace = own_namespace or "default"  # where the Events of cluster-wide objects are
        collection = f"/api/v1/namespaces/{namespace}/events"
        if write.name:
            change = {"count": write.count, "lastTimestamp": _format(write.last_time)}
            try:
                self._request("PATCH", f"{collection}/{write.name}", change, MERGE_PATCH)
            except ApiStatusError as error:
                if error.status != _NOT_FOUND:  # the API server forgets an Event after an hour
                    raise
            else:
                return write.name
        suffix = f".{uuid.uuid4().hex[:16]}"
        unique = re.sub(r"[-.]+\Z", "", name[: _NAME_MAXIMUM - len(suffix)]) + suffix
        self._request("POST", collection, self._document(write, namespace, name, unique))
        return unique

    def _request(self, method: str, path: str, document: object, content_type: str = "application/json") -> None:
        self._client.request(
            method,
            path,
            document,
            content_type=content_type,
            interruption=self._queue.interruption,
            timeout=_TIMEOUT,
        )

    def _document(self, write: EventWrite, namespace: str, name: str, unique: str) -> dict[str, object]:
        event = write.event
        regarding = {"apiVersion": _API_VERSIONS.get(event.kind, "v1"), "kind": event.kind, "name": name}
        if "/" in event.key:
            regarding["namespace"] = namespace
        message = printable(event.message)
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"namespace": namespace, "name": unique},
            "involvedObject": regarding | ({"uid": event.uid} if event.uid else {}),
            "type": event.type,
            "reason": event.reason,
            "message": message if len(message) <= _MESSAGE_MAXIMUM else message[: _MESSAGE_MAXIMUM - 1] + "…",
            "count": write.count,
            "firstTimestamp": _format(write.first_time),
            "lastTimestamp": _format(write.last_time),
            "source": {"component": _COMPONENT, "host": self._host},
            "reportingComponent": _COMPONENT,
            "reportingInstance": self._host,
        }


def _format(seconds: float) -> str:
    return format_time(datetime.fromtimestamp(seconds, UTC))
