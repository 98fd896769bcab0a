"""Networks of pods: what selects them and what declares them, a NAD or a topology map."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from ovnqos.model.labels import EVERYTHING, LabelSelector

if TYPE_CHECKING:
    from collections.abc import Mapping

    from netaddr import IPNetwork

    from ovnqos.diagnostics import Diagnostic


DEFAULT_NETWORK = "default"
"""Name of the cluster's default network, and its key in the annotation `k8s.ovn.org/pod-networks`."""


class NetworkSelectionType(StrEnum):
    """The five ways in which a NetworkQoS names networks (CRD field `networkSelectionType`)."""

    DEFAULT_NETWORK = "DefaultNetwork"
    NETWORK_ATTACHMENT_DEFINITIONS = "NetworkAttachmentDefinitions"
    SECONDARY_USER_DEFINED_NETWORKS = "SecondaryUserDefinedNetworks"
    PRIMARY_USER_DEFINED_NETWORKS = "PrimaryUserDefinedNetworks"
    CLUSTER_USER_DEFINED_NETWORKS = "ClusterUserDefinedNetworks"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSelector:
    """One entry of `networkSelectors`. The two selectors are None where the type has none."""

    type: NetworkSelectionType
    namespace_selector: LabelSelector | None = None
    network_selector: LabelSelector | None = None

    def __str__(self) -> str:
        """A unique text, e.g. `NetworkAttachmentDefinitions nad-type=x in namespaces {}`."""
        words = [str(self.type)]
        if self.network_selector is not None:
            words.append(str(self.network_selector))
        if self.namespace_selector is not None:
            words.append(f"in namespaces {self.namespace_selector}")
        return " ".join(words)


class NetworkTopology(StrEnum):
    """How an OVN network is laid out over the nodes (NAD config field `topology`)."""

    LAYER3 = "layer3"
    LAYER2 = "layer2"
    LOCALNET = "localnet"


class NetworkRole(StrEnum):
    """Whether a network is its pods' default one (NAD config field `role`)."""

    PRIMARY = "primary"
    SECONDARY = "secondary"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerReference:
    """The object that made another one, e.g. the UserDefinedNetwork behind a generated NAD."""

    kind: str
    name: str


USER_DEFINED_NETWORK = "UserDefinedNetwork"
CLUSTER_USER_DEFINED_NETWORK = "ClusterUserDefinedNetwork"


@dataclass(frozen=True, slots=True, kw_only=True)
class OvnNetworkConfig:
    """The CNI configuration of a NAD whose type is `ovn-k8s-cni-overlay`.

    `subnets` holds the CIDRs without ovn-kubernetes' host-prefix suffix (`10.245.0.0/16/24` is 10.245.0.0/16). It is
    empty for a network without IPAM. `mtu` is in bytes; None where the configuration does not say it.
    """

    network: str
    topology: NetworkTopology
    subnets: tuple[IPNetwork, ...] = ()
    role: NetworkRole = NetworkRole.SECONDARY
    mtu: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkAttachmentDefinition:
    """A NAD.

    `ovn` is None when another CNI plugin wires it (`plugin` says which). `diagnostics` holds the warnings of its
    parser.
    """

    namespace: str
    name: str
    labels: Mapping[str, str]
    plugin: str
    ovn: OvnNetworkConfig | None
    owners: tuple[OwnerReference, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = field(default=(), compare=False)

    @property
    def key(self) -> str:
        """`<namespace>/<name>`: the NAD's key in a pod's annotation `k8s.ovn.org/pod-networks`."""
        return f"{self.namespace}/{self.name}"

    def is_owned_by(self, kind: str) -> bool:
        """Whether an object of this kind made it, e.g. `ClusterUserDefinedNetwork`."""
        return any(owner.kind == kind for owner in self.owners)


DEFAULT_NETWORK_SELECTOR = NetworkSelector(type=NetworkSelectionType.DEFAULT_NETWORK)
ANY_NAD_SELECTOR = NetworkSelector(
    type=NetworkSelectionType.NETWORK_ATTACHMENT_DEFINITIONS,
    namespace_selector=EVERYTHING,
    network_selector=EVERYTHING,
)


def takes(
    selector: NetworkSelector, definition: NetworkAttachmentDefinition, namespace_labels: Mapping[str, str]
) -> bool:
    """Whether a selector takes the network that a NAD declares; `namespace_labels` are those of the NAD's namespace.

    DefaultNetwork takes none: no NAD declares the default network.
    """
    if not _is_of_type(selector.type, definition):
        return False
    namespaces, networks = selector.namespace_selector, selector.network_selector
    return (namespaces is None or namespaces.matches(namespace_labels)) and (
        networks is None or networks.matches(definition.labels)
    )


def _is_of_type(selected: NetworkSelectionType, definition: NetworkAttachmentDefinition) -> bool:
    match selected:
        case NetworkSelectionType.DEFAULT_NETWORK:
            return False
        case NetworkSelectionType.NETWORK_ATTACHMENT_DEFINITIONS:
            return True
        case NetworkSelectionType.CLUSTER_USER_DEFINED_NETWORKS:
            return definition.is_owned_by(CLUSTER_USER_DEFINED_NETWORK)
        case NetworkSelectionType.PRIMARY_USER_DEFINED_NETWORKS:
            return definition.ovn is not None and definition.ovn.role is NetworkRole.PRIMARY
        case NetworkSelectionType.SECONDARY_USER_DEFINED_NETWORKS:
            return (
                definition.ovn is not None
                and definition.ovn.role is NetworkRole.SECONDARY
                and definition.is_owned_by(USER_DEFINED_NETWORK)
            )


PLACEHOLDERS: Final = frozenset({"namespace", "name", "node"})
"""The placeholders of a template."""
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


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
