"""The daemon's Prometheus metrics. Their names are stable; documentation and alerts depend on them."""

from __future__ import annotations

import importlib.metadata
import platform
import time
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import prometheus_client as prometheus
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from ovnqos import LockLost, OutcomeUnknown, StalePlan, TransactionRefused
from ovnqos.controller import NorthboundUnavailable
from ovnqosd.loop.outcomes import CHANGE_NAMES, AnnotationProblem, DriftKind, Trigger
from ovnqosd.status.policy_outcome import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ovnqos.kubernetes import Reflector
    from ovnqosd.loop.outcomes import PassOutcome

_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_ROWS: Final = ("row", "port_group", "address_set")


class TransactionResult(StrEnum):
    """The result of a transaction."""

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

    Attributes:
        registry: to be served.
    """

    def __init__(self) -> None:
        self.registry = registry = prometheus.CollectorRegistry()
        prometheus.ProcessCollector(registry=registry)
        prometheus.GCCollector(registry=registry)

        def histogram(name: str, text: str, *labels: str) -> prometheus.Histogram:
            return prometheus.Histogram(name, text, labels, buckets=_BUCKETS, registry=registry)

        def counter(name: str, text: str, *labels: str) -> prometheus.Counter:
            return prometheus.Counter(name, text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> prometheus.Gauge:
            return prometheus.Gauge(name, text, labels, registry=registry)

        text = "Time of a pass of the reconcile loop, to the last commit's reply."
        self._duration = histogram("ovnqosd_reconcile_duration_seconds", text, "trigger")
        text = "Time that the oldest change of a pass waited before the pass began."
        self._waited = histogram("ovnqosd_change_age_seconds", text)
        self._errors = counter("ovnqosd_reconcile_errors", "Passes that failed as a whole.", "trigger")
        self._queue_depth = gauge("ovnqosd_queue_depth", "Changes that wait for a pass.")
        text = "How long the oldest of them waits; 0 if there is none."
        self._queue_age = gauge("ovnqosd_queue_age_seconds", text)
        self._rows = gauge("ovnqosd_desired_rows", "Desired rows and sets, by kind.", "kind")
        text = "Desired switches and ports that are not in the Northbound yet."
        self._missing = gauge("ovnqosd_missing_references", text)
        text = "Rows of ovn-kubernetes' own NetworkQoS controller, as of the last full pass."
        self._upstream = gauge("ovnqosd_upstream_rows", text)
        text = "Limits and marks of pods that are kept, since objects are missing that nobody deleted."
        self._removals_held = gauge("ovnqosd_removals_held", text)
        text = "Pods, of all zones, whose networks cannot be read; those that were read last stay in force."
        self._unreadable = gauge("ovnqosd_unreadable_pods", text)
        self._changes = counter("ovnqosd_database_changes", "Changes made in the Northbound, by kind.", "kind")
        self._transactions = counter("ovnqosd_transactions", "Transactions on the Northbound, by result.", "result")
        text = "Rows and sets that another writer changed and that were repaired, by kind."
        self._drift = counter("ovnqosd_drift_repaired", text, "kind")
        text = "When everything was last compared without an error, in seconds since 1970; 0 before that."
        self._full_pass = gauge("ovnqosd_last_full_pass_timestamp_seconds", text)
        self._leader = gauge("ovnqosd_leader", "1 in the elected process.")
        text = "NetworkQoS objects in this zone, by the reason of their condition."
        self._by_reason = gauge("ovnqosd_policies", text, "reason")
        text = "QoS annotations of this zone's pods, and of namespaces, that are not in force, by problem."
        self._annotations = gauge("ovnqosd_annotations_not_in_force", text, "problem")
        text = "Diagnostics of objects, by code and severity."
        self._said = gauge("ovnqosd_diagnostics", text, "code", "severity")
        build = gauge("ovnqosd_build_info", "Always 1.", "version", "python")
        build.labels(importlib.metadata.version("ovnqos"), platform.python_version()).set(1)
        self._show_from_the_start()

    def _show_from_the_start(self) -> None:
        """Create every labelled series with 0, so that a first increase is seen as one."""
        for trigger in Trigger:
            self._duration.labels(trigger.value)
            self._errors.labels(trigger.value)
        for kind in _ROWS:
            self._rows.labels(kind)
        for kind in CHANGE_NAMES.values():
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
        """Count a pass."""
        self._duration.labels(outcome.trigger.value).observe(outcome.seconds)
        if outcome.trigger is Trigger.CHANGE:
            self._waited.observe(outcome.age_seconds)
        for kind, number in outcome.changes.items():
            self._changes.labels(kind).inc(number)
        if outcome.transactions:
            self._transactions.labels(TransactionResult.OK.value).inc(outcome.transactions)
        for drift in outcome.drift:
            self._drift.labels(drift.kind.value).inc()
        for reason in Reason:
            self._by_reason.labels(reason.value).set(outcome.policy_counts.get(reason, 0))
        for problem, number in outcome.annotation_problems.items():
            self._annotations.labels(problem.value).set(number)
        for (code, severity), number in outcome.said.items():
            self._said.labels(code.value, severity.value).set(number)
        if outcome.error:
            self._errors.labels(outcome.trigger.value).inc()
            return
        for kind, number in outcome.rows.items():
            self._rows.labels(kind).set(number)
        self._missing.set(outcome.missing)
        self._unreadable.set(outcome.unreadable_pods)
        if outcome.upstream_rows is not None:
            self._upstream.set(outcome.upstream_rows)
        if outcome.trigger is Trigger.FULL:
            self._full_pass.set(time.time())

    def count_failed_transaction(self, error: Exception) -> None:
        """Count a transaction that raised this error; other errors than those of a transaction count as refused."""
        results = (result for kind, result in _RESULTS if isinstance(error, kind))
        self._transactions.labels(next(results, TransactionResult.REFUSED).value).inc()

    def set_leader(self, leads: bool) -> None:
        """Set whether this process is elected."""
        self._leader.set(leads)

    def read_queue(self, depth: Callable[[], float], age: Callable[[], float]) -> None:
        """Set how to read the queue when metrics are read: how many changes wait, and for how many seconds."""
        self._queue_depth.set_function(depth)
        self._queue_age.set_function(age)

    def read_northbound(self, connected: Callable[[], bool | None]) -> None:
        """Set how to read whether the Northbound answers when metrics are read; None: this process needs none."""
        self.registry.register(_Connection(connected))

    def read_removals_held(self, held: Callable[[], float]) -> None:
        """Set how to read, when metrics are read, how many limits are kept."""
        self._removals_held.set_function(held)

    def read_reflectors(self, reflectors: Sequence[Reflector]) -> None:
        """Set which reflectors to read when metrics are read."""
        self.registry.register(_Reflectors(reflectors))


class _Connection(Collector):
    def __init__(self, connected: Callable[[], bool | None]) -> None:
        self._connected = connected

    def collect(self) -> Iterable[GaugeMetricFamily]:
        text = "1 if the Northbound answers; absent in a process that stands by."
        family = GaugeMetricFamily("ovnqosd_northbound_connected", text)
        connected = self._connected()
        if connected is not None:
            family.add_metric([], connected)
        return (family,)


class _Reflectors(Collector):
    def __init__(self, reflectors: Sequence[Reflector]) -> None:
        self._reflectors = reflectors

    def collect(self) -> Iterable[CounterMetricFamily | GaugeMetricFamily]:
        restarts = CounterMetricFamily(
            "ovnqosd_watch_restarts", "Lists and watches that ended, by reason.", labels=["kind", "reason"]
        )
        connected = GaugeMetricFamily("ovnqosd_watch_connected", "1 if the watch is open.", labels=["kind"])
        objects = GaugeMetricFamily("ovnqosd_watched_objects", "Objects that are known.", labels=["kind"])
        events = GaugeMetricFamily(
            "ovnqosd_watch_last_event_timestamp_seconds",
            "When the API server last sent something, in seconds since 1970; 0 before that.",
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
