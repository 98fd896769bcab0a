"""The reconcile loop: takes up what happened, compiles what depends on it, and makes the Northbound so.

One thread, one transaction at a time: while it is in flight further changes gather, so an idle daemon answers in one
round trip, and a busy one batches by itself.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from ovnqos import (
    DesiredState,
    InvalidRow,
    LockLost,
    NorthboundUnavailable,
    OutcomeUnknown,
    OvnQosError,
    Owner,
    StalePlan,
    TransactionRefused,
    Unsupported,
    find_foreign_conflicts,
    plan_changes,
    policy_of,
    qos_list_line,
    reference_rows,
)
from ovnqosd.backoff import Backoff, Pace
from ovnqosd.drift import find_drift
from ovnqosd.outcomes import Drift, PassOutcome, PolicyOutcome, Reason, Trigger

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovnqos import DatabaseChange, Delta, LiveCompilation, Northbound, Plan, Snapshot
    from ovnqosd.backoff import Clock
    from ovnqosd.changes import Changes, Metadata
    from ovnqosd.inbox import Inbox, Work

_log = structlog.get_logger()
_RIVALS_SETTLE_S = 2.0
"""After a row of somebody else came in our band, everything is compared so soon: one comparison for many such rows."""
_REFERENCE = Owner.ovn_kubernetes()
_LOOK_AGAIN_S = 5.0
"""A Northbound that is out of reach, or locked, is asked for at least so often: asking costs it little."""
_CHANGE_NAMES = {
    "RowInsert": "row_insert",
    "RowUpdate": "row_update",
    "RowDelete": "row_delete",
    "SetInsert": "set_insert",
    "SetUpdate": "set_update",
    "SetDelete": "set_delete",
}


@dataclass(slots=True)
class _Pass:
    """What a pass gathers for its outcome."""

    trigger: Trigger = Trigger.CHANGE
    changes: Counter[str] = field(default_factory=Counter)
    transactions: int = 0
    policies: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)
    drift: list[Drift] = field(default_factory=list)
    error: OvnQosError | None = None
    rival_rows: int | None = None


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
        live: LiveCompilation,
        inbox: Inbox,
        connect: Callable[[Callable[[DatabaseChange], None]], Northbound],
        report: Callable[[PassOutcome], None],
        clock: Clock,
        kinds: frozenset[str],
        full_pass_seconds: float = 300.0,
        pace: Pace | None = None,
        may_write: Callable[[], bool] = lambda: True,
        failed: Callable[[OvnQosError], None] = lambda _error: None,
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
            may_write: whether this daemon is the one to write now; when it becomes so, ask the inbox for a full pass.
            failed: told of each error that ended a pass.
        """
        self.connected = False
        self.in_sync = False
        self.last_full_pass: float | None = None
        self._live = live
        self._inbox = inbox
        self._connect = connect
        self._report = report
        self._clock = clock
        self._kinds = kinds
        self._full_pass_seconds = full_pass_seconds
        self._pace = pace or Pace()
        self._backoff = Backoff(self._pace)
        self._may_write = may_write
        self._failed = failed
        self._paused = threading.Event()
        self._northbound: Northbound | None = None
        self._session: int | None = None
        self._problems: dict[str, str] = {}  # of pods, by subject
        self._failing = ""  # the kind of the last pass' error
        self._full_due = True
        self._full_at = 0.0
        self._retry_at = 0.0
        self._unsettled: set[str] = set()  # policies whose outcome is still to be told
        self._objects: dict[str, Metadata] = {}
        self._rivals: dict[str, str] = {}  # policies whose rows meet rows of others, and how
        self._waiting_ports: dict[str, set[str]] = defaultdict(set)
        self._waiting_switches: dict[str, set[str]] = defaultdict(set)
        self._waiting = 0

    # The loop

    def run(self) -> None:
        """Reconcile until the inbox is stopped; then finish the transaction at hand and disconnect."""
        while not self._inbox.stopping:
            work = self._inbox.take(self._patience())
            try:
                self._pass(work)
            except Exception:  # a fault of ours must not end the loop: everything is compared anew
                _log.exception("the reconcile loop failed; everything will be compared again")
                self._fail_whole()
        self._disconnect()
        self._paused.set()

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
        northbound = self._connected()
        northbound.apply(plan_changes(DesiredState.of(), northbound.snapshot()))
        self._disconnect()

    def _patience(self) -> float | None:
        now = self._clock.monotonic()
        if not self._ready():
            return None if self._full_due else max(0.0, self._full_at - now)
        if self._full_due or self._live.is_dirty:
            return max(0.0, self._retry_at - now)
        return max(0.0, self._full_at - now)

    def _ready(self) -> bool:
        return self._inbox.has_synced(self._kinds) and self._may_write()

    def _pass(self, work: Work) -> None:
        started = self._clock.monotonic()
        removed = self._take_up(work.changes)
        self._full_due |= work.full_pass or started >= self._full_at
        if not self._ready():
            self._full_due = True  # whoever writes meanwhile, the first pass compares everything, and tells of it
            self._unsettled = set(self._objects)
            self._live.drain()
            self._disconnect()
            self._paused.set()
            return
        if started < self._retry_at and (self._full_due or not work):
            return
        done = _Pass()
        try:
            self._reconcile(work.database, done)
            self._backoff.reset()
            if self._failing:
                self._failing = ""
                _log.info("the Northbound is as it should be again")
        except OvnQosError as error:
            done.error = error
            self._failed(error)
            self._fail(error)
        self._tell(done, removed, started, work.since)

    # Kubernetes

    def _take_up(self, batches: list[Changes]) -> frozenset[str]:
        removed: set[str] = set()
        for changes in batches:
            is_policy = changes.kind == "NetworkQoS"
            for updated in changes.updated:
                self._live.update(updated.object)
                if is_policy:
                    self._note_policy(updated.metadata, removed)
            for invalid in changes.invalid:
                if is_policy:
                    self._live.hold(invalid.metadata.key, invalid.error)
                    self._note_policy(invalid.metadata, removed)
                _log.warning("invalid object", kind=changes.kind, object=invalid.metadata.key, error=str(invalid.error))
            for key in changes.removed:
                self._live.forget(changes.kind, key)
                if is_policy:
                    self._objects.pop(key, None)
                    self._unsettled.discard(key)
                    removed.add(key)
        if any(changes.kind == "Pod" for changes in batches):
            self._tell_problems()
        return frozenset(removed)

    def _tell_problems(self) -> None:
        found = {problem.subject: str(problem) for problem in self._live.inventory.problems}
        for subject in found.keys() - self._problems.keys():
            _log.warning("a pod whose networks cannot be read; it counts as having none", error=found[subject])
        self._problems = found

    def _note_policy(self, metadata: Metadata, removed: set[str]) -> None:
        self._objects[metadata.key] = metadata
        self._unsettled.add(metadata.key)
        removed.discard(metadata.key)

    # Northbound

    def _reconcile(self, database: DatabaseChange, done: _Pass) -> None:
        northbound = self._connected()
        if self._full_due or northbound.session != self._session:
            self._compare_everything(northbound, done)
            return
        self._compare(northbound, self._live.drain(), done, is_drift=False)
        self._touch_waiting(database)
        self._compare(northbound, self._live.drain(), done, is_drift=False)
        self._live.touch(rows=database.rows, sets=database.sets)
        if database.rivals:
            self._full_at = min(self._full_at, self._clock.monotonic() + _RIVALS_SETTLE_S)
        self._compare(northbound, self._live.drain(), done, is_drift=True)

    def _compare_everything(self, northbound: Northbound, done: _Pass) -> None:
        done.trigger = Trigger.FULL
        session = northbound.session
        northbound.refresh()
        done.policies |= self._live.drain().policies
        desired, snapshot = self._live.desired(), northbound.snapshot()
        self._look_for_rivals(desired, snapshot, done)
        plan = plan_changes(desired, snapshot)
        if self.in_sync and session == self._session:
            done.drift.extend(find_drift(plan))  # nothing of it came from Kubernetes: events missed it
        self._waiting_ports.clear()
        self._waiting_switches.clear()
        self._apply(northbound, plan, done)
        self._session = session
        self._full_due = False
        self._full_at = self._clock.monotonic() + self._full_pass_seconds * self._pace.random.uniform(0.9, 1.1)
        self.last_full_pass = self._clock.now()
        self.in_sync = True

    def _look_for_rivals(self, desired: DesiredState, snapshot: Snapshot, done: _Pass) -> None:
        """Find rows of others that meet ours, and a second controller that does our work."""
        rivals: dict[str, str] = {}
        for row in reference_rows(snapshot):
            key = _REFERENCE.object_of(row.content.external_ids).removeprefix("NetworkQoS/")
            rivals[key] = "ovn-kubernetes' own NetworkQoS controller writes rows for it too; switch one of the two off"
        for conflict in find_foreign_conflicts(desired, snapshot):
            found = qos_list_line(conflict.row.content).strip()
            words = (
                f"a row of somebody else on switch {conflict.switch} has the same priority for packets that both match"
            )
            rivals.setdefault(policy_of(conflict.identity), f"{words}, so which wins is undefined: {found}")
        changed = {key for key in rivals.keys() | self._rivals.keys() if rivals.get(key) != self._rivals.get(key)}
        for key in sorted(changed & rivals.keys()):
            _log.warning("conflict with rows of somebody else", object=key, conflict=rivals[key])
        self._unsettled |= changed & self._objects.keys()
        self._rivals = rivals
        done.rival_rows = len(reference_rows(snapshot))

    def _compare(self, northbound: Northbound, delta: Delta, done: _Pass, *, is_drift: bool) -> None:
        done.policies |= delta.policies
        if delta.is_empty:
            return
        snapshot = northbound.part(delta)
        known = {name for _kind, name in (*snapshot.sets, *snapshot.foreign_sets)}
        absent = [name for name, touched in delta.sets.items() if touched is not None and name not in known]
        if absent:
            delta = self._live.whole(delta, absent)
        plan = plan_changes(delta.desired, snapshot)
        if is_drift:
            done.drift.extend(find_drift(plan))
        self._apply(northbound, plan, done)

    def _apply(self, northbound: Northbound, plan: Plan, done: _Pass) -> None:
        for one in plan.waiting:
            wanted = self._waiting_ports if one.kind == "logical switch port" else self._waiting_switches
            wanted[one.name].add(one.wanted_by)
        try:
            done.transactions += northbound.apply(plan).transactions
        except (TransactionRefused, InvalidRow) as error:
            parts = plan.by_object()
            if len(parts) == 1:
                raise
            _log.warning("a transaction was refused; trying object by object", error=str(error))
            self._apply_parts(northbound, parts, done)
        done.changes.update(_CHANGE_NAMES[type(change).__name__] for change in plan.changes)

    def _apply_parts(self, northbound: Northbound, parts: tuple[Plan, ...], done: _Pass) -> None:
        for part in parts:
            try:
                done.transactions += northbound.apply(part).transactions
            except (TransactionRefused, InvalidRow) as error:
                keys = {drift.policy for drift in find_drift(part)}
                done.refused.update(dict.fromkeys(filter(None, keys), str(error)))
                self._full_due = True
        if done.refused:
            self._retry_at = self._clock.monotonic() + self._backoff.next()

    def _touch_waiting(self, database: DatabaseChange) -> None:
        for name in database.ports & self._waiting_ports.keys():
            self._live.touch(sets={wanted: {name} for wanted in self._waiting_ports.pop(name)})
        for name in database.switches & self._waiting_switches.keys():
            self._live.touch(rows=self._waiting_switches.pop(name))

    def _connected(self) -> Northbound:
        if self._northbound is None:
            self._northbound = self._connect(self._inbox.database_changed)
        return self._northbound

    def _disconnect(self) -> None:
        if self._northbound is not None:
            self._northbound.close()
            self._northbound = None
        self.connected = False
        self.in_sync = False

    # Failures

    def _fail(self, error: OvnQosError) -> None:
        self.connected = isinstance(error, LockLost | StalePlan | TransactionRefused | InvalidRow)
        self._fail_whole()
        now = self._clock.monotonic()
        if isinstance(error, StalePlan):
            self._retry_at = now
        elif isinstance(error, LockLost | NorthboundUnavailable):
            self._retry_at = min(self._retry_at, now + _LOOK_AGAIN_S)
        kind = type(error).__name__
        if kind != self._failing:
            _log.warning("the Northbound is not as it should be; trying again and again", error=str(error), kind=kind)
        self._failing = kind

    def _fail_whole(self) -> None:
        self.in_sync = False
        self._full_due = True
        self._retry_at = self._clock.monotonic() + self._backoff.next()

    # Telling

    def _tell(self, done: _Pass, removed: frozenset[str], started: float, since: float | None) -> None:
        self._unsettled |= done.policies & self._objects.keys()
        outcomes = {key: self._outcome(key, done) for key in self._unsettled}
        if done.error is None:
            self.connected = True
            self._unsettled.clear()
        elif isinstance(done.error, OutcomeUnknown):
            outcomes = {}  # the next pass knows
        nothing = not (outcomes or removed or done.changes or done.drift or done.error)
        if nothing and done.trigger is Trigger.CHANGE:
            return
        now = self._clock.monotonic()
        self._report(
            PassOutcome(
                trigger=done.trigger,
                seconds=now - started,
                age_seconds=0.0 if since is None else started - since,
                changes=dict(done.changes),
                transactions=done.transactions,
                policies=outcomes,
                removed=removed,
                drift=tuple(done.drift),
                error="" if done.error is None else str(done.error),
                rows=self._live.counts(),
                waiting=len(self._waiting_ports) + len(self._waiting_switches),
                rival_rows=done.rival_rows,
            )
        )

    def _outcome(self, key: str, done: _Pass) -> PolicyOutcome:
        metadata, compiled, fault = self._objects[key], self._live.compiled(key), self._live.faults.get(key)
        message = "NetworkQoS Destinations applied"
        if fault is not None:
            reason = Reason.UNSUPPORTED if isinstance(fault, Unsupported) else Reason.INVALID
            message = "; ".join(map(str, fault.faults))
            if compiled is not None:
                message += " (the last valid version stays in force)"
        elif key in done.refused:
            reason, message = Reason.NORTHBOUND_UNAVAILABLE, done.refused[key]
        elif done.error is not None:
            reason, message = Reason.NORTHBOUND_UNAVAILABLE, str(done.error)
        elif key in self._rivals:
            reason, message = Reason.CONFLICT, self._rivals[key]
        elif rivals := self._live.rivals(key):
            reason = Reason.CONFLICT
            message = (
                f"the same priority as {', '.join(sorted(rivals))} for packets that both match; which wins is undefined"
            )
        else:
            reason = Reason.SUCCESS
        return PolicyOutcome(
            key=key,
            uid=metadata.uid,
            generation=metadata.generation,
            reason=reason,
            message=message,
            sources=compiled is not None and bool(compiled.rows),
            notes=tuple(compiled.notes) if compiled is not None else (),
        )
