"""From the files or the cluster of the command line to the desired state; reports what is wrong with them."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from ovnqos.cli import output
from ovnqos.compile.compiler import Compiler
from ovnqos.compile.overlaps import find_shadowed_limits
from ovnqos.compile.rows import POD_KIND, POLICY_KIND
from ovnqos.compile.topologies.choice import TopologyKind, make_topology
from ovnqos.diagnostics import Code, Diagnostic, ObjectRef, listed
from ovnqos.errors import UnreadableInput
from ovnqos.model.workloads import NO_POD_QOS
from ovnqos.plan.address_claims import describe_address_claims
from ovnqos.sources import Manifests, load_manifests
from ovnqos.sources.topology_map import load_topology_map

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ovnqos.cli.options import InputOptions, SourceOptions
    from ovnqos.compile.rows import DesiredState, InputScope
    from ovnqos.plan.snapshot import Snapshot

_KINDS: Final = ("NetworkQoS", "NetworkAttachmentDefinition", "Namespace", "Pod")
_KINDS_WITHOUT_POLICIES: Final = frozenset({"Namespace", "NetworkAttachmentDefinition", "Node", "Pod"})
_DONE: Final = {
    "apply": "applied",
    "convert": "converted",
    "diff": "compared",
    "explain": "explained",
    "render": "rendered",
    "verify": "verified",
}
_VERBS: Final = {"diff": "compare"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """What was read; `is_partial` when invalid objects were left out, `incomplete` what shows that some are missing."""

    manifests: Manifests
    compiler: Compiler
    desired: DesiredState
    is_partial: bool
    incomplete: tuple[Diagnostic, ...] = ()

    def address_claims(self, snapshot: Snapshot) -> Iterator[Diagnostic]:
        """What annotations say of addresses and this Northbound does not, of pods that the command is about."""
        namespace = self.desired.scope.namespace if self.desired.scope is not None else ""
        found = describe_address_claims(self.compiler.inventory, snapshot)
        return (one for one in found if in_namespace(one.object, namespace))


def read_input(given: InputOptions, *, also_read: frozenset[str] = frozenset()) -> Input:
    """Load and compile; print warnings and errors. Of `also_read` see `load_manifests`.

    Raises:
        click.exceptions.Exit: with code 1, when an object is invalid and `keep_going` is not set, or the input names no
            node of the zone.
        UnreadableInput: a file or the cluster cannot be read.
        KubernetesConfigurationError: the cluster's configuration cannot be used.
        InvalidObject: the topology map is not valid.
        click.UsageError: the input has no NetworkQoS of a name that was given.
    """
    topology_map = load_topology_map(given.topology.file) if given.topology.kind is TopologyKind.STATIC else None
    also_keep = topology_map.annotations if topology_map is not None else frozenset()
    kinds = (*_KINDS, *(("Node",) if given.zone_nodes else ()), *also_read)
    manifests, incomplete = load(given, kinds, also_keep=also_keep, also_read=also_read)
    topology, uncertain = make_topology(
        given.topology, pods=manifests.pods, topology_map=topology_map, zone_nodes=given.zone_nodes or None
    )
    objects = (
        *(*manifests.namespaces, *manifests.network_attachment_definitions, *manifests.pods, *manifests.policies),
        *(invalid for invalid in manifests.invalid if invalid.object.name),
    )
    with output.progress("compiling"):
        compiler = Compiler.of(objects, topology, given.owner, cluster_cidrs=given.cluster_cidrs)
        desired = compiler.desired()
    assert desired.scope is not None  # `Compiler.desired` gives it
    scope = _limit(desired.scope, given, manifests, unread=frozenset(one.object.kind for one in incomplete))
    desired = replace(desired, scope=scope)
    errors = dict.fromkeys(one for invalid in manifests.invalid for one in invalid.diagnostics)
    warnings = [*(topology_map.diagnostics if topology_map is not None else ()), *manifests.warnings]
    warnings.extend(() if uncertain is None else (uncertain,))
    for one in compiler.all_diagnostics():
        if one.code is Code.COMPILE_FAILED:
            errors[one] = None
        elif one.code is Code.NO_POD_MATCHES and not manifests.pods:
            continue  # one line says it for all
        elif one not in errors:  # a wrong annotation is a warning: it has no effect, and all else of its object has
            warnings.append(one)
    warnings.extend(shadowed.diagnostic for shadowed in find_shadowed_limits(desired))
    # A wrong object elsewhere stops nothing here, but a pod or network that is wrong may be missing here
    warnings.extend(one for one in errors if not _is_shown(one.object, scope) and one.object.kind != "NetworkQoS")
    warnings = [one for one in warnings if _is_shown(one.object, scope) or one in errors]
    errors = {one: None for one in errors if _is_shown(one.object, scope)}
    output.diagnostics(warnings, as_warnings=True)
    _warn_of_missing_kinds(manifests, desired, unread=scope.unread)
    output.diagnostics(errors)
    if errors and not given.keep_going:
        command = _command()
        number = len({one.object for one in errors})
        invalid = f"{output.count(number, 'object')} {'is' if number == 1 else 'are'} invalid"
        verb = _VERBS.get(command, command)
        output.info(f"nothing {_DONE[command]}: {invalid}; use --keep-going to {verb} the valid ones")
        raise click.exceptions.Exit(output.EXIT_INVALID)
    refuse_unnamed_objects(manifests)
    _refuse_unknown_nodes(given.zone_nodes, manifests, incomplete)
    return Input(
        manifests=manifests,
        compiler=compiler,
        desired=desired,
        is_partial=bool(errors),
        incomplete=incomplete,
    )


def load(
    given: SourceOptions,
    kinds: Iterable[str],
    *,
    also_keep: frozenset[str] = frozenset(),
    also_read: frozenset[str] = frozenset(),
) -> tuple[Manifests, tuple[Diagnostic, ...]]:
    """Load the objects of the files, or else those of these kinds in the cluster; say which cluster.

    Returns:
        The objects, and an error for each kind that may not be read.

    Raises:
        UnreadableInput: a file or the cluster cannot be read.
        KubernetesConfigurationError: the cluster's configuration cannot be used.
    """
    if given.files:
        with output.progress("parsing"):
            return load_manifests(given.files, stdin=sys.stdin, also_keep=also_keep, also_read=also_read), ()
    try:
        from ovnqos.kubernetes import KubernetesConfigurationError, connect, read_cluster
    except ImportError:
        message = "the Python packages for reading a cluster are missing; install ovnqos[kubernetes], or give -f PATH"
        raise UnreadableInput(message) from None
    try:
        client = connect(given.kubeconfig or _kubeconfig_of_daemon(), context=given.context)
    except KubernetesConfigurationError as error:
        if given.kubeconfig or given.context:
            raise
        raise UnreadableInput(f"{error}; give manifests (-f PATH) or a cluster (--kubeconfig FILE)") from None
    with closing(client):
        output.info(f"reading the cluster {client.server} ({client.name})")
        with output.progress("reading") as report:
            found = read_cluster(client, kinds, also_keep=also_keep, progress=report)
    if "NetworkQoS" in found.absent:
        output.info("the cluster has no NetworkQoS: its CustomResourceDefinition is not installed")
    hint = "grant the right to list them, or use --allow-incomplete to leave what depends on them as it is"
    return found.manifests, tuple(
        Diagnostic.error(ObjectRef(kind=kind), Code.INCOMPLETE_INPUT, f"cannot be listed: {words}", hint=hint)
        for kind, words in found.forbidden.items()
    )


def _kubeconfig_of_daemon() -> Path | None:
    """The daemon's setting, which serves the command in its container; None where `KUBECONFIG` is set."""
    setting = os.environ.get("OVNQOSD_KUBECONFIG")
    return Path(setting) if setting and "KUBECONFIG" not in os.environ else None


