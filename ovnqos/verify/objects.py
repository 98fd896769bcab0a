"""Whether a Northbound, by all rows in it, does to packets what objects promise, whoever writes the rows."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from dataclasses import replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Final, NamedTuple

from ovnqos.compile.promises import PromiseKind
from ovnqos.errors import InvalidObject
from ovnqos.explain.pipeline import PipelineVersion
from ovnqos.match.terms import ANY_PACKET, Term
from ovnqos.model.policy import Bandwidth
from ovnqos.southbound.ovn_trace import TraceFailed
from ovnqos.southbound.trace import find_disagreements
from ovnqos.verify.effects import ActualEffects, PromisedEffects, is_own_row
from ovnqos.verify.object_findings import Difference, ObjectFinding, ObjectReport, ObjectVerdict
from ovnqos.verify.packets import SwitchPorts, packets_around_term

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from netaddr import IPAddress

    from ovnqos.compile.inventory import Inventory
    from ovnqos.compile.promises import Promise, Promises
    from ovnqos.explain.explanation import CandidateRow
    from ovnqos.match import Packet
    from ovnqos.plan.snapshot import Snapshot
    from ovnqos.southbound.contents import SouthboundContents
    from ovnqos.southbound.packet_path import PacketPath
    from ovnqos.verify.effects import Departure, Promised
    from ovnqos.verify.proof import Tracer
    from ovnqos.verify.samples import AnalysedMatch

_FIRST_TERM: Final = 160
"""Packets around the first term of a match, and IP version; it varies over the values at which any match changes."""
_FURTHER_TERM: Final = 8
"""Packets around each further one."""
_TERMS_OF_ROW: Final = 16
"""Terms of an actual row that are looked at."""
_ROWS_MAXIMUM: Final = 32
"""Rows of others on a switch at whose values packets are tried, too."""
_TRACES: Final = 6
"""Packets of a finding that are traced: of those that the same rows take one each."""


def verify_objects(  # noqa: PLR0913 - what is held against what, and keywords
    promises: Promises,
    inventory: Inventory,
    snapshot: Snapshot,
    southbound: SouthboundContents,
    *,
    tracer: Tracer | None = None,
    without_meter: Collection[str] = (),
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> ObjectReport:
    """Hold a Northbound against what objects promise, by sample packets. No I/O except by the tracer.

    Args:
        promises: of the objects.
        inventory: the pods of the objects.
        snapshot: the Northbound.
        southbound: its Southbound, read after it: ports, and how OVN looks rows up.
        tracer: runs the packets through the Southbound's flows, too; None leaves that out.
        without_meter: uuids of the rows for whose limit the chassis of this machine has no meter.
        progress: called with the number of promises that are done, and of all.

    Raises:
        SouthboundUnavailable: the tracer cannot reach the Southbound.
    """
    verifier = _ObjectVerifier(promises, inventory, snapshot, southbound, tracer=tracer, without_meter=without_meter)
    findings = []
    for done, promise in enumerate(promises.items):
        progress(done, len(promises.items))
        findings.append(verifier.verify(promise))
    progress(len(promises.items), len(promises.items))
    return ObjectReport(findings=tuple(findings))


class _Sample(NamedTuple):
    """A packet on a switch."""

    switch: str
    path: PacketPath
    crosses: bool


class _Outcome(NamedTuple):
    """How a promise stands for one packet: kept, not kept, or (None) not defined."""

    kept: bool | None
    is_lacking: bool
    difference: Difference


class _ObjectVerifier:
    def __init__(  # noqa: PLR0913 - what is held against what, and keywords
        self,
        promises: Promises,
        inventory: Inventory,
        snapshot: Snapshot,
        southbound: SouthboundContents,
        *,
        tracer: Tracer | None,
        without_meter: Collection[str],
    ) -> None:
        self._without_meter = without_meter
        self._names = promises.names
        self._promised = PromisedEffects(promises)
        self._snapshot = snapshot
        self._southbound = southbound
        self._tracer = tracer
        versions = sorted(southbound.pipeline_versions) or tuple(PipelineVersion)
        self._actual = ActualEffects(snapshot, snapshot.named_sets(southbound.address_sets), versions)
        self._nodes = {one.port: record.pod.node for record in inventory.all_pods() for one in record.interfaces}
        live = {address for record in inventory.all_pods() for one in record.interfaces for address in one.addresses}
        self._unused = _finished_addresses(inventory) - live
        self._ports: dict[str, SwitchPorts] = {}

    def verify(self, promise: Promise) -> ObjectFinding:
        """Judge a promise by packets of each of its ports."""
        finding = ObjectFinding.of(promise)
        if not promise.switches:
            return replace(finding, reason="no pod of this zone sends such packets")
        ports_of: dict[str, list[str]] = defaultdict(list)
        for port, switch in sorted(promise.switches.items()):
            if port in self._switch(switch).ports:
                ports_of[switch].append(port)
        if not ports_of:
            return replace(finding, reason="no port of its pods is on a logical switch yet")
        outcomes: dict[tuple[object, ...], _Outcome] = {}
        packets = 0
        kept = False
        met: set[object] = set()
        for sample in chain.from_iterable(self._samples(promise, *place, met) for place in ports_of.items()):
            for signature, outcome in self._judge(promise, sample):
                packets += 1
                kept = kept or outcome.kept is True
                outcomes.setdefault(signature, outcome)
        if not packets:
            return replace(
                finding, reason="no packet that it is for can be built, or rules of higher priority take all"
            )
        return self._conclude(replace(finding, packets=packets), list(outcomes.values()), kept=kept)

    def _switch(self, name: str) -> SwitchPorts:
        if name not in self._ports:
            datapath = self._southbound.switches.get(self._snapshot.switches.get(name, ""))
            self._ports[name] = SwitchPorts(datapath.ports if datapath is not None else {})
        return self._ports[name]

    # Packets

    def _samples(self, promise: Promise, switch: str, ports: Sequence[str], met: set[object]) -> Iterator[_Sample]:
        """Packets on a switch: around the promise's match from one port, and one of each IP version from the others.

        Args:
            promise: what is judged.
            switch: where packets enter, or for `INGRESS` leave.
            ports: by which they do, one at least.
            met: the rows beside which packets around the match were taken already; others need no second look.
        """
        known = self._switch(switch)
        analysed = self._promised.analysed(promise)
        own, near = self._rows_beside(promise, switch, analysed, ports)
        beside = frozenset(row.identity for row in (*own, *near))
        is_new = (beside, known.versions) not in met
        met.add((beside, known.versions))
        matches = [self._actual.analysed(row) for row in (*own, *near)] if is_new else []
        edges = [*analysed.edges, *(edge for one in matches for edge in one.edges)]
        field = "outport" if promise.kind is PromiseKind.INGRESS else "inport"
        tried: set[tuple[object, ...]] = set()
        for version in sorted(known.versions):
            for port in ports:
                place = Term({field: frozenset({port})}, {})
                terms = _joined(analysed.terms.items, place)
                receivers = self._receivers(port, known, version)
                around = [(term, 1 + len(receivers)) for term in terms[:1]]
                if is_new and port == ports[0]:
                    of_rows = [_joined(one.terms.items[:_TERMS_OF_ROW], place) for one in matches]
                    both = (_joined(some, term) for some in of_rows for term in terms[:_TERMS_OF_ROW])
                    around = [(term, _FIRST_TERM if term is terms[0] else _FURTHER_TERM) for term in terms]
                    around += [(term, 2) for some in chain(of_rows[: len(own)], both) for term in some]
                for term, most in around:
                    every = packets_around_term(term, known, edges, version, receivers)
                    natural = (path for path in every if self._is_natural(path.packet, known))
                    for path in islice(natural, most):
                        if (key := _key(path.packet)) not in tried:
                            tried.add(key)
                            yield _Sample(switch, path, self._crosses(path.packet, known))

    def _rows_beside(
        self, promise: Promise, switch: str, analysed: AnalysedMatch, ports: Sequence[str]
    ) -> tuple[list[CandidateRow], list[CandidateRow]]:
        """The object's own rows on a switch, and others that overlap what it promises: packets meet them."""
        rows = self._actual.rows.get(switch, ())
        place = Term({"outport" if promise.kind is PromiseKind.INGRESS else "inport": frozenset(ports)}, {})
        common = _common_term(analysed, place)
        others = (row for row in rows if row.object != promise.object_name)
        near = (row for row in others if any(map(common.overlaps, self._actual.terms(row).items)))
        return [row for row in rows if row.object == promise.object_name], list(islice(near, _ROWS_MAXIMUM))

    def _is_natural(self, packet: Packet, switch: SwitchPorts) -> bool:
        """Whether somebody may send a packet, and an object's promise may be about it.

        Nobody sends to the address of a finished pod, which sets may hold, and no promise is about neighbour discovery.
        """
        is_ping = packet.icmp_type is None
        return is_ping and switch.is_natural(packet) and str(packet.destination) not in self._unused

    def _receivers(self, port: str, switch: SwitchPorts, version: int) -> list[IPAddress]:
        """The address of a pod on the same node, and of one on another node of the same switch."""
        found: dict[bool, IPAddress] = {}
        for other in switch.ports.values():
            address = next((one for one in other.addresses if one.version == version), None)
            if other.name != port and not other.is_router and address is not None:
                found.setdefault(self._nodes.get(other.name) == self._nodes.get(port), address)
            if len(found) > 1:
                break
        return list(found.values())

    def _crosses(self, packet: Packet, switch: SwitchPorts) -> bool:
        """Whether a packet leaves its switch on another chassis than it entered."""
        ends = [self._nodes.get(port or "") for port in (packet.inport, packet.outport)]
        if None in ends or "" in ends:
            known = [switch.ports.get(port or "") for port in (packet.inport, packet.outport)]
            if any(port is None or port.is_router for port in known):
                return False
            ends = [port.chassis for port in known if port is not None]
        return bool(ends[0] and ends[1]) and ends[0] != ends[1]

    # Judgement

    def _judge(self, promise: Promise, sample: _Sample) -> Iterator[tuple[tuple[object, ...], _Outcome]]:
        """How a promise stands for a packet, by each way in which OVN may look rows up."""
        packet = sample.path.packet
        if not self._promised.may_be_for(promise, packet) and not self._actual.may_touch(
            promise, sample.switch, packet
        ):
            return  # most packets: nothing is promised, and nothing done
        explanation = None
        for version in self._actual.versions:
            promised = self._promised.of(packet, version)
            is_decided = promise is promised.mark or promise in promised.limits or promise in promised.conflicts
            is_outside = promise not in promised.taking
            if not (is_decided or is_outside):
                continue  # another rule's packet
            explanation = explanation or self._actual.explain(sample.switch, packet)
            departures = self._actual.departures(explanation, version, crosses=sample.crosses)
            verdicts = {is_kept(promise, promised, one) for one in departures}
            if promise in promised.conflicts:
                verdicts |= {True, False}
            if is_outside and verdicts == {True}:
                continue  # nothing is promised, and nothing done
            kept = verdicts.pop() if len(verdicts) == 1 else None
            difference = Difference(
                switch=sample.switch, path=sample.path, promised=promised, actual=departures, version=version
            )
            rows = tuple(sorted({row.identity for one in departures for row in one.rows}))
            signature = (kept, is_outside, sample.crosses, packet.version, rows)
            lacking = not is_outside and all(_lacks(promise, promised, one) for one in departures)
            yield signature, _Outcome(kept, lacking, difference)

    def _conclude(self, finding: ObjectFinding, outcomes: Sequence[_Outcome], *, kept: bool) -> ObjectFinding:
        wrong = [one for one in outcomes if one.kept is False]
        touched = next((one for one in wrong if not one.is_lacking), None)
        if touched is not None:
            return finding.but(ObjectVerdict.DIFFERS, touched.difference)
        if open_ := next((one for one in outcomes if one.kept is None), None):
            return finding.but(ObjectVerdict.UNDEFINED, open_.difference)
        if wrong:
            return finding.but(ObjectVerdict.PARTLY if kept else ObjectVerdict.MISSING, wrong[0].difference)
        for one in outcomes:
            limiting = (row for departure in one.difference.actual for row in departure.limited_by)
            if lost := next((row for row in limiting if row.identity in self._without_meter), None):
                why = f"the chassis of this machine has no meter for {lost.name}: all packets pass"
                return finding.but(ObjectVerdict.DIFFERS, one.difference, instead=why)
        return self._trace(finding.but(ObjectVerdict.IN_FORCE, outcomes[0].difference), outcomes)

    def _trace(self, finding: ObjectFinding, outcomes: Iterable[_Outcome]) -> ObjectFinding:
        """Have ovn-trace confirm what a promise in force rests on."""
        if self._tracer is None:
            return finding
        traced = 0
        for one in islice(outcomes, _TRACES):
            difference = one.difference
            explanation = self._actual.explain(difference.switch, difference.path.packet)
            try:
                trace = self._tracer.run(difference.switch, difference.path.microflow)
            except TraceFailed as error:
                return replace(finding, details=(f"not traced: {error}",))
            if not trace.leaves:
                continue  # an ACL may have dropped it before any row
            if found := find_disagreements(explanation, trace):
                return finding.but(ObjectVerdict.DIFFERS, difference, instead=f"ovn-trace: {'; '.join(found)}")
            traced += 1
        details = () if traced else ("not traced: no sample packet leaves its switch",)
        return replace(finding, traced=traced, details=details)


