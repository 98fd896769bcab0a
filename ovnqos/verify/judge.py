"""The judgement: what a Northbound asks of OVN against what Southbound and chassis have. No I/O but the tracer's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovnqos.verify.chassis import judge_chassis, remark_on_ports
from ovnqos.verify.findings import Finding, Report, Verdict
from ovnqos.verify.flows import ASK_NORTHD, FlowTable
from ovnqos.verify.names import name_row
from ovnqos.verify.proof import Prover
from ovnqos.verify.samples import MatchAnalyser
from ovnqos.verify.sets import RowSets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ovnqos.plan.snapshot import ActualRow, Snapshot
    from ovnqos.southbound.contents import SouthboundContents
    from ovnqos.verify.proof import Tracer


def judge(  # noqa: PLR0913  # what is judged, and keywords
    snapshot: Snapshot,
    southbound: SouthboundContents,
    *,
    nb_cfg: int,
    asked: bool = False,
    tracer: Tracer | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Report:
    """Judge every row of the snapshot's owner on every switch that has it.

    Args:
        snapshot: the Northbound.
        southbound: its Southbound, read after it.
        nb_cfg: the Northbound's `nb_cfg`.
        asked: whether northd and chassis were asked anew.
        tracer: runs sample packets; None leaves them out.
        progress: told how many rows are done, of how many.

    Raises:
        SouthboundUnavailable: the tracer cannot reach the Southbound.
    """
    judgement = _Judgement(snapshot, southbound, nb_cfg, tracer)
    places = sorted(
        ((switch, row) for row in snapshot.rows for switch in sorted(row.switches) or [""]),
        key=lambda place: (place[0], place[1].content.direction, -place[1].content.priority, place[1].uuid),
    )
    findings = []
    for done, (switch, row) in enumerate(places):
        progress(done, len(places))
        findings.append(judgement.of(row, switch))
    progress(len(places), len(places))
    return Report(
        owner=snapshot.owner.name,
        findings=tuple(findings),
        nb_cfg=nb_cfg,
        northd_nb_cfg=southbound.nb_cfg,
        chassis=southbound.chassis,
        asked=asked,
    )


class _Judgement:
    def __init__(self, snapshot: Snapshot, southbound: SouthboundContents, nb_cfg: int, tracer: Tracer | None) -> None:
        self._snapshot = snapshot
        self._southbound = southbound
        self._nb_cfg = nb_cfg
        self._sets = RowSets(snapshot, southbound)
        self._flows = FlowTable(southbound)
        self._analyser = MatchAnalyser(self._sets.names)
        self._names = _row_names(snapshot)
        self._prover = None if tracer is None else Prover(self._flows, self._analyser, tracer, self._name_row)

    def of(self, row: ActualRow, switch: str) -> Finding:
        """What is to be said of a row on a switch: the first that is wrong, in the order of the packet's way."""
        content, name = row.content, name_row(row, self._snapshot.owner)
        finding = Finding(
            uuid=row.uuid,
            switch=switch,
            direction=content.direction,
            priority=content.priority,
            match=content.match,
            object=name.object,
            rule=name.rule,
            port=name.port,
            name=name.text,
            verdict=Verdict.REALISED,
        )
        if not switch:
            return finding.but(Verdict.UNBOUND, "no logical switch has it", "run `ovnqos apply` again")
        wrong = self._sets.judge(finding)
        if wrong is not None and wrong.verdict is not Verdict.ABSENT:
            return wrong
        datapath = self._southbound.switches.get(self._snapshot.switches.get(switch, ""))
        if datapath is None:
            return finding.but(Verdict.ABSENT, f"northd has not made the switch {switch}", ASK_NORTHD)
        wrong = (
            wrong or self._sets.judge_on_switch(finding, datapath) or self._flows.judge(finding, content, datapath.uuid)
        )
        if wrong is not None:
            return wrong
        flows = self._flows.of_row(content, datapath.uuid)
        if self._southbound.nb_cfg < self._nb_cfg:
            finding = finding.but(
                Verdict.ABSENT, "northd has not caught up with the Northbound; its logical flows may be old", ASK_NORTHD
            )
        else:
            finding = judge_chassis(finding, datapath, self._southbound, self._nb_cfg, self._analyser) or finding
        finding = remark_on_ports(finding, datapath, self._analyser)
        if self._prover is None:
            return finding
        proof = self._prover.judge(finding, flows, datapath)
        return proof if finding.verdict.good or not proof.verdict.good else finding

    def _name_row(self, switch: str, direction: str, priority: int, match: str) -> str:
        name = self._names.get((switch, direction, priority, match), "a row that is gone")
        return f"{name} (priority {priority})"


def _row_names(snapshot: Snapshot) -> Mapping[tuple[str, str, int, str], str]:
    """Names by switch, direction, priority and match; of rows that share all these, one of ours counts."""
    return {
        (switch, row.content.direction, row.content.priority, row.content.match): name_row(row, snapshot.owner).text
        for row in (*snapshot.foreign_rows, *snapshot.rows)
        for switch in row.switches
    }
