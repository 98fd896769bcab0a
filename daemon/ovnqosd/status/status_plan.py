"""What is to be written on the status of each object: what it should say beside what it says, and when.

It does no I/O and reads no clock: times are arguments, in seconds of one monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ovnqos.controller import PolicyCounts
from ovnqosd.status.condition import (
    PENDING,
    READY,
    Condition,
    ConditionStatus,
    condition_of,
    condition_type,
    field_manager,
    summarise,
)
from ovnqosd.status.object_status import SUMMARY_MANAGER, StatusPatch, retraction
from ovnqosd.status.policy_outcome import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from ovnqosd.status.object_status import ObservedStatus
    from ovnqosd.status.policy_outcome import PolicyOutcome
    from ovnqosd.status.work_queue import DelayingQueue

_REPEATS_FORGOTTEN: Final = 600.0
_REPEATS_MAXIMUM: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusTiming:
    """How soon statuses are written, in seconds.

    Attributes:
        spacing: between two writes of the same field manager to one object.
        count_spacing: the same for a write that changes counts alone; pods that come and go are not worth more.
        unavailable_after: an outage of the Northbound becomes a condition when it lasts so long; a cluster that elects
            a new leader is not worth two writes of every object.
        pending_after: the same for a summary that says `Pending`.
        retract_after: a condition that is not needed any more, but still true, is removed after so long; pods that are
            replaced, and processes that are, come back sooner.
        repeat_longest: what another writer undoes is written again after a delay that doubles up to this.
        missing_retry: an object that the API server does not know is tried once more so much later; a server that
            starts answers 404 for a moment.
        retry_first: ceiling of the delay after a first failure.
        retry_longest: the highest that ceiling becomes.
    """

    spacing: float = 1.0
    count_spacing: float = 10.0
    unavailable_after: float = 10.0
    pending_after: float = 2.0
    retract_after: float = 60.0
    repeat_longest: float = 300.0
    missing_retry: float = 10.0
    retry_first: float = 1.0
    retry_longest: float = 120.0


@dataclass(slots=True)
class _Written:
    patch: StatusPatch
    at: float
    repeats: int


@dataclass(slots=True)
class _Entry:
    outcome: PolicyOutcome | None = None
    observed: ObservedStatus | None = None
    unavailable_since: float = 0.0
    unneeded_since: float | None = None
    generation_since: float = 0.0
    missing: bool = False
    not_before: float = 0.0
    written: dict[str, _Written] = field(default_factory=dict)  # by field manager
    reported: set[str] = field(default_factory=set)  # types of the conditions that were about the present generation

    @property
    def uid(self) -> str:
        """The object's uid; empty if it is not known."""
        observed = self.observed.uid if self.observed is not None else ""
        return observed or (self.outcome.uid if self.outcome is not None else "")


