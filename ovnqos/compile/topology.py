"""How a cluster's CNI names things in OVN, and where it writes a pod's addresses.

One object holds all of it, so that another OVN user brings its own.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from netaddr import AddrFormatError, IPAddress

from ovnqos.compile.rows import Direction
from ovnqos.errors import Fault, InvalidObject
from ovnqos.model.networks import DEFAULT_NETWORK, NetworkTopology

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ovnqos.model.workloads import Pod

POD_NETWORKS = "k8s.ovn.org/pod-networks"


@dataclass(frozen=True, slots=True, kw_only=True)
class PodInterface:
    """One interface of a pod.

    `attachment` is `default` or the NAD's `<namespace>/<name>`; `port` the logical switch port's name; `addresses` are
    bare IP addresses in canonical text, none on a network without IPAM.
    """

    attachment: str
    port: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network of pods: its name, its layout, and the IP versions (4, 6) it is known to carry."""

    name: str
    topology: NetworkTopology
    versions: frozenset[int] = frozenset()


class Topology(ABC):
    """Names and addresses. `zone_nodes`: the nodes whose pods this Northbound wires; None: all nodes."""

    def __init__(self, *, zone_nodes: Iterable[str] | None = None) -> None:
        self.zone_nodes = None if zone_nodes is None else frozenset(zone_nodes)

    @staticmethod
    def ovn_kubernetes(*, zone_nodes: Iterable[str] | None = None) -> Topology:
        """The topology of ovn-kubernetes."""
        return OvnKubernetesTopology(zone_nodes=zone_nodes)

    def in_zone(self, node: str) -> bool:
        """Whether pods of this node are wired by this Northbound. A pod that is not scheduled is on no node."""
        return bool(node) and (self.zone_nodes is None or node in self.zone_nodes)

    @abstractmethod
    def interfaces(self, pod: Pod) -> tuple[PodInterface, ...]:
        """The pod's interfaces; none while it has no addresses yet.

        Raises InvalidObject when what the CNI wrote on the pod cannot be understood.
        """

    @abstractmethod
    def supports(self, network: Network) -> bool:
        """Whether rows can be compiled for this network's layout."""

    @abstractmethod
    def switch(self, network: Network, node: str) -> str:
        """Name of the logical switch that the network's pods on this node are attached to."""

    @abstractmethod
    def direction(self, network: Network) -> Direction:
        """The direction in which a row sees each packet exactly once, on its source chassis."""


class OvnKubernetesTopology(Topology):
    """ovn-kubernetes: a logical switch a node and layer3 network; addresses in the annotation `pod-networks`."""

    def interfaces(self, pod: Pod) -> tuple[PodInterface, ...]:
        """Read `k8s.ovn.org/pod-networks`; raises InvalidObject when it is not what ovn-kubernetes writes."""
        text = pod.annotations.get(POD_NETWORKS)
        if not text:
            return ()
        try:
            networks = json.loads(text)
        except (ValueError, RecursionError) as error:  # whoever makes a pod can write any depth of brackets
            raise _broken(pod, "", f"is not JSON ({error})") from None
        if not isinstance(networks, dict):
            raise _broken(pod, "", "is not a JSON object of networks")
        suffix = f"{pod.namespace}_{pod.name}"
        return tuple(
            PodInterface(
                attachment=attachment,
                port=suffix if attachment == DEFAULT_NETWORK else f"{_dotted(attachment)}_{suffix}",
                addresses=_addresses(pod, attachment, found),
            )
            for attachment, found in sorted(networks.items())
        )

    def supports(self, network: Network) -> bool:
        """Layer3, which includes the default network."""
        return network.topology is NetworkTopology.LAYER3

    def switch(self, network: Network, node: str) -> str:
        """`<node>` on the default network, else `<network>_<node>` with `-` and `/` of the network as `.`."""
        return node if network.name == DEFAULT_NETWORK else f"{_dotted(network.name)}_{node}"

    def direction(self, network: Network) -> Direction:  # noqa: ARG002 - other topologies need it
        """to-lport: on layer3 it runs on the source chassis and after load balancing (measured)."""
        return Direction.TO_LPORT


def _dotted(name: str) -> str:
    return name.replace("-", ".").replace("/", ".")


def _addresses(pod: Pod, attachment: str, found: Mapping[str, Any] | Any) -> tuple[str, ...]:
    if not isinstance(found, dict):
        raise _broken(pod, attachment, "is not a JSON object")
    given = found.get("ip_addresses")
    if given is None:
        given = [found["ip_address"]] if found.get("ip_address") else []
    if not isinstance(given, list):
        raise _broken(pod, f"{attachment}.ip_addresses", "is not a list")
    addresses = []
    for index, text in enumerate(given):
        try:
            addresses.append(str(IPAddress(str(text).partition("/")[0])))
        except (AddrFormatError, ValueError):
            raise _broken(pod, f"{attachment}.ip_addresses[{index}]", f"{text!r} is not an IP address") from None
    return tuple(addresses)


def _broken(pod: Pod, path: str, what: str) -> InvalidObject:
    where = f"metadata.annotations[{POD_NETWORKS}]" + (f".{path}" if path else "")
    return InvalidObject(f"Pod {pod.key}", [Fault(path=where, message=f"{what}; ovn-kubernetes writes it")])
