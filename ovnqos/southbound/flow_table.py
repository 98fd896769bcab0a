"""Which logical flows northd makes of a QoS row: the one mapping of rows to flows, and the flows beside these."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from ovnqos.compile.rows import Direction
from ovnqos.explain.pipeline import QOS_STAGES, PipelineVersion, direction_of_stage
from ovnqos.southbound.trace import FlowEffect, Meter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ovnqos.plan.snapshot import RowContent
    from ovnqos.southbound.contents import QosFlow, SouthboundContents


class FlowTable:
    """The logical flows of the QoS stages, by datapath and stage, the highest priority first."""

    def __init__(self, contents: SouthboundContents) -> None:
        """Index the flows of a Southbound."""
        self._is_joined = PipelineVersion.JOINED in contents.pipeline_versions
        self._flows: dict[tuple[str, FlowEffect], QosFlow] = {}
        self._stages: Mapping[tuple[str, str], list[QosFlow]] = defaultdict(list)
        self._hints: Mapping[str, list[QosFlow]] = defaultdict(list)
        for flow in sorted(contents.flows, key=lambda one: -one.effect.priority):
            self._hints[flow.row_hint].append(flow)
            for datapath in flow.datapaths:
                self._flows[datapath, flow.effect] = flow
                self._stages[datapath, flow.effect.stage].append(flow)

    def of_row(self, content: RowContent, datapath: str) -> tuple[QosFlow, ...]:
        """The flows of a row on a datapath, as far as northd has made them.

        They are found by their content: rows that are alike on several switches share flows, whose hint names one row.
        """
        found = (self._flows.get((datapath, effect)) for effect in self._expected(content))
        return tuple(flow for flow in found if flow is not None)

    def above(self, flow: QosFlow, datapath: str) -> Sequence[QosFlow]:
        """The flows that are looked up before another on a datapath."""
        return [one for one in self._beside(flow, datapath) if one.effect.priority > flow.effect.priority]

    def equal(self, flow: QosFlow, datapath: str) -> Sequence[QosFlow]:
        """The flows of equal priority that do something else than another on a datapath."""
        done = flow.effect.priority, flow.effect.dscp, flow.effect.meter
        return [
            one
            for one in self._beside(flow, datapath)
            if one.effect.priority == done[0] and (one.effect.priority, one.effect.dscp, one.effect.meter) != done
        ]

    def later(self, flow: QosFlow, datapath: str) -> Sequence[QosFlow]:
        """The flows of to-lport that set another mark than one of from-lport on a datapath."""
        if flow.effect.direction is Direction.TO_LPORT or flow.effect.dscp is None:
            return ()
        stages = (stage for stage in QOS_STAGES if direction_of_stage(stage) is Direction.TO_LPORT)
        return [
            one
            for stage in stages
            for one in self._stages.get((datapath, stage), ())
            if one.effect.dscp not in {None, flow.effect.dscp}
        ]

    def _beside(self, flow: QosFlow, datapath: str) -> Sequence[QosFlow]:
        return self._stages.get((datapath, flow.effect.stage), ())

    def missing(self, content: RowContent, datapath: str) -> tuple[FlowEffect, ...]:
        """What flows of a row would do that northd has not made on a datapath."""
        return tuple(effect for effect in self._expected(content) if (datapath, effect) not in self._flows)

    def has_hint(self, row: str, datapath: str) -> bool:
        """Whether any flow on a datapath says that it was made for the row of this uuid."""
        return any(datapath in flow.datapaths for flow in self._hints.get(row[:8], ()))

    def _expected(self, content: RowContent) -> Iterator[FlowEffect]:
        """The flows of a row: one for the mark and one for the meter, or from OVN 24.09 one for both (seen)."""
        prefix = "ls_in_qos" if content.direction == "from-lport" else "ls_out_qos"
        rate, dscp = content.bandwidth.get("rate"), content.action.get("dscp")
        meter = None if rate is None else Meter(rate_kbps=rate, burst_kbit=content.bandwidth.get("burst"))
        flow = FlowEffect(stage=prefix, match=content.match, priority=content.priority, dscp=dscp, meter=meter)
        if self._is_joined:
            yield flow
            return
        if content.action:
            yield replace(flow, stage=f"{prefix}_mark", meter=None)
        if meter is not None:
            yield replace(flow, stage=f"{prefix}_meter", dscp=None)
