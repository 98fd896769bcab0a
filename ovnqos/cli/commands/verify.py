"""`ovnqos verify`: is what the Northbound holds of ours in force?"""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Final

import click
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ovnqos.cli import options, output
from ovnqos.cli.exit_codes import EXIT_INVALID
from ovnqos.model.owner import Owner
from ovnqos.southbound.ovn_trace import OvnTrace, TraceFailed
from ovnqos.southbound.southbound import NorthboundGeneration, Southbound
from ovnqos.verify.findings import Verdict
from ovnqos.verify.render import as_json, chassis_warning, failures
from ovnqos.verify.verification import verify as look

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ovnqos.verify.findings import Finding, Report

_COLUMNS: Final = ("SWITCH", "DIRECTION", "PRIORITY", "OBJECT AND RULE", "VERDICT", "REASON")
_PROGRAM: Final = "ovn-trace"
_TRACE_S: Final = 30.0
"""Seconds that ovn-trace gets at least, to read the Southbound of a large cluster."""


@click.command
@options.database_options
@click.option(
    "--sb",
    "southbound_remote",
    metavar="REMOTE",
    help="OVN Southbound, as --nb.  [default: $OVN_SB_DB, else the local socket]",
)
@options.owner_option
@click.option(
    "--wait",
    is_flag=True,
    help="Ask northd and every chassis anew how far they are, as `ovn-nbctl --wait=hv sync` does. This writes one "
    "number to the Northbound; else nothing is written.",
)
@click.option("--no-trace", is_flag=True, help="Leave out ovn-trace, which shows what OVN does to a sample packet.")
@click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="How to print what was found.",
)
def verify(  # noqa: PLR0913 - one parameter an option
    *,
    database: options.DatabaseOptions,
    southbound_remote: str | None,
    owner_name: str,
    wait: bool,
    no_trace: bool,
    form: str,
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
    owner = Owner(owner_name)
    if not no_trace and shutil.which(_PROGRAM) is None:
        raise TraceFailed(f"{_PROGRAM} is not installed; it is in the Debian package ovn-common, or give --no-trace")
    tls, timeout_s = database.tls, database.timeout_s
    with (
        Southbound(southbound_remote, tls=tls, timeout_s=timeout_s) as southbound,
        database.connect(owner) as northbound,
        NorthboundGeneration(database.remote, tls=tls, timeout_s=timeout_s) as generation,
        output.progress("verifying") as progress,
    ):
        report = look(
            northbound,
            southbound,
            generation,
            tracer=None
            if no_trace
            else lambda: OvnTrace(southbound.remotes, tls=tls, timeout_s=max(_TRACE_S, timeout_s)),
            ask=wait,
            patience_s=timeout_s,
            progress=progress,
        )
    _show(report, form)
    if not report.realised:
        raise click.exceptions.Exit(EXIT_INVALID)


def _show(report: Report, form: str) -> None:
    if form == "json":
        output.result(as_json(report))
    elif report.findings:
        output.result(_table(report))
    for line in failures(report):
        output.error(line)
    if warning := chassis_warning(report):
        output.warning(warning)
    output.info(report.summary())


def _table(report: Report) -> str:
    lines = [
        (
            finding.switch or "-",
            finding.direction,
            str(finding.priority),
            finding.name,
            finding.verdict.value,
            "; ".join([finding.reason or "-", *finding.remarks]),
        )
        for finding in report.findings
    ]
    return _for_terminal(report, lines) if sys.stdout.isatty() else _aligned([_COLUMNS, *lines])


def _for_terminal(report: Report, lines: Sequence[Sequence[str]]) -> str:
    """As wide as the terminal, with colours; reasons wrap."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for title in _COLUMNS:
        fixed = title in {"DIRECTION", "PRIORITY", "VERDICT"}
        table.add_column(title, overflow="fold", no_wrap=fixed, justify="right" if title == "PRIORITY" else "left")
    for finding, line in zip(report.findings, lines, strict=True):
        table.add_row(*(Text(word, style=_style(finding) if word == finding.verdict else "") for word in line))
    console = Console(highlight=False, markup=False)
    with console.capture() as capture:
        console.print(table)
    return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    """A line a row, however long, for grep."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)][:-1]
    return "".join(
        "  ".join([*(word.ljust(width) for word, width in zip(line, widths, strict=False)), line[-1]]) + "\n"
        for line in lines
    )


def _style(finding: Finding) -> str:
    if not finding.verdict.good:
        return "bold red"
    return "yellow" if finding.verdict is Verdict.UNPROVEN else "green"
