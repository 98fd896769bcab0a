"""The plan: a value that says what would change, refuses what is unsafe, and prints itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ovnqos.diagnostics import listed
from ovnqos.errors import UnsafePlan
from ovnqos.plan import render_diff, render_json, render_nbctl, render_operations
from ovnqos.plan.batches import TRANSACTION_WEIGHT, batches
from ovnqos.plan.changes import Change, RowDelete, RowInsert, RowUpdate, SetDelete, SetInsert, SetUpdate
from ovnqos.plan.ended_limits import DeleteLimit, count_limits, ended_limits
from ovnqos.plan.ovsdbapp_command import PlanCommand

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ovnqos.diagnostics import Diagnostic
    from ovnqos.plan.changes import MissingReference
    from ovnqos.plan.render_operations import Operation
    from ovnqos.plan.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The changes from a snapshot to what is desired, in the order in which they are applied.

    Attributes:
        snapshot: what the changes start from.
        changes: sets to create or change, rows, sets to delete.
        missing: switches and ports that the Northbound does not have; what needs them was left out.
        desired_rows: how many rows are desired in all.
        kept: objects (`<kind>/<namespace>/<name>`) that are not in the input and whose rows stay; see `plan_changes`.
        incomplete: what is missing from the input, as errors. What depends on it is left as it is.
    """

    snapshot: Snapshot
    changes: tuple[Change, ...]
    missing: tuple[MissingReference, ...] = ()
    desired_rows: int = 0
    kept: tuple[str, ...] = ()
    incomplete: tuple[Diagnostic, ...] = ()

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

    @property
    def ended(self) -> Mapping[str, int]:
        """How many limits and marks of pods end, by object (`<kind>/<namespace>/<name>`)."""
        return ended_limits(self.changes, self.snapshot)

    def check(self, max_deletes: int | float | DeleteLimit) -> None:
        """Raise UnsafePlan when more limits of pods would end than a count (int), or a share of all (float)."""
        limit = DeleteLimit.of(max_deletes)
        ended = sum(self.ended.values())
        if ended and not limit.allows(ended, total := count_limits(self.snapshot)):
            raise UnsafePlan(
                f"{ended} of {total} limits and marks of pods would end, more than the limit of {limit}; "
                f"nothing was written: {listed(self.ended)}; if that is right, raise --max-deletes"
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
