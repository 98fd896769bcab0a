"""The daemon's settings: each is declared once, in `Settings`; flags, variables and keys of the file follow from it."""
# ruff: noqa: RUF009 # each default is immutable; `_setting` makes a dataclass field

from __future__ import annotations

import dataclasses
import ipaddress
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from ovnqos import OvnQosError, Owner, TlsFiles
from ovnqos.cli.parameter_types import CIDRS, ENDED_LIMITS, FILE, FOLDER, OWNER, REMOTE, OneOf, Parsed, seconds
from ovnqos.controller import EndedLimitsMaximum, TopologyChoice, TopologyKind, parse_topology_choice

if TYPE_CHECKING:
    from collections.abc import Mapping

    from netaddr import IPNetwork

DEFAULT_ZONE: Final = "global"
"""The zone of central mode: ovn-kubernetes' name for the one zone of a cluster with a central Northbound."""
OPTION: Final = "option"
"""In the metadata of a field: the arguments of its `click.Option`."""
_T = TypeVar("_T")


class SettingsError(OvnQosError):
    """Settings that cannot be used: a line for each, which names the flag, the variable or the key of the file."""


class Mode(StrEnum):
    """Whose Northbound the daemon writes; with `stats` it writes none and counts only."""

    CENTRAL = "central"
    ZONE = "zone"
    STATS = "stats"


class LogFormat(StrEnum):
    """How a line of the log looks."""

    JSON = "json"
    CONSOLE = "console"


