"""Builders of cluster objects, with what a test does not care about filled in."""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from netaddr import IPNetwork

from ovnqos import (
    AddressSet,
    Bandwidth,
    BandwidthScope,
    Classifier,
    Code,
    Compiler,
    IPBlock,
    LabelSelector,
    Namespace,
    NetworkAttachmentDefinition,
    NetworkQoS,
    NetworkSelectionType,
    NetworkSelector,
    OvnKubernetesTopology,
    Owner,
    Pod,
    QosRow,
    Rule,
    Topology,
)
from ovnqos.compile.topology import mac_of_address
from ovnqos.controller import Inventory, NetworkTopology
from ovnqos.model.networks import NetworkRole, OvnNetworkConfig, OwnerReference
from tests.support.packets import Names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

POD_NETWORKS = "k8s.ovn.org/pod-networks"
DEFAULT = "default"


def pod(
    name: str,
    *addresses: str,
    namespace: str = "shop",
    node: str = "node1",
    labels: Mapping[str, str] | None = None,
    networks: Mapping[str, Sequence[str]] | None = None,
    host_network: bool = False,
    phase: str = "Running",
) -> Pod:
    """A pod with these addresses on the default network, and those of `networks`, which goes by attachment."""
    found = {DEFAULT: list(addresses), **(networks or {})} if addresses or networks is None else dict(networks)
    return Pod(
        namespace=namespace,
        name=name,
        node=node,
        labels=labels or {},
        annotations={POD_NETWORKS: pod_networks(found)},
        host_network=host_network,
        phase=phase,
    )


def pod_networks(networks: Mapping[str, Sequence[str]]) -> str:
    """The annotation that ovn-kubernetes writes."""
    return json.dumps(
        {
            attachment: {
                "ip_addresses": [f"{address}/{64 if ':' in address else 24}" for address in addresses],
                "mac_address": mac_address(addresses[0] if addresses else attachment),
            }
            for attachment, addresses in networks.items()
        }
    )


def mac_address(text: str) -> str:
    """A MAC address made of a pod's first address, as ovn-kubernetes does, or of another text."""
    if ":" in text or text.replace(".", "").isdecimal():
        return mac_of_address(text)
    digest = blake2b(text.encode(), digest_size=4).hexdigest()
    return ":".join(["0a", "58", *(digest[index : index + 2] for index in range(0, 8, 2))])


def namespace(name: str, **labels: str) -> Namespace:
    """A namespace as the API server has it, with its name as a label."""
    return Namespace(name=name, labels={"kubernetes.io/metadata.name": name, **labels})


def attachment(
    key: str,
    *subnets: str,
    network: str = "",
    topology: NetworkTopology = NetworkTopology.LAYER3,
    labels: Mapping[str, str] | None = None,
    role: NetworkRole = NetworkRole.SECONDARY,
    owner: str = "",
    mtu: int | None = None,
) -> NetworkAttachmentDefinition:
    """A NAD `<namespace>/<name>` of an OVN network, which has the NAD's name unless said otherwise.

    `owner` is the kind of the object that it was generated from.
    """
    space, name = key.split("/")
    config = OvnNetworkConfig(
        network=network or name, topology=topology, subnets=tuple(map(IPNetwork, subnets)), role=role, mtu=mtu
    )
    return NetworkAttachmentDefinition(
        namespace=space,
        name=name,
        labels=labels or {},
        plugin="ovn-k8s-cni-overlay",
        ovn=config,
        owners=(OwnerReference(kind=owner, name=name),) if owner else (),
    )


def attachments_selector(namespaces: LabelSelector, networks: LabelSelector) -> NetworkSelector:
    """An entry of networkSelectors that selects NADs."""
    return NetworkSelector(
        type=NetworkSelectionType.NETWORK_ATTACHMENT_DEFINITIONS,
        namespace_selector=namespaces,
        network_selector=networks,
    )


def labels(**wanted: str) -> LabelSelector:
    """The selector of exactly these labels."""
    return LabelSelector.from_labels(wanted)


def block(cidr: str, *excluded: str) -> IPBlock:
    """An ipBlock."""
    return IPBlock(cidr=IPNetwork(cidr), excluded=tuple(map(IPNetwork, excluded)))


def rule(dscp: int | None = 20, *, rate: int | None = None, burst: int | None = None, **classifier: Any) -> Rule:
    """A rule; `destinations`, `sources` and `ports` go to its classifier."""
    return Rule(
        dscp=dscp,
        bandwidth=Bandwidth(rate_kbps=rate, burst_kbit=burst) if rate else None,
        classifier=Classifier(**classifier),
    )


def policy(
    *rules: Rule,
    name: str = "gold",
    namespace: str = "shop",
    priority: int = 10,
    pods: LabelSelector | None = None,
    networks: Iterable[NetworkSelector] | None = None,
    scope: BandwidthScope = BandwidthScope.POLICY,
) -> NetworkQoS:
    """A NetworkQoS; one rule that marks everything when none is given."""
    return NetworkQoS(
        namespace=namespace,
        name=name,
        priority=priority,
        rules=rules or (rule(),),
        pod_selector=pods or LabelSelector(),
        network_selectors=None if networks is None else tuple(networks),
        bandwidth_scope=scope,
    )


def inventory(*objects: object, nodes: Iterable[str] | None = None) -> Inventory:
    """An inventory of these objects in the zone of these nodes, or of all."""
    return Inventory(OvnKubernetesTopology(zone_nodes=nodes), objects)


def kind_and_key(one: Any) -> tuple[str, str]:
    """What `delete` of an inventory or compiler is told for an object."""
    return type(one).__name__, getattr(one, "key", one.name)


def compiled(
    policies: NetworkQoS | Iterable[NetworkQoS],
    *objects: object,
    nodes: Iterable[str] | None = None,
    topology: Topology | None = None,
    owner: Owner | None = None,
    cluster_cidrs: Iterable[IPNetwork] = (),
) -> Compiler:
    """A compiler with these objects and policies; of ovn-kubernetes, with all nodes in the zone, unless given."""
    given = (policies,) if isinstance(policies, NetworkQoS) else policies
    topology = topology or OvnKubernetesTopology(zone_nodes=nodes)
    return Compiler.of((*objects, *given), topology, owner, cluster_cidrs=cluster_cidrs)


def messages(compiler: Compiler) -> list[str]:
    """All that it says of objects."""
    return [str(one) for one in compiler.all_diagnostics()]


def codes(compiler: Compiler) -> list[tuple[str, str, Code]]:
    """All that it says of objects, as object, path and code."""
    return [(f"{one.object.kind}/{one.object.key}", one.path, one.code) for one in compiler.all_diagnostics()]


def only_row(compiler: Compiler) -> QosRow:
    """The one row of a compiler."""
    (row,) = compiler.desired().rows.values()
    return row


def destination_sets(compiler: Compiler) -> list[AddressSet]:
    """The address sets of destinations, IPv4 first."""
    found = [one for name, one in compiler.desired().address_sets.items() if "_dst_" in name]
    return sorted(found, key=lambda one: (one.name[-3:], one.name))


def names_of(compiler: Compiler) -> Names:
    """What the names in its matches stand for."""
    desired = compiler.desired()
    return Names(
        address_sets={name: one.addresses for name, one in desired.address_sets.items()},
        port_groups={name: one.ports for name, one in desired.port_groups.items()},
    )
