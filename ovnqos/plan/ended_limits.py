"""Which limits and marks of pods end by a plan, and how many may.

One is counted for each pod that a row holds for: a row with a port group of 100 pods is 100. A pod whose logical switch
port is gone loses nothing.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ovnqos.errors import InvalidRow
from ovnqos.model.owner import PORT_KEY, RULE_KEY
from ovnqos.plan.changes import RowDelete, RowInsert, RowUpdate, SetUpdate
from ovnqos.plan.snapshot import SetKind, references_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ovnqos.plan.changes import Change
    from ovnqos.plan.snapshot import RowContent, Snapshot

_COUNT = re.compile(r"[0-9]{1,9}\Z")
_SHARE = re.compile(r"(?:0?\.[0-9]{1,6}|1\.0{1,6}|0\.[0-9]{1,6})\Z")
_ROUNDING = 1e-6  # 0.29 * 100 is 28.999999999999996
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?)%\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteLimit:
    """At most `count` limits of pods, or at most a `share` (0.0 to 1.0) of them, may end. Exactly one is set.

    With a share, `at_least` may end in any case.
    """

    count: int | None = None
    share: float | None = None
    at_least: int = 0

    @classmethod
    def parse(cls, text: str) -> DeleteLimit:
        """Read `10` (limits), `30%` or `0.3` (share). Raises InvalidRow for anything else."""
        if _COUNT.match(text):
            return cls(count=int(text))
        percent = _PERCENT.match(text)
        share = float(percent[1]) / 100 if percent else float(text) if _SHARE.match(text) else None
        if share is None or share > 1:
            raise InvalidRow(f"delete limit {text!r}: use a number of limits such as 10, or a share such as 30% or 0.3")
        return cls(share=share)

    @classmethod
    def of(cls, limit: int | float | DeleteLimit) -> DeleteLimit:
        """A count from an int, a share from a float. Raises InvalidRow for a negative one, or a share above 1."""
        if isinstance(limit, DeleteLimit):
            return limit
        if not limit >= 0 or (isinstance(limit, float) and limit > 1):  # not a number is not >= 0 either
            raise InvalidRow(f"delete limit {limit}: use a count of 0 or more, or a share from 0.0 to 1.0")
        return cls(count=limit) if isinstance(limit, int) else cls(share=limit)

    def allows(self, ended: int, total: int) -> bool:
        """Whether `ended` of `total` limits may end."""
        if self.count is not None:
            return ended <= self.count
        return ended <= max(self.at_least, (self.share or 0.0) * total + _ROUNDING)

    def __str__(self) -> str:
        return str(self.count) if self.count is not None else f"{(self.share or 0.0) * 100:g} %"


def count_limits(snapshot: Snapshot) -> int:
    """How many limits and marks of pods the owner's actual rows hold."""
    sets = _members(snapshot)
    held: dict[_Rule, set[str]] = defaultdict(set)
    for row in snapshot.rows:
        held[_rule(row.content, snapshot)] |= _holders(row.content, sets, snapshot)
    return sum(map(len, held.values()))


def ended_limits(changes: Iterable[Change], snapshot: Snapshot) -> Mapping[str, int]:
    """How many limits and marks of pods end, by object (`<kind>/<namespace>/<name>`).

    A destination that leaves an address set counts as its share of the limits that the set's rows hold, rounded up.
    """
    before, after = _members(snapshot), _members(snapshot)
    rows = {row.uuid: row.content for row in snapshot.rows}
    shrinking: dict[str, float] = {}
    for number, change in enumerate(changes):
        if isinstance(change, RowDelete):
            rows.pop(change.uuid, None)
        elif isinstance(change, RowUpdate):
            rows[change.uuid] = change.after
        elif isinstance(change, RowInsert):
            rows[f"new {number}"] = change.content
        else:
            after[change.content.kind, change.content.name] = change.content.members
            if isinstance(change, SetUpdate) and change.content.kind is SetKind.ADDRESS_SET:
                shrinking[change.content.name] = _share(change, before, snapshot)
    held: dict[_Rule, set[str]] = defaultdict(set)
    lost: dict[_Rule, float] = defaultdict(float)
    for content in rows.values():
        rule = _rule(content, snapshot)
        held[rule] |= _holders(content, after, snapshot)
        lost[rule] = max([lost[rule], *(shrinking.get(name, 0) for name in references_in(content.match))])
    ended: Counter[str] = Counter()
    held_before: dict[_Rule, set[str]] = defaultdict(set)
    for row in snapshot.rows:
        held_before[_rule(row.content, snapshot)] |= _holders(row.content, before, snapshot)
    for rule, holders in held_before.items():
        staying = len(holders & held[rule])
        ended[rule[0]] += len(holders) - staying + math.ceil(staying * lost[rule])
    return {name: number for name, number in sorted(ended.items()) if number}


_Rule = tuple[str, str]  # object and rule
_Members = dict[tuple[SetKind, str], frozenset[str]]


def _members(snapshot: Snapshot) -> _Members:
    return {key: one.content.members for key, one in snapshot.sets.items()}


def _rule(content: RowContent, snapshot: Snapshot) -> _Rule:
    external_ids = content.external_ids
    return snapshot.owner.object_of(external_ids), external_ids.get(RULE_KEY) or snapshot.owner.identity(external_ids)


def _holders(content: RowContent, sets: _Members, snapshot: Snapshot) -> frozenset[str]:
    """The source ports of a row that exist; of a row that names none, the row itself."""
    port = content.external_ids.get(PORT_KEY)
    if port is not None:
        return frozenset([port]) & snapshot.ports.keys()
    references = references_in(content.match)
    groups = [sets[SetKind.PORT_GROUP, name] for name in references if (SetKind.PORT_GROUP, name) in sets]
    if not groups:
        return frozenset([snapshot.owner.identity(content.external_ids)])
    return frozenset().union(*groups) & snapshot.ports.keys()


def _share(change: SetUpdate, before: _Members, snapshot: Snapshot) -> float:
    """The share of an address set's members that leave it, of those whose port exists as far as that is known."""
    known = snapshot.addresses
    members = [
        one for one in before.get((change.content.kind, change.content.name), ()) if known is None or one in known
    ]
    leaving = [one for one in change.remove if known is None or one in known]
    return len(leaving) / len(members) if members else 0.0
