"""`ovnqos convert`: annotations and EgressQoS to NetworkQoS, or NetworkQoS to annotations."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from ovnqos.cli import options, output
from ovnqos.cli.output import count, listed
from ovnqos.cli.parameter_types import OneOf

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from netaddr import IPNetwork

    from ovnqos.convert import AnnotatedObject, Part, Replacement
    from ovnqos.diagnostics import Diagnostic, ObjectRef
    from ovnqos.sources import Manifests

    _About = TypeVar("_About", Diagnostic, Replacement, AnnotatedObject)


_KINDS: Final = ("NetworkQoS", "EgressQoS", "NetworkAttachmentDefinition", "Namespace", "Pod")


class ConvertTarget(StrEnum):
    """What to convert to."""

    NETWORK_QOS = "network-qos"
    ANNOTATIONS = "annotations"


class ConvertFormat(StrEnum):
    """How the result is printed."""

    YAML = "yaml"
    JSON = "json"
    COMMANDS = "commands"


@click.command
@options.source_options
@click.option(
    "--to",
    "target",
    type=OneOf(ConvertTarget),
    default=str(ConvertTarget.NETWORK_QOS),
    show_default=True,
    help="NetworkQoS objects, from annotations of pods and namespaces and from EgressQoS objects; or annotations, from "
    "NetworkQoS objects.",
)
@options.cluster_cidr_option
@click.option(
    "--dscp",
    "mark",
    type=click.IntRange(0, 63),
    metavar="N",
    help="To network-qos: the rules of egress limits mark, too: with the pod's own DSCP, or else this one, inside the "
    "cluster as well. Without it they leave marks alone, which ovn-kubernetes' own CRD does not take.",
)
@options.format_option(
    ConvertFormat,
    None,
    "How to print the result; commands are kubectl's.  [default: yaml for network-qos, commands for annotations]",
)
def convert(
    source: options.SourceOptions,
    target: ConvertTarget,
    cluster_cidrs: tuple[IPNetwork, ...],
    mark: int | None,
    form: ConvertFormat | None,
) -> None:
    """Convert annotations and EgressQoS to NetworkQoS, or NetworkQoS to annotations, with the same effect.

    What has no equivalent is left as it is, with a warning that names object, field and reason. Give all objects of a
    namespace: pods are told apart by their labels, and other objects may change the effect of the result.

    \b
    Examples:
      ovnqos convert -n shop --cluster-cidr 10.128.0.0/14 --cluster-cidr 172.30.0.0/16
      ovnqos convert -f all.yaml --cluster-cidr 10.128.0.0/14 --dscp 0 > network-qos.yaml
      ovnqos convert -f all.yaml --cluster-cidr 10.128.0.0/14 --to annotations | sh
    """  # noqa: D301 - \b keeps click from filling the lines
    from ovnqos.cli.input import in_namespace
    from ovnqos.convert import (
        annotate_commands,
        annotation_documents,
        network_qos_document,
        to_annotations,
        to_network_qos,
    )

    to_policies = target is ConvertTarget.NETWORK_QOS
    chosen = form or (ConvertFormat.YAML if to_policies else ConvertFormat.COMMANDS)
    if to_policies and chosen is ConvertFormat.COMMANDS:
        raise click.UsageError("-o commands goes with --to annotations; use yaml or json")
    if not to_policies and mark is not None:
        raise click.UsageError("--dscp goes with --to network-qos: annotations limit without a mark")
    manifests = _read(source)
    namespace = source.only_namespace

    def shown(items: Iterable[_About]) -> list[_About]:
        return [one for one in items if in_namespace(one.object, namespace)]

    if to_policies:
        made = to_network_qos(manifests, cluster_cidrs=cluster_cidrs, mark=mark)
        policies = [one for one in made.policies if namespace in {"", one.namespace}]
        _print_documents([network_qos_document(policy) for policy in policies], chosen)
        _report(
            shown(made.diagnostics),
            shown(made.replacements),
            nothing="no annotation or EgressQoS that a NetworkQoS can express",
        )
        return
    found = to_annotations(manifests, cluster_cidrs=cluster_cidrs)
    annotated = shown(found.annotated)
    if chosen is ConvertFormat.COMMANDS:
        output.result("".join(f"{command}\n" for command in annotate_commands(annotated)))
    else:
        _print_documents(annotation_documents(annotated), chosen)
    _report(shown(found.diagnostics), shown(found.replacements), nothing="no NetworkQoS that annotations can express")


def _read(source: options.SourceOptions) -> Manifests:
    """Load the objects; prints warnings and errors, and stops with code 1 when one is invalid or cannot be read."""
    from ovnqos.cli.input import load, refuse_incomplete

    manifests, incomplete = load(source, _KINDS, also_read=frozenset({"EgressQoS"}))
    refuse_incomplete(incomplete, allowed=source.allow_incomplete)
    output.diagnostics(manifests.warnings)
    output.diagnostics(diagnostic for one in manifests.invalid for diagnostic in one.diagnostics)
    if manifests.invalid:
        output.info(f"nothing converted: {count(len(manifests.invalid), 'object')} invalid")
        raise click.exceptions.Exit(output.EXIT_INVALID)
    return manifests


def _print_documents(documents: Sequence[dict[str, Any]], form: ConvertFormat) -> None:
    if form is ConvertFormat.JSON:
        output.result_json({"apiVersion": "v1", "kind": "List", "items": list(documents)})
    elif documents:
        output.result_yaml(documents)


def _report(diagnostics: Iterable[Diagnostic], replacements: Sequence[Replacement], *, nothing: str) -> None:
    output.diagnostics(diagnostics)
    if not replacements:
        output.info(f"nothing to convert: {nothing}")
    alike: dict[tuple[tuple[ObjectRef, ...], tuple[Part, ...]], list[ObjectRef]] = {}
    for one in replacements:
        alike.setdefault((one.by, tuple(sorted(one.parts))), []).append(one.object)
    for (by, parts), objects in alike.items():
        what = f"{' and '.join(parts)} of " if parts else ""
        output.info(f"remove after applying: {what}{listed(objects)} (replaced by {listed(by)})")
