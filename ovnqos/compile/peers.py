"""Addresses of destination pods: one list a selector pair, network and IP version, found once and shared."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from ovnqos.model.labels import EVERYTHING, LabelSelector

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ovnqos.compile.inventory import Inventory, PodRecord
    from ovnqos.model.policy import PodPeer


class PeerKey(NamedTuple):
    """Which pods: those matching `pods`, in one namespace (a name) or in the namespaces that a selector matches."""

    namespaces: str | LabelSelector
    pods: LabelSelector

    @classmethod
    def of(cls, peer: PodPeer, own_namespace: str) -> PeerKey | None:
        """The pods that a peer of a policy means; None when it selects nothing because neither selector is given."""
        if peer.namespace_selector is not None:
            return cls(peer.namespace_selector, peer.pod_selector or EVERYTHING)
        return None if peer.pod_selector is None else cls(own_namespace, peer.pod_selector)

    def __str__(self) -> str:
        """In words, unmistakable: part of the identity of what is made of it."""
        where = f"namespaces {self.namespaces}" if isinstance(self.namespaces, LabelSelector) else self.namespaces
        return f"pods {self.pods} in {where}"


class PeerAddresses:
    """Finds the addresses of peers, each only once. Valid while the inventory stays as it is."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._found: dict[PeerKey, Mapping[tuple[str, int], frozenset[str]]] = {}

    def of(self, key: PeerKey, network: str, version: int) -> frozenset[str]:
        """The addresses of one IP version that these pods have on a network, cluster-wide."""
        if key not in self._found:
            self._found[key] = self._find(key)
        return self._found[key].get((network, version), frozenset())

    def _find(self, key: PeerKey) -> Mapping[tuple[str, int], frozenset[str]]:
        records: Iterable[PodRecord] = (
            self._inventory.pods_of_namespaces(key.pods, key.namespaces)
            if isinstance(key.namespaces, LabelSelector)
            else self._inventory.pods(key.pods, key.namespaces)
        )
        by_attachment: dict[str, list[str]] = defaultdict(list)
        for record in records:
            for interface in record.interfaces:
                by_attachment[interface.attachment].extend(interface.addresses)
        found: dict[tuple[str, int], set[str]] = defaultdict(set)
        for attachment, addresses in by_attachment.items():
            network = self._inventory.network_of(attachment)
            if network is not None:
                for address in addresses:
                    found[network.name, 6 if ":" in address else 4].add(address)
        return {at: frozenset(addresses) for at, addresses in found.items()}
