"""Nobody answers, or nobody who is an OVSDB server: one line that says so."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pytest

from ovnqos.errors import (
    NorthboundUnavailable,
)
from ovnqos.sandbox import NorthboundServer
from tests.functional.support_connection import connect

if TYPE_CHECKING:
    from pathlib import Path


def test_a_missing_socket_is_one_line_with_the_remote_and_the_reason(tmp_path: Path) -> None:
    with pytest.raises(NorthboundUnavailable) as caught:
        connect(f"unix:{tmp_path}/none.sock,tcp:127.0.0.1:1", timeout_s=0.3)

    text = str(caught.value)
    assert f"unix:{tmp_path}/none.sock: No such file or directory" in text
    assert "tcp:127.0.0.1:1: Connection refused" in text
    assert "\n" not in text


def test_a_name_that_does_not_resolve_is_said_so() -> None:
    with pytest.raises(NorthboundUnavailable, match=r"the name nowhere\.invalid has no address"):
        connect("tcp:nowhere.invalid:6641", timeout_s=0.2)


def test_a_server_that_accepts_and_stays_silent_is_given_up(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "silent.sock"))
        listener.listen()
        with pytest.raises(NorthboundUnavailable, match=r"silent\.sock: accepts the connection but does not answer"):
            connect(f"unix:{tmp_path}/silent.sock", timeout_s=0.5)


def test_a_silent_server_in_a_list_does_not_keep_us_from_the_next(northbound: NorthboundServer, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "silent.sock"))
        listener.listen()
        remotes = f"unix:{tmp_path}/silent.sock,{northbound.remote}"
        with connect(remotes, timeout_s=3) as connection:
            assert connection.session.is_ready


def test_what_is_no_ovsdb_server_is_said_so(tmp_path: Path) -> None:
    def chatter() -> None:
        peer, _ = listener.accept()
        with peer:
            peer.sendall(b"SSH-2.0-none\r\n")
            peer.recv(1000)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "ssh.sock"))
        listener.listen()
        thread = threading.Thread(target=chatter)
        thread.start()
        with pytest.raises(NorthboundUnavailable, match=r"does not speak OVSDB|does not answer"):
            connect(f"unix:{tmp_path}/ssh.sock", timeout_s=0.5)
        thread.join()


def test_a_remote_server_that_starts_a_little_later_is_waited_for() -> None:
    with NorthboundServer(listen=["ptcp:0:127.0.0.1"]) as server:
        server.stop()
        starter = threading.Timer(0.3, server.start)
        starter.start()

        with connect(server.remotes[1]) as connection:
            assert connection.session.is_ready
        starter.join()


@pytest.mark.parametrize("is_there", [False, True], ids=["missing", "refused"])
def test_a_local_socket_without_a_server_is_told_at_once_with_what_to_set(tmp_path: Path, is_there: bool) -> None:
    path = tmp_path / "nb.sock"
    if is_there:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    with pytest.raises(NorthboundUnavailable) as caught:
        connect(f"unix:{path}", timeout_s=3600)

    text = str(caught.value)
    assert ("Connection refused" if is_there else "No such file or directory") in text
    assert "--nb" in text
    assert "OVN_NB_DB" in text
    assert "\n" not in text


def test_a_local_server_that_was_there_is_waited_for(northbound: NorthboundServer) -> None:
    with connect(northbound.remote) as connection:
        northbound.kill()
        starter = threading.Timer(0.5, northbound.start)
        starter.start()
        connection.refresh()
        starter.join()
