"""From the words of the command line to a packet: whose it is, where it enters, where it goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click
from netaddr import IPAddress

from ovnqos.match.packet import TRANSPORTS, Packet, Protocol
from ovnqos.model.labels import LabelSelector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovnqos.compile.inventory import Inventory, PodRecord
    from ovnqos.compile.topology import Network, PodInterface

_EVERYTHING = LabelSelector()


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked.

    Attributes:
        pod: `<namespace>/<name>` of the sender.
        network: on which it sends.
        switch: name of the logical switch that the packet enters.
        packet: the packet, as far as the files tell; `outport` is known where the receiver is on the same switch.
    """

    pod: str
    network: str
    switch: str
    packet: Packet

    def __str__(self) -> str:
        packet = self.packet
        protocol = "" if packet.protocol is None else f", {packet.protocol}"
        port = "" if packet.destination_port is None else f" port {packet.destination_port}"
        where = f"port {packet.inport} of switch {self.switch}, network {self.network}"
        return f"{self.pod} ({where}): {packet.source} to {packet.destination}{protocol}{port}"


def ask(  # noqa: PLR0913 - one parameter an option
    inventory: Inventory,
    *,
    pod: str,
    destination: IPAddress,
    network: str | None = None,
    source: IPAddress | None = None,
    protocol: Protocol | None = None,
    port: int | None = None,
) -> Question:
    """Find the packet that is meant.

    Raises:
        click.UsageError: there is no such pod, or it is not on that network, or has no such address, or the words do
            not go together.
    """
    if port is not None and protocol not in TRANSPORTS:
        raise click.UsageError(
            "--port needs --protocol tcp, udp or sctp" if protocol is None else f"--port: {protocol} has no ports"
        )
    record = _find_pod(inventory, pod)
    chosen, interface = _find_interface(inventory, record, network, source)
    source = _find_source(interface, chosen, destination, source)
    switch = inventory.topology.switch(chosen, interface.location)
    neighbours = {one.port: one for one in _on_switch(inventory, chosen, switch)}
    receiver = next((one.port for one in neighbours.values() if str(destination) in one.addresses), None)
    packet = Packet(
        inport=interface.port,
        source=source,
        destination=destination,
        protocol=protocol,
        destination_port=port,
        outport=receiver,
        # a pod without addresses of its own could be the receiver
        not_outports=frozenset(name for name, one in neighbours.items() if one.addresses)
        if receiver is None
        else frozenset(),
        switch_ports=frozenset(neighbours),
    )
    return Question(pod=record.pod.key, network=chosen.name, switch=switch, packet=packet)


def _find_pod(inventory: Inventory, key: str) -> PodRecord:
    namespace, slash, name = key.partition("/")
    if not (namespace and slash and name) or "/" in name:
        raise click.UsageError(f"--pod: {key!r} is not <namespace>/<name>")
    record = inventory.record(namespace, name)
    if record is None:
        raise click.UsageError(
            f"--pod: no pod {key} with interfaces of its own in the files; "
            "finished pods and those of the host's network have none"
        )
    if not inventory.topology.in_zone(record.pod.node):
        raise click.UsageError(f"--pod: {key} is on node {record.pod.node or '(none)'}, which is not of this zone")
    return record


def _find_interface(
    inventory: Inventory, record: PodRecord, name: str | None, source: IPAddress | None
) -> tuple[Network, PodInterface]:
    found = [
        (network, interface)
        for interface in record.interfaces
        if (network := inventory.network_of(interface.attachment)) is not None
    ]
    named = [pair for pair in found if name is None or name in {pair[0].name, pair[1].attachment}]
    if not named:
        known = ", ".join(sorted({network.name for network, _ in found})) or "none that is OVN's"
        on = "any network" if name is None else f"network {name}"
        raise click.UsageError(f"--network: pod {record.pod.key} is not on {on}; its networks: {known}")
    if source is not None:
        named = [pair for pair in named if str(source) in pair[1].addresses] or named
    if name is None:
        named = [pair for pair in named if inventory.topology.is_default(pair[1].attachment)] or named
    if len(named) > 1:
        choices = ", ".join(f"{network.name} ({', '.join(one.addresses) or one.port})" for network, one in named)
        raise click.UsageError(f"pod {record.pod.key} has several interfaces, say --network or --from: {choices}")
    return named[0]


def _find_source(
    interface: PodInterface, network: Network, destination: IPAddress, source: IPAddress | None
) -> IPAddress:
    version = destination.version
    if source is not None:
        if source.version != version:
            raise click.UsageError(f"--from {source} and --to {destination} are not of one IP version")
        if interface.addresses and str(source) not in interface.addresses:
            raise click.UsageError(
                f"--from: {source} is not an address of the pod on network {network.name}; "
                f"it has {', '.join(interface.addresses)}"
            )
        return source
    own = [address for text in interface.addresses if (address := IPAddress(text)).version == version]
    if not own:
        raise click.UsageError(
            f"--to: {destination} is IPv{version}, and the pod has no IPv{version} address on network {network.name}"
            + ("" if interface.addresses else "; say --from")
        )
    if len(own) > 1:
        raise click.UsageError(f"the pod has several IPv{version} addresses, say --from: {', '.join(map(str, own))}")
    return own[0]


def _on_switch(inventory: Inventory, network: Network, switch: str) -> Iterator[PodInterface]:
    """The interfaces of pods that are on a switch."""
    for record in inventory.pods(_EVERYTHING, _EVERYTHING):
        for interface in record.interfaces:
            found = inventory.network_of(interface.attachment)
            if found is None or found.key != network.key:
                continue
            if inventory.topology.switch(found, interface.location) == switch:
                yield interface
