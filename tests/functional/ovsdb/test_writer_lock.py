"""The OVSDB lock that lets one of an owner's writers write."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pytest

from ovnqos.errors import LockLost
from tests.functional.support_connection import add_set, await_lock, connect, names

if TYPE_CHECKING:
    from ovnqos.sandbox import NorthboundServer


def test_one_of_two_writers_writes_and_the_other_takes_over(northbound: NorthboundServer) -> None:
    with (
        connect(northbound.remote) as first,
        connect(northbound.remote) as second,
    ):
        first.acquire_lock("ovnqos_me")
        with pytest.raises(LockLost, match="ovnqos_me"):
            second.acquire_lock("ovnqos_me")
        second.acquire_lock("ovnqos_another")
        second.release_lock("ovnqos_another")
        first.transact([add_set("a")])

        threading.Timer(0.1, first.release_lock, ("ovnqos_me",)).start()
        second.acquire_lock("ovnqos_me", timeout_s=10)
        assert second.holds_lock("ovnqos_me")
        assert not first.holds_lock("ovnqos_me")
        second.transact([add_set("b")])


def test_a_writer_whose_lock_is_stolen_notices_and_writes_nothing(northbound: NorthboundServer) -> None:
    with connect(northbound.remote) as connection:
        connection.acquire_lock("ovnqos_me")
        with socket.socket(socket.AF_UNIX) as thief:
            thief.connect(str(northbound.socket))
            thief.sendall(b'{"method":"steal","params":["ovnqos_me"],"id":1}')
            assert thief.recv(1000)
            assert await_lock(connection, "ovnqos_me", held=False)
            with pytest.raises(LockLost, match="nothing was written"):
                connection.transact([add_set("a")])
        assert await_lock(connection, "ovnqos_me", held=True)
        connection.transact([add_set("b")])
        assert names(connection) == {"b"}


def test_a_writer_that_has_not_heard_that_its_lock_was_stolen_writes_nothing(northbound: NorthboundServer) -> None:
    with connect(northbound.remote) as connection, socket.socket(socket.AF_UNIX) as thief:
        connection.acquire_lock("ovnqos_me")
        thief.connect(str(northbound.socket))
        with connection.reading():  # keeps the news from the client
            thief.sendall(b'{"method":"steal","params":["ovnqos_me"],"id":1}')
            assert thief.recv(1000)
            assert connection.holds_lock("ovnqos_me")
            with pytest.raises(LockLost, match="nothing was written"):
                connection.transact([add_set("a")])
        assert "a" not in northbound.nbctl("--columns=name", "list", "Address_Set")


def test_closing_gives_the_lock_back(northbound: NorthboundServer) -> None:
    with connect(northbound.remote) as first:
        first.acquire_lock("ovnqos_me")
    with connect(northbound.remote) as second:
        second.acquire_lock("ovnqos_me", timeout_s=5)


def test_a_lock_is_asked_for_again_after_a_reconnect(northbound: NorthboundServer) -> None:
    with connect(northbound.remote) as connection:
        connection.acquire_lock("ovnqos_me")
        northbound.stop()
        assert await_lock(connection, "ovnqos_me", held=False)
        northbound.start()
        connection.transact([add_set("a")])
        assert connection.holds_lock("ovnqos_me")
