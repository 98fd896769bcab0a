"""Descriptions of sets: what a port group or address set is called and means, and where its members come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovnqos.compile.inventory import Inventory
    from ovnqos.compile.selections import PodSelection, Selections


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedMembers:
    """Members that only the policy decides: CIDRs."""

    members: frozenset[str]

    def find(self, selections: Selections, inventory: Inventory) -> frozenset[str]:  # noqa: ARG002 - others need them
        """The members."""
        return self.members

    def among(self, candidates: frozenset[str], selections: Selections, inventory: Inventory) -> frozenset[str]:  # noqa: ARG002 - others need them
        """Which of the candidates are members."""
        return self.members & candidates


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePorts:
    """The ports of a selection's source pods that came by these attachments."""

    selection: PodSelection
    attachments: frozenset[str]

    def find(self, selections: Selections, inventory: Inventory) -> frozenset[str]:  # noqa: ARG002 - others need it
        """The members now."""
        return selections.sources(self.selection).ports_of(self.attachments)

    def among(self, candidates: frozenset[str], selections: Selections, inventory: Inventory) -> frozenset[str]:  # noqa: ARG002 - others need it
        """Which of the candidates are members, at the cost of the candidates."""
        ports = selections.sources(self.selection).ports
        return frozenset(
            port for port in candidates if any(port in ports.get(attachment, ()) for attachment in self.attachments)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerAddresses:
    """The addresses of one IP version that a selection's pods have on a network, named by its key."""

    selection: PodSelection
    network: str
    version: int

    def find(self, selections: Selections, inventory: Inventory) -> frozenset[str]:
        """The members now."""
        members = selections.peers(self.selection)
        attachments = (one for one in members.addresses if self._takes(one, inventory))
        return members.addresses_of(attachments, self.version)

    def among(self, candidates: frozenset[str], selections: Selections, inventory: Inventory) -> frozenset[str]:
        """Which of the candidates are members, at the cost of the candidates."""
        by_attachment = selections.peers(self.selection).addresses
        counts = [versions[self.version] for one, versions in by_attachment.items() if self._takes(one, inventory)]
        return frozenset(address for address in candidates if any(address in count for count in counts))

    def _takes(self, attachment: str, inventory: Inventory) -> bool:
        """Whether addresses of this attachment belong to the network."""
        network = inventory.network_of(attachment)
        return network is not None and network.key == self.network


Members = FixedMembers | SourcePorts | PeerAddresses


@dataclass(frozen=True, slots=True, kw_only=True)
class SetDescription:
    """A port group or address set without its members spelled out, so that describing it costs no walk over pods."""

    name: str
    identity: str
    external_ids: Mapping[str, str]
    members: Members
