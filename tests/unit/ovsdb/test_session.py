"""The session with a server that is of no use: it is left, whatever it sends meanwhile."""

from __future__ import annotations

import json
import socket
import time
from typing import TYPE_CHECKING, Any

from ovnqos.ovsdb.json_stream import Poller
from ovnqos.ovsdb.remotes import NORTHBOUND, parse_remotes
from ovnqos.ovsdb.session import DatabaseSession, Phase

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

PATIENCE_S = 10.0
FOLLOWER = {"name": "OVN_Northbound", "model": "clustered", "connected": True, "leader": False, "index": 1}


class Follower:
    """A member of a cluster that does not lead it, in the thread of the test."""

    def __init__(self, path: str) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen()
        self._connection: socket.socket | None = None
        self.connections = 0

    def accept(self) -> None:
        self.hang_up()
        self._connection, _ = self._listener.accept()
        self.connections += 1

    def requests(self) -> dict[str, Any]:
        """The ids of the requests that were sent on connecting, by method."""
        decoder, text = json.JSONDecoder(), ""
        found: dict[str, Any] = {}
        assert self._connection is not None
        while "lock" not in found:
            text += self._connection.recv(65_536).decode()
            while text:
                try:
                    message, end = decoder.raw_decode(text)
                except ValueError:
                    break
                found[message["method"]] = message["id"]
                text = text[end:]
        return found

    def reply(self, request: Any, result: object) -> None:
        assert self._connection is not None
        self._connection.sendall(json.dumps({"id": request, "result": result, "error": None}).encode())

    def hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def close(self) -> None:
        self.hang_up()
        self._listener.close()


def run_until(session: DatabaseSession, condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, session.phase
        poller = Poller()
        session.wait(poller)
        poller.timer_wait(50)
        poller.block()
        session.run()


def test_a_server_that_is_left_is_left_though_it_sends_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its reply about the lock can come between the one that has it left and the next look at the socket."""
    follower = Follower(str(tmp_path / "nb"))
    session = DatabaseSession(NORTHBOUND, parse_remotes(f"unix:{tmp_path}/nb"))
    session.set_lock("ovnqos")
    run_until(session, lambda: session.phase is Phase.CONNECTED)
    follower.accept()
    requests, leave = follower.requests(), session._leave

    def leave_and_hear_more(reason: str) -> None:
        leave(reason)
        follower.reply(requests["lock"], {"locked": True})

    monkeypatch.setattr(session, "_leave", leave_and_hear_more)
    follower.reply(
        requests["monitor_cond"], {"Database": {"7c0f1e0a-9c1c-4d1c-8d51-5d0a6e4f9b11": {"initial": FOLLOWER}}}
    )
    number = session.number
    run_until(session, lambda: session.number != number)
    monkeypatch.setattr(session, "_leave", leave)
    run_until(session, lambda: session.phase is Phase.CONNECTED)
    follower.accept()
    assert follower.connections == 2
    session.close()
    follower.close()
