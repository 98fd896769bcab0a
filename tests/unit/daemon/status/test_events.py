"""Kubernetes Events: what is told, how often, and the requests for it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from ovnqos import Code, ObjectRef, Severity
from ovnqos.kubernetes import Clock, connect
from ovnqosd.loop.outcomes import Drift, DriftKind, ObjectUpdate
from ovnqosd.status.condition import condition_of
from ovnqosd.status.event_writer import EventSeries, EventWrite, EventWriter
from ovnqosd.status.events import Event, event_of_refusal, events_of_condition, events_of_drift, events_of_report
from ovnqosd.status.policy_outcome import PolicyOutcome, Reason
from ovnqosd.status.work_queue import DelayingQueue
from tests.support.answering_api import PATIENCE, AnsweringApi, Request, refusal
from tests.support.outcomes import GOLD, cause, policy_outcome
from tests.support.scripted_api import write_kubeconfig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ovnqos.kubernetes import Interruption

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
INVALID = Event(key="shop/gold", uid="u1", type="Warning", reason="Invalid", message="spec.egress[0].dscp: 99")


def outcome(reason: Reason, message: str = "words") -> PolicyOutcome:
    warnings = (cause(message),) if reason is Reason.SUCCESS else ()
    return replace(policy_outcome(reason, message), warnings=warnings)


def told(before: PolicyOutcome | None, after: PolicyOutcome) -> tuple[str, str] | None:
    previous = condition_of(before, "a", previous=None, now=NOON) if before is not None else None
    return next(((one.type, one.reason) for one in events_of_condition(after, previous)), None)


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
    event = event_of_refusal(outcome(reason, "in words"), "HTTP 422 Invalid: spec.priority: 101")
    assert (event.key, event.uid, event.type, event.reason) == ("shop/gold", "u1", kind, word)
    assert "in words" in event.message
    assert event.message.endswith("HTTP 422 Invalid: spec.priority: 101")


def test_drift_is_told_once_an_object_with_its_number() -> None:
    def drift(policy: str, kind: DriftKind = DriftKind.ROW_DELETED) -> Drift:
        return Drift(kind=kind, what="id-7", policy=policy, found="")

    edited = replace(drift("shop/gold", DriftKind.ROW_EDITED), found="to-lport 10400 (ip4) dscp=1")
    events = events_of_drift([edited, drift("shop/gold"), drift("shop/tin"), drift("")], lambda key: f"uid of {key}")
    assert [(event.key, event.uid, event.type, event.reason) for event in events] == [
        ("shop/gold", "uid of shop/gold", "Warning", "DriftRepaired"),
        ("shop/tin", "uid of shop/tin", "Warning", "DriftRepaired"),
    ]
    assert all(part in events[0].message for part in ("id-7", "to-lport 10400 (ip4) dscp=1", "1 more"))
    assert "more" not in events[1].message


class Series:
    """The series of Events with their queue; what is prepared counts as written at once, under this name."""

    def __init__(self, **options: Any) -> None:
        self.queue = DelayingQueue()
        self.series = EventSeries(self.queue, **options)

    def record(self, event: Event, now: float) -> None:
        self.series.record(event, now, 1000.0 + now)

    def next(self, now: float, name: str = "gold.1") -> EventWrite | None:
        while (key := self.queue.pop(now)) is not None:
            found = self.series.prepare(key, now)
            if isinstance(found, EventWrite):
                self.series.written(found, name, now)
                return found
            if found is not None:
                self.queue.add(key, found)
        return None


def test_the_same_again_is_counted_and_written_once_a_minute() -> None:
    series = Series()
    series.record(INVALID, 0.0)
    first = series.next(0.0)
    assert first is not None
    assert (first.name, first.count) == ("", 1)
    for second in range(1, 51):
        series.record(INVALID, float(second))
        assert series.next(float(second)) is None
    assert series.queue.next_time() == 60.0
    again = series.next(60.0)
    assert again is not None
    assert (again.name, again.count, again.first_time, again.last_time) == ("gold.1", 51, 1000.0, 1050.0)
    assert series.queue.next_time() is None


def test_other_words_make_another_event_but_no_sooner() -> None:
    series = Series()
    series.record(INVALID, 0.0)
    series.next(0.0)
    other = replace(INVALID, message="spec.priority: 101")
    series.record(other, 5.0)
    assert series.next(59.0) is None
    found = series.next(60.0)
    assert found is not None
    assert (found.event, found.name, found.count, found.first_time) == (other, "", 1, 1005.0)


def test_objects_and_reasons_do_not_wait_for_each_other() -> None:
    series = Series()
    for event in (INVALID, replace(INVALID, reason="Conflict"), replace(INVALID, key="shop/tin")):
        series.record(event, 0.0)
    assert [series.next(0.0) is not None for _ in range(4)] == [True, True, True, False]


def test_a_new_object_of_an_old_name_starts_anew() -> None:
    series = Series()
    series.record(INVALID, 0.0)
    series.next(0.0)
    series.record(replace(INVALID, uid="u2"), 1.0)
    found = series.next(1.0)
    assert found is not None
    assert (found.event.uid, found.count) == ("u2", 1)


def test_what_happens_while_an_event_is_written_is_written_after_it() -> None:
    queue = DelayingQueue()
    series = EventSeries(queue)
    series.record(INVALID, 0.0, 1000.0)
    key = queue.pop(0.0)
    assert key is not None
    write = series.prepare(key, 0.0)
    assert isinstance(write, EventWrite)
    series.record(INVALID, 0.5, 1000.5)
    series.written(write, "gold.1", 1.0)
    assert queue.pop(0.5) == key  # added when it happened
    due = series.prepare(key, 0.5)
    assert due == 61.0
    again = series.prepare(key, 61.0)
    assert isinstance(again, EventWrite)
    assert (again.new, again.count, again.name) == (1, 2, "gold.1")


def test_nothing_is_written_of_objects_that_are_gone() -> None:
    series = Series()
    series.record(INVALID, 0.0)
    series.record(replace(INVALID, key="shop/gold-2"), 0.0)
    series.series.delete("NetworkQoS", ["shop/gold"])
    found = series.next(0.0)
    assert found is not None
    assert found.event.key == "shop/gold-2"
    assert series.next(0.0) is None


def test_what_is_remembered_is_bounded() -> None:
    series = Series(remembered=10)
    for number in range(100):
        series.record(replace(INVALID, key=f"shop/p{number}"), 0.0)
    assert len(series.series) == 10


def test_many_events_of_one_namespace_drive_out_none_of_another() -> None:
    series = Series(remembered=10)
    series.record(replace(INVALID, key="bank/gold"), 0.0)
    for number in range(100):
        series.record(replace(INVALID, key=f"shop/p{number}"), 0.0)
    assert len(series.series) == 10
    keys = []
    while (found := series.next(0.0)) is not None:
        keys.append(found.event.key)
    assert keys[0] == "bank/gold"
    assert len(keys) == 10


def test_a_report_is_an_event_a_code_and_of_a_pod_one_in_all() -> None:
    found = (
        cause("a", path="metadata.annotations[x]"),
        replace(cause("b", code=Code.NO_EFFECT), severity=Severity.WARNING),
        replace(cause("c", code=Code.NO_EFFECT), severity=Severity.INFO),
    )
    events = events_of_report(ObjectUpdate(object=GOLD, uid="u1", diagnostics=found))
    assert [(event.key, event.uid, event.type, event.reason, event.message) for event in events] == [
        ("shop/gold", "u1", "Warning", "InvalidField", "metadata.annotations[x]: a"),
        ("shop/gold", "u1", "Warning", "NoEffect", "b; c"),
    ]
    web = ObjectRef(kind="Pod", namespace="shop", name="web")
    (event,) = events_of_report(ObjectUpdate(object=web, uid="u2", diagnostics=found))
    assert (event.kind, event.key, event.uid, event.reason) == ("Pod", "shop/web", "u2", "QosAnnotations")
    (event,) = events_of_report(ObjectUpdate(object=GOLD, uid="u1", diagnostics=found[2:]))
    assert event.type == "Normal"


class Hurried(Clock):
    """Pauses take no time. `pauses` has the seconds of each."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    def wait(self, seconds: float, interruption: Interruption) -> None:
        """Returns at once."""
        self.pauses.append(seconds)


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
        writer.record(events_of_condition(outcome(Reason.INVALID, "é" * 2000), None))
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
    assert warning["log_level"] == "warning"
    assert "HTTP 403" in warning["cause"]


