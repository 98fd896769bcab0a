"""Policies with rows of equal priority that one packet can match: which of them OVN applies is undefined."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from ovnqos.match.named_sets import NamedSets
from ovnqos.match.packet import MembersByName
from ovnqos.match.terms import find_terms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ovnqos.compile.rows import QosRow
    from ovnqos.match import Match
    from ovnqos.match.terms import Terms

_Place = tuple[str, str, int]  # namespace of the sources, direction, priority
_Rows = dict[str, list["QosRow"]]  # of one place, by policy
_NONE: frozenset[str] = frozenset()


class Overlaps:
    """Which rows one packet can match. What a row matches is found once, and only when it is asked for."""

    def __init__(
        self, members: Callable[[str], frozenset[str]], match: Callable[[QosRow], Match] = lambda row: row.match
    ) -> None:
        """Compare rows as long as the sets' members stay as they are.

        Args:
            members: the members of an address set or port group, by name; none of an unknown one.
            match: what of a row to compare.
        """
        found = MembersByName(members)
        self._names = NamedSets(address_sets=found, port_groups=found)
        self._match = match
        self._terms: dict[str, Terms] = {}  # by the row's identity

    def can_overlap(self, one: QosRow, other: QosRow) -> bool:
        """Whether one packet may match both rows."""
        return self._terms_of(one).overlap(self._terms_of(other))

    def _terms_of(self, row: QosRow) -> Terms:
        terms = self._terms.get(row.identity)
        if terms is None:
            terms = self._terms[row.identity] = find_terms(self._match(row), self._names)
        return terms


class Conflicts:
    """Rows of policies, by what they must share to conflict: namespace of their sources, direction, priority.

    The namespace is among it because rows of two namespaces have no source port in common. Policies go by
    `NetworkQoS/<namespace>/<name>`.
    """

    def __init__(self) -> None:
        """Start without policies."""
        self._places: dict[_Place, _Rows] = defaultdict(dict)
        self._rows: dict[str, list[tuple[QosRow, _Rows]]] = {}  # by policy, each with all rows of its place
        self._contested: set[str] = set()  # policies with a row that is not alone in its place
        self._conflicts: dict[str, frozenset[str]] = {}

    def replace(self, policy: str, rows: Sequence[QosRow]) -> None:
        """Exchange the rows of a policy."""
        affected = {policy}
        for row, others in self._rows.pop(policy, ()):
            others.pop(policy, None)
            if len(others) == 1:
                affected.update(others)
            elif not others:
                self._places.pop(_place(policy, row), None)
        if rows:
            self._rows[policy] = [(row, self._places[_place(policy, row)]) for row in rows]
        for row, others in self._rows.get(policy, ()):
            others.setdefault(policy, []).append(row)
            if len(others) == 2:
                affected.update(others)
        for one in affected:
            if any(len(others) > 1 for _row, others in self._rows.get(one, ())):
                self._contested.add(one)
            else:
                self._contested.discard(one)

    def of(self, policy: str) -> frozenset[str]:
        """The policies that conflict with this one, as of the last `check`."""
        return self._conflicts.get(policy, _NONE)

    def check(self, policies: set[str], members: Callable[[str], frozenset[str]]) -> set[str]:
        """Find the conflicts of policies anew.

        Args:
            policies: those whose rows, or the members of whose sets, changed; other objects are ignored.
            members: the members of a set, by name.

        Returns the policies whose conflicts changed, others among them.
        """
        contested = (policies & self._contested) | (policies & self._conflicts.keys())
        checked: set[str] = set()
        changed: set[str] = set()
        overlaps = Overlaps(members)
        for policy in sorted(contested):
            found = frozenset(self._find(policy, checked, overlaps))
            checked.add(policy)
            different = found ^ self.of(policy)
            for other in different:
                self._set(other, self.of(other) ^ {policy})
            self._set(policy, found)
            if different:
                changed |= different | {policy}
        return changed

    def _find(self, policy: str, checked: set[str], overlaps: Overlaps) -> Iterator[str]:
        for row, others in self._rows.get(policy, ()):
            for other, rows in others.items():
                if other in checked:
                    if policy in self.of(other):
                        yield other
                elif other != policy and any(overlaps.can_overlap(row, one) for one in rows):
                    yield other

    def _set(self, policy: str, conflicts: frozenset[str]) -> None:
        if conflicts:
            self._conflicts[policy] = conflicts
        else:
            self._conflicts.pop(policy, None)


def _place(policy: str, row: QosRow) -> _Place:
    return policy.split("/")[1], row.direction, row.priority