def _key(packet: Packet) -> tuple[object, ...]:
    """What tells the packets of one switch and way in apart."""
    numbers = (packet.protocol, packet.source_port, packet.destination_port, packet.icmp_type)
    return (packet.inport, packet.outport, int(packet.source), int(packet.destination), packet.next_hop, *numbers)


def _finished_addresses(inventory: Inventory) -> set[str]:
    """The addresses of pods that are completed or failed."""
    found: set[str] = set()
    for pod in inventory.pods_without_interfaces():
        if not pod.host_network:
            with suppress(InvalidObject):
                found.update(address for one in inventory.topology.interfaces(pod) for address in one.addresses)
    return found


def _joined(terms: Iterable[Term], place: Term) -> list[Term]:
    """Terms of the packets that fulfil these terms and another one; none where they exclude each other."""
    return [both for term in terms if (both := term.join(place)) is not None]


def _common_term(analysed: AnalysedMatch, place: Term) -> Term:
    """One term that all packets of a match from some ports fulfil."""
    only = analysed.terms.items
    joined = only[0].join(place) if len(only) == 1 else place
    return joined or ANY_PACKET


def is_kept(promise: Promise, promised: Promised, departure: Departure) -> bool:
    """Whether a packet leaves with what one promise is about, and the object's own rows do nothing else to it."""
    if promise is promised.mark and departure.dscp != promise.dscp:
        return False
    if promise in promised.limits and not _is_limited(promise, promised, _meters(promise, departure)):
        return False
    return not any(_exceeds(row, promise, promised) for row in departure.rows)


