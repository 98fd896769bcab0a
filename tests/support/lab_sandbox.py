"""The sandbox of the lab: with a host outside of the cluster, and pods and Services that go again."""

from __future__ import annotations

from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Final

import netaddr

from ovnqos.sandbox import Host, Layer3Network, Programs, Sandbox
from ovnqos.sandbox.cluster import UNDERLAY
from ovnqos.sandbox.host import NetworkNamespace
from ovnqos.sandbox.network import mac_of, scope
from ovnqos.sandbox.node import PHYSICAL_NETWORK
from ovnqos.sandbox.programs import run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ovnqos.sandbox import SandboxNode, SandboxPod
    from ovnqos.sandbox.network import Commands, SandboxNetwork

_UNDERLAY: Final = (UNDERLAY, netaddr.IPNetwork("fd30::/64"))
_OUTSIDE, _FIRST_GATEWAY = 1, 101
_JOIN: Final = (netaddr.IPNetwork("100.64.0.0/16"), netaddr.IPNetwork("fd98::/64"))


class LabSandbox(Sandbox):
    """A sandbox whose primary networks reach a host on the nodes' own network, through the node's gateway router."""

    @cached_property
    def outside(self) -> Host:
        """The host outside."""
        namespace = self._stack.enter_context(NetworkNamespace("outside", folder=self.folder))
        self._underlay.plug(namespace, "eth0")
        own = [_at(subnet, _OUTSIDE) for subnet in _UNDERLAY]
        host = Host("outside", namespace=namespace, folder=self.folder, node=None)
        host.configure("eth0", mac=mac_of(own[0]), addresses=[str(address) for address in own], mtu=1500)
        return host

    @cached_property
    def _gateway_numbers(self) -> count[int]:
        return count(_FIRST_GATEWAY)

    def add_network(self, network: SandboxNetwork) -> None:
        """Build a logical network on all nodes; a primary one reaches the outside."""
        super().add_network(network)
        if network.role == "primary":
            self._join_outside(network)

    def remove_service(self, name: str) -> None:
        """Take a service's load balancers away."""
        self._northbound([("lb-del", f"{name}_{protocol}") for protocol in ("tcp", "udp")])
        self.central.sync()

    def remove_pod(self, pod: SandboxPod) -> None:
        """Take a pod away: its ports, its interfaces, its namespace."""
        if pod.node is not None:
            vsctl = self.nodes[pod.node].vsctl
            for attachment in pod.attachments:
                condition = f"external_ids:iface-id={attachment.port}"
                vsctl("del-port", "br-int", vsctl("--bare", "--columns=name", "find", "Interface", condition).strip())
        self._northbound([("lsp-del", attachment.port) for attachment in pod.attachments])
        pod.namespace.close()
        self.central.sync()

    def _join_outside(self, network: SandboxNetwork) -> None:
        numbers = {node: next(self._gateway_numbers) for node in self._node_names}
        gateways = {node: [_at(subnet, number) for subnet in _UNDERLAY] for node, number in numbers.items()}
        outside = [str(_at(subnet, _OUTSIDE).ip) for subnet in _UNDERLAY]
        self._northbound(_external_gateways(network, gateways, outside=outside))
        back: dict[str, str] = {}  # a subnet that several nodes have is reached by the first of them
        for node, addresses in gateways.items():
            for subnet in network.node_subnets(node):
                for gateway in addresses:
                    if gateway.version == subnet.version:
                        back.setdefault(str(subnet), str(gateway.ip))
        self.outside.add_routes(back.items())


def ofctl(node: SandboxNode, command: str, *arguments: str) -> str:
    """Run `ovs-ofctl` on a node's `br-int`, e.g. `dump-flows`, and return its output."""
    bridge = f"unix:{node.vswitch.folder / 'br-int.mgmt'}"
    return run(node.vswitch.programs.command("ovs-ofctl", "-O", "OpenFlow15", command, bridge, *arguments))


def reaches(host: Host, address: str, *, timeout: float = 5) -> bool:
    """Whether the address answers a host's ping within `timeout` seconds."""
    # with -w, -c counts answers: it goes on sending until one has come
    options = ("-n", "-q", "-c", "1", "-i", "0.2", "-w", str(max(1, round(timeout))))
    said = run(
        host.namespace.command(Programs().command("ping", *options, address)), timeout=timeout + 5, accept=(0, 1)
    )
    return " 0 received" not in said


def _at(subnet: netaddr.IPNetwork, number: int) -> netaddr.IPNetwork:
    return netaddr.IPNetwork(f"{subnet.network + number}/{subnet.prefixlen}")


def _external_gateways(
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
