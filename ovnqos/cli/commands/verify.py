"""`ovnqos verify`: is what the Northbound holds of ours in force, or what objects promise?"""

from __future__ import annotations

import re
import shutil
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import click

from ovnqos.cli import options, output, tables
from ovnqos.cli.parameter_types import REMOTE

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovnqos.cli.input import Input
    from ovnqos.northbound.northbound import Northbound
    from ovnqos.plan.snapshot import Snapshot
    from ovnqos.southbound.contents import SouthboundContents
    from ovnqos.southbound.ovn_trace import OvnTrace
    from ovnqos.southbound.southbound import Southbound
    from ovnqos.stats import LocalChassis
    from ovnqos.verify import Finding, ObjectReport, Report

_COLUMNS: Final = ("OBJECT", "RULE", "SWITCH", "DIRECTION", "PRIORITY", "VERDICT", tables.REASON)
_OBJECT_COLUMNS: Final = ("OBJECT", "RULE", "NETWORK", "PACKETS", "VERDICT", tables.REASON)
_WIDE: Final = ("UUID", "MATCH", tables.REASON)
_RULE: Final = re.compile(r"spec\.egress\[([0-9]+)\]")
_BAD: Final = f"{output.BOLD};{output.RED}"
_PROGRAM: Final = "ovn-trace"
_TRACE_S: Final = 30.0
"""Seconds that ovn-trace gets at least, to read the Southbound of a large cluster."""


@click.command
@options.input_options
@options.database_options()
@click.option(
    "--sb",
    "southbound_remote",
    type=REMOTE,
    help="OVN Southbound, as --nb.  [default: $OVN_SB_DB, else the local socket]",
)
@click.option(
    "--wait",
    is_flag=True,
    help="Ask northd and every chassis to report progress, as `ovn-nbctl --wait=hv sync` does. This writes one "
    "number to the Northbound; else nothing is written.",
)
@click.option(
    "--trace/--no-trace",
    default=None,
    help="Run sample packets through ovn-trace on --sb, too.  [default: without -f and --cluster]",
)
@options.chassis_options()
@options.table_format_option
def verify(  # noqa: PLR0913 - one parameter an option
    *,
    given: options.InputOptions,
    database: options.DatabaseOptions,
    southbound_remote: str | None,
    wait: bool,
    trace: bool | None,
    chassis: options.ChassisOptions,
    form: options.TableFormat,
) -> None:
    """See whether QoS is in force: that of the rows in the Northbound, or with -f or --cluster what objects promise.

    Without these: one line for each row of --owner and switch. Are its switch, port groups and address sets there and
    not empty; has northd made its logical flows; has each chassis with a port of it caught up; does no row of equal
    priority match its packets; and do sample packets leave the switch with its mark and pass its meter (ovn-trace).
    What OVN may still be about to do gets --timeout seconds to be done.

    With -f or --cluster: one line for each rule of a NetworkQoS and each annotation. Sample packets of the pods, inside
    and outside of what the rule takes, are held against all rows in the Northbound, whoever wrote them. Files have to
    hold the pods, and what else the rows were made from.

    On a chassis its switch and ovn-controller are looked at, too: a limit without a meter there is not enforced, and
    a note says so where tunnels do not carry the mark in their outer headers. Other chassis: run it, or `ovnqos stats`,
    there.

    Exits with 0 when every row is realised or cannot be proven either way, or every promise is in force; with 1 when
    one is not, with 3 when a database is out of reach.

    \b
    Examples:
      ovnqos apply -f manifests/ && ovnqos verify --wait
      ovnqos verify -f manifests/ --trace
      ovnqos verify --cluster -n shop
      ovnqos verify --nb tcp:10.0.0.1:6641 --sb tcp:10.0.0.1:6642 --no-trace
      ovnqos verify -o json | jq '.rows[] | select(.good | not)'
    """  # noqa: D301 - \b keeps click from filling the lines
    from ovnqos.southbound.ovn_trace import OvnTrace, TraceFailed
    from ovnqos.southbound.southbound import NorthboundSequence, Southbound, sync_chassis
    from ovnqos.verify import verify as verify_rows

    here = chassis.chassis(timeout_s=database.timeout_s)
    without_meter = _RowsWithoutMeter(here)
    traces = not given.is_given if trace is None else trace
    if traces and shutil.which(_PROGRAM) is None:
        raise TraceFailed(f"{_PROGRAM} is not installed; it is in the Debian package ovn-common, or give --no-trace")
    inputs = _read(given) if given.is_given else None
    tls, timeout_s = database.tls, database.timeout_s
    with (
        Southbound(southbound_remote, tls=tls, timeout_s=timeout_s) as southbound,
        database.connect(given.owner) as northbound,
        NorthboundSequence(database.remote, tls=tls, timeout_s=timeout_s) as sequence,
        output.progress("verifying") as progress,
    ):

        def tracer() -> OvnTrace:
            return OvnTrace(southbound.remotes, tls=tls, timeout_s=max(_TRACE_S, timeout_s))

        if inputs is not None:
            if wait:
                sync_chassis(sequence, southbound, timeout_s=timeout_s)
            objects = _verify_objects(
                inputs,
                northbound,
                southbound,
                tracer=tracer() if traces else None,
                without_meter=without_meter,
                progress=progress,
            )
        else:
            report = verify_rows(
                northbound,
                southbound,
                sequence,
                tracer=tracer if traces else None,
                ask=wait,
                patience_s=timeout_s,
                without_meter=without_meter,
                progress=progress,
            )
    if inputs is not None:
        _show_objects(objects, form)
    else:
        _show(report, form)
    _show_outer_header(here)
    is_good = objects.in_force and not inputs.is_partial if inputs is not None else report.realised
    if not is_good:
        raise click.exceptions.Exit(output.EXIT_INVALID)


