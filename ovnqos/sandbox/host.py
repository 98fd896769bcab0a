"""A host that sends and receives: a pod, or a machine outside the cluster."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import netaddr

from ovnqos.sandbox.process import Process
from ovnqos.sandbox.programs import Programs, SandboxError, require_root, run

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SETTINGS: Final = {
    "ipv6/conf/default/disable_ipv6": "0",
    "ipv6/conf/all/disable_ipv6": "0",
    "ipv6/conf/default/accept_dad": "0",  # an address is usable at once
    "ipv6/conf/default/router_solicitations": "0",
    # localnet networks share a wire: an interface does not answer for another's address
    "ipv4/conf/all/arp_ignore": "1",
    "ipv4/conf/all/arp_announce": "2",
}


class NetworkNamespace:
    """A network namespace; a context manager. It needs root.

    It has no entry under /run/netns, so nothing clashes and nothing stays, even if this process is killed. To look
    inside: `nsenter --net=/proc/<pid>/ns/net`.

    Attributes:
        name: as it stands in error messages.
    """

    def __init__(self, name: str, *, folder: Path) -> None:
        """Describe it; entering it makes it.

        Args:
            name: a file name's worth of text, unique in `folder`.
            folder: takes the holder's log.
        """
        self.name = name
        self._programs = Programs()
        command = self._programs.command("unshare", "--net", "--", "sleep", "infinity")
        self._holder = Process(command, name=f"namespace {name}", log=folder / f"{name}.namespace.log")

    def __enter__(self) -> Self:
        require_root()
        self._programs.require("nsenter", "ip")
        own = Path("/proc/self/ns/net").readlink()
        self._holder.start(lambda: self._made(own))
        settings = "; ".join(f"echo {value} > /proc/sys/net/{key}" for key, value in _SETTINGS.items())
        run(self.command(["sh", "-c", settings]))
        self.ip("link set lo up")
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the namespace; it ends with the last process in it."""
        self._holder.kill()

    @property
    def pid(self) -> int:
        """The process that holds the namespace, as `ip link … netns <pid>` takes it."""
        return self._holder.pid

    def command(self, command: Sequence[str]) -> list[str]:
        """The argument vector that runs a command inside."""
        return [*self._programs.command("nsenter", f"--net=/proc/{self.pid}/ns/net", "--"), *command]

    def ip(self, *lines: str) -> None:
        """Run lines of `ip -batch` inside, e.g. `link set eth0 up`."""
        run(self.command(self._programs.command("ip", "-batch", "-")), text="\n".join(lines) + "\n")

    def offloads_off(self, interfaces: Iterable[str]) -> None:
        """Turn segmentation and checksum offloads off.

        A userspace datapath gets packets without checksums otherwise: TCP and UDP fail while ping works (measured on
        OVS 3.1).
        """
        for interface in interfaces:
            features = (word for name in ("tx", "tso", "gso", "gro") for word in (name, "off"))
            run(self.command(self._programs.command("ethtool", "-K", interface, *features)))

    def _made(self, own: Path) -> bool:
        # setpriv and unshare have been replaced by sleep, in a namespace that isn't ours
        holder = Path(f"/proc/{self.pid}")
        return (holder / "comm").read_text() == "sleep\n" and (holder / "ns/net").readlink() != own


class Host:
    """A network namespace with addresses.

    Attributes:
        name: `<namespace>/<pod>`, or `outside`.
        namespace: its network namespace.
        folder: takes the files of programs that run on it.
        node: the node that it runs on; None outside the cluster.
    """

    def __init__(self, name: str, *, namespace: NetworkNamespace, folder: Path, node: str | None) -> None:
        self.name = name
        self.namespace = namespace
        self.folder = folder
        self.node = node
        self._interface_of: dict[netaddr.IPAddress, str] = {}

    @property
    def addresses(self) -> tuple[str, ...]:
        """All its addresses, in the order in which they were given."""
        return tuple(str(address) for address in self._interface_of)

    def address(self, *, version: int, interface: str | None = None) -> str:
        """Its first address of one IP version.

        Args:
            version: 4 or 6.
            interface: only of this interface, e.g. `net1`.
        """
        for address, carrier in self._interface_of.items():
            if address.version == version and interface in (None, carrier):
                return str(address)
        raise SandboxError(f"{self.name} has no IPv{version} address" + (f" on {interface}" if interface else ""))

    def receives_on(self, address: str) -> str:
        """The interface where packets for one of its addresses come in."""
        try:
            return self._interface_of[netaddr.IPAddress(address)]
        except KeyError:
            raise SandboxError(f"{address} is not an address of {self.name}") from None

    def add_address(self, address: str, *, interface: str = "eth0") -> None:
        """Give it one more address, reached through one of its interfaces.

        Args:
            address: with prefix length, e.g. `203.0.113.7/32`.
            interface: where its packets come in.
        """
        self.namespace.ip(f"address add {address} dev {interface} nodad")
        self._interface_of[netaddr.IPNetwork(address).ip] = interface

    def add_routes(self, routes: Iterable[tuple[str, str]]) -> None:
        """Give it routes: pairs of destination and next hop."""
        self.namespace.ip(*(f"route replace {destination} via {hop}" for destination, hop in routes))

    def configure(
        self,
        interface: str,
        *,
        mac: str,
        addresses: Iterable[str],
        routes: Iterable[tuple[str, str]] = (),
        mtu: int = 1400,
    ) -> None:
        """Set an interface up: offloads off, address, routes.

        Args:
            interface: its name in the namespace.
            mac: its MAC address.
            addresses: with prefix lengths.
            routes: pairs of destination and next hop.
            mtu: bytes; 1400 leaves room for geneve within 1500.
        """
        self.namespace.offloads_off([interface])
        self.namespace.ip(f"link set {interface} address {mac} mtu {mtu} up")
        for address in addresses:
            self.add_address(address, interface=interface)
        self.add_routes(routes)
