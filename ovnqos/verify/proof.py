"""Whether OVN applies a row to sample packets, by ovn-trace."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from ovnqos.compile.rows import Direction
from ovnqos.diagnostics import listed
from ovnqos.explain.explanation import QosAction
from ovnqos.match import Verbatim
from ovnqos.southbound.ovn_trace import TraceFailed
from ovnqos.verify.findings import Finding, Realisation
from ovnqos.verify.packets import SwitchPorts
from ovnqos.verify.samples import Sampler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ovnqos.match import NamedSets
    from ovnqos.southbound.contents import QosFlow, SwitchDatapath
    from ovnqos.southbound.flow_table import FlowTable
    from ovnqos.southbound.trace import FlowEffect, Trace
    from ovnqos.verify.checks import RowsOfFlows
    from ovnqos.verify.samples import AnalysedMatch, Samples

_PIPELINE: Final = re.compile(r"\s*(ingress|egress)\(dp=")
_STAGE: Final = re.compile(r"\s*(?P<table>[0-9]+)\. (?P<stage>\w+)")
_NO_GROUP: Final = "expecting port group name"


class Tracer(Protocol):
    """Runs packets through the logical flows of a Southbound; `OvnTrace` is one."""

    def run(self, switch: str, microflow: str) -> Trace:
        """Send a packet through the logical flows of a switch."""


class _Judged(NamedTuple):
    """The judgement on one action of a row, for one IP version."""

    action: QosAction
    version: int
    finding: Finding


class Prover:
    """Judges rows by sample packets: by what they leave the switch with. Each packet is traced once."""

    def __init__(
        self,
        flows: FlowTable,
        analyse: Callable[[str], AnalysedMatch],
        names: NamedSets,
        tracer: Tracer | None,
        rows: RowsOfFlows,
    ) -> None:
        """Start without traces.

        Args:
            flows: the flows of the Southbound.
            analyse: analyses a match.
            names: the members of the Southbound's sets.
            tracer: runs the packets; None: only ties are found.
            rows: the rows of all owners.
        """
        self._flows = flows
        self._analyse = analyse
        self._names = names
        self._tracer = tracer
        self._rows = rows
        self._traces: dict[tuple[str, str], Trace] = {}
        self._ports: dict[str, SwitchPorts] = {}  # by datapath

    def prove(self, finding: Finding, flows: Sequence[QosFlow], switch: SwitchDatapath) -> Finding:
        """Prove by sample packets that OVN realises a row, all of whose flows are there.

        Raises:
            SouthboundUnavailable: no server answers.
        """
        if switch.uuid not in self._ports:
            self._ports[switch.uuid] = SwitchPorts(switch.ports)
        ports = self._ports[switch.uuid]
        for flow in flows:
            if tied := self._find_tie(finding, flow, switch.uuid, ports):
                return tied
        if self._tracer is None:
            return finding
        judged: list[_Judged] = []
        for flow in flows:
            terms = self._analyse(flow.effect.match).terms.items
            allowed = {version for term in terms for version in term.versions}
            for version in sorted(allowed & ports.versions or allowed) or [4]:
                judged.extend(self._judge(finding, flow, version, switch.uuid, ports))
        if not judged:
            return finding.but(Realisation.UNPROVEN, "it sets neither a DSCP mark nor a limit")
        return _combine(judged, ", ".join(_effect(flow.effect) for flow in flows))

    def _find_tie(self, finding: Finding, flow: QosFlow, datapath: str, ports: SwitchPorts) -> Finding | None:
        """Find a packet that another flow of equal priority takes, too: ovn-trace may break ties as OVN does not."""
        equal = self._flows.equal(flow, datapath)
        if not equal:
            return None
        above = [self._analyse(one.effect.match) for one in self._flows.above(flow, datapath)]
        sampler = Sampler(ports, self._names, ports.versions, leaving=flow.effect.direction is Direction.TO_LPORT)
        row = self._analyse(flow.effect.match)
        for other in equal:
            if sample := sampler.find_tie(row, self._analyse(other.effect.match), above):
                name = self._name(finding.switch, other.effect)
                reason = f"conflicts with {name}: OVN applies either to the packet from {sample}"
                tied = finding.but(Realisation.UNDEFINED, reason, "change one priority")
                return replace(tied, sample=sample.microflow)
        return None

    def _judge(
        self, finding: Finding, flow: QosFlow, version: int, datapath: str, ports: SwitchPorts
    ) -> Iterator[_Judged]:
        """Judge the actions of a flow by samples of one IP version."""
        above, later = self._flows.above(flow, datapath), self._flows.later(flow, datapath)
        samples = Sampler(ports, self._names, {version}, leaving=flow.effect.direction is Direction.TO_LPORT).choose(
            self._analyse(flow.effect.match),
            [self._analyse(one.effect.match) for one in above],
            [self._analyse(one.effect.match) for one in later],
        )
        takers = [above[place].effect for place in samples.shadowed_by]
        shadowed_by = [self._name(finding.switch, one) for one in takers]
        result, traces = self._prove_flow(finding, flow, ports.names, samples, takers)
        if result.verdict is Realisation.REALISED and shadowed_by:
            result = replace(result, details=(*result.details, f"partly shadowed by {listed(set(shadowed_by))}"))
        if flow.effect.meter is not None:
            yield _Judged(QosAction.LIMIT, version, result)
        if flow.effect.dscp is None:
            return
        if result.verdict is Realisation.REALISED:
            last = [_last_mark(trace) for trace in traces]
            replaced = [mark for mark in last if mark is not None and mark.dscp != flow.effect.dscp]
            names = dict.fromkeys(f"dscp={one.dscp} by {self._name(finding.switch, one)}" for one in replaced)
            re_marked_by = {self._name(finding.switch, later[place].effect) for place in samples.re_marked_by}
            if traces and len(replaced) == len(traces):
                reason = f"re-marked as it leaves the switch, with {listed(names)}: {samples.packets[0]}"
                result = result.but(Realisation.RE_MARKED, reason, "remove or narrow the row that marks later")
            elif re_marked_by:
                result = replace(result, details=(*result.details, f"partly re-marked by {listed(re_marked_by)}"))
        yield _Judged(QosAction.MARK, version, result)

    def _prove_flow(
        self, finding: Finding, flow: QosFlow, ports: Iterable[str], samples: Samples, takers: Sequence[FlowEffect]
    ) -> tuple[Finding, list[Trace]]:
        """What the samples show of one flow, and the traces of those that it takes.

        Of a realised one the reason is the packet.
        """
        if not samples.packets:
            return self._without_sample(finding, flow, ports), []
        winners: dict[FlowEffect, None] = {}
        lost: list[str] = []
        taken: list[Trace] = []
        for packet in samples.packets:
            try:
                trace = self._trace(finding.switch, packet.microflow)
            except TraceFailed as error:
                return finding.but(Realisation.UNPROVEN, f"not traced: {error}"), []
            if fault := _fault(trace, flow):
                return _broken(finding, fault), []
            hit = next((one for one in trace.hits if one.stage == flow.effect.stage), None)
            if hit is None:
                lost.append(_where_ended(trace, flow))
            elif hit == flow.effect:
                taken.append(trace)
                if not taken[1:]:
                    finding = replace(finding.but(Realisation.REALISED, str(packet)), sample=packet.microflow)
                mark = _last_mark(trace)
                if hit.dscp is None or mark is None or mark.dscp == hit.dscp:
                    return finding, taken
            else:
                winners[hit] = None
        if taken:
            return finding, taken
        finding = replace(finding, sample=samples.packets[0].microflow)
        if winners or not samples.reaches:
            return self._shadowed(finding, samples, list(winners | dict.fromkeys(takers))), []
        if any(lost) or not samples.sure:
            why = next((one for one in lost if one), "no packet is certain to match")
            return finding.but(Realisation.UNPROVEN, f"{why} (tried {samples.packets[0]})"), []
        return (
            finding.but(
                Realisation.INEFFECTIVE,
                f"no effect on a packet that it matches: {samples.packets[0]}",
                f"see what OVN does: ovn-trace {finding.switch} '{finding.sample}'",
            ),
            [],
        )

    def _shadowed(self, finding: Finding, samples: Samples, takers: Sequence[FlowEffect]) -> Finding:
        """The finding on a row that no sample reaches; it is realised if rows that have joined it take them."""
        names = listed({self._name(finding.switch, one) for one in takers})
        if takers and all(self._rows.has_joined(finding, one) for one in takers):
            return finding.but(Realisation.REALISED, f"{samples.packets[0]}, by {names}")
        reason = f"shadowed by {names}: no sample packet reaches it"
        return finding.but(Realisation.SHADOWED, reason, "raise its priority, or narrow the match of the row above")

    def _without_sample(self, finding: Finding, flow: QosFlow, ports: Iterable[str]) -> Finding:
        # a match that OVN cannot parse may well be one that no packet fulfils: any packet makes ovn-trace report it
        for port in sorted(ports)[:1]:
            try:
                trace = self._trace(finding.switch, f"inport == {json.dumps(port)}")
            except TraceFailed as error:
                return finding.but(Realisation.UNPROVEN, f"not traced: {error}")
            if fault := _fault(trace, flow):
                return _broken(finding, fault)
        analysed = self._analyse(flow.effect.match)
        if isinstance(analysed.match, Verbatim):
            return finding.but(Realisation.UNPROVEN, "no sample packet: ovnqos cannot parse its match")
        if analysed.terms:
            reason = "no port of this switch sends a packet that it matches"
        else:
            reason = "its match excludes every packet"
        return finding.but(Realisation.IDLE, reason, "if it should match packets, run `ovnqos diff`")

    def _trace(self, switch: str, microflow: str) -> Trace:
        key = switch, microflow
        if key not in self._traces:
            assert self._tracer is not None  # else nothing is traced
            self._traces[key] = self._tracer.run(switch, microflow)
        return self._traces[key]

    def _name(self, switch: str, flow: FlowEffect) -> str:
        return self._rows.name_flow(switch, flow)


_BY_WEIGHT: Final = (
    Realisation.BROKEN,
    Realisation.INEFFECTIVE,
    Realisation.SHADOWED,
    Realisation.RE_MARKED,
    Realisation.UNPROVEN,
    Realisation.IDLE,
)
"""Verdicts of parts of a row, the one that stands for all of it where none of them is realised first."""


def _combine(judged: Sequence[_Judged], effects: str) -> Finding:
    """The finding on a row, from those on its actions and IP versions; `effects` is what it does, for people."""
    counted = [one for one in judged if one.finding.verdict is not Realisation.IDLE] or judged
    realised = [one.finding for one in counted if one.finding.verdict is Realisation.REALISED]
    others = [one for one in counted if one.finding.verdict is not Realisation.REALISED]
    details = tuple(dict.fromkeys(detail for one in counted for detail in one.finding.details))
    said: dict[str, None] = {}
    for one in others:
        alike = [other for other in counted if other.finding.verdict is one.finding.verdict]
        said[_of_what(one, alike, counted) + one.finding.reason] = None
    reasons = tuple(said)
    if not others:
        first = realised[0]
        return replace(first, reason=f"{first.reason}: {effects}", details=details)
    worst = min(others, key=lambda one: _BY_WEIGHT.index(one.finding.verdict)).finding
    if not realised or worst.verdict in {Realisation.BROKEN, Realisation.INEFFECTIVE}:
        return replace(worst, details=details)
    if worst.verdict is Realisation.UNPROVEN:
        return replace(realised[0], reason=f"{realised[0].reason}: {effects}", details=(*details, *reasons))
    return replace(worst.but(Realisation.PARTLY, "; ".join(reasons), worst.hint), details=details, sample=worst.sample)


def _of_what(one: _Judged, alike: Sequence[_Judged], all_of_them: Sequence[_Judged]) -> str:
    """Which part of a row a finding is about, where others are judged otherwise."""
    words = []
    if {other.action for other in alike} != {other.action for other in all_of_them}:
        words.append(str(one.action))
    if {other.version for other in alike} != {other.version for other in all_of_them}:
        words.append(f"IPv{one.version}")
    return f"{', '.join(words)}: " if words else ""


def _last_mark(trace: Trace) -> FlowEffect | None:
    """The flow that set the mark with which a packet left."""
    return next((hit for hit in reversed(trace.hits) if hit.dscp is not None), None)


def _fault(trace: Trace, flow: QosFlow) -> str:
    """Why OVN cannot parse a flow's match; empty if it can."""
    reason = trace.faults.get(flow.effect.match, "")
    # of a group whose ports are all on other switches: rows that are alike on several are checked apart before this
    return "" if _NO_GROUP in reason else reason


