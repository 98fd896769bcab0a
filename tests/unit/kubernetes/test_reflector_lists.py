"""How a reflector lists: in pages, told as one difference."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from ovnqos import InvalidObject, NetworkQoS, Pod
from ovnqos.kubernetes import (
    NETWORK_QOSES,
    PODS,
    Interruption,
    Resource,
    RestartReason,
)
from ovnqos.kubernetes.objects import read_list
from tests.support.reflectors import Recorder
from tests.support.scripted_api import (
    FakeClock,
    ScriptedApi,
    client_of,
    event,
    expired_event,
    page,
    pod,
    reflected,
    refusal,
    watch,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.scripted_api import Exchange


def test_all_pages_come_in_one_call_and_then_synced(tmp_path: Path) -> None:
    recorder = Recorder()
    with (
        ScriptedApi(
            page([pod("a", 1), pod("b", 2)], 9, token="2nd"),
            page([pod("c", 3)], 9, token="3/rd+"),
            page([pod("d", 4)], 9),
        ) as api,
        reflected(api.url, tmp_path, recorder) as reflector,
    ):
        assert reflector.wait_synced(20)
        api.wait_for_requests(4)
        assert recorder.told == [(["shop/a", "shop/b", "shop/c", "shop/d"], [], [])]
        assert recorder.calls[1:] == ["Pod"]
        assert reflector.objects == 4
        assert api.lists == [
            {"limit": "500"},
            {"limit": "500", "continue": "2nd"},
            {"limit": "500", "continue": "3/rd+"},
        ]
        (watched,) = api.watches
        assert watched["resourceVersion"] == "9"
        assert watched["allowWatchBookmarks"] == "true"
        assert 240 <= int(watched["timeoutSeconds"]) <= 300


def test_nothing_is_told_before_the_last_page(tmp_path: Path) -> None:
    recorder = Recorder()
    last_page_asked, go_on = threading.Event(), threading.Event()

    def last_page(exchange: Exchange) -> None:
        last_page_asked.set()
        go_on.wait(20)
        page([pod("b", 2)], 9)(exchange)

    with (
        ScriptedApi(page([pod("a", 1)], 9, token="more"), last_page) as api,
        reflected(api.url, tmp_path, recorder) as reflector,
    ):
        assert last_page_asked.wait(20)
        assert recorder.calls == []
        assert not reflector.has_synced
        go_on.set()
        recorder.wait_for_calls(2)
        assert sorted(recorder.world) == ["shop/a", "shop/b"]


def test_an_empty_list_syncs_without_changes(tmp_path: Path) -> None:
    def null_items(exchange: Exchange) -> None:
        exchange.send_json(200, {"items": None, "metadata": {"resourceVersion": "3"}})

    recorder = Recorder()
    with ScriptedApi(null_items) as api, reflected(api.url, tmp_path, recorder) as reflector:
        recorder.wait_for_calls(1)
        assert recorder.calls == ["Pod"]
        assert reflector.objects == 0


def test_a_new_list_tells_exactly_the_difference(tmp_path: Path) -> None:
    parsed: list[str] = []

    def parse(document: object) -> Pod:
        one = PODS.parse(document)
        assert isinstance(one, Pod)
        parsed.append(one.name)
        return one

    before = [pod("kept", 1), pod("changed", 2), pod("gone", 3), pod("replaced", 4)]
    after = [pod("kept", 1), pod("changed", 7), pod("new", 8), pod("replaced", 9)]
    recorder = Recorder()
    with (
        ScriptedApi(
            page(before, 5), watch(expired_event()), page(after[:2], 9, token="more"), page(after[2:], 9)
        ) as api,
        reflected(api.url, tmp_path, recorder, resource=Resource(kind="Pod", path=PODS.path, parse=parse)) as reflector,
    ):
        recorder.wait_for_calls(3)
        assert recorder.told[1:] == [(["shop/changed", "shop/new", "shop/replaced"], [], ["shop/gone"])]
        assert recorder.calls.count("Pod") == 1
        assert parsed == ["kept", "changed", "gone", "replaced", "changed", "new", "replaced"]
        assert reflector.objects == 4


def test_a_new_list_without_a_difference_tells_nothing(tmp_path: Path) -> None:
    recorder = Recorder()
    with (
        ScriptedApi(page([pod("a", 1)], 5), watch(expired_event()), page([pod("a", 1)], 9)) as api,
        reflected(api.url, tmp_path, recorder),
    ):
        api.wait_for_requests(4)
        assert len(recorder.calls) == 2
        assert api.watches[1]["resourceVersion"] == "9"


def test_a_page_that_expired_makes_a_list_without_pages(tmp_path: Path) -> None:
    recorder = Recorder()
    clock = FakeClock()
    with (
        ScriptedApi(
            page([pod("a", 1), pod("gone", 2)], 5, token="old"),
            refusal(410, "Expired", "The provided continue parameter is too old"),
            page([pod("a", 1), pod("b", 7)], 8),
        ) as api,
        reflected(api.url, tmp_path, recorder, clock=clock) as reflector,
    ):
        api.wait_for_requests(4)
        assert api.lists == [{"limit": "500"}, {"limit": "500", "continue": "old"}, {}]
        assert recorder.told == [(["shop/a", "shop/b"], [], [])]
        assert api.watches[0]["resourceVersion"] == "8"
        assert clock.waits == []
        assert reflector.restarts[RestartReason.EXPIRED] == 0


def test_an_object_that_cannot_be_read_is_told_with_its_faults_beside_the_others(tmp_path: Path) -> None:
    def policy(name: str, version: int, priority: object) -> dict[str, object]:
        metadata = {"namespace": "shop", "name": name, "uid": f"uid-{name}", "generation": version}
        return {
            "apiVersion": "k8s.ovn.org/v1alpha1",
            "kind": "NetworkQoS",
            "metadata": metadata | {"resourceVersion": str(version)},
            "spec": {"priority": priority, "egress": [{"dscp": 20}], "colour": "red"},
        }

    recorder = Recorder()
    with (
        ScriptedApi(
            page([policy("good", 1, 5), policy("bad", 2, "high")], 5),
            watch(event("MODIFIED", policy("good", 6, 101)), event("MODIFIED", policy("bad", 7, 7))),
        ) as api,
        reflected(api.url, tmp_path, recorder, resource=NETWORK_QOSES),
    ):
        recorder.wait_for_calls(4)
        assert recorder.told == [
            (["shop/good"], ["shop/bad"], []),
            ([], ["shop/good"], []),
            (["shop/bad"], [], []),
        ]
        first = recorder.changes[0]
        first_good, invalid = first.updated
        assert isinstance(invalid.object, InvalidObject)
        assert [one.path for one in invalid.object.diagnostics] == ["spec.priority"]
        assert (invalid.metadata.uid, invalid.metadata.generation) == ("uid-bad", 2)
        assert isinstance(first_good.object, NetworkQoS)
        assert [one.path for one in first_good.object.diagnostics] == ["spec.colour"]


def test_an_object_that_trips_its_parser_does_not_hide_the_others(tmp_path: Path) -> None:
    def parse(document: object) -> Pod:
        one = PODS.parse(document)
        assert isinstance(one, Pod)
        if one.name == "odd":
            raise RuntimeError("tripped")
        return one

    recorder = Recorder()
    with (
        ScriptedApi(page([pod("a", 1), pod("odd", 2), pod("z", 3)], 5)) as api,
        reflected(api.url, tmp_path, recorder, resource=Resource(kind="Pod", path=PODS.path, parse=parse)),
    ):
        recorder.wait_for_calls(2)
        assert recorder.told == [(["shop/a", "shop/z"], ["shop/odd"], [])]
        error = recorder.changes[0].updated[1].object
        assert isinstance(error, InvalidObject)
        assert str(error) == "Pod shop/odd: cannot be read: RuntimeError: tripped"


def test_a_list_for_once_gives_every_object_with_its_metadata(tmp_path: Path) -> None:
    with (
        ScriptedApi(page([pod("a", 1)], 9, token="more"), page([pod("b", 2)], 9)) as api,
        client_of(api.url, tmp_path) as client,
    ):
        listed = read_list(client, PODS, {}, Interruption()).objects
        assert [(one.metadata.key, one.metadata.resource_version) for one in listed] == [
            ("shop/a", "1"),
            ("shop/b", "2"),
        ]
        assert all(isinstance(one.object, Pod) for one in listed)
        assert len(api.requests) == 2


def test_what_a_resource_keeps_of_a_status_comes_with_each_object(tmp_path: Path) -> None:
    resource = replace(PODS, parse_status=lambda document: document["status"])
    with ScriptedApi(page([pod("a", 1)], 9)) as api, client_of(api.url, tmp_path) as client:
        assert [one.status for one in read_list(client, resource, {}, Interruption()).objects] == [{"phase": "Running"}]
