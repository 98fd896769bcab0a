"""Writes Kubernetes Events, in a thread of its own, as well as it can."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import structlog

from ovnqos.kubernetes import MERGE_PATCH, ApiStatusError, Clock, RequestError, RequestInterruptedError
from ovnqosd.status.condition import format_time
from ovnqosd.status.event_ledger import EventLedger
from ovnqosd.status.events import NETWORK_QOS, event_of_condition, event_of_remark, event_of_unsayable, events_of_drift
from ovnqosd.status.outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ovnqos.kubernetes import KubernetesClient
    from ovnqosd.loop.outcomes import Drift, ObjectRemark, PolicyOutcome
    from ovnqosd.status.condition import Condition
    from ovnqosd.status.event_ledger import EventWrite
    from ovnqosd.status.events import Event

_COMPONENT: Final = "ovnqosd"
_API_VERSIONS: Final = {NETWORK_QOS: "k8s.ovn.org/v1alpha1"}  # of the others: v1
_NOT_FOUND: Final = 404
_TIMEOUT: Final = 10.0
_MESSAGE_MAXIMUM: Final = 1024
"""The limit of events.k8s.io/v1, which shows the same objects; core/v1 has none (measured with 1.20)."""
_NAME_MAXIMUM: Final = 253


class EventWriter:
    """Any thread may call its methods; none of them waits for the API."""

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
        """Makes a writer; `start` starts it.

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
        self._ledger = EventLedger(interval=interval)
        self._problem = ""
        self._log = structlog.get_logger()
        self._outbox = Outbox(
            "event-writer",
            next_time=self._ledger.next_time,
            take=self._ledger.next,
            send=self._write,
            rate=rate,
            burst=burst,
            clock=self._clock,
        )

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._outbox.is_alive

    def start(self) -> None:
        """Starts the thread."""
        self._outbox.start()

    def stop(self, *, drain_seconds: float = 0.0) -> None:
        """Ends the thread; before that, up to so many seconds, what is due now is written."""
        self._outbox.stop(drain_seconds=drain_seconds)

    def condition_written(self, outcome: PolicyOutcome, previous: Condition | None) -> None:
        """Tells of a condition; it fits `StatusWriter`'s `on_condition`. See `events.event_of_condition`."""
        event = event_of_condition(outcome, previous)
        if event is not None:
            self.record([event])

    def condition_refused(self, outcome: PolicyOutcome, refusal: str) -> None:
        """Tells what a status cannot; it fits `StatusWriter`'s `on_unsayable`. See `events.event_of_unsayable`."""
        self.record([event_of_unsayable(outcome, refusal)])

    def drift_repaired(self, drift: Iterable[Drift], uid_of: Callable[[str], str]) -> None:
        """Tells of what a pass put right; `uid_of` is `StatusWriter.uid_of`."""
        self.record(events_of_drift(drift, uid_of))

    def remarked(self, remarks: Iterable[ObjectRemark]) -> None:
        """Tells of what is to be said of pods and namespaces."""
        self.record(map(event_of_remark, remarks))

    def record(self, events: Iterable[Event]) -> None:
        """Tells of what happened."""
        with self._outbox.changing():
            for event in events:
                self._ledger.record(event, self._clock.monotonic(), self._clock.now())

    def forget_objects(self, kind: str, keys: Iterable[str]) -> None:
        """Takes objects for gone: nothing more is told of them."""
        with self._outbox.changing():
            self._ledger.forget(kind, keys)

    def _write(self, write: EventWrite) -> None:
        try:
            self._send(write)
        except RequestInterruptedError:
            raise
        except RequestError as error:
            self._tell(error, write)
        else:
            self._problem = ""

    def _send(self, write: EventWrite) -> None:
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
                return
        suffix = f".{uuid.uuid4().hex[:16]}"
        unique = re.sub(r"[-.]+\Z", "", name[: _NAME_MAXIMUM - len(suffix)]) + suffix
        self._request("POST", collection, self._document(write, namespace, name, unique))
        with self._outbox.changing():
            self._ledger.named(write.event, unique)

    def _request(self, method: str, path: str, document: object, content_type: str = "application/json") -> None:
        self._client.request(
            method,
            path,
            document,
            content_type=content_type,
            interruption=self._outbox.interruption,
            timeout=_TIMEOUT,
        )

    def _document(self, write: EventWrite, namespace: str, name: str, unique: str) -> dict[str, object]:
        event = write.event
        regarding = {"apiVersion": _API_VERSIONS.get(event.kind, "v1"), "kind": event.kind, "name": name}
        if "/" in event.key:
            regarding["namespace"] = namespace
        message = event.message
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

    def _tell(self, error: RequestError, write: EventWrite) -> None:
        problem = f"{type(error).__name__} {error.status if isinstance(error, ApiStatusError) else ''}"
        if problem != self._problem:
            event = write.event
            self._log.warning("cannot write Events", object=event.key, reason=event.reason, cause=str(error))
        self._problem = problem


def _format(seconds: float) -> str:
    return format_time(datetime.fromtimestamp(seconds, UTC))
