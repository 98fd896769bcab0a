"""`ovnqos explain`: which row applies to a packet, and why the others do not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from ovnqos.cli import options, output
from ovnqos.cli.parameter_types import ADDRESS, REMOTE, Parsed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netaddr import IPAddress

    from ovnqos.cli.explaining.candidates import Rows
    from ovnqos.cli.explaining.question import Question
    from ovnqos.compile.generation import Generation
    from ovnqos.compile.rows import DesiredState
    from ovnqos.southbound.contents import SouthboundContents
    from ovnqos.southbound.ovn_trace import Trace
    from ovnqos.southbound.way import Way

_TRACE_S: Final = 30.0
"""Seconds that ovn-trace gets at least, to read the Southbound of a large cluster."""


def _release(text: str) -> Generation:
    from ovnqos.compile.generation import Generation
    from ovnqos.errors import InvalidRow

    try:
        return Generation.of_release(text)
    except InvalidRow as error:
        raise ValueError(str(error)) from None


@click.command
@options.input_options
@options.database_options(default="the rows of the files are explained")
@click.option("--pod", required=True, metavar="NAMESPACE/NAME", help="The pod that sends the packet.")
@click.option("--to", "destination", required=True, type=ADDRESS, help="Where the packet goes.")
@click.option("--protocol", type=click.Choice(["tcp", "udp", "sctp", "icmp"]), help="Of the packet; ICMP: a ping.")
@click.option("--port", type=click.IntRange(0, 65_535), metavar="NUMBER", help="The packet's destination port.")
@click.option(
    "--network",
    metavar="NAME",
    help="The network on which it is sent: its name, or the attachment's NAMESPACE/NAME.  "
    "[default: the default network, else the pod's only one]",
)
@click.option("--from", "source", type=ADDRESS, help="Its source, where the pod has several addresses.")
@click.option(
    "--ovn", "release", type=Parsed("release", _release), help="Release of OVN, e.g. 23.03.  [default: what --sb says]"
)
@click.option("--sb", "southbound_remote", type=REMOTE, help="OVN Southbound, as --nb.  [default: none]")
@click.option("--trace", is_flag=True, help="Run the same packet through ovn-trace on --sb, and compare.")
@options.table_format_option
def explain(  # noqa: PLR0913 - one parameter an option
    *,
    given: options.InputOptions,
    database: options.DatabaseOptions,
    pod: str,
    destination: IPAddress,
    protocol: str | None,
    port: int | None,
    network: str | None,
    source: IPAddress | None,
    release: Generation | None,
    southbound_remote: str | None,
    trace: bool,
    form: options.TableFormat,
) -> None:
    """Explain which QoS row applies to a packet that a pod sends, and why every other row of its switch does not.

    The rows are those that the manifests compile to; with --nb, those in that Northbound, of all owners. They are
    compared with the packet as it enters the pod's switch (from-lport) and as it leaves it (to-lport). For a packet to
    a Service, give the address of the backend.

    Up to OVN 24.03 the highest row with a mark marks, and the highest with a rate limits; from 24.09 the highest row
    decides both. Where that makes a difference both answers are given, unless --ovn or --sb says which it is.

    Exits with 2 when --trace shows that OVN does something else.

    \b
    Examples:
      ovnqos explain -f cluster.yaml --pod shop/web --to 203.0.113.9 --protocol tcp --port 443
      ovnqos explain -f cluster.yaml --pod shop/web --to fd00::7 --network blue --ovn 25.03
      ovnqos explain -f - --pod shop/web --to 10.0.0.9 --nb unix:/run/ovn/ovnnb_db.sock \\
          --sb unix:/run/ovn/ovnsb_db.sock --trace
    """  # noqa: D301 - \b keeps click from filling the lines
    from ovnqos.cli.explaining import report
    from ovnqos.cli.explaining.question import ask
    from ovnqos.cli.input import read_input
    from ovnqos.explain.explain_rows import explain as explain_rows
    from ovnqos.match.packet import Protocol
    from ovnqos.southbound.agreement import disagreements
    from ovnqos.southbound.ovn_trace import OvnTrace

    if trace and southbound_remote is None:
        raise click.UsageError("--trace needs --sb: ovn-trace reads the Southbound")
    inputs = read_input(given)
    question = ask(
        inputs.compiler.inventory,
        pod=pod,
        destination=destination,
        network=network,
        source=source,
        protocol=None if protocol is None else Protocol(protocol),
        port=port,
    )
    southbound, remotes = (None, "") if southbound_remote is None else _read_southbound(southbound_remote, database)
    way = None if southbound is None else _way(southbound, question, must=trace)
    rows = _rows(question.switch, inputs.desired, given, database, southbound)
    packet = question.packet if way is None else way.packet
    explanation = explain_rows(packet, rows.candidates, rows.names, generations=_generations(release, southbound))
    traced: Trace | None = None
    differences: Sequence[str] = ()
    if trace and way is not None:
        tracer = OvnTrace(remotes, tls=database.tls, timeout_s=max(_TRACE_S, database.timeout_s))
        traced = tracer.run(question.switch, way.microflow)
        differences = disagreements(explanation, traced)
    origin = "files" if database.remote is None else "northbound"
    if form is options.TableFormat.JSON:
        output.result(report.as_json(question, explanation, origin=origin, trace=traced, differences=differences))
    else:
        output.result(report.as_text(question, explanation, trace=traced, differences=differences))
    if differences:
        raise click.exceptions.Exit(output.EXIT_DRIFT)
    if inputs.is_partial:
        raise click.exceptions.Exit(output.EXIT_INVALID)


def _read_southbound(remote: str, database: options.DatabaseOptions) -> tuple[SouthboundContents, str]:
    """What it holds, and where it is as ovn-trace takes it."""
    from ovnqos.southbound.southbound import Southbound

    with Southbound(remote, tls=database.tls, timeout_s=database.timeout_s) as southbound:
        return southbound.read(), southbound.remotes


def _way(southbound: SouthboundContents, question: Question, *, must: bool) -> Way | None:
    """The packet with what the Southbound knows of its way; raises TraceFailed where there must be one."""
    from ovnqos.southbound.ovn_trace import TraceFailed
    from ovnqos.southbound.way import find_way

    way = find_way(southbound, question.packet)
    if way is None:
        missing = f"port {question.packet.inport} is not in the Southbound: it is of another zone, or northd is behind"
        if must:
            raise TraceFailed(missing)
        output.warning(missing)
    return way


def _rows(
    switch: str,
    desired: DesiredState,
    given: options.InputOptions,
    database: options.DatabaseOptions,
    southbound: SouthboundContents | None,
) -> Rows:
    """The rows of the files, or where a Northbound is named those in it, with a warning where the two differ."""
    from ovnqos.cli.explaining.candidates import compiled_rows, differences_on, stored_rows
    from ovnqos.plan.planner import plan_changes

    if database.remote is None:
        return compiled_rows(desired, switch, given.owner)
    with database.connect(given.owner) as northbound:
        snapshot = northbound.snapshot()
    if switch not in snapshot.switches:
        output.warning(f"no rows: the Northbound has no switch {switch}")
    rows = stored_rows(snapshot, switch, southbound)
    if differing := differences_on(plan_changes(desired, snapshot), switch):
        output.warning(f"the Northbound differs from the files: {differing}; run `ovnqos diff` to see it")
    return rows


def _generations(release: Generation | None, southbound: SouthboundContents | None) -> Sequence[Generation]:
    """Those given, else those of the Southbound's stages, else all."""
    from ovnqos.compile.generation import Generation
    from ovnqos.southbound.ovn_trace import generation_of_stage

    found = sorted({one for stage in (southbound.stages if southbound else ()) if (one := generation_of_stage(stage))})
    if release is None:
        return found or tuple(Generation)
    if found and release not in found:
        output.warning(f"--ovn is {release.releases}, but the Southbound is of {found[0].releases}")
    return (release,)