def _broken(finding: Finding, reason: str) -> Finding:
    return finding.but(
        Realisation.BROKEN,
        f"OVN cannot parse its match and ignores it: {reason.rstrip('.')}",
        "correct the match; if it was changed by hand, run `ovnqos apply`",
    )


def _effect(flow: FlowEffect) -> str:
    """What a flow does, as `ovn-nbctl qos-list` shows it."""
    meter = flow.meter
    parts = [
        *([f"rate={meter.rate_kbps}"] if meter is not None else []),
        *([f"burst={meter.burst_kbit}"] if meter is not None and meter.burst_kbit is not None else []),
        *([f"dscp={flow.dscp}"] if flow.dscp is not None else []),
    ]
    return " ".join(parts)


def _where_ended(trace: Trace, flow: QosFlow) -> str:
    """Where a packet ended before it came to a flow's stage; empty if it came there.

    A packet that is not dropped shows a later stage, if only the one that outputs it; from OVN 24.09 the trace of a
    drop by an ACL does not have the word (ovn-trace of OVN 23.03 and 25.03, seen).
    """
    pipelines: list[str] = []
    last, passed = "", False
    for line in trace.text.splitlines():
        if begin := _PIPELINE.match(line):
            if begin[1] in pipelines:
                break  # the next switch or router, or the next receiver of a multicast
            pipelines.append(begin[1])
        elif found := _STAGE.match(line):
            last = found["stage"]
            own = pipelines[-1:] == ["egress" if flow.effect.direction is Direction.TO_LPORT else "ingress"]
            passed = passed or (own and int(found["table"]) >= flow.table)
    return "" if passed else f"the packet ends before the row, in {last or 'no stage'}"