class StatusPlan:
    """Decide the next patch of each object. Not thread-safe.

    A zone writes its condition and counts on an object if it has source pods for it. Beside that, the aggregator's zone
    writes them on every object, so that each object has one; zones that have nothing to do with it do not fill it with
    their own. The condition `Ready`, the summary and the counts over all zones are computed by the aggregator alone, of
    the zones' conditions that it sees: one field manager writes them, so that no two processes differ.
    """

    def __init__(
        self, zone: str, queue: DelayingQueue, timing: StatusTiming | None = None, *, shared: bool = False
    ) -> None:
        """Start without objects.

        Args:
            zone: the name of the zone that outcomes are about.
            queue: gets the keys of the objects to look at.
            timing: when to write.
            shared: whether several processes serve the zone, of which the elected one writes all there is to write.
        """
        self._zone = zone
        self._shared = shared
        self._type = condition_type(zone)
        self._timing = timing if timing is not None else StatusTiming()
        self._entries: dict[str, _Entry] = {}
        self._queue = queue
        self._aggregating = False
        self._current_types: frozenset[str] | None = None
        self._types: dict[str, str] = {}  # of each node, the type of its zone's condition
        self._withdrawing = False
        self._has_counts = True

    def uid(self, key: str) -> str:
        """Return the uid of an object; empty if it is not known."""
        entry = self._entries.get(key)
        return entry.uid if entry is not None else ""

    def set_outcomes(self, outcomes: Iterable[PolicyOutcome], now: float) -> None:
        """Take what objects should say."""
        for outcome in outcomes:
            entry = self._entries.setdefault(outcome.key, _Entry())
            before = entry.outcome
            unavailable = Reason.NORTHBOUND_UNAVAILABLE
            if outcome.reason is unavailable and (before is None or before.reason is not unavailable):
                entry.unavailable_since = now
            entry.outcome = outcome
            self._update_need(entry, now)
            self._queue.add(outcome.key, now)

    def observe(self, observed: ObservedStatus, now: float) -> None:
        """Take what the API server holds; an earlier version than the one that is known is ignored."""
        entry = self._entries.setdefault(observed.key, _Entry())
        known = entry.observed
        if known is not None and observed.is_older_than(known):
            return
        if known is not None and known.uid != observed.uid:
            entry = self._entries[observed.key] = _Entry(
                outcome=entry.outcome, unavailable_since=entry.unavailable_since
            )
            self._update_need(entry, now)
            known = None
        if known is None or known.generation != observed.generation:
            entry.generation_since = now
            entry.reported = set()
        found = observed.conditions.items()
        entry.reported.update(kind for kind, one in found if one.observed_generation == observed.generation)
        entry.observed = observed
        entry.missing = False
        self._queue.add(observed.key, now)

    def delete(self, keys: Iterable[str], now: float) -> None:
        """Remove objects."""
        for key in keys:
            if self._entries.pop(key, None) is not None:
                self._queue.add(key, now)  # there is nothing to wait for any more

    def aggregate(self, aggregating: bool, now: float) -> None:
        """Set whether the summary is this process' to write."""
        if aggregating != self._aggregating:
            self._aggregating = aggregating
            for entry in self._entries.values():
                self._update_need(entry, now)
            self._add_all(now)

    def set_zones(self, zones: Mapping[str, str] | None, now: float) -> None:
        """Set the zone of each node: the aggregator removes the conditions of others. None: it is not known."""
        types = {node: condition_type(zone) for node, zone in (zones or {}).items()}
        current = None if zones is None else frozenset((*types.values(), self._type))
        if (types, current) != (self._types, self._current_types):
            self._types = types
            self._current_types = current
            self._add_all(now)

    def drop_counts(self, now: float) -> None:
        """Write no counts from now on: the custom resource has no fields for them."""
        self._has_counts = False
        self._add_all(now)

    def withdraw(self, now: float) -> None:
        """Have this zone's conditions removed: nothing is in force in it any more, and this process ends."""
        self._withdrawing = True
        self._add_all(now)

    def prepare(self, key: str, now: float, time: datetime) -> StatusPatch | float | None:
        """Return the next patch of an object, or from when on there is one; None: not before something changes.

        The object is to be looked at again after `written` or `missing`. `time` is now, in UTC.
        """
        entry = self._entries.get(key)
        if entry is None:
            return None
        later: list[float] = []
        for patch, since in self._patches(key, entry, time):
            at = max(since, entry.not_before, 0.0 if self._withdrawing else self._spaced(entry, patch))
            if at <= now:
                return patch
            later.append(at)
        return min(later, default=None)

    def written(self, patch: StatusPatch, answer: ObservedStatus | None, now: float) -> None:
        """Take note that a patch was carried out; the answer is the object after it."""
        entry = self._entry_of(patch)
        if entry is None:
            return
        before = entry.written.get(patch.manager)
        repeats = 0
        if before is not None and before.patch.repeats(patch) and now - before.at < _REPEATS_FORGOTTEN:
            repeats = min(before.repeats + 1, _REPEATS_MAXIMUM)
        entry.written[patch.manager] = _Written(patch=patch, at=now, repeats=repeats)
        entry.not_before = 0.0
        if answer is not None and (answer.key, answer.uid) == (patch.key, entry.uid or answer.uid):
            self.observe(answer, now)
        self._queue.add(patch.key, now)

    def missing(self, patch: StatusPatch, now: float) -> None:
        """Take note that the API server does not know the object: it is tried once more, and then removed."""
        key, entry = patch.key, self._entry_of(patch)
        if entry is not None and entry.missing:
            self.delete([key], now)
        elif entry is not None:
            entry.missing = True
            entry.not_before = now + self._timing.missing_retry
            self._queue.add(key, entry.not_before)

    def _entry_of(self, patch: StatusPatch) -> _Entry | None:
        """What is known of a patch's object; None where another has its name by now."""
        entry = self._entries.get(patch.key)
        return entry if entry is not None and entry.uid in ("", patch.uid) else None

    def _update_need(self, entry: _Entry, now: float) -> None:
        if entry.outcome is None or entry.outcome.sources or self._aggregating:
            entry.unneeded_since = None
        elif entry.unneeded_since is None:
            entry.unneeded_since = now

    def _add_all(self, now: float) -> None:
        for key in self._entries:
            self._queue.add(key, now)

    def _spaced(self, entry: _Entry, patch: StatusPatch) -> float:
        before = entry.written.get(patch.manager)
        if before is None:
            return 0.0
        if before.patch.repeats(patch) and (patch.position is None or before.patch.position is not None):
            return before.at + min(self._timing.spacing * float(2**before.repeats), self._timing.repeat_longest)
        return before.at + self._timing.spacing

    def _since_written(self, entry: _Entry, patch: StatusPatch, seconds: float) -> float:
        before = entry.written.get(patch.manager)
        return before.at + seconds if before is not None else 0.0

    def _patches(self, key: str, entry: _Entry, time: datetime) -> Iterator[tuple[StatusPatch, float]]:
        """What is to be written on an object, in that order, and from when on."""
        if self._shared and not self._aggregating:
            return
        outcome, observed = entry.outcome, entry.observed
        if self._withdrawing:
            yield from self._withdrawal(observed, time) if observed is not None else ()
            return
        if outcome is None or (observed is not None and outcome.uid and outcome.uid != observed.uid):
            return  # nothing is known, or of an object that had the same name
        yield from self._condition(key, entry, outcome, time)
        if self._aggregating and observed is not None:
            yield from self._summary(observed, entry, time)

    def _condition(
        self, key: str, entry: _Entry, outcome: PolicyOutcome, time: datetime
    ) -> Iterator[tuple[StatusPatch, float]]:
        observed = entry.observed
        own = observed.conditions.get(self._type) if observed is not None else None
        condition = condition_of(outcome, self._zone, previous=own, now=time)
        known_generation = observed.generation if observed is not None else 0  # beyond it, it is no one's knowledge
        if own is not None and outcome.generation < own.observed_generation <= known_generation:
            return  # another process of this zone knows more
        if entry.unneeded_since is None:
            counts = outcome.counts if self._has_counts else None
            patch = StatusPatch(
                key=key,
                uid=entry.uid,
                manager=field_manager(self._type),
                type=self._type,
                condition=condition,
                counts=counts,
                previous=own,
                outcome=outcome,
            )
            if condition != own:
                unavailable = outcome.reason is Reason.NORTHBOUND_UNAVAILABLE
                yield patch, entry.unavailable_since + self._timing.unavailable_after if unavailable else 0.0
            elif counts is not None and observed is not None and counts != observed.zone_counts.get(self._type):
                yield patch, self._since_written(entry, patch, self._timing.count_spacing)
        elif own is not None and observed is not None:
            still_true = condition == own
            yield (
                retraction(observed, self._type),
                entry.unneeded_since + self._timing.retract_after if still_true else 0.0,
            )

    def _summary(self, observed: ObservedStatus, entry: _Entry, time: datetime) -> Iterator[tuple[StatusPatch, float]]:
        counted = {}
        for kind, condition in observed.conditions.items():
            if self._current_types is None or kind in self._current_types:
                counted[kind] = condition
            else:
                yield self._retraction(entry, observed, kind), 0.0
        if counted and entry.outcome is not None:
            for kind in self._unreported(entry, entry.outcome) - counted.keys():
                counted[kind] = Condition(type=kind, status=ConditionStatus.UNKNOWN, reason=PENDING)
        patch = self._summary_patch(observed, counted, time, entry.outcome)
        if patch is None:
            return
        if not patch.is_summary_of(observed):
            pending = patch.condition is not None and patch.condition.reason == PENDING
            yield patch, entry.generation_since + self._timing.pending_after if pending else 0.0
        elif patch.counts is not None and patch.counts != observed.counts:
            yield patch, self._since_written(entry, patch, self._timing.count_spacing)

    def _retraction(self, entry: _Entry, observed: ObservedStatus, kind: str) -> StatusPatch:
        """The patch that removes a zone's condition: by its position, where our field manager has not it."""
        patch = retraction(observed, kind)
        before = entry.written.get(patch.manager)
        is_foreign = before is not None and before.patch.condition is None
        return retraction(observed, kind, is_foreign=True) if is_foreign else patch

    def _unreported(self, entry: _Entry, outcome: PolicyOutcome) -> set[str]:
        """The types of the conditions of zones that have source pods, and have not reported on this generation.

        One that has reported is not waited for again: it takes its condition away when its pods are gone.
        """
        return {kind for node in outcome.nodes if (kind := self._types.get(node)) is not None} - entry.reported

    def _summary_patch(
        self,
        observed: ObservedStatus,
        counted: Mapping[str, Condition],
        time: datetime,
        outcome: PolicyOutcome | None = None,
    ) -> StatusPatch | None:
        """What the aggregator says of these conditions of zones, and the last valid version; None if there is none."""
        summary = summarise(counted.values(), observed.generation, previous=observed.ready, now=time)
        if summary is None:
            return None
        text, ready = summary
        counts = [found for kind in counted if (found := observed.zone_counts.get(kind)) is not None]
        return StatusPatch(
            key=observed.key,
            uid=observed.uid,
            manager=SUMMARY_MANAGER,
            type=READY,
            condition=ready,
            summary=text,
            counts=PolicyCounts.total(counts) if self._has_counts else None,
            last_valid=outcome.last_valid if outcome is not None and self._has_counts else "",
        )

    def _withdrawal(self, observed: ObservedStatus, time: datetime) -> Iterator[tuple[StatusPatch, float]]:
        """Remove this zone's condition, and make the summary say what holds without it."""
        if self._type in observed.conditions:
            yield retraction(observed, self._type), 0.0
        if not self._aggregating:
            return
        others = {kind: condition for kind, condition in observed.conditions.items() if kind != self._type}
        patch = self._summary_patch(observed, others, time)
        if patch is None:
            if observed.summary or observed.ready is not None:
                yield retraction(observed, READY), 0.0
        elif not patch.is_summary_of(observed):
            yield patch, 0.0
