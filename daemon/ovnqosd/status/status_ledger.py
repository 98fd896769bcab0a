"""Which status is to be written next: what each object should say, beside what it says, and when it is its turn.

It does no I/O and reads no clock: times are arguments, in seconds of one monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ovnqos.kubernetes import Backoff, RetryPolicy
from ovnqosd.loop.outcomes import Reason
from ovnqosd.status.condition import PENDING, condition_of, condition_type, field_manager, summarise
from ovnqosd.status.due_queue import DueQueue
from ovnqosd.status.status_pace import StatusPace
from ovnqosd.status.status_patch import SUMMARY_MANAGER, PatchKind, StatusPatch, retraction

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from ovnqosd.loop.outcomes import PolicyOutcome
    from ovnqosd.status.observed_status import ObservedStatus

_REPEATS_FORGOTTEN: Final = 600.0
_REPEATS_MAXIMUM: Final = 16


@dataclass(slots=True)
class _Written:
    patch: StatusPatch
    at: float
    repeats: int


@dataclass(slots=True)
class _Entry:
    outcome: PolicyOutcome | None = None
    unavailable_since: float = 0.0
    unneeded_since: float | None = None
    observed: ObservedStatus | None = None
    generation_since: float = 0.0
    retry_at: float = 0.0
    backoff: Backoff | None = None
    missing: bool = False
    written: dict[str, _Written] = field(default_factory=dict)


class StatusLedger:
    """Not for several threads.

    A zone writes its condition on an object if it has source pods for it. Beside that, the aggregator's zone writes one
    on every object, so that each object has one; zones that have nothing to do with it do not fill it with their own.
    """

    def __init__(self, zone: str, pace: StatusPace | None = None, *, shared: bool = False) -> None:
        """Makes a ledger.

        Args:
            zone: the name of the zone that outcomes are about.
            pace: when to write.
            shared: whether several processes serve the zone, of which the elected one writes all there is to write.
        """
        self._zone = zone
        self._shared = shared
        self._type = condition_type(zone)
        self._pace = pace if pace is not None else StatusPace()
        self._retry_pace = RetryPolicy(first_delay=self._pace.retry_first, longest_delay=self._pace.retry_longest)
        self._entries: dict[str, _Entry] = {}
        self._queue = DueQueue()
        self._aggregating = False
        self._live_types: frozenset[str] | None = None
        self._withdrawing = False

    def __len__(self) -> int:
        """How many objects wait to be looked at, now or later."""
        return len(self._queue)

    def next_time(self) -> float | None:
        """When there is something to look at; None: not before something changes."""
        return self._queue.next_time()

    def uid(self, key: str) -> str:
        """The uid of an object; empty if it is not known."""
        entry = self._entries.get(key)
        if entry is None:
            return ""
        observed = entry.observed.uid if entry.observed is not None else ""
        return observed or (entry.outcome.uid if entry.outcome is not None else "")

    def take(self, outcomes: Iterable[PolicyOutcome], now: float) -> None:
        """Takes how policies stand."""
        for outcome in outcomes:
            entry = self._entries.setdefault(outcome.key, _Entry())
            before = entry.outcome
            unavailable = Reason.NORTHBOUND_UNAVAILABLE
            if outcome.reason is unavailable and (before is None or before.reason is not unavailable):
                entry.unavailable_since = now
            entry.outcome = outcome
            self._note_need(entry, now)
            self._queue.add(outcome.key, now)

    def observe(self, observed: ObservedStatus, now: float) -> None:
        """Takes what the API server holds; an earlier version than the one that is known is passed over."""
        entry = self._entries.setdefault(observed.key, _Entry())
        known = entry.observed
        if known is not None and observed.is_older_than(known):
            return
        if known is not None and known.uid != observed.uid:
            outcome = entry.outcome
            entry = self._entries[observed.key] = _Entry(outcome=outcome, unavailable_since=entry.unavailable_since)
            self._note_need(entry, now)
            known = None
        if known is None or known.generation != observed.generation:
            entry.generation_since = now
        entry.observed = observed.condensed(self._type)
        entry.missing = False
        self._queue.add(observed.key, now)

    def forget(self, keys: Iterable[str]) -> None:
        """Takes objects for gone."""
        for key in keys:
            self._entries.pop(key, None)
            self._queue.discard(key)

    def aggregate(self, aggregating: bool, now: float) -> None:
        """Says whether the summary is this process' to write."""
        if aggregating != self._aggregating:
            self._aggregating = aggregating
            for entry in self._entries.values():
                self._note_need(entry, now)
            self._look_at_all(now)

    def set_zones(self, zones: frozenset[str] | None, now: float) -> None:
        """Says which zones there are: the aggregator takes away the conditions of others. None: it is not known."""
        live = None if zones is None else frozenset(map(condition_type, zones | {self._zone}))
        if live != self._live_types:
            self._live_types = live
            self._look_at_all(now)

    def withdraw(self, now: float) -> None:
        """Says that nothing is in force in this zone any more, and that this process ends."""
        self._withdrawing = True
        self._look_at_all(now)

    def next(self, now: float, time: datetime) -> StatusPatch | None:
        """The next patch to send, None if there is none yet. `time` is now, in UTC.

        The object is not looked at again before `written` or `failed` is called, unless it changes.
        """
        while (key := self._queue.pop(now)) is not None:
            entry = self._entries[key]
            later: list[float] = []
            for patch, settled_at in self._wanted(key, entry, time):
                at = max(settled_at, entry.retry_at, 0.0 if self._withdrawing else self._spaced(entry, patch))
                if at <= now:
                    return patch
                later.append(at)
            if later:
                self._queue.add(key, min(later))
        return None

    def written(self, patch: StatusPatch, answer: ObservedStatus | None, now: float) -> None:
        """The patch was carried out; the answer is the object after it."""
        entry = self._entries.get(patch.key)
        if entry is None:
            return
        before = entry.written.get(patch.manager)
        repeats = 0
        if before is not None and before.patch.repeats(patch) and now - before.at < _REPEATS_FORGOTTEN:
            repeats = min(before.repeats + 1, _REPEATS_MAXIMUM)
        entry.written[patch.manager] = _Written(patch=patch, at=now, repeats=repeats)
        entry.retry_at, entry.backoff = 0.0, None
        if answer is not None and answer.key == patch.key:
            self.observe(answer, now)
        self._queue.add(patch.key, now)

    def failed(self, patch: StatusPatch, now: float, *, missing: bool = False) -> None:
        """The patch was not carried out; `missing`: the API server does not know the object."""
        entry = self._entries.get(patch.key)
        if entry is None:
            return
        if missing:
            if entry.missing:
                self.forget([patch.key])
                return
            entry.missing = True
            entry.retry_at = now + self._pace.missing_retry
        else:
            entry.backoff = entry.backoff or Backoff(self._retry_pace)
            entry.retry_at = now + entry.backoff.next()
        self._queue.add(patch.key, entry.retry_at)

    def _note_need(self, entry: _Entry, now: float) -> None:
        if entry.outcome is None or entry.outcome.sources or self._aggregating:
            entry.unneeded_since = None
        elif entry.unneeded_since is None:
            entry.unneeded_since = now

    def _look_at_all(self, now: float) -> None:
        for key in self._entries:
            self._queue.add(key, now)

    def _spaced(self, entry: _Entry, patch: StatusPatch) -> float:
        before = entry.written.get(patch.manager)
        if before is None:
            return 0.0
        if before.patch.repeats(patch):
            return before.at + min(self._pace.spacing * float(2**before.repeats), self._pace.repeat_longest)
        return before.at + self._pace.spacing

    def _wanted(self, key: str, entry: _Entry, time: datetime) -> Iterator[tuple[StatusPatch, float]]:
        """What is to be written on an object, in that order, and from when on."""
        if self._shared and not self._aggregating:
            return
        outcome, observed = entry.outcome, entry.observed
        if self._withdrawing:
            yield from self._last_words(observed) if observed is not None else ()
            return
        if outcome is None or (observed is not None and outcome.uid and outcome.uid != observed.uid):
            return  # nothing is known, or of an object that had the same name
        yield from self._condition(key, entry, outcome, time)
        if self._aggregating and observed is not None:
            yield from self._summary(observed, entry.generation_since)

    def _condition(
        self, key: str, entry: _Entry, outcome: PolicyOutcome, time: datetime
    ) -> Iterator[tuple[StatusPatch, float]]:
        own = entry.observed.conditions.get(self._type) if entry.observed is not None else None
        condition = condition_of(outcome, self._zone, previous=own, now=time)
        if own is not None and own.observed_generation > outcome.generation:
            return  # another process of this zone knows more
        if entry.unneeded_since is None:
            if not condition.says_the_same(own):
                unavailable = outcome.reason is Reason.NORTHBOUND_UNAVAILABLE
                settled_at = entry.unavailable_since + self._pace.unavailable_settles if unavailable else 0.0
                patch = StatusPatch(
                    key=key,
                    uid=self.uid(key),
                    manager=field_manager(self._type),
                    kind=PatchKind.CONDITION,
                    condition=condition,
                    previous=own,
                    outcome=outcome,
                )
                yield patch, settled_at
        elif own is not None and entry.observed is not None:
            still_true = condition.says_the_same(own)
            settled_at = entry.unneeded_since + self._pace.retraction_settles if still_true else 0.0
            yield retraction(entry.observed, self._type), settled_at

    def _summary(self, observed: ObservedStatus, generation_since: float) -> Iterator[tuple[StatusPatch, float]]:
        counted = []
        for kind, condition in observed.conditions.items():
            if self._live_types is None or kind in self._live_types:
                counted.append(condition)
            else:
                yield retraction(observed, kind), 0.0
        summary = summarise(counted, observed.generation)
        if summary and summary != observed.summary:
            pending = summary.startswith(PENDING)
            settled_at = generation_since + self._pace.pending_settles if pending else 0.0
            yield self._summary_patch(observed, summary), settled_at

    def _last_words(self, observed: ObservedStatus) -> Iterator[tuple[StatusPatch, float]]:
        """Takes this zone's condition away, and makes the summary say what holds without it."""
        if self._type in observed.conditions:
            yield retraction(observed, self._type), 0.0
        if self._aggregating:
            others = [condition for kind, condition in observed.conditions.items() if kind != self._type]
            summary = summarise(others, observed.generation)
            if summary != observed.summary:
                yield self._summary_patch(observed, summary), 0.0

    def _summary_patch(self, observed: ObservedStatus, summary: str) -> StatusPatch:
        return StatusPatch(
            key=observed.key, uid=observed.uid, manager=SUMMARY_MANAGER, kind=PatchKind.SUMMARY, summary=summary
        )