class LogLevel(StrEnum):
    """What is logged: this and worse."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where a server listens; an empty host is every address of the machine, of IPv4 and IPv6."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> ListenAddress:
        """Parse `<address>:<port>` or `:<port>`; raises ValueError."""
        host, colon, port = text.rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        if bracketed:
            host = host[1:-1]
        try:
            is_v6 = bool(host) and host != "localhost" and ipaddress.ip_address(host).version == 6
            number = int(port) if port.isascii() and port.isdigit() else -1
            if not colon or bracketed != is_v6 or not 0 <= number <= 65535:
                raise ValueError
        except ValueError:
            raise ValueError("must be :PORT, IPV4:PORT or [IPV6]:PORT") from None
        return cls(host, number)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _topology(text: str) -> TopologyChoice:
    """Parse a topology other than `auto`: a daemon may start before there are pods to detect it by."""
    expected = "must be ovn-kubernetes, kube-ovn or static:FILE, where FILE is a topology map"
    try:
        choice = parse_topology_choice(text)
    except ValueError:
        raise ValueError(expected) from None
    if choice.kind is TopologyKind.AUTO:
        raise ValueError(expected)
    return choice


def _name(pattern: str, expected: str) -> Parsed:
    matcher = re.compile(pattern)

    def parse(text: str) -> str:
        if not matcher.fullmatch(text):
            raise ValueError(f"must be {expected}")
        return text

    return Parsed("name", parse)


_LABEL: Final = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_ADDRESS: Final = Parsed("address", ListenAddress.parse)
_OBJECT_NAME: Final = _name(
    rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*",
    "the name of a Kubernetes object: lower-case letters, digits, '-' and '.'",
)
_NAMESPACE: Final = _name(_LABEL, "the name of a namespace: up to 63 lower-case letters, digits and '-'")
_ZONE: Final = _name(
    r"[A-Za-z0-9_.-]{0,252}[A-Za-z0-9]", "up to 253 letters, digits, '-', '_' and '.', the last a letter or digit"
)


def _setting(default: _T, kind: click.ParamType[Any], description: str, *, default_is: str = "") -> _T:
    option = {"type": kind, "help": description, "show_default": default_is or True}
    return dataclasses.field(default=default, metadata={OPTION: option})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings in force; None is a default that is found out later, see its help.

    Attributes:
        origins: where each value is from, by the setting's name, e.g. `--nb`, `OVNQOSD_NB` or `ovnqosd.yaml line 3`.
        print_config: whether only the settings in force are asked for.
    """

    mode: Mode = _setting(
        Mode.CENTRAL,
        OneOf(Mode),
        "central: one Northbound for all nodes; of several replicas one is active. zone: one Northbound and one daemon "
        "per node. stats: nothing is written; on a node, the counters of its limits are served as metrics.",
    )
    node: str | None = _setting(
        None, _OBJECT_NAME, "The node that this daemon runs on.", default_is="none; required in zone mode"
    )
    zone: str | None = _setting(
        None,
        _ZONE,
        "The name of the zone in the status of objects.",
        default_is=f"central mode: {DEFAULT_ZONE}; zone mode: the node's annotation k8s.ovn.org/zone-name, else its "
        "name",
    )
    nb: str | None = _setting(
        None,
        REMOTE,
        "OVN Northbound: unix:/path, tcp:host:port, ssl:host:port, or several separated by commas.",
        default_is="$OVN_NB_DB, else the local socket",
    )
    private_key: Path | None = _setting(None, FILE, "Private key for ssl: remotes.", default_is="none")
    certificate: Path | None = _setting(None, FILE, "Certificate for ssl: remotes.", default_is="none")
    ca_cert: Path | None = _setting(None, FILE, "CA certificate of the server for ssl: remotes.", default_is="none")
    sb: str | None = _setting(
        None,
        REMOTE,
        "OVN Southbound of this node, as --nb; for the counters of limits.",
        default_is="$OVN_SB_DB, else the local socket",
    )
    rule_metrics: bool = _setting(
        False,
        click.BOOL,
        "In zone mode, also serve what this node's limits pass and drop, as metrics ovnqos_rule_*; always in mode "
        "stats.",
    )
    ovs_rundir: Path = _setting(
        Path("/var/run/openvswitch"), FOLDER, "The folder of Open vSwitch's sockets, for the counters of limits."
    )
    ovn_rundir: Path = _setting(
        Path("/var/run/ovn"), FOLDER, "The folder of ovn-controller's socket, for the counters of limits."
    )
    northbound_timeout: float = _setting(10.0, seconds(0.1), "How long to wait for an answer from the Northbound.")
    northbound_outage: float = _setting(
        10.0,
        seconds(0),
        "How long the Northbound may be unreachable before /readyz, the log and a metric report it, and how long from "
        "then on before the status of objects does; 2 s pass at least until silence is noticed.",
    )
    owner: Owner = _setting(
        Owner(),
        OWNER,
        "The owner of the rows. Two daemons on one Northbound need different owners.",
        default_is=Owner().name,
    )
    topology: TopologyChoice = _setting(
        TopologyChoice(kind=TopologyKind.OVN_KUBERNETES),
        Parsed("topology", _topology),
        "How switches and ports are named: ovn-kubernetes, kube-ovn, or static:FILE, a topology map.",
    )
    cluster_cidrs: tuple[IPNetwork, ...] = _setting(
        (),
        CIDRS,
        "CIDRs of the cluster, separated by commas. The DSCP annotation of a pod marks packets to other addresses.",
        default_is="none; DSCP annotations of pods have no effect",
    )
    kubeconfig: Path | None = _setting(
        None,
        FILE,
        "How to reach the Kubernetes API.",
        default_is="$KUBECONFIG, else the pod's service account, else ~/.kube/config",
    )
    api_retry: float = _setting(30.0, seconds(1), "The longest pause between two attempts to reach the Kubernetes API.")
    metrics_address: ListenAddress = _setting(
        ListenAddress("", 9464), _ADDRESS, "Where /metrics, /healthz and /readyz are served: [IP]:PORT."
    )
    metrics_certificate: Path | None = _setting(
        None, FILE, "Certificate, with its chain, for TLS on that address; a renewed one is read.", default_is="none"
    )
    metrics_private_key: Path | None = _setting(None, FILE, "Private key of that certificate.", default_is="none")
    metrics_token_file: Path | None = _setting(
        None, FILE, "File with the bearer token that /metrics asks for; the others ask for none.", default_is="none"
    )
    full_pass_seconds: float = _setting(
        300.0, seconds(1), "How often all rows are compared, whether or not there are events; jitter 10 %."
    )
    max_deletes: EndedLimitsMaximum = _setting(
        EndedLimitsMaximum(share=0.3),
        ENDED_LIMITS,
        "How many limits and marks of pods may end in one pass because objects are missing that nobody deleted: a "
        "number, or a share of all where there are 10 or more. Beyond that they are kept, and always those that would "
        "end since a kind has no object left; 100% lets all of them end.",
        default_is="30%",
    )
    absent_crd_seconds: float = _setting(
        30.0, seconds(1), "How often to retry a custom resource that is not installed; jitter 10 %."
    )
    lease_namespace: str | None = _setting(
        None, _NAMESPACE, "The namespace of the Lease for leader election.", default_is="the pod's own, else default"
    )
    lease_name: str = _setting("ovnqosd", _OBJECT_NAME, "The name of the Lease for leader election.")
    lease_duration: float = _setting(
        15.0, seconds(2), "How long other processes wait for a leader that does not renew its Lease."
    )
    lease_renew: float = _setting(
        10.0, seconds(1), "How long a leader tries to renew its Lease before it gives up leading."
    )
    log_format: LogFormat = _setting(LogFormat.JSON, OneOf(LogFormat), "The format of the log.")
    log_level: LogLevel = _setting(LogLevel.INFO, OneOf(LogLevel), "The least severe level that is logged.")
    cleanup_on_exit: bool = _setting(
        False,
        click.BOOL,
        "At exit, delete all rows of this owner and the zone's condition on each object, so that no limit and no mark "
        "stays.",
    )

    origins: Mapping[str, str] = dataclasses.field(default_factory=dict, compare=False)
    print_config: bool = dataclasses.field(default=False, compare=False)

    @property
    def tls(self) -> TlsFiles | None:
        """The files for ssl: remotes; None where they are not given."""
        if not (self.private_key and self.certificate and self.ca_cert):
            return None
        return TlsFiles(private_key=self.private_key, certificate=self.certificate, ca_certificate=self.ca_cert)
