"""The way out of a layer3 network, as ovn-kubernetes builds it: each node's gateway router, out by its own bridge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import netaddr

from ovnqos.sandbox.network import Commands, mac_of
from ovnqos.sandbox.node import PHYSICAL_NETWORK

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ovnqos.sandbox.layer3 import Layer3Network

_JOIN = (netaddr.IPNetwork("100.64.0.0/16"), netaddr.IPNetwork("fd98::/64"))


def external_gateways(
    network: Layer3Network, nodes: Mapping[str, Sequence[netaddr.IPNetwork]], *, outside: Sequence[str]
) -> Commands:
    """The commands that let a network's pods out.

    Pod traffic leaves at its own node through `GR_<node>` and a localnet port, with its own source address: there is no
    NAT, so that a receiver sees which pod sent.

    Args:
        network: has been created on these nodes.
        nodes: the nodes, and the addresses of their gateway routers outside, with prefix lengths.
        outside: the next hops for everything else, one a family.

    Returns:
        `ovn-nbctl` commands.
    """
    versions = [subnet.version for subnet in network.subnets]
    join = [subnet for version in versions for subnet in _JOIN if subnet.version == version]
    commands: Commands = [("ls-add", "join"), *_join_port(network.router, [_at(subnet, 1) for subnet in join])]
    for number, (node, addresses) in enumerate(nodes.items(), start=2):
        router, external = f"GR_{node}", f"ext_{node}"
        inside = [_at(subnet, number) for subnet in join]
        there = [address for address in addresses if address.version in versions]
        commands += [
            ("lr-add", router),
            ("set", "Logical_Router", router, f'options:chassis="{node}"'),
            *_join_port(router, inside),
            ("ls-add", external),
            *_router_port(router, f"rtoe-{router}", external, f"etor-{router}", there),
            ("lsp-add", external, f"br-phy_{node}"),
            ("lsp-set-type", f"br-phy_{node}", "localnet"),
            ("lsp-set-addresses", f"br-phy_{node}", "unknown"),
            ("lsp-set-options", f"br-phy_{node}", f"network_name={PHYSICAL_NETWORK}"),
        ]
        for subnet, to_cluster in zip(network.subnets, join, strict=True):
            commands.append(("lr-route-add", router, str(subnet), str(_at(to_cluster, 1).ip)))
        for hop in outside:
            if netaddr.IPAddress(hop).version in versions:
                everything = "::/0" if ":" in hop else "0.0.0.0/0"
                commands.append(("lr-route-add", router, everything, hop))
        for subnet, own in zip(network.node_subnets(node), inside, strict=True):
            commands.append(("--policy=src-ip", "lr-route-add", network.router, str(subnet), str(own.ip)))
    return commands


def _join_port(router: str, addresses: Sequence[netaddr.IPNetwork]) -> Commands:
    return _router_port(router, f"rtoj-{router}", "join", f"jtor-{router}", addresses)


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
