"""`ovnqos explain`: which row applies to a packet, and why the others do not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from ovnqos.cli import completion, options, output
from ovnqos.cli.parameter_types import ADDRESS, REMOTE, Parsed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from netaddr import IPAddress

    from ovnqos.compile.rows import DesiredState
    from ovnqos.explain.candidates import CandidateRows
    from ovnqos.explain.explanation import Decision, Effect, Explanation, Lookup, Outcome, RowExplanation
    from ovnqos.explain.pipeline import PipelineVersion
    from ovnqos.explain.pod_packet import PodPacket
    from ovnqos.plan.plan import Plan
    from ovnqos.southbound.contents import SouthboundContents
    from ovnqos.southbound.packet_path import PacketPath
    from ovnqos.southbound.trace import Trace

_FORMAT: Final = "ovnqos.io/explanation/v1"
_COLUMNS: Final = ("DIRECTION", "PRIORITY", "OBJECT AND RULE", "DSCP", "RATE", "BURST", "VERDICT", "REASON")
_STYLES: Final = {"wins": "bold green", "undefined": "bold red", "may win": "yellow"}
_TRACE_S: Final = 30.0
"""Seconds that ovn-trace gets at least, to read the Southbound of a large cluster."""


def _release(text: str) -> PipelineVersion:
    from ovnqos.errors import InvalidRow
    from ovnqos.explain.pipeline import PipelineVersion

    try:
        return PipelineVersion.of_release(text)
    except InvalidRow as error:
        raise ValueError(str(error)) from None


@click.command
@options.input_options
@options.database_options(default="the rows that the input compiles to are explained")
@click.option(
    "--pod",
    required=True,
    metavar="NAMESPACE/NAME",
    shell_complete=completion.pods,
    help="The pod that sends the packet.",
)
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
    "--ovn", "release", type=Parsed("release", _release), help="Release of OVN, e.g. 23.03.  [default: that of --sb]"
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
    release: PipelineVersion | None,
    southbound_remote: str | None,
    trace: bool,
    form: options.TableFormat,
) -> None:
    """Explain which QoS row applies to a packet that a pod sends, and why every other row of its switch does not.

    The rows are those that the manifests compile to; with --nb, those in that Northbound, of all owners. They are
    compared with the packet as it enters the pod's switch (from-lport) and as it leaves it (to-lport). For a packet to
    a Service, give the address of the backend.

    Up to OVN 24.03 the highest row with a mark marks, and the highest with a rate limits; from 24.09 the highest row
    decides both. Where that makes a difference both answers are given, unless --ovn or --sb decides.

    Exits with 2 when --trace shows that OVN does something else.

    \b
    Examples:
      ovnqos explain --pod shop/web --to 203.0.113.9 --protocol tcp --port 443
      ovnqos explain -f cluster.yaml --pod shop/web --to fd00::7 --network blue --ovn 25.03
      ovnqos explain -f - --pod shop/web --to 10.0.0.9 --nb unix:/run/ovn/ovnnb_db.sock \\
          --sb unix:/run/ovn/ovnsb_db.sock --trace
    """  # noqa: D301 - \b keeps click from filling the lines
    from ovnqos.cli.input import read_input, refuse_incomplete
    from ovnqos.explain.lookup import explain as explain_rows
    from ovnqos.explain.pod_packet import InvalidPacket, packet_of_pod
    from ovnqos.match.packet import Protocol
    from ovnqos.southbound.ovn_trace import OvnTrace
    from ovnqos.southbound.trace import find_disagreements

    if trace and southbound_remote is None:
        raise click.UsageError("--trace needs --sb: ovn-trace reads the Southbound")
    inputs = read_input(given)
    refuse_incomplete(inputs.incomplete, allowed=given.allow_incomplete)
    try:
        sent = packet_of_pod(
            inputs.compiler.inventory,
            pod if "/" in pod or not given.namespace else f"{given.namespace}/{pod}",
            destination,
            network=network,
            source=source,
            protocol=None if protocol is None else Protocol(protocol),
            port=port,
        )
    except InvalidPacket as error:
        raise click.UsageError(str(error)) from None
    southbound, remotes = (None, "") if southbound_remote is None else _read_southbound(southbound_remote, database)
    path = None if southbound is None else _find_path(southbound, sent, required=trace)
    candidates = _candidates(sent.switch, inputs.desired, given, database, southbound)
    explanation = explain_rows(
        sent.packet if path is None else path.packet,
        candidates.rows,
        candidates.names,
        versions=_versions(release, southbound),
    )
    traced: Trace | None = None
    disagreements: Sequence[str] = ()
    if trace and path is not None:
        tracer = OvnTrace(remotes, tls=database.tls, timeout_s=max(_TRACE_S, database.timeout_s))
        traced = tracer.run(sent.switch, path.microflow)
        disagreements = find_disagreements(explanation, traced)
    if form is options.TableFormat.JSON:
        origin = "northbound" if database.remote else "files" if given.files else "cluster"
        output.result_json(_document(sent, explanation, origin, traced, disagreements))
    else:
        _print_text(sent, explanation, traced, disagreements)
    if disagreements:
        raise click.exceptions.Exit(output.EXIT_DRIFT)
    if inputs.is_partial:
        raise click.exceptions.Exit(output.EXIT_INVALID)


def _read_southbound(remote: str, database: options.DatabaseOptions) -> tuple[SouthboundContents, str]:
    """What it holds, and where it is as ovn-trace takes it."""
    from ovnqos.southbound.southbound import Southbound

    with Southbound(remote, tls=database.tls, timeout_s=database.timeout_s) as southbound:
        return southbound.read(), southbound.remotes


def _find_path(southbound: SouthboundContents, sent: PodPacket, *, required: bool) -> PacketPath | None:
    """The path of a packet; raises TraceFailed where it is required and the Southbound does not have it."""
    from ovnqos.southbound.ovn_trace import TraceFailed
    from ovnqos.southbound.packet_path import find_path

    path = find_path(southbound, sent.packet)
    if path is None:
        missing = f"port {sent.packet.inport} is not in the Southbound: it is of another zone, or northd is behind"
        if required:
            raise TraceFailed(missing)
        output.warning(missing)
    return path


def _candidates(
    switch: str,
    desired: DesiredState,
    given: options.InputOptions,
    database: options.DatabaseOptions,
    southbound: SouthboundContents | None,
) -> CandidateRows:
    """The rows of the files, or where a Northbound is named those in it, with a warning where the two differ."""
    from ovnqos.explain.candidates import candidates_of_desired, candidates_of_snapshot
    from ovnqos.plan.plan import plan_changes

    if database.remote is None:
        return candidates_of_desired(desired, switch, given.owner)
    with database.connect(given.owner) as northbound:
        snapshot = northbound.snapshot()
    if switch not in snapshot.switches:
        output.warning(f"no rows: the Northbound has no switch {switch}")
    if differing := _differences(plan_changes(desired, snapshot), switch):
        output.warning(f"the Northbound differs from the files: {differing}; run `ovnqos diff` to see it")
    return candidates_of_snapshot(snapshot, switch, None if southbound is None else southbound.address_sets)


def _differences(plan: Plan, switch: str) -> str:
    """How many rows of one switch, and how many sets, a plan changes; empty for none."""
    from ovnqos.plan.changes import RowDelete, RowInsert, RowUpdate

    rows = sum(
        switch in change.switches or (isinstance(change, RowUpdate) and switch in change.bind)
        for change in plan.changes
        if isinstance(change, RowInsert | RowUpdate | RowDelete)
    )
    sets = len(plan.changes) - plan.count(RowInsert, RowUpdate, RowDelete)
    counts = ([f"{output.count(rows, 'row')} of switch {switch}"] if rows else []) + (
        [output.count(sets, "set")] if sets else []
    )
    return " and ".join(counts)


def _versions(release: PipelineVersion | None, southbound: SouthboundContents | None) -> Sequence[PipelineVersion]:
    """Those given, else those of the Southbound's stages, else all."""
    from ovnqos.explain.pipeline import PipelineVersion

    found = sorted(southbound.pipeline_versions) if southbound is not None else []
    if release is None:
        return found or tuple(PipelineVersion)
    if found and release not in found:
        output.warning(f"--ovn is {release.releases}, but the Southbound is of {found[0].releases}")
    return (release,)


