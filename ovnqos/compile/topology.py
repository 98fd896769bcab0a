"""How a cluster's CNI names things in OVN, and where it writes a pod's addresses; ovn-kubernetes', the default one.

One object holds all of it, so that another OVN user brings its own. The other topologies, and the choice among them,
are in `ovnqos/compile/topologies/`.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar

from ovnqos.compile.rows import Direction
from ovnqos.diagnostics import Code, Diagnostic, ObjectRef
from ovnqos.errors import InvalidObject
from ovnqos.match.addresses import canonical_address
from ovnqos.model.networks import DEFAULT_NETWORK, NetworkTopology
from ovnqos.model.workloads import ADDRESSES_MAXIMUM, ANNOTATION_LENGTH_MAXIMUM, INTERFACES_MAXIMUM

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from netaddr import IPNetwork

    from ovnqos.model.networks import NetworkAttachmentDefinition
    from ovnqos.model.workloads import Pod


_NAME_LENGTH = 700  # of a port; Kubernetes' own names and the words between them take at most 63 + 253 + 63 + 253 + 4
_PLUGIN_WRITES = "use what the network plugin writes"


@dataclass(frozen=True, slots=True, kw_only=True)
class PodInterface:
    """One interface of a pod.

    `attachment` says which network: `default`, the NAD's `<namespace>/<name>`, or another word of the topology's.
    `port` is the logical switch port's name. `addresses` are bare IP addresses in canonical text, none on a network
    without IPAM. `location` is what, beside the network, decides the logical switch: the pod's node, or the switch.
    `mac` is the MAC address in lower case; empty where it is not known. `named_after` is the pod of this namespace, or
    the virtual machine, whose name the port has where an annotation says that it is another than this pod's.
    """

    attachment: str
    port: str
    addresses: tuple[str, ...]
    location: str
    mac: str = ""
    named_after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network of pods.

    Attributes:
        name: its name.
        topology: its layout.
        versions: the IP versions (4, 6) that it is known to carry.
        subnets: its addresses, as far as they are declared.
        mtu: of its packets, in bytes; None where it is not declared.
    """

    name: str
    topology: NetworkTopology
    versions: frozenset[int] = frozenset()
    subnets: tuple[IPNetwork, ...] = ()
    mtu: int | None = None

    def may_carry(self, version: int) -> bool:
        """Whether it may carry an IP version: any where no address is known."""
        return not self.versions or version in self.versions

    @property
    def key(self) -> str:
        """What tells it apart: its name, and its layout too unless that is layer3.

        Two NADs may claim one name with two layouts; then the switches of each have rows of their own.
        """
        return self.name if self.topology is NetworkTopology.LAYER3 else f"{self.name}@{self.topology}"


