"""A whole small cluster on one machine: OVN's central part, nodes, networks, pods, and a host outside."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Self

import netaddr

from ovnqos.sandbox.central import Central
from ovnqos.sandbox.host import Host, NetworkNamespace
from ovnqos.sandbox.network import DEFAULT
from ovnqos.sandbox.node import SandboxNode, Underlay
from ovnqos.sandbox.ovn_kubernetes import Layer3Network
from ovnqos.sandbox.programs import Programs, SandboxError, require_root

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ovnqos.sandbox.network import Attachment, Commands, SandboxNetwork

REQUIRED_PROGRAMS: Final = (
    *("ovsdb-server", "ovsdb-tool", "ovn-northd", "ovn-nbctl", "ovn-sbctl", "ovn-trace"),
    *("ovs-vswitchd", "ovs-vsctl", "ovs-ofctl", "ovs-appctl", "ovn-controller"),
    *("ip", "ss", "ethtool", "ping", "iperf3", "tcpdump", "nsenter", "setpriv", "unshare"),
)
"""All programs that a sandbox with nodes, and the measurements on it, run."""

UNDERLAY: Final = netaddr.IPNetwork("172.30.0.0/24")
"""The nodes' own network."""
_FIRST_NODE: Final = 11


class SandboxPod(Host):
    """A pod: a network namespace with one interface for each of its networks, `eth0`, `net1`, `net2`.

    Attributes:
        attachments: its networks, in the order of its interfaces.
    """

    attachments: tuple[Attachment, ...] = ()

    @property
    def annotation(self) -> str:
        """The value of the annotation `k8s.ovn.org/pod-networks` that matches how it is wired (JSON)."""
        primary = [attachment.network for attachment in self.attachments if attachment.role == "primary"]
        locked = [DEFAULT] if len(primary) > 1 else []
        return json.dumps(
            {
                one.network: (replace(one, role="infrastructure-locked") if one.network in locked else one).annotation()
                for one in self.attachments
            }
        )

    def attachment(self, network: str) -> Attachment:
        """Its attachment to a network.

        Args:
            network: `default`, or `<NAD namespace>/<NAD name>`.
        """
        for attachment in self.attachments:
            if attachment.network == network:
                return attachment
        raise SandboxError(f"{self.name} is not on network {network}")

    def address_on(self, network: str, *, version: int = 4) -> str:
        """Its address on a network, without prefix length."""
        return self.address(version=version, interface=self.interface_on(network))

    def interface_on(self, network: str) -> str:
        """Its interface on a network, e.g. `net1`."""
        return _interface(self.attachments.index(self.attachment(network)))


