"""Logical networks of a sandbox: what all have in common, and that of a topology map."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import netaddr

from ovnqos.sandbox.programs import SandboxError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


Commands: TypeAlias = "list[tuple[str, ...]]"
"""`ovn-nbctl` commands, to be run in one transaction."""

Role: TypeAlias = Literal["primary", "secondary", "infrastructure-locked"]
"""What a network is to a pod, as ovn-kubernetes annotates it; the default network is `infrastructure-locked` where
another one is primary."""

DEFAULT: Final = "default"
_FIRST_POD: Final = 3  # .1 is the gateway, .2 ovn-kubernetes' management port


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """One interface of a pod on a logical network.

    Attributes:
        network: its key in the annotation `k8s.ovn.org/pod-networks`: `default` or `<NAD namespace>/<NAD name>`.
        switch: the logical switch.
        port: the logical switch port.
        mac: the MAC address.
        addresses: with prefix lengths; none on a network without IPAM.
        gateways: the addresses of the router port, one a family; none where the network has no router.
        routes: pairs of destination and next hop: the whole network's subnets, where a node has only a part of them.
        role: what the network is to the pod.
    """

    network: str
    switch: str
    port: str
    mac: str
    addresses: tuple[str, ...]
    gateways: tuple[str, ...]
    routes: tuple[tuple[str, str], ...]
    role: Role = "secondary"

    @property
    def default_routes(self) -> tuple[tuple[str, str], ...]:
        """Pairs of destination and next hop for all other traffic; only the default network has them."""
        gateways = self.gateways if self.network == DEFAULT else ()
        return tuple(("::/0" if ":" in gateway else "0.0.0.0/0", gateway) for gateway in gateways)

    def annotation(self) -> dict[str, object]:
        """This network's value in the annotation `k8s.ovn.org/pod-networks`, as ovn-kubernetes' CNI writes it."""
        value: dict[str, object] = {"ip_addresses": list(self.addresses) or None, "mac_address": self.mac}
        if self.gateways:
            value["gateway_ips"] = list(self.gateways)
        if self.routes:
            value["routes"] = [{"dest": destination, "nextHop": hop} for destination, hop in self.routes]
        if len(self.addresses) == 1:  # kept by ovn-kubernetes for readers of its older, single-stack form
            value["ip_address"] = self.addresses[0]
            if self.gateways:
                value["gateway_ip"] = self.gateways[0]
        return value | {"role": self.role}


class SandboxNetwork(ABC):
    """A logical network on all nodes of a sandbox: one switch without a router, unless a subclass says otherwise.

    Attributes:
        name: the network's, `default` for the cluster's default network.
        nad: `<namespace>/<name>` of its NetworkAttachmentDefinition; None for the default network.
        subnets: the whole network's, at most one a family.
        role: what it is to its pods.
    """

    def __init__(self, name: str, *, subnets: Iterable[str], nad: str | None, role: Role = "secondary") -> None:
        """Name the network and take its subnets, each `<CIDR>`, or `<CIDR>/<a node's prefix length>`."""
        if (name == DEFAULT) != (nad is None):
            raise SandboxError(f"network {name}: all but the default network need a network attachment definition")
        self.name = name
        self.nad = nad
        self.role = role
        split = [subnet.split("/") for subnet in subnets]
        self.subnets = tuple(netaddr.IPNetwork("/".join(parts[:2])) for parts in split)
        self._node_prefix = tuple(int(parts[-1]) for parts in split)
        self._first_pod = _FIRST_POD
        self._next_pod: dict[str, int] = {}

    @property
    def key(self) -> str:
        """Its key in the annotation `k8s.ovn.org/pod-networks`."""
        return self.nad or DEFAULT

    @abstractmethod
    def create(self, nodes: Sequence[str]) -> Commands:
        """The commands that make its switches and routers."""

    def switch(self, node: str) -> str:  # noqa: ARG002  one switch serves every node
        """The logical switch that a node's pods are on."""
        return self.name

    def gateways(self, node: str) -> tuple[netaddr.IPNetwork, ...]:  # noqa: ARG002  the network has no router
        """The router's addresses on a node's switch, with prefix lengths, one a family."""
        return ()

    def node_subnets(self, node: str) -> tuple[netaddr.IPNetwork, ...]:  # noqa: ARG002  one subnet serves every node
        """Where a node's pods get their addresses from, one a family."""
        return self.subnets

    def routes(self, node: str) -> tuple[tuple[str, str], ...]:  # noqa: ARG002  all of it is on the link
        """Pairs of destination and next hop that a node's pods need to reach all of the network."""
        return ()

    def attach(self, pod: str, *, namespace: str, node: str) -> Attachment:
        """Take the next free addresses of a node for a pod."""
        number = self._next_pod.get(self.switch(node), self._first_pod)
        self._next_pod[self.switch(node)] = number + 1
        addresses = [_host(subnet, number) for subnet in self.node_subnets(node)]
        gateways = [str(gateway.ip) for gateway in self.gateways(node)]
        return Attachment(
            network=self.key,
            switch=self.switch(node),
            port=self.port(pod, namespace=namespace),
            mac=mac_of(addresses[0]) if addresses else _mac_without_address(self.name, number),
            addresses=tuple(str(address) for address in addresses),
            gateways=tuple(gateways),
            routes=self.routes(node),
            role=self.role,
        )

    def port(self, pod: str, *, namespace: str) -> str:
        """The name of a pod's logical switch port."""
        return f"{scope(self.nad)}{namespace}_{pod}"

    def port_commands(self, attachment: Attachment, *, namespace: str) -> Commands:
        """The commands that make a pod's logical switch port."""
        port, addresses = attachment.port, [str(netaddr.IPNetwork(a).ip) for a in attachment.addresses]
        ids = {"namespace": namespace, "pod": "true"}
        if self.nad is not None:
            ids |= {"k8s.ovn.org/nad": self.nad, "k8s.ovn.org/network": self.name}
        return [
            ("lsp-add", attachment.switch, port),
            ("lsp-set-addresses", port, " ".join([attachment.mac, *addresses])),
            ("set", "Logical_Switch_Port", port, *external_ids(ids)),
        ]


