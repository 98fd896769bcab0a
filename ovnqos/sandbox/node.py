"""A node: a namespace with its own switch daemon and ovn-controller, joined to the other nodes by an underlay."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import count
from typing import TYPE_CHECKING, Final, Self

from ovnqos.sandbox.host import NetworkNamespace
from ovnqos.sandbox.ovsdb import VswitchServer
from ovnqos.sandbox.process import Process
from ovnqos.sandbox.programs import Programs, SandboxError, last_lines, require_root

if TYPE_CHECKING:
    from pathlib import Path

    from ovnqos.sandbox.central import Central
    from ovnqos.sandbox.host import Host

PHYSICAL_NETWORK: Final = "physnet"
"""What localnet ports call the underlay, and ovn-bridge-mappings ties to `br-phy`."""


class Underlay:
    """The wire between the nodes: a Linux bridge in a namespace of its own; a context manager."""

    def __init__(self, folder: Path) -> None:
        self.namespace = NetworkNamespace("underlay", folder=folder)
        self._ports = count()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.namespace)
            self.namespace.ip("link add wire type bridge mcast_snooping 0", "link set wire up")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def plug(self, namespace: NetworkNamespace, interface: str) -> None:
        """Give a namespace an interface on this wire."""
        port = f"port{next(self._ports)}"
        self.namespace.ip(
            f"link add {port} type veth peer name {interface} netns {namespace.pid}",
            f"link set {port} master wire up",
        )


class SandboxNode:
    """One chassis of OVN; a context manager. It needs root.

    Its namespace holds `eth0` (to the underlay, in `br-phy`, which has the node's address) and `br-int`, both of the
    userspace datapath, so no kernel module of Open vSwitch is needed.

    Attributes:
        name: the node's, also its system-id and host name.
        address: on the underlay, with prefix length; geneve's end.
        namespace: its network namespace.
        vswitch: its switch database.
    """

    def __init__(self, name: str, *, address: str, central: Central, underlay: Underlay) -> None:
        self.name = name
        self.address = address
        self._central = central
        self._underlay = underlay
        self._folder = central.folder / name
        self._ports = count()
        self._programs: Programs = central.programs
        self.namespace = NetworkNamespace(name, folder=central.folder)
        self.vswitch = VswitchServer(name="db", folder=self._folder, programs=self._programs)
        self._daemons: dict[str, Process] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        require_root()
        self._programs.require("ovs-vswitchd", "ovs-vsctl", "ovn-controller", "ethtool", "ip")
        self._folder.mkdir()
        with ExitStack() as stack:
            stack.enter_context(self.namespace)
            self._underlay.plug(self.namespace, "eth0")
            self.namespace.ip("link set eth0 up")
            self.namespace.offloads_off(["eth0"])
            stack.enter_context(self.vswitch)
            self.vswitch.vsctl("--no-wait", "init")
            self._start(stack, "ovs-vswitchd", "--disable-system")
            self._configure_switch()
            self.namespace.ip(f"address add {self.address} dev br-phy", "link set br-phy up")
            self._start(stack, "ovn-controller")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def wait_for_chassis(self, *, timeout: float = 30) -> None:
        """Return when the Southbound knows this node."""
        try:
            self._central.sbctl("wait-until", "Chassis", self.name, f"hostname={self.name}", timeout=timeout)
        except SandboxError as error:
            said = last_lines(self.log_text("ovn-controller"))
            raise SandboxError(f"node {self.name} did not register within {timeout:g} s: {said}") from error

    def plug(self, host: Host, interface: str, *, port: str) -> None:
        """Give a host an interface on this node's integration bridge, as a logical switch port."""
        device = f"pod{next(self._ports)}"
        self.namespace.ip(
            f"link add {device} type veth peer name {interface} netns {host.namespace.pid}", f"link set {device} up"
        )
        self.namespace.offloads_off([device])
        self.vsctl(
            *("--", "add-port", "br-int", device),
            *("--", "set", "Interface", device, f"external_ids:iface-id={port}"),
        )

    def vsctl(self, *arguments: str) -> str:
        """Run `ovs-vsctl` on the node's switch and return its output."""
        return self.vswitch.vsctl(*arguments)

    def inherit_marks(self) -> None:
        """Have the outer header of geneve take over the mark of the packet inside; OVN's default is no mark."""
        self.vsctl("set", "Open_vSwitch", ".", "external_ids:ovn-encap-tos=inherit")

    def log_text(self, daemon: str) -> str:
        """What `ovs-vswitchd` or `ovn-controller` has logged."""
        return self._daemons[daemon].log_text()

    def _start(self, stack: ExitStack, name: str, *options: str) -> None:
        command = self._programs.command(name, *options, "-vconsole:info", "-vsyslog:off", self.vswitch.remote)
        log = self._folder / f"{name}.log"
        daemon = Process(
            self.namespace.command(command),
            name=f"{name} of {self.name}",
            log=log,
            run_folder=self._folder,
            urgent=name == "ovs-vswitchd",
        )
        self._daemons[name] = daemon
        stack.callback(daemon.kill)
        daemon.start(lambda: self._control(name).exists())

    def _control(self, name: str) -> Path:
        # ovn-controller knows no --unixctl; every process on the way to the daemon is replaced by the next (exec)
        return self._folder / f"{name}.{self._daemons[name].pid}.ctl"

    def _configure_switch(self) -> None:
        settings = {
            "system-id": self.name,
            "hostname": self.name,
            "ovn-remote": self._central.southbound.remote,
            "ovn-encap-type": "geneve",
            "ovn-encap-ip": self.address.partition("/")[0],
            "ovn-bridge-datapath-type": "netdev",
            "ovn-bridge-mappings": f"{PHYSICAL_NETWORK}:br-phy",
            "ovn-monitor-all": "true",
        }
        quoted = (f'external_ids:{key}="{value}"' for key, value in settings.items())
        self.vsctl(
            *("--", "add-br", "br-phy", "--", "set", "Bridge", "br-phy", "datapath_type=netdev"),
            *("--", "add-port", "br-phy", "eth0"),
            *("--", "add-br", "br-int", "--", "set", "Bridge", "br-int", "datapath_type=netdev", "fail_mode=secure"),
            *("--", "set", "Open_vSwitch", ".", *quoted),
        )
