"""Resources whose CRD may be missing: absent is a state, and one that must not be believed too soon."""

from __future__ import annotations

from typing import TYPE_CHECKING

from structlog.testing import capture_logs

from ovnqos.kubernetes import NETWORK_ATTACHMENT_DEFINITIONS, NETWORK_QOSES, RestartReason, RetryPolicy
from tests.support.reflectors import Recorder
from tests.support.scripted_api import (
    FakeClock,
    ScriptedApi,
    page,
    reflected,
    refusal,
    watch,
)

if TYPE_CHECKING:
    from pathlib import Path

_MISSING = refusal(404, "NotFound", "the server could not find the requested resource")


def _attachment(name: str, version: int) -> dict[str, object]:
    metadata = {"namespace": "shop", "name": name, "resourceVersion": str(version)}
    return {
        "apiVersion": "k8s.cni.cncf.io/v1",
        "kind": "NetworkAttachmentDefinition",
        "metadata": metadata,
        "spec": {"config": '{"type": "macvlan"}'},
    }


def test_a_missing_optional_crd_counts_as_synced_and_is_noticed_when_it_appears(tmp_path: Path) -> None:
    recorder = Recorder()
    clock = FakeClock()
    with (
        capture_logs() as logs,
        ScriptedApi(_MISSING, _MISSING, _MISSING, page([_attachment("blue", 3)], 5)) as api,
        reflected(
            api.url, tmp_path, recorder, resource=NETWORK_ATTACHMENT_DEFINITIONS, policy=RetryPolicy(), clock=clock
        ) as reflector,
    ):
        assert reflector.wait_synced(20)
        api.wait_for_requests(5)
        assert recorder.calls[0] == "NetworkAttachmentDefinition"
        assert recorder.told == [(["shop/blue"], [], [])]
        assert len(clock.waits) == 3
        assert all(27 <= wait <= 33 for wait in clock.waits)
        assert not reflector.absent
        assert reflector.problem == ""
        assert reflector.restarts[RestartReason.ABSENT] == 3
    told = [line for line in logs if line["log_level"] != "debug"]
    assert [line["log_level"] for line in told] == ["info", "info"]


def test_the_objects_of_a_crd_that_vanishes_are_removed(tmp_path: Path) -> None:
    recorder = Recorder()
    clock = FakeClock()
    with ScriptedApi(page([_attachment("blue", 3), _attachment("red", 4)], 5), watch(ends=True)) as api:
        api.last = _MISSING
        clock = FakeClock(ends_at=100)
        with reflected(
            api.url, tmp_path, recorder, resource=NETWORK_ATTACHMENT_DEFINITIONS, policy=RetryPolicy(), clock=clock
        ) as reflector:
            assert clock.ended.wait(20)
            assert recorder.told == [(["shop/blue", "shop/red"], [], []), ([], [], ["shop/blue", "shop/red"])]
            assert reflector.absent
            assert reflector.has_synced
            assert reflector.objects == 0


def test_a_server_that_does_not_know_its_crds_yet_removes_nothing(tmp_path: Path) -> None:
    recorder = Recorder()
    clock = FakeClock()
    with (
        ScriptedApi(
            page([_attachment("blue", 3)], 5), watch(ends=True), *[_MISSING] * 3, page([_attachment("blue", 3)], 9)
        ) as api,
        reflected(
            api.url, tmp_path, recorder, resource=NETWORK_ATTACHMENT_DEFINITIONS, policy=RetryPolicy(), clock=clock
        ) as reflector,
    ):
        api.wait_for_requests(7)
        assert sum(clock.waits) < 10
        assert recorder.told == [(["shop/blue"], [], [])]
        assert not reflector.absent


def test_an_absent_resource_that_is_then_refused_is_a_problem_and_no_longer_one_when_absent_again(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    with (
        capture_logs() as logs,
        ScriptedApi(_MISSING, refusal(403, "Forbidden"), refusal(403, "Forbidden")) as api,
    ):
        api.last = _MISSING
        clock = FakeClock(ends_at=200)
        with reflected(
            api.url, tmp_path, Recorder(), resource=NETWORK_ATTACHMENT_DEFINITIONS, policy=RetryPolicy(), clock=clock
        ) as reflector:
            assert clock.ended.wait(20)
            assert reflector.problem == ""
            assert reflector.absent
    assert [line["status"] for line in logs if line["log_level"] == "warning"] == [403]


def test_a_missing_crd_that_is_needed_is_a_problem(tmp_path: Path) -> None:
    clock = FakeClock(ends_at=100)
    recorder = Recorder()
    with ScriptedApi() as api:
        api.last = _MISSING
        with reflected(api.url, tmp_path, recorder, resource=NETWORK_QOSES, clock=clock) as reflector:
            assert clock.ended.wait(20)
            assert not reflector.has_synced
            assert reflector.problem.startswith("HTTP 404 NotFound")
            assert recorder.calls == []
