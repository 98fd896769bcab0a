"""Kube-OVN: a logical switch a Subnet, stretched over all nodes; a router a VPC; annotations for each interface.

Source: Kube-OVN's own code, master of August 2026 and the releases since v1.10: pkg/util/const.go (annotations),
pkg/ovs/util.go (ports), pkg/controller/pod.go and subnet.go (what is written when).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from ovnqos.compile.rows import Direction
from ovnqos.compile.topology import Network, PodInterface, Topology, bare_address, invalid_annotation
from ovnqos.model.networks import DEFAULT_NETWORK, NetworkTopology
from ovnqos.model.workloads import ALLOCATED, IP_ADDRESS, LOGICAL_ROUTER, LOGICAL_SWITCH, VIRTUAL_MACHINE
from ovnqos.sources.fields import dns_subdomain_error

if TYPE_CHECKING:
    from ovnqos.model.networks import NetworkAttachmentDefinition
    from ovnqos.model.workloads import Pod

DEFAULT_PROVIDER: Final = "ovn"
"""What stands before the annotations of a pod's default interface; before another's `<NAD>.<namespace>.ovn`."""
DEFAULT_VPC: Final = "ovn-cluster"
PLUGIN: Final = "kube-ovn"
"""The CNI plugin type in the configuration of Kube-OVN's NADs."""
_AT: Final = "@"  # no name of Kubernetes holds it


class KubeOvnTopology(Topology):
    """Names as Kube-OVN gives them.

    A network is a VPC: its Subnets reach each other by its router, whichever attachment a pod comes by, and another
    VPC may have the same addresses. An attachment therefore is `default` or a NAD's key, and `@<VPC>` behind it where
    that is not the default VPC of default interfaces. A Subnet that no router joins (an underlay one with a gateway
    outside) counts to the default VPC, and as a network of its own when pods come to it by a NAD.
    """

    name = "kube-ovn"

    def interfaces(self, pod: Pod) -> tuple[PodInterface, ...]:
        """Read the annotations of each provider; raises InvalidObject when they are not what Kube-OVN writes.

        Only allocated interfaces count: before that, a pod's author may ask for a Subnet by the same annotation. Other
        CNI plugins' interfaces, whose addresses Kube-OVN gives out, have no logical switch.
        """
        providers = sorted(key.removesuffix(LOGICAL_SWITCH) for key in pod.annotations if key.endswith(LOGICAL_SWITCH))
        return tuple(
            _interface(pod, provider, declared_by)
            for provider in providers
            if (declared_by := _declared_by(provider)) and pod.annotations.get(provider + ALLOCATED) == "true"
        )

    def may_own(self, pod: Pod, port: str) -> bool:
        """Whether a port has the pod's name, with a provider's behind it or not."""
        name = f"{pod.name}.{pod.namespace}"
        return port == name or port.startswith(f"{name}.")

    def definition_key(self, attachment: str) -> str:
        """`default`, or the NAD's key."""
        return attachment.partition(_AT)[0]

    def wires(self, definition: NetworkAttachmentDefinition) -> bool:
        """Whether the NAD names Kube-OVN's plugin."""
        return definition.plugin == PLUGIN

    def network(
        self,
        attachment: str,
        definition: NetworkAttachmentDefinition | None,  # noqa: ARG002 - the pods' own annotations say all of it
        seen_versions: frozenset[int],
    ) -> Network:
        """The default VPC is `default`, another one `vpc:<name>`; what no router joins has the NAD's key for a name."""
        declared_by, _, vpc = attachment.partition(_AT)
        if vpc and vpc != DEFAULT_VPC:
            return Network(name=f"vpc:{vpc}", topology=NetworkTopology.LAYER3, versions=seen_versions)
        if vpc or declared_by == DEFAULT_NETWORK:
            return Network(name=DEFAULT_NETWORK, topology=NetworkTopology.LAYER3, versions=seen_versions)
        return Network(name=declared_by, topology=NetworkTopology.LOCALNET, versions=seen_versions)

    def switch(self, network: Network, location: str) -> str:  # noqa: ARG002 - a Subnet is in one VPC
        """The location: the Subnet, whose name the switch has."""
        return location

    def direction(self, network: Network) -> Direction:  # noqa: ARG002 - all of its switches span the nodes
        """from-lport: to-lport of a switch that spans nodes runs where the receiver is, after the wire."""
        return Direction.FROM_LPORT


@lru_cache(maxsize=4096)
def _declared_by(provider: str) -> str:
    """`default`, or the key of the NAD; empty for a provider whose interfaces are not OVN's.

    A NAD's provider is `<NAD>.<namespace>.ovn`, with `.<interface>` behind it where a pod has several by one NAD.
    """
    if provider == DEFAULT_PROVIDER:
        return DEFAULT_NETWORK
    parts = provider.split(".")
    for end in range(len(parts) - 1, 1, -1):
        if parts[end] == DEFAULT_PROVIDER:
            return "" if dns_subdomain_error(provider) else f"{parts[end - 1]}/{'.'.join(parts[: end - 1])}"
    return ""


def _interface(pod: Pod, provider: str, declared_by: str) -> PodInterface:
    vpc = _name(pod, provider + LOGICAL_ROUTER)
    attachment = declared_by
    if vpc and (vpc != DEFAULT_VPC or declared_by != DEFAULT_NETWORK):
        attachment += _AT + vpc
    # a virtual machine keeps its port, under its own name, when another pod carries it on
    machine = _name(pod, provider + VIRTUAL_MACHINE)
    port = f"{machine or pod.name}.{pod.namespace}"
    return PodInterface(
        attachment=attachment,
        port=port if provider == DEFAULT_PROVIDER else f"{port}.{provider}",
        addresses=_addresses(pod, provider + IP_ADDRESS),
        location=_name(pod, provider + LOGICAL_SWITCH, required=True),
        named_after="" if machine == pod.name else machine,
    )


def _name(pod: Pod, annotation: str, *, required: bool = False) -> str:
    text = pod.annotations.get(annotation, "")
    error = _name_error(text) if text or required else None
    if error:
        raise invalid_annotation(pod, annotation, str(error), hint="Kube-OVN writes it")
    return text


_name_error = lru_cache(maxsize=4096)(dns_subdomain_error)  # Subnets and VPCs are few


def _addresses(pod: Pod, annotation: str) -> tuple[str, ...]:
    addresses = []
    for text in filter(None, pod.annotations.get(annotation, "").split(",")):
        address = bare_address(text)
        if address is None:
            raise invalid_annotation(pod, annotation, f"{text!r} is not an IP address", hint="Kube-OVN writes it")
        addresses.append(address)
    return tuple(addresses)
