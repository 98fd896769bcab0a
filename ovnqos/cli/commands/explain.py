"""`ovnqos explain`: which row applies to a packet, and why the others do not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from ovnqos.cli import completion, options, output
from ovnqos.cli.parameter_types import ADDRESS, REMOTE, Parsed, parse_address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from netaddr import IPAddress

    from ovnqos.cli.input import Input
    from ovnqos.compile.rows import DesiredState
    from ovnqos.explain.candidates import CandidateRows
    from ovnqos.explain.pipeline import PipelineVersion
    from ovnqos.explain.pod_packet import PodPacket
    from ovnqos.plan.plan import Plan
    from ovnqos.southbound.contents import SouthboundContents
    from ovnqos.southbound.packet_path import PacketPath
    from ovnqos.southbound.trace import Trace

_POD, _SERVICE = "pod:", "service:"
_TRACE_S: Final = 30.0
"""Seconds that ovn-trace gets at least, to read the Southbound of a large cluster."""


def _release(text: str) -> PipelineVersion:
    from ovnqos.errors import InvalidRow
    from ovnqos.explain.pipeline import PipelineVersion

    try:
        return PipelineVersion.of_release(text)
    except InvalidRow as error:
        raise ValueError(str(error)) from None


def _destination(text: str) -> IPAddress | str:
    """An address, or a pod or Service, as it is written: `pod:NAMESPACE/NAME`."""
    prefix = next((one for one in (_POD, _SERVICE) if text.startswith(one)), "")
    if not prefix:
        return parse_address(text)
    namespace, slash, name = text.removeprefix(prefix).partition("/")
    if not namespace or (slash and not name) or "/" in name:
        raise ValueError(f"must be {prefix}NAMESPACE/NAME")
    return text


def _key(text: str, namespace: str | None) -> str:
    """The key of a pod; one without a namespace is of that of -n."""
    return text if "/" in text or not namespace else f"{namespace}/{text}"


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
@click.option(
    "--to",
    "destination",
    required=True,
    type=Parsed("destination", _destination),
    metavar="ADDRESS|pod:NAMESPACE/NAME|service:NAMESPACE/NAME",
    help="Where the packet goes: an address, a pod, or the first backend of a Service.",
)
@click.option("--protocol", type=click.Choice(["tcp", "udp", "sctp", "icmp"]), help="Of the packet; ICMP: a ping.")
@click.option("--port", type=click.IntRange(0, 65_535), metavar="NUMBER", help="The packet's destination port.")
@click.option(
    "--network",
    metavar="NAME",
    help="The network on which it is sent: its name, or the attachment's NAMESPACE/NAME.  "
    "[default: that of the pod's networks that the destination is on, else the default network]",
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
    destination: IPAddress | str,
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
    compared with the packet as it enters the pod's switch (from-lport) and as it leaves it (to-lport). A packet
    to a Service is explained as it reaches a backend. `*` marks the rows that apply.

    Up to OVN 24.03 the highest row with a mark marks, and the highest with a rate limits; from 24.09 the highest row
    decides both. Where that makes a difference both answers are given, unless --ovn or --sb decides.

    Exits with 2 when --trace shows that OVN does something else.

    \b
    Examples:
      ovnqos explain --pod shop/web --to 203.0.113.9 --protocol tcp --port 443
      ovnqos explain --pod shop/web --to pod:shop/db
      ovnqos explain -f cluster.yaml --pod shop/web --to fd00::7 --network blue --ovn 25.03
      ovnqos explain -f - --pod shop/web --to 10.0.0.9 --nb unix:/run/ovn/ovnnb_db.sock \\
          --sb unix:/run/ovn/ovnsb_db.sock --trace
    """  # noqa: D301 - \b keeps click from filling the lines
    from ovnqos.cli import explanations
    from ovnqos.cli.input import read_input, refuse_incomplete
    from ovnqos.explain.lookup import explain as explain_rows
    from ovnqos.explain.pod_packet import InvalidPacket, packet_of_pod
    from ovnqos.match.packet import PacketProtocol
    from ovnqos.southbound.ovn_trace import OvnTrace
    from ovnqos.southbound.trace import find_disagreements

    if trace and southbound_remote is None:
        raise click.UsageError("--trace needs --sb: ovn-trace reads the Southbound")
    to_service = isinstance(destination, str) and destination.startswith(_SERVICE)
    inputs = read_input(given, also_read=frozenset({"Service"} if to_service else ()))
    refuse_incomplete(inputs.incomplete, allowed=given.allow_incomplete)
    receiver = destination
    if isinstance(destination, str):
        receiver = _key(destination.partition(":")[2], given.namespace)
    if to_service:
        receiver, port = _backend(inputs, str(receiver), port)
    try:
        sent = packet_of_pod(
            inputs.compiler.inventory,
            _key(pod, given.namespace),
            receiver,
            network=network,
            source=source,
            protocol=None if protocol is None else PacketProtocol(protocol),
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
        output.result_json(explanations.document(sent, explanation, origin, traced, disagreements))
    else:
        every = form is options.TableFormat.WIDE
        explanations.print_text(sent, explanation, traced, disagreements, every=every)
    if disagreements:
        raise click.exceptions.Exit(output.EXIT_DRIFT)
    if inputs.is_partial:
        raise click.exceptions.Exit(output.EXIT_INVALID)


def _backend(inputs: Input, key: str, port: int | None) -> tuple[str, int | None]:
    """The first of the pods behind a Service, by name, and its port there; says which it is."""
    namespace, _, name = key.partition("/")
    service = next((one for one in inputs.manifests.services if (one.namespace, one.name) == (namespace, name)), None)
    if service is None or service.selector is None:
        what = "not in the input" if service is None else "has no selector, so its backends are not known"
        raise click.UsageError(f"Service {key}: {what}; give an address or a pod")
    pods = sorted(one.pod.key for one in inputs.compiler.inventory.pods(service.selector, namespace))
    if not pods:
        raise click.UsageError(f"Service {key}: no pod of the input is behind it; give an address or a pod")
    there = port if port is None else service.target_ports.get(port, port)
    at = "" if there == port else f", port {there}"
    output.info(f"Service {key}: explained to the first of {output.count(len(pods), 'backend')}: pod {pods[0]}{at}")
    return pods[0], there


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