def _print_text(sent: PodPacket, explanation: Explanation, trace: Trace | None, disagreements: Sequence[str]) -> None:
    """What happens to the packet in each direction, and below it every row."""
    lines = [("packet", str(sent)), *_outcome_lines(explanation), *_trace_lines(trace, disagreements)]
    width = max(len(title) for title, _ in lines)
    output.result("".join(f"{title.ljust(width)}  {text}\n" for title, text in lines))
    rows = [row for lookup in explanation.lookups for row in lookup.rows]
    if rows:
        output.result("\n")
        styles = [_STYLES.get(one.verdict, "") for one in rows]
        output.table(_COLUMNS, [_cells(one) for one in rows], styles=styles)


def _outcome_lines(explanation: Explanation) -> Iterator[tuple[str, str]]:
    for lookup in explanation.lookups:
        texts = {version: _outcome_text(outcome) for version, outcome in lookup.outcomes.items()}
        if len(set(texts.values())) == 1:
            yield str(lookup.direction), next(iter(texts.values()))
        else:
            yield from ((f"{lookup.direction}, {version.releases}", text) for version, text in texts.items())


def _outcome_text(outcome: Outcome) -> str:
    if outcome.mark.rows == outcome.limit.rows:
        return _decision_text(outcome.mark, marks=True, limits=True, otherwise="no row applies")
    mark = _decision_text(outcome.mark, marks=True, otherwise="no mark") if outcome.mark.rows != (None,) else ""
    limit = _decision_text(outcome.limit, limits=True, otherwise="no limit") if outcome.limit.rows != (None,) else ""
    return "; ".join(filter(None, (mark, limit)))