def _limit(scope: InputScope, given: InputOptions, manifests: Manifests, *, unread: frozenset[str]) -> InputScope:
    """The scope with what `-n`, `-l` and `--policy` leave of it."""
    namespace = given.only_namespace
    if given.selector is None and not given.policies:
        return replace(scope, unread=unread, namespace=namespace)
    named = {f"NetworkQoS/{one if '/' in one else f'{given.namespace}/{one}'}" for one in given.policies}
    if unknown := named - scope.objects:
        raise click.UsageError(f"the input has no {listed(unknown)}; check --policy")
    selected = {
        f"NetworkQoS/{one.key}" for one in manifests.policies if given.selector and given.selector.matches(one.labels)
    }
    return replace(scope, unread=unread, namespace=namespace, only=frozenset(named | selected))


def _is_shown(ref: ObjectRef, scope: InputScope) -> bool:
    """Whether what is said of an object is about what may change."""
    if ref.kind == "NetworkQoS" and ref.name:
        return scope.may_change(f"NetworkQoS/{ref.key}")
    return in_namespace(ref, scope.namespace)


def in_namespace(ref: ObjectRef, namespace: str) -> bool:
    """Whether an object belongs to a namespace, or to none; any does where the namespace is empty."""
    own = ref.name if ref.kind == "Namespace" else ref.namespace
    return not namespace or not own or own == namespace


