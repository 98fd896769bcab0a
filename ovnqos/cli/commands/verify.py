"""`ovnqos verify`: is what the Northbound holds of ours in force?"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

import click

from ovnqos.cli import options, output
from ovnqos.cli.parameter_types import REMOTE

if TYPE_CHECKING:
    from ovnqos.model.owner import Owner
    from ovnqos.verify import Finding, Report

_COLUMNS: Final = ("SWITCH", "DIRECTION", "PRIORITY", "OBJECT AND RULE", "VERDICT", "REASON")
_PROGRAM: Final = "ovn-trace"
_TRACE_S: Final = 30.0
"""Seconds that ovn-trace gets at least, to read the Southbound of a large cluster."""


@click.command
@options.database_options()
@click.option(
    "--sb",
    "southbound_remote",
    type=REMOTE,
    help="OVN Southbound, as --nb.  [default: $OVN_SB_DB, else the local socket]",
)
@options.owner_option
@click.option(
    "--wait",
    is_flag=True,
    help="Ask northd and every chassis to report progress, as `ovn-nbctl --wait=hv sync` does. This writes one "
    "number to the Northbound; else nothing is written.",
)
@click.option("--no-trace", is_flag=True, help="Leave out ovn-trace, which shows what OVN does to a sample packet.")
@options.table_format_option
def verify(  # noqa: PLR0913 - one parameter an option
    *,
    database: options.DatabaseOptions,
    southbound_remote: str | None,
    owner: Owner,
    wait: bool,
    no_trace: bool,
    form: options.TableFormat,
) -> None:
    """See whether the rows in the Northbound are in force: one line a row and switch.

    Of each row: are its switch, port groups and address sets there and not empty; has northd made its logical flows;
    has each chassis with a port of it caught up; and does OVN set its mark and meter on a sample packet (ovn-trace).
    What OVN may still be about to do gets --timeout seconds to be done.

    Exits with 0 when every row is realised or cannot be proven either way, with 1 when one is not, with 3 when a
    database is out of reach.

    \b
    Examples:
      ovnqos apply -f manifests/ && ovnqos verify --wait
      ovnqos verify --nb tcp:10.0.0.1:6641 --sb tcp:10.0.0.1:6642 --no-trace
      ovnqos verify -o json | jq '.rows[] | select(.good | not)'
    """  # noqa: D301 - \b keeps click from filling the lines
    from ovnqos.southbound.ovn_trace import OvnTrace, TraceFailed
    from ovnqos.southbound.southbound import NorthboundSequence, Southbound
    from ovnqos.verify import verify as verify_rows

    if not no_trace and shutil.which(_PROGRAM) is None:
        raise TraceFailed(f"{_PROGRAM} is not installed; it is in the Debian package ovn-common, or give --no-trace")
    tls, timeout_s = database.tls, database.timeout_s
    with (
        Southbound(southbound_remote, tls=tls, timeout_s=timeout_s) as southbound,
        database.connect(owner) as northbound,
        NorthboundSequence(database.remote, tls=tls, timeout_s=timeout_s) as sequence,
        output.progress("verifying") as progress,
    ):
        report = verify_rows(
            northbound,
            southbound,
            sequence,
            tracer=None
            if no_trace
            else lambda: OvnTrace(southbound.remotes, tls=tls, timeout_s=max(_TRACE_S, timeout_s)),
            ask=wait,
            patience_s=timeout_s,
            progress=progress,
        )
    _show(report, form)
    if not report.realised:
        raise click.exceptions.Exit(output.EXIT_INVALID)


def _show(report: Report, form: options.TableFormat) -> None:
    if form is options.TableFormat.JSON:
        output.result_json(report.as_document())
    elif report.findings:
        rows = [
            (
                finding.switch or "-",
                finding.row.content.direction,
                str(finding.row.content.priority),
                str(finding.name),
                finding.verdict.value,
                "; ".join([finding.reason or "-", *finding.details]),
            )
            for finding in report.findings
        ]
        output.table(_COLUMNS, rows, styles=[*map(_style, report.findings)])
    output.diagnostics(report.diagnostics())
    output.info(report.summary())


def _style(finding: Finding) -> str:
    if not finding.verdict.is_good:
        return "bold red"
    return "yellow" if finding.verdict.value == "unproven" else "green"
