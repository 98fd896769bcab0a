"""Networks as ovn-kubernetes builds them: layer3, and the gateway routers by which pods reach the outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import netaddr

from ovnqos.sandbox.network import DEFAULT, Commands, SandboxNetwork, external_ids, first_host, mac_of, scope
from ovnqos.sandbox.node import PHYSICAL_NETWORK
from ovnqos.sandbox.programs import SandboxError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_JOIN: Final = (netaddr.IPNetwork("100.64.0.0/16"), netaddr.IPNetwork("fd98::/64"))


class Layer3Network(SandboxNetwork):
    """A layer3 network: switches `<node>` or `<network>_<node>`, joined by one distributed router."""

    def __init__(
        self,
        name: str = DEFAULT,
        *,
        subnets: Sequence[str] = ("10.244.0.0/16/24", "fd10:244::/48/64"),
        nad: str | None = None,
    ) -> None:
        """Describe it.

        Args:
            name: the network's name.
            subnets: as in a NAD, `<CIDR>/<prefix length of a node's subnet>`, at most one a family.
            nad: `<namespace>/<name>` of its network attachment definition.
        """
        super().__init__(name, subnets=subnets, nad=nad, role="primary" if nad is None else "secondary")
        self._node_subnets: dict[str, tuple[netaddr.IPNetwork, ...]] = {}

    @property
    def router(self) -> str:
        """The logical router between the node switches."""
        return f"{scope(self.name)}ovn_cluster_router"

    def switch(self, node: str) -> str:
        """The node's switch."""
        return f"{scope(self.name)}{node}"

    def node_subnets(self, node: str) -> tuple[netaddr.IPNetwork, ...]:
        """The node's subnets."""
        try:
            return self._node_subnets[node]
        except KeyError:
            raise SandboxError(f"network {self.name} has no node {node}") from None

    def gateways(self, node: str) -> tuple[netaddr.IPNetwork, ...]:
        """The router's addresses on the node's switch."""
        return tuple(first_host(subnet) for subnet in self.node_subnets(node))

    def routes(self, node: str) -> tuple[tuple[str, str], ...]:
        """The whole network, by the router."""
        return tuple(zip(map(str, self.subnets), (str(hop.ip) for hop in self.gateways(node)), strict=True))

    def create(self, nodes: Sequence[str]) -> Commands:
        """The commands that make the router, and a switch a node."""
        pools = [
            list(zip(nodes, subnet.subnet(prefix), strict=False))
            for subnet, prefix in zip(self.subnets, self._node_prefix, strict=True)
        ]
        if any(len(pool) < len(nodes) for pool in pools):
            raise SandboxError(f"network {self.name} has fewer node subnets than the sandbox has nodes")
        self._node_subnets = {node: tuple(dict(pool)[node] for pool in pools) for node in nodes}
        commands: Commands = [("lr-add", self.router)]
        for node in nodes:
            commands += self._node_commands(node)
        return commands

    def _node_commands(self, node: str) -> Commands:
        switch, gateways = self.switch(node), self.gateways(node)
        router_port, switch_port = f"rtos-{switch}", f"stor-{switch}"
        commands: Commands = [
            ("ls-add", switch),
            ("lrp-add", self.router, router_port, mac_of(gateways[0]), *(str(gateway) for gateway in gateways)),
            ("lsp-add", switch, switch_port),
            ("lsp-set-type", switch_port, "router"),
            ("lsp-set-addresses", switch_port, "router"),
            ("lsp-set-options", switch_port, f"router-port={router_port}"),
        ]
        if self.nad is not None:
            ids = {"k8s.ovn.org/network": self.name, "k8s.ovn.org/topology": "layer3"}
            commands.append(("set", "Logical_Switch", switch, *external_ids(ids)))
        return commands


