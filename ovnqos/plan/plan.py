"""The plan: a value that says what would change, refuses what is unsafe, and prints itself."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ovnqos.errors import InvalidRow, UnsafePlan
from ovnqos.plan import render_diff, render_json, render_nbctl, render_operations
from ovnqos.plan.batches import TRANSACTION_WEIGHT, batches
from ovnqos.plan.changes import Change, RowDelete, RowInsert, RowUpdate, SetDelete, SetInsert, SetUpdate
from ovnqos.plan.ovsdbapp_command import PlanCommand

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovnqos.plan.changes import MissingReference
    from ovnqos.plan.render_operations import Operation
    from ovnqos.plan.snapshot import Snapshot

_COUNT = re.compile(r"[0-9]{1,9}\Z")
_SHARE = re.compile(r"(?:0?\.[0-9]{1,6}|1\.0{1,6}|0\.[0-9]{1,6})\Z")
_ROUNDING = 1e-6  # 0.29 * 100 is 28.999999999999996
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?)%\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteLimit:
    """At most `count` rows, or at most a `share` (0.0 to 1.0) of the owner's rows, may go. Exactly one is set.

    With a share, `at_least` rows may go in any case.
    """

    count: int | None = None
    share: float | None = None
    at_least: int = 0

    @classmethod
    def parse(cls, text: str) -> DeleteLimit:
        """Read `10` (rows), `30%` or `0.3` (share). Raises InvalidRow for anything else."""
        if _COUNT.match(text):
            return cls(count=int(text))
        percent = _PERCENT.match(text)
        share = float(percent[1]) / 100 if percent else float(text) if _SHARE.match(text) else None
        if share is None or share > 1:
            raise InvalidRow(f"delete limit {text!r}: use a number of rows such as 10, or a share such as 30% or 0.3")
        return cls(share=share)

    @classmethod
    def of(cls, limit: int | float | DeleteLimit) -> DeleteLimit:
        """A count from an int, a share from a float. Raises InvalidRow for a negative one, or a share above 1."""
        if isinstance(limit, DeleteLimit):
            return limit
        if not limit >= 0 or (isinstance(limit, float) and limit > 1):  # not a number is not >= 0 either
            raise InvalidRow(f"delete limit {limit}: use a count of 0 or more, or a share from 0.0 to 1.0")
        return cls(count=limit) if isinstance(limit, int) else cls(share=limit)

    def allows(self, deleted: int, total: int) -> bool:
        """Whether `deleted` of `total` rows may go."""
        if self.count is not None:
            return deleted <= self.count
        return deleted <= max(self.at_least, (self.share or 0.0) * total + _ROUNDING)

    def __str__(self) -> str:
        return str(self.count) if self.count is not None else f"{(self.share or 0.0) * 100:g} %"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The changes from a snapshot to what is desired, in the order in which they are applied.

    Attributes:
        snapshot: what the changes start from.
        changes: sets to create or change, rows, sets to delete.
        missing: switches and ports that the Northbound does not have; what needs them was left out.
        desired_rows: how many rows are desired in all.
    """

    snapshot: Snapshot
    changes: tuple[Change, ...]
    missing: tuple[MissingReference, ...] = ()
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
        return tuple(replace(self, changes=part, missing=()) for part in parts)

    def check(self, max_deletes: int | float | DeleteLimit) -> None:
        """Raise UnsafePlan when more rows would go than a count (int), or a share of the actual rows (float)."""
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
        return render_diff.render(self.changes, self.snapshot)

    def as_nbctl(self) -> str:
        """A shell script of ovn-nbctl commands that leaves the database as applying the plan does."""
        return render_nbctl.render(self.changes, self.snapshot, self.summary())

    def as_json(self) -> str:
        """The plan as JSON, one change an object; the schema is in docs/commands.md."""
        return render_json.render(self.changes, self.snapshot.owner, self.missing)

    def operations(self, transaction_weight: int = TRANSACTION_WEIGHT) -> Iterator[list[Operation]]:
        """OVSDB operations (RFC 7047, section 5.2), a list for each transaction; see `ovnqos.plan.batches`.

        They fail as a whole where the database is not as it was planned for. Sent as they are they leave out the
        owner's lock, which `Northbound.apply` asserts.
        """
        for batch in batches(self.changes, self.snapshot.owner, transaction_weight):
            yield render_operations.render(batch, self.snapshot)

    def commands(self, api: Any) -> list[PlanCommand]:
        """Commands for the transaction of a caller that has a connection of its own.

            with api.transaction(check_error=True) as transaction:
                transaction.extend(plan.commands(api))

        All changes are part of that one transaction. It fails as a whole where the database is not as it was planned
        for. The owner's lock is not taken: the caller sees to it that there is one writer.

        Args:
            api: a Northbound API of `ovsdbapp`, such as `OvnNbApiIdlImpl`, with all tables that `Snapshot.of` reads.

        Raises:
            InvalidRow: a value does not fit the schema of the API's server.
        """
        return [PlanCommand(api, self.changes, self.snapshot)] if self.changes else []
