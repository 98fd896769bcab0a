"""What a user says of a cluster's topology: whose it is, or a map: which switch and port each pod has, by network."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovnqos.diagnostics import Diagnostic
    from ovnqos.model.networks import NetworkTopology

PLACEHOLDERS: Final = frozenset({"namespace", "name", "node"})
"""The placeholders of a template."""
_STATIC_PREFIX: Final = "static:"
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


class TopologyKind(StrEnum):
    """Which CNI named the switches and ports; `auto`: detected by the pods' annotations."""

    AUTO = "auto"
    OVN_KUBERNETES = "ovn-kubernetes"
    KUBE_OVN = "kube-ovn"
    STATIC = "static"


@dataclass(frozen=True, slots=True, kw_only=True)
class TopologyChoice:
    """A topology to be used. `file` is the path of the topology map of kind `static`, and empty otherwise."""

    kind: TopologyKind = TopologyKind.AUTO
    file: str = ""

    def __str__(self) -> str:
        """As `parse_topology_choice` reads it."""
        return f"{_STATIC_PREFIX}{self.file}" if self.kind is TopologyKind.STATIC else str(self.kind)


def parse_topology_choice(text: str) -> TopologyChoice:
    """Read a choice. Raises ValueError, whose text says what would be right."""
    if text.startswith(_STATIC_PREFIX) and text != _STATIC_PREFIX and text.isprintable():
        return TopologyChoice(kind=TopologyKind.STATIC, file=text.removeprefix(_STATIC_PREFIX))
    if text in {TopologyKind.AUTO, TopologyKind.OVN_KUBERNETES, TopologyKind.KUBE_OVN}:
        return TopologyChoice(kind=TopologyKind(text))
    raise ValueError("give auto, ovn-kubernetes, kube-ovn or static:FILE, where FILE is a topology map")


@dataclass(frozen=True, slots=True, kw_only=True)
class NameTemplate:
    """A name with placeholders for a pod's namespace, name and node, e.g. `{namespace}-{name}`."""

    text: str

    @property
    def placeholders(self) -> tuple[str, ...]:
        """The words between braces, in order."""
        return tuple(_PLACEHOLDER.findall(self.text))

    def fill(self, *, namespace: str, name: str, node: str) -> str:
        """The name that it makes for one pod."""
        known = {"namespace": namespace, "name": name, "node": node}
        return _PLACEHOLDER.sub(lambda found: known[found[1]], self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedNetwork:
    """One network of a topology map.

    Attributes:
        name: `default`, or the key (`<namespace>/<name>`) of the NAD that attaches pods to it, or any other name.
        topology: how it is laid out: with layer3 a switch a node, with the others one for all nodes.
        direction: `from-lport` or `to-lport`, the direction of its rows; empty: what the layout calls for.
        switch: the logical switch of each pod; None: each pod's own entry says it.
        port: the logical switch port of each pod; None: only pods with an entry of their own are on the network.
        address_annotation: the annotation that holds a pod's addresses. Pods with neither it nor an entry are not on
            the network. Empty: OVN knows no addresses but those of entries.
    """

    name: str
    topology: NetworkTopology
    direction: str = ""
    switch: NameTemplate | None = None
    port: NameTemplate | None = None
    address_annotation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedInterface:
    """A pod's own entry for one network. None: as the network's templates say.

    `addresses` are bare IP addresses in canonical text.
    """

    switch: str | None = None
    port: str | None = None
    addresses: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TopologyMap:
    """The networks by name; the pods (`<namespace>/<name>`) that have entries, by network; its parser's warnings."""

    networks: Mapping[str, MappedNetwork]
    pods: Mapping[str, Mapping[str, MappedInterface]] = field(default_factory=dict)
    diagnostics: tuple[Diagnostic, ...] = field(default=(), compare=False)

    @property
    def annotations(self) -> frozenset[str]:
        """The pods' annotations that it needs."""
        return frozenset(one.address_annotation for one in self.networks.values() if one.address_annotation)
