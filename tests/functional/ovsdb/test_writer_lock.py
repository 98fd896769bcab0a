"""The OVSDB lock that lets one of an owner's writers write."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pytest

from ovnqos.errors import (
    LockLost,
)
from ovnqos.ovsdb.lock import WriterLock
from tests.functional.support_connection import add_set, connect, names

if TYPE_CHECKING:
    from ovnqos.sandbox import NorthboundServer


def test_one_of_two_writers_writes_and_the_other_takes_over(northbound: NorthboundServer) -> None:
    with (
        connect(northbound.remote) as first,
        connect(northbound.remote) as second,
    ):
        lock, rival = WriterLock(first, "ovnqos_me"), WriterLock(second, "ovnqos_me")
        lock.acquire()
        with pytest.raises(LockLost, match="ovnqos_me"):
            rival.acquire()
        WriterLock(second, "ovnqos_another").acquire()
        WriterLock(second, "ovnqos_another").release()
        first.transact([add_set("a")])

        threading.Timer(0.1, lock.release).start()
        rival.acquire(timeout_s=10)
        assert rival.held
        assert not lock.held
        second.transact([add_set("b")])


def test_a_writer_whose_lock_is_stolen_notices_and_writes_nothing(northbound: NorthboundServer) -> None:
    with connect(northbound.remote) as connection:
        lock = WriterLock(connection, "ovnqos_me")
        lock.acquire()
        with socket.socket(socket.AF_UNIX) as thief:
            thief.connect(str(northbound.socket))
            thief.sendall(b'{"method":"steal","params":["ovnqos_me"],"id":1}')
            assert thief.recv(1000)
            assert lock.wait_for_change(held=False, timeout_s=10)
            with pytest.raises(LockLost, match="nothing was written"):
                connection.transact([add_set("a")])
        assert lock.wait_for_change(held=True, timeout_s=10)
        connection.transact([add_set("b")])
        assert names(connection) == {"b"}


def test_a_writer_that_has_not_heard_that_its_lock_was_stolen_writes_nothing(northbound: NorthboundServer) -> None:
    with connect(northbound.remote) as connection, socket.socket(socket.AF_UNIX) as thief:
        lock = WriterLock(connection, "ovnqos_me")
        lock.acquire()
        thief.connect(str(northbound.socket))
        with connection.reading():  # keeps the news from the client
            thief.sendall(b'{"method":"steal","params":["ovnqos_me"],"id":1}')
            assert thief.recv(1000)
            assert lock.held
            with pytest.raises(LockLost, match="nothing was written"):
                connection.transact([add_set("a")])
        assert "a" not in northbound.nbctl("--columns=name", "list", "Address_Set")


def test_closing_gives_the_lock_back(northbound: NorthboundServer) -> None:
    with connect(northbound.remote) as first:
        WriterLock(first, "ovnqos_me").acquire()
    with connect(northbound.remote) as second:
        WriterLock(second, "ovnqos_me").acquire(timeout_s=5)


def test_a_lock_is_asked_for_again_after_a_reconnect(northbound: NorthboundServer) -> None:
    with connect(northbound.remote) as connection:
        lock = WriterLock(connection, "ovnqos_me")
        lock.acquire()
        northbound.stop()
        assert lock.wait_for_change(held=False, timeout_s=10)
        northbound.start()
        connection.transact([add_set("a")])
        assert lock.held
