"""Writes the status of NetworkQoS objects, in a thread of its own."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import structlog

from ovnqos.kubernetes import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, ApiStatusError, Clock, RetryPolicy
from ovnqosd.status.condition import condition_type
from ovnqosd.status.object_status import read_status
from ovnqosd.status.status_plan import StatusPlan, StatusTiming
from ovnqosd.status.work_queue import DelayingQueue, WorkQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ovnqos.kubernetes import KubernetesClient
    from ovnqosd.status.condition import Condition
    from ovnqosd.status.object_status import ObservedStatus, StatusPatch
    from ovnqosd.status.policy_outcome import PolicyOutcome

API_VERSION: Final = "k8s.ovn.org/v1alpha1"
_TIMEOUT: Final = 30.0
_NOT_FOUND: Final = 404
_UNPROCESSABLE: Final = 422
_UNDECLARED: Final = "field not declared in schema"
"""Of an API server whose custom resource lacks a field that is applied, with HTTP 500 (measured, 1.20 and 1.36)."""
_log = structlog.get_logger()


class StatusWriter:
    """Make each object's status render its outcome in this zone. Any thread may call its methods.

    Nothing is written that the object already says. An object that changes often is written at most once a second, with
    what holds then. A write that fails is retried until it succeeds or the object is gone.
    """

    def __init__(  # noqa: PLR0913 - keywords with defaults
        self,
        client: KubernetesClient,
        zone: str,
        *,
        shared: bool = False,
        on_condition: Callable[[PolicyOutcome, Condition | None], None] | None = None,
        on_refusal: Callable[[PolicyOutcome, str], None] | None = None,
        timing: StatusTiming | None = None,
        outage: RetryPolicy | None = None,
        rate: float = 50.0,
        burst: int = 100,
        clock: Clock | None = None,
    ) -> None:
        """Describe a writer; `start` starts it.

        Args:
            client: the API.
            zone: the name of the zone that outcomes are about.
            shared: whether several processes serve the zone (central mode): then only the elected one writes anything.
            on_condition: called, in the writer's thread, for each condition that was written, with its outcome and the
                condition that it replaced, None if there was none.
            on_refusal: called, likewise, for each condition that the API server refuses to write on the object, once
                for as long as the condition stays what it is, with its outcome and the server's message. It refuses any
                write of an object that was stored before the custom resource's schema became stricter (HTTP 422).
            timing: when to write.
            outage: how long to wait when the API takes no write at all.
            rate: writes a second in the long run.
            burst: writes at once after a pause.
            clock: the time.
        """
        self._client = client
        self._type = condition_type(zone)
        self._on_condition = on_condition
        self._on_refusal = on_refusal
        self._refused: dict[str, tuple[str, Condition]] = {}  # by key, with the uid
        clock = clock if clock is not None else Clock()
        timing = timing if timing is not None else StatusTiming()
        keys = DelayingQueue(lambda key: key.partition("/")[0])
        self._plan = StatusPlan(zone, keys, timing, shared=shared)
        self._queue: WorkQueue[StatusPatch] = WorkQueue(
            "status-writer",
            keys,
            prepare=lambda key, now: self._plan.prepare(key, now, datetime.fromtimestamp(clock.now(), UTC)),
            write=self._write,
            rate=rate,
            burst=burst,
            outage=outage if outage is not None else RetryPolicy(),
            refusal=RetryPolicy(first_delay=timing.retry_first, longest_delay=timing.retry_longest),
            clock=clock,
        )

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._queue.is_alive

    @property
    def pending(self) -> int:
        """How many objects are to be looked at."""
        return self._queue.pending

    def start(self) -> None:
        """Start the thread."""
        self._queue.start()

    def stop(self, *, drain_seconds: float = 0.0) -> None:
        """End the thread; before that, up to so many seconds, what can be written now is written."""
        self._queue.stop(drain_seconds=drain_seconds)

    def parse_status(self, document: object) -> ObservedStatus | None:
        """Read what is kept of an object's status; for `Resource.parse_status`."""
        return read_status(document, self._type)

    def set_outcomes(self, outcomes: Iterable[PolicyOutcome]) -> None:
        """Take what objects should say."""
        with self._queue.changing() as now:
            self._plan.set_outcomes(outcomes, now)

    def observe(self, observed: ObservedStatus) -> None:
        """Take what the API server holds as an object's status."""
        with self._queue.changing() as now:
            self._plan.observe(observed, now)

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects."""
        gone = tuple(keys)
        with self._queue.changing() as now:
            self._plan.delete(gone, now)
            for key in gone:
                self._refused.pop(key, None)

    def aggregate(self, aggregating: bool) -> None:
        """Set whether this process is elected: then it writes the summaries; see also `shared`."""
        with self._queue.changing() as now:
            self._plan.aggregate(aggregating, now)

    def set_zones(self, zones: Mapping[str, str] | None) -> None:
        """Set the zone of each node, if known: the aggregator removes the conditions of other zones than these."""
        with self._queue.changing() as now:
            self._plan.set_zones(zones, now)

    def withdraw(self, seconds: float, *, stalled_seconds: float) -> bool:
        """Remove this zone's conditions: nothing is in force in it any more, and this process ends.

        Args:
            seconds: how long that may take.
            stalled_seconds: and how long it may go on without a write that ends.

        Returns:
            Whether all of them are gone.
        """
        with self._queue.changing() as now:
            self._plan.withdraw(now)
        return self._queue.drain(seconds, stalled_seconds=stalled_seconds, all_of_it=True)

    def uid_of(self, key: str) -> str:
        """Return the uid of an object; empty if it is not known."""
        with self._queue.changing():
            return self._plan.uid(key)

    def _write(self, patch: StatusPatch) -> None:
        try:
            document = self._send(patch)
        except ApiStatusError as error:
            if error.status == _NOT_FOUND:
                _log.debug("object not found; its status is not written", object=patch.key)
                with self._queue.changing() as now:
                    self._plan.missing(patch, now)
                return
            if patch.counts is not None and _UNDECLARED in str(error):
                _log.warning(
                    "status written without counts; apply the custom resource of this version", cause=str(error)
                )
                with self._queue.changing() as now:
                    self._plan.drop_counts(now)
                return
            if error.status == _UNPROCESSABLE:
                self._report_refusal(patch, str(error))
            raise
        with self._queue.changing() as now:
            self._plan.written(patch, self.parse_status(document), now)
            if patch.outcome is not None:
                self._refused.pop(patch.key, None)
        if patch.outcome is not None and self._on_condition is not None:
            self._on_condition(replace(patch.outcome, uid=patch.uid), patch.previous)

    def _send(self, patch: StatusPatch) -> dict[str, object]:
        namespace, name = patch.key.split("/")
        path = f"/apis/{API_VERSION}/namespaces/{namespace}/networkqoses/{name}/status"
        if patch.position is not None:
            return self._patch(path, patch.operations(), JSON_PATCH)
        metadata = {"namespace": namespace, "name": name} | ({"uid": patch.uid} if patch.uid else {})
        query = {"fieldManager": patch.manager}
        if patch.replaces:
            metadata["resourceVersion"] = patch.replaces
        else:
            query["force"] = "true"
        body = {"apiVersion": API_VERSION, "kind": "NetworkQoS", "metadata": metadata, "status": patch.status()}
        return self._patch(path, body, MERGE_PATCH if patch.replaces else APPLY_PATCH, query)

    def _patch(
        self, path: str, body: object, content_type: str, query: dict[str, str] | None = None
    ) -> dict[str, object]:
        return self._client.request(
            "PATCH",
            path,
            body,
            content_type=content_type,
            query=query or {},
            interruption=self._queue.interruption,
            timeout=_TIMEOUT,
        )

    def _report_refusal(self, patch: StatusPatch, refusal: str) -> None:
        condition, outcome = patch.condition, patch.outcome
        if condition is None or outcome is None or self._refused.get(patch.key) == (patch.uid, condition):
            return
        self._refused[patch.key] = patch.uid, condition
        if self._on_refusal is not None:
            self._on_refusal(replace(outcome, uid=patch.uid), refusal)
