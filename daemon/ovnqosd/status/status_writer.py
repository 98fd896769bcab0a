"""Writes the status of NetworkQoS objects, in a thread of its own."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import structlog

from ovnqos.kubernetes import (
    APPLY_PATCH,
    MERGE_PATCH,
    ApiStatusError,
    Backoff,
    Clock,
    RequestError,
    RequestInterruptedError,
    RetryPolicy,
)
from ovnqosd.status.observed_status import read_status
from ovnqosd.status.outbox import Outbox
from ovnqosd.status.status_ledger import StatusLedger
from ovnqosd.status.status_patch import PatchKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ovnqos.kubernetes import KubernetesClient
    from ovnqosd.loop.outcomes import PolicyOutcome
    from ovnqosd.status.condition import Condition
    from ovnqosd.status.observed_status import ObservedStatus
    from ovnqosd.status.status_pace import StatusPace
    from ovnqosd.status.status_patch import StatusPatch

API_VERSION: Final = "k8s.ovn.org/v1alpha1"
_TIMEOUT: Final = 30.0
_NOT_FOUND: Final = 404
_UNPROCESSABLE: Final = 422
_ONE_OBJECT: Final = frozenset({400, 404, 409, 413, 415, 422})
"""Refusals that are about the one object; after any other the next object would fare no better."""


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
        on_unsayable: Callable[[PolicyOutcome, str], None] | None = None,
        pace: StatusPace | None = None,
        api_pace: RetryPolicy | None = None,
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
            on_unsayable: is told, likewise, of each condition that the API server will not have on the object, once for
                as long as the condition stays what it is: its outcome, and the server's words. It refuses any write of
                an object that was stored before the custom resource's schema became stricter (HTTP 422).
            pace: when to write.
            api_pace: how long to wait when the API takes no write at all.
            rate: writes a second in the long run.
            burst: writes at once after a pause.
            clock: the time.
        """
        self._client = client
        self._on_condition = on_condition
        self._on_unsayable = on_unsayable
        self._clock = clock if clock is not None else Clock()
        self._ledger = StatusLedger(zone, pace, shared=shared)
        self._api_pace = api_pace if api_pace is not None else RetryPolicy()
        self._backoff = Backoff(self._api_pace)
        self._refused: dict[str, int] = {}
        self._unsayable: dict[str, Condition] = {}
        self._failing: tuple[type[RequestError], int] | None = None
        self._log = structlog.get_logger().bind(zone=zone)
        self._outbox = Outbox(
            "status-writer",
            next_time=self._ledger.next_time,
            take=lambda now: self._ledger.next(now, datetime.fromtimestamp(self._clock.now(), UTC)),
            send=self._write,
            rate=rate,
            burst=burst,
            clock=self._clock,
        )

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._outbox.is_alive

    @property
    def pending(self) -> int:
        """How many objects are to be looked at."""
        with self._outbox.changing():
            return len(self._ledger) + self._outbox.busy

    def start(self) -> None:
        """Starts the thread."""
        self._outbox.start()

    def stop(self, *, drain_seconds: float = 0.0) -> None:
        """Ends the thread; before that, up to so many seconds, what can be written now is written."""
        self._outbox.stop(drain_seconds=drain_seconds)

    def take(self, outcomes: Iterable[PolicyOutcome], removed: Iterable[str] = ()) -> None:
        """Takes how policies stand after a pass, and the keys of those that are gone."""
        self.forget_objects(removed)
        with self._outbox.changing():
            self._ledger.take(outcomes, self._clock.monotonic())

    def observe_object(self, observed: ObservedStatus) -> None:
        """Takes what the API server holds as an object's status; see `observed_status.read_status`."""
        with self._outbox.changing():
            self._ledger.observe(observed, self._clock.monotonic())

    def forget_objects(self, keys: Iterable[str]) -> None:
        """Takes objects for gone."""
        gone = tuple(keys)
        with self._outbox.changing():
            self._ledger.forget(gone)
            for key in gone:
                self._refused.pop(key, None)
                self._unsayable.pop(key, None)

    def aggregate(self, aggregating: bool) -> None:
        """Says whether this process is elected: then it writes the summaries; see also `shared`."""
        with self._outbox.changing():
            self._ledger.aggregate(aggregating, self._clock.monotonic())

    def set_zones(self, zones: frozenset[str] | None) -> None:
        """Says which zones there are: the aggregator takes the conditions of others away. None: it is not known."""
        with self._outbox.changing():
            self._ledger.set_zones(zones, self._clock.monotonic())

    def withdraw(self, seconds: float, *, stalled_seconds: float) -> bool:
        """Nothing is in force in this zone any more, and nobody will say so: takes its conditions away.

        Args:
            seconds: how long that may take.
            stalled_seconds: and how long it may go on without a write that ends.

        Returns:
            Whether all of them are gone.
        """
        with self._outbox.changing():
            self._ledger.withdraw(self._clock.monotonic())
        return self._outbox.drain(seconds, stalled_seconds=stalled_seconds, all_of_it=True)

    def uid_of(self, key: str) -> str:
        """The uid of an object; empty if it is not known."""
        with self._outbox.changing():
            return self._ledger.uid(key)

    def _write(self, patch: StatusPatch) -> None:
        try:
            document = self._send(patch)
        except RequestInterruptedError:
            raise
        except RequestError as error:
            self._fail(patch, error)
            return
        with self._outbox.changing():
            self._ledger.written(patch, read_status(document), self._clock.monotonic())
        self._backoff.reset()
        self._refused.pop(patch.key, None)
        if patch.kind is PatchKind.CONDITION:
            self._unsayable.pop(patch.key, None)
        if self._failing is not None:
            self._failing = None
            self._log.info("statuses are written again")
        if patch.kind is PatchKind.CONDITION and patch.outcome is not None and self._on_condition is not None:
            self._on_condition(replace(patch.outcome, uid=patch.uid), patch.previous)

    def _send(self, patch: StatusPatch) -> dict[str, object]:
        namespace, name = patch.key.split("/")
        metadata = {"namespace": namespace, "name": name} | ({"uid": patch.uid} if patch.uid else {})
        query = {"fieldManager": patch.manager}
        if patch.replaces:
            metadata["resourceVersion"] = patch.replaces
        else:
            query["force"] = "true"
        body = {"apiVersion": API_VERSION, "kind": "NetworkQoS", "metadata": metadata, "status": patch.status()}
        return self._client.request(
            "PATCH",
            f"/apis/{API_VERSION}/namespaces/{namespace}/networkqoses/{name}/status",
            body,
            content_type=MERGE_PATCH if patch.replaces else APPLY_PATCH,
            query=query,
            interruption=self._outbox.interruption,
            timeout=_TIMEOUT,
        )

    def _fail(self, patch: StatusPatch, error: RequestError) -> None:
        status = error.status if isinstance(error, ApiStatusError) else 0
        with self._outbox.changing():
            self._ledger.failed(patch, self._clock.monotonic(), missing=status == _NOT_FOUND)
        if status == _NOT_FOUND:
            self._log.debug("no such object to write the status of", object=patch.key)
        elif status in _ONE_OBJECT:
            if self._refused.get(patch.key) != status:
                self._log.warning("cannot write a status; trying again and again", object=patch.key, cause=str(error))
            self._refused[patch.key] = status
            if status == _UNPROCESSABLE:
                self._tell_unsayable(patch, str(error))
        else:
            failing = (type(error), status)
            if self._failing != failing:
                self._log.warning("cannot write statuses; trying again and again", object=patch.key, cause=str(error))
            self._failing = failing
            asked = error.retry_after if isinstance(error, ApiStatusError) else 0.0
            pause = self._backoff.next() + min(asked, self._api_pace.longest_delay)
            self._clock.wait(pause, self._outbox.interruption)

    def _tell_unsayable(self, patch: StatusPatch, words: str) -> None:
        condition, outcome = patch.condition, patch.outcome
        if condition is None or outcome is None or condition.says_the_same(self._unsayable.get(patch.key)):
            return
        self._unsayable[patch.key] = condition
        if self._on_unsayable is not None:
            self._on_unsayable(replace(outcome, uid=patch.uid), words)