def test_an_event_that_an_outage_of_the_api_kept_from_being_written_is_written_after_it(tmp_path: Path) -> None:
    failures = threading.Semaphore(3)

    def answer(request: Request) -> tuple[int, object]:
        return refusal(503, "Unavailable") if failures.acquire(blocking=False) else created(request)

    with AnsweringApi(answer) as api, writing(api, tmp_path, clock=Hurried()) as writer:
        writer.record([INVALID])
        requests = api.wait_for(4)
        writer.stop(drain_seconds=PATIENCE)
    assert [request.body["count"] for request in requests] == [1, 1, 1, 1]
    assert len(api.requests) == 4


def test_an_event_that_the_api_refuses_for_now_is_sent_again_after_the_time_that_it_asks_for(tmp_path: Path) -> None:
    asked = threading.Semaphore(1)
    clock = Hurried()

    def answer(request: Request) -> tuple[int, object]:
        too_many = refusal(429, "TooManyRequests", retry_after="7")
        return too_many if asked.acquire(blocking=False) else created(request)

    with AnsweringApi(answer) as api, writing(api, tmp_path, clock=clock) as writer:
        writer.record([INVALID])
        first, second = api.wait_for(2)
        writer.stop(drain_seconds=PATIENCE)
    assert first.body["involvedObject"] == second.body["involvedObject"]
    assert [request.body["reason"] for request in api.requests] == [INVALID.reason] * 2
    (pause,) = clock.pauses
    assert pause >= 7


def test_a_flood_is_held_back(tmp_path: Path) -> None:
    with AnsweringApi(created) as api, writing(api, tmp_path, rate=0.001, burst=7) as writer:
        writer.record([replace(INVALID, key=f"shop/p{number}") for number in range(100)])
        api.wait_for(7)
        writer.stop()
    assert len(api.requests) == 7


def test_an_event_waits_for_one_of_each_other_namespace_at_most(tmp_path: Path) -> None:
    crowd = [replace(INVALID, kind="Pod", key=f"shop/p{number}", uid=f"u{number}") for number in range(600)]
    others = [replace(INVALID, key="bank/gold"), replace(INVALID, kind="Namespace", key="farm")]
    with AnsweringApi(created) as api, writing(api, tmp_path, rate=1e6, burst=1000) as writer:
        writer.record([*crowd, *others])
        first = api.wait_for(4)
        api.wait_for(602)
    assert {"gold", "farm"} <= {one.body["involvedObject"]["name"] for one in first}
