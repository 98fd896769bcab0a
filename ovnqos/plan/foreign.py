"""Foreign rows beside ours: those that conflict with ours, and those whose effect ours carry.

Equal priority, and one packet can match both: which wins is undefined. A foreign row of lower priority would lose its
packets to ours (from OVN 24.09 on, or where ours marks them as well). EgressIP's, whose mark of a packet routers look
at, must not: a further row does what ours does, and sets the mark.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ovnqos.compile.rows import POD_MARK_PRIORITY, POLICY_KIND, PRIORITY_MAXIMUM, carrying_identity, carrying_priority
from ovnqos.diagnostics import Code, Diagnostic, ObjectRef, Severity, listed
from ovnqos.match import And, Comparison, ConstantKind, Match, Or, Verbatim, read_match
from ovnqos.match.packet import PORT_FIELDS
from ovnqos.match.terms import find_terms
from ovnqos.model.owner import BESIDE_KEY, NEIGHBOUR_DISCOVERY, OBJECT_KEY, PORT_KEY, RULE_KEY, Owner
from ovnqos.plan.renderings import qos_list_line
from ovnqos.plan.snapshot import references_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ovnqos.compile.rows import DesiredState, QosRow
    from ovnqos.match.terms import Terms
    from ovnqos.plan.snapshot import ActualRow, Snapshot

MARK = "mark"
"""Key of the column `action`: the mark of a packet inside OVN."""
_UPSTREAM = Owner.ovn_kubernetes()


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignConflict:
    """One of our rows, by identity, and a foreign row that it conflicts with on these switches."""

    identity: str
    switches: frozenset[str]
    row: ActualRow


def upstream_rows(snapshot: Snapshot) -> tuple[ActualRow, ...]:
    """The rows of ovn-kubernetes' own NetworkQoS controller: any of them: a second controller is at work."""
    return tuple(row for row in snapshot.foreign_rows if _UPSTREAM.owns(row.content.external_ids))


def claimed_rows(desired: DesiredState, snapshot: Snapshot) -> dict[str, str]:
    """Find the owner's rows whose external_ids were wiped: by uuid the identity, empty for one that is not desired.

    The evidence is what they do. A row that is in all other columns as a desired row, on a switch of it, is that row. A
    row at a priority of ours that uses a set of the owner's is extra. Where the desired state has a scope such a row
    stays, since its object may not be in the input.
    """
    wiped = [row for row in snapshot.foreign_rows if not row.content.external_ids]
    if not wiped:
        return {}
    places = {(one.content.direction, one.content.priority, one.content.match) for one in wiped}
    as_desired = {
        place: row
        for row in desired.rows.values()
        if (place := (str(row.direction), row.priority, str(row.match))) in places
    }
    own_sets = {name for _kind, name in snapshot.sets}
    found = {}
    for one in wiped:
        content = one.content
        row = as_desired.get((content.direction, content.priority, content.match))
        if row is not None and (row.action, row.bandwidth) == (content.action, content.bandwidth):
            if one.switches & row.switches:
                found[one.uuid] = row.identity
        elif (
            desired.scope is None and content.priority >= POD_MARK_PRIORITY and references_in(content.match) & own_sets
        ):
            found[one.uuid] = ""
    return found


def describe_conflicts(desired: DesiredState, snapshot: Snapshot) -> tuple[Diagnostic, ...]:
    """Warn of each object whose rows conflict with foreign ones, or that ovn-kubernetes' controller writes rows for.

    Where the desired state has a scope, of those objects only whose rows may change.
    """
    conflicts: dict[str, list[ForeignConflict]] = defaultdict(list)  # by object
    for one in find_foreign_conflicts(desired, snapshot):
        conflicts[desired.rows[one.identity].external_ids.get(OBJECT_KEY, "")].append(one)
    conflicts.pop("", None)  # what keeps neighbour discovery from limits is no object's
    upstream = {_UPSTREAM.object_of(row.content.external_ids) for row in upstream_rows(snapshot)}
    found = []
    for name in sorted(upstream | conflicts.keys()):
        if desired.scope is not None and not desired.scope.may_change(name):
            continue
        if name in upstream:
            text = "ovn-kubernetes' own NetworkQoS controller writes rows for it"
            hint = "disable that controller, or ovnqos"
            found.append(Diagnostic.warning(_ref(name), Code.SECOND_CONTROLLER, text, hint=hint))
        if name in conflicts:
            text = f"conflicts with {_conflicting(conflicts[name])}: equal priority and overlapping matches"
            found.append(Diagnostic.warning(_ref(name), Code.FOREIGN_CONFLICT, text, hint="change one priority"))
    return tuple(found)


