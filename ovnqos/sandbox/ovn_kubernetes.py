"""A network as ovn-kubernetes builds it: layer3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovnqos.sandbox.network import DEFAULT, Commands, SandboxNetwork, external_ids, first_host, mac_of, scope
from ovnqos.sandbox.programs import SandboxError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import netaddr


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
