"""The networks of the traffic matrix: every layout of ovn-kubernetes, as its network attachment definition says it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import netaddr

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.lab.support_cluster import Document

OWN: Final = "matrix"
"""The namespace of the policies and of the pods that they select."""
FRIENDS: Final = "matrix-friends"
"""Another namespace, with the label `team: friends`."""

SAME_NODE: Final = "same node"
OTHER_NODE: Final = "other node"
OUTSIDE: Final = "outside"
VERSIONS: Final = (4, 6)

_HOST_BITS: Final = {4: 32, 6: 128}
_FIRST_BY_HAND = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixNetwork:
    """One network of the matrix.

    Attributes:
        title: its name in the table.
        key: in the annotation `k8s.ovn.org/pod-networks`.
        selector: what selects exactly it, an entry of `networkSelectors`.
        definition: its NetworkAttachmentDefinition; None for the default network.
        namespaces: whose pods are on it.
        outside: the outside host's addresses `target` and `other`, of each IP version, with prefix lengths; empty if it
            has no way out.
        by_hand: where its pods' addresses are taken from when OVN gives them none (no IPAM).
    """

    title: str
    key: str
    selector: Document
    definition: Document | None = None
    namespaces: tuple[str, ...] = (OWN, FRIENDS)
    outside: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    by_hand: tuple[str, ...] = ()

    @property
    def places(self) -> tuple[str, ...]:
        """Where its packets can go."""
        return (SAME_NODE, OTHER_NODE, OUTSIDE) if self.outside else (SAME_NODE, OTHER_NODE)

    @property
    def has_ipam(self) -> bool:
        """Whether OVN knows its pods' addresses."""
        return not self.by_hand

    def outside_address(self, kind: str, version: int) -> str | None:
        """The outside host's address of a kind, without prefix length; None if it has none."""
        address = self.outside.get(kind, {}).get(version)
        return address and address.partition("/")[0]

    def address_by_hand(self, number: int, version: int) -> str:
        """The address, with prefix length, of the pod with this number, on a network without IPAM."""
        subnet = next(subnet for subnet in map(netaddr.IPNetwork, self.by_hand) if subnet.version == version)
        return f"{subnet.network + _FIRST_BY_HAND + number}/{subnet.prefixlen}"


def _definition(name: str, metadata: Document, **config: object) -> Document:
    whole = {"cniVersion": "1.1.0", "name": name, "type": "ovn-k8s-cni-overlay"} | config
    return {
        "apiVersion": "k8s.cni.cncf.io/v1",
        "kind": "NetworkAttachmentDefinition",
        "metadata": {"namespace": OWN} | metadata,
        "spec": {"config": json.dumps(whole)},
    }


def _attachment(
    title: str,
    name: str,
    *,
    outside: Mapping[str, Mapping[int, str]] | None = None,
    by_hand: tuple[str, ...] = (),
    **config: object,
) -> MatrixNetwork:
    key, labels = f"{OWN}/{name}", {"network": name}
    selected = {"namespaceSelector": {}, "networkSelector": {"matchLabels": labels}}
    return MatrixNetwork(
        title=title,
        key=key,
        selector={
            "networkSelectionType": "NetworkAttachmentDefinitions",
            "networkAttachmentDefinitionSelector": selected,
        },
        definition=_definition(name, {"name": name, "labels": labels}, netAttachDefName=key, **config),
        outside=outside or {},
        by_hand=by_hand,
    )


def _single(target: tuple[str, str], other: tuple[str, str]) -> dict[str, dict[int, str]]:
    """Addresses outside that a router leads to."""
    return {
        kind: {version: f"{address}/{_HOST_BITS[version]}" for version, address in zip(VERSIONS, pair, strict=True)}
        for kind, pair in (("target", target), ("other", other))
    }


def _on_link(subnet4: str, subnet6: str) -> dict[str, dict[int, str]]:
    """Addresses outside that are on the wire of a localnet network: of its subnets' last thousands."""
    four, six = netaddr.IPNetwork(subnet4), netaddr.IPNetwork(subnet6)
    return {
        kind: {
            version: f"{subnet.network + 0xFF00 + number}/{subnet.prefixlen}"
            for version, subnet in zip(VERSIONS, (four, six), strict=True)
        }
        for kind, number in (("target", 10), ("other", 20))
    }


DEFAULT_NETWORK: Final = MatrixNetwork(
    title="layer3 default",
    key="default",
    selector={"networkSelectionType": "DefaultNetwork"},
    outside=_single(("198.51.100.10", "2001:db8:51::10"), ("198.51.100.20", "2001:db8:51::20")),
)
LAYER3_ATTACHMENT: Final = _attachment(
    "layer3 attachment", "overlay", topology="layer3", subnets="10.145.0.0/16/24,fd10:145::/48/64"
)
LAYER2_ATTACHMENT: Final = _attachment(
    "layer2 attachment", "flat", topology="layer2", subnets="10.146.0.0/16,fd10:146::/64"
)
LAYER2_WITHOUT_IPAM: Final = _attachment(
    "layer2 without IPAM", "flat-bare", topology="layer2", by_hand=("10.148.0.0/16", "fd10:148::/64")
)
LOCALNET: Final = _attachment(
    "localnet",
    "physical",
    topology="localnet",
    subnets="10.147.0.0/16,fd10:147::/64",
    outside=_on_link("10.147.0.0/16", "fd10:147::/64"),
)
LOCALNET_WITHOUT_IPAM: Final = _attachment(
    "localnet without IPAM",
    "physical-bare",
    topology="localnet",
    outside=_on_link("10.149.0.0/16", "fd10:149::/64"),
    by_hand=("10.149.0.0/16", "fd10:149::/64"),
)
PRIMARY_LAYER2: Final = MatrixNetwork(
    title="layer2 primary",
    key=f"{OWN}/tenant",
    selector={
        "networkSelectionType": "PrimaryUserDefinedNetworks",
        "primaryUserDefinedNetworkSelector": {"namespaceSelector": {"matchLabels": {"team": "own"}}},
    },
    # as ovn-kubernetes makes it from UserDefinedNetwork matrix/tenant
    definition=_definition(
        f"{OWN}_tenant",
        {
            "name": "tenant",
            "labels": {"k8s.ovn.org/user-defined-network": ""},
            "ownerReferences": [
                {
                    "apiVersion": "k8s.ovn.org/v1",
                    "kind": "UserDefinedNetwork",
                    "name": "tenant",
                    "uid": "5e1f0c1e-6a37-4d10-9a2b-2f6f4f1d6b11",
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        netAttachDefName=f"{OWN}/tenant",
        topology="layer2",
        role="primary",
        subnets="10.150.0.0/16,fd10:150::/64",
    ),
    namespaces=(OWN,),
    outside=_single(("198.51.100.30", "2001:db8:51::30"), ("198.51.100.40", "2001:db8:51::40")),
)
NETWORKS: Final = (
    DEFAULT_NETWORK,
    LAYER3_ATTACHMENT,
    PRIMARY_LAYER2,
    LAYER2_ATTACHMENT,
    LAYER2_WITHOUT_IPAM,
    LOCALNET,
    LOCALNET_WITHOUT_IPAM,
)