class _RowsWithoutMeter:
    """Finds the rows for whose limit this machine's chassis, if it is one, has no meter; warns if it cannot."""

    def __init__(self, chassis: LocalChassis) -> None:
        self._chassis = chassis
        self._is_there = chassis.is_here

    def __call__(self, contents: SouthboundContents, snapshot: Snapshot) -> frozenset[str]:
        from ovnqos.stats import ChassisUnavailable, rows_without_meter, rule_statistics

        if not self._is_there:
            return frozenset()
        try:
            counters = self._chassis.read(contents.default_flows.values())
        except ChassisUnavailable as error:
            self._is_there = False
            output.warning(f"the chassis of this machine is not looked at: {error}")
            return frozenset()
        return rows_without_meter(rule_statistics(counters, contents, snapshot))


def _show_outer_header(chassis: LocalChassis) -> None:
    """Say so where the tunnels of this machine's chassis do not carry marks in their outer headers."""
    from ovnqos.stats import ChassisUnavailable

    if not chassis.is_here:
        return
    try:
        is_marked = chassis.marks_outer_headers()
    except ChassisUnavailable as error:
        output.warning(f"whether this chassis marks the outer headers of tunnels is not known: {error}")
        return
    if not is_marked:
        output.info(
            "this chassis leaves the outer headers of tunnels unmarked; "
            "if the network between nodes is to see marks, "
            "run `ovs-vsctl set Open_vSwitch . external_ids:ovn-encap-tos=inherit`"
        )


def _read(given: options.InputOptions) -> Input:
    from ovnqos.cli.input import read_input, refuse_incomplete

    inputs = read_input(given)
    refuse_incomplete(inputs.incomplete, allowed=given.allow_incomplete)
    return inputs


def _verify_objects(  # noqa: PLR0913 - what is held against what, and keywords
    inputs: Input,
    northbound: Northbound,
    southbound: Southbound,
    *,
    tracer: OvnTrace | None,
    without_meter: _RowsWithoutMeter,
    progress: Callable[[int, int], None],
) -> ObjectReport:
    """Hold the Northbound against what the objects of the files promise; warn of objects that the files lack."""
    from ovnqos.plan.plan import plan_changes
    from ovnqos.verify.objects import verify_objects

    snapshot, contents = northbound.snapshot(addresses=True), southbound.read()
    incomplete = plan_changes(inputs.desired, snapshot).incomplete
    output.diagnostics((*incomplete, *inputs.address_claims(snapshot)), as_warnings=True)
    with tracer or nullcontext() as opened:
        compiler, scope = inputs.compiler, inputs.desired.scope
        report = verify_objects(
            compiler.promises(),
            compiler.inventory,
            snapshot,
            contents,
            tracer=opened,
            without_meter=without_meter(contents, snapshot),
            progress=progress,
        )
    shown = [one for one in report.findings if scope is None or scope.may_change(f"{one.object.kind}/{one.object.key}")]
    return replace(report, findings=tuple(shown))


def _show_objects(report: ObjectReport, form: options.TableFormat) -> None:
    if form is options.TableFormat.JSON:
        output.result_json(report.as_document())
    elif report.findings:
        rows = [
            {
                "OBJECT": f"{one.object.kind}/{one.object.key}",
                "RULE": _RULE.sub(r"\1", one.path),
                "NETWORK": one.network,
                "PACKETS": one.packets,
                "VERDICT": one.verdict.value,
                tables.REASON: (one.reason, *one.details),
            }
            for one in report.findings
        ]
        tables.table(_OBJECT_COLUMNS, rows, [output.GREEN if one.verdict.is_good else _BAD for one in report.findings])
    output.diagnostics(report.diagnostics())
    output.info(report.summary())


def _show(report: Report, form: options.TableFormat) -> None:
    if form is options.TableFormat.JSON:
        output.result_json(report.as_document())
    elif report.findings:
        rows = [
            {
                "OBJECT": one.name.object or one.name,
                "RULE": f"{one.name.rule} port {one.name.port}" if one.name.shows_port else one.name.rule,
                "SWITCH": one.switch,
                "DIRECTION": one.row.content.direction,
                "PRIORITY": one.row.content.priority,
                "VERDICT": one.verdict.value,
                "UUID": one.row.uuid,
                "MATCH": one.row.content.match,
                tables.REASON: (one.reason, *one.details),
            }
            for one in report.findings
        ]
        columns = _COLUMNS if form is options.TableFormat.TABLE else (*_COLUMNS[:-1], *_WIDE)
        tables.table(columns, rows, [*map(_style, report.findings)])
    output.diagnostics(report.diagnostics())
    output.info(report.summary())


def _style(finding: Finding) -> str:
    if not finding.verdict.is_good:
        return _BAD
    return output.YELLOW if finding.verdict.value == "unproven" else output.GREEN
