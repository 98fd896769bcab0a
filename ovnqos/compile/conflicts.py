"""Rows of equal priority that one packet can match: which of them OVN applies is undefined."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from ovnqos.match.overlap import can_overlap

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ovnqos.compile.rows import QosRow
    from ovnqos.match.overlap import Members

_Place = tuple[str, str, int]  # namespace of the sources, direction, priority


class ConflictIndex:
    """Rows of policies, by what they must share to conflict: namespace of their sources, direction, priority.

    The namespace is among it because rows of two namespaces have no source port in common.
    """

    def __init__(self) -> None:
        """Start without rows."""
        self._rows: dict[_Place, dict[str, QosRow]] = defaultdict(dict)
        self._rivals: dict[str, frozenset[str]] = {}
        self._crowded: Counter[str] = Counter()  # by policy, how many of its rows are not alone in their places

    def replace(self, policy: str, old: Iterable[QosRow], new: Iterable[QosRow]) -> None:
        """Exchange the rows of a policy (`<namespace>/<name>`)."""
        for row in old:
            place = _place(policy, row)
            rows = self._rows[place]
            if rows.pop(row.identity, None) is not None:
                self._count(policy, rows, -1)
            if not rows:
                del self._rows[place]
        for row in new:
            rows = self._rows[_place(policy, row)]
            if row.identity not in rows:
                self._count(policy, rows, 1)
            rows[row.identity] = row

    def _count(self, policy: str, others: Mapping[str, QosRow], step: int) -> None:
        """A row of a policy joins these others in a place, or has left them."""
        if not others:
            return
        self._crowded[policy] += step
        if len(others) == 1:  # which was, or is, alone there without it
            self._crowded[policy_of(next(iter(others)))] += step

    def rivals(self, policy: str) -> frozenset[str]:
        """The policies that conflict with this one, as of the last `check`."""
        return self._rivals.get(policy, frozenset())

    def is_contested(self, policy: str) -> bool:
        """Whether other rows are in the places of a policy's rows, so that a check has anything to look at."""
        return bool(self._crowded.get(policy)) or policy in self._rivals

    def check(self, policy: str, rows: Iterable[QosRow], members: Members) -> frozenset[str]:
        """Find a policy's rivals anew. Returns the policies whose rivals changed, itself among them."""
        found = frozenset(self._find(policy, rows, members))
        changed = found ^ self.rivals(policy)
        for rival in changed:
            self._set(rival, self.rivals(rival) ^ {policy})
        self._set(policy, found)
        return changed | {policy} if changed else frozenset()

    def _set(self, policy: str, rivals: frozenset[str]) -> None:
        if rivals:
            self._rivals[policy] = rivals
        else:
            self._rivals.pop(policy, None)

    def _find(self, policy: str, rows: Iterable[QosRow], members: Members) -> Iterator[str]:
        for row in rows:
            for identity, other in self._rows.get(_place(policy, row), {}).items():
                rival = policy_of(identity)
                if rival != policy and can_overlap(row.match, other.match, members):
                    yield rival


def policy_of(identity: str) -> str:
    """The key (`<namespace>/<name>`) of the policy that a row's identity names; empty when it names none."""
    parts = identity.split("/", 3)
    return "/".join(parts[1:3]) if len(parts) == 4 and parts[0] == "NetworkQoS" else ""


def _place(policy: str, row: QosRow) -> _Place:
    return policy.partition("/")[0], row.direction, row.priority
