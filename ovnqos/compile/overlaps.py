"""Rows that one packet can match: policies in conflict, and limits that rows of higher priority shadow.

Of the rows of a direction OVN applies one to a packet; which of several of equal priority is undefined. A row that only
marks shadows a limit from OVN 24.09 on; up to 24.03 marks and limits are looked up apart.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from ovnqos.compile.rows import POD_KIND, Direction
from ovnqos.diagnostics import Code, Diagnostic, ObjectRef
from ovnqos.match import And, Not, eth, is_fragment
from ovnqos.match.named_sets import NamedSets
from ovnqos.match.packet import MembersByName
from ovnqos.match.terms import find_terms
from ovnqos.model.owner import BESIDE_KEY, JOINED_KEY, OBJECT_KEY, PORT_KEY, RULE_KEY
from ovnqos.model.workloads import Purpose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ovnqos.compile.rows import DesiredState, QosRow
    from ovnqos.match import Match
    from ovnqos.match.terms import Terms


_Place = tuple[str, str, int]  # namespace of the sources, direction, priority
_Rows = dict[str, list["QosRow"]]  # of one place, by policy
_NONE: frozenset[str] = frozenset()


class Overlaps:
    """Which rows one packet can match. What a row matches is found once, and only when it is asked for."""

    def __init__(
        self, members: Callable[[str], frozenset[str]], match: Callable[[QosRow], Match] = lambda row: _whole(row.match)
    ) -> None:
        """Compare rows as long as the sets' members stay as they are.

        Args:
            members: the members of an address set or port group, by name; none of an unknown one.
            match: what of a row to compare; by default all but fragments, which rows with ports share.
        """
        self._members = members
        self._names: NamedSets | None = None
        self._match = match
        self._terms: dict[str, Terms] = {}  # by the row's identity

    def can_overlap(self, one: QosRow, other: QosRow) -> bool:
        """Whether one packet may match both rows."""
        return self._terms_of(one).overlap(self._terms_of(other))

    def _terms_of(self, row: QosRow) -> Terms:
        terms = self._terms.get(row.identity)
        if terms is None:
            if self._names is None:  # most look at no row
                found = MembersByName(self._members)
                self._names = NamedSets(address_sets=found, port_groups=found)
            terms = self._terms[row.identity] = find_terms(self._match(row), self._names)
        return terms


def _whole(match: Match) -> Match:
    return And.of(match, Not(is_fragment))


RIVALS_MAXIMUM = 100
"""Policies of one namespace and priority that are compared for conflicts."""


class Conflicts:
    """Rows of policies, by what they must share to conflict: namespace of their sources, direction, priority.

    The namespace is among it because rows of two namespaces have no source port in common. Policies go by
    `NetworkQoS/<namespace>/<name>`. Rows are compared in pairs: not where more than `RIVALS_MAXIMUM` policies do.
    """

    def __init__(self) -> None:
        """Start without policies."""
        self._places: dict[_Place, _Rows] = defaultdict(dict)
        self._rows: dict[str, list[tuple[QosRow, _Rows]]] = {}  # by policy, each with all rows of its place
        self._contested: set[str] = set()  # policies with a row that is not alone in its place
        self._conflicts: dict[str, frozenset[str]] = {}

    def replace(self, policy: str, rows: Sequence[QosRow]) -> set[str]:
        """Exchange the rows of a policy; return the others that are compared from now on, or no more."""
        affected, crowd = {policy}, {policy}
        for row, others in self._rows.pop(policy, ()):
            if others.pop(policy, None) is not None and len(others) == RIVALS_MAXIMUM:
                crowd.update(others)
            if len(others) == 1:
                affected.update(others)
            elif not others:
                self._places.pop(_place(policy, row), None)
        if rows:
            self._rows[policy] = [(row, self._places[_place(policy, row)]) for row in rows]
        for row, others in self._rows.get(policy, ()):
            if policy not in others and len(others) == RIVALS_MAXIMUM:
                crowd.update(others)
            others.setdefault(policy, []).append(row)
            if len(others) == 2:
                affected.update(others)
        for one in affected:
            if any(len(others) > 1 for _row, others in self._rows.get(one, ())):
                self._contested.add(one)
            else:
                self._contested.discard(one)
        return crowd

    def is_unchecked(self, policy: str) -> bool:
        """Whether a policy has a row that is not compared, since too many share what it must share."""
        return any(len(others) > RIVALS_MAXIMUM for _row, others in self._rows.get(policy, ()))

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
            for other, rows in others.items() if len(others) <= RIVALS_MAXIMUM else ():
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


_POD_PREFIX = f"{POD_KIND}/"
_Origin = tuple[Direction, str]  # and namespace of the sources


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowedLimit:
    """An object's limit that packets may escape because a row of higher priority takes them.

    Attributes:
        limit: the row with the limit.
        by: the row that takes the packets.
    """

    limit: QosRow
    by: QosRow

    @property
    def diagnostic(self) -> Diagnostic:
        """What to say of the object whose limit it is."""
        kind, namespace, name = self.limit.external_ids[OBJECT_KEY].split("/")
        by = f"{_rule(self.by)} of {self.by.external_ids[OBJECT_KEY].replace('/', ' ', 1)}"
        when = "" if self.by.rate_kbps is not None else " from OVN 24.09 on"
        text = f"limit may be shadowed{when} by {by}: of the rows that match a packet OVN applies the highest"
        ref = ObjectRef(kind=kind, namespace=namespace, name=name)
        return Diagnostic.warning(ref, Code.SHADOWED_LIMIT, text, path=_rule(self.limit))


PAIRS_MAXIMUM = 2_000
"""So many pairs of rows are compared: a warning is not worth seconds."""


def find_shadowed_limits(desired: DesiredState, *, at_most: int = PAIRS_MAXIMUM) -> tuple[ShadowedLimit, ...]:
    """Find limits that another object's row, or a later rule of the same one that only marks, may shadow.

    Among the rows that shadow are those of pods whose own limit has joined a rule of higher priority.

    A NetworkQoS that shadows another's limit by its own is left out: that is what priorities are for. So is one whose
    sources are known to be others than the limit's, and what it does to broadcast and multicast packets alone.

    Args:
        desired: rows with their groups and sets.
        at_most: how many pairs of rows that share a direction are compared; those beyond are left out.
    """

    def members(name: str) -> frozenset[str]:
        if name in desired.port_groups:
            return desired.port_groups[name].ports
        return desired.address_sets[name].addresses if name in desired.address_sets else frozenset()

    rows = [row for row in desired.rows.values() if OBJECT_KEY in row.external_ids]  # not those of neighbour discovery
    candidates = _Candidates(rows)
    receivers: dict[str, set[str]] = defaultdict(set)  # by switch, the ports with an ingress limit
    for row in rows:
        if row.external_ids.get(RULE_KEY) == Purpose.INGRESS:
            for switch in row.switches:
                receivers[switch].add(row.external_ids[PORT_KEY])

    def meet(limit: QosRow, by: QosRow) -> bool:
        """Whether both are on a switch, where the one above has packets to take."""
        shared, own = by.switches & limit.switches, {limit.external_ids.get(PORT_KEY)}
        return any(receivers.get(one, own) - own for one in shared) if BESIDE_KEY in by.external_ids else bool(shared)

    pairs = (
        ShadowedLimit(limit=limit, by=by)
        for limit in rows
        if limit.rate_kbps is not None and BESIDE_KEY not in limit.external_ids  # its rule has another
        for by in candidates.of_limit(limit)
        if by.priority > limit.priority and meet(limit, by) and not _is_kept_by(limit, by)
    )
    overlaps = Overlaps(members, lambda row: And.of(_whole(row.match), Not(eth.mcast)))
    found = [pair for pair in islice(pairs, at_most) if overlaps.can_overlap(pair.limit, pair.by)]
    return tuple(sorted(found, key=lambda one: (one.limit.identity, one.by.identity)))


class _Candidates:
    """Rows that may shadow a limit, by what they must share with it to do so."""

    def __init__(self, rows: Iterable[QosRow]) -> None:
        self._shared: dict[_Origin, list[QosRow]] = defaultdict(list)  # by all of a policy's source ports
        self._marking: dict[_Origin, list[QosRow]] = defaultdict(list)  # those of them that limit nothing
        self._joined: dict[_Origin, list[QosRow]] = defaultdict(list)  # pods' rows that do what a rule does
        self._of_port: dict[tuple[Direction, str], list[QosRow]] = defaultdict(list)
        for row in rows:
            if not _is_pods(row) or JOINED_KEY in row.external_ids:
                self._add(row)

    def _add(self, row: QosRow) -> None:
        port = row.external_ids.get(PORT_KEY)
        if port is None:
            self._shared[_origin(row)].append(row)
            if row.rate_kbps is None:
                self._marking[_origin(row)].append(row)
        else:
            self._of_port[row.direction, port].append(row)
        if _is_pods(row):
            self._joined[_origin(row)].append(row)

    def of_limit(self, row: QosRow) -> Iterable[QosRow]:
        """Those of one limit: rows of single ports meet only rows of the same port, and shared ones."""
        place, port = _origin(row), row.external_ids.get(PORT_KEY)
        if _is_pods(row):
            return (*self._shared[place], *self._of_port[row.direction, port or ""])
        joined = self._joined[place] if port is None else filter(_is_pods, self._of_port[row.direction, port])
        return (*self._marking[place], *joined)


def _is_pods(row: QosRow) -> bool:
    return row.external_ids.get(OBJECT_KEY, "").startswith(_POD_PREFIX)


def _origin(row: QosRow) -> _Origin:
    _, _, key = row.external_ids.get(OBJECT_KEY, "").partition("/")
    return row.direction, key.partition("/")[0]


def _is_kept_by(limit: QosRow, by: QosRow) -> bool:
    """Whether a pod's row keeps this limit beside its own."""
    return by.external_ids.get(JOINED_KEY) == f"{limit.external_ids.get(OBJECT_KEY)}/{limit.external_ids.get(RULE_KEY)}"


def _rule(row: QosRow) -> str:
    rule = row.external_ids.get(RULE_KEY, "")
    return f"spec.egress[{rule}]" if rule.isdecimal() else rule
