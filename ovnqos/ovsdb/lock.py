"""The OVSDB lock of an owner: of all writers that take it, the server lets one write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import ovs.jsonrpc

from ovnqos.errors import LockLost, NorthboundUnavailable
from ovnqos.ovsdb.handshake import Deadline

if TYPE_CHECKING:
    from ovnqos.ovsdb.idl import NorthboundIdl
    from ovnqos.ovsdb.replica import Replica

_ANSWER_S: Final = 5.0
"""Even with no time to wait for a rival, the server gets so long to answer."""


class WriterLock:
    """An OVSDB lock (RFC 7047, section 4.1.8) on one connection.

    From `acquire` on, every transaction of the connection asserts on the server that the lock is held. A lost
    connection loses it; the next connection asks for it again by itself.
    """

    def __init__(self, replica: Replica, name: str) -> None:
        """Describes the lock `name`, an `<id>` of RFC 7047 (`/` is refused); nothing is asked of the server yet."""
        self._replica = replica
        self.name = name

    @property
    def held(self) -> bool:
        """Whether the server says, as far as we have heard, that the lock is ours."""
        with self._replica.lock:
            idl = self._replica.idl
            # ovs forgets a lock only when it connects again; the server, when it sees the connection end.
            return bool(idl.lock_name == self.name and idl.has_lock and idl.replicating)

    def acquire(self, timeout_s: float | None = 0.0, *, steal: bool = False) -> None:
        """Asks for the lock, and waits for it while another client holds it.

        Args:
            timeout_s: seconds to wait for another holder to let go; None waits as long as it takes.
            steal: then take it away from the holder: the server tells it, and refuses its transactions from then on
                (measured with OVS 3.1: a holder that is frozen keeps its lock on a unix socket for ever, else until
                the server's probe, 60 s by default).

        Raises:
            LockLost: another client holds it still. The request is withdrawn.
            NorthboundUnavailable: the server did not say who holds it.
        """
        idl = self._replica.idl
        deadline = None if timeout_s is None else Deadline(timeout_s)
        with self._replica.lock:
            if idl.lock_name != self.name:
                idl.forget_transactions()
                idl.set_lock(self.name)
                self._replica.wake()
            patience = None if timeout_s is None else Deadline(max(timeout_s, _ANSWER_S))
            self._replica.wait_until(lambda: self.held or idl.is_lock_contended, patience)
            if self._replica.wait_until(lambda: self.held, deadline):
                return
            if steal and idl.is_lock_contended and self._steal(Deadline(_ANSWER_S)):
                return
            contended = idl.is_lock_contended
            self.release()
        if contended:
            raise LockLost(f"another writer of this owner holds the OVSDB lock {self.name}")
        raise NorthboundUnavailable(f"no answer about the OVSDB lock {self.name}: {idl.describe_trouble()}")

    def wait_for_change(self, *, held: bool, timeout_s: float | None) -> bool:
        """Waits until the lock is held, or is not. Returns whether that came about in time."""
        deadline = None if timeout_s is None else Deadline(timeout_s)
        with self._replica.lock:
            return self._replica.wait_until(lambda: self.held == held, deadline)

    def release(self) -> None:
        """Gives the lock back, or withdraws the request for it."""
        idl = self._replica.idl
        with self._replica.lock:
            if idl.lock_name == self.name:
                idl.forget_transactions()
                idl.set_lock(None)
                self._replica.wake()

    def _steal(self, deadline: Deadline) -> bool:
        idl = self._replica.idl
        self.release()  # who waits for a lock must `unlock` before it may `steal` it
        idl.lock_name = self.name  # from now on transactions assert the lock, and a new connection asks for it
        request: Any = ovs.jsonrpc.Message.create_request("steal", [self.name])
        sent = idl.send(request, _Theft(idl))
        self._replica.wake()
        return sent and self._replica.wait_until(lambda: self.held, deadline)


class _Theft:
    """Takes the answer to `steal`, which `ovs`' IDL does not know."""

    def __init__(self, idl: NorthboundIdl) -> None:
        self._idl = idl

    def _process_reply(self, message: Any) -> None:
        result = message.result
        stolen = isinstance(result, dict) and result.get("locked") is True
        self._idl.has_lock, self._idl.is_lock_contended = stolen, not stolen
