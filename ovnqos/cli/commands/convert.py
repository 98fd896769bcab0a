"""`ovnqos convert`: annotations and EgressQoS to NetworkQoS, or NetworkQoS to annotations."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import click
import yaml

from ovnqos.cli import options, output
from ovnqos.cli.exit_codes import EXIT_INVALID
from ovnqos.convert import (
    annotate_commands,
    annotation_documents,
    network_qos_document,
    to_annotations,
    to_network_qos,
)
from ovnqos.convert.manifests import parse_cluster_objects
from ovnqos.model.policy import DSCP_MAXIMUM
from ovnqos.sources.documents import read_documents

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from netaddr import IPNetwork

    from ovnqos.convert import ClusterObjects, Part, Remark, Replacement

_NAMED = 3
"""So many objects of a line are named; the others are counted."""


class Target(StrEnum):
    """What to convert to."""

    NETWORK_QOS = "network-qos"
    ANNOTATIONS = "annotations"


class Form(StrEnum):
    """How to print the outcome."""

    YAML = "yaml"
    JSON = "json"
    COMMANDS = "commands"


@click.command
@options.files_option
@click.option(
    "--to",
    "target",
    type=click.Choice([str(target) for target in Target]),
    default=str(Target.NETWORK_QOS),
    show_default=True,
    help="NetworkQoS objects, from annotations of pods and namespaces and from EgressQoS objects; or annotations, from "
    "NetworkQoS objects.",
)
@options.cluster_cidr_option
@click.option(
    "--dscp",
    "mark",
    type=click.IntRange(0, DSCP_MAXIMUM),
    metavar="N",
    help="To network-qos: convert egress limits, whose rules must mark too: with the pod's own DSCP, or else this one, "
    "inside the cluster as well.",
)
@click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice([str(form) for form in Form]),
    help="How to print it; commands are kubectl's.  [default: yaml for network-qos, commands for annotations]",
)
def convert(
    files: tuple[str, ...],
    target: str,
    cluster_cidrs: tuple[IPNetwork, ...],
    mark: int | None,
    form: str | None,
) -> None:
    """Say what pods are limited and marked to in another way, with the same effect.

    What has no equivalent is left as it is, with a note that names object, field and reason. Give all objects of a
    namespace, so that pods can be told apart by their labels, and nothing beside the outcome spoils its effect.

    \b
    Examples:
      kubectl get pods,namespaces,networkqoses,egressqoses -A -o yaml > all.yaml
      ovnqos convert -f all.yaml --cluster-cidr 10.128.0.0/14 --cluster-cidr 172.30.0.0/16
      ovnqos convert -f all.yaml --cluster-cidr 10.128.0.0/14 --dscp 0 > network-qos.yaml
      ovnqos convert -f all.yaml --cluster-cidr 10.128.0.0/14 --to annotations | sh
    """  # noqa: D301 - \b keeps click from filling the lines
    wanted = Target(target)
    chosen = Form(form) if form else (Form.YAML if wanted is Target.NETWORK_QOS else Form.COMMANDS)
    if wanted is Target.NETWORK_QOS and chosen is Form.COMMANDS:
        raise click.UsageError("-o commands goes with --to annotations; use yaml or json")
    if wanted is Target.ANNOTATIONS and mark is not None:
        raise click.UsageError("--dscp goes with --to network-qos: annotations limit without a mark")
    objects = _read(files)
    if wanted is Target.NETWORK_QOS:
        made = to_network_qos(objects, cluster_cidrs=cluster_cidrs, mark=mark)
        _print_documents([network_qos_document(policy) for policy in made.policies], chosen)
        _tell(made.remarks, made.replacements, nothing="no annotation or EgressQoS that a NetworkQoS can say")
        return
    annotated = to_annotations(objects, cluster_cidrs=cluster_cidrs)
    if chosen is Form.COMMANDS:
        output.result("".join(f"{command}\n" for command in annotate_commands(annotated.annotated)))
    else:
        _print_documents(annotation_documents(annotated.annotated), chosen)
    _tell(annotated.remarks, annotated.replacements, nothing="no NetworkQoS that annotations can say")


def _read(files: Sequence[str]) -> ClusterObjects:
    """Load the objects; prints warnings and errors, and stops with code 1 when one is invalid."""
    loaded = parse_cluster_objects(read_documents(files, stdin=sys.stdin))
    for warning in loaded.warnings:
        output.warning(warning)
    for error in loaded.invalid:
        output.error(error)
    if loaded.invalid:
        output.info("nothing was converted")
        raise click.exceptions.Exit(EXIT_INVALID)
    return loaded.objects


def _print_documents(documents: Sequence[dict[str, Any]], form: Form) -> None:
    if form is Form.JSON:
        listed = {"apiVersion": "v1", "kind": "List", "items": list(documents)}
        output.result(json.dumps(listed, indent=2, ensure_ascii=False) + "\n")
    elif documents:
        output.result(yaml.safe_dump_all(documents, explicit_start=True, sort_keys=False, allow_unicode=True))


def _tell(remarks: Iterable[Remark], replacements: Sequence[Replacement], *, nothing: str) -> None:
    for remark in remarks:
        output.info(f"note: {remark}")
    if not replacements:
        output.info(f"nothing to convert: {nothing}")
    for (by, parts), subjects in _grouped(replacements).items():
        what = f"{' and '.join(parts)} of " if parts else ""
        output.info(f"said by {_named(by)} now, to be removed once that holds: {what}{_named(subjects)}")


def _grouped(replacements: Iterable[Replacement]) -> dict[tuple[tuple[str, ...], tuple[Part, ...]], list[str]]:
    found: dict[tuple[tuple[str, ...], tuple[Part, ...]], list[str]] = {}
    for one in replacements:
        found.setdefault((one.by, tuple(sorted(one.parts))), []).append(one.subject)
    return found


def _named(subjects: Sequence[str]) -> str:
    rest = len(subjects) - _NAMED
    return ", ".join(subjects[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")
