"""The daemon's metrics: their names, and what moves them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import pytest
from prometheus_client.exposition import generate_latest

from ovnqos import Code, LockLost, OutcomeUnknown, Severity, StalePlan, TransactionRefused
from ovnqos.controller import NorthboundUnavailable
from ovnqos.kubernetes import PODS, RestartReason
from ovnqosd.loop.outcomes import Drift, DriftKind, PassOutcome, Trigger
from ovnqosd.metrics import Metrics
from ovnqosd.status.policy_outcome import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovnqos.kubernetes import Reflector, Resource


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def by_reason(metrics: Metrics) -> dict[str, float | None]:
    return {
        reason.value: found for reason in Reason if (found := value(metrics, "ovnqosd_policies", reason=reason.value))
    }


def test_a_process_that_needs_no_northbound_shows_no_connection() -> None:
    for connected, shown in ((True, 1.0), (False, 0.0), (None, None)):
        metrics = Metrics()
        metrics.read_northbound(lambda connected=connected: connected)  # type: ignore[misc]  # binds the loop's value
        assert value(metrics, "ovnqosd_northbound_connected") == shown


def test_every_metric_is_there_before_the_first_pass_with_a_help_text() -> None:
    metrics = Metrics()
    families = {family.name: family for family in metrics.registry.collect()}
    assert {name for name in families if name.startswith("ovnqosd_")} == {
        "ovnqosd_annotations_not_in_force",
        "ovnqosd_build_info",
        "ovnqosd_change_age_seconds",
        "ovnqosd_database_changes",
        "ovnqosd_desired_rows",
        "ovnqosd_diagnostics",
        "ovnqosd_drift_repaired",
        "ovnqosd_last_full_pass_timestamp_seconds",
        "ovnqosd_leader",
        "ovnqosd_policies",
        "ovnqosd_queue_age_seconds",
        "ovnqosd_queue_depth",
        "ovnqosd_reconcile_duration_seconds",
        "ovnqosd_reconcile_errors",
        "ovnqosd_removals_held",
        "ovnqosd_unreadable_pods",
        "ovnqosd_upstream_rows",
        "ovnqosd_transactions",
        "ovnqosd_missing_references",
    }
    assert all(family.documentation.strip() for family in families.values())
    del families["ovnqosd_diagnostics"]  # has the codes that occurred
    assert all(family.samples for name, family in families.items() if name.startswith("ovnqosd_"))
    assert value(metrics, "ovnqosd_transactions_total", result="lock_lost") == 0
    assert value(metrics, "ovnqosd_policies", reason="Invalid") == 0


def test_a_pass_is_counted() -> None:
    metrics = Metrics()
    drift = Drift(kind=DriftKind.ROW_DELETED, what="r", policy="shop/gold", found="")
    outcome = PassOutcome(
        trigger=Trigger.CHANGE,
        seconds=0.02,
        age_seconds=0.5,
        changes={"row_insert": 3, "set_update": 1},
        transactions=2,
        drift=(drift, drift),
        rows={"row": 7, "port_group": 2, "address_set": 1},
        missing=4,
    )
    metrics.observe(outcome)
    metrics.observe(outcome)
    assert value(metrics, "ovnqosd_reconcile_duration_seconds_count", trigger="change") == 2
    assert value(metrics, "ovnqosd_reconcile_duration_seconds_sum", trigger="change") == pytest.approx(0.04)
    assert value(metrics, "ovnqosd_reconcile_duration_seconds_bucket", trigger="change", le="0.025") == 2
    assert value(metrics, "ovnqosd_change_age_seconds_sum") == pytest.approx(1.0)
    assert value(metrics, "ovnqosd_database_changes_total", kind="row_insert") == 6
    assert value(metrics, "ovnqosd_transactions_total", result="ok") == 4
    assert value(metrics, "ovnqosd_drift_repaired_total", kind="row_deleted") == 4
    assert value(metrics, "ovnqosd_desired_rows", kind="row") == 7
    assert value(metrics, "ovnqosd_missing_references") == 4
    assert value(metrics, "ovnqosd_last_full_pass_timestamp_seconds") == 0


def test_a_full_pass_sets_its_time_unless_it_failed() -> None:
    metrics = Metrics()
    metrics.observe(PassOutcome(trigger=Trigger.FULL, seconds=1.0, error="no server"))
    assert value(metrics, "ovnqosd_last_full_pass_timestamp_seconds") == 0
    assert value(metrics, "ovnqosd_reconcile_errors_total", trigger="full") == 1
    assert value(metrics, "ovnqosd_change_age_seconds_count") == 0
    metrics.observe(PassOutcome(trigger=Trigger.FULL, seconds=1.0))
    assert cast("float", value(metrics, "ovnqosd_last_full_pass_timestamp_seconds")) > 1e9


def test_a_failed_pass_leaves_what_is_wanted_as_it_was() -> None:
    metrics = Metrics()
    metrics.observe(PassOutcome(trigger=Trigger.FULL, seconds=1.0, rows={"row": 7}, missing=2))
    metrics.observe(PassOutcome(trigger=Trigger.FULL, seconds=1.0, error="no server"))
    assert value(metrics, "ovnqosd_desired_rows", kind="row") == 7
    assert value(metrics, "ovnqosd_missing_references") == 2


def test_policies_are_counted_by_their_reason() -> None:
    metrics = Metrics()
    metrics.observe(
        PassOutcome(trigger=Trigger.FULL, seconds=0.0, policy_counts={Reason.SUCCESS: 1, Reason.INVALID: 2})
    )
    assert by_reason(metrics) == {"Success": 1, "Invalid": 2}
    metrics.observe(PassOutcome(trigger=Trigger.CHANGE, seconds=0.0, policy_counts={Reason.SUCCESS: 2}))
    assert by_reason(metrics) == {"Success": 2}


def test_diagnostics_are_counted_by_code_and_severity() -> None:
    metrics = Metrics()
    kind = Code.MISSING_PORT, Severity.WARNING
    for number in (2, 0):
        metrics.observe(PassOutcome(trigger=Trigger.CHANGE, seconds=0.0, said={kind: number}))
        assert value(metrics, "ovnqosd_diagnostics", code="MissingPort", severity="warning") == number


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (StalePlan("x"), "stale"),
        (TransactionRefused("x"), "refused"),
        (OutcomeUnknown("x"), "unknown"),
        (NorthboundUnavailable("x"), "unavailable"),
        (LockLost("x"), "lock_lost"),
        (ValueError("x"), "refused"),
    ],
)
def test_a_failed_transaction_is_counted_by_its_error(error: Exception, result: str) -> None:
    metrics = Metrics()
    metrics.count_failed_transaction(error)
    assert value(metrics, "ovnqosd_transactions_total", result=result) == 1
    assert value(metrics, "ovnqosd_transactions_total", result="ok") == 0


def test_the_queue_is_read_when_the_metrics_are() -> None:
    metrics = Metrics()
    queue: list[float] = []
    metrics.read_queue(lambda: len(queue), lambda: max(queue, default=0.0))
    assert value(metrics, "ovnqosd_queue_depth") == 0
    queue += [0.5, 2.0]
    assert value(metrics, "ovnqosd_queue_depth") == 2
    assert value(metrics, "ovnqosd_queue_age_seconds") == 2.0


def test_what_is_held_is_read_when_the_metrics_are() -> None:
    metrics = Metrics()
    held: list[int] = []
    metrics.read_removals_held(lambda: sum(held))
    assert value(metrics, "ovnqosd_removals_held") == 0
    held += [12, 3]
    assert value(metrics, "ovnqosd_removals_held") == 15


def test_leadership_is_shown() -> None:
    metrics = Metrics()
    metrics.set_leader(True)
    assert value(metrics, "ovnqosd_leader") == 1
    metrics.set_leader(False)
    assert value(metrics, "ovnqosd_leader") == 0


@dataclass
class Watched:
    """What the metrics read of a reflector."""

    resource: Resource
    restarts: Mapping[RestartReason, int]
    connected: bool = True
    objects: int = 12
    last_event_time: float | None = None


def test_reflectors_are_read_when_the_metrics_are() -> None:
    metrics = Metrics()
    reflector = Watched(PODS, dict.fromkeys(RestartReason, 0))
    metrics.read_reflectors([cast("Reflector", reflector)])
    assert value(metrics, "ovnqosd_watch_restarts_total", kind="Pod", reason="closed") == 0
    reflector.restarts = {**reflector.restarts, RestartReason.EXPIRED: 3}
    reflector.last_event_time = 5.0
    assert value(metrics, "ovnqosd_watch_restarts_total", kind="Pod", reason="expired") == 3
    assert value(metrics, "ovnqosd_watch_connected", kind="Pod") == 1
    assert value(metrics, "ovnqosd_watched_objects", kind="Pod") == 12
    assert value(metrics, "ovnqosd_watch_last_event_timestamp_seconds", kind="Pod") == 5.0


def test_two_sets_of_metrics_do_not_meet() -> None:
    first, second = Metrics(), Metrics()
    first.set_leader(True)
    assert value(second, "ovnqosd_leader") == 0
    text: Any = generate_latest(first.registry)
    assert b"ovnqosd_leader 1.0" in text
