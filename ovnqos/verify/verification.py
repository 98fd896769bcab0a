"""Verification: whether OVN realises the rows of a Northbound, looked at again while OVN may need a moment more."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

import tenacity

from ovnqos.match import read_match
from ovnqos.ovsdb.protocol import Deadline
from ovnqos.southbound.flow_table import FlowTable
from ovnqos.southbound.southbound import sync_chassis
from ovnqos.verify.checks import CHECK_NORTHD, RowSets, RowsOfFlows, add_unbound_ports, check_chassis, check_flows
from ovnqos.verify.findings import METER_HINT, Finding, Realisation, Report
from ovnqos.verify.proof import Prover
from ovnqos.verify.samples import AnalysedMatch

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from contextlib import AbstractContextManager

    from ovnqos.northbound.northbound import Northbound
    from ovnqos.plan.snapshot import ActualRow, Snapshot
    from ovnqos.southbound.contents import SouthboundContents
    from ovnqos.southbound.southbound import NorthboundSequence, Southbound
    from ovnqos.verify.proof import Tracer

_PAUSES_S: Final = (0.1, 2.0)
"""The first and the longest pause between two looks: each costs the Southbound's server a walk over all its flows."""


def verify(  # noqa: PLR0913  # what is verified, and keywords
    northbound: Northbound,
    southbound: Southbound,
    sequence: NorthboundSequence,
    *,
    tracer: Callable[[], AbstractContextManager[Tracer]] | None,
    ask: bool = False,
    patience_s: float = 10.0,
    without_meter: Callable[[SouthboundContents, Snapshot], Collection[str]] = lambda _contents, _snapshot: (),
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Report:
    """Verify every row of the Northbound's owner. Writes nothing, unless `ask` is set.

    Args:
        northbound: holds the rows.
        southbound: what northd makes of them.
        sequence: the sequence number of the same Northbound.
        tracer: opens what runs sample packets through the logical flows of that time; None leaves them out.
        ask: increment the sequence number (`nb_cfg`), so that northd and every chassis report theirs.
        patience_s: seconds that northd and chassis get to catch up; a fault that does not pass by itself is not waited
            for.
        without_meter: finds the rows, by uuid, for whose limit the chassis of this machine has no meter.
        progress: called with the number of rows that are done, and of all rows.

    Raises:
        DatabaseUnavailable: a server of either database does not answer in time.
        SchemaMismatch: a server does not have the database, or an old one.
        TraceFailed: there is no ovn-trace.
    """
    deadline = Deadline(patience_s)
    if ask:
        sync_chassis(sequence, southbound, timeout_s=deadline.left)

    def look() -> Report:
        northbound.refresh()
        snapshot, nb_cfg, contents = northbound.snapshot(), sequence.read(), southbound.read()
        lost = without_meter(contents, snapshot)
        report = verify_snapshot(snapshot, contents, nb_cfg=nb_cfg, asked=ask, without_meter=lost)
        if tracer is None or not snapshot.rows or _worth_another_look(report, deadline):
            return report
        with tracer() as opened:
            return verify_snapshot(
                snapshot,
                contents,
                nb_cfg=nb_cfg,
                asked=ask,
                tracer=opened,
                without_meter=lost,
                progress=progress,
            )

    return tenacity.Retrying(
        retry=tenacity.retry_if_result(lambda report: _worth_another_look(report, deadline)),
        wait=lambda state: min(_PAUSES_S[0] * 2**state.attempt_number, _PAUSES_S[1], deadline.left),
    )(look)


def verify_snapshot(  # noqa: PLR0913  # what is verified, and keywords
    snapshot: Snapshot,
    southbound: SouthboundContents,
    *,
    nb_cfg: int,
    asked: bool = False,
    tracer: Tracer | None = None,
    without_meter: Collection[str] = (),
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Report:
    """Verify every row of a snapshot's owner on every switch that has it. No I/O except by the tracer.

    Args:
        snapshot: the Northbound.
        southbound: its Southbound, read after it.
        nb_cfg: the Northbound's sequence number.
        asked: whether northd and chassis were asked for theirs.
        tracer: runs sample packets; None leaves them out.
        without_meter: uuids of the rows for whose limit the chassis of this machine has no meter.
        progress: called with the number of rows that are done, and of all rows.

    Raises:
        SouthboundUnavailable: the tracer cannot reach the Southbound.
    """
    verifier = _Verifier(snapshot, southbound, nb_cfg, tracer, without_meter)
    places = sorted(
        ((switch, row) for row in snapshot.rows for switch in sorted(row.switches) or [""]),
        key=lambda place: (place[0], place[1].content.direction, -place[1].content.priority, place[1].uuid),
    )
    findings = []
    for done, (switch, row) in enumerate(places):
        progress(done, len(places))
        findings.append(verifier.verify(row, switch))
    progress(len(places), len(places))
    return Report(
        owner=snapshot.owner.name,
        findings=tuple(findings),
        nb_cfg=nb_cfg,
        northd_nb_cfg=southbound.nb_cfg,
        chassis=southbound.chassis,
        asked=asked,
    )


class _Verifier:
    def __init__(
        self,
        snapshot: Snapshot,
        southbound: SouthboundContents,
        nb_cfg: int,
        tracer: Tracer | None,
        without_meter: Collection[str],
    ) -> None:
        self._without_meter = without_meter
        self._snapshot = snapshot
        self._southbound = southbound
        self._nb_cfg = nb_cfg
        self._sets = RowSets(snapshot, southbound)
        self._flows = FlowTable(southbound)
        self._analyse = cache(lambda match: AnalysedMatch.of(read_match(match), self._sets.names))
        self._rows = RowsOfFlows(snapshot)
        self._prover = Prover(self._flows, self._analyse, self._sets.names, tracer, self._rows)

    def verify(self, row: ActualRow, switch: str) -> Finding:
        """Find the first thing that is wrong with a row on a switch, in the order from Northbound to packet."""
        content = row.content
        finding = Finding(row=row, name=self._rows.name(row), switch=switch)
        if not switch:
            return finding.but(Realisation.UNBOUND, "no logical switch has it", "run `ovnqos apply`")
        fault = self._sets.check(finding)
        if fault is not None and fault.verdict is not Realisation.ABSENT:
            return fault
        datapath = self._southbound.switches.get(self._snapshot.switches.get(switch, ""))
        if datapath is None:
            return finding.but(Realisation.ABSENT, f"the Southbound has no switch {switch} yet", CHECK_NORTHD)
        fault = fault or self._sets.check_on_switch(finding, datapath)
        fault = fault or check_flows(finding, self._flows, datapath.uuid)
        if fault is not None:
            return fault
        if row.uuid in self._without_meter:
            reason = f"the chassis of this machine has no meter for its limit of {content.bandwidth['rate']} kbps"
            return finding.but(Realisation.INEFFECTIVE, f"{reason}: all packets pass", METER_HINT)
        terms = self._analyse(content.match).terms
        if self._southbound.nb_cfg < self._nb_cfg:
            reason = "northd has not caught up with the Northbound; its logical flows may be old"
            finding = finding.but(Realisation.ABSENT, reason, CHECK_NORTHD)
        else:
            finding = check_chassis(finding, datapath, self._southbound, self._nb_cfg, terms) or finding
        finding = add_unbound_ports(finding, datapath, terms)
        proof = self._prover.prove(finding, self._flows.of_row(content, datapath.uuid), datapath)
        return proof if finding.verdict.is_good or not proof.verdict.is_good else finding


def _worth_another_look(report: Report, deadline: Deadline) -> bool:
    return report.may_pass and deadline.left > 0
