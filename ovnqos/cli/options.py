"""Options that several commands share: one spelling, one help text, one value that a command is given."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from ovnqos.cli import output
from ovnqos.compile.topologies.choice import TopologyChoice, TopologyKind, parse_topology_choice
from ovnqos.errors import InvalidRow
from ovnqos.model.owner import DEFAULT_OWNER, Owner
from ovnqos.northbound.northbound import Northbound
from ovnqos.ovsdb.tls import TlsFiles
from ovnqos.plan.plan import DeleteLimit
from ovnqos.sources.values import parse_cidr

if TYPE_CHECKING:
    from collections.abc import Callable

    from netaddr import IPNetwork

DEFAULT_LIMIT: Final = "30%"
SMALL: Final = 10
"""The default limit lets so many rows go whatever their share: in a small cluster that is one object."""

_R = TypeVar("_R")
_FILE = click.Path(path_type=Path, dir_okay=False)


class Format(StrEnum):
    """How a plan is printed."""

    DIFF = "diff"
    NBCTL = "nbctl"
    JSON = "json"


class Seconds(click.FloatRange):
    """A duration; unlike click's own range it takes neither `nan` nor `inf`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it; fails as click's types do."""
        seconds = float(super().convert(value, param, ctx))
        if not math.isfinite(seconds):
            self.fail(f"{value!r} is not a number of seconds.", param, ctx)
        return seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseOptions:
    """Where the Northbound is."""

    remote: str | None
    timeout_s: float
    tls: TlsFiles | None

    def connect(self, owner: Owner) -> Northbound:
        """Connect; raises what `Northbound.connect` raises."""
        return Northbound.connect(self.remote, owner=owner, tls=self.tls, timeout_s=self.timeout_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileOptions:
    """What to compile, and for whom."""

    files: tuple[str, ...]
    zone_nodes: tuple[str, ...]
    owner: Owner
    topology: TopologyChoice
    cluster_cidrs: tuple[IPNetwork, ...]
    keep_going: bool


def database_options(command: Callable[..., _R]) -> Callable[..., _R]:
    """Add the options of a connection; the command gets `database: DatabaseOptions`."""

    @functools.wraps(command)
    def with_database(*, remote: str | None, timeout: float, **others: Any) -> _R:
        files = {name: others.pop(name) for name in ("private_key", "certificate", "ca_cert")}
        missing = [f"--{name.replace('_', '-')}" for name, file in files.items() if file is None]
        tls = None
        if not missing:
            tls = TlsFiles(
                private_key=files["private_key"], certificate=files["certificate"], ca_certificate=files["ca_cert"]
            )
        elif len(missing) < len(files):
            raise click.UsageError(f"{' and '.join(missing)} must be given too: the three TLS files go together")
        return command(database=DatabaseOptions(remote=remote, timeout_s=timeout, tls=tls), **others)

    return _stack(
        with_database,
        click.option(
            "--nb",
            "remote",
            metavar="REMOTE",
            help="OVN Northbound: unix:/path, tcp:host:port, ssl:host:port, or several with commas.  "
            "[default: $OVN_NB_DB, else the local socket]",
        ),
        click.option("-p", "--private-key", type=_FILE, metavar="FILE", help="Private key, for ssl: remotes."),
        click.option("-c", "--certificate", type=_FILE, metavar="FILE", help="Certificate, for ssl: remotes."),
        click.option("-C", "--ca-cert", type=_FILE, metavar="FILE", help="Certificate of the server's CA."),
        click.option(
            "-t",
            "--timeout",
            type=Seconds(min=0.1),
            default=10.0,
            show_default=True,
            metavar="SECONDS",
            help="How long to wait for the database.",
        ),
    )


def compile_options(command: Callable[..., _R]) -> Callable[..., _R]:
    """Add the options of compiling; the command gets `wanted: CompileOptions`."""

    @functools.wraps(command)
    def with_compile(  # noqa: PLR0913 - one parameter an option
        *,
        files: tuple[str, ...],
        zone_nodes: tuple[str, ...],
        owner_name: str,
        topology: TopologyChoice,
        cluster_cidrs: tuple[IPNetwork, ...],
        keep_going: bool,
        **others: Any,
    ) -> _R:
        wanted = CompileOptions(
            files=files,
            zone_nodes=zone_nodes,
            owner=Owner(owner_name),
            topology=topology,
            cluster_cidrs=cluster_cidrs,
            keep_going=keep_going,
        )
        return command(wanted=wanted, **others)

    return _stack(
        with_compile,
        files_option,
        click.option(
            "--zone-node",
            "zone_nodes",
            multiple=True,
            metavar="NODE",
            help="A node whose pods this Northbound wires. May be repeated.  [default: all nodes]",
        ),
        owner_option,
        topology_option,
        cluster_cidr_option,
        click.option(
            "--keep-going",
            is_flag=True,
            help="Pass over invalid objects, leaving their present rows as they are, instead of stopping.",
        ),
    )


cluster_cidr_option = click.option(
    "--cluster-cidr",
    "cluster_cidrs",
    multiple=True,
    metavar="CIDR",
    callback=lambda _context, _parameter, texts: tuple(_cidr(text) for text in texts),
    help="Addresses in the cluster: a pod's DSCP annotation is for what leaves it. May be repeated.",
)
files_option = click.option(
    "-f",
    "--filename",
    "files",
    multiple=True,
    required=True,
    metavar="PATH",
    help="File or folder of YAML or JSON manifests, or - for standard input. May be repeated. NetworkQoS, Pod, "
    "Namespace, Node and NetworkAttachmentDefinition objects are read.",
)
owner_option = click.option(
    "--owner",
    "owner_name",
    default=DEFAULT_OWNER,
    show_default=True,
    metavar="NAME",
    help="Whose rows to compare, change and delete.",
)
topology_option = click.option(
    "--topology",
    default=str(TopologyKind.AUTO),
    metavar="TOPOLOGY",
    callback=lambda _context, _parameter, text: _topology_choice(text),
    help="How switches and ports are named, and where pods' addresses are: ovn-kubernetes, kube-ovn, static:FILE (a "
    "topology map), or auto, which tells it by the pods' annotations.  [default: auto]",
)
format_option = click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice([str(form) for form in Format]),
    default=str(Format.DIFF),
    show_default=True,
    help="How to print the plan.",
)
max_deletes_option = click.option(
    "--max-deletes",
    "limit",
    default=DEFAULT_LIMIT,
    metavar="LIMIT",
    callback=lambda _context, _parameter, text: _delete_limit(text),
    help="Refuse a plan that deletes more rows than this: a count (10) or a share (50%).  "
    f"[default: {DEFAULT_LIMIT}, but up to {SMALL} rows may always go]",
)


def _topology_choice(text: str) -> TopologyChoice:
    try:
        return parse_topology_choice(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _delete_limit(text: str) -> DeleteLimit:
    try:
        limit = DeleteLimit.parse(text)
    except InvalidRow as error:
        raise click.BadParameter(str(error)) from None
    return replace(limit, at_least=SMALL) if text == DEFAULT_LIMIT else limit


def _cidr(text: str) -> IPNetwork:
    try:
        cidr, remark = parse_cidr(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    if remark:
        output.warning(f"--cluster-cidr: {remark}")
    return cidr


def _stack(command: Callable[..., _R], *decorators: Callable[[Any], Any]) -> Callable[..., _R]:
    for decorator in reversed(decorators):
        command = decorator(command)
    return command
