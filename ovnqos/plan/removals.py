"""What a plan removes although nothing says that it is gone: kept back where too many limits of pods would end by it.

A list that lacks objects, or a resource that is not served any more, looks like removal. The word of the Kubernetes API
is another thing: an object that was seen to be deleted, or a policy that was changed, is to lose its limits.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ovnqos.compile.precedence import RECEIVERS
from ovnqos.model.owner import BESIDE_KEY, NEIGHBOUR_DISCOVERY, OBJECT_KEY, PORT_KEY, RULE_KEY
from ovnqos.plan.changes import RowDelete, RowInsert, RowUpdate, SetDelete, SetInsert, SetUpdate
from ovnqos.plan.snapshot import SetKind, references_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from ovnqos.compile.rows import DesiredState
    from ovnqos.plan.changes import Change
    from ovnqos.plan.plan import Plan
    from ovnqos.plan.snapshot import RowContent


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRemovals:
    """What is to be removed, since it is known why.

    Attributes:
        objects: pods and policies that were deleted, and policies that were changed, as `<kind>/<namespace>/<name>`.
        ports: logical switch ports of pods that were deleted, or ended.
        addresses: their IP addresses.
        rows: identities of rows that another writer changed.
        members: by set, the members that another writer added; None: any.
    """

    objects: AbstractSet[str] = frozenset()
    ports: AbstractSet[str] = frozenset()
    addresses: AbstractSet[str] = frozenset()
    rows: AbstractSet[str] = frozenset()
    members: Mapping[str, AbstractSet[str] | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Removals:
    """The removals of a plan that nothing explains.

    Attributes:
        plan: the whole plan.
        rest: the plan without them.
        rows: identities of rows that it would remove, or keep from matching what they match.
        members: by set, the members that would leave it.
        sources: how many existing ports the rows hold for; None where the plan does not show it.
    """

    plan: Plan
    rest: Plan
    rows: frozenset[str]
    members: Mapping[tuple[SetKind, str], frozenset[str]]
    sources: int | None

    def __bool__(self) -> bool:
        return bool(self.rows or self.members)

    @property
    def keys(self) -> frozenset[tuple[str, str]]:
        """Each row and member, to tell it again in a later plan."""
        rows = ((identity, "") for identity in self.rows)
        return frozenset([*rows, *((name, one) for (_kind, name), found in self.members.items() for one in found)])

    @property
    def ended(self) -> Mapping[str, int]:
        """How many limits and marks of pods end by them, by object (`<kind>/<namespace>/<name>`)."""
        found = Counter(self.plan.ended)
        found.subtract(self.rest.ended)
        return {name: number for name, number in sorted(found.items()) if number > 0}


def count_desired_limits(desired: DesiredState) -> int:
    """How many limits and marks of pods the desired rows hold."""
    groups = desired.port_groups
    return sum(
        1
        if PORT_KEY in row.external_ids
        else sum(len(groups[name].ports) for name in references_in(str(row.match)) if name in groups)
        for row in desired.rows.values()
        if BESIDE_KEY not in row.external_ids
    )


def find_removals(plan: Plan, known: KnownRemovals, *, is_part: bool = False) -> Removals:
    """Find what of a plan removes limits of pods without a known reason.

    Where all ports of a row are gone, or another row takes its place, nothing ends. The evidence for an address that
    leaves a set is `Snapshot.addresses`; where that was not read, as many as come in its place.

    Args:
        plan: from desired and actual state.
        known: what is to be removed.
        is_part: whether the plan is for a part of the database, so that a port it does not show may exist.
    """
    found = _Found(plan, known, is_part=is_part)
    rows = [one for change in plan.changes if (one := found.row(change)) is not None]
    rows = [one for one in rows if not (isinstance(one, RowDelete) and found.protects_kept(one))]
    sets = [one for change in plan.changes if (one := found.set(change)) is not None]
    first = [one for one in sets if not isinstance(one, SetDelete)]
    last = [one for one in sets if isinstance(one, SetDelete)]
    rest = replace(plan, changes=(*first, *rows, *last)) if found.any_kept else plan
    return Removals(plan=plan, rest=rest, rows=frozenset(found.rows), members=found.members, sources=found.sources)


class _Found:
    """Goes through a plan's changes, the rows first."""

    def __init__(self, plan: Plan, known: KnownRemovals, *, is_part: bool) -> None:
        self.rows: set[str] = set()
        self.members: dict[tuple[SetKind, str], frozenset[str]] = {}
        self.sources: int | None = 0
        self.any_kept = False
        self._snapshot = plan.snapshot
        self._known = known
        self._is_part = is_part
        self._deleted_sets = {change.content.name for change in plan.changes if isinstance(change, SetDelete)}
        self._kept_references: set[str] = set()
        self._kept_switches: set[str] = set()
        self._replacing: dict[tuple[str, str], set[str]] = {}  # references of new and changed rows, by rule
        self._binding: dict[tuple[str, str], set[str]] = {}  # switches that they come to, likewise
        self._staying: Counter[str] = Counter()  # rows of each identity
        self._changed_rows = {change.identity for change in plan.changes if isinstance(change, RowDelete | RowUpdate)}
        if any(isinstance(change, RowDelete) for change in plan.changes):
            self._staying.update(self._identity(row.content) for row in self._snapshot.rows)
        for change in plan.changes:
            if isinstance(change, RowDelete):
                self._staying[change.identity] -= 1
            elif isinstance(change, RowInsert):
                self._come(change.content, change.switches)
            elif isinstance(change, RowUpdate):
                self._come(change.after, change.bind)

    def _come(self, content: RowContent, switches: Iterable[str]) -> None:
        rule = self._rule(content)
        self._replacing.setdefault(rule, set()).update(references_in(content.match))
        self._binding.setdefault(rule, set()).update(switches)

    def row(self, change: Change) -> Change | None:
        """A change of a row without what it removes; None for a change of a set, or if nothing is left."""
        if isinstance(change, RowDelete):
            if self._may_go(change):
                return change
            self._keep(change.identity, change.content, change.switches)
            return None
        if isinstance(change, RowUpdate):
            if self._is_known(change.identity, change.before) or self._is_beside_one_that_stays(change.before):
                return change
            if not references_in(change.before.match) <= references_in(change.after.match):
                self.sources = None
                self._keep(change.identity, change.before, change.switches)
                return None
            unbind = tuple(one for one in change.unbind if one in self._binding[self._rule(change.after)])
            if unbind == change.unbind:
                return change
            self.any_kept = True  # the pods on the other switches may be missing only
            self._kept_switches.update(change.unbind)
            left = replace(change, unbind=unbind)
            return left if left.columns or left.bind or unbind else None
        return change if isinstance(change, RowInsert) else None

    def protects_kept(self, change: RowDelete) -> bool:
        """Whether a row keeps neighbour discovery from limits that stay; a part does not show all of these."""
        if change.content.external_ids.get(RULE_KEY) != NEIGHBOUR_DISCOVERY:
            return False
        is_kept = self._is_part or not self._kept_switches.isdisjoint(change.switches)
        self.any_kept |= is_kept
        return is_kept

    def set(self, change: Change) -> Change | None:
        """Likewise of a set."""
        if isinstance(change, SetInsert):
            return change
        if isinstance(change, SetDelete):
            self.any_kept |= change.content.name in self._kept_references
            return None if change.content.name in self._kept_references else change
        if not isinstance(change, SetUpdate):
            return None
        kept = self._kept_members(change)
        if not kept:
            return change
        self.any_kept = True
        self.members[change.content.kind, change.content.name] = kept
        content = replace(change.content, members=change.content.members | kept)
        remove = tuple(one for one in change.remove if one not in kept)
        left = replace(change, content=content, remove=remove)
        return left if left.add or left.remove or left.relabels else None

    def _kept_members(self, change: SetUpdate) -> frozenset[str]:
        known, content = self._known, change.content
        edited = known.members.get(content.name, frozenset())
        identity = self._snapshot.owner.identity(content.external_ids)
        if not change.remove or edited is None or OBJECT_KEY in content.external_ids or identity.startswith(RECEIVERS):
            return frozenset()  # CIDRs are the policy's own to say; what goes to other receivers another row takes
        if content.kind is SetKind.PORT_GROUP:
            return frozenset(change.remove) - known.ports - edited
        addresses = self._snapshot.addresses
        if addresses is None and len(change.add) >= len(change.remove):
            return frozenset()
        left = frozenset(change.remove) - known.addresses - edited
        return left if addresses is None else left & addresses.keys()

    def _may_go(self, change: RowDelete) -> bool:
        content = change.content
        if self._is_known(change.identity, content) or self._staying[change.identity] > 0:
            return True
        if self._is_beside_one_that_stays(content):
            return True
        port = content.external_ids.get(PORT_KEY)
        if port is not None:
            is_gone = port in self._known.ports or not (self._is_part or port in self._snapshot.ports)
            self._count(0 if is_gone else 1)
            return is_gone
        references = references_in(content.match)
        if references <= self._replacing.get(self._rule(content), set()):
            return True
        groups = {
            name: group.content.members
            for name in references
            if (group := self._snapshot.sets.get((SetKind.PORT_GROUP, name))) is not None
        }
        if not groups or (self._is_part and not groups.keys() <= self._deleted_sets):
            self.sources = None  # of a group that stays, a part shows some members
            return False
        left = frozenset().union(*groups.values()) - self._known.ports
        self._count(len(left))
        return not left

    def _is_beside_one_that_stays(self, content: RowContent) -> bool:
        beside = content.external_ids.get(BESIDE_KEY)
        return beside is not None and beside not in self._changed_rows

    def _count(self, sources: int) -> None:
        if self.sources is not None:
            self.sources += sources

    def _keep(self, identity: str, content: RowContent, switches: Iterable[str]) -> None:
        self._kept_switches.update(switches)
        self.any_kept = True
        self.rows.add(identity)
        self._kept_references |= references_in(content.match)

    def _is_known(self, identity: str, content: RowContent) -> bool:
        of_object = self._snapshot.owner.object_of(content.external_ids)
        return not of_object or of_object in self._known.objects or identity in self._known.rows

    def _identity(self, content: RowContent) -> str:
        return self._snapshot.owner.identity(content.external_ids)

    def _rule(self, content: RowContent) -> tuple[str, str]:
        external_ids = content.external_ids
        return self._snapshot.owner.object_of(external_ids), external_ids.get(RULE_KEY) or self._identity(content)
