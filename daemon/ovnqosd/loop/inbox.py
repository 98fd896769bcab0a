"""The inbox of the reconcile loop: changes from any thread, taken all at once."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ovnqos.controller import DatabaseChange

if TYPE_CHECKING:
    from ovnqos import DatabaseUnavailable
    from ovnqos.kubernetes import Changes, Clock


@dataclass(slots=True)
class Work:
    """What changed since the last time.

    Attributes:
        changes: of Kubernetes objects, in the order they came.
        database: what changed in the Northbound.
        outage: why the Northbound is lost, if that was noticed.
        full_pass: whether everything is to be compared.
        since: when the oldest of it came, on the monotonic clock; None when nothing came.
        synced: the kinds of which all objects have been delivered: in these changes, or before. What comes later is in
            neither, so that a pass never takes a kind for complete whose objects it does not have.
    """

    changes: list[Changes] = field(default_factory=list)
    database: DatabaseChange = field(default_factory=DatabaseChange)
    outage: DatabaseUnavailable | None = None
    full_pass: bool = False
    since: float | None = None
    synced: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.changes or self.database or self.outage or self.full_pass)


class Inbox:
    """Gather changes of Kubernetes objects and of the Northbound. What comes while a pass runs is taken together."""

    def __init__(self, clock: Clock) -> None:
        """Start empty."""
        self._clock = clock
        self._condition = threading.Condition()
        self._work = Work()
        self._synced: set[str] = set()
        self._stopping = False

    def changed(self, changes: Changes) -> None:
        """Add changes of Kubernetes objects."""
        with self._condition:
            self._work.changes.append(changes)
            self._arrived()

    def synced(self, kind: str) -> None:
        """Take note that all objects of a kind have been delivered."""
        with self._condition:
            self._synced.add(kind)
            self._work.full_pass = True
            self._arrived()

    def database_changed(self, change: DatabaseChange) -> None:
        """Add a change in the Northbound."""
        with self._condition:
            self._work.database.merge(change)
            self._arrived()

    def northbound_lost(self, outage: DatabaseUnavailable) -> None:
        """Add that the Northbound is lost, and why."""
        with self._condition:
            self._work.outage = outage
            self._arrived()

    def ask_for_full_pass(self) -> None:
        """Have everything compared."""
        with self._condition:
            self._work.full_pass = True
            self._arrived()

    def stop(self) -> None:
        """Wake the loop for the last time."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        with self._condition:
            return self._stopping

    @property
    def depth(self) -> int:
        """How many changes wait."""
        with self._condition:
            database = self._work.database
            return len(self._work.changes) + len(database.rows) + len(database.sets)

    @property
    def age(self) -> float:
        """For how many seconds the oldest of them has waited; 0 when none does."""
        with self._condition:
            return 0.0 if self._work.since is None else self._clock.monotonic() - self._work.since

    def take(self, timeout: float | None) -> Work:
        """Wait until there is work, `stop` is called or so many seconds are over; returns all there is."""
        with self._condition:
            self._condition.wait_for(lambda: bool(self._work) or self._stopping, timeout)
            work, self._work = self._work, Work()
            work.synced = frozenset(self._synced)
            return work

    def _arrived(self) -> None:
        if self._work.since is None:
            self._work.since = self._clock.monotonic()
        self._condition.notify_all()
