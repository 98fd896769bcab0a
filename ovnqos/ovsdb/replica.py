"""The thread that keeps a replica up to date, and the lock under which everybody else may touch the replica."""

from __future__ import annotations

import logging
import os
import select
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from ovnqos.ovsdb.json_rpc import Poller

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovnqos.ovsdb.handshake import Deadline
    from ovnqos.ovsdb.idl import NorthboundIdl

_log = logging.getLogger(__name__)


class Replica:
    """An IDL and the thread that runs it.

    Attributes:
        idl: to be touched with `lock` held only.
        lock: a bare one: Ctrl-C in the Python code by which a condition is entered would leave it held for ever.
    """

    def __init__(self, idl: NorthboundIdl) -> None:
        """Starts the thread."""
        self.idl = idl
        self.lock = threading.RLock()
        self._changed = threading.Condition(self.lock)
        self._stopping = False
        self._wake_up = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._work, name="ovnqos-northbound", daemon=True)
        self._thread.start()

    def wait_until(self, condition: Callable[[], bool], deadline: Deadline | None) -> bool:
        """With `lock` held, once: waits, the lock released meanwhile, until the condition holds.

        Returns:
            Whether it holds; False when the deadline passed, or the thread ended.
        """
        while not condition():
            left = None if deadline is None else deadline.left
            if self._stopping or left == 0:
                return False
            try:
                self._changed.wait(left)
            except BaseException:  # Ctrl-C, perhaps while the lock was let go: who holds it must give it back
                with suppress(RuntimeError):
                    self.lock.release()
                self.lock.acquire()
                raise
        return True

    def wake(self) -> None:
        """Lets the thread look again at what it waits for."""
        os.eventfd_write(self._wake_up, 1)

    def close(self) -> None:
        """Ends the thread and the connection, which also gives back an OVSDB lock."""
        with self.lock:
            if self._stopping:
                return
            self._stopping = True
            self._changed.notify_all()
        self.wake()
        if threading.current_thread() is not self._thread:
            self._thread.join()
        self.idl.close()
        os.close(self._wake_up)

    def _work(self) -> None:
        while not self._stopping:
            poller = Poller()
            with self.lock:
                self.idl.wait(poller)
            poller.fd_wait(self._wake_up, select.POLLIN)
            poller.block()
            with suppress(BlockingIOError):
                os.eventfd_read(self._wake_up)
            with self.lock:
                if not self._stopping:
                    self._run_idl()
                self._changed.notify_all()

    def _run_idl(self) -> None:
        try:
            self.idl.run()
        except Exception as error:  # ovs, or an observer, failed: what was read in part is dropped, and all read anew
            _log.warning("the Northbound replica failed and starts anew: %s: %s", type(error).__name__, error)
            self.idl.restart()
