"""What the QoS stages of a logical switch did to a packet, parsed from `ovn-trace --detailed`, against an explanation.

Only that form names the stages, and shows meters at all (ovn-trace of OVN 23.03 and 25.03, seen).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from ovnqos.compile.rows import Direction
from ovnqos.explain.explanation import Effect
from ovnqos.explain.pipeline import QOS_STAGES, direction_of_stage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ovnqos.explain.explanation import Explanation, Lookup

_UNDERLINE: Final = re.compile(r"\s*-{5,}")
_PIPELINE: Final = re.compile(r'\s*(?P<pipeline>ingress|egress)\(dp=(?P<datapath>"(?:[^"\\]|\\.)*")')
_FLOW: Final = re.compile(
    r"\s*[0-9]+\. (?P<stage>\w+)(?: \([^)]*\))?: (?P<match>.*), priority (?P<priority>[0-9]+), uuid [0-9a-f]+",
    re.DOTALL,
)
_TABLE: Final = re.compile(r"\s*[0-9]+\. \w+")
_DSCP: Final = re.compile(r"\s*ip\.dscp = ([0-9]+);")
_METER: Final = re.compile(r"\s*set_meter\(([0-9]+)(?:, ([0-9]+))?\);")
_FAULT: Final = re.compile(
    # a match can be of several lines, but none of them starts another message
    r"^ovntrace\|WARN\|(?P<match>(?:(?!\n\w+\|[A-Z]+\|).)*?): parsing expression failed \((?P<reason>[^\n]*)\)$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """A limit that a packet is counted against: kbps (1000 bit/s), and kbit (1000 bit) unless OVN's default."""

    rate_kbps: int
    burst_kbit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowEffect:
    """What a logical flow of a QoS stage does to a packet that it takes.

    Attributes:
        stage: its name, e.g. `ls_out_qos_mark`; `ls_in_…` stands for from-lport, `ls_out_…` for to-lport.
        match: the flow's match, which is the row's.
        priority: the flow's priority, which is the row's.
        dscp: the mark it sets; None if it leaves the mark alone.
        meter: the limit it counts the packet against; None for no limit.
    """

    stage: str
    match: str
    priority: int
    dscp: int | None
    meter: Meter | None

    @property
    def direction(self) -> Direction:
        """The row's."""
        return direction_of_stage(self.stage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What the QoS stages did to a packet in the first pass through the switch that it entered.

    Attributes:
        text: all that ovn-trace printed.
        faults: matches of any flow in the Southbound that OVN cannot parse, sorted, and why; such a flow has no effect.
        hits: what each stage that did something did, in the order of the pipeline. A packet that rows of both
            directions take is counted against two limits.
        leaves: whether the packet came as far as the switch's egress pipeline.
    """

    text: str
    faults: Mapping[str, str] = field(default_factory=dict)
    hits: tuple[FlowEffect, ...] = ()
    leaves: bool = False

    @property
    def dscp(self) -> int | None:
        """The mark that the packet left with, 0 to 63; None if no row set one."""
        return next((hit.dscp for hit in reversed(self.hits) if hit.dscp is not None), None)

    @property
    def meter(self) -> Meter | None:
        """The last limit that the packet was counted against; None if there was none."""
        return next((hit.meter for hit in reversed(self.hits) if hit.meter is not None), None)


def read_faults(log: str) -> dict[str, str]:
    """Read the matches that OVN cannot parse, sorted, and the reasons, from a log of pattern `%c|%p|%m`."""
    return dict(sorted((found["match"], found["reason"]) for found in _FAULT.finditer(log)))


def read_trace(text: str, faults: Mapping[str, str]) -> Trace | None:
    """Read what `ovn-trace --detailed` printed; None where it refused to trace.

    Args:
        text: its output.
        faults: the matches that OVN cannot parse, and why.
    """
    lines, leaves = _first_pass(text)
    if not lines:
        return None
    return Trace(text=text, faults=faults, hits=tuple(_hits(lines)), leaves=leaves)


def _first_pass(text: str) -> tuple[list[str], bool]:
    """The lines of the first ingress pipeline and of the egress pipeline that follows it on the same datapath.

    A multicast packet has an egress pipeline for each port: the first counts. Headers of other kinds, such as
    `ct_next(…)`, stand within a pipeline.
    """
    kept: list[str] = []
    datapath, leaves = None, False
    for line, below in pairwise([*text.split("\n"), ""]):
        header = _PIPELINE.match(line) if _UNDERLINE.fullmatch(below) else None
        if header is not None:
            starts_again = header["pipeline"] == "ingress" or leaves or header["datapath"] != datapath
            if datapath is not None and starts_again:
                break
            datapath = header["datapath"]
            leaves = header["pipeline"] == "egress"
        elif datapath is not None:
            kept.append(line)
    return kept, leaves


def _hits(lines: list[str]) -> Iterator[FlowEffect]:
    for flow in _flows(lines):
        head = _FLOW.match("\n".join(flow))
        if head is None or head["stage"] not in QOS_STAGES:
            continue
        # what comes before the actions is a match, which cannot hold a statement
        dscps = [found for line in flow if (found := _DSCP.fullmatch(line))]
        meters = [found for line in flow if (found := _METER.fullmatch(line))]
        if dscps or meters:
            yield FlowEffect(
                stage=head["stage"],
                match=head["match"],
                priority=int(head["priority"]),
                dscp=int(dscps[-1][1]) if dscps else None,
                meter=Meter(rate_kbps=int(meters[-1][1]), burst_kbit=int(meters[-1][2]) if meters[-1][2] else None)
                if meters
                else None,
            )


def _flows(lines: list[str]) -> Iterator[list[str]]:
    """The lines of each flow: its stage, match, priority, and its actions below."""
    flow: list[str] = []
    for line in lines:
        if _TABLE.match(line):
            if flow:
                yield flow
            flow = [line]
        elif flow:
            flow.append(line)
    if flow:
        yield flow


def find_disagreements(explanation: Explanation, trace: Trace) -> tuple[str, ...]:
    """Find where OVN does something that an explanation excludes, one line a direction; none where it agrees.

    Where the explanation is not certain, any of its effects agrees. A packet that does not leave the switch is not
    looked up in `to-lport`, so that direction is not compared.
    """
    return tuple(filter(None, (_disagreement(lookup, trace) for lookup in explanation.lookups)))


def traced_effect(trace: Trace, direction: Direction) -> Effect:
    """What the QoS stages of one direction did to the packet of a trace."""
    hits = [hit for hit in trace.hits if hit.direction is direction]
    meter = next((hit.meter for hit in hits if hit.meter is not None), None)
    return Effect(
        dscp=next((hit.dscp for hit in hits if hit.dscp is not None), None),
        rate_kbps=meter.rate_kbps if meter else None,
        burst_kbit=meter.burst_kbit if meter else None,
    )


def _disagreement(lookup: Lookup, trace: Trace) -> str:
    allowed = {effect for outcome in lookup.outcomes.values() for effect in outcome.effects}
    traced = traced_effect(trace, lookup.direction)
    if traced in allowed or (lookup.direction is Direction.TO_LPORT and not trace.leaves):
        return ""
    hits = [hit for hit in trace.hits if hit.direction is lookup.direction]
    by = " and ".join(f"the row of priority {hit.priority} with match {hit.match}" for hit in hits)
    expected = " or ".join(sorted(map(str, allowed)))
    return f"{lookup.direction}: OVN applies {traced}{by and f' by {by}'}; explained: {expected}"
