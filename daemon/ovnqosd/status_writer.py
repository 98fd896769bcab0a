"""Writes the status of NetworkQoS objects, in a thread of its own."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import structlog

from ovnqosd.api_requests import APPLY_PATCH, send
from ovnqosd.backoff import Backoff, Clock, Pace
from ovnqosd.interruption import Interruption
from ovnqosd.observed_status import read_status
from ovnqosd.request_errors import ApiStatusError, RequestError, RequestInterruptedError
from ovnqosd.status_ledger import StatusLedger
from ovnqosd.status_patch import PatchKind
from ovnqosd.token_bucket import TokenBucket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ovnqosd.kubernetes_client import KubernetesClient
    from ovnqosd.observed_status import ObservedStatus
    from ovnqosd.outcomes import PolicyOutcome
    from ovnqosd.status import Condition
    from ovnqosd.status_ledger import StatusPace
    from ovnqosd.status_patch import StatusPatch

API_VERSION: Final = "k8s.ovn.org/v1alpha1"
_NOT_FOUND: Final = 404
_ONE_OBJECT: Final = frozenset({400, 404, 409, 413, 415, 422})
"""Refusals that are about the one object; after any other the next object would fare no better."""
_RETRY_AFTER_MAXIMUM: Final = 30.0
_STOP_TIMEOUT: Final = 2.0


class StatusWriter:
    """Makes each object's status say how its policy stands in this zone. Any thread may call its methods.

    Nothing is written that the object already says. An object that changes often is written at most once a second, with
    what holds then. A write that fails is tried again until it succeeds or the object is gone.
    """

    def __init__(  # noqa: PLR0913 - keywords with defaults
        self,
        client: KubernetesClient,
        zone: str,
        *,
        shared: bool = False,
        on_condition: Callable[[PolicyOutcome, Condition | None], None] | None = None,
        pace: StatusPace | None = None,
        rate: float = 50.0,
        burst: int = 100,
        clock: Clock | None = None,
    ) -> None:
        """Makes a writer; `start` starts it.

        Args:
            client: the API.
            zone: the name of the zone that outcomes are about.
            shared: whether several processes serve the zone (central mode): then only the elected one writes anything.
            on_condition: is told, in the writer's thread, of each condition that was written: its outcome, and the
                condition that it replaced, None if there was none.
            pace: when to write.
            rate: writes a second in the long run.
            burst: writes at once after a pause.
            clock: the time.
        """
        self._client = client
        self._on_condition = on_condition
        self._clock = clock if clock is not None else Clock()
        self._ledger = StatusLedger(zone, pace, shared=shared)
        self._changed = threading.Condition()
        self._bucket = TokenBucket(rate=rate, burst=burst)
        self._backoff = Backoff(Pace())
        self._refused: dict[str, int] = {}
        self._failing: tuple[type[RequestError], int] | None = None
        self._busy = False
        self._interruption = Interruption()
        self._log = structlog.get_logger().bind(zone=zone)
        self._thread = threading.Thread(target=self._run, name="status-writer", daemon=True)

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    @property
    def pending(self) -> int:
        """How many objects are to be looked at."""
        with self._changed:
            return len(self._ledger) + self._busy

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self, *, drain_seconds: float = 0.0) -> None:
        """Ends the thread; before that, up to so many seconds, what can be written now is written."""
        with self._changed:
            self._changed.wait_for(self._is_drained, drain_seconds)
            self._interruption.set()
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(_STOP_TIMEOUT)

    def take(self, outcomes: Iterable[PolicyOutcome], removed: Iterable[str] = ()) -> None:
        """Takes how policies stand after a pass, and the keys of those that are gone."""
        self.forget_objects(removed)
        with self._changed:
            self._ledger.take(outcomes, self._clock.monotonic())
            self._changed.notify_all()

    def observe_object(self, observed: ObservedStatus) -> None:
        """Takes what the API server holds as an object's status; see `observed_status.with_status`."""
        with self._changed:
            self._ledger.observe(observed, self._clock.monotonic())
            self._changed.notify_all()

    def forget_objects(self, keys: Iterable[str]) -> None:
        """Takes objects for gone."""
        gone = tuple(keys)
        with self._changed:
            self._ledger.forget(gone)
            for key in gone:
                self._refused.pop(key, None)

    def aggregate(self, aggregating: bool) -> None:
        """Says whether this process is elected: then it writes the summaries; see also `shared`."""
        with self._changed:
            self._ledger.aggregate(aggregating, self._clock.monotonic())
            self._changed.notify_all()

    def set_zones(self, zones: frozenset[str] | None) -> None:
        """Says which zones there are: the aggregator takes the conditions of others away. None: it is not known."""
        with self._changed:
            self._ledger.set_zones(zones, self._clock.monotonic())
            self._changed.notify_all()

    def uid_of(self, key: str) -> str:
        """The uid of an object; empty if it is not known."""
        with self._changed:
            return self._ledger.uid(key)

    def _is_drained(self) -> bool:
        if self._interruption.is_set() or not self._thread.is_alive():
            return True
        next_time = self._ledger.next_time()
        return not self._busy and (next_time is None or next_time > self._clock.monotonic())

    def _run(self) -> None:
        while (patch := self._next()) is not None:
            self._write(patch)
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def _next(self) -> StatusPatch | None:
        """Waits for the next patch that may be sent; None at the end."""
        with self._changed:
            while not self._interruption.is_set():
                now = self._clock.monotonic()
                due = self._ledger.next_time()
                delay = None if due is None else max(due - now, self._bucket.delay(now))
                if delay is None or delay > 0:
                    self._changed.wait(delay)
                    continue
                patch = self._ledger.next(now, datetime.fromtimestamp(self._clock.now(), UTC))
                if patch is not None:
                    self._bucket.take(now)
                    self._busy = True
                    return patch
                self._changed.notify_all()
        return None

    def _write(self, patch: StatusPatch) -> None:
        try:
            document = self._send(patch)
        except RequestInterruptedError:
            return
        except RequestError as error:
            self._fail(patch, error)
            return
        with self._changed:
            self._ledger.written(patch, read_status(document), self._clock.monotonic())
        self._backoff.reset()
        self._refused.pop(patch.key, None)
        if self._failing is not None:
            self._failing = None
            self._log.info("statuses are written again")
        if patch.kind is PatchKind.CONDITION and patch.outcome is not None and self._on_condition is not None:
            self._on_condition(replace(patch.outcome, uid=patch.uid), patch.previous)

    def _send(self, patch: StatusPatch) -> dict[str, object]:
        namespace, name = patch.key.split("/")
        metadata = {"namespace": namespace, "name": name} | ({"uid": patch.uid} if patch.uid else {})
        body = {"apiVersion": API_VERSION, "kind": "NetworkQoS", "metadata": metadata, "status": patch.status()}
        return send(
            self._client,
            "PATCH",
            f"/apis/{API_VERSION}/namespaces/{namespace}/networkqoses/{name}/status",
            body,
            content_type=APPLY_PATCH,
            query={"fieldManager": patch.manager, "force": "true"},
            interruption=self._interruption,
        )

    def _fail(self, patch: StatusPatch, error: RequestError) -> None:
        status = error.status if isinstance(error, ApiStatusError) else 0
        with self._changed:
            self._ledger.failed(patch, self._clock.monotonic(), missing=status == _NOT_FOUND)
        if status == _NOT_FOUND:
            self._log.debug("no such object to write the status of", object=patch.key)
        elif status in _ONE_OBJECT:
            if self._refused.get(patch.key) != status:
                self._log.warning("cannot write a status; trying again and again", object=patch.key, cause=str(error))
            self._refused[patch.key] = status
        else:
            failing = (type(error), status)
            if self._failing != failing:
                self._log.warning("cannot write statuses; trying again and again", object=patch.key, cause=str(error))
            self._failing = failing
            asked = error.retry_after if isinstance(error, ApiStatusError) else 0.0
            self._clock.wait(self._backoff.next() + min(asked, _RETRY_AFTER_MAXIMUM), self._interruption)
