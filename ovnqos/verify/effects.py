"""What packets are promised by objects, and what they get by all rows of a Northbound."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

from ovnqos.compile.promises import PromiseKind
from ovnqos.compile.rows import Direction
from ovnqos.explain.candidates import candidate_of_row
from ovnqos.explain.explanation import CandidateRow
from ovnqos.explain.lookup import explain
from ovnqos.explain.pipeline import PipelineVersion
from ovnqos.match import Truth, evaluate
from ovnqos.match.packet import NO_PORT
from ovnqos.verify.samples import AnalysedMatch, names_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ovnqos.compile.promises import Promise, Promises
    from ovnqos.explain.explanation import Explanation, Outcome
    from ovnqos.match import NamedSets, Packet
    from ovnqos.match.terms import Terms
    from ovnqos.plan.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Promised:
    """What a packet is promised.

    Attributes:
        mark: who promises its mark; None for nobody.
        limits: who promise limits.
        taking: all whose match takes it, those of lower priority too.
        conflicts: promises of equal priority, of which none is higher than the other.
    """

    mark: Promise | None = None
    limits: tuple[Promise, ...] = ()
    taking: tuple[Promise, ...] = ()
    conflicts: tuple[Promise, ...] = ()


class PromisedEffects:
    """Promises, by port."""

    def __init__(self, promises: Promises) -> None:
        """Index promises."""
        self._names = promises.names
        self._promises = {str(number): one for number, one in enumerate(promises.items)}
        self._of_port: Mapping[tuple[PromiseKind, str], list[CandidateRow]] = defaultdict(list)
        self._analysed: dict[int, AnalysedMatch] = {}  # by identity of the promise
        for identity, one in self._promises.items():
            row = CandidateRow(
                name=f"{one.object} {one.path}",
                direction=Direction.TO_LPORT,
                priority=one.priority + 1,  # 0 is no row's
                match=one.match,
                dscp=one.dscp,
                rate_kbps=one.limit.rate_kbps if one.limit is not None else None,
                burst_kbit=one.limit.burst_kbit if one.limit is not None else None,
                identity=identity,
            )
            for port in one.switches:
                self._of_port[one.kind, port].append(row)

    def analysed(self, promise: Promise) -> AnalysedMatch:
        """A promise's match, analysed."""
        found = self._analysed.get(id(promise))
        if found is None:
            found = self._analysed[id(promise)] = AnalysedMatch.of(promise.match, self._names)
        return found

    def may_be_for(self, promise: Promise, packet: Packet) -> bool:
        """Whether a promise may be for a packet, its ports left out. False is certain."""
        if not self.analysed(promise).terms.may_take(packet):
            return False
        return evaluate(promise.match, packet, names_for(packet, self._names)).truth is not Truth.NO

    def of(self, packet: Packet, version: PipelineVersion) -> Promised:
        """What a packet is promised, where OVN looks up rows in this way.

        A rule of a NetworkQoS that only marks, above one that limits, lifts the limit from OVN 24.09 on.
        """
        names = names_for(packet, self._names)
        rules = self._rows(PromiseKind.RULE, packet.inport, packet)
        lookup = explain(packet, rules, names, versions=(version,)).lookup(Direction.TO_LPORT)
        outcome = lookup.outcomes[version]
        taking = (self._promises[one.row.identity] for one in lookup.rows if one.matches.truth is Truth.YES)
        mark, limit = (
            [self._promises[row.identity] for row in decision.rows if row is not None]
            for decision in (outcome.mark, outcome.limit)
        )
        marks = [one for one in mark if one.dscp is not None]
        others = {kind: self._taking(kind, packet, names) for kind in PromiseKind if kind is not PromiseKind.RULE}
        limits = [one for one in limit[:1] if one.limit is not None]
        tied = tuple(one for one in dict.fromkeys((*mark, *limit)) if len(outcome.effects) > 1)
        return Promised(
            mark=next(iter((*marks, *others[PromiseKind.DSCP])), None),
            limits=(*limits, *others[PromiseKind.EGRESS], *others[PromiseKind.INGRESS]),
            taking=(*taking, *(one for found in others.values() for one in found)),
            conflicts=tied,
        )

    def _rows(self, kind: PromiseKind, port: str | None, packet: Packet) -> Sequence[CandidateRow]:
        """The promises of a kind and port that may be for a packet."""
        known = self._of_port.get((kind, port or ""), ())
        return [row for row in known if self.analysed(self._promises[row.identity]).terms.may_take(packet)]

    def _taking(self, kind: PromiseKind, packet: Packet, names: NamedSets) -> tuple[Promise, ...]:
        port = packet.outport if kind is PromiseKind.INGRESS else packet.inport
        return tuple(
            self._promises[row.identity]
            for row in self._rows(kind, port, packet)
            if evaluate(row.match, packet, names).truth is Truth.YES
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """What a packet leaves its switch with.

    Attributes:
        marked_by: the row that sets its mark; None if it keeps its own.
        limited_by: the rows whose meters it passes on its way out of the source's chassis.
        received_by: those whose meters it passes at the receiver's chassis, where that is another one.
        late: the row of to-lport that would mark it, but does so at the receiver's chassis only.
    """

    marked_by: CandidateRow | None = None
    limited_by: tuple[CandidateRow, ...] = ()
    received_by: tuple[CandidateRow, ...] = ()
    late: CandidateRow | None = None

    @property
    def rows(self) -> tuple[CandidateRow, ...]:
        """The rows that do anything to it at the source."""
        return (*((self.marked_by,) if self.marked_by is not None else ()), *self.limited_by)

    @property
    def dscp(self) -> int | None:
        """Its mark; None if it keeps its own."""
        return None if self.marked_by is None else self.marked_by.effective_dscp

    @property
    def value(self) -> tuple[object, ...]:
        """What can be seen of it: mark and limits."""
        limits = ((row.rate_kbps, row.burst_kbit) for row in (*self.limited_by, *self.received_by))
        return (self.dscp, *limits)


class ActualEffects:
    """The rows of a Northbound, of all owners, by switch and port."""

    def __init__(self, snapshot: Snapshot, names: NamedSets, versions: Sequence[PipelineVersion]) -> None:
        """Index rows.

        Args:
            snapshot: the Northbound.
            names: the members of its sets, those included that northd derives.
            versions: how OVN may look rows up.
        """
        self.names = names
        self.versions = versions
        self.rows: Mapping[str, list[CandidateRow]] = defaultdict(list)  # by switch
        self._of_port: Mapping[str, dict[str, list[CandidateRow]]] = defaultdict(dict)
        self._own: dict[tuple[str, Promise], list[CandidateRow]] = {}
        self._analysed: dict[str, AnalysedMatch] = {}  # by uuid
        for row in (*snapshot.rows, *snapshot.foreign_rows):
            candidate = candidate_of_row(row, snapshot.owner)
            for switch in row.switches:
                self.rows[switch].append(candidate)

    def analysed(self, row: CandidateRow) -> AnalysedMatch:
        """A row's match, analysed."""
        if row.identity not in self._analysed:
            self._analysed[row.identity] = AnalysedMatch.of(row.match, self.names)
        return self._analysed[row.identity]

    def terms(self, row: CandidateRow) -> Terms:
        """The terms of a row's match."""
        return self.analysed(row).terms

    def explain(self, switch: str, packet: Packet) -> Explanation:
        """Explain what the rows do to a packet, those left out that certainly do not take it."""
        known = self._of_port[switch]
        if packet.inport not in known:
            known[packet.inport] = [row for row in self.rows.get(switch, ()) if self._may_enter(row, packet.inport)]
        return self._explain(packet, known[packet.inport])

    def may_touch(self, promise: Promise, switch: str, packet: Packet) -> bool:
        """Whether a row of a promise's own rule may take a packet."""
        key = (switch, promise)
        if key not in self._own:
            self._own[key] = [row for row in self.rows.get(switch, ()) if is_own_row(row, promise)]
        found = self._explain(packet, self._own[key])
        return any(one.matches.truth is not Truth.NO for lookup in found.lookups for one in lookup.rows)

    def _explain(self, packet: Packet, rows: Sequence[CandidateRow]) -> Explanation:
        # a row of from-lport sees the packet before its way out is decided: its terms may exclude a port as well
        entering = replace(packet, outport=NO_PORT, not_outports=frozenset())
        seen = {Direction.FROM_LPORT: entering, Direction.TO_LPORT: packet}
        near = [row for row in rows if self.terms(row).may_take(seen[row.direction])]
        return explain(packet, near, names_for(packet, self.names), versions=self.versions)

    def _may_enter(self, row: CandidateRow, port: str) -> bool:
        allowed = [term.ports("inport") for term in self.terms(row).items]
        return any(ports is None or port in ports for ports in allowed)

    @staticmethod
    def departures(explanation: Explanation, version: PipelineVersion, *, crosses: bool) -> tuple[Departure, ...]:
        """What the packet may leave with, each effect once.

        Args:
            explanation: of `explain`.
            version: how OVN looks rows up.
            crosses: whether it leaves by a port of another chassis than its sender's: to-lport is looked up there.
        """
        first, last = (
            explanation.lookup(direction).outcomes[version] for direction in (Direction.FROM_LPORT, Direction.TO_LPORT)
        )
        found: dict[tuple[object, ...], Departure] = {}
        for entering, leaving in product(_pairs(first, version), _pairs(last, version)):
            one = _departure(entering, leaving, crosses=crosses)
            found.setdefault((one.value, one.late), one)
        return tuple(found.values())


_Pair = tuple["CandidateRow | None", "CandidateRow | None"]


def _pairs(outcome: Outcome, version: PipelineVersion) -> Iterator[_Pair]:
    """The row that marks and the one that limits, in each way that is possible."""
    if version is PipelineVersion.JOINED:
        return ((row, row) for row in outcome.mark.rows)
    return product(outcome.mark.rows, outcome.limit.rows)


def _departure(entering: _Pair, leaving: _Pair, *, crosses: bool) -> Departure:
    marks = [row if row is not None and row.effective_dscp is not None else None for row in (entering[0], leaving[0])]
    limits = [row if row is not None and row.rate_kbps is not None else None for row in (entering[1], leaving[1])]
    limited = tuple(row for row in limits if row is not None)
    if not crosses:
        return Departure(marked_by=marks[1] or marks[0], limited_by=limited)
    return Departure(
        marked_by=marks[0],
        limited_by=limited if limits[1] is None else limited[:-1],
        received_by=() if limits[1] is None else limited[-1:],
        late=marks[1],
    )


def is_own_row(row: CandidateRow, promise: Promise) -> bool:
    """Whether a row says that it is of a promise's rule; one that names the object alone may be of any of its rules."""
    if row.object != promise.object_name:
        return False
    if promise.kind is PromiseKind.RULE:
        return not row.rule or promise.path == f"spec.egress[{row.rule}]"
    return row.rule == promise.path
