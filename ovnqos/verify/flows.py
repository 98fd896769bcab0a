"""The logical flows that northd makes of a row, and those that it should have made."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

from ovnqos.explain.pipeline import PipelineVersion
from ovnqos.southbound.trace import Meter
from ovnqos.verify.findings import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ovnqos.plan.snapshot import RowContent
    from ovnqos.southbound.contents import QosFlow, SouthboundContents

ASK_NORTHD: Final = "see whether ovn-northd runs: `ovn-appctl -t ovn-northd status`, and its log"


class _Wanted(NamedTuple):
    stage: str
    dscp: int | None
    meter: Meter | None


class FlowTable:
    """The flows of the QoS stages, by datapath and stage, the highest priority first."""

    def __init__(self, contents: SouthboundContents) -> None:
        """Take them from what was read."""
        joined = PipelineVersion.JOINED in contents.pipeline_versions
        self._version = PipelineVersion.JOINED if joined else PipelineVersion.SPLIT
        self._stages: Mapping[tuple[str, str], list[QosFlow]] = defaultdict(list)
        self._hints: Mapping[str, list[QosFlow]] = defaultdict(list)
        for flow in sorted(contents.flows, key=lambda one: -one.priority):
            self._hints[flow.row_hint].append(flow)
            for datapath in flow.datapaths:
                self._stages[datapath, flow.stage].append(flow)

    def of_row(self, content: RowContent, datapath: str) -> tuple[QosFlow, ...]:
        """The flows of a row on a datapath, as far as northd has made them.

        They are told by what they say: rows that are alike on several switches share flows, whose hint names one row.
        """
        found = (self._find(wanted, content, datapath) for wanted in self._wanted(content))
        return tuple(flow for flow in found if flow is not None)

    def before(self, flow: QosFlow, datapath: str) -> Sequence[QosFlow]:
        """The flows that are looked up before another on a datapath; at equal priority nobody knows which is."""
        return [
            one
            for one in self._stages.get((datapath, flow.stage), ())
            if one.priority > flow.priority or (one.priority == flow.priority and one.match != flow.match)
        ]

    def judge(self, finding: Finding, content: RowContent, datapath: str) -> Finding | None:
        """Whether northd has made the row's flows on a datapath; None if it has."""
        wanted = tuple(self._wanted(content))
        missing = [one for one in wanted if self._find(one, content, datapath) is None]
        if not missing:
            return None
        if any(datapath in flow.datapaths for flow in self._hints.get(finding.uuid[:8], ())):
            reason = "northd still has the logical flows of what the row was before"
        elif len(missing) == len(wanted):
            reason = "northd has made no logical flow of it"
        else:
            reason = f"northd has made no logical flow of it in {missing[0].stage}"
        return finding.but(Verdict.ABSENT, reason, ASK_NORTHD)

    def _wanted(self, content: RowContent) -> Iterator[_Wanted]:
        """What a row becomes: a flow for the mark and one for the meter, or from OVN 24.09 one for both (seen)."""
        way = "in" if content.direction == "from-lport" else "out"
        rate = content.bandwidth.get("rate")
        dscp = content.action.get("dscp")
        meter = None if rate is None else Meter(rate_kbps=rate, burst_kbit=content.bandwidth.get("burst"))
        if self._version is PipelineVersion.JOINED:
            yield _Wanted(f"ls_{way}_qos", dscp, meter)
            return
        if dscp is not None:
            yield _Wanted(f"ls_{way}_qos_mark", dscp, None)
        if meter is not None:
            yield _Wanted(f"ls_{way}_qos_meter", None, meter)

    def _find(self, wanted: _Wanted, content: RowContent, datapath: str) -> QosFlow | None:
        effect = (content.priority, content.match, wanted.dscp, wanted.meter)
        flows = self._stages.get((datapath, wanted.stage), ())
        return next((one for one in flows if (one.priority, one.match, one.dscp, one.meter) == effect), None)
