"""Compare desired with actual rows and sets: a plan says what would change, refuses what is unsafe, prints itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ovnqos.compile.rows import object_of
from ovnqos.diagnostics import listed
from ovnqos.errors import NameTaken, UnsafePlan
from ovnqos.model.owner import JOINED_KEY, NEIGHBOUR_DISCOVERY, PORT_KEY, RULE_KEY
from ovnqos.plan import by_object, render_operations, renderings
from ovnqos.plan.changes import (
    PORT,
    SWITCH,
    TRANSACTION_WEIGHT,
    Change,
    MissingReference,
    RowDelete,
    RowInsert,
    RowUpdate,
    SetDelete,
    SetInsert,
    SetUpdate,
    batches,
    missing_members,
)
from ovnqos.plan.ended_limits import EndedLimitsMaximum, ScopeComparison, count_limits, ended_limits
from ovnqos.plan.foreign import carry_marks, claimed_rows
from ovnqos.plan.ovsdbapp_command import PlanCommand
from ovnqos.plan.snapshot import RowContent, SetContent, SetKind, references_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ovnqos.compile.rows import DesiredState, InputScope
    from ovnqos.diagnostics import Diagnostic
    from ovnqos.plan.render_operations import Operation
    from ovnqos.plan.snapshot import ActualRow, Snapshot


def plan_changes(desired: DesiredState, snapshot: Snapshot, *, prune: bool = False) -> Plan:
    """Plan the changes that turn the owner's part of the snapshot into what is desired.

    Where the desired state has a scope, absence from it is not removal: rows of other objects stay, and so do members
    whose pod is not in it; see `Plan.kept` and `Plan.incomplete`. Where the scope names a namespace or objects, only
    their rows change, and the sets that these use.

    A row that is as desired is not touched, since rewriting one refills its meter's bucket. Foreign rows are not
    touched either. Switches and ports that the Northbound does not have are left out, and named in `Plan.missing`. The
    order of the changes is the same for the same arguments: sets that rows need come first, sets that no row needs any
    more last.

    A set or group that has a desired name but no owner is taken over: its external_ids were wiped. So is a row, by
    `claimed_rows`.

    Args:
        desired: the desired rows and sets.
        snapshot: the actual ones.
        prune: whether objects that are not in the scope are gone, so that their rows are extra.

    Raises:
        NameTaken: a desired set or group has the name of another owner's.
    """
    comparison = None
    if desired.scope is not None:
        comparison = ScopeComparison(desired.scope, snapshot, prune=prune)
        desired = _limited(desired, desired.scope, snapshot)
    carried = carry_marks(desired, snapshot)
    if carried.rows:
        desired = replace(desired, rows={**desired.rows, **carried.rows})
    if claimed := claimed_rows(desired, snapshot):
        snapshot = snapshot.with_rows(claimed)
    rows, missing, kept_references = _plan_rows(desired, snapshot, comparison, claimed)
    sets, missing_ports = _plan_sets(desired, snapshot, kept_references, comparison)
    first = [change for change in sets if not isinstance(change, SetDelete)]
    last = [change for change in sets if isinstance(change, SetDelete)]
    return Plan(
        snapshot=snapshot,
        changes=(*first, *rows, *last),
        missing=(*missing, *missing_ports),
        desired_rows=len(desired.rows),
        kept=tuple(sorted(comparison.kept)) if comparison is not None else (),
        incomplete=tuple(comparison.diagnostics()) if comparison is not None else (),
        shadowed=carried.diagnostics,
    )


def _limited(desired: DesiredState, scope: InputScope, snapshot: Snapshot) -> DesiredState:
    """What is desired of the objects whose rows may change, and the sets that these rows use.

    A pod's row that is joined, or will be, with the rule of a policy is a row of both.
    """
    if not scope.namespace and scope.only is None:
        return desired
    joined = {
        snapshot.owner.identity(row.content.external_ids): row.content.external_ids.get(JOINED_KEY, "")
        for row in snapshot.rows
    }
    rows = {
        identity: row
        for identity, row in desired.rows.items()
        if scope.may_change(*map(object_of, (identity, row.external_ids.get(JOINED_KEY, ""), joined.get(identity, ""))))
    }
    switches = frozenset().union(*(row.switches for row in rows.values()))
    rows.update(
        (identity, row)
        for identity, row in desired.rows.items()
        if row.external_ids.get(RULE_KEY) == NEIGHBOUR_DISCOVERY and not row.switches.isdisjoint(switches)
    )
    used = frozenset().union(*(references_in(str(row.match)) for row in rows.values()))
    return replace(
        desired,
        rows=rows,
        port_groups={name: one for name, one in desired.port_groups.items() if name in used},
        address_sets={name: one for name, one in desired.address_sets.items() if name in used},
    )


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
        shadowed: what packets lose of foreign rows, by the rows of objects that the plan is for.
    """

    snapshot: Snapshot
    changes: tuple[Change, ...]
    missing: tuple[MissingReference, ...] = ()
    desired_rows: int = 0
    kept: tuple[str, ...] = ()
    incomplete: tuple[Diagnostic, ...] = ()
    shadowed: tuple[Diagnostic, ...] = ()

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

    def changed_objects(self) -> Mapping[str, tuple[str, ...]]:
        """The objects (`<kind>/<namespace>/<name>`) whose rows or their sets change, as `new`, `changed` or `ended`.

        New is one that had no row, ended one of which no row stays. A pod's row that is joined with the rule of a
        policy is a row of both.
        """
        rows = {row.uuid: row.content for row in self.snapshot.rows}
        before = self._objects_of(rows.values())
        touched: set[str] = set()
        sets: set[str] = set()
        for change in self.changes:
            if isinstance(change, RowInsert):
                rows[change.identity] = change.content
                touched |= self._objects_of([change.content])
            elif isinstance(change, RowUpdate):
                rows[change.uuid] = change.after
                touched |= self._objects_of([change.before, change.after])
            elif isinstance(change, RowDelete):
                rows.pop(change.uuid, None)
                touched |= self._objects_of([change.content])
            else:
                sets.add(change.content.name)
        if sets:
            touched |= self._objects_of(one for one in rows.values() if not sets.isdisjoint(references_in(one.match)))
        after = self._objects_of(rows.values())
        parts = {"new": touched - before, "changed": touched & before & after, "ended": touched - after}
        return {word: tuple(sorted(names)) for word, names in parts.items() if names}

    def _objects_of(self, rows: Iterable[RowContent]) -> set[str]:
        found: set[str] = set()
        for one in rows:
            found.add(self.snapshot.owner.object_of(one.external_ids))
            found.add(object_of(one.external_ids.get(JOINED_KEY, "")))
        return found - {""}

    def check(self, max_deletes: int | float | EndedLimitsMaximum) -> None:
        """Raise UnsafePlan when more limits of pods would end than a count (int), or a share of all (float)."""
        limit = EndedLimitsMaximum.of(max_deletes)
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

    def as_text(self, *, lines: bool = True) -> str:
        """The plan by object, to read: a heading each, and with `lines` its rows and members; empty for no changes."""
        return by_object.as_text(self.changes, self.snapshot, self.changed_objects(), lines=lines)

    def as_diff(self) -> str:
        """A unified diff, switch by switch, whose lines are those of `ovn-nbctl qos-list`; empty for no changes."""
        return renderings.as_diff(self.changes, self.snapshot)

    def as_nbctl(self) -> str:
        """A shell script of ovn-nbctl commands that leaves the database as applying the plan does."""
        return renderings.as_nbctl(self.changes, self.snapshot, self.summary())

    def as_json(self) -> str:
        """The plan as JSON, one change an object; the schema is in docs/commands.md."""
        return renderings.as_json(self.changes, self.snapshot.owner, self.missing)

    def operations(self, transaction_weight: int = TRANSACTION_WEIGHT) -> Iterator[list[Operation]]:
        """OVSDB operations (RFC 7047, section 5.2), a list for each transaction; see `batches`.

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


def _plan_rows(
    desired: DesiredState, snapshot: Snapshot, comparison: ScopeComparison | None, claimed: Mapping[str, str]
) -> tuple[list[Change], list[MissingReference], set[str]]:
    owner = snapshot.owner
    actual: dict[str, list[ActualRow]] = {}
    extra: list[ActualRow] = []
    kept_references: set[str] = set()
    kept_switches: set[str] = set()
    for row in snapshot.rows:
        identity = claimed.get(row.uuid) or owner.identity(row.content.external_ids)
        if identity in desired.rows:
            actual.setdefault(identity, []).append(row)
        elif not desired.retained.isdisjoint((identity, owner.object_of(row.content.external_ids))) or (
            comparison and comparison.keeps_row(row)
        ):
            kept_references |= references_in(row.content.match)
            kept_switches |= row.switches
        else:
            extra.append(row)
    changes: list[Change] = []
    missing: list[MissingReference] = []
    for identity in sorted(desired.rows):
        wanted = desired.rows[identity]
        content = RowContent.desired(wanted, owner)
        bindable = wanted.switches & snapshot.switches.keys()
        if len(bindable) < len(wanted.switches) and wanted.external_ids.get(RULE_KEY) != NEIGHBOUR_DISCOVERY:
            missing.extend(MissingReference.of_row(SWITCH, name, wanted) for name in sorted(wanted.switches - bindable))
        port = wanted.external_ids.get(PORT_KEY)
        if port is not None and port not in snapshot.ports:
            missing.append(MissingReference.of_row(PORT, port, wanted))
        candidates = actual.get(identity)
        if candidates:
            kept = _best(candidates, content, bindable)
            extra.extend(one for one in candidates if one is not kept)
            if (
                comparison is not None
                and (kept.content != content or kept.switches != bindable)
                and comparison.keeps_row_as_it_is(kept, match=content.match, unbinds=not kept.switches <= bindable)
            ):
                kept_references |= references_in(kept.content.match)
                kept_switches |= kept.switches
            else:
                changes.extend(_row_update(identity, kept, content, bindable))
        elif bindable:
            changes.append(RowInsert(identity=identity, content=content, switches=tuple(sorted(bindable))))
    if comparison is not None:  # whether a network carries IPv6 may be known of objects that are not in the input
        kept_switches.update(*(row.switches for row in desired.rows.values()))
    # what keeps neighbour discovery from limits stays as long as there may be one
    extra = [one for one in extra if not (_is_neighbours(one) and (one.switches & kept_switches or desired.retained))]
    extra.sort(key=lambda one: (owner.identity(one.content.external_ids), one.uuid))
    changes.extend(_row_delete(owner.identity(row.content.external_ids), row) for row in extra)
    return changes, missing, kept_references


def _is_neighbours(row: ActualRow) -> bool:
    return row.content.external_ids.get(RULE_KEY) == NEIGHBOUR_DISCOVERY


def _best(candidates: list[ActualRow], content: RowContent, bindable: frozenset[str]) -> ActualRow:
    """Of rows with one identity the one to keep: one that is as desired, and where, so that its meter lives on."""
    if len(candidates) == 1:
        return candidates[0]
    return max(
        candidates,
        key=lambda row: (row.content == content, row.switches == bindable, len(row.switches & bindable)),
    )


def _row_update(identity: str, row: ActualRow, content: RowContent, bindable: frozenset[str]) -> Iterator[Change]:
    if not bindable:
        yield _row_delete(identity, row)  # none of its desired switches exists, and the database drops unbound rows
    elif row.content != content or row.switches != bindable:
        yield RowUpdate(
            identity=identity,
            uuid=row.uuid,
            before=row.content,
            after=content,
            switches=row.switches,
            bind=tuple(sorted(bindable - row.switches)),
            unbind=tuple(sorted(row.switches - bindable)),
        )


def _row_delete(identity: str, row: ActualRow) -> RowDelete:
    return RowDelete(identity=identity, uuid=row.uuid, content=row.content, switches=tuple(sorted(row.switches)))


def _plan_sets(
    desired: DesiredState, snapshot: Snapshot, kept_references: set[str], comparison: ScopeComparison | None
) -> tuple[list[Change], list[MissingReference]]:
    changes: list[Change] = []
    absent: dict[str, frozenset[str]] = {}
    for name, address_set in sorted(desired.address_sets.items()):
        members = _members(SetKind.ADDRESS_SET, name, address_set.addresses, snapshot, comparison)
        content = SetContent.desired(address_set, SetKind.ADDRESS_SET, members, snapshot.owner)
        changes.extend(_set_change(content, snapshot))
    for name, group in sorted(desired.port_groups.items()):
        present = group.ports & snapshot.ports.keys()
        if ports := group.ports - present:
            absent[name] = ports
        members = _members(SetKind.PORT_GROUP, name, present, snapshot, comparison)
        content = SetContent.desired(group, SetKind.PORT_GROUP, members, snapshot.owner)
        changes.extend(_set_change(content, snapshot))
    names = {SetKind.ADDRESS_SET: desired.address_sets, SetKind.PORT_GROUP: desired.port_groups}
    unused = ((kind, name) for kind, name in snapshot.sets if name not in names[kind] and name not in kept_references)
    for key in sorted(unused):
        actual = snapshot.sets[key]
        changes.append(SetDelete(uuid=actual.uuid, content=actual.content))
    return changes, missing_members(absent, desired) if absent else []


def _members(
    kind: SetKind, name: str, desired: frozenset[str], snapshot: Snapshot, comparison: ScopeComparison | None
) -> frozenset[str]:
    """The members that a set is to have: the actual ones themselves where they are as desired."""
    actual = snapshot.sets.get((kind, name))
    if actual is not None and actual.content.members == desired:
        return actual.content.members
    return desired if comparison is None else desired | comparison.missing_members(kind, name, desired=desired)


def _set_change(content: SetContent, snapshot: Snapshot) -> Iterator[Change]:
    key = (content.kind, content.name)
    actual = snapshot.sets.get(key)
    if actual is None:
        actual = snapshot.foreign_sets.get(key)
        if actual is not None and not snapshot.owner.is_unclaimed(actual.content.external_ids):
            raise NameTaken(
                f"{content.kind.words} {content.name} belongs to another owner ({actual.uuid}); nothing is planned"
            )
    if actual is None:
        yield SetInsert(content=content)
    elif actual.content != content:
        yield SetUpdate(
            uuid=actual.uuid,
            content=content,
            add=tuple(sorted(content.members - actual.content.members)),
            remove=tuple(sorted(actual.content.members - content.members)),
            external_ids_before=actual.content.external_ids,
        )
