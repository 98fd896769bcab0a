"""Layer2 and localnet networks as ovn-kubernetes builds them: one switch for all nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import netaddr

from ovnqos.sandbox.network import Commands, SandboxNetwork, external_ids, scope
from ovnqos.sandbox.node import PHYSICAL_NETWORK

if TYPE_CHECKING:
    from collections.abc import Sequence


class _FlatNetwork(SandboxNetwork):
    topology: ClassVar[str]

    def __init__(self, name: str, *, subnets: Sequence[str] = (), nad: str) -> None:
        """Describe it.

        Args:
            name: the network's name.
            subnets: CIDRs, at most one a family; without any it has no IPAM: OVN knows its pods' MAC addresses only.
            nad: `<namespace>/<name>` of its network attachment definition.
        """
        super().__init__(name, subnets=subnets, nad=nad)

    def switch(self, node: str) -> str:
        """The network's one switch."""
        return f"{scope(self.name)}ovn_{self.topology}_switch"

    def create(self, nodes: Sequence[str]) -> Commands:
        """The commands that make the switch."""
        ids = {"k8s.ovn.org/network": self.name, "k8s.ovn.org/topology": self.topology}
        switch = self.switch(nodes[0])
        return [("ls-add", switch), ("set", "Logical_Switch", switch, *external_ids(ids))]


class Layer2Network(_FlatNetwork):
    """A layer2 network: one switch `<network>_ovn_layer2_switch`, stretched between the nodes by geneve."""

    topology = "layer2"


class PrimaryLayer2Network(Layer2Network):
    """A layer2 network that is its pods' primary one: with a gateway router a node, by which they reach the outside.

    The routers' addresses are the first of each subnet, one a node. (With a Northbound a node, as in ovn-kubernetes,
    all of them have the same.)
    """

    def __init__(self, name: str, *, subnets: Sequence[str], nad: str) -> None:
        """Describe it.

        Args:
            name: the network's name.
            subnets: CIDRs, at most one a family, and at least one.
            nad: `<namespace>/<name>` of the network attachment definition that the UserDefinedNetwork made.
        """
        super().__init__(name, subnets=subnets, nad=nad)
        self.role = "primary"
        self._nodes: tuple[str, ...] = ()

    def gateways(self, node: str) -> tuple[netaddr.IPNetwork, ...]:
        """The addresses of the node's gateway router."""
        return tuple(
            netaddr.IPNetwork(f"{subnet.network + 1 + self._nodes.index(node)}/{subnet.prefixlen}")
            for subnet in self.subnets
        )

    def create(self, nodes: Sequence[str]) -> Commands:
        """The commands that make the switch."""
        self._nodes = tuple(nodes)
        self._first_pod = max(self._first_pod, 1 + len(nodes))
        return super().create(nodes)


class LocalnetNetwork(_FlatNetwork):
    """A localnet network: one switch `<network>_ovn_localnet_switch`, joined to each node's own bridge.

    Its packets cross the underlay without geneve, where the outside host hears them.
    """

    topology = "localnet"

    def create(self, nodes: Sequence[str]) -> Commands:
        """The commands that make the switch and its localnet port."""
        switch, port = self.switch(nodes[0]), f"{scope(self.name)}ovn_localnet_port"
        return [
            *super().create(nodes),
            ("lsp-add", switch, port),
            ("lsp-set-type", port, "localnet"),
            ("lsp-set-addresses", port, "unknown"),
            ("lsp-set-options", port, f"network_name={PHYSICAL_NETWORK}"),
        ]
