"""A verification: read both databases, judge, and look again while OVN may need a moment more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import tenacity

from ovnqos.ovsdb.transaction import Deadline
from ovnqos.southbound.southbound import sync_chassis
from ovnqos.verify.judge import judge

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from ovnqos.northbound.northbound import Northbound
    from ovnqos.southbound.southbound import NorthboundSequence, Southbound
    from ovnqos.verify.findings import Report
    from ovnqos.verify.proof import Tracer

_PAUSES_S: Final = (0.1, 2.0)
"""The first and the longest pause between two looks: each costs the Southbound's server a walk over all its flows."""


def verify(  # noqa: PLR0913  # what is verified, and keywords
    northbound: Northbound,
    southbound: Southbound,
    nb_cfg: NorthboundSequence,
    *,
    tracer: Callable[[], AbstractContextManager[Tracer]] | None,
    ask: bool = False,
    patience_s: float = 10.0,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Report:
    """Judge every row of the Northbound's owner. Writes nothing, unless asked to ask the chassis.

    Args:
        northbound: holds the rows.
        southbound: what northd makes of them.
        nb_cfg: of the same Northbound.
        tracer: opens what runs sample packets through the flows that the Southbound holds at that time; None leaves
            them out.
        ask: advance the Northbound's `nb_cfg`, so that northd and every chassis say how far they are.
        patience_s: seconds that northd and chassis get to catch up; what is wrong and stays so does not wait for them.
        progress: told how many rows are done, of how many.

    Raises:
        NorthboundUnavailable: a server of either database does not answer in time.
        SchemaMismatch: a server does not have the database, or an old one.
        TraceFailed: there is no ovn-trace.
    """
    deadline = Deadline(patience_s)
    if ask:
        sync_chassis(nb_cfg, southbound, timeout_s=deadline.left)

    def look() -> Report:
        northbound.refresh()
        snapshot, wanted, contents = northbound.snapshot(), nb_cfg.read(), southbound.read()
        report = judge(snapshot, contents, nb_cfg=wanted, asked=ask)
        if tracer is None or not snapshot.rows or _worth_another_look(report, deadline):
            return report
        with tracer() as opened:
            return judge(snapshot, contents, nb_cfg=wanted, asked=ask, tracer=opened, progress=progress)

    return tenacity.Retrying(
        retry=tenacity.retry_if_result(lambda report: _worth_another_look(report, deadline)),
        wait=lambda state: min(_PAUSES_S[0] * 2**state.attempt_number, _PAUSES_S[1], deadline.left),
    )(look)


def _worth_another_look(report: Report, deadline: Deadline) -> bool:
    return report.may_pass and deadline.left > 0
