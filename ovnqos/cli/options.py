"""Options that several commands share: one spelling, one help text, one value that a command is given."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from ovnqos.cli import output
from ovnqos.cli.parameter_types import CIDR, FILE, OWNER, REMOTE, TOPOLOGY, OneOf, Parsed, seconds

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from netaddr import IPNetwork

    from ovnqos.compile.topologies.choice import TopologyChoice
    from ovnqos.model.owner import Owner
    from ovnqos.northbound.northbound import Northbound
    from ovnqos.ovsdb.tls import TlsFiles
    from ovnqos.plan.plan import DeleteLimit

_DEFAULT_LIMIT: Final = "30%"
_SMALL: Final = 10
"""The default limit lets so many rows go whatever their share: in a small cluster that is one object."""

_R = TypeVar("_R")


class PlanFormat(StrEnum):
    """How a plan is printed."""

    DIFF = "diff"
    NBCTL = "nbctl"
    JSON = "json"


class TableFormat(StrEnum):
    """How rows and findings are printed."""

    TABLE = "table"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseOptions:
    """Where the Northbound is.

    Attributes:
        remote: as given, None for the default.
        timeout_s: how long to wait for an answer.
        tls: the files for ssl: remotes.
    """

    remote: str | None
    timeout_s: float
    tls: TlsFiles | None

    def connect(self, owner: Owner) -> Northbound:
        """Connect; raises what `Northbound.connect` raises."""
        from ovnqos.northbound.northbound import Northbound

        return Northbound.connect(self.remote, owner=owner, tls=self.tls, timeout_s=self.timeout_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class InputOptions:
    """What to compile, and for whom."""

    files: tuple[str, ...]
    zone_nodes: tuple[str, ...]
    owner: Owner
    topology: TopologyChoice
    cluster_cidrs: tuple[IPNetwork, ...]
    keep_going: bool


def database_options(*, default: str = "$OVN_NB_DB, else the local socket") -> Callable[[Any], Any]:
    """Add the options of a connection; the command gets `database: DatabaseOptions`.

    Args:
        default: what --nb is if it is not given, for the help.
    """
    return functools.partial(_with_database_options, default)


def _with_database_options(default: str, command: Callable[..., _R]) -> Callable[..., _R]:

    @functools.wraps(command)
    def with_database(
        *,
        remote: str | None,
        timeout: float,
        private_key: Path | None,
        certificate: Path | None,
        ca_cert: Path | None,
        **others: Any,
    ) -> _R:
        tls = None
        if private_key and certificate and ca_cert:
            from ovnqos.ovsdb.tls import TlsFiles

            tls = TlsFiles(private_key=private_key, certificate=certificate, ca_certificate=ca_cert)
        elif private_key or certificate or ca_cert:
            files = {"--private-key": private_key, "--certificate": certificate, "--ca-cert": ca_cert}
            missing = " and ".join(name for name, file in files.items() if file is None)
            raise click.UsageError(f"TLS requires three files; give {missing} too")
        return command(database=DatabaseOptions(remote=remote, timeout_s=timeout, tls=tls), **others)

    return _stack(
        with_database,
        click.option(
            "--nb",
            "remote",
            type=REMOTE,
            help="OVN Northbound: unix:/path, tcp:host:port, ssl:host:port, or several separated by commas.  "
            f"[default: {default}]",
        ),
        click.option("-p", "--private-key", type=FILE, help="Private key for ssl: remotes."),
        click.option("-c", "--certificate", type=FILE, help="Certificate for ssl: remotes."),
        click.option("-C", "--ca-cert", type=FILE, help="CA certificate of the server for ssl: remotes."),
        click.option(
            "-t",
            "--timeout",
            type=seconds(0.1),
            default=10.0,
            show_default=True,
            help="How long to wait for an answer from the database.",
        ),
    )


def input_options(command: Callable[..., _R]) -> Callable[..., _R]:
    """Add the options of compiling; the command gets `given: InputOptions`."""

    @functools.wraps(command)
    def with_input(  # noqa: PLR0913 - one parameter an option
        *,
        files: tuple[str, ...],
        zone_nodes: tuple[str, ...],
        owner: Owner,
        topology: TopologyChoice,
        cluster_cidrs: tuple[IPNetwork, ...],
        keep_going: bool,
        **others: Any,
    ) -> _R:
        given = InputOptions(
            files=files,
            zone_nodes=zone_nodes,
            owner=owner,
            topology=topology,
            cluster_cidrs=cluster_cidrs,
            keep_going=keep_going,
        )
        return command(given=given, **others)

    return _stack(
        with_input,
        files_option,
        click.option(
            "--zone-node",
            "zone_nodes",
            multiple=True,
            metavar="NODE",
            help="A node whose pods this Northbound wires. May be repeated.  [default: all nodes]",
        ),
        owner_option,
        click.option(
            "--topology",
            type=TOPOLOGY,
            default="auto",
            show_default=True,
            help="How switches and ports are named and addresses are found: ovn-kubernetes, kube-ovn, static:FILE (a "
            "topology map), or auto, which detects it by the annotations of pods.",
        ),
        cluster_cidr_option,
        click.option(
            "--keep-going",
            is_flag=True,
            help="Continue with the valid objects; the present rows of invalid ones stay as they are.",
        ),
    )


cluster_cidr_option = click.option(
    "--cluster-cidr",
    "cluster_cidrs",
    type=CIDR,
    multiple=True,
    help="A CIDR of the cluster: the DSCP annotation of a pod marks packets to other addresses. May be repeated.",
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
    type=OWNER,
    default="ovnqos",
    show_default=True,
    help="The owner of the rows to compare, change and delete.",
)


def format_option(kind: type[StrEnum], default: StrEnum | None, text: str) -> Callable[[Any], Any]:
    """The option `-o`; the command gets `form`. JSON is for standard error, too."""

    def remember(_context: click.Context, _parameter: click.Parameter, form: StrEnum | None) -> StrEnum | None:
        output.report_json(form is not None and form.value == "json")
        return form

    return click.option(
        "-o", "--output", "form", type=OneOf(kind), default=default, show_default=True, callback=remember, help=text
    )


plan_format_option = format_option(PlanFormat, PlanFormat.DIFF, "How to print the plan.")
table_format_option = format_option(TableFormat, TableFormat.TABLE, "How to print the result.")


def _delete_limit(text: str) -> DeleteLimit:
    from ovnqos.errors import InvalidRow
    from ovnqos.plan.plan import DeleteLimit

    try:
        limit = DeleteLimit.parse(text)
    except InvalidRow as error:
        raise ValueError(str(error).partition(": ")[2]) from None
    return replace(limit, at_least=_SMALL) if text == _DEFAULT_LIMIT else limit


max_deletes_option = click.option(
    "--max-deletes",
    "limit",
    type=Parsed("limit", _delete_limit),
    default=_DEFAULT_LIMIT,
    help="Refuse a plan that deletes more rows than this: a count (10) or a share (50%).  "
    f"[default: {_DEFAULT_LIMIT}, but at least {_SMALL} rows]",
)


def _stack(command: Callable[..., _R], *decorators: Callable[[Any], Any]) -> Callable[..., _R]:
    for decorator in reversed(decorators):
        command = decorator(command)
    return command
