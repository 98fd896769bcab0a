"""The daemon's Prometheus metrics. Their names are stable; docs and alerts lean on them."""

from __future__ import annotations

import importlib.metadata
import platform
import threading
import time
from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import prometheus_client as prometheus
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from ovnqos import LockLost, OutcomeUnknown, StalePlan, TransactionRefused
from ovnqos.controller import NorthboundUnavailable
from ovnqosd.loop.outcomes import AnnotationProblem, DriftKind, Reason, Trigger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ovnqos.kubernetes import Reflector
    from ovnqosd.loop.outcomes import PassOutcome

_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_CHANGES: Final = ("row_insert", "row_update", "row_delete", "set_insert", "set_update", "set_delete")
_ROWS: Final = ("row", "port_group", "address_set")


class TransactionResult(StrEnum):
    """What became of a transaction."""

    OK = "ok"
    STALE = "stale"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    UNAVAILABLE = "unavailable"
    LOCK_LOST = "lock_lost"


_RESULTS: Final = (
    (StalePlan, TransactionResult.STALE),
    (TransactionRefused, TransactionResult.REFUSED),
    (OutcomeUnknown, TransactionResult.UNKNOWN),
    (NorthboundUnavailable, TransactionResult.UNAVAILABLE),
    (LockLost, TransactionResult.LOCK_LOST),
)


