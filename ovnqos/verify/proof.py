"""Whether OVN applies a row to sample packets, by ovn-trace."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

from ovnqos.compile.rows import Direction
from ovnqos.diagnostics import listed
from ovnqos.match import Verbatim
from ovnqos.southbound.ovn_trace import TraceFailed
from ovnqos.verify.findings import Finding, Realisation
from ovnqos.verify.packets import SwitchPorts
from ovnqos.verify.samples import choose_samples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ovnqos.match import NamedSets
    from ovnqos.southbound.contents import QosFlow, SwitchDatapath
    from ovnqos.southbound.trace import FlowEffect, Trace
    from ovnqos.verify.checks import FlowTable
    from ovnqos.verify.samples import AnalysedMatch, Samples

_PIPELINE: Final = re.compile(r"\s*(ingress|egress)\(dp=")
_STAGE: Final = re.compile(r"\s*(?P<table>[0-9]+)\. (?P<stage>\w+)")
_NO_GROUP: Final = "expecting port group name"


class Tracer(Protocol):
    """Runs packets through the logical flows of a Southbound; `OvnTrace` is one."""

    def run(self, switch: str, microflow: str) -> Trace:
        """Send a packet through the logical flows of a switch."""


class Prover:
    """Traces sample packets of rows; each packet once, as the flows of a row share packets."""

    def __init__(
        self,
        flows: FlowTable,
        analyse: Callable[[str], AnalysedMatch],
        names: NamedSets,
        tracer: Tracer,
        name_row: Callable[[str, str, int, str], str],
    ) -> None:
        """Start without traces.

        Args:
            flows: the flows of the Southbound.
            analyse: analyses a match.
            names: the members of the Southbound's sets.
            tracer: runs the packets.
            name_row: returns the name of the row with this switch, direction, priority and match.
        """
        self._flows = flows
        self._analyse = analyse
        self._names = names
        self._tracer = tracer
        self._name_row = name_row
        self._traces: dict[tuple[str, str], Trace] = {}
        self._ports: dict[str, SwitchPorts] = {}  # by datapath

    def prove(self, finding: Finding, flows: Sequence[QosFlow], switch: SwitchDatapath) -> Finding:
        """Prove by sample packets that OVN realises a row, all of whose flows are there.

        Raises:
            SouthboundUnavailable: no server answers.
        """
        partly: dict[str, None] = {}
        effects: list[str] = []
        proof = finding
        if switch.uuid not in self._ports:
            self._ports[switch.uuid] = SwitchPorts(switch.ports)
        for flow in flows:
            above = self._flows.above(flow, switch.uuid)
            samples = choose_samples(
                self._analyse(flow.effect.match),
                self._ports[switch.uuid],
                self._names,
                [self._analyse(one.effect.match) for one in above],
                leaving=flow.effect.direction is Direction.TO_LPORT,
            )
            shadowed_by = tuple(
                dict.fromkeys(self._name(finding.switch, above[one].effect) for one in samples.shadowed_by)
            )
            proof = self._prove_flow(proof, flow, switch.ports, samples, shadowed_by)
            if proof.verdict is not Realisation.REALISED:
                return proof
            effects.append(_effect(flow.effect))
            if shadowed_by:
                partly[f"partly shadowed by {listed(shadowed_by)}"] = None
        return proof.but(Realisation.REALISED, f"{proof.reason}: {', '.join(effects)}", details=tuple(partly))

    def _prove_flow(
        self, finding: Finding, flow: QosFlow, ports: Iterable[str], samples: Samples, shadowed_by: Sequence[str]
    ) -> Finding:
        """What the samples show of one flow; of a realised one the reason is the packet."""
        if not samples.packets:
            return self._without_sample(finding, flow, ports)
        winners: dict[str, None] = {}
        lost: list[str] = []
        for packet in samples.packets:
            try:
                trace = self._trace(finding.switch, packet.microflow)
            except TraceFailed as error:
                return finding.but(Realisation.UNPROVEN, f"not traced: {error}")
            if fault := _fault(trace, flow):
                return _broken(finding, fault)
            hit = next((one for one in trace.hits if one.stage == flow.effect.stage), None)
            if hit is None:
                lost.append(_where_ended(trace, flow))
            elif hit == flow.effect:
                return replace(finding.but(Realisation.REALISED, str(packet)), sample=packet.microflow)
            else:
                winners[self._name(finding.switch, hit)] = None
        finding = replace(finding, sample=samples.packets[0].microflow)
        if winners or not samples.reaches:
            return finding.but(
                Realisation.SHADOWED,
                f"shadowed by {listed(winners | dict.fromkeys(shadowed_by))}: no sample packet reaches it",
                "raise its priority, or narrow the match of the row above",
            )
        if any(lost) or not samples.sure:
            why = next((one for one in lost if one), "no packet is certain to match")
            return finding.but(Realisation.UNPROVEN, f"{why} (tried {samples.packets[0]})")
        return finding.but(
            Realisation.INEFFECTIVE,
            f"no effect on a packet that it matches: {samples.packets[0]}",
            f"see what OVN does: ovn-trace {finding.switch} '{finding.sample}'",
        )

    def _without_sample(self, finding: Finding, flow: QosFlow, ports: Iterable[str]) -> Finding:
        # a match that OVN cannot parse may well be one that no packet fulfils: any packet makes ovn-trace report it
        for port in sorted(ports)[:1]:
            try:
                trace = self._trace(finding.switch, f"inport == {json.dumps(port)}")
            except TraceFailed as error:
                return finding.but(Realisation.UNPROVEN, f"not traced: {error}")
            if fault := _fault(trace, flow):
                return _broken(finding, fault)
        analysed = self._analyse(finding.row.content.match)
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
            self._traces[key] = self._tracer.run(switch, microflow)
        return self._traces[key]

    def _name(self, switch: str, flow: FlowEffect) -> str:
        return self._name_row(switch, flow.direction, flow.priority, flow.match)


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
