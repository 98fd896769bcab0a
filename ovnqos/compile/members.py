"""What selectors stand for: the source ports, or the destination addresses, of the pods that they select."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple

from ovnqos.model.labels import EVERYTHING, LabelSelector

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ovnqos.compile.inventory import PodRecord
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
        """In unambiguous words: part of the identity of what is made of it."""
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
        """Add a pod's interfaces."""
        for interface in record.interfaces:
            ports = self.ports.setdefault(interface.attachment, {})
            if interface.port in ports:
                self._further_holders[interface.attachment, interface.port] += 1
            ports[interface.port] = interface.location
            self.locations.setdefault(interface.attachment, Counter())[interface.location] += 1

    def extend(self, records: Iterable[PodRecord]) -> None:
        """Add many pods to none."""
        for record in records:
            self.add(record)

    def discard(self, record: PodRecord) -> None:
        """Remove the interfaces of a pod that was added."""
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

    @staticmethod
    def parts(record: PodRecord) -> Iterator[str]:
        """The ports that a pod contributes."""
        return (interface.port for interface in record.interfaces)

    def attachments(self) -> Iterable[str]:
        """The attachments that it has ports of."""
        return self.locations.keys()

    def locations_of(self, attachment: str) -> frozenset[str] | None:
        """The locations that have ports of an attachment: they decide which switches rows are on."""
        return frozenset(self.locations[attachment]) if attachment in self.locations else None


class PeerMembers:
    """The addresses of selected pods, cluster-wide: by attachment and IP version, each with how many pods have it."""

    __slots__ = ("addresses",)

    def __init__(self) -> None:
        self.addresses: dict[str, dict[int, Counter[str]]] = {}

    def add(self, record: PodRecord) -> None:
        """Add a pod's addresses."""
        for interface in record.interfaces:
            for address in interface.addresses:
                versions = self.addresses.get(interface.attachment)
                if versions is None:
                    versions = self.addresses[interface.attachment] = {4: Counter(), 6: Counter()}
                versions[6 if ":" in address else 4][address] += 1

    def extend(self, records: Iterable[PodRecord]) -> None:
        """Add many pods to none, faster than one by one."""
        gathered: dict[str, list[str]] = defaultdict(list)
        for record in records:
            for interface in record.interfaces:
                gathered[interface.attachment] += interface.addresses
        for attachment, addresses in gathered.items():
            later = [address for address in addresses if ":" in address]
            earlier = addresses if not later else [address for address in addresses if ":" not in address]
            if addresses:
                self.addresses[attachment] = {4: Counter(earlier), 6: Counter(later)}

    def discard(self, record: PodRecord) -> None:
        """Remove the addresses of a pod that was added."""
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

    @staticmethod
    def parts(record: PodRecord) -> Iterator[str]:
        """The addresses that a pod contributes."""
        return (address for interface in record.interfaces for address in interface.addresses)

    def attachments(self) -> Iterable[str]:
        """The attachments that it has addresses of."""
        return self.addresses.keys()

    def locations_of(self, attachment: str) -> frozenset[str] | None:
        """Empty: no row depends on where destinations are."""
        return frozenset() if attachment in self.addresses else None