class Topology(ABC):
    """Names and addresses. `zone_nodes`: the nodes whose pods this Northbound wires; None: all nodes."""

    name: ClassVar[str] = ""
    """As `--topology` has it."""
    has_mac_addresses: ClassVar[bool] = False
    """Whether the MAC addresses of the interfaces are known."""

    def __init__(self, *, zone_nodes: Iterable[str] | None = None) -> None:
        self.zone_nodes = None if zone_nodes is None else frozenset(zone_nodes)

    def in_zone(self, node: str) -> bool:
        """Whether pods of this node are wired by this Northbound. A pod that is not scheduled is on no node."""
        return bool(node) and (self.zone_nodes is None or node in self.zone_nodes)

    def is_of_other_zone(self, network: Network, node: str) -> bool:
        """Whether only another zone's Northbound has the ports of this node's pods on a network.

        A flat network's switch may have those of all zones: ovn-kubernetes adds the others as remote ports.
        """
        return network.topology is NetworkTopology.LAYER3 and bool(node) and not self.in_zone(node)

    def definition_key(self, attachment: str) -> str:
        """What an attachment is declared by: `default`, or a NAD's key. Several attachments may be by one NAD."""
        return attachment

    def is_default(self, attachment: str) -> bool:
        """Whether an attachment is a pod's default interface, not one by a NAD."""
        return self.definition_key(attachment) == DEFAULT_NETWORK

    def wires(self, definition: NetworkAttachmentDefinition) -> bool:
        """Whether pods that come by this NAD get a port of OVN; of others the author of a policy is told."""
        return definition.ovn is not None

    @abstractmethod
    def interfaces(self, pod: Pod) -> tuple[PodInterface, ...]:
        """The pod's interfaces; none while it has no addresses yet.

        Raises InvalidObject when what the CNI wrote on the pod cannot be understood.
        """

    def read_interfaces(self, pod: Pod) -> tuple[PodInterface, ...]:
        """The pod's interfaces, as `interfaces`, within bounds and with names that OVN can have; raises InvalidObject.

        Whoever may edit a pod may have chosen all of it.
        """
        for key, text in pod.annotations.items():
            if len(text) > ANNOTATION_LENGTH_MAXIMUM:
                what = f"is longer than the maximum of {ANNOTATION_LENGTH_MAXIMUM} characters"
                raise invalid_annotation(pod, key, what, hint=_PLUGIN_WRITES)
        interfaces = self.interfaces(pod)
        if (count := len(interfaces)) > INTERFACES_MAXIMUM:
            raise _unusable(pod, f"{count} interfaces of the pod are above the maximum of {INTERFACES_MAXIMUM}")
        if (count := sum([len(one.addresses) for one in interfaces])) > ADDRESSES_MAXIMUM:
            raise _unusable(pod, f"{count} addresses of the pod are above the maximum of {ADDRESSES_MAXIMUM}")
        for one in interfaces:
            names = one.attachment, one.port, one.location
            if (together := "".join(names)).isprintable() and len(together) <= _NAME_LENGTH:
                continue
            for name in names:
                if not name.isprintable() or len(name) > _NAME_LENGTH:
                    shown = ascii(name[:_NAME_LENGTH])
                    raise _unusable(pod, f"{shown} of an interface is no name in OVN: control characters, or too long")
        return interfaces

    def mac_addresses(self, interface: PodInterface) -> frozenset[str]:
        """The MAC addresses that an interface may have; none where none is known."""
        return frozenset(filter(None, [interface.mac]))

    def may_own(self, pod: Pod, port: str) -> bool:  # noqa: ARG002 - a topology may have no rule for names
        """Whether a logical switch port may be a pod's by its name alone, where what the CNI wrote cannot be read."""
        return False

    @abstractmethod
    def network(
        self, attachment: str, definition: NetworkAttachmentDefinition | None, seen_versions: frozenset[int]
    ) -> Network | None:
        """The network behind an attachment.

        Args:
            attachment: as the pods' interfaces have it.
            definition: the NAD whose key that is, if there is one.
            seen_versions: the IP versions of the addresses that pods have on it.

        Returns None for one that is not known, or not OVN's.
        """

    @abstractmethod
    def switch(self, network: Network, location: str) -> str:
        """Name of the logical switch of the network's interfaces at this location (see `PodInterface`)."""

    @abstractmethod
    def direction(self, network: Network) -> Direction:
        """The direction in which a row sees each packet exactly once, on its source chassis."""

    def allows_from_lport(self, network: Network) -> bool:
        """Whether rows of the network may be in from-lport as well, for packets that to-lport has another row for.

        They may where each node has its own switch: all of a packet's way through it is on the source's chassis.
        """
        return network.topology is NetworkTopology.LAYER3


def invalid_annotation(pod: Pod, annotation: str, text: str, *, path: str = "", hint: str) -> InvalidObject:
    """The error of a pod's annotation that a topology cannot read: what is wrong, and where inside it (`path`)."""
    where = f"metadata.annotations[{annotation}]" + (f".{path}" if path else "")
    ref = ObjectRef(kind="Pod", namespace=pod.namespace, name=pod.name)
    return InvalidObject(ref, [Diagnostic.error(ref, Code.INVALID_FIELD, text, path=where, hint=hint)])


def _unusable(pod: Pod, text: str) -> InvalidObject:
    ref = ObjectRef(kind="Pod", namespace=pod.namespace, name=pod.name)
    path = "metadata.annotations"
    return InvalidObject(ref, [Diagnostic.error(ref, Code.INVALID_FIELD, text, path=path, hint=_PLUGIN_WRITES)])


def bare_address(text: object) -> str | None:
    """An IP address in canonical text, without the prefix length behind it; None for text that is none."""
    try:
        return canonical_address(str(text).strip().partition("/")[0])
    except ValueError:
        return None


POD_NETWORKS = "k8s.ovn.org/pod-networks"
"""The annotation with a pod's networks, a JSON object by attachment."""
_HINT = "ovn-kubernetes writes it"
_MAC_PREFIX = b"\x0a\x58"
_decode = json.JSONDecoder().decode  # json.loads looks at its seven other arguments first
_MAC = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}")


