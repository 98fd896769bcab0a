"""A reflector ends when it is told to, whatever it waits for."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pytest

from ovnqos.kubernetes import PODS, Reflector, RetryPolicy
from tests.support.reflectors import Recorder, running
from tests.support.scripted_api import (
    Exchange,
    ScriptedApi,
    client_of,
    event,
    page,
    pod,
    refusal,
    silence,
    watch,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ovnqos.kubernetes import Changes


def _half_a_page(exchange: Exchange) -> None:
    exchange.send_response(200)
    exchange.send_header("Content-Length", "1000")
    exchange.end_headers()
    exchange.wfile.write(b'{"items": [')
    exchange.hold()


@pytest.mark.parametrize(
    ("script", "requests"),
    [
        ([page([], 5), watch()], 2),
        ([page([], 5), watch(b'{"type": "ADDED"')], 2),
        ([page([], 5), silence], 2),
        ([silence], 1),
        ([_half_a_page], 1),
        ([refusal(500, "InternalError")], 1),
    ],
    ids=["open watch", "half an event", "watch not answered", "list not answered", "half a page", "between attempts"],
)
def test_stop_ends_the_thread_while_it_waits(
    tmp_path: Path, script: list[Callable[[Exchange], None]], requests: int
) -> None:
    pace = RetryPolicy(first_delay=1e6, longest_delay=1e6)
    with ScriptedApi(*script) as api, client_of(api.url, tmp_path) as client:
        reflector = Reflector(PODS, client, Recorder(), policy=pace)
        reflector.start()
        api.wait_for_requests(requests)
        assert reflector.is_alive
        reflector.stop()
        assert not reflector.is_alive
        assert not reflector.connected


def test_stop_before_start_and_twice_is_fine(tmp_path: Path) -> None:
    with ScriptedApi() as api, client_of(api.url, tmp_path) as client:
        reflector = Reflector(PODS, client, Recorder())
        reflector.stop()
        reflector.start()
        reflector.stop()
        assert not reflector.is_alive
        assert api.requests == []


def test_the_handler_may_stop_its_reflector_and_hears_nothing_more(tmp_path: Path) -> None:
    stopped = threading.Event()

    class Stopper(Recorder):
        def changed(self, changes: Changes) -> None:
            super().changed(changes)
            reflector.stop()
            stopped.set()

    with ScriptedApi(page([pod("a", 1)], 5)) as api, client_of(api.url, tmp_path) as client:
        recorder = Stopper()
        reflector = Reflector(PODS, client, recorder)
        reflector.start()
        assert stopped.wait(20)
        reflector.stop()
        assert not reflector.is_alive
        assert len(recorder.calls) == 1


def test_reflectors_of_one_client_stop_one_by_one(tmp_path: Path) -> None:
    def answer(exchange: Exchange) -> None:
        (watch(event("ADDED", pod("a", 6))) if "watch" in exchange.query else page([], 5))(exchange)

    with ScriptedApi() as api, client_of(api.url, tmp_path) as client:
        api.last = answer
        recorder, other_recorder = Recorder(), Recorder()
        with running(Reflector(PODS, client, other_recorder)) as other:
            with running(Reflector(PODS, client, recorder)):
                recorder.wait_for_objects("shop/a")
                other_recorder.wait_for_objects("shop/a")
            assert other.connected
            assert other.is_alive
            assert sum(other.restarts.values()) == 0


def test_stop_ends_the_thread_while_the_other_side_of_tls_is_silent(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        client_of(f"https://127.0.0.1:{listener.getsockname()[1]}", tmp_path) as client,
    ):
        reflector = Reflector(PODS, client, Recorder())
        reflector.start()
        connection, _ = listener.accept()
        with connection:
            assert connection.recv(1)  # it has said hello, and waits
            reflector.stop()
            assert not reflector.is_alive
