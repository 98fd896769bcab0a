"""Kubernetes Events: what is told, how often, and the requests for it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from ovnqos.kubernetes import connect
from ovnqosd.loop.outcomes import Drift, DriftKind, PolicyOutcome, Reason
from ovnqosd.status.condition import condition_of
from ovnqosd.status.event_ledger import EventLedger
from ovnqosd.status.event_writer import EventWriter
from ovnqosd.status.events import Event, event_of_condition, event_of_unsayable, events_of_drift
from tests.support.answering_api import PATIENCE, AnsweringApi, Request, refusal
from tests.support.scripted_api import write_kubeconfig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
INVALID = Event(key="shop/gold", uid="u1", type="Warning", reason="Invalid", message="spec.egress[0].dscp: 99")


def outcome(reason: Reason, message: str = "words") -> PolicyOutcome:
    return PolicyOutcome(key="shop/gold", uid="u1", generation=1, reason=reason, message=message)


def told(before: PolicyOutcome | None, after: PolicyOutcome) -> tuple[str, str] | None:
    previous = condition_of(before, "a", previous=None, now=NOON) if before is not None else None
    event = event_of_condition(after, previous)
    return (event.type, event.reason) if event is not None else None


@pytest.mark.parametrize("reason", [Reason.INVALID, Reason.UNSUPPORTED, Reason.CONFLICT])
def test_a_fault_is_told_when_it_is_new(reason: Reason) -> None:
    fault = outcome(reason)
    assert told(None, fault) == ("Warning", reason.value)
    assert told(outcome(Reason.SUCCESS), fault) == ("Warning", reason.value)
    assert told(outcome(reason, "other words"), fault) == ("Warning", reason.value)
    assert told(fault, replace(fault, generation=2)) is None


def test_success_is_told_when_it_comes() -> None:
    success = outcome(Reason.SUCCESS)
    assert told(None, success) == ("Normal", "Applied")
    assert told(outcome(Reason.NORTHBOUND_UNAVAILABLE), success) == ("Normal", "Applied")
    assert told(outcome(Reason.SUCCESS, "3 rows"), success) is None


def test_an_outage_of_the_northbound_is_no_event_of_an_object() -> None:
    assert told(outcome(Reason.SUCCESS), outcome(Reason.NORTHBOUND_UNAVAILABLE)) is None


@pytest.mark.parametrize(
    ("reason", "kind", "word"),
    [
        (Reason.SUCCESS, "Normal", "Applied"),
        (Reason.INVALID, "Warning", "Invalid"),
        (Reason.NORTHBOUND_UNAVAILABLE, "Warning", "NorthboundUnavailable"),
    ],
)
def test_what_a_status_cannot_say_an_event_says_with_the_servers_words(reason: Reason, kind: str, word: str) -> None:
    event = event_of_unsayable(outcome(reason, "in words"), "HTTP 422 Invalid: spec.priority: 101")
    assert (event.key, event.uid, event.type, event.reason) == ("shop/gold", "u1", kind, word)
    assert event.message.startswith("in words. ")
    assert event.message.endswith("HTTP 422 Invalid: spec.priority: 101")


def test_drift_is_told_once_an_object_with_its_number() -> None:
    def drift(policy: str, kind: DriftKind = DriftKind.ROW_DELETED) -> Drift:
        return Drift(kind=kind, what="id-7", policy=policy, found="")

    edited = replace(drift("shop/gold", DriftKind.ROW_EDITED), found="to-lport 10400 (ip4) dscp=1")
    events = events_of_drift([edited, drift("shop/gold"), drift("shop/tin"), drift("")], lambda key: f"uid of {key}")
    assert [(event.key, event.uid, event.type, event.reason, event.message) for event in events] == [
        (
            "shop/gold",
            "uid of shop/gold",
            "Warning",
            "DriftRepaired",
            "The row id-7 was edited and has been put right; found: to-lport 10400 (ip4) dscp=1; and 1 more",
        ),
        ("shop/tin", "uid of shop/tin", "Warning", "DriftRepaired", "The row id-7 was deleted and has been put right"),
    ]


def test_the_same_again_is_counted_and_written_once_a_minute() -> None:
    ledger = EventLedger()
    ledger.record(INVALID, 0.0, 1000.0)
    first = ledger.next(0.0)
    assert first is not None
    assert (first.name, first.count) == ("", 1)
    ledger.named(INVALID, "gold.1")
    for second in range(1, 51):
        ledger.record(INVALID, float(second), 1000.0 + second)
        assert ledger.next(float(second)) is None
    assert ledger.next_time() == 60.0
    again = ledger.next(60.0)
    assert again is not None
    assert (again.name, again.count, again.first_time, again.last_time) == ("gold.1", 51, 1000.0, 1050.0)
    assert ledger.next_time() is None


def test_other_words_make_another_event_but_no_sooner() -> None:
    ledger = EventLedger()
    ledger.record(INVALID, 0.0, 1000.0)
    ledger.next(0.0)
    ledger.named(INVALID, "gold.1")
    other = replace(INVALID, message="spec.priority: 101")
    ledger.record(other, 5.0, 1005.0)
    assert ledger.next(59.0) is None
    found = ledger.next(60.0)
    assert found is not None
    assert (found.event, found.name, found.count, found.first_time) == (other, "", 1, 1005.0)


def test_objects_and_reasons_do_not_wait_for_each_other() -> None:
    ledger = EventLedger()
    for event in (INVALID, replace(INVALID, reason="Conflict"), replace(INVALID, key="shop/tin")):
        ledger.record(event, 0.0, 1000.0)
    assert [ledger.next(0.0) is not None for _ in range(4)] == [True, True, True, False]


def test_a_new_object_of_an_old_name_starts_anew() -> None:
    ledger = EventLedger()
    ledger.record(INVALID, 0.0, 1000.0)
    ledger.next(0.0)
    ledger.record(replace(INVALID, uid="u2"), 1.0, 1001.0)
    found = ledger.next(1.0)
    assert found is not None
    assert (found.event.uid, found.count) == ("u2", 1)


def test_nothing_is_told_of_objects_that_are_gone() -> None:
    ledger = EventLedger()
    ledger.record(INVALID, 0.0, 1000.0)
    ledger.record(replace(INVALID, key="shop/gold-2"), 0.0, 1000.0)
    ledger.forget("NetworkQoS", ["shop/gold"])
    found = ledger.next(0.0)
    assert found is not None
    assert found.event.key == "shop/gold-2"
    assert ledger.next(0.0) is None


def test_what_is_remembered_is_bounded() -> None:
    ledger = EventLedger(remembered=10)
    for number in range(100):
        ledger.record(replace(INVALID, key=f"shop/p{number}"), 0.0, 1000.0)
    assert len(ledger) == 10


@contextmanager
def writing(api: AnsweringApi, folder: Path, **options: Any) -> Iterator[EventWriter]:
    client = connect(write_kubeconfig(folder, api.url))
    writer = EventWriter(client, "node1", **options)
    writer.start()
    try:
        yield writer
    finally:
        writer.stop(drain_seconds=PATIENCE)
        client.close()
    assert not writer.is_alive


def created(request: Request) -> tuple[int, object]:
    return 201, request.body


def test_an_event_regards_the_object(tmp_path: Path) -> None:
    with AnsweringApi(created) as api, writing(api, tmp_path) as writer:
        writer.condition_written(outcome(Reason.INVALID, "é" * 2000), None)
        (request,) = api.wait_for(1)
    body = request.body
    assert (request.method, request.path) == ("POST", "/api/v1/namespaces/shop/events")
    assert body["involvedObject"] == {
        "apiVersion": "k8s.ovn.org/v1alpha1",
        "kind": "NetworkQoS",
        "namespace": "shop",
        "name": "gold",
        "uid": "u1",
    }
    assert (body["type"], body["reason"], body["count"]) == ("Warning", "Invalid", 1)
    assert len(body["message"]) == 1024
    assert body["source"] == {"component": "ovnqosd", "host": "node1"}
    assert body["metadata"]["name"].startswith("gold.")
    assert body["firstTimestamp"] == body["lastTimestamp"]


def test_the_name_of_an_event_is_a_valid_one_for_the_longest_object(tmp_path: Path) -> None:
    name = "n" * 235 + "." + "m" * 17
    with AnsweringApi(created) as api, writing(api, tmp_path) as writer:
        writer.record([replace(INVALID, key=f"shop/{name}")])
        (request,) = api.wait_for(1)
    found = request.body["metadata"]["name"]
    assert len(found) <= 253
    assert ".." not in found


def test_the_same_again_counts_the_event_up_and_makes_a_new_one_when_it_is_forgotten(tmp_path: Path) -> None:
    forgotten: list[str] = []

    def answer(request: Request) -> tuple[int, object]:
        name = request.path.rpartition("/")[2]
        return refusal(404, "NotFound") if name in forgotten else (200, request.body)

    with AnsweringApi(answer) as api, writing(api, tmp_path, interval=0.0) as writer:
        writer.record([INVALID])
        (first,) = api.wait_for(1)
        writer.record([INVALID])
        _, second = api.wait_for(2)
        name = first.body["metadata"]["name"]
        assert (second.method, second.path) == ("PATCH", f"/api/v1/namespaces/shop/events/{name}")
        assert second.content_type == "application/merge-patch+json"
        assert second.body["count"] == 2
        forgotten.append(name)
        writer.record([INVALID])
        *_, third, fourth = api.wait_for(4)
    assert (third.method, fourth.method) == ("PATCH", "POST")
    assert fourth.body["count"] == 3


def test_a_refusal_is_one_log_line_and_the_next_event_is_tried(tmp_path: Path) -> None:
    with (
        capture_logs() as logs,
        AnsweringApi(lambda _: refusal(403, "Forbidden")) as api,
        writing(api, tmp_path) as writer,
    ):
        writer.record([replace(INVALID, key=f"shop/p{number}") for number in range(5)])
        api.wait_for(5)
        writer.stop(drain_seconds=PATIENCE)
    assert len(api.requests) == 5
    (warning,) = logs
    assert warning["event"] == "cannot write Events"
    assert "HTTP 403" in warning["cause"]


def test_a_flood_is_held_back(tmp_path: Path) -> None:
    with AnsweringApi(created) as api, writing(api, tmp_path, rate=0.001, burst=7) as writer:
        writer.record([replace(INVALID, key=f"shop/p{number}") for number in range(100)])
        api.wait_for(7)
        writer.stop()
    assert len(api.requests) == 7