def external_gateways(
    network: SandboxNetwork, nodes: Mapping[str, Sequence[netaddr.IPNetwork]], *, outside: Sequence[str]
) -> Commands:
    """The commands that let a network's pods out.

    Pod traffic leaves at its own node through `GR_<node>` and a localnet port, with its own source address: there is no
    NAT, so that a receiver sees which pod sent. On a layer3 network the gateway routers are behind the cluster's
    router, on another they are on its switch.

    Args:
        network: has been created on these nodes.
        nodes: the nodes, and the addresses of their gateway routers outside, with prefix lengths.
        outside: the next hops for everything else, one a family.

    Returns:
        `ovn-nbctl` commands.
    """
    versions = {subnet.version for subnet in network.subnets}
    commands: Commands = _join_switch(network) if isinstance(network, Layer3Network) else []
    for number, (node, addresses) in enumerate(nodes.items(), start=2):
        prefix = scope(network.name)
        router, external, port = f"GR_{prefix}{node}", f"{prefix}ext_{node}", f"{prefix}br-phy_{node}"
        commands += [("lr-add", router), ("set", "Logical_Router", router, f'options:chassis="{node}"')]
        if isinstance(network, Layer3Network):
            commands += _behind_cluster_router(network, node, router, number)
        else:
            gateways = network.gateways(node)
            commands += _router_port(router, f"rtos-{router}", network.switch(node), f"stor-{router}", gateways)
        there = [address for address in addresses if address.version in versions]
        commands += [
            ("ls-add", external),
            *_router_port(router, f"rtoe-{router}", external, f"etor-{router}", there),
            ("lsp-add", external, port),
            ("lsp-set-type", port, "localnet"),
            ("lsp-set-addresses", port, "unknown"),
            ("lsp-set-options", port, f"network_name={PHYSICAL_NETWORK}"),
        ]
        for hop in outside:
            if netaddr.IPAddress(hop).version in versions:
                everything = "::/0" if ":" in hop else "0.0.0.0/0"
                commands.append(("lr-route-add", router, everything, hop))
    return commands


def _join_switch(network: Layer3Network) -> Commands:
    join = f"{scope(network.name)}join"
    addresses = [_at(subnet, 1) for subnet in _join_subnets(network)]
    return [
        ("ls-add", join),
        *_router_port(network.router, f"rtoj-{network.router}", join, f"jtor-{network.router}", addresses),
    ]


def _behind_cluster_router(network: Layer3Network, node: str, router: str, number: int) -> Commands:
    subnets = _join_subnets(network)
    own = [_at(subnet, number) for subnet in subnets]
    commands = _router_port(router, f"rtoj-{router}", f"{scope(network.name)}join", f"jtor-{router}", own)
    for subnet, to_cluster in zip(network.subnets, subnets, strict=True):
        commands.append(("lr-route-add", router, str(subnet), str(_at(to_cluster, 1).ip)))
    for subnet, hop in zip(network.node_subnets(node), own, strict=True):
        commands.append(("--policy=src-ip", "lr-route-add", network.router, str(subnet), str(hop.ip)))
    return commands


def _join_subnets(network: Layer3Network) -> list[netaddr.IPNetwork]:
    return [join for subnet in network.subnets for join in _JOIN if join.version == subnet.version]


def _router_port(
    router: str, router_port: str, switch: str, switch_port: str, addresses: Sequence[netaddr.IPNetwork]
) -> Commands:
    return [
        ("lrp-add", router, router_port, mac_of(addresses[0]), *(str(address) for address in addresses)),
        ("lsp-add", switch, switch_port),
        ("lsp-set-type", switch_port, "router"),
        ("lsp-set-addresses", switch_port, "router"),
        ("lsp-set-options", switch_port, f"router-port={router_port}"),
    ]


def _at(subnet: netaddr.IPNetwork, number: int) -> netaddr.IPNetwork:
    return netaddr.IPNetwork(f"{subnet.network + number}/{subnet.prefixlen}")
