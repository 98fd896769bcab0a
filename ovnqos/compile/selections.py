"""Selections of pods, and what each contributes: source ports by network attachment, or destination addresses."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ovnqos.model.labels import EVERYTHING, LabelSelector

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovnqos.compile.inventory import Inventory, PodRecord
    from ovnqos.model.policy import NetworkQoS, PodPeer


class PodSelection(NamedTuple):
    """Which pods: those matching `pods`, in one namespace (a name) or in the namespaces that a selector matches."""

    namespaces: str | LabelSelector
    pods: LabelSelector

    @classmethod
    def of_sources(cls, policy: NetworkQoS) -> PodSelection:
        """The pods whose traffic a policy takes."""
        return cls(policy.namespace, policy.pod_selector)

    @classmethod
    def of_peer(cls, peer: PodPeer, own_namespace: str) -> PodSelection | None:
        """The pods that a destination means; None when it selects nothing because neither selector is given."""
        if peer.namespace_selector is not None:
            return cls(peer.namespace_selector, peer.pod_selector or EVERYTHING)
        return None if peer.pod_selector is None else cls(own_namespace, peer.pod_selector)

    def __str__(self) -> str:
        """In words, unmistakable: part of the identity of what is made of it."""
        where = f"namespaces {self.namespaces}" if isinstance(self.namespaces, LabelSelector) else self.namespaces
        return f"pods {self.pods} in {where}"


class SourceMembers:
    """The interfaces of selected pods of this zone: by attachment their ports, each with its location.

    Attributes:
        ports: by attachment and port, the location (see `PodInterface`).
        locations: by attachment, how many ports each location has.
    """

    __slots__ = ("_further_holders", "locations", "ports")

    def __init__(self) -> None:
        self.ports: dict[str, dict[str, str]] = {}
        self.locations: dict[str, Counter[str]] = {}
        self._further_holders: Counter[tuple[str, str]] = Counter()  # of a port, while a virtual machine migrates

    def add(self, record: PodRecord) -> None:
        """Take in a pod's interfaces."""
        for interface in record.interfaces:
            ports = self.ports.setdefault(interface.attachment, {})
            if interface.port in ports:
                self._further_holders[interface.attachment, interface.port] += 1
            ports[interface.port] = interface.location
            self.locations.setdefault(interface.attachment, Counter())[interface.location] += 1

    def discard(self, record: PodRecord) -> None:
        """Take out the interfaces of a pod that was added."""
        for interface in record.interfaces:
            ports, locations = self.ports[interface.attachment], self.locations[interface.attachment]
            holders = self._further_holders.pop((interface.attachment, interface.port), 0)
            if holders > 1:
                self._further_holders[interface.attachment, interface.port] = holders - 1
            elif not holders:
                ports.pop(interface.port, None)
            locations[interface.location] -= 1
            if not locations[interface.location]:
                del locations[interface.location]
            if not ports:
                del self.ports[interface.attachment], self.locations[interface.attachment]

    def attachments(self) -> Iterable[str]:
        """The attachments that it has ports of."""
        return self.locations.keys()

    def shape(self, attachment: str) -> frozenset[str] | None:
        """The locations that have ports of an attachment: with them, rows and their bindings come and go."""
        return frozenset(self.locations[attachment]) if attachment in self.locations else None

    def ports_of(self, attachments: Iterable[str]) -> frozenset[str]:
        """The ports that came by any of these attachments."""
        return frozenset().union(*(self.ports.get(attachment, ()) for attachment in attachments))


class PeerMembers:
    """The addresses of selected pods, cluster-wide: by attachment and IP version, each with how many pods have it."""

    __slots__ = ("addresses",)

    def __init__(self) -> None:
        self.addresses: dict[str, dict[int, Counter[str]]] = {}

    def add(self, record: PodRecord) -> None:
        """Take in a pod's addresses."""
        for interface in record.interfaces:
            for address in interface.addresses:
                versions = self.addresses.get(interface.attachment)
                if versions is None:
                    versions = self.addresses[interface.attachment] = {4: Counter(), 6: Counter()}
                versions[6 if ":" in address else 4][address] += 1

    def discard(self, record: PodRecord) -> None:
        """Take out the addresses of a pod that was added."""
        for interface in record.interfaces:
            versions = self.addresses.get(interface.attachment)
            if versions is None:
                continue  # a pod without addresses, on a network without IPAM
            for address in interface.addresses:
                counts = versions[6 if ":" in address else 4]
                counts[address] -= 1
                if not counts[address]:
                    del counts[address]
            if not versions[4] and not versions[6]:
                del self.addresses[interface.attachment]

    def attachments(self) -> Iterable[str]:
        """The attachments that it has addresses of."""
        return self.addresses.keys()

    def shape(self, attachment: str) -> frozenset[str] | None:
        """Empty: no row depends on which addresses there are."""
        return frozenset() if attachment in self.addresses else None

    def addresses_of(self, attachments: Iterable[str], version: int) -> frozenset[str]:
        """The addresses of one IP version on any of these attachments."""
        return frozenset().union(*(self.addresses[one][version] for one in attachments if one in self.addresses))


class Selections(Protocol):
    """Where a compiler asks for the members of selections."""

    def sources(self, selection: PodSelection) -> SourceMembers:
        """The interfaces of the selected pods of this zone."""

    def peers(self, selection: PodSelection) -> PeerMembers:
        """The addresses of the selected pods of the cluster."""


class QueriedSelections:
    """Finds members by asking the inventory, each selection once. Valid while the inventory stays as it is."""

    def __init__(self, inventory: Inventory) -> None:
        """Nothing is asked yet."""
        self._inventory = inventory
        self._sources: dict[PodSelection, SourceMembers] = {}
        self._peers: dict[PodSelection, PeerMembers] = {}

    def sources(self, selection: PodSelection) -> SourceMembers:
        """The interfaces of the selected pods of this zone."""
        found = self._sources.get(selection)
        if found is None:
            found = self._sources[selection] = find_source_members(self._inventory, selection)
        return found

    def peers(self, selection: PodSelection) -> PeerMembers:
        """The addresses of the selected pods of the cluster."""
        found = self._peers.get(selection)
        if found is None:
            found = self._peers[selection] = find_peer_members(self._inventory, selection)
        return found


def find_source_members(inventory: Inventory, selection: PodSelection) -> SourceMembers:
    """Ask the inventory for the source interfaces of a selection."""
    members = SourceMembers()
    for record in inventory.selected(selection.pods, selection.namespaces):
        if inventory.topology.in_zone(record.pod.node):
            members.add(record)
    return members


def find_peer_members(inventory: Inventory, selection: PodSelection) -> PeerMembers:
    """Ask the inventory for the addresses of a selection."""
    gathered: dict[str, list[str]] = defaultdict(list)
    for record in inventory.selected(selection.pods, selection.namespaces):
        for interface in record.interfaces:
            gathered[interface.attachment] += interface.addresses
    members = PeerMembers()
    for attachment, addresses in gathered.items():
        later = [address for address in addresses if ":" in address]
        earlier = addresses if not later else [address for address in addresses if ":" not in address]
        if addresses:
            members.addresses[attachment] = {4: Counter(earlier), 6: Counter(later)}
    return members
