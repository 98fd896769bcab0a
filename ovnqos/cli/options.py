"""Options that several commands share: one spelling, one help text, one value that a command is given."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from ovnqos.cli import completion, output
from ovnqos.cli.parameter_types import (
    CIDR,
    FILE,
    FOLDER,
    OWNER,
    REMOTE,
    SELECTOR,
    TOPOLOGY,
    OneOf,
    Parsed,
    parse_ended_limits,
    seconds,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from netaddr import IPNetwork

    from ovnqos.compile.topologies.choice import TopologyChoice
    from ovnqos.model.labels import LabelSelector
    from ovnqos.model.owner import Owner
    from ovnqos.northbound.northbound import Northbound
    from ovnqos.ovsdb.tls import TlsFiles
    from ovnqos.plan.ended_limits import EndedLimitsMaximum
    from ovnqos.stats import LocalChassis

_DEFAULT_LIMIT: Final = "30%"
_SMALL: Final = 1
"""The default limit lets so many limits end whatever their share."""

_R = TypeVar("_R")


class PlanFormat(StrEnum):
    """How a plan is printed."""

    OBJECTS = "objects"
    DIFF = "diff"
    NBCTL = "nbctl"
    JSON = "json"


class TableFormat(StrEnum):
    """How rows and findings are printed."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseOptions:
    """Where the Northbound is; `remote` is None for the default.

    Raises click.UsageError when some, but not all, of the TLS files are given.
    """

    remote: str | None
    timeout_s: float
    private_key: Path | None
    certificate: Path | None
    ca_cert: Path | None

    def __post_init__(self) -> None:
        files = {"--private-key": self.private_key, "--certificate": self.certificate, "--ca-cert": self.ca_cert}
        missing = [name for name, file in files.items() if file is None]
        if 0 < len(missing) < len(files):
            raise click.UsageError(f"TLS requires three files; give {' and '.join(missing)} too")

    @property
    def tls(self) -> TlsFiles | None:
        """The files for ssl: remotes."""
        from ovnqos.ovsdb.tls import TlsFiles

        if self.private_key is None or self.certificate is None or self.ca_cert is None:
            return None
        return TlsFiles(private_key=self.private_key, certificate=self.certificate, ca_certificate=self.ca_cert)

    def connect(self, owner: Owner) -> Northbound:
        """Connect; raises what `Northbound.connect` raises."""
        from ovnqos.errors import NorthboundUnavailable
        from ovnqos.northbound.northbound import Northbound

        try:
            with output.progress("reading the Northbound"):
                return Northbound.connect(self.remote, owner=owner, tls=self.tls, timeout_s=self.timeout_s)
        except NorthboundUnavailable as error:
            if self.remote is not None or any(map(os.environ.get, ("OVN_NB_DB", "OVNQOSD_NB"))):
                raise
            hint = "where each node has its own, use the daemon's pod there: kubectl -n ovnqos exec POD -- ovnqos"
            raise NorthboundUnavailable(f"{error}; {hint} (docs/commands.md)") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOptions:
    """Where the objects are: in files, or else in a cluster.

    Raises click.UsageError when both are given.
    """

    files: tuple[str, ...]
    cluster: bool
    kubeconfig: Path | None
    context: str | None
    allow_incomplete: bool
    namespace: str | None
    all_namespaces: bool

    def __post_init__(self) -> None:
        if self.files and (self.cluster or self.kubeconfig or self.context):
            raise click.UsageError("--cluster, --kubeconfig and --context choose a cluster; leave them out, or -f")

    @property
    def only_namespace(self) -> str:
        """The only namespace to show and change; empty for all."""
        return "" if self.all_namespaces else self.namespace or ""

    @property
    def is_given(self) -> bool:
        """Whether files or a cluster are named."""
        return bool(self.files or self.cluster or self.kubeconfig or self.context)


