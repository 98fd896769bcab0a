"""Connections of urllib3 whose requests another thread can end.

`urllib3.HTTPResponse.shutdown` ends the reading of a response; a server that takes a request and never answers gives
none. These connections hand over their socket before they wait for the other side of TLS, and for the answer.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from urllib3 import HTTPResponse, PoolManager

    from ovnqos.kubernetes.interruption import Interruption


class _Current(threading.local):
    interruption: Interruption | None = None


_current = _Current()  # urllib3 passes nothing of ours from a request to its connection


def _cover(connection: socket.socket | None) -> None:
    if _current.interruption is not None and connection is not None:
        _current.interruption.cover(connection.fileno())


class _Connection(HTTPConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # urllib3 returns a class of its own
        _cover(self.sock)
        return super().getresponse()


class _TlsConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        connection = super()._new_conn()
        _cover(connection)
        return connection

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # urllib3 returns a class of its own
        _cover(self.sock)
        return super().getresponse()


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


def make_interruptible(pool_manager: PoolManager) -> None:
    """Makes the connections of a manager that was not used yet interruptible."""
    pool_manager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}


@contextmanager
def interruptible(interruption: Interruption) -> Iterator[None]:
    """Requests that this thread begins here are covered by the interruption."""
    _current.interruption = interruption
    try:
        yield
    finally:
        _current.interruption = None