class Metrics:
    """All metrics, in a registry of their own. Any thread may call its methods.

    A pass costs what it changed: nothing here grows with the number of pods, and per policy only its reason is kept.

    Attributes:
        registry: to be served.
    """

    def __init__(self) -> None:
        self.registry = prometheus.CollectorRegistry()
        registry = self.registry
        prometheus.ProcessCollector(registry=registry)
        prometheus.GCCollector(registry=registry)
        self._lock = threading.Lock()
        self._reasons: dict[str, Reason] = {}
        self._policies = Counter[Reason]()
        self._duration = prometheus.Histogram(
            "ovnqosd_reconcile_duration_seconds",
            "Time of a pass of the reconcile loop, to the last commit's reply.",
            ["trigger"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self._waited = prometheus.Histogram(
            "ovnqosd_change_age_seconds",
            "Time that the oldest change of a pass waited before the pass began.",
            buckets=_BUCKETS,
            registry=registry,
        )
        self._errors = prometheus.Counter(
            "ovnqosd_reconcile_errors", "Passes that failed as a whole.", ["trigger"], registry=registry
        )
        self._queue_depth = prometheus.Gauge("ovnqosd_queue_depth", "Changes that wait for a pass.", registry=registry)
        self._queue_age = prometheus.Gauge(
            "ovnqosd_queue_age_seconds", "How long the oldest of them waits; 0 if there is none.", registry=registry
        )
        self._rows = prometheus.Gauge(
            "ovnqosd_desired_rows", "What is wanted in the Northbound, by kind.", ["kind"], registry=registry
        )
        self._waiting = prometheus.Gauge(
            "ovnqosd_waiting", "Switches and ports that are wanted and not in the Northbound yet.", registry=registry
        )
        self._rivals = prometheus.Gauge(
            "ovnqosd_rival_rows", "Rows of ovn-kubernetes' own NetworkQoS controller, as of the last full pass.",
            registry=registry,
        )  # fmt: skip
        self._changes = prometheus.Counter(
            "ovnqosd_database_changes", "Changes made in the Northbound, by kind.", ["kind"], registry=registry
        )
        self._transactions = prometheus.Counter(
            "ovnqosd_transactions", "Transactions on the Northbound, by what became of them.", ["result"],
            registry=registry,
        )  # fmt: skip
        self._drift = prometheus.Counter(
            "ovnqosd_drift_repaired", "What somebody else changed and was put right, by kind.", ["kind"],
            registry=registry,
        )  # fmt: skip
        self._full_pass = prometheus.Gauge(
            "ovnqosd_last_full_pass_timestamp_seconds",
            "When everything was last compared without an error, in seconds since 1970; 0 before that.",
            registry=registry,
        )
        self._leader = prometheus.Gauge("ovnqosd_leader", "1 in the process that is elected.", registry=registry)
        self._by_reason = prometheus.Gauge(
            "ovnqosd_policies", "NetworkQoS objects by how they stand in this zone.", ["reason"], registry=registry
        )
        self._annotations = prometheus.Gauge(
            "ovnqosd_annotations_not_in_force",
            "QoS annotations of this zone's pods, and of namespaces, without effect: invalid, or inexpressible in OVN.",
            ["problem"],
            registry=registry,
        )
        build = prometheus.Gauge("ovnqosd_build_info", "Always 1.", ["version", "python"], registry=registry)
        build.labels(importlib.metadata.version("ovnqos"), platform.python_version()).set(1)
        self._show_from_the_start()

    def _show_from_the_start(self) -> None:
        """Makes every labelled series there with 0, so that a first increase is seen as one."""
        for trigger in Trigger:
            self._duration.labels(trigger.value)
            self._errors.labels(trigger.value)
        for kind in _ROWS:
            self._rows.labels(kind)
        for kind in _CHANGES:
            self._changes.labels(kind)
        for result in TransactionResult:
            self._transactions.labels(result.value)
        for drift in DriftKind:
            self._drift.labels(drift.value)
        for reason in Reason:
            self._by_reason.labels(reason.value)
        for problem in AnnotationProblem:
            self._annotations.labels(problem.value)

    def observe(self, outcome: PassOutcome) -> None:
        """Counts a pass."""
        self._duration.labels(outcome.trigger.value).observe(outcome.seconds)
        if outcome.trigger is Trigger.CHANGE:
            self._waited.observe(outcome.age_seconds)
        for kind, number in outcome.changes.items():
            self._changes.labels(kind).inc(number)
        if outcome.transactions:
            self._transactions.labels(TransactionResult.OK.value).inc(outcome.transactions)
        for drift in outcome.drift:
            self._drift.labels(drift.kind.value).inc()
        self._count_policies(outcome)
        for problem, number in outcome.annotation_problems.items():
            self._annotations.labels(problem.value).set(number)
        if outcome.error:
            self._errors.labels(outcome.trigger.value).inc()
            return
        for kind, number in outcome.rows.items():
            self._rows.labels(kind).set(number)
        self._waiting.set(outcome.waiting)
        if outcome.rival_rows is not None:
            self._rivals.set(outcome.rival_rows)
        if outcome.trigger is Trigger.FULL:
            self._full_pass.set(time.time())

    def _count_policies(self, outcome: PassOutcome) -> None:
        with self._lock:
            for key in outcome.removed:
                if (reason := self._reasons.pop(key, None)) is not None:
                    self._policies[reason] -= 1
            for key, policy in outcome.policies.items():
                before = self._reasons.get(key)
                if before is policy.reason:
                    continue
                if before is not None:
                    self._policies[before] -= 1
                self._reasons[key] = policy.reason
                self._policies[policy.reason] += 1
            for reason in Reason:
                self._by_reason.labels(reason.value).set(self._policies[reason])

    def count_failed_transaction(self, error: Exception) -> None:
        """Counts a transaction that raised this error; other errors than those of a transaction count as refused."""
        results = (result for kind, result in _RESULTS if isinstance(error, kind))
        self._transactions.labels(next(results, TransactionResult.REFUSED).value).inc()

    def set_leader(self, leads: bool) -> None:
        """Says whether this process is elected."""
        self._leader.set(leads)

    def read_queue(self, depth: Callable[[], float], age: Callable[[], float]) -> None:
        """Says how to read the queue when the metrics are: how many changes wait, and for how many seconds."""
        self._queue_depth.set_function(depth)
        self._queue_age.set_function(age)

    def read_reflectors(self, reflectors: Sequence[Reflector]) -> None:
        """Says which reflectors to read when the metrics are."""
        self.registry.register(_Reflectors(reflectors))


class _Reflectors(Collector):
    def __init__(self, reflectors: Sequence[Reflector]) -> None:
        self._reflectors = reflectors

    def collect(self) -> Iterable[CounterMetricFamily | GaugeMetricFamily]:
        restarts = CounterMetricFamily(
            "ovnqosd_watch_restarts", "Lists and watches that ended, by why.", labels=["kind", "reason"]
        )
        connected = GaugeMetricFamily("ovnqosd_watch_connected", "1 if the watch is open.", labels=["kind"])
        objects = GaugeMetricFamily("ovnqosd_watched_objects", "Objects that are known.", labels=["kind"])
        events = GaugeMetricFamily(
            "ovnqosd_watch_last_event_timestamp_seconds",
            "When the API server last told something, in seconds since 1970; 0 before that.",
            labels=["kind"],
        )
        for reflector in self._reflectors:
            kind = reflector.resource.kind
            for reason, number in reflector.restarts.items():
                restarts.add_metric([kind, reason.value], number)
            connected.add_metric([kind], reflector.connected)
            objects.add_metric([kind], reflector.objects)
            events.add_metric([kind], reflector.last_event_time or 0.0)
        return (restarts, connected, objects, events)