@dataclass(frozen=True, slots=True, kw_only=True)
class InputOptions(SourceOptions):
    """What to compile, for whom, and how much of it to show and write."""

    selector: LabelSelector | None
    policies: tuple[str, ...]
    zone_nodes: tuple[str, ...]
    owner: Owner
    topology: TopologyChoice
    cluster_cidrs: tuple[IPNetwork, ...]
    keep_going: bool

    def __post_init__(self) -> None:
        SourceOptions.__post_init__(self)  # super() does not work where a dataclass has slots
        if not self.namespace and (short := next((one for one in self.policies if "/" not in one), None)):
            raise click.UsageError(f"--policy {short}: give NAMESPACE/NAME, or -n NAMESPACE")


def _collected(name: str, kind: type[Any], *added: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Add options, one a field of a dataclass; the command gets them as one argument of that class."""

    def decorate(command: Callable[..., _R]) -> Callable[..., _R]:
        @functools.wraps(command)
        def with_options(**given: Any) -> _R:
            values = {field.name: given.pop(field.name) for field in fields(kind)}
            return command(**{name: kind(**values)}, **given)

        for option in reversed(added):
            with_options = option(with_options)
        return with_options

    return decorate


def _tls_option(short: str, long: str, text: str) -> Callable[[Any], Any]:
    """The option of a file; the daemon's setting serves the command in its container, too."""
    variable = f"OVNQOSD_{long.removeprefix('--').replace('-', '_').upper()}"
    return click.option(short, long, type=FILE, envvar=variable, show_envvar=True, help=text)


def database_options(*, default: str = "$OVN_NB_DB, else $OVNQOSD_NB, else the local socket") -> Callable[[Any], Any]:
    """Add the options of a connection; the command gets `database: DatabaseOptions`.

    Args:
        default: what --nb is if it is not given, for the help.
    """
    return _collected(
        "database",
        DatabaseOptions,
        click.option(
            "--nb",
            "remote",
            type=REMOTE,
            help="OVN Northbound: unix:/path, tcp:host:port, ssl:host:port, or several separated by commas.  "
            f"[default: {default}]",
        ),
        _tls_option("-p", "--private-key", "Private key for ssl: remotes."),
        _tls_option("-c", "--certificate", "Certificate for ssl: remotes."),
        _tls_option("-C", "--ca-cert", "CA certificate of the server for ssl: remotes."),
        click.option(
            "-t",
            "--timeout",
            "timeout_s",
            type=seconds(0.1),
            default=10.0,
            show_default=True,
            help="How long to wait for an answer from the database.",
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChassisOptions:
    """Where the switch and the ovn-controller of this machine are."""

    ovs_rundir: Path
    ovn_rundir: Path
    bridge: str

    def chassis(self, *, timeout_s: float) -> LocalChassis:
        """This machine's; nothing is asked of it yet."""
        from ovnqos.stats import LocalChassis

        return LocalChassis(
            ovs_folder=self.ovs_rundir, ovn_folder=self.ovn_rundir, bridge=self.bridge, timeout_s=timeout_s
        )


def chassis_options() -> Callable[[Any], Any]:
    """Add the options of this machine's chassis; the command gets `chassis: ChassisOptions`."""
    folders = (
        ("--ovs-rundir", "OVS_RUNDIR", "/var/run/openvswitch", "The folder of Open vSwitch's sockets."),
        ("--ovn-rundir", "OVN_RUNDIR", "/var/run/ovn", "The folder of ovn-controller's socket."),
    )
    return _collected(
        "chassis",
        ChassisOptions,
        *(
            click.option(name, type=FOLDER, envvar=variable, default=default, show_default=True, help=text)
            for name, variable, default, text in folders
        ),
        click.option("--bridge", default="br-int", show_default=True, help="OVN's integration bridge."),
    )


cluster_cidr_option = click.option(
    "--cluster-cidr",
    "cluster_cidrs",
    type=CIDR,
    multiple=True,
    envvar="OVNQOSD_CLUSTER_CIDRS",
    show_envvar=True,
    help="A CIDR of the cluster: the DSCP annotation of a pod marks packets to other addresses. May be repeated.",
)
namespace_option = click.option(
    "-n",
    "--namespace",
    metavar="NAME",
    shell_complete=completion.namespaces,
    help="Show and change only what belongs to objects of this namespace. All objects are read none the less.",
)
all_namespaces_option = click.option(
    "-A", "--all-namespaces", is_flag=True, help="Of all namespaces: the default; overrides -n."
)
_source = (
    click.option(
        "-f",
        "--filename",
        "files",
        type=click.Path(readable=False),
        multiple=True,
        metavar="PATH",
        help="File or folder of YAML or JSON manifests, or - for standard input. May be repeated. NetworkQoS, Pod, "
        "Namespace, Node and NetworkAttachmentDefinition objects are read. Without it the cluster's are; for verify "
        "say --cluster.",
    ),
    click.option(
        "--cluster", is_flag=True, help="Read the cluster of the kubeconfig, or of the pod's service account."
    ),
    click.option("--kubeconfig", type=FILE, help="Of the cluster to read.  [default: as for kubectl]"),
    click.option(
        "--context",
        metavar="NAME",
        shell_complete=completion.contexts,
        help="The kubeconfig's context to use.  [default: its current one]",
    ),
    click.option(
        "--allow-incomplete",
        is_flag=True,
        help="Continue although objects are missing from the input; what depends on them stays as it is.",
    ),
    namespace_option,
    all_namespaces_option,
)
source_options = _collected("source", SourceOptions, *_source)
"""Where the objects are; the command gets `source: SourceOptions`."""
owner_option = click.option(
    "--owner",
    type=OWNER,
    default="ovnqos",
    envvar="OVNQOSD_OWNER",
    help="The owner of the rows to compare, change and delete.  [default: $OVNQOSD_OWNER, else ovnqos]",
)


def format_option(kind: type[StrEnum], default: str | None, text: str) -> Callable[[Any], Any]:
    """The option `-o`; the command gets `form`. JSON is for standard error, too."""

    def remember(_context: click.Context, _parameter: click.Parameter, form: StrEnum | None) -> StrEnum | None:
        output.report_json(form is not None and form.value == "json")
        return form

    return click.option(
        "-o", "--output", "form", type=OneOf(kind), default=default, show_default=True, callback=remember, help=text
    )


plan_format_option = format_option(PlanFormat, "objects", "How to print the plan; diff: as ovn-nbctl qos-list.")
summary_option = click.option("--summary", is_flag=True, help="Print a line for each object only.")
table_format_option = format_option(TableFormat, "table", "How to print the result; wide: with all columns.")


def _delete_limit(text: str) -> EndedLimitsMaximum:
    limit = parse_ended_limits(text)
    return replace(limit, at_least=_SMALL) if text == _DEFAULT_LIMIT else limit


max_deletes_option = click.option(
    "--max-deletes",
    "limit",
    type=Parsed("limit", _delete_limit),
    default=_DEFAULT_LIMIT,
    help="Refuse a plan that ends more limits and marks of pods than this: a count (10) or a share (50%).  "
    f"[default: {_DEFAULT_LIMIT}, but at least {_SMALL}]",
)
prune_option = click.option(
    "--prune", is_flag=True, help="Remove the rows of NetworkQoS objects and pods that are not in the input, too."
)
input_options = _collected(
    "given",
    InputOptions,
    *_source,
    click.option(
        "-l",
        "--selector",
        type=SELECTOR,
        help="Show and change only what belongs to the NetworkQoS objects that this label selector takes.",
    ),
    click.option(
        "--policy",
        "policies",
        multiple=True,
        metavar="NAMESPACE/NAME",
        shell_complete=completion.policies,
        help="Show and change only what belongs to this NetworkQoS. May be repeated.",
    ),
    click.option(
        "--zone-node",
        "zone_nodes",
        multiple=True,
        metavar="NODE",
        envvar="OVNQOSD_NODE",
        show_envvar=True,
        shell_complete=completion.nodes,
        help="A node whose pods this Northbound wires. May be repeated.  [default: all nodes]",
    ),
    owner_option,
    click.option(
        "--topology",
        type=TOPOLOGY,
        default="auto",
        show_default=True,
        envvar="OVNQOSD_TOPOLOGY",
        show_envvar=True,
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
"""The options of compiling; the command gets `given: InputOptions`."""
