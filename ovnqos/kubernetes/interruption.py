"""Ends requests and waits of a thread from another one."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Interruption:
    """A switch that is set once: it wakes a wait, breaks the request under way, and refuses the next ones.

    One thread waits and asks; any thread may call `set`.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    def is_set(self) -> bool:
        """Whether `set` was called."""
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Waits so long, or until the switch is set; returns whether it is."""
        return self._event.wait(seconds)

    def set(self) -> None:
        """Sets the switch."""
        with self._lock:
            self._event.set()
            self._shut_down()

    def cover(self, file_descriptor: int) -> None:
        """From now on `set` shuts this socket down, until `request` ends or another one is covered."""
        # a duplicate: its number cannot come to mean another connection while the request's own thread closes this one
        duplicate = socket.socket(fileno=os.dup(file_descriptor))
        with self._lock:
            self._release()
            self._socket = duplicate
            if self._event.is_set():
                self._shut_down()

    @contextmanager
    def request(self) -> Iterator[None]:
        """The span of one request."""
        try:
            yield
        finally:
            with self._lock:
                self._release()

    def _shut_down(self) -> None:
        if self._socket is not None:
            with suppress(OSError):  # the peer may have gone first
                self._socket.shutdown(socket.SHUT_RDWR)

    def _release(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
