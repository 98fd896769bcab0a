"""The Northbound in the hands of the one process that may write it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import structlog

from ovnqos import LockLost, TransactionRefused
from ovnqos.controller import InvalidRow
from ovnqosd.loop.drift import find_drift
from ovnqosd.loop.outcomes import DriftKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovnqos import Northbound, OvnQosError, Plan
    from ovnqosd.loop.pass_record import PassRecord

_log = structlog.get_logger()
_ROWS: Final = frozenset({DriftKind.ROW_EDITED, DriftKind.ROW_DELETED, DriftKind.ROW_SURPLUS})
_HANDOVER_S: Final = 1.0
"""How long another writer gets to let go of the lock."""


class NorthboundWriter:
    """Connects when it must, and writes with the owner's lock held.

    The Lease elects by clocks: a process that is frozen in the middle of a pass finds out only when it wakes that it is
    not elected any more. The lock fences it, since the server checks it in each transaction. So whoever is elected
    takes the lock before it looks at anything, and from a former holder of the Lease that keeps the lock it is stolen.
    """

    def __init__(self, connect: Callable[[], Northbound], may_write: Callable[[], bool]) -> None:
        """Makes a writer; `may_write` says whether this process is the one to write now."""
        self._connect = connect
        self._may_write = may_write
        self._northbound: Northbound | None = None
        self._heir = threading.Event()
        self._said: set[tuple[str, ...]] = set()

    def inherit(self, *, silent: bool) -> None:
        """This process was elected; `silent`: in the place of one that may be frozen, so that the lock may be stolen.

        That holds for one time only: whoever is robbed while it is elected itself does not rob in turn, so that two
        installations that share an owner by mistake do not wrest the rows from each other without end.
        """
        if silent:
            self._heir.set()
        else:
            self._heir.clear()

    def northbound(self) -> Northbound:
        """The connection, opened if there is none.

        Raises:
            OvnQosError: what `Northbound.connect` raises.
        """
        if self._northbound is None:
            self._northbound = self._connect()
        return self._northbound

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, or one that is being made."""
        return self._northbound is not None

    def take_lock(self) -> None:
        """Makes sure that nobody else writes.

        Raises:
            LockLost: somebody else does, or this process is not the one to write any more.
            NorthboundUnavailable: the server does not answer.
        """
        northbound = self.northbound()
        try:
            northbound.lock(timeout_s=_HANDOVER_S)
        except LockLost:
            if not self._heir.is_set() or not self._may_write():
                raise
            _log.warning("the process that was elected before is silent and keeps the lock; it is taken away from it")
            northbound.lock(steal=True)
        if not self._may_write():
            self.close()  # if it was frozen before it asked for the lock, somebody who may write waits for it now
            raise LockLost("this process is not the one to write any more; nothing was written")
        self._heir.clear()

    def apply(self, plan: Plan, record: PassRecord) -> None:
        """Carries a plan out; what the server refuses as a whole is tried object by object.

        Raises:
            OvnQosError: what `Northbound.apply` raises, but for refusals of some objects: they are in the record.
        """
        if plan.is_empty:
            return
        self.take_lock()
        northbound = self.northbound()
        try:
            record.count(plan, northbound.apply(plan).transactions)
        except (TransactionRefused, InvalidRow) as error:
            parts = plan.by_object()
            if len(parts) == 1:
                self._refuse(plan, error, record)
                return
            self._log_once("a transaction was refused; trying object by object", error=str(error))
            for part in parts:
                try:
                    record.count(part, northbound.apply(part).transactions)
                except (TransactionRefused, InvalidRow) as fault:
                    self._refuse(part, fault, record)

    def close(self) -> None:
        """Disconnects, which gives the lock back."""
        if self._northbound is not None:
            self._northbound.close()
            self._northbound = None
            self._said.clear()

    def _refuse(self, part: Plan, error: OvnQosError, record: PassRecord) -> None:
        """Notes whose rows the server refuses: policies tell it in their status, pods' own rows are logged."""
        found = [one for one in find_drift(part) if one.kind in _ROWS]
        if not found:
            raise error
        record.incomplete = True
        for one in found:
            if one.policy:
                record.refused[one.policy] = str(error)
            else:
                self._log_once("a row was refused; trying again and again", what=one.what, error=str(error))

    def _log_once(self, event: str, **words: str) -> None:
        if (said := (event, *words.values())) not in self._said:
            self._said.add(said)
            _log.warning(event, **words)