def _lacks(promise: Promise, promised: Promised, departure: Departure) -> bool:
    """Whether a packet gets nothing of the kind that it is promised, where others get something else."""
    unmarked = promise is not promised.mark or departure.dscp is None
    if promise not in promised.limits:
        return unmarked
    others = {one.limit for one in promised.limits if one is not promise}
    return unmarked and all(_limit_of(row) in others for row in _meters(promise, departure))


def _meters(promise: Promise, departure: Departure) -> tuple[CandidateRow, ...]:
    """The rows whose limits count for a promise: of a receiver's limit those at its own chassis, too."""
    is_ingress = promise.kind is PromiseKind.INGRESS
    return departure.limited_by + (departure.received_by if is_ingress else ())


def _limit_of(row: CandidateRow) -> Bandwidth:
    return Bandwidth(rate_kbps=row.rate_kbps or 0, burst_kbit=row.burst_kbit)


def _is_limited(promise: Promise, promised: Promised, meters: Iterable[CandidateRow]) -> bool:
    """Whether a packet passes a promised limit, or, where each port has one of its own, a lower one promised to it."""
    limit = promise.limit
    assert limit is not None  # only limits are asked for
    enough = {limit}
    if promise.is_per_port:
        enough |= {
            other.limit
            for other in promised.limits
            if other.limit is not None and other.is_per_port and _tightness(other.limit) <= _tightness(limit)
        }
    return any(_limit_of(row) in enough for row in meters)


def _tightness(limit: Bandwidth) -> tuple[int, int]:
    return limit.rate_kbps, limit.rate_kbps if limit.burst_kbit is None else limit.burst_kbit


def _exceeds(row: CandidateRow, promise: Promise, promised: Promised) -> bool:
    """Whether a row of the promise's rule does what nobody promises to the packet."""
    if not is_own_row(row, promise):
        return False
    limits = {(one.limit.rate_kbps, one.limit.burst_kbit) for one in promised.taking if one.limit is not None}
    marks = {one.dscp for one in promised.taking}
    marked = row.effective_dscp is not None and row.effective_dscp not in marks
    return marked or (row.rate_kbps is not None and (row.rate_kbps, row.burst_kbit) not in limits)
