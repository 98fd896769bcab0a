"""The reconcile loop: takes what happened, compiles what depends on it, and makes the Northbound so.

One thread, one transaction at a time: while it is in flight further changes gather, so an idle daemon answers in one
round trip, and a busy one batches by itself.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import structlog

from ovnqos import Code, DesiredState, LockLost, OvnQosError, Severity, StalePlan, TransactionRefused, plan_changes
from ovnqos.controller import EndedLimitsMaximum, InvalidRow, collector_paused
from ovnqos.kubernetes import RetryPolicy
from ovnqosd.loop.comparison import NorthboundComparison
from ovnqosd.loop.limit_changes import LimitChanges
from ovnqosd.loop.northbound_writer import NorthboundWriter, PassBackoff
from ovnqosd.loop.object_table import ObjectTable
from ovnqosd.loop.outcomes import AnnotationProblem, PassOutcome, PassRecord, Trigger
from ovnqosd.loop.removal_guard import RemovalGuard

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovnqos import Compiler, Northbound
    from ovnqos.controller import DatabaseChange
    from ovnqos.kubernetes import Clock
    from ovnqosd.loop.inbox import Inbox, Work
    from ovnqosd.status.policy_outcome import Reason

_log = structlog.get_logger()
_HELD_S: Final = 5.0
"""While removals are held, everything is compared so soon after a change: it may be the end of that."""
_PART_S: Final = 0.1
"""A part of a resync waits so long for a moment without changes."""
_FOREIGN_ROWS_S: Final = 2.0
"""After a foreign row was added in our band, everything is compared so soon: one comparison for many such rows."""


_Counts = tuple["dict[Reason, int]", dict[AnnotationProblem, int], dict[tuple[Code, Severity], int]]


class Reconciler:
    """Run the loop in the thread that calls `run`.

    Attributes:
        connected: whether the last pass reached the Northbound.
        in_sync: whether everything was compared since the start, and nothing failed since.
        last_full_pass: when everything was compared last, in seconds since 1970; None before that.
    """

    def __init__(  # noqa: PLR0913 - keywords, each its own concern
        self,
        *,
        compiler: Compiler,
        inbox: Inbox,
        connect: Callable[[Callable[[DatabaseChange], None]], Northbound],
        report: Callable[[PassOutcome], None],
        clock: Clock,
        kinds: frozenset[str],
        full_pass_seconds: float = 300.0,
        max_deletes: EndedLimitsMaximum = EndedLimitsMaximum(share=0.3),  # noqa: B008 - it is frozen
        policy: RetryPolicy | None = None,
        may_write: Callable[[], bool] = lambda: True,
        is_elected: Callable[[], bool] = lambda: True,
        on_failure: Callable[[OvnQosError], None] = lambda _error: None,
    ) -> None:
        """Describe a loop; `run` runs it.

        Args:
            compiler: compiles; used by this loop alone from now on.
            inbox: where changes come from.
            connect: opens the Northbound, given what to call with changes in it.
            report: called with the outcome of each pass that did or found anything, on the loop's thread.
            clock: the time.
            kinds: which kinds must have been delivered completely before anything is written.
            full_pass_seconds: between two passes that compare everything, give or take 10 %.
            max_deletes: how many limits and marks of pods may end in one pass without a known reason.
            policy: how long to wait after failures.
            may_write: whether this daemon is the one to write now; when it becomes so, call `elected`.
            is_elected: see `ObjectTable`.
            on_failure: called with each error that ended a pass.
        """
        self.connected = False
        self.in_sync = False
        self.last_full_pass: float | None = None
        self._compiler = compiler
        self._inbox = inbox
        self._report = report
        self._clock = clock
        self._kinds = kinds
        self._full_pass_seconds = full_pass_seconds
        self._policy = policy or RetryPolicy()
        self._may_write = may_write
        self._on_failure = on_failure
        self._table = ObjectTable(compiler, is_elected=is_elected)
        self._writer = NorthboundWriter(lambda: connect(inbox.database_changed), may_write)
        self._limits = LimitChanges(compiler, clock)
        self._guard = RemovalGuard(max_deletes, compiler, clock)
        self._comparison = NorthboundComparison(compiler, self._writer, self._table, self._guard)
        self._failures = PassBackoff(self._policy, clock)
        self._refusals = PassBackoff(self._policy, clock)
        self._paused = threading.Event()
        self._session: int | None = None  # in which everything was compared
        self._complete = False  # whether all of it could be written; else a difference is not drift
        self._synced = False  # whether all objects of all kinds have been taken
        self._full_due = True
        self._full_at = 0.0
        self._part_at = 0.0
        self._counts: _Counts = ({}, {}, {})  # as reported

    @property
    def is_northbound_connected(self) -> bool:
        """Whether the Northbound answers now; for any thread."""
        return self._writer.is_connected

    # The loop

    def run(self) -> None:
        """Reconcile until the inbox is stopped; then finish the transaction at hand and disconnect."""
        while not self._inbox.stopping:
            work = self._inbox.take(self._patience())
            try:
                with collector_paused():  # it has time between the passes
                    self._pass(work)
            except Exception:  # an error of ours must not end the loop: everything is compared anew
                _log.exception("reconcile loop failed; comparing everything again")
                self._start_over()
                self._failures.fail()
        self._disconnect()
        self._paused.set()

    def elected(self, *, silent_predecessor: bool) -> None:
        """Take note that this daemon is the one to write from now on.

        Args:
            silent_predecessor: whether the one before has not released the Lease, so that it may be frozen; see
                `NorthboundWriter.elected`.
        """
        self._writer.elected(silent_predecessor=silent_predecessor)
        self._inbox.ask_for_full_pass()

    def pause(self, timeout: float) -> bool:
        """Wait until the loop has seen that it may not write any more, and has released the Northbound and its lock.

        Args:
            timeout: seconds to wait at most.

        Returns:
            Whether that came about.
        """
        if not self._inbox.stopping:
            self._paused.clear()
            self._inbox.ask_for_full_pass()
        return self._paused.wait(timeout)

    @property
    def removals_held(self) -> int:
        """How many limits and marks of pods are kept, since objects are missing; see `RemovalGuard`."""
        return sum(self._guard.held.values())

    def clean_up(self) -> None:
        """Remove everything this owner has in the Northbound; after the end of `run`, on any thread.

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
        if not self._synced:
            return None if self._writer.is_open else max(0.0, self._failures.retry_at - now)
        if self._full_due or self._compiler.is_dirty or self._comparison.is_resyncing:
            return max(0.0, self._failures.retry_at - now)
        return max(0.0, min(self._full_at, self._limits.next_time or self._full_at) - now)

    def _pass(self, work: Work) -> None:
        started = self._clock.monotonic()
        self._synced = self._kinds <= work.synced
        changes = self._limits.take(work.changes)
        self._guard.observe(changes)
        self._table.apply(changes)
        if self._guard.held and changes:
            self._full_at = min(self._full_at, started + _HELD_S)
        is_periodic = started >= self._full_at and not self._comparison.is_resyncing
        self._full_due |= work.full_pass or self._guard.in_doubt or (is_periodic and not self._can_resync)
        if not self._may_write():
            self._stand_by()
            return
        outage = None if self._writer.is_connected else work.outage
        if outage is not None:
            self._table.mark_all_dirty()  # whether their rows are as they were cannot be told any more
        if started < self._failures.retry_at and (self._full_due or not work):
            return
        if not self._synced:
            self._connect_early()
            return
        record = PassRecord()
        try:
            if outage is not None:
                raise outage
            self._reconcile(work, record, is_periodic=is_periodic)
        except OvnQosError as error:
            if not self._may_write():
                self._stand_by()
                return
            record.error = error
            self._fail(error)
        else:
            self._succeed(record)
        self._finish(record, started, work.since)

    def _stand_by(self) -> None:
        self._comparison.end_resync()
        self._full_due = True  # another process writes meanwhile: the first pass compares and reports everything
        self._table.mark_all_dirty()
        self._guard.stand_by()
        if self._synced:
            self._table.mark_pods(self._compiler.drain().pods)
        self._disconnect()
        self._paused.set()

    def _connect_early(self) -> None:
        """Have the server gather what it has while Kubernetes is listed."""
        try:
            self._writer.northbound()
        except OvnQosError as error:  # statuses say it once there is something to compare
            self._fail(error)

    def _disconnect(self) -> None:
        self._writer.close()
        self._session = None
        self.connected = False
        self.in_sync = False

    # A pass

    def _reconcile(self, work: Work, record: PassRecord, *, is_periodic: bool) -> None:
        northbound = self._writer.northbound()
        was_complete = self._complete and not self._compiler.is_dirty
        if not self._full_due and northbound.session == self._session:
            if is_periodic:
                self._writer.take_lock()
                self._comparison.begin_resync()
                self._schedule_full_pass()
            if self._compare_changes(work, record):
                if work.database.foreign_rows:
                    self._full_at = min(self._full_at, self._clock.monotonic() + _FOREIGN_ROWS_S)
                return
            was_complete = False
        record.trigger = Trigger.FULL
        self._comparison.prepare()
        self._writer.take_lock()  # even if there is nothing to write: no other process may from now on
        session = northbound.session
        self._comparison.compare_all(record, was_complete=was_complete and session == self._session)
        self._session = session
        self._full_due = False
        self._schedule_full_pass()
        self.last_full_pass = self._clock.now()
        self.in_sync = True

    def _compare_changes(self, work: Work, record: PassRecord) -> bool:
        """Compare what changed; where nothing did, or has not for long, a part of everything, if that is under way."""
        if work and not self._comparison.compare_changes(work.database, record):
            return False
        now = self._clock.monotonic()
        if not self._comparison.is_resyncing or (work and now < self._part_at):
            return bool(work) or self._comparison.compare_changes(work.database, record)
        self._part_at = now + _PART_S
        is_compared = self._comparison.resync_part(record)
        if is_compared and not self._comparison.is_resyncing:
            self.last_full_pass = self._clock.now()
        return is_compared

    def _schedule_full_pass(self) -> None:
        self._full_at = self._clock.monotonic() + self._full_pass_seconds * self._policy.random.uniform(0.9, 1.1)

    @property
    def _can_resync(self) -> bool:
        """Whether everything can be compared in parts, between which changes are taken: all was as desired."""
        return self.in_sync and self._complete and not self._guard.held and self._comparison.can_resync

    def _succeed(self, record: PassRecord) -> None:
        self.connected = True
        self._failures.succeed()
        if record.incomplete:  # what is refused is retried with everything else, and meanwhile holds up nothing
            self._guard.forget_old_pods()
            self._refusals.fail()
            self._full_at = min(self._full_at, self._refusals.retry_at)
        else:
            self._guard.forget()
            if record.trigger is Trigger.FULL:
                self._refusals.succeed()
        self._complete = not record.incomplete and (self._complete or record.trigger is Trigger.FULL)

    def _fail(self, error: OvnQosError) -> None:
        self.connected = isinstance(error, LockLost | StalePlan | TransactionRefused | InvalidRow)
        self._on_failure(error)
        self._start_over()
        self._failures.fail(error)

    def _start_over(self) -> None:
        self._comparison.end_resync()
        self.in_sync = False
        self._session = None
        self._full_due = True

    def _finish(self, record: PassRecord, started: float, since: float | None) -> None:
        policies, reports = self._table.report(record)
        counts = (dict(self._table.policy_counts), dict(self._table.annotation_problems), dict(self._table.said))
        anything = policies or reports or record.changes or record.drift or record.error or counts != self._counts
        if not anything and record.trigger is Trigger.CHANGE:
            return
        self._counts = counts
        self._report(
            PassOutcome(
                trigger=record.trigger,
                seconds=self._clock.monotonic() - started,
                age_seconds=0.0 if since is None else started - since,
                changes=dict(record.changes),
                transactions=record.transactions,
                objects=frozenset(record.objects | self._compiler.objects_using(record.sets)),
                policies=policies,
                policy_counts=counts[0],
                drift=tuple(record.drift),
                error="" if record.error is None else str(record.error),
                rows=self._compiler.counts(),
                missing=len(self._comparison.missing),
                reports=reports,
                removals_held=self.removals_held,
                unreadable_pods=self._compiler.unreadable_pods(),
                annotation_problems=counts[1],
                said=counts[2],
                upstream_rows=record.upstream_rows,
            )
        )