def _conflicting(conflicts: Sequence[ForeignConflict]) -> str:
    """The first foreign row with its switch, and how many more there are of each."""
    switches: dict[str, set[str]] = defaultdict(set)  # by row
    for one in conflicts:
        switches[qos_list_line(one.row.content).strip()] |= one.switches
    first, more = min(switches), len(switches) - 1
    others = f", and with {more} more row{'' if more == 1 else 's'}" if more else ""
    return f"foreign row {first} on switch {listed(switches[first], at_most=1)}{others}"


def find_foreign_conflicts(desired: DesiredState, snapshot: Snapshot) -> tuple[ForeignConflict, ...]:
    """Find the foreign rows that conflict with desired ones; sorted by our row's identity.

    A foreign match that cannot be read counts as one that matches everything.
    """
    ours: dict[tuple[str, str, int], list[QosRow]] = defaultdict(list)
    places = {
        (switch, row.content.direction, row.content.priority)
        for row in snapshot.foreign_rows
        for switch in row.switches
    }
    for row in desired.rows.values():
        for switch in row.switches:
            place = (switch, str(row.direction), row.priority)
            if place in places:
                ours[place].append(row)
    found = _conflicts(ours, desired, snapshot) if ours else ()
    return tuple(sorted(found, key=lambda one: (one.identity, one.row.uuid)))


def _conflicts(
    ours: dict[tuple[str, str, int], list[QosRow]], desired: DesiredState, snapshot: Snapshot
) -> Iterator[ForeignConflict]:
    actual = snapshot.named_sets()
    names = replace(
        actual,
        address_sets={**actual.address_sets, **{name: one.addresses for name, one in desired.address_sets.items()}},
        port_groups={**actual.port_groups, **{name: one.ports for name, one in desired.port_groups.items()}},
    )
    terms: dict[str, Terms] = {}  # of our rows: each is compared with many
    for foreign in snapshot.foreign_rows:
        shared: dict[str, list[str]] = defaultdict(list)  # by our row, the switches of both
        for switch in foreign.switches:
            for row in ours.get((switch, foreign.content.direction, foreign.content.priority), ()):
                shared[row.identity].append(switch)
        if not shared:
            continue
        theirs = find_terms(read_match(foreign.content.match), names)
        for identity, switches in shared.items():
            if identity not in terms:
                terms[identity] = find_terms(desired.rows[identity].match, names)
            if terms[identity].overlap(theirs):
                yield ForeignConflict(identity=identity, switches=frozenset(switches), row=foreign)


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedMarks:
    """What desired rows do for foreign rows that they would shadow.

    Attributes:
        rows: by identity, the further rows that set foreign rows' marks.
        diagnostics: what of foreign rows is lost.
    """

    rows: Mapping[str, QosRow] = field(default_factory=dict)
    diagnostics: tuple[Diagnostic, ...] = ()


class _ForeignRow:
    """A foreign row with an action, as far as it decides which rows shadow it."""

    def __init__(self, row: ActualRow) -> None:
        self.priority = row.content.priority
        self.mark = row.content.action.get(MARK)
        self.dscp = row.content.action.get("dscp")
        self.match = read_match(row.content.match)
        self.text = f"{row.content.direction} {self.priority} ({row.content.match})"
        operands = self.match.operands if isinstance(self.match, And) else (self.match,)
        self._ports = [set(_ports(one)) for one in operands if isinstance(one, Comparison) and _is_of_ports(one)]

    def may_take_packets_of(self, row: QosRow) -> bool:
        """Whether both may take one packet. Sets are not looked into, so that their members do not matter."""
        port = row.external_ids.get(PORT_KEY)
        return port is None or all(port in ports for ports in self._ports)


