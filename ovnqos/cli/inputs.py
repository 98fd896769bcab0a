"""From the command line's files to what is desired, with everything that is wrong said on the way."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click

from ovnqos.cli import output
from ovnqos.cli.exit_codes import EXIT_INVALID
from ovnqos.compile.compiler import Compiler
from ovnqos.compile.shadowed_limits import find_shadowed_limits
from ovnqos.compile.topologies.choice import TopologyKind
from ovnqos.compile.topologies.detect import make_topology
from ovnqos.diagnostics import Code
from ovnqos.sources import Manifests, load_manifests
from ovnqos.sources.topology_map import load_topology_map

if TYPE_CHECKING:
    from ovnqos.cli.options import CompileOptions
    from ovnqos.compile.rows import DesiredState
    from ovnqos.model.owner import Owner
    from ovnqos.model.topology_map import TopologyMap


_HAVE_ROWS: Final = frozenset({"NetworkQoS", "Pod"})
_NO_POLICIES: Final = frozenset({"Namespace", "NetworkAttachmentDefinition", "Node", "Pod"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What the files ask for; `faulty` when something of it had to be passed over."""

    manifests: Manifests
    compiler: Compiler
    desired: DesiredState
    faulty: bool


def read_inputs(wanted: CompileOptions) -> Inputs:
    """Load and compile; prints warnings and errors.

    Raises:
        click.exceptions.Exit: with code 1, when an object is invalid and `keep_going` is not set.
        UnreadableInput: a file cannot be read.
        InvalidObject: the topology map is not valid.
    """
    topology_map = _read_topology_map(wanted)
    also_keep = topology_map.annotations if topology_map is not None else frozenset()
    manifests = load_manifests(wanted.files, stdin=sys.stdin, also_keep=also_keep)
    for warning in manifests.warnings:
        output.warning(warning)
    topology, doubt = make_topology(
        wanted.topology, pods=manifests.pods, topology_map=topology_map, zone_nodes=wanted.zone_nodes or None
    )
    if doubt:
        output.warning(doubt)
    objects = (
        *(*manifests.namespaces, *manifests.network_attachment_definitions, *manifests.pods, *manifests.policies),
        *(invalid for invalid in manifests.invalid if invalid.object.name),
    )
    compiler = Compiler.of(objects, topology, wanted.owner, cluster_cidrs=wanted.cluster_cidrs)
    desired = compiler.desired()
    errors = [one for invalid in manifests.invalid for one in invalid.diagnostics]
    for one in compiler.all_diagnostics():
        if one.code is Code.COMPILE_FAILED:
            errors.append(one)
        elif one not in errors and one not in manifests.warnings:
            output.warning(one)  # a wrong annotation, too: it has no effect, and all else of its object has
    for shadowed in find_shadowed_limits(desired, compiler.inventory):
        output.warning(shadowed.diagnostic)
    _warn_of_missing_pods(manifests, desired, wanted.owner)
    for one in errors:
        output.error(one)
    faulty = bool(errors)
    if faulty and not wanted.keep_going:
        output.info("nothing was done; with --keep-going the valid objects are taken")
        raise click.exceptions.Exit(EXIT_INVALID)
    refuse_unnamed(manifests)
    return Inputs(manifests=manifests, compiler=compiler, desired=desired, faulty=faulty)


def _read_topology_map(wanted: CompileOptions) -> TopologyMap | None:
    if wanted.topology.kind is not TopologyKind.STATIC:
        return None

    topology_map = load_topology_map(wanted.topology.file)
    for warning in topology_map.diagnostics:
        output.warning(warning)
    return topology_map


def invalid_objects(manifests: Manifests) -> list[str]:
    """The policies and pods that are not valid, whose present rows are to be kept: a typo must not lift a limit."""
    return [f"{bad.object.kind}/{bad.object.key}" for bad in manifests.invalid if bad.object.kind in _HAVE_ROWS]


def refuse_unnamed(manifests: Manifests) -> None:
    """Stop when something in the input may be a policy, and nobody can tell which.

    Raises:
        click.exceptions.Exit: with code 1.
    """
    if any(not bad.object.name and bad.object.kind not in _NO_POLICIES for bad in manifests.invalid):
        output.info("nothing was done: of an object without a valid kind and name it is not known whose rows to keep")
        raise click.exceptions.Exit(EXIT_INVALID)


def _warn_of_missing_pods(manifests: Manifests, desired: DesiredState, owner: Owner) -> None:
    if not manifests.policies:
        if not desired.rows:
            output.warning("no NetworkQoS object in the input, and no pod with a limit or mark of its own")
    elif not manifests.pods:
        output.warning("no pods in the input, so no rows: add them, e.g. from `kubectl get pods -A -o yaml`")
    else:
        busy = {owner.object_of(row.external_ids) for row in desired.rows.values()}
        idle = [one.key for one in manifests.policies if f"NetworkQoS/{one.key}" not in busy | desired.retained]
        if idle:
            output.warning(
                f"no rows for {', '.join(sorted(idle))}: the input has no pod for them on a node of this zone"
            )
