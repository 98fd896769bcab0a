"""What we rely on in the package `ovs` beyond its documented calls: a version that changes it fails here.

All of it is used by `json_stream`, `remotes` and `tls` of `ovnqos.ovsdb`. The range of versions is in pyproject.toml;
`make test-oldest` and `make test-newest` run this with both ends of it.
"""

from __future__ import annotations

import errno
import inspect
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import ovs.jsonrpc
import ovs.reconnect
import ovs.stream
import ovs.timeval

from ovnqos import TlsFiles
from ovnqos.ovsdb.json_stream import Poller, StreamConnection
from ovnqos.ovsdb.remotes import JsonRpcSession, parse_remotes
from ovnqos.ovsdb.tls import stream_method

if TYPE_CHECKING:
    from collections.abc import Callable


def run_until(session: JsonRpcSession, condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        poller = Poller()
        session.wait(poller)
        session.recv_wait(poller)
        poller.timer_wait(100)
        poller.block()
        session.run()
        session.recv()


def test_a_session_reads_with_our_connection_and_says_why_it_was_lost(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "one"))
        listener.listen()
        session = JsonRpcSession(parse_remotes(f"unix:{tmp_path}/one"))
        run_until(session, session.is_connected)
        assert type(session.rpc) is StreamConnection
        number = session.get_seqno()
        listener.accept()[0].close()
        run_until(session, lambda: bool(session.failures))
        assert session.failures[f"unix:{tmp_path}/one"].reason == "closed the connection"
        assert session.get_seqno() != number
        session.close()


def test_a_remote_that_refuses_at_once_costs_no_pause_where_there_is_another(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "two"))
        listener.listen()
        session = JsonRpcSession(parse_remotes(f"unix:{tmp_path}/one,unix:{tmp_path}/two"))
        started = time.monotonic()
        run_until(session, session.is_connected)
        assert time.monotonic() - started < 0.2
        assert session.failures[f"unix:{tmp_path}/one"].reason == "No such file or directory"
        session.leave("is of no use")
        run_until(session, lambda: not session.is_connected())
        assert session.failures[f"unix:{tmp_path}/two"].reason == "is of no use"
        session.close()


def test_streams_of_our_own_method_are_opened_by_ovs() -> None:
    files = TlsFiles(private_key=Path("/none"), certificate=Path("/none"), ca_certificate=Path("/none"))
    method = stream_method(files)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        error, stream = ovs.stream.Stream.open(f"{method}:127.0.0.1:{listener.getsockname()[1]}")
        assert error == 0
        while (error := stream.connect()) == errno.EAGAIN:
            time.sleep(0.01)
        assert error == errno.ECONNABORTED
        assert "/none" in stream.failure
        stream.close()
    assert stream_method(files) == method
    assert all(hasattr(ovs.stream.TCPStream, name) for name in ("_recv", "_send"))


def test_the_state_machine_of_connections_has_what_is_set_on_it() -> None:
    machine = ovs.reconnect.Reconnect(ovs.timeval.msec())
    for name in ("min_backoff", "max_backoff", "backoff", "state_entered"):
        assert isinstance(getattr(machine, name), int | float)
    assert list(inspect.signature(machine.disconnected).parameters) == ["now", "error"]


def test_a_connection_has_what_is_read_of_it() -> None:
    class Stream:
        name = "unix:/none"

    connection = ovs.jsonrpc.Connection(Stream())
    assert (connection.status, connection.received_bytes, len(connection.output)) == (0, 0, 0)