def carry_marks(desired: DesiredState, snapshot: Snapshot) -> CarriedMarks:
    """Find the rows that carry the marks of foreign rows below desired ones.

    Each has the match, the mark and the limit of a desired row, for the packets that a foreign row takes as well. It is
    on the switches of both. Rows for packets that stay on their switch carry nothing: routers see none of these.

    Args:
        desired: the desired rows.
        snapshot: the foreign rows.
    """
    acting: _Acting = defaultdict(list)
    for foreign in snapshot.foreign_rows:
        if foreign.content.action:
            one = _ForeignRow(foreign)
            for switch in foreign.switches:
                acting[switch, foreign.content.direction].append(one)
    if not acting:
        return _NOTHING
    rows: dict[str, QosRow] = {}
    lost: dict[tuple[str, bool], set[str]] = defaultdict(set)  # by object, and whether it is a mark of the packet
    for row in desired.rows.values():
        if BESIDE_KEY in row.external_ids or row.external_ids.get(RULE_KEY) == NEIGHBOUR_DISCOVERY:
            continue
        for below, switches in _below(row, acting).items():
            carrying = _carrying_row(row, below, frozenset(switches))
            if carrying is not None:
                known = rows.setdefault(carrying.identity, carrying)
                rows[carrying.identity] = replace(known, switches=known.switches | carrying.switches)
            for is_mark, text in _find_lost(row, below, carrying):
                lost[row.external_ids.get(OBJECT_KEY, ""), is_mark].add(text)
    diagnostics = (_lost(name, texts, is_mark=is_mark) for (name, is_mark), texts in sorted(lost.items()) if name)
    return CarriedMarks(rows=rows, diagnostics=tuple(diagnostics))


def _below(row: QosRow, acting: _Acting) -> dict[tuple[_ForeignRow, ...], list[str]]:
    """The foreign rows that a row shadows, the highest first, with the switches where it is these."""
    found: dict[tuple[_ForeignRow, ...], list[str]] = defaultdict(list)
    for switch in sorted(row.switches):
        candidates = acting.get((switch, str(row.direction)), ())
        below = [one for one in candidates if one.priority < row.priority and one.may_take_packets_of(row)]
        if below:
            found[tuple(sorted(below, key=lambda one: (-one.priority, one.text)))].append(switch)
    return found


def _find_lost(row: QosRow, below: Sequence[_ForeignRow], carrying: QosRow | None) -> Iterator[tuple[bool, str]]:
    """What packets lose of foreign rows: whether it is their mark in OVN, and the row."""
    for one in below:
        if one.mark is not None and (carrying is None or carrying.mark != one.mark or not _is_read(one)):
            yield True, one.text
        if one.dscp is not None and row.dscp is None:
            yield False, one.text


_NOTHING = CarriedMarks()
_Acting = dict[tuple[str, str], list[_ForeignRow]]  # by switch and direction


def _carrying_row(row: QosRow, below: Sequence[_ForeignRow], switches: frozenset[str]) -> QosRow | None:
    """The row that does what a desired one does, with the mark of the highest foreign rows; None for no mark."""
    marking = [one for one in below if one.mark is not None and _is_read(one)]
    marking = [one for one in marking if one.mark == marking[0].mark]
    priority = carrying_priority(row.priority)
    if not marking or priority > PRIORITY_MAXIMUM:
        return None
    foreign = Or.of(*dict.fromkeys(one.match for one in marking))
    return replace(
        row,
        switches=switches,
        priority=priority,
        match=row.match & foreign,
        mark=marking[0].mark,
        identity=carrying_identity(row.identity, f"{marking[0].mark} {foreign}"),
        external_ids={**row.external_ids, BESIDE_KEY: row.identity},
    )


def _is_read(row: _ForeignRow) -> bool:
    return not isinstance(row.match, Verbatim)


def _is_of_ports(comparison: Comparison) -> bool:
    """Whether a comparison names ports, and no groups of them."""
    return comparison.field in PORT_FIELDS and all(one.kind is ConstantKind.STRING for one in comparison.constants)


def _ports(match: Match) -> Iterator[str]:
    if isinstance(match, Comparison):
        yield from (one.text for one in match.constants)


def _lost(name: str, texts: set[str], *, is_mark: bool) -> Diagnostic:
    what = "the mark" if is_mark else "from OVN 24.09 on the DSCP"
    return Diagnostic(
        severity=Severity.WARNING if is_mark else Severity.INFO,
        code=Code.FOREIGN_ROW_SHADOWED,
        object=_ref(name),
        text=f"shadows foreign rows, so that packets lose {what} that these set: {listed(texts)}",
        hint="" if not is_mark else "write their matches so that OVN can read them, and with one mark a switch",
    )


def _ref(name: str) -> ObjectRef:
    """The object of this name, `<kind>/<namespace>/<name>`; of the kind as a whole where a row names none."""
    kind, _, key = name.partition("/")
    namespace, _, own = key.rpartition("/")
    return ObjectRef(kind=kind or POLICY_KIND, namespace=namespace, name=own)
