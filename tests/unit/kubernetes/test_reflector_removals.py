"""Objects that go: what a delete event says counts, what a resource or list that ends seems to say is confirmed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ovnqos.kubernetes import NETWORK_ATTACHMENT_DEFINITIONS, NETWORK_QOSES, PODS, Emptied, RestartReason, RetryPolicy
from tests.support.reflectors import Recorder
from tests.support.scripted_api import FakeClock, ScriptedApi, event, page, pod, reflected, refusal, watch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ovnqos.kubernetes import Resource
    from tests.support.scripted_api import Exchange

_MISSING = refusal(404, "NotFound", "the server could not find the requested resource")
_SERVED = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
_ENDING = ("delete", "deletecollection", "get", "list", "watch")
"""The verbs of a custom resource whose CRD is being deleted, as kube-apiserver lists them."""
_POLICY = "shop/gold"


def _object(resource: Resource, name: str, version: int) -> dict[str, Any]:
    metadata = {"namespace": "shop", "name": name, "uid": f"uid-{name}", "resourceVersion": str(version)}
    if resource is NETWORK_QOSES:
        spec = {"priority": 1, "egress": [{"dscp": 1, "classifier": {}}]}
        return {"apiVersion": "k8s.ovn.org/v1alpha1", "kind": "NetworkQoS", "metadata": metadata, "spec": spec}
    return {
        "apiVersion": "k8s.cni.cncf.io/v1",
        "kind": resource.kind,
        "metadata": metadata,
        "spec": {"config": '{"type": "macvlan"}'},
    }


def _discovery(resource: Resource, verbs: tuple[str, ...]) -> Callable[[Exchange], None]:
    resources = [{"name": resource.path.rpartition("/")[2], "kind": resource.kind, "verbs": list(verbs)}]
    resources.append({"name": f"{resources[0]['name']}/status", "kind": resource.kind, "verbs": ["get"]})
    return lambda exchange: exchange.send_json(200, {"kind": "APIResourceList", "resources": resources})


@pytest.mark.parametrize("resource", [NETWORK_QOSES, NETWORK_ATTACHMENT_DEFINITIONS], ids=lambda one: one.kind)
def test_what_goes_with_its_custom_resource_is_not_taken_for_deleted(tmp_path: Path, resource: Resource) -> None:
    both = [_object(resource, name, 3) for name in ("gold", "silver")]
    recorder, clock = Recorder(), FakeClock(ends_at=8)
    gone = watch(event("DELETED", _object(resource, "gold", 6)))
    with ScriptedApi(
        page(both, 5), gone, _discovery(resource, _ENDING), page(both[1:], 7), _discovery(resource, _ENDING)
    ) as api:
        api.last = _MISSING
        with reflected(api.url, tmp_path, recorder, resource=resource, policy=RetryPolicy(), clock=clock) as reflector:
            assert clock.ended.wait(20)
            assert recorder.told == [(["shop/gold", "shop/silver"], [], [])]
            assert reflector.problem


def test_a_custom_resource_that_comes_back_is_as_its_list_says(tmp_path: Path) -> None:
    resource, recorder, clock = NETWORK_QOSES, Recorder(), FakeClock()
    gone = watch(event("DELETED", _object(resource, "gold", 6)))
    with (
        ScriptedApi(
            page([_object(resource, "gold", 3), _object(resource, "silver", 4)], 5),
            gone,
            _discovery(resource, _ENDING),
            _MISSING,
            page([_object(resource, "silver", 9)], 9),
            _discovery(resource, _SERVED),
        ) as api,
        reflected(api.url, tmp_path, recorder, resource=resource, policy=RetryPolicy(), clock=clock),
    ):
        recorder.wait_for_objects("shop/silver")
        assert recorder.changes[-1].listed
        assert recorder.changes[-1].emptied is None
        assert recorder.changes[-1].deleted == (_POLICY,)
        api.wait_for_requests(7)


@pytest.mark.parametrize(
    "answer", [_discovery(NETWORK_QOSES, _SERVED), refusal(403, "Forbidden")], ids=["served", "403"]
)
def test_an_object_that_is_deleted_is_gone_at_once(tmp_path: Path, answer: Callable[[Exchange], None]) -> None:
    recorder = Recorder()
    gone = watch(event("DELETED", _object(NETWORK_QOSES, "gold", 6)))
    with (
        ScriptedApi(page([_object(NETWORK_QOSES, "gold", 3)], 5), gone, answer) as api,
        reflected(api.url, tmp_path, recorder, resource=NETWORK_QOSES, clock=FakeClock()) as reflector,
    ):
        recorder.wait_until(lambda: len(recorder.changes) == 2)
        assert recorder.changes[-1].deleted == (_POLICY,)
        assert not recorder.changes[-1].listed
        assert reflector.restarts[RestartReason.REFUSED] == 0


def test_a_list_that_is_suddenly_empty_is_asked_for_again(tmp_path: Path) -> None:
    recorder, clock = Recorder(), FakeClock()
    with (
        ScriptedApi(
            page([pod("web", 3)], 5), watch(ends=True), refusal(410, "Expired"), page([], 9), page([pod("web", 3)], 9)
        ) as api,
        reflected(api.url, tmp_path, recorder, policy=RetryPolicy(), clock=clock),
    ):
        api.wait_for_requests(6)
        assert recorder.told == [(["shop/web"], [], [])]


def test_a_list_that_is_still_empty_after_five_seconds_is_believed(tmp_path: Path) -> None:
    recorder, clock = Recorder(), FakeClock()
    with (
        ScriptedApi(page([pod("web", 3)], 5), watch(ends=True), refusal(410, "Expired")) as api,
        reflected(api.url, tmp_path, recorder, resource=PODS, policy=RetryPolicy(), clock=clock) as reflector,
    ):
        api.last = page([], 9)
        recorder.wait_until(lambda: [one.deleted for one in recorder.changes] == [(), ("shop/web",)])
        assert sum(clock.waits) >= 5
        assert recorder.changes[-1].listed
        assert [one.emptied for one in recorder.changes] == [None, Emptied.EMPTY]
        assert reflector.restarts[RestartReason.EMPTY] >= 1


def test_objects_of_a_resource_that_stays_missing_go_because_it_is_absent(tmp_path: Path) -> None:
    resource, recorder, clock = NETWORK_ATTACHMENT_DEFINITIONS, Recorder(), FakeClock()
    with (
        ScriptedApi(page([_object(resource, "blue", 3)], 5), watch(ends=True), refusal(410, "Expired")) as api,
        reflected(api.url, tmp_path, recorder, resource=resource, policy=RetryPolicy(), clock=clock),
    ):
        api.last = _MISSING
        recorder.wait_until(lambda: len(recorder.changes) == 2)
        assert recorder.changes[-1].deleted == ("shop/blue",)
        assert [one.emptied for one in recorder.changes] == [None, Emptied.ABSENT]


def test_a_list_that_is_empty_from_the_start_is_believed(tmp_path: Path) -> None:
    recorder = Recorder()
    with (
        ScriptedApi(page([], 5)) as api,
        reflected(api.url, tmp_path, recorder, resource=PODS, clock=FakeClock()) as reflector,
    ):
        assert reflector.wait_synced(20)
        api.wait_for_requests(2)
        assert recorder.calls == ["Pod"]