def _decision_text(decision: Decision, *, marks: bool = False, limits: bool = False, otherwise: str) -> str:
    texts = [f"{row.effect(marks=marks, limits=limits)} by {row.name}" if row else otherwise for row in decision.rows]
    text = " or ".join(dict.fromkeys(texts))
    if decision.certain:
        return text
    action = "" if marks and limits else "mark " if marks else "limit "
    return f"{action}{'undefined' if decision.undefined else 'not certain'}: {text}"


def _trace_lines(trace: Trace | None, disagreements: Sequence[str]) -> Iterator[tuple[str, str]]:
    if trace is None:
        return
    for line in disagreements:
        yield "ovn-trace", f"differs: {line}"
    if not disagreements:
        yield "ovn-trace", "agrees" if trace.leaves else "agrees; the packet does not leave the switch"


def _cells(one: RowExplanation) -> Sequence[str]:
    row = one.row
    numbers = ("-" if value is None else str(value) for value in (row.dscp, row.rate_kbps, row.burst_kbit))
    return (row.direction, str(row.priority), row.name, *numbers, one.verdict, one.reason or "-")


def _document(
    sent: PodPacket, explanation: Explanation, origin: str, trace: Trace | None, disagreements: Sequence[str]
) -> dict[str, Any]:
    """The explanation for programs; `origin` says where the rows are from: `files`, `cluster` or `northbound`."""
    packet = explanation.packet
    document: dict[str, Any] = {
        "format": _FORMAT,
        "packet": {
            "pod": sent.pod,
            "network": sent.network,
            "switch": sent.switch,
            "inport": packet.inport,
            "outport": packet.outport,
            "source": str(packet.source),
            "destination": str(packet.destination),
            "protocol": packet.protocol,
            "destination_port": packet.destination_port,
        },
        "rows_from": origin,
        "certain": explanation.certain,
        "outcomes": [one for lookup in explanation.lookups for one in _outcomes(lookup)],
        "rows": [_row(row) for lookup in explanation.lookups for row in lookup.rows],
    }
    if trace is not None:
        agrees = not disagreements
        document["trace"] = {"agrees": agrees, "leaves_switch": trace.leaves, "differences": list(disagreements)}
    return document


def _outcomes(lookup: Lookup) -> Iterator[dict[str, Any]]:
    for version, outcome in lookup.outcomes.items():
        yield {
            "direction": lookup.direction,
            "pipeline_version": version,
            "certain": outcome.certain,
            "mark_by": [row and row.identity for row in outcome.mark.rows],
            "limit_by": [row and row.identity for row in outcome.limit.rows],
            "effects": sorted((_effect(effect) for effect in outcome.effects), key=str),
        }


def _effect(effect: Effect) -> dict[str, int | None]:
    return {"dscp": effect.dscp, "rate": effect.rate_kbps, "burst": effect.burst_kbit}


def _row(one: RowExplanation) -> dict[str, Any]:
    row = one.row
    return {
        "id": row.identity,
        "name": row.name,
        "direction": row.direction,
        "priority": row.priority,
        "match": str(row.match),
        "dscp": row.dscp,
        "rate": row.rate_kbps,
        "burst": row.burst_kbit,
        "matches": one.matches.truth,
        "verdict": one.verdict,
        "reason": one.reason,
    }
