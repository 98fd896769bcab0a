"""A host that sends and receives: a pod, or a machine outside the cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import netaddr

from ovnqos.sandbox.programs import Programs, SandboxError, run

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ovnqos.sandbox.namespace import Namespace


class Host:
    """A network namespace with addresses.

    Attributes:
        name: `<namespace>/<pod>`, or `outside`.
        namespace: its network namespace.
        folder: takes the files of programs that run on it.
        node: the node that it runs on; None outside the cluster.
    """

    def __init__(self, name: str, *, namespace: Namespace, folder: Path, node: str | None) -> None:
        """Wraps a namespace that has been entered."""
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

        Raises:
            SandboxError: it has none.
        """
        for address, carrier in self._interface_of.items():
            if address.version == version and interface in (None, carrier):
                return str(address)
        raise SandboxError(f"{self.name} has no IPv{version} address" + (f" on {interface}" if interface else ""))

    def receives_on(self, address: str) -> str:
        """The interface where packets for one of its addresses come in.

        Raises:
            SandboxError: the address is not its own.
        """
        try:
            return self._interface_of[netaddr.IPAddress(address)]
        except KeyError:
            raise SandboxError(f"{address} is not an address of {self.name}") from None

    def add_address(self, address: str, *, interface: str = "eth0") -> None:
        """Gives it one more address, reached through one of its interfaces.

        Args:
            address: with prefix length, e.g. `203.0.113.7/32`.
            interface: where its packets come in.
        """
        self.namespace.ip(f"address add {address} dev {interface} nodad")
        self._interface_of[netaddr.IPNetwork(address).ip] = interface

    def add_routes(self, routes: Iterable[tuple[str, str]]) -> None:
        """Gives it routes: pairs of destination and next hop."""
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
        """Sets an interface up: offloads off, address, routes.

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

    def reaches(self, address: str, *, timeout: float = 5) -> bool:
        """Whether the address answers a ping within `timeout` seconds."""
        # with -w, -c counts answers: it goes on sending until one has come
        options = ("-n", "-q", "-c", "1", "-i", "0.2", "-w", str(max(1, round(timeout))))
        ping = Programs().command("ping", *options, address)
        said = run(self.namespace.command(ping), timeout=timeout + 5, accept=(0, 1))
        return " 0 received" not in said
