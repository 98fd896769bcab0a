"""The reconcile loop: takes up what happened, compiles what depends on it, and makes the Northbound so.

One thread, one transaction at a time: while it is in flight further changes gather, so an idle daemon answers in one
round trip, and a busy one batches by itself.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import structlog

from ovnqos import DesiredState, LockLost, OvnQosError, StalePlan, TransactionRefused, plan_changes
from ovnqos.controller import InvalidRow, collector_paused
from ovnqos.kubernetes import RetryPolicy
from ovnqosd.loop.awaited import Awaited
from ovnqosd.loop.comparison import Comparison
from ovnqosd.loop.failures import Failures
from ovnqosd.loop.intake import Intake
from ovnqosd.loop.northbound_writer import NorthboundWriter
from ovnqosd.loop.outcomes import PassOutcome, Trigger
from ovnqosd.loop.pass_record import PassRecord
from ovnqosd.loop.policy_standing import PolicyStanding
from ovnqosd.loop.remarks import Remarks

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovnqos import Compiler, Northbound
    from ovnqos.controller import DatabaseChange
    from ovnqos.kubernetes import Clock
    from ovnqosd.loop.inbox import Inbox, Work

_log = structlog.get_logger()
_RIVALS_SETTLE_S: Final = 2.0
"""After a row of somebody else came in our band, everything is compared so soon: one comparison for many such rows."""


class Reconciler:
    """Runs the loop in the thread that calls `run`.

    Attributes:
        connected: whether the last pass reached the Northbound.
        in_sync: whether everything was compared since the start, and nothing failed since.
        last_full_pass: when everything was compared last, in seconds since 1970; None before that.
    """

    def __init__(  # noqa: PLR0913 - keywords, each its own concern
        self,
        *,
        live: Compiler,
        inbox: Inbox,
        connect: Callable[[Callable[[DatabaseChange], None]], Northbound],
        report: Callable[[PassOutcome], None],
        clock: Clock,
        kinds: frozenset[str],
        full_pass_seconds: float = 300.0,
        pace: RetryPolicy | None = None,
        may_write: Callable[[], bool] = lambda: True,
        failed: Callable[[OvnQosError], None] = lambda _error: None,
        tells_of_namespaces: Callable[[], bool] = lambda: True,
    ) -> None:
        """For `run`.

        Args:
            live: compiles; used by this loop alone from now on.
            inbox: where changes come from.
            connect: opens the Northbound, given what to tell of changes in it.
            report: told the outcome of each pass that did or found anything, on the loop's thread.
            clock: the time.
            kinds: which kinds must have been told completely before anything is written.
            full_pass_seconds: between two passes that compare everything, give or take 10 %.
            pace: how long to wait after failures.
            may_write: whether this daemon is the one to write now; when it becomes so, call `elected`.
            failed: told of each error that ended a pass.
            tells_of_namespaces: whether this daemon is the one of the cluster's to tell of namespaces.
        """
        self.connected = False
        self.in_sync = False
        self.last_full_pass: float | None = None
        self._live = live
        self._inbox = inbox
        self._report = report
        self._clock = clock
        self._kinds = kinds
        self._full_pass_seconds = full_pass_seconds
        self._pace = pace or RetryPolicy()
        self._may_write = may_write
        self._failed = failed
        self._awaited = Awaited()
        self._standing = PolicyStanding(live, self._awaited.switches)
        self._remarks = Remarks(live, tells_of_namespaces=tells_of_namespaces)
        self._intake = Intake(live, self._standing, self._remarks)
        self._writer = NorthboundWriter(lambda: connect(inbox.database_changed), may_write)
        self._comparison = Comparison(live, self._writer, self._awaited, self._standing, self._remarks)
        self._failures = Failures(self._pace, clock)
        self._refusals = Failures(self._pace, clock)
        self._paused = threading.Event()
        self._session: int | None = None  # in which everything was compared
        self._complete = False  # whether all of it could be written; else a difference is not drift
        self._full_due = True
        self._full_at = 0.0

    # The loop

    def run(self) -> None:
        """Reconcile until the inbox is stopped; then finish the transaction at hand and disconnect."""
        while not self._inbox.stopping:
            work = self._inbox.take(self._patience())
            try:
                with collector_paused():  # it has time between the passes
                    self._pass(work)
            except Exception:  # a fault of ours must not end the loop: everything is compared anew
                _log.exception("the reconcile loop failed; everything will be compared again")
                self._start_over()
                self._failures.add()
        self._disconnect()
        self._paused.set()

    def elected(self, *, silent_predecessor: bool) -> None:
        """This daemon is the one to write from now on.

        Args:
            silent_predecessor: whether the one before has not let go, so that it may be frozen; see
                `NorthboundWriter.inherit`.
        """
        self._writer.inherit(silent=silent_predecessor)
        self._inbox.ask_for_full_pass()

    def pause(self, timeout: float) -> bool:
        """Wait until the loop has seen that it may not write any more, and has let go of the Northbound and its lock.

        Args:
            timeout: seconds to wait at most.

        Returns:
            Whether that came about.
        """
        if not self._inbox.stopping:
            self._paused.clear()
            self._inbox.ask_for_full_pass()
        return self._paused.wait(timeout)

    def clean_up(self) -> None:
        """Remove everything this owner has in the Northbound; for the end of `run`, on the same thread.

        Raises:
            OvnQosError: what `Northbound.apply` raises.
        """
        self._writer.take_lock()
        northbound = self._writer.northbound()
        northbound.refresh()
        northbound.apply(plan_changes(DesiredState.of(), northbound.snapshot()))
        self._disconnect()

    def _patience(self) -> float | None:
        now = self._clock.monotonic()
        if not self._may_write():
            return None if self._full_due else max(0.0, self._full_at - now)
        if not self._inbox.has_synced(self._kinds):
            return None if self._writer.is_open else max(0.0, self._failures.retry_at - now)
        if self._full_due or self._live.is_dirty:
            return max(0.0, self._failures.retry_at - now)
        return max(0.0, self._full_at - now)

    def _pass(self, work: Work) -> None:
        started = self._clock.monotonic()
        removed = self._intake.take_up(work.changes)
        self._full_due |= work.full_pass or started >= self._full_at
        if not self._may_write():
            self._stand_by()
            return
        if started < self._failures.retry_at and (self._full_due or not work):
            return
        if not self._inbox.has_synced(self._kinds):
            self._connect_ahead()
            return
        record = PassRecord()
        try:
            self._reconcile(work.database, record)
        except OvnQosError as error:
            if not self._may_write():
                self._stand_by()
                return
            record.error = error
            self._fail(error)
        else:
            self._succeed(record)
        self._tell(record, removed, started, work.since)

    def _stand_by(self) -> None:
        self._full_due = True  # whoever writes meanwhile, the first pass compares everything, and tells of it
        self._standing.unsettle()
        if self._inbox.has_synced(self._kinds):
            self._remarks.compiled(self._live.drain().pods)
        self._disconnect()
        self._paused.set()

    def _connect_ahead(self) -> None:
        """The server gathers what it has while Kubernetes is listed."""
        try:
            self._writer.northbound()
        except OvnQosError as error:  # told in statuses once there is something to compare
            self._fail(error)

    def _disconnect(self) -> None:
        self._writer.close()
        self._session = None
        self.connected = False
        self.in_sync = False

    # A pass

    def _reconcile(self, database: DatabaseChange, record: PassRecord) -> None:
        northbound = self._writer.northbound()
        if not self._full_due and northbound.session == self._session:
            self._comparison.of_changes(database, record)
            if database.rivals:
                self._full_at = min(self._full_at, self._clock.monotonic() + _RIVALS_SETTLE_S)
            return
        record.trigger = Trigger.FULL
        self._comparison.prepare()
        self._writer.take_lock()  # even if there is nothing to write: nobody else may from now on
        session = northbound.session
        self._comparison.of_everything(record, tells_drift=session == self._session and self._complete)
        self._session = session
        self._full_due = False
        self._full_at = self._clock.monotonic() + self._full_pass_seconds * self._pace.random.uniform(0.9, 1.1)
        self.last_full_pass = self._clock.now()
        self.in_sync = True

    def _succeed(self, record: PassRecord) -> None:
        self.connected = True
        self._failures.end()
        if record.incomplete:  # what is refused is tried again with everything else, and meanwhile holds up nothing
            self._refusals.add()
            self._full_at = min(self._full_at, self._refusals.retry_at)
        elif record.trigger is Trigger.FULL:
            self._refusals.end()
        self._complete = not record.incomplete and (self._complete or record.trigger is Trigger.FULL)

    def _fail(self, error: OvnQosError) -> None:
        self.connected = isinstance(error, LockLost | StalePlan | TransactionRefused | InvalidRow)
        self._failed(error)
        self._start_over()
        self._failures.add(error)

    def _start_over(self) -> None:
        self.in_sync = False
        self._session = None
        self._full_due = True

    def _tell(self, record: PassRecord, removed: frozenset[str], started: float, since: float | None) -> None:
        outcomes = self._standing.settle(record)
        self._remarks.compiled(record.pods)
        remarks = self._remarks.settle()
        nothing = not (outcomes or removed or remarks or record.changes or record.drift or record.error)
        if nothing and record.trigger is Trigger.CHANGE:
            return
        self._report(
            PassOutcome(
                trigger=record.trigger,
                seconds=self._clock.monotonic() - started,
                age_seconds=0.0 if since is None else started - since,
                changes=dict(record.changes),
                transactions=record.transactions,
                policies=outcomes,
                removed=removed,
                drift=tuple(record.drift),
                error="" if record.error is None else str(record.error),
                rows=self._live.counts(),
                waiting=len(self._awaited),
                remarks=remarks,
                annotation_problems=self._remarks.problems(),
                rival_rows=record.rival_rows,
            )
        )
