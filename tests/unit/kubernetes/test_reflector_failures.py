"""What a reflector does while it cannot read: it says so once, waits longer each time, and forgets nothing."""

from __future__ import annotations

import random
import socket
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from ovnqos.kubernetes import RestartReason, RetryPolicy
from tests.support.reflectors import Recorder
from tests.support.scripted_api import (
    Exchange,
    FakeClock,
    ScriptedApi,
    event,
    expired_event,
    page,
    pod,
    reflected,
    refusal,
    watch,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ovnqos.kubernetes import Changes

_REFUSED = refusal(500, "InternalError", "etcd is gone")
_FORBIDDEN = refusal(403, "Forbidden", 'pods is forbidden: User "ovnqosd" cannot list resource "pods"')


class _LongestDelay(random.Random):
    """Jitter that always comes out at its ceiling."""

    def uniform(self, a: float, b: float) -> float:
        return b


def test_delays_double_up_to_the_longest(tmp_path: Path) -> None:
    clock = FakeClock()
    with (
        ScriptedApi(*[_REFUSED] * 9) as api,
        reflected(api.url, tmp_path, Recorder(), policy=RetryPolicy(random=_LongestDelay()), clock=clock) as reflector,
    ):
        assert reflector.wait_synced(0) is False
        api.wait_for_requests(9)
        api.last = page([], 5)
        assert clock.waits[:8] == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_delays_are_spread_over_all_that_is_below_their_ceiling(tmp_path: Path) -> None:
    clock = FakeClock()
    with (
        ScriptedApi(*[_REFUSED] * 300) as api,
        reflected(api.url, tmp_path, Recorder(), policy=RetryPolicy(random=random.Random(7)), clock=clock),
    ):
        api.wait_for_requests(300)
        late = clock.waits[10:290]
        assert min(late) < 3
        assert max(late) > 27
        assert max(late) <= 30


def test_a_watch_that_settled_ends_the_row_of_failures(tmp_path: Path) -> None:
    clock = FakeClock()
    recorder = Recorder()

    def watch_for_a_minute(exchange: Exchange) -> None:
        exchange.start_stream()
        exchange.send_chunk(event("ADDED", pod("a", 6)))
        recorder.wait_for_objects("shop/a")
        clock.time += 60
        exchange.reset()

    with (
        ScriptedApi(_REFUSED, _REFUSED, _REFUSED, page([], 5), watch_for_a_minute, _REFUSED) as api,
        reflected(api.url, tmp_path, recorder, policy=RetryPolicy(random=_LongestDelay()), clock=clock),
    ):
        api.wait_for_requests(7)
        assert clock.waits == [0.5, 1, 2, 0.5, 1]


def test_a_refused_watch_goes_on_from_its_version(tmp_path: Path) -> None:
    recorder = Recorder()
    refusals = [refusal(status, "No") for status in (401, 403, 429, 500, 503)]
    with (
        ScriptedApi(page([pod("a", 1)], 5), *refusals) as api,
        reflected(api.url, tmp_path, recorder, clock=FakeClock()) as reflector,
    ):
        api.wait_for_requests(7)
        assert {query["resourceVersion"] for query in api.watches} == {"5"}
        assert len(api.lists) == 1
        assert recorder.world.keys() == {"shop/a"}
        assert reflector.restarts[RestartReason.REFUSED] == 5


@pytest.mark.parametrize(
    "answer",
    [refusal(400, "BadRequest"), watch(event("ERROR", {"kind": "Status", "code": 500, "message": "PrevKv=nil"}))],
    ids=["bad request", "error event"],
)
def test_a_watch_that_cannot_go_on_makes_a_new_list(tmp_path: Path, answer: Callable[[Exchange], None]) -> None:
    clock = FakeClock()
    with (
        ScriptedApi(page([], 5), answer, page([], 9)) as api,
        reflected(api.url, tmp_path, Recorder(), clock=clock),
    ):
        api.wait_for_requests(4)
        assert [query["resourceVersion"] for query in api.watches] == ["5", "9"]
        assert len(clock.waits) == 1


def test_the_server_is_left_alone_as_long_as_it_asks(tmp_path: Path) -> None:
    clock = FakeClock()
    with (
        ScriptedApi(
            refusal(429, "TooManyRequests", retry_after="7"), refusal(503, "Unavailable", retry_after="9999")
        ) as api,
        reflected(api.url, tmp_path, Recorder(), clock=clock),
    ):
        api.wait_for_requests(3)
        assert 7 <= clock.waits[0] <= 7.5
        assert 30 <= clock.waits[1] <= 31


def test_a_refusal_is_logged_once_with_what_and_where_and_so_is_its_end(tmp_path: Path) -> None:
    with (
        capture_logs() as logs,
        ScriptedApi(*[_FORBIDDEN] * 5, page([pod("a", 1)], 5), watch(event("ADDED", pod("b", 6)))) as api,
    ):
        recorder = Recorder()
        with reflected(api.url, tmp_path, recorder, clock=FakeClock()) as reflector:
            recorder.wait_for_calls(3)
            assert reflector.problem == ""
    told = [line for line in logs if line["log_level"] != "debug"]
    assert [line["log_level"] for line in told] == ["warning", "info"]
    assert told[0]["kind"] == "Pod"
    assert told[0]["path"] == "/api/v1/pods"
    assert told[0]["server"] == api.url
    assert told[0]["status"] == 403
    assert told[0]["cause"].startswith("HTTP 403 Forbidden: pods is forbidden: User")
    assert told[0]["next_attempt_seconds"] <= 0.5


def test_each_kind_of_failure_is_one_line_an_outage(tmp_path: Path) -> None:
    with (
        capture_logs() as logs,
        ScriptedApi(*[_FORBIDDEN, _FORBIDDEN, _REFUSED, _REFUSED] * 3) as api,
        reflected(api.url, tmp_path, Recorder(), clock=FakeClock()),
    ):
        api.wait_for_requests(13)
    assert [line["status"] for line in logs if line["log_level"] == "warning"] == [403, 500]


def test_a_watch_that_opens_and_breaks_again_and_again_is_one_outage(tmp_path: Path) -> None:
    with capture_logs() as logs, ScriptedApi(page([], 5), *[watch(resets=True)] * 9) as api:
        recorder = Recorder()
        with reflected(api.url, tmp_path, recorder, clock=FakeClock()) as reflector:
            api.wait_for_requests(11)
            assert reflector.restarts[RestartReason.UNREACHABLE] == 9
    assert [line["log_level"] for line in logs if line["log_level"] != "debug"] == ["warning", "info"]


def test_an_outage_after_a_watch_that_settled_is_told_anew(tmp_path: Path) -> None:
    clock = FakeClock()
    recorder = Recorder()

    def watch_for_a_minute(exchange: Exchange) -> None:
        name = f"pod{len(api.requests)}"
        exchange.start_stream()
        exchange.send_chunk(event("ADDED", pod(name, len(api.requests) + 5)))
        recorder.wait_until(lambda: f"shop/{name}" in recorder.world)
        clock.time += 60
        exchange.reset()

    with (
        capture_logs() as logs,
        ScriptedApi(page([], 5), *[_REFUSED, watch_for_a_minute] * 3) as api,
        reflected(api.url, tmp_path, recorder, clock=clock),
    ):
        api.wait_for_requests(8)
    told = [line["status"] for line in logs if line["log_level"] == "warning"]
    assert told == [500, 0, 500, 0, 500, 0]


def test_a_version_that_expired_in_an_outage_is_no_further_failure(tmp_path: Path) -> None:
    clock = FakeClock()
    with (
        capture_logs() as logs,
        ScriptedApi(page([], 5), watch(resets=True), _REFUSED, watch(expired_event()), page([], 9)) as api,
        reflected(api.url, tmp_path, Recorder(), clock=clock) as reflector,
    ):
        api.wait_for_requests(6)
        assert len(clock.waits) == 2
        assert [query["resourceVersion"] for query in api.watches] == ["5", "5", "5", "9"]
        assert reflector.restarts[RestartReason.EXPIRED] == 1
    assert [line["status"] for line in logs if line["log_level"] == "warning"] == [0, 500]


def test_a_server_that_is_not_there_is_told_in_plain_words(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        clock = FakeClock(ends_at=60)
        with capture_logs() as logs, reflected(url, tmp_path, Recorder(), clock=clock) as reflector:
            assert clock.ended.wait(20)
            assert reflector.problem == f"{url}: Connection refused"
            assert not reflector.has_synced
    assert [line["reason"] for line in logs if line["log_level"] == "warning"] == ["unreachable"]


def test_what_is_no_list_is_told(tmp_path: Path) -> None:
    def login_page(exchange: Exchange) -> None:
        exchange.send_response(200)
        exchange.send_header("Content-Length", "6")
        exchange.end_headers()
        exchange.wfile.write(b"<html>")

    clock = FakeClock(ends_at=60)
    with ScriptedApi() as api:
        api.last = login_page
        with reflected(api.url, tmp_path, Recorder(), clock=clock) as reflector:
            assert clock.ended.wait(20)
            assert "not JSON" in reflector.problem
            assert reflector.restarts[RestartReason.UNREADABLE] > 2


class _Broken(Recorder):
    """A handler that raises at some of its calls."""

    def __init__(self, *broken_calls: int) -> None:
        super().__init__()
        self._broken = broken_calls

    def changed(self, changes: Changes) -> None:
        if len(self.calls) + 1 in self._broken:
            self.calls.append(changes)  # heard, not heeded
            raise RuntimeError("out of luck")
        super().changed(changes)


def test_after_an_exception_of_the_handler_everything_is_told_again(tmp_path: Path) -> None:
    recorder = _Broken(3)
    with (
        capture_logs() as logs,
        ScriptedApi(
            page([pod("a", 1), pod("b", 2)], 5),
            watch(event("DELETED", pod("b", 6))),
            page([pod("a", 1), pod("c", 8)], 9),
        ) as api,
        reflected(api.url, tmp_path, recorder, clock=FakeClock(), handler_raises=True) as reflector,
    ):
        recorder.wait_for_calls(4)
        assert recorder.told[1:] == [([], [], ["shop/b"]), (["shop/a", "shop/c"], [], ["shop/b"])]
        assert reflector.restarts[RestartReason.ERROR] == 1
    (line,) = [line for line in logs if line["log_level"] == "warning"]
    assert line["cause"] == "RuntimeError: out of luck"
    assert isinstance(line["exc_info"], RuntimeError)


@pytest.mark.parametrize(
    ("script", "last"),
    [
        ([], _REFUSED),
        ([], refusal(401, "Unauthorized")),
        ([], refusal(404, "NotFound")),
        ([], refusal(410, "Expired")),
        ([], lambda exchange: exchange.reset()),
        ([page([], 5)], watch(ends=True)),
        ([page([], 5)], watch(resets=True)),
        ([page([], 5)], watch(expired_event())),
        ([page([], 5)], watch(b"nonsense\n")),
    ],
    ids=["500", "401", "404", "410", "reset", "watch ends", "watch resets", "watch expires", "nonsense"],
)
def test_an_hour_of_failure_is_a_bounded_number_of_requests(
    tmp_path: Path, script: list[Callable[[Exchange], None]], last: Callable[[Exchange], None]
) -> None:
    clock = FakeClock(ends_at=3600)
    pace = RetryPolicy(random=random.Random(1))

    def answer(exchange: Exchange) -> None:
        if script and "watch" not in exchange.query:
            page([], 5)(exchange)
        else:
            last(exchange)

    with ScriptedApi() as api:
        api.last = answer
        with reflected(api.url, tmp_path, Recorder(), policy=pace, clock=clock):
            assert clock.ended.wait(60)
            # 15 s on average once the ceiling is reached: 240 attempts, of two requests where the list works
            assert 100 < len(api.requests) < 600


def test_a_watch_whose_line_never_ends_is_given_up(tmp_path: Path) -> None:
    def endless(exchange: Exchange) -> None:
        exchange.start_stream()
        exchange.close_connection = True
        while not exchange.script.ending.is_set():
            exchange.send_chunk(b"a" * 60_000)

    with (
        ScriptedApi(page([], 5), endless, page([pod("a", 1)], 9)) as api,
        reflected(api.url, tmp_path, Recorder(), clock=FakeClock()) as reflector,
    ):
        api.wait_for_requests(4)
        assert reflector.restarts[RestartReason.UNREADABLE] == 1


def test_a_watch_that_the_server_never_ends_is_broken_off_when_it_should_have_ended(tmp_path: Path) -> None:
    def drip(exchange: Exchange) -> None:
        exchange.start_stream()
        exchange.close_connection = True
        while not exchange.script.ending.wait(0.05):
            exchange.send_chunk(b" ")

    policy = RetryPolicy(watch_shortest=0, watch_longest=0, silence_maximum=0.3)
    with (
        ScriptedApi(page([], 5), drip) as api,
        reflected(api.url, tmp_path, Recorder(), policy=policy, clock=FakeClock()) as reflector,
    ):
        api.wait_for_requests(3)
        assert reflector.restarts[RestartReason.UNREACHABLE] >= 1
        assert [query["resourceVersion"] for query in api.watches[:2]] == ["5", "5"]
