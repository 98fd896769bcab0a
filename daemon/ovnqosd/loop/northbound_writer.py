"""The Northbound in the hands of the one process that may write it, and what follows when it cannot be written."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import structlog

from ovnqos import LockLost, StalePlan, TransactionRefused
from ovnqos.controller import (
    InvalidRow,
    NorthboundUnavailable,
    RowDelete,
    RowInsert,
    RowUpdate,
    SetDelete,
    SetInsert,
    SetUpdate,
    listed,
    object_of,
    references_in,
)
from ovnqos.kubernetes import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovnqos import Northbound, OvnQosError, Plan
    from ovnqos.kubernetes import Clock, RetryPolicy
    from ovnqosd.loop.outcomes import PassRecord

_log = structlog.get_logger()
_HANDOVER_S: Final = 1.0
"""How long another writer gets to release the lock."""
_RECONNECT_S: Final = 5.0
"""A Northbound that is out of reach, or locked, is tried at least so often: that costs it little."""


class NorthboundWriter:
    """Connect when it must, and write with the owner's lock held.

    The Lease elects by clocks: a process that is frozen in the middle of a pass finds out only when it wakes that it is
    not elected any more. The lock fences it, since the server checks it in each transaction. So an elected process
    takes the lock before it looks at anything, and from a former holder of the Lease that keeps the lock it is stolen.
    """

    def __init__(self, connect: Callable[[], Northbound], may_write: Callable[[], bool]) -> None:
        """Describe a writer; `may_write` says whether this process is the one to write now."""
        self._connect = connect
        self._may_write = may_write
        self._northbound: Northbound | None = None
        self._may_steal = threading.Event()
        self._logged: set[tuple[str, ...]] = set()

    def elected(self, *, silent_predecessor: bool) -> None:
        """Take note that this process was elected, perhaps after one that may be frozen: then the lock may be stolen.

        That holds for one time only: a process whose lock is stolen while it is elected itself does not steal in turn,
        so that two installations that share an owner by mistake do not take the rows from each other without end.
        """
        if silent_predecessor:
            self._may_steal.set()
        else:
            self._may_steal.clear()

    def northbound(self) -> Northbound:
        """Return the connection, opened if there is none.

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

    @property
    def is_connected(self) -> bool:
        """Whether the Northbound answers now; for any thread."""
        northbound = self._northbound
        return northbound is not None and northbound.is_connected

    def take_lock(self) -> None:
        """Make sure that no other process writes.

        Raises:
            LockLost: another one does, or this process is not the one to write any more.
            NorthboundUnavailable: the server does not answer.
        """
        northbound = self.northbound()
        try:
            northbound.lock(timeout_s=_HANDOVER_S)
        except LockLost:
            if not self._may_steal.is_set() or not self._may_write():
                raise
            _log.warning("lock stolen: the process elected before does not release it")
            northbound.lock(steal=True)
        if not self._may_write():
            self.close()  # if it was frozen before it asked for the lock, the elected process waits for it now
            raise LockLost("this process is no longer elected; nothing was written")
        self._may_steal.clear()

    def apply(self, plan: Plan, record: PassRecord) -> None:
        """Apply a plan; what the server refuses as a whole is retried object by object.

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
            self._log_once("transaction refused; retrying object by object", error=str(error))
            refused: dict[str, OvnQosError] = {}  # by name of the set: rows that use it have to wait for it
            for part in parts:
                try:
                    if (name := next(iter(_references(part) & refused.keys()), None)) is not None:
                        raise refused[name]
                    record.count(part, northbound.apply(part).transactions)
                except (TransactionRefused, InvalidRow) as refusal:
                    refused.update((one.content.name, refusal) for one in part.changes if isinstance(one, SetInsert))
                    self._refuse(part, refusal, record)

    def close(self) -> None:
        """Disconnect, which releases the lock."""
        if self._northbound is not None:
            self._northbound.close()
            self._northbound = None
            self._logged.clear()

    def _refuse(self, part: Plan, error: OvnQosError, record: PassRecord) -> None:
        """Record whose rows the server refuses."""
        rows = [one.identity for one in part.changes if isinstance(one, RowInsert | RowUpdate | RowDelete)]
        sets = {one.content.name for one in part.changes if isinstance(one, SetInsert | SetUpdate | SetDelete)}
        if not rows:
            self._log_once("set refused; retrying", set=listed(sets), error=str(error))
            users = (row.content for row in part.snapshot.rows if references_in(row.content.match) & sets)
            rows = [part.snapshot.owner.identity(one.external_ids) for one in users]
        record.incomplete = True
        for identity in rows:
            kind, _, key = object_of(identity).partition("/")
            record.refused[kind, key] = error
            if kind != "NetworkQoS":  # whose status says it
                self._log_once("row refused; retrying", row=identity, error=str(error))

    def _log_once(self, event: str, **details: str) -> None:
        if (logged := (event, *details.values())) not in self._logged:
            self._logged.add(logged)
            _log.warning(event, **details)


def _references(part: Plan) -> set[str]:
    """The sets that rows of a plan will use."""
    matches = [
        one.content.match if isinstance(one, RowInsert) else one.after.match
        for one in part.changes
        if isinstance(one, RowInsert | RowUpdate)
    ]
    return {name for match in matches for name in references_in(match)}


class PassBackoff:
    """The backoff over passes that fail one after another, and their log.

    Attributes:
        retry_at: before this time, on the monotonic clock, nothing is retried.
    """

    def __init__(self, policy: RetryPolicy, clock: Clock) -> None:
        self.retry_at = 0.0
        self._backoff = Backoff(policy)
        self._clock = clock
        self._logged: set[type[OvnQosError]] = set()

    def fail(self, error: OvnQosError | None = None) -> None:
        """Count a failure; None is one that was logged already, or that is not the Northbound's.

        Each kind of error is logged once in a row. A stale plan is made again at once.
        """
        now = self._clock.monotonic()
        delay = self._backoff.next()
        if isinstance(error, StalePlan):
            delay = 0.0
        elif isinstance(error, LockLost | NorthboundUnavailable):
            delay = min(delay, _RECONNECT_S)
        self.retry_at = now + delay
        if error is not None and type(error) not in self._logged:
            self._logged.add(type(error))
            _log.warning("Northbound not reconciled; retrying", error=str(error), kind=type(error).__name__)

    def succeed(self) -> None:
        """End the row of failures."""
        self._backoff.reset()
        if self._logged:
            self._logged.clear()
            _log.info("Northbound reconciled again")
