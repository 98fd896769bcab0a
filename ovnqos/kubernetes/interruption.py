"""Ending a thread's requests and waits from another thread.

`urllib3.HTTPResponse.shutdown` ends the reading of a response; a server that takes a request and never answers gives
none. The connections here hand over their socket before they wait for the other side of TLS, and for the answer.
"""

from __future__ import annotations

import os
import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.ssl_ import create_urllib3_context, resolve_cert_reqs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from urllib3 import HTTPResponse, PoolManager


class Interruption:
    """A flag that is set once: it wakes a wait, breaks the request under way, and refuses the next ones.

    One thread waits and sends requests; any thread may call `set`.

    Attributes:
        expired: whether the last request was broken since it took too long.
    """

    def __init__(self) -> None:
        self.expired = False
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._deadline: threading.Timer | None = None

    def is_set(self) -> bool:
        """Whether `set` was called."""
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until the flag is set; return whether it is."""
        return self._event.wait(seconds)

    def set(self) -> None:
        """Set the flag."""
        with self._lock:
            self._event.set()
            self._shut_down()

    def cover(self, file_descriptor: int) -> None:
        """Have `set` shut this socket down, until `request` ends or another one is covered."""
        # a duplicate: its number cannot come to mean another connection while the request's own thread closes this one
        duplicate = socket.socket(fileno=os.dup(file_descriptor))
        with self._lock:
            self._release()
            self._socket = duplicate
            if self._event.is_set() or self.expired:
                self._shut_down()

    @contextmanager
    def request(self, seconds: float) -> Iterator[None]:
        """Span one request, from the connection to the last byte of its answer, and break it after so many seconds.

        A socket's own timeout ends with each byte: a peer that sends one now and then would never meet it.
        """
        deadline = threading.Timer(seconds, lambda: self._expire(deadline))
        deadline.daemon = True
        with self._lock:
            self.expired, self._deadline = False, deadline
        deadline.start()
        try:
            yield
        finally:
            deadline.cancel()
            with self._lock:
                self._deadline = None
                self._release()

    def _expire(self, deadline: threading.Timer) -> None:
        with self._lock:
            if self._deadline is deadline:
                self.expired = True
                self._shut_down()

    def _shut_down(self) -> None:
        if self._socket is not None:
            with suppress(OSError):  # the peer may have gone first
                self._socket.shutdown(socket.SHUT_RDWR)

    def _release(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class _Current(threading.local):
    interruption: Interruption | None = None


_current = _Current()  # urllib3 passes nothing of the caller's from a request to its connection


def _cover(connection: socket.socket | None) -> None:
    if _current.interruption is not None and connection is not None:
        _current.interruption.cover(connection.fileno())


class _Connection(HTTPConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # urllib3 returns a class of its own
        _cover(self.sock)
        return super().getresponse()


class _TlsConnection(HTTPSConnection):
    def connect(self) -> None:
        """Connect; a new context reads the CA's file again, so that a renewed one is honoured.

        The authorities of clusters born early (EKS, GKE) have no key identifiers, which Python requires from 3.13 on
        by `VERIFY_X509_STRICT`; the chain is verified without that flag.
        """
        context = create_urllib3_context(cert_reqs=resolve_cert_reqs(self.cert_reqs))
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if not (self.ca_certs or self.ca_cert_dir or self.ca_cert_data):
            context.load_default_certs()
        self.ssl_context = context
        super().connect()

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
    """Make the connections of a manager that was not used yet interruptible."""
    pool_manager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}


@contextmanager
def interruptible(interruption: Interruption) -> Iterator[None]:
    """Cover the requests that this thread begins inside by the interruption."""
    _current.interruption = interruption
    try:
        yield
    finally:
        _current.interruption = None
