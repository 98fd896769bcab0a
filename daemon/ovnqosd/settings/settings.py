"""The daemon's settings: each stands once, in `Settings`, and flags, environment and file are made from it."""
# ruff: noqa: RUF009 # each default is immutable; `_setting` makes a dataclass field

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeVar

from ovnqos import OvnQosError, TopologyChoice, TopologyKind
from ovnqosd.settings import setting_values as values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from netaddr import IPNetwork

ENVIRONMENT_PREFIX: Final = "OVNQOSD_"
DEFAULT_ZONE: Final = "global"
"""The zone of central mode: ovn-kubernetes' name for the one zone of a cluster with a central Northbound."""
_KEY: Final = "ovnqosd"
_T = TypeVar("_T")


class SettingsError(OvnQosError):
    """Settings that cannot be used: a line for each, which names the setting and where its value is from."""


class Mode(StrEnum):
    """Whose Northbound the daemon writes."""

    CENTRAL = "central"
    ZONE = "zone"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting.

    Attributes:
        name: its name, which is its key in a file.
        default: its value if nothing is said.
        default_words: what that means, where the value does not tell it.
        convert: makes the value of what was said; see `setting_values`.
        metavar: what stands for the value in the help.
        help: what it is for.
    """

    name: str
    default: object
    default_words: str
    convert: Callable[[object], object]
    metavar: str
    help: str

    @property
    def flag(self) -> str:
        """Its flag, e.g. `--private-key`."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """Its environment variable, e.g. `OVNQOSD_PRIVATE_KEY`."""
        return ENVIRONMENT_PREFIX + self.name.upper()

    @property
    def is_switch(self) -> bool:
        """Whether its flag takes no value."""
        return isinstance(self.default, bool)


def _setting(default: _T, convert: Callable[[object], object], metavar: str, words: str, *, default_is: str = "") -> _T:
    described = {"convert": convert, "metavar": metavar, "help": words, "default_words": default_is}
    return dataclasses.field(default=default, metadata={_KEY: described})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings in force; None is a default that is found out later, see its help.

    Attributes:
        origins: where each value is from, by the setting's name, e.g. `--nb`, `OVNQOSD_NB` or `ovnqosd.yaml line 3`.
        print_config: whether only the settings in force are asked for.
    """

    mode: Mode = _setting(
        Mode.CENTRAL,
        values.choice(Mode),
        "MODE",
        "central: one Northbound for all nodes, one of several replicas at work. zone: a Northbound a node, and a "
        "daemon on each node.",
    )
    node: str | None = _setting(
        None,
        values.object_name,
        "NAME",
        "The node that this daemon runs on. Zone mode needs it.",
    )
    zone: str | None = _setting(
        None,
        values.zone_name,
        "NAME",
        "The name of the zone in the status of objects.",
        default_is=f"central mode: {DEFAULT_ZONE}; zone mode: the node's annotation k8s.ovn.org/zone-name, else its "
        "name",
    )
    nb: str | None = _setting(
        None,
        values.text,
        "REMOTE",
        "OVN Northbound: unix:/path, tcp:host:port, ssl:host:port, or several with commas.",
        default_is="$OVN_NB_DB, else the local socket",
    )
    private_key: Path | None = _setting(None, values.path, "FILE", "Private key, for ssl: remotes.")
    certificate: Path | None = _setting(None, values.path, "FILE", "Certificate, for ssl: remotes.")
    ca_cert: Path | None = _setting(None, values.path, "FILE", "Certificate of the server's CA, for ssl: remotes.")
    northbound_timeout: float = _setting(
        10.0, values.seconds(0.1), "SECONDS", "How long to wait for an answer of the Northbound."
    )
    northbound_outage: float = _setting(
        10.0,
        values.seconds(0),
        "SECONDS",
        "How long the Northbound must be out of reach before the status of objects says so.",
    )
    owner: str = _setting(
        "ovnqos", values.owner_name, "NAME", "Whose rows are ours. Two daemons on one Northbound need two names."
    )
    topology: TopologyChoice = _setting(
        TopologyChoice(kind=TopologyKind.OVN_KUBERNETES),
        values.topology,
        "TOPOLOGY",
        "Who named the switches and ports: ovn-kubernetes, kube-ovn, or static:FILE, a topology map.",
    )
    cluster_cidrs: tuple[IPNetwork, ...] = _setting(
        (),
        values.cidrs,
        "CIDRS",
        "The addresses inside the cluster, with commas. A pod's DSCP annotation marks what goes to others.",
        default_is="not known, so that no pod's DSCP annotation has a row",
    )
    kubeconfig: Path | None = _setting(
        None,
        values.path,
        "FILE",
        "How to reach the Kubernetes API.",
        default_is="the pod's service account, else $KUBECONFIG, else ~/.kube/config",
    )
    api_retry: float = _setting(
        30.0,
        values.seconds(1),
        "SECONDS",
        "The longest pause between two attempts to reach the Kubernetes API.",
    )
    metrics_address: values.ListenAddress = _setting(
        values.ListenAddress("", 9464),
        values.listen_address,
        "ADDRESS",
        "Where /metrics, /healthz and /readyz are served: [IP]:PORT.",
    )
    full_pass_seconds: float = _setting(
        300.0,
        values.seconds(1),
        "SECONDS",
        "How often everything is compared, give or take 10 %, whatever was told in between.",
    )
    absent_crd_seconds: float = _setting(
        30.0,
        values.seconds(1),
        "SECONDS",
        "How often a custom resource that is not installed is looked for, give or take 10 %.",
    )
    lease_namespace: str | None = _setting(
        None,
        values.namespace_name,
        "NAME",
        "The namespace of the Lease by which one process is elected.",
        default_is="the pod's own, else default",
    )
    lease_name: str = _setting("ovnqosd", values.object_name, "NAME", "The name of that Lease.")
    lease_duration: float = _setting(
        15.0, values.seconds(2), "SECONDS", "How long the others wait for an elected process that is silent."
    )
    lease_renew: float = _setting(
        10.0, values.seconds(1), "SECONDS", "After how long without an answer an elected process gives up."
    )
    log_format: LogFormat = _setting(LogFormat.JSON, values.choice(LogFormat), "FORMAT", "json or console.")
    log_level: LogLevel = _setting(LogLevel.INFO, values.choice(LogLevel), "LEVEL", "debug, info, warning or error.")
    cleanup_on_exit: bool = _setting(
        False,
        values.boolean,
        "",
        "Take all rows of this owner away at the end, so that no limit and no mark stays, and with them the zone's "
        "condition on each object.",
    )

    origins: Mapping[str, str] = dataclasses.field(default_factory=dict, compare=False)
    print_config: bool = dataclasses.field(default=False, compare=False)


def all_settings() -> Iterator[Setting]:
    """Every setting, in the order of the help."""
    for field in dataclasses.fields(Settings):
        if described := field.metadata.get(_KEY):
            yield Setting(name=field.name, default=field.default, **described)