class OvnKubernetesTopology(Topology):
    """Names as ovn-kubernetes gives them; `<net>` below is a network's name with `-` and `/` as `.`."""

    name = "ovn-kubernetes"
    has_mac_addresses = True

    def interfaces(self, pod: Pod) -> tuple[PodInterface, ...]:
        """Read `k8s.ovn.org/pod-networks`; raises InvalidObject when it is not what ovn-kubernetes writes."""
        text = pod.annotations.get(POD_NETWORKS)
        if not text:
            return ()
        try:
            networks = _decode(text)
        except (ValueError, RecursionError) as error:  # whoever makes a pod can write any depth of brackets
            raise _broken(pod, "", f"is not JSON ({error})") from None
        if not isinstance(networks, dict):
            raise _broken(pod, "", "is not a JSON object of networks")
        suffix = f"{pod.namespace}_{pod.name}"
        found = [
            PodInterface(
                attachment=_without_index(key),
                port=suffix if key == DEFAULT_NETWORK else f"{_dotted(key)}_{suffix}",
                addresses=_addresses(pod, key, network),
                location=pod.node,
                mac=_mac(network),
            )
            for key, network in sorted(networks.items())
        ]
        return tuple(found)

    def mac_addresses(self, interface: PodInterface) -> frozenset[str]:
        """That of the annotation, and that which ovn-kubernetes makes of the first address.

        So an annotation with a MAC address that the port does not have ends nobody's limit of packets to the pod.
        """
        first = min(interface.addresses, key=_is_version_6, default=None)
        return super().mac_addresses(interface) | (frozenset() if first is None else {mac_of_address(first)})

    def may_own(self, pod: Pod, port: str) -> bool:
        """Whether a port is the pod's on the default network, or on any other one."""
        suffix = f"{pod.namespace}_{pod.name}"
        return port == suffix or port.endswith(f"_{suffix}")  # no name of Kubernetes holds a low line

    def network(
        self, attachment: str, definition: NetworkAttachmentDefinition | None, seen_versions: frozenset[int]
    ) -> Network | None:
        """The default network, or what the NAD's configuration says."""
        if attachment == DEFAULT_NETWORK:
            return Network(name=DEFAULT_NETWORK, topology=NetworkTopology.LAYER3, versions=seen_versions)
        if definition is None or definition.ovn is None:
            return None
        config = definition.ovn
        return Network(
            name=config.network,
            topology=config.topology,
            versions=frozenset(subnet.version for subnet in config.subnets) or seen_versions,
            subnets=config.subnets,
            mtu=config.mtu,
        )

    def switch(self, network: Network, location: str) -> str:
        """`<node>` on the default network, else `<net>_<node>` or, of another layout, `<net>_ovn_<layout>_switch`."""
        if network.name == DEFAULT_NETWORK:
            return location
        if network.topology is NetworkTopology.LAYER3:
            return f"{_dotted(network.name)}_{location}"
        return f"{_dotted(network.name)}_ovn_{network.topology}_switch"

    def direction(self, network: Network) -> Direction:
        """to-lport on layer3, else from-lport.

        to-lport runs behind load balancing, so that a Service's backends are matched. On a layer2 network it runs on
        the destination's chassis: measured, the packet leaves the node unmarked and unmetered. On a localnet network it
        runs once for each copy of a flooded packet, and the copies share the meter: measured, a broadcast of 2 Mbit/s
        reached one of its receivers at 0.02.
        """
        return Direction.TO_LPORT if network.topology is NetworkTopology.LAYER3 else Direction.FROM_LPORT


def _without_index(key: str) -> str:
    """The NAD of a key: a pod that is attached to one NAD several times has `ns/nad`, `ns/nad/1` and so on."""
    return key if key.count("/") < 2 else "/".join(key.split("/")[:2])


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
        address = bare_address(text)
        if address is None:
            raise _broken(pod, f"{attachment}.ip_addresses[{index}]", f"{text!r} is not an IP address")
        addresses.append(address)
    return tuple(addresses)


def _mac(found: Mapping[str, Any]) -> str:
    """The MAC address; empty where there is none, or something else."""
    text = found.get("mac_address")
    return text.lower() if isinstance(text, str) and _MAC.fullmatch(text) else ""


def _is_version_6(address: str) -> bool:
    return ":" in address


def mac_of_address(address: str) -> str:
    """The MAC address that ovn-kubernetes gives an interface with this address (`util.IPAddrToHWAddr`).

    It is `0a:58` and the four bytes of an IPv4 address, or the first four of the SHA-256 digest of IPv6's text.
    """
    tail = sha256(address.encode()).digest()[:4] if _is_version_6(address) else bytes(map(int, address.split(".")))
    return (_MAC_PREFIX + tail).hex(":")


def _broken(pod: Pod, path: str, what: str) -> InvalidObject:
    return invalid_annotation(pod, POD_NETWORKS, what, path=path, hint=_HINT)