class Sandbox:
    """OVN for one machine: nodes with their own switches, networks, pods; a context manager. It needs root.

    All of it lives in namespaces without a name and in one temporary folder; several may run at once. If this process
    is killed, its programs and namespaces go too; only the folder stays.

    Attributes:
        central: Northbound, Southbound and northd.
        nodes: by name.
        networks: by their key in the annotation `k8s.ovn.org/pod-networks`.
    """

    def __init__(
        self,
        nodes: Sequence[str] = ("ovn-worker", "ovn-worker2"),
        *,
        networks: Sequence[SandboxNetwork] | None = None,
        programs: Programs | None = None,
    ) -> None:
        """Describe it; entering it starts it, in a few seconds.

        Args:
            nodes: their names.
            networks: those that are there from the start; None is ovn-kubernetes' default network, dual-stack
                10.244.0.0/16 and fd10:244::/48.
            programs: which programs to run.
        """
        if len(set(nodes)) != len(nodes):
            raise SandboxError("two nodes of a sandbox have the same name")
        self._node_names = tuple(nodes)
        self._first_networks = (Layer3Network(),) if networks is None else tuple(networks)
        self._programs = programs or Programs()
        self._stack = ExitStack()
        self.central = Central(programs=self._programs)
        self.nodes: dict[str, SandboxNode] = {}
        self.networks: dict[str, SandboxNetwork] = {}

    def __enter__(self) -> Self:
        require_root()
        self._programs.require(*REQUIRED_PROGRAMS)
        try:
            self._start(self._stack)
        except BaseException:
            self.close()
            raise
        return self

    def _start(self, stack: ExitStack) -> None:
        stack.callback(self.central.close)  # an interrupt may come when it runs, and before the stack knows
        stack.enter_context(self.central)
        self._underlay = stack.enter_context(Underlay(self.folder))
        for number, name in enumerate(self._node_names):
            address = f"{UNDERLAY.network + _FIRST_NODE + number}/{UNDERLAY.prefixlen}"
            node = SandboxNode(name, address=address, central=self.central, underlay=self._underlay)
            self.nodes[name] = stack.enter_context(node)
        for network in self._first_networks:
            self.add_network(network)
        for node in self.nodes.values():
            node.wait_for_chassis()
        self.central.sync()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def folder(self) -> Path:
        """The temporary folder."""
        return self.central.folder

    def close(self) -> None:
        """End all programs and remove all namespaces and files."""
        self._stack.close()

    def add_network(self, network: SandboxNetwork) -> None:
        """Build a logical network on all nodes."""
        self._northbound(network.create(self._node_names))
        self.networks[network.key] = network

    def add_service(self, name: str, *, address: str, port: int, backends: Sequence[str]) -> None:
        """Balance TCP and UDP to one address and port over backends, on the default network's node switches.

        Args:
            name: of the load balancers.
            address: the virtual one.
            port: of it and of the backends.
            backends: addresses of pods on the default network.
        """
        bracketed = [f"[{one}]:{port}" if ":" in one else f"{one}:{port}" for one in (address, *backends)]
        commands: Commands = []
        for protocol in ("tcp", "udp"):
            balancer = f"{name}_{protocol}"
            commands.append(("lb-add", balancer, bracketed[0], ",".join(bracketed[1:]), protocol))
            commands += [("ls-lb-add", self.networks[DEFAULT].switch(node), balancer) for node in self._node_names]
        self._northbound(commands)
        self.central.sync()

    def add_pod(
        self, name: str, *, node: str, namespace: str = "default", networks: Sequence[str] = ("default",)
    ) -> SandboxPod:
        """Makes a pod and wires it; return when OVN has set its ports up on every node.

        Args:
            name: the pod's name.
            node: the node that it runs on.
            namespace: its Kubernetes namespace.
            networks: the keys of its networks, in the order of its interfaces.
        """
        unknown = [key for key in networks if key not in self.networks]
        if unknown or node not in self.nodes:
            raise SandboxError(f"the sandbox has no {'node ' + node if not unknown else 'network ' + unknown[0]}")
        chosen = [self.networks[key] for key in networks]
        holder = self._stack.enter_context(NetworkNamespace(f"{namespace}_{name}", folder=self.folder))
        pod = SandboxPod(f"{namespace}/{name}", namespace=holder, folder=self.folder, node=node)
        pod.attachments = tuple(network.attach(name, namespace=namespace, node=node) for network in chosen)
        commands: Commands = []
        for network, attachment in zip(chosen, pod.attachments, strict=True):
            commands += network.port_commands(attachment, namespace=namespace)
        self._northbound(commands)
        for index, attachment in enumerate(pod.attachments):
            interface = _interface(index)
            self.nodes[node].plug(pod, interface, port=attachment.port)
            routes = [*attachment.routes, *attachment.default_routes]
            pod.configure(interface, mac=attachment.mac, addresses=attachment.addresses, routes=routes)
        for attachment in pod.attachments:
            self.central.nbctl("wait-until", "Logical_Switch_Port", attachment.port, "up=true")
        self.central.sync()
        return pod

    def _northbound(self, commands: Commands) -> None:
        arguments = [word for command in commands for word in ("--", *command)]
        self.central.nbctl(*arguments[1:])


def _interface(index: int) -> str:
    return "eth0" if index == 0 else f"net{index}"
