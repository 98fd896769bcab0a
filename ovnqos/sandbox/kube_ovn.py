"""Subnets of VPCs as Kube-OVN builds them in OVN.

Source: Kube-OVN's own code: pkg/ovs/ovn-nb-logical_switch.go, ovn-nb.go and ovn-nb-logical_switch_port.go. Left out:
the switch `join` with a port of each node, by which overlay pods reach the outside through the host's routes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ovnqos.sandbox.network import Commands, SandboxNetwork, external_ids, first_host, mac_of
from ovnqos.sandbox.node import PHYSICAL_NETWORK

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import netaddr

    from ovnqos.sandbox.network import Attachment

DEFAULT_VPC: Final = "ovn-cluster"
DEFAULT_PROVIDER: Final = "ovn"
_VENDOR: Final = {"vendor": "kube-ovn"}


class KubeOvnSubnet(SandboxNetwork):
    """A Subnet: one switch for all nodes, on the router of its VPC, or, as an underlay one, on the nodes' own wire.

    Attributes:
        vpc: the name of its VPC, and of that one's router; empty for an underlay Subnet, whose gateway is outside.
        provider: `ovn`, or `<NAD>.<namespace>.ovn`.
    """

    def __init__(
        self, name: str, *, cidrs: Sequence[str], vpc: str = DEFAULT_VPC, provider: str = DEFAULT_PROVIDER
    ) -> None:
        """Describe it.

        Args:
            name: the Subnet's.
            cidrs: at most one a family.
            vpc: see the attribute.
            provider: likewise.
        """
        super().__init__(name, subnets=cidrs, nad=name)
        self.vpc = vpc
        self.provider = provider

    def gateways(self, node: str) -> tuple[netaddr.IPNetwork, ...]:  # noqa: ARG002  they are the same everywhere
        """The first addresses: of the VPC's router, or of a machine on the wire."""
        return tuple(first_host(subnet) for subnet in self.subnets)

    def routes(self, node: str) -> tuple[tuple[str, str], ...]:
        """Everything, by the gateway, for a pod's default interface; another one reaches its own Subnet."""
        if self.provider != DEFAULT_PROVIDER:
            return ()
        hops = [gateway.ip for gateway in self.gateways(node)]
        return tuple(("::/0" if hop.version == 6 else "0.0.0.0/0", str(hop)) for hop in hops)

    def create(self, nodes: Sequence[str]) -> Commands:  # noqa: ARG002  one switch serves every node
        """The commands that make the switch and join it to the VPC's router, or to the wire."""
        commands: Commands = [("ls-add", self.name), ("set", "Logical_Switch", self.name, *external_ids(_VENDOR))]
        if not self.vpc:
            port = f"localnet.{self.name}"
            return [
                *commands,
                ("lsp-add", self.name, port),
                ("lsp-set-type", port, "localnet"),
                ("lsp-set-addresses", port, "unknown"),
                ("lsp-set-options", port, f"network_name={PHYSICAL_NETWORK}"),
            ]
        gateways = self.gateways("")
        router_port, switch_port = f"{self.vpc}-{self.name}", f"{self.name}-{self.vpc}"
        return [
            *commands,
            ("--may-exist", "lr-add", self.vpc),
            ("lrp-add", self.vpc, router_port, mac_of(gateways[0]), *map(str, gateways)),
            ("lsp-add", self.name, switch_port),
            ("lsp-set-type", switch_port, "router"),
            ("lsp-set-addresses", switch_port, "router"),
            ("lsp-set-options", switch_port, f"router-port={router_port}"),
        ]

    def port(self, pod: str, *, namespace: str) -> str:
        """`<pod>.<namespace>`, and the provider behind it unless that is `ovn`."""
        provider = "" if self.provider == DEFAULT_PROVIDER else f".{self.provider}"
        return f"{pod}.{namespace}{provider}"

    def port_commands(self, attachment: Attachment, *, namespace: str) -> Commands:
        """The commands that make a pod's logical switch port."""
        pod = attachment.port.partition(f".{namespace}")[0]
        ids = {"pod": f"{namespace}/{pod}", "ls": self.name, **_VENDOR}
        return [
            ("lsp-add", attachment.switch, attachment.port),
            ("lsp-set-addresses", attachment.port, " ".join([attachment.mac, *_bare(attachment)])),
            ("set", "Logical_Switch_Port", attachment.port, *external_ids(ids)),
        ]

    def annotations(self, attachment: Attachment) -> dict[str, str]:
        """A pod's annotations for this attachment, as Kube-OVN's controller writes them."""
        fields = {
            "allocated": "true",
            "cidr": ",".join(map(str, self.subnets)),
            "gateway": ",".join(str(gateway.ip) for gateway in self.gateways("")),
            "ip_address": ",".join(_bare(attachment)),
            "logical_switch": self.name,
            "mac_address": attachment.mac,
            "pod_nic_type": "veth-pair",
            "routed": "true",
        }
        if self.vpc:
            fields["logical_router"] = self.vpc
        else:
            fields |= {"provider_network": PHYSICAL_NETWORK, "vlan_id": "0"}
        return {f"{self.provider}.kubernetes.io/{field}": value for field, value in sorted(fields.items())}


def kube_ovn_annotations(attachments: Iterable[Attachment], subnets: Iterable[KubeOvnSubnet]) -> dict[str, str]:
    """All annotations of a pod that is attached to some of these Subnets."""
    by_key = {subnet.key: subnet for subnet in subnets}
    found: dict[str, str] = {}
    for attachment in attachments:
        found |= by_key[attachment.network].annotations(attachment)
    return found


def _bare(attachment: Attachment) -> list[str]:
    return [address.partition("/")[0] for address in attachment.addresses]
