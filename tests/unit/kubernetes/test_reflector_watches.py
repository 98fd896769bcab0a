"""How a reflector watches: every event once, from where it was, however the stream is cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ovnqos.kubernetes import RestartReason, RetryPolicy
from tests.support.reflectors import Recorder
from tests.support.scripted_api import (
    Exchange,
    FakeClock,
    ScriptedApi,
    bookmark,
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


def test_events_are_told_in_order(tmp_path: Path) -> None:
    recorder = Recorder()
    with (
        ScriptedApi(
            page([pod("a", 1)], 5),
            watch(
                event("ADDED", pod("b", 6)),
                event("MODIFIED", pod("a", 7, app="web")),
                event("DELETED", pod("b", 8)),
            ),
        ) as api,
        reflected(api.url, tmp_path, recorder, clock=FakeClock()) as reflector,
    ):
        recorder.wait_for_calls(5)
        assert recorder.told[1:] == [(["shop/b"], [], []), (["shop/a"], [], []), ([], [], ["shop/b"])]
        assert reflector.objects == 1
        assert reflector.connected
        assert reflector.last_event_time == 1000.0


def test_an_event_of_a_known_version_is_not_told(tmp_path: Path) -> None:
    recorder = Recorder()
    with (
        ScriptedApi(
            page([pod("a", 1)], 5),
            watch(event("ADDED", pod("a", 1)), event("DELETED", pod("never-seen", 6)), event("ADDED", pod("b", 7))),
        ) as api,
        reflected(api.url, tmp_path, recorder),
    ):
        recorder.wait_for_calls(3)
        assert recorder.told[1:] == [(["shop/b"], [], [])]


def test_of_events_that_arrive_together_the_last_of_an_object_counts(tmp_path: Path) -> None:
    together = b"".join(
        [
            event("ADDED", pod("brief", 6)),
            event("DELETED", pod("brief", 7)),
            event("DELETED", pod("again", 8)),
            event("ADDED", pod("again", 9, app="web")),
            event("MODIFIED", pod("twice", 10)),
            event("MODIFIED", pod("twice", 11)),
        ]
    )
    recorder = Recorder()
    with (
        ScriptedApi(page([pod("again", 1), pod("twice", 2)], 5), watch(together)) as api,
        reflected(api.url, tmp_path, recorder),
    ):
        recorder.wait_for_calls(3)
        assert recorder.told[1:] == [(["shop/again", "shop/twice"], [], [])]
        versions = {one.metadata.name: one.metadata.resource_version for one in recorder.changes[1].updated}
        assert versions == {"again": "9", "twice": "11"}


def test_a_watch_goes_on_from_the_last_bookmark(tmp_path: Path) -> None:
    recorder = Recorder()
    with (
        ScriptedApi(page([], 5), watch(bookmark(40), bookmark(50), ends=True), watch(ends=True)) as api,
        reflected(api.url, tmp_path, recorder, clock=FakeClock()),
    ):
        api.wait_for_requests(4)
        assert [query["resourceVersion"] for query in api.watches] == ["5", "50", "50"]
        assert len(api.lists) == 1
        assert recorder.calls == ["Pod"]


def test_a_watch_goes_on_from_the_last_event(tmp_path: Path) -> None:
    with (
        ScriptedApi(page([], 5), watch(event("ADDED", pod("a", 6)), event("DELETED", pod("a", 7)), ends=True)) as api,
        reflected(api.url, tmp_path, Recorder()),
    ):
        api.wait_for_requests(3)
        assert [query["resourceVersion"] for query in api.watches] == ["5", "7"]


def test_a_broken_connection_loses_and_repeats_nothing(tmp_path: Path) -> None:
    half = event("ADDED", pod("b", 7))[:40]
    recorder = Recorder()
    with (
        ScriptedApi(
            page([], 5),
            watch(event("ADDED", pod("a", 6)), half, resets=True),
            watch(event("ADDED", pod("b", 7))),
        ) as api,
        reflected(api.url, tmp_path, recorder, clock=FakeClock()) as reflector,
    ):
        recorder.wait_for_calls(3)
        assert recorder.told == [(["shop/a"], [], []), (["shop/b"], [], [])]
        assert [query["resourceVersion"] for query in api.watches] == ["5", "6"]
        assert len(api.lists) == 1
        assert reflector.restarts[RestartReason.UNREACHABLE] == 1


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_lines_may_be_cut_anywhere(tmp_path: Path, size: int) -> None:
    stream = b"".join(
        [event("ADDED", pod("a", 6, note="größe-日本-🌍")), b"\n", bookmark(7), event("ADDED", pod("b", 8, note="é"))]
    )
    pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
    recorder = Recorder()
    with ScriptedApi(page([], 5), watch(*pieces)) as api, reflected(api.url, tmp_path, recorder):
        recorder.wait_for_objects("shop/a", "shop/b")
        assert [one.object.labels for changes in recorder.changes for one in changes.updated] == [  # type: ignore[union-attr] # pods have labels
            {"note": "größe-日本-🌍"},
            {"note": "é"},
        ]


def test_an_object_of_megabytes_is_read(tmp_path: Path) -> None:
    huge = pod("huge", 6)
    huge["metadata"]["managedFields"] = ["x" * 1000] * 3000
    line = event("ADDED", huge)
    pieces = [line[start : start + 4096] for start in range(0, len(line), 4096)]
    recorder = Recorder()
    with ScriptedApi(page([], 5), watch(*pieces)) as api, reflected(api.url, tmp_path, recorder):
        recorder.wait_for_calls(2)
        assert recorder.told == [(["shop/huge"], [], [])]


def test_a_stream_without_chunks_is_read_as_it_comes(tmp_path: Path) -> None:
    def until_closed(exchange: Exchange) -> None:
        exchange.send_response(200)
        exchange.send_header("Connection", "close")
        exchange.end_headers()
        exchange.wfile.write(event("ADDED", pod("a", 6)))
        exchange.hold()

    recorder = Recorder()
    with ScriptedApi(page([], 5), until_closed) as api, reflected(api.url, tmp_path, recorder):
        recorder.wait_for_calls(2)
        assert recorder.told == [(["shop/a"], [], [])]


@pytest.mark.parametrize(
    "expiry",
    [watch(expired_event()), refusal(410, "Expired", "too old resource version: 5 (9)")],
    ids=["event", "status"],
)
def test_a_version_too_old_makes_a_list_at_once(tmp_path: Path, expiry: object) -> None:
    recorder = Recorder()
    clock = FakeClock()
    with (
        ScriptedApi(page([pod("a", 1)], 5), expiry, page([pod("b", 8)], 9)) as api,  # type: ignore[arg-type] # an answer
        reflected(api.url, tmp_path, recorder, clock=clock) as reflector,
    ):
        api.wait_for_requests(4)
        assert recorder.told == [(["shop/a"], [], []), (["shop/b"], [], ["shop/a"])]
        assert clock.waits == []
        assert reflector.restarts[RestartReason.EXPIRED] == 1
        assert reflector.problem == ""


def test_events_before_an_error_event_are_told(tmp_path: Path) -> None:
    recorder = Recorder()
    with (
        ScriptedApi(page([], 5), watch(event("ADDED", pod("a", 6)) + expired_event()), page([pod("a", 6)], 9)) as api,
        reflected(api.url, tmp_path, recorder),
    ):
        api.wait_for_requests(4)
        assert recorder.told == [(["shop/a"], [], [])]


@pytest.mark.parametrize(
    "line",
    [
        b"<html>\n",
        b"[]\n",
        b'{"type": "ADDED"}\n',
        event("ADDED", {"metadata": {"name": "a"}}),
        event("ADDED", {"metadata": {"resourceVersion": "7"}}),
        event("SURPRISE", pod("a", 6)),
        b"[" * 100_000 + b"\n",
    ],
)
def test_what_is_no_event_makes_a_new_list(tmp_path: Path, line: bytes) -> None:
    recorder = Recorder()
    clock = FakeClock()
    with (
        ScriptedApi(page([], 5), watch(event("ADDED", pod("good", 6)) + line), page([pod("good", 6)], 9)) as api,
        reflected(api.url, tmp_path, recorder, clock=clock) as reflector,
    ):
        api.wait_for_requests(4)
        assert recorder.told == [(["shop/good"], [], [])]
        assert reflector.restarts[RestartReason.UNREADABLE] == 1
        assert len(clock.waits) == 1


def test_a_server_that_goes_silent_is_left(tmp_path: Path) -> None:
    pace = RetryPolicy(watch_shortest=0, watch_longest=0, silence_maximum=1.0)
    recorder = Recorder()
    with (
        ScriptedApi(page([], 5), watch(bookmark(6)), watch(event("ADDED", pod("a", 7)))) as api,
        reflected(api.url, tmp_path, recorder, policy=pace, clock=FakeClock()) as reflector,
    ):
        recorder.wait_for_calls(2)
        assert api.watches[1]["resourceVersion"] == "6"
        assert reflector.restarts[RestartReason.UNREACHABLE] >= 1
