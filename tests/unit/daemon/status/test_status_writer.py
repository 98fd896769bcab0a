"""The status writer's requests and its log, against an API on a real socket."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from ovnqos.kubernetes import Clock, connect
from ovnqosd.status.object_status import read_status
from ovnqosd.status.policy_outcome import APPLIED, Reason
from ovnqosd.status.status_plan import StatusTiming
from ovnqosd.status.status_writer import StatusWriter
from tests.support.answering_api import PATIENCE, AnsweringApi, Request, refusal
from tests.support.outcomes import merged_status, policy_outcome
from tests.support.scripted_api import write_kubeconfig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ovnqos.kubernetes import Interruption
    from ovnqosd.status.condition import Condition
    from ovnqosd.status.policy_outcome import PolicyOutcome

SOON = StatusTiming(spacing=0.0, retract_after=0.0, missing_retry=0.0, retry_first=0.001, retry_longest=0.001)
GOLD = policy_outcome(generation=2)


class Objects:
    """Answers server-side applies as the API server does."""

    def __init__(self) -> None:
        self.owned: dict[tuple[str, str], dict[str, Any]] = {}
        self.version = 0

    def __call__(self, request: Request) -> tuple[int, object]:
        *_, namespace, _, name, _ = request.path.split("/")
        self.version += 1
        self.owned[(name, request.query["fieldManager"])] = request.body["status"]
        status = merged_status(applied for (owner, _), applied in self.owned.items() if owner == name)
        metadata = {"namespace": namespace, "name": name, "uid": "u1", "generation": 2}
        return 200, {"metadata": metadata | {"resourceVersion": str(self.version)}, "status": status}


class CountingClock(Clock):
    """Waits take no time, and are counted."""

    def __init__(self) -> None:
        self.waited = threading.Semaphore(0)

    def wait(self, seconds: float, interruption: Interruption) -> None:
        self.waited.release()


@contextmanager
def writing(api: AnsweringApi, folder: Path, timing: StatusTiming = SOON, **options: Any) -> Iterator[StatusWriter]:
    client = connect(write_kubeconfig(folder, api.url))
    writer = StatusWriter(client, "a", timing=timing, **options)
    writer.start()
    try:
        yield writer
    finally:
        writer.stop()
        client.close()
    assert not writer.is_alive


def test_a_condition_is_applied_to_the_status_subresource(tmp_path: Path) -> None:
    with AnsweringApi(Objects()) as api, writing(api, tmp_path) as writer:
        writer.set_outcomes([GOLD])
        (request,) = api.wait_for(1)
        writer.stop(drain_seconds=PATIENCE)
    assert (request.method, request.content_type) == ("PATCH", "application/apply-patch+yaml")
    assert request.path == "/apis/k8s.ovn.org/v1alpha1/namespaces/shop/networkqoses/gold/status"
    assert request.query == {"fieldManager": "ovnqosd-zone-a", "force": "true"}
    assert request.body["metadata"] == {"namespace": "shop", "name": "gold", "uid": "u1"}
    (condition,) = request.body["status"]["conditions"]
    assert condition["lastTransitionTime"].endswith("Z")
    assert (condition["type"], condition["status"], condition["observedGeneration"]) == ("Ready-In-Zone-a", "True", 2)
    assert len(api.requests) == 1


def test_a_custom_resource_without_counts_gets_the_rest_of_the_status(tmp_path: Path) -> None:
    objects = Objects()

    def answer(request: Request) -> tuple[int, object]:
        if {"zones", "pods"} & request.body["status"].keys():
            message = "failed to create typed patch object: .status.zones: field not declared in schema"
            return 500, {"kind": "Status", "code": 500, "message": message}
        return objects(request)

    with capture_logs() as logs, AnsweringApi(answer) as api, writing(api, tmp_path) as writer:
        writer.aggregate(True)
        writer.set_outcomes([GOLD])
        api.wait_for(3)
        writer.stop(drain_seconds=PATIENCE)
    found = merged_status(objects.owned.values())
    assert ([one["type"] for one in found["conditions"]], found["status"]) == (["Ready-In-Zone-a", "Ready"], APPLIED)
    assert len([line for line in logs if line["log_level"] == "warning"]) == 1


def test_stop_writes_first_what_is_due(tmp_path: Path) -> None:
    with AnsweringApi(Objects()) as api, writing(api, tmp_path) as writer:
        writer.aggregate(True)
        writer.set_outcomes([replace(GOLD, key=f"shop/p{number}") for number in range(30)])
        writer.stop(drain_seconds=PATIENCE)
        assert len(api.requests) == 60
        assert writer.pending == 0


def test_each_written_condition_is_told_with_the_one_it_replaced(tmp_path: Path) -> None:
    told: list[tuple[PolicyOutcome, Condition | None]] = []
    with (
        AnsweringApi(Objects()) as api,
        writing(api, tmp_path, on_condition=lambda *args: told.append(args)) as writer,
    ):
        writer.set_outcomes([GOLD])
        api.wait_for(1)
        bad = policy_outcome(Reason.INVALID, generation=2)
        writer.set_outcomes([bad])
        api.wait_for(2)
        writer.stop(drain_seconds=PATIENCE)
    (first, nothing), (second, success) = told
    assert (first, nothing, second) == (GOLD, None, bad)
    assert success is not None
    assert success.reason == "Success"


@pytest.mark.parametrize(("status", "lines"), [(403, 1), (500, 1), (409, 3)])
def test_refusals_are_one_log_line_and_the_writes_come_in_the_end(tmp_path: Path, status: int, lines: int) -> None:
    refused = threading.Semaphore(12)
    objects = Objects()

    def answer(request: Request) -> tuple[int, object]:
        return refusal(status, "Refused") if refused.acquire(blocking=False) else objects(request)

    with capture_logs() as logs, AnsweringApi(answer) as api, writing(api, tmp_path, clock=CountingClock()) as writer:
        writer.set_outcomes([replace(GOLD, key=f"shop/p{number}") for number in range(3)])
        api.wait_for(15)
        writer.stop(drain_seconds=PATIENCE)
    assert len(objects.owned) == 3
    warnings = [log for log in logs if log["log_level"] == "warning"]
    assert len(warnings) == lines
    assert all(f"HTTP {status}" in log["cause"] for log in warnings)
    recovered = [log["log_level"] for log in logs if log["log_level"] == "info"]
    assert len(recovered) == (0 if status == 409 else 1)


def test_what_the_api_will_not_have_is_told_once_until_it_changes_or_is_written(tmp_path: Path) -> None:
    told: list[tuple[PolicyOutcome, str]] = []
    objects = Objects()
    refusing = True

    def answer(request: Request) -> tuple[int, object]:
        return refusal(422, "Invalid") if refusing else objects(request)

    with (
        AnsweringApi(answer) as api,
        writing(api, tmp_path, clock=CountingClock(), on_refusal=lambda *args: told.append(args)) as writer,
    ):
        writer.set_outcomes([GOLD])
        api.wait_for(5)
        bad = policy_outcome(Reason.INVALID, generation=2)
        writer.set_outcomes([bad])
        api.wait_for(len(api.requests) + 5)
        refusing = False
        api.wait_for(len(api.requests) + 1)
        writer.stop(drain_seconds=PATIENCE)
    assert [one for one, _ in told] == [GOLD, bad]
    assert all(words.startswith("HTTP 422 Invalid") for _, words in told)
    assert len(objects.owned) == 1


def test_another_refusal_is_no_event(tmp_path: Path) -> None:
    told: list[object] = []
    with (
        AnsweringApi(lambda _: refusal(409, "Conflict")) as api,
        writing(api, tmp_path, on_refusal=lambda *args: told.append(args)) as writer,
    ):
        writer.set_outcomes([GOLD])
        api.wait_for(3)
    assert told == []


def test_withdrawing_takes_every_condition_away_and_says_whether_it_could(tmp_path: Path) -> None:
    objects = Objects()
    with AnsweringApi(objects) as api, writing(api, tmp_path) as writer:
        writer.aggregate(True)
        writer.set_outcomes([replace(GOLD, key=f"shop/p{number}") for number in range(20)])
        api.wait_for(40)
        assert writer.withdraw(PATIENCE, stalled_seconds=PATIENCE)
        assert len(api.requests) == 80
    last = api.requests[40:]
    assert {request.content_type for request in last if "aggregator" in request.query["fieldManager"]} == {
        "application/merge-patch+json"
    }
    assert all("force" not in request.query for request in last if "merge" in request.content_type)
    assert all(request.body["metadata"].get("resourceVersion") for request in last if "merge" in request.content_type)
    assert not any(value for status in objects.owned.values() for value in status.values())


def test_withdrawing_from_an_api_that_is_silent_is_given_up_when_it_stalls(tmp_path: Path) -> None:
    silent, ending = threading.Event(), threading.Event()
    objects = Objects()

    def answer(request: Request) -> tuple[int, object]:
        if silent.is_set():
            ending.wait(PATIENCE)
        return objects(request)

    with AnsweringApi(answer) as api:
        with writing(api, tmp_path) as writer:
            writer.set_outcomes([GOLD])
            api.wait_for(1)
            silent.set()
            assert not writer.withdraw(PATIENCE, stalled_seconds=0.1)
        ending.set()


def test_an_object_that_is_gone_is_no_warning_and_is_given_up(tmp_path: Path) -> None:
    with (
        capture_logs() as logs,
        AnsweringApi(lambda _: refusal(404, "NotFound")) as api,
        writing(api, tmp_path) as writer,
    ):
        writer.set_outcomes([GOLD])
        api.wait_for(2)
        writer.stop(drain_seconds=PATIENCE)
    assert len(api.requests) == 2
    assert [log for log in logs if log["log_level"] == "warning"] == []


def test_an_unreachable_api_is_told_once(tmp_path: Path) -> None:
    with AnsweringApi(Objects()) as api:
        url = api.url
    client = connect(write_kubeconfig(tmp_path, url))
    clock = CountingClock()
    with capture_logs() as logs:
        writer = StatusWriter(client, "a", timing=SOON, clock=clock)
        writer.start()
        writer.set_outcomes([GOLD])
        for _ in range(5):
            assert clock.waited.acquire(timeout=PATIENCE)
        writer.stop()
    client.close()
    (warning,) = (log for log in logs if log["log_level"] == "warning")
    assert "Connection refused" in warning["cause"]


def test_stop_ends_a_request_that_is_never_answered(tmp_path: Path) -> None:
    asked, ending = threading.Event(), threading.Event()

    def silence(_: Request) -> tuple[int, object]:
        asked.set()
        ending.wait(PATIENCE)
        return 200, {}

    with AnsweringApi(silence) as api, capture_logs() as logs:
        with writing(api, tmp_path) as writer:
            writer.set_outcomes([GOLD])
            assert asked.wait(PATIENCE)
        ending.set()
    assert logs == []


def test_a_status_is_read_with_its_conditions_by_type() -> None:
    condition = {"type": "Ready-In-Zone-a", "status": "True", "reason": "Success", "observedGeneration": 4}
    document = {
        "apiVersion": "k8s.ovn.org/v1alpha1",
        "kind": "NetworkQoS",
        "metadata": {"namespace": "shop", "name": "gold", "uid": "u1", "generation": 4, "resourceVersion": "9"},
        "spec": {"priority": 1, "egress": [{"dscp": 1}]},
        "status": {"status": "fine", "conditions": [condition]},
    }
    found = read_status(document, "Ready-In-Zone-a")
    assert found is not None
    assert (found.key, found.uid, found.generation, found.summary) == ("shop/gold", "u1", 4, "fine")
    assert found.conditions["Ready-In-Zone-a"].observed_generation == 4


@pytest.mark.parametrize("document", [None, {}, {"metadata": {"name": "x"}}, {"metadata": 3}])
def test_a_document_without_a_name_has_no_status(document: object) -> None:
    assert read_status(document, "Ready-In-Zone-a") is None
