"""An OVN without ovn-kubernetes: sandboxes without its default network, and switches with names of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovnqos.sandbox.cluster import Sandbox
from ovnqos.sandbox.network import Commands, Network

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import netaddr

    from ovnqos.sandbox.network import Attachment


class PlainSandbox(Sandbox):
    """A sandbox whose networks are only those that are added; its outside host is on the nodes' own wire."""

    def add_network(self, network: Network) -> None:
        """Builds a logical network on all nodes."""
        if network is not self._default:  # what every sandbox begins with
            super().add_network(network)


class PlainNetwork(Network):
    """One logical switch for all nodes, with the names that somebody chose.

    Attributes:
        port_template: the name of a pod's port, with `{namespace}` and `{name}`.
        ports: by pod (`<namespace>/<name>`), those that do not go by the template.
    """

    def __init__(
        self, name: str, *, subnets: Sequence[str], port_template: str, ports: Mapping[str, str] | None = None
    ) -> None:
        """Describes it; `name` is the switch's."""
        super().__init__(name, subnets=subnets, nad=name)
        self.port_template = port_template
        self.ports = dict(ports or {})

    def switch(self, node: str) -> str:  # noqa: ARG002  one switch serves every node
        """The switch."""
        return self.name

    def node_subnets(self, node: str) -> tuple[netaddr.IPNetwork, ...]:  # noqa: ARG002  one subnet serves every node
        """Its subnets."""
        return self.subnets

    def gateways(self, node: str) -> tuple[netaddr.IPNetwork, ...]:  # noqa: ARG002  it has no router
        """None."""
        return ()

    def routes(self, node: str) -> tuple[tuple[str, str], ...]:  # noqa: ARG002  all of it is on the link
        """None."""
        return ()

    def create(self, nodes: Sequence[str]) -> Commands:  # noqa: ARG002  one switch serves every node
        """The command that makes the switch."""
        return [("ls-add", self.name)]

    def port(self, pod: str, *, namespace: str) -> str:
        """As it was chosen."""
        template = self.ports.get(f"{namespace}/{pod}", self.port_template)
        return template.format(namespace=namespace, name=pod)

    def port_commands(self, attachment: Attachment, *, namespace: str) -> Commands:  # noqa: ARG002  the port says it
        """The commands that make a pod's logical switch port."""
        addresses = [address.partition("/")[0] for address in attachment.addresses]
        return [
            ("lsp-add", attachment.switch, attachment.port),
            ("lsp-set-addresses", attachment.port, " ".join([attachment.mac, *addresses])),
        ]