class StaticNetwork(SandboxNetwork):
    """A switch as a topology map describes it: its own name, and port names by a template.

    Attributes:
        port_template: the name of a pod's port, with `{namespace}` and `{name}`.
        ports: by pod (`<namespace>/<name>`), those that do not follow the template.
    """

    def __init__(
        self, name: str, *, subnets: Sequence[str], port_template: str, ports: Mapping[str, str] | None = None
    ) -> None:
        """Describe it; `name` is the switch's."""
        super().__init__(name, subnets=subnets, nad=name)
        self.port_template = port_template
        self.ports = dict(ports or {})

    def create(self, nodes: Sequence[str]) -> Commands:  # noqa: ARG002  one switch serves every node
        """The command that makes the switch."""
        return [("ls-add", self.name)]

    def port(self, pod: str, *, namespace: str) -> str:
        """The pod's entry in `ports`, else the template's name."""
        template = self.ports.get(f"{namespace}/{pod}", self.port_template)
        return template.format(namespace=namespace, name=pod)

    def port_commands(self, attachment: Attachment, *, namespace: str) -> Commands:  # noqa: ARG002  the port says it
        """The commands that make a pod's logical switch port."""
        addresses = [address.partition("/")[0] for address in attachment.addresses]
        return [
            ("lsp-add", attachment.switch, attachment.port),
            ("lsp-set-addresses", attachment.port, " ".join([attachment.mac, *addresses])),
        ]


def scope(name: str | None) -> str:
    """The prefix of a network's switches, or of a NAD's ports: `-` and `/` become `.`; nothing for the default one."""
    return "" if name in (None, DEFAULT) else str(name).replace("-", ".").replace("/", ".") + "_"


def mac_of(address: netaddr.IPNetwork) -> str:
    """The MAC address that belongs to an address: `0a:58` and IPv4's four bytes, or IPv6's last four."""
    low = int(address.ip) & 0xFFFFFFFF
    return ":".join(["0a", "58", *(f"{low >> shift & 0xFF:02x}" for shift in (24, 16, 8, 0))])


def _mac_without_address(network: str, number: int) -> str:
    # localnet networks share one wire: the network's name keeps their addresses apart
    low = (zlib.crc32(network.encode()) & 0xFFFF) << 16 | number
    return ":".join(["0e", "58", *(f"{low >> shift & 0xFF:02x}" for shift in (24, 16, 8, 0))])


def external_ids(ids: dict[str, str]) -> list[str]:
    """Arguments of `ovn-nbctl set` for these external_ids."""
    return [f'external_ids:{key}="{value}"' for key, value in ids.items()]


def first_host(subnet: netaddr.IPNetwork) -> netaddr.IPNetwork:
    """The first address of a subnet, with its prefix length: the gateway's."""
    return _host(subnet, 1)


def _host(subnet: netaddr.IPNetwork, number: int) -> netaddr.IPNetwork:
    if number >= subnet.size - 1:
        raise SandboxError(f"{subnet} has no address left")
    return netaddr.IPNetwork(f"{subnet.network + number}/{subnet.prefixlen}")
