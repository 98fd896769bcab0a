"""The OVSDB lock of an owner: of all writers that take it, the server lets one write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ovnqos.ovsdb.transaction import Deadline, lock_lost

if TYPE_CHECKING:
    from ovnqos.ovsdb.client import OvsdbClient

_ANSWER_S: Final = 5.0
"""Even with no time to wait for another holder, the server gets so long to answer."""


class WriterLock:
    """An OVSDB lock (RFC 7047, section 4.1.8) on one connection.

    From `acquire` on, every transaction of the connection asserts on the server that the lock is held. A lost
    connection loses it; the next connection asks for it again by itself.
    """

    def __init__(self, client: OvsdbClient, name: str) -> None:
        """Describe the lock `name`, an `<id>` of RFC 7047 (`/` is refused); nothing is asked of the server yet."""
        self._client = client
        self.name = name

    @property
    def held(self) -> bool:
        """Whether the server says, as far as we have heard, that the lock is ours."""
        with self._client.lock:
            session = self._client.session
            return session.lock_name == self.name and session.has_lock and session.is_ready

    def acquire(self, timeout_s: float | None = 0.0, *, steal: bool = False) -> None:
        """Ask for the lock, and wait for it while another client holds it.

        Args:
            timeout_s: seconds to wait for another holder to let go; None waits as long as it takes.
            steal: then take it away from the holder: the server tells it, and refuses its transactions from then on
                (measured with OVS 3.1: a holder that is frozen keeps its lock on a unix socket for ever, else until
                the server's probe, 60 s by default).

        Raises:
            LockLost: another client holds it still. The request is withdrawn.
            DatabaseUnavailable: the server did not say who holds it, as the class of the database.
        """
        client, session = self._client, self._client.session
        deadline = None if timeout_s is None else Deadline(timeout_s)
        with client.lock:
            if session.lock_name != self.name:
                session.set_lock(self.name)
                client.wake()
            patience = None if timeout_s is None else Deadline(max(timeout_s, _ANSWER_S))
            client.wait_until(lambda: self.held or session.is_lock_contended, patience)
            if client.wait_until(lambda: self.held, deadline):
                return
            if steal and session.is_lock_contended:
                session.steal_lock(self.name)
                client.wake()
                if client.wait_until(lambda: self.held, Deadline(_ANSWER_S)):
                    return
            is_contended = session.is_lock_contended
            self.release()
            if is_contended:
                raise lock_lost(self.name)
            raise client.unavailable(f"no answer about the OVSDB lock {self.name}")

    def wait_for_change(self, *, held: bool, timeout_s: float | None) -> bool:
        """Wait until the lock is held, or is not. Returns whether that came about in time."""
        deadline = None if timeout_s is None else Deadline(timeout_s)
        with self._client.lock:
            return self._client.wait_until(lambda: self.held == held, deadline)

    def release(self) -> None:
        """Give the lock back, or withdraw the request for it."""
        with self._client.lock:
            if self._client.session.lock_name == self.name:
                self._client.session.set_lock(None)
                self._client.wake()