def _refuse_unknown_nodes(zone_nodes: Iterable[str], manifests: Manifests, incomplete: Iterable[Diagnostic]) -> None:
    """Stop when a node of the zone is not in the input: its pods would look like those of other zones.

    What could not be read (`incomplete`) is told too: it may be why.

    Raises:
        click.exceptions.Exit: with code 1.
    """
    known = {node.name for node in manifests.nodes} | {pod.node for pod in manifests.pods}
    if unknown := set(zone_nodes) - known:
        text = f"no Node or pod of the input names the node {listed(unknown)}"
        hint = "check --zone-node, or add the Node"
        unknown_node = Diagnostic.error(ObjectRef(kind="Node"), Code.INCOMPLETE_INPUT, text, hint=hint)
        output.diagnostics([*incomplete, unknown_node])
        output.info(f"nothing {_DONE[_command()]}: it is unknown which pods are of the zone")
        raise click.exceptions.Exit(output.EXIT_INVALID)


def refuse_incomplete(found: Iterable[Diagnostic], *, allowed: bool) -> None:
    """Print what is missing from the input, and stop unless that is allowed.

    Raises:
        click.exceptions.Exit: with code 1.
    """
    incomplete = tuple(found)
    output.diagnostics(incomplete, as_warnings=allowed)
    if incomplete and not allowed:
        output.info(f"nothing {_DONE[_command()]}: the input is incomplete; add the objects, or use --allow-incomplete")
        raise click.exceptions.Exit(output.EXIT_INVALID)


def refuse_unnamed_objects(manifests: Manifests) -> None:
    """Stop when an invalid object of the input may be a policy that cannot be identified.

    Raises:
        click.exceptions.Exit: with code 1.
    """
    unnamed = [
        bad for bad in manifests.invalid if not bad.object.name and bad.object.kind not in _KINDS_WITHOUT_POLICIES
    ]
    if unnamed:
        number = output.count(len(unnamed), "invalid object")
        output.info(f"nothing {_DONE[_command()]}: {number} without a valid kind and name, whose rows are unknown")
        raise click.exceptions.Exit(output.EXIT_INVALID)


def _command() -> str:
    return str(click.get_current_context().info_name)


def _warn_of_missing_kinds(manifests: Manifests, desired: DesiredState, *, unread: frozenset[str]) -> None:
    """Warn where a kind is missing without which there are no rows; of single policies the compiler says it.

    Of kinds that could not be read (`unread`) it is not known what there is; an error says that.
    """
    if unread & {POLICY_KIND, POD_KIND}:
        return
    has_policies = bool(manifests.policies) or any(one.object.kind == POLICY_KIND for one in manifests.invalid)
    has_invalid_pods = any(one.object.kind == POD_KIND for one in manifests.invalid)
    if not has_policies and not desired.rows:
        said = chain((one.qos for one in manifests.pods), (one.qos for one in manifests.namespaces))
        if any(qos is not NO_POD_QOS for qos in said):
            pods = "no limit or mark of its pods gives a row"
        else:
            pods = f"no {'valid ' if has_invalid_pods else ''}pod with a limit or mark of its own"
        output.warning(f"no rows: the input has no NetworkQoS object, and {pods}")
    elif manifests.policies and not manifests.pods:
        if has_invalid_pods:
            output.warning("no rows: all pods of the input are invalid; correct them")
        else:
            output.warning("no rows: the input has no pods; add them, e.g. from `kubectl get pods -A -o yaml`")
