"""The plan: a value that says what would change, refuses what is unsafe, and prints itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ovnqos.errors import UnsafePlan
from ovnqos.plan import render_diff, render_json, render_nbctl
from ovnqos.plan.batches import batches
from ovnqos.plan.changes import Change, RowDelete, RowInsert, RowUpdate, SetDelete, SetInsert, SetUpdate
from ovnqos.plan.safety import DeleteLimit

if TYPE_CHECKING:
    from ovnqos.plan.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Something that is wanted but not in the Northbound yet; a later plan picks it up."""

    kind: str
    name: str
    wanted_by: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name} is not in the Northbound (wanted by {self.wanted_by})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The changes from a snapshot to what is desired, in the order in which they are applied.

    Attributes:
        snapshot: what the changes start from.
        changes: sets to create or change, rows, sets to delete.
        waiting: what was left out because a switch or port is missing.
        desired_rows: how many rows are wanted in all.
    """

    snapshot: Snapshot
    changes: tuple[Change, ...]
    waiting: tuple[Waiting, ...] = ()
    desired_rows: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing would change."""
        return not self.changes

    def count(self, *kinds: type[Change]) -> int:
        """How many changes are of these classes."""
        return sum(isinstance(change, kinds) for change in self.changes)

    def by_object(self) -> tuple[Plan, ...]:
        """The plan cut into one for each object, with the sets it needs, so that one that fails stops no other."""
        parts = batches(self.changes, self.snapshot.owner, 0)
        return tuple(replace(self, changes=part, waiting=()) for part in parts)

    def check(self, max_deletes: int | float | DeleteLimit) -> None:
        """Raise UnsafePlan when more rows would go than a count (int), or a share of the present rows (float)."""
        limit = DeleteLimit.of(max_deletes)
        deleted, total = self.count(RowDelete), len(self.snapshot.rows)
        if not limit.allows(deleted, total):
            raise UnsafePlan(
                f"{deleted} of {total} rows would be deleted, more than the limit of {limit}; nothing was written "
                "(if that is right, raise the limit)"
            )

    def summary(self) -> str:
        """One line: how many rows and sets are new, changed and deleted."""
        counted = (
            ("rows", (RowInsert, RowUpdate, RowDelete)),
            ("sets", (SetInsert, SetUpdate, SetDelete)),
        )
        parts = []
        for noun, kinds in counted:
            numbers = zip(map(self.count, kinds), ("new", "changed", "deleted"), strict=True)
            words = [f"{number} {word}" for number, word in numbers if number]
            if words:
                parts.append(f"{noun}: {', '.join(words)}")
        return "; ".join(parts) or "no changes"

    def as_diff(self) -> str:
        """A unified diff, switch by switch, whose lines are those of `ovn-nbctl qos-list`; empty for no changes."""
        return render_diff.render(self)

    def as_nbctl(self) -> str:
        """A shell script of ovn-nbctl commands that leaves the database as applying the plan does."""
        return render_nbctl.render(self)

    def as_json(self) -> str:
        """The plan as JSON, one change an object; the schema is in docs/commands.md."""
        return render_json.render(self)
