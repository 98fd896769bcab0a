"""Which interfaces a policy takes: its pods, on its networks, on the nodes of this zone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ovnqos.errors import Fault, Unsupported
from ovnqos.model.networks import DEFAULT_NETWORK, NetworkSelectionType, NetworkSelector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ovnqos.compile.inventory import Inventory
    from ovnqos.compile.selections import SourceMembers
    from ovnqos.compile.topology import Network
    from ovnqos.model.policy import NetworkQoS

_SELECTABLE = {NetworkSelectionType.DEFAULT_NETWORK, NetworkSelectionType.NETWORK_ATTACHMENT_DEFINITIONS}


@dataclass(slots=True, kw_only=True)
class NetworkSources:
    """A policy's source interfaces on one network: their switches by name, and the attachments they came by."""

    network: Network
    switches: set[str] = field(default_factory=set)
    attachments: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySources:
    """The source interfaces by network, sorted by name, and notes on interfaces that had to be passed over."""

    networks: tuple[NetworkSources, ...]
    notes: tuple[str, ...]


def check_selectors(policy: NetworkQoS, subject: str) -> None:
    """Raise Unsupported when the policy selects networks in a way that cannot be compiled yet."""
    faults = [
        Fault(
            path=f"spec.networkSelectors[{index}].networkSelectionType",
            message=f"{selector.type} is not supported yet; use DefaultNetwork or NetworkAttachmentDefinitions",
        )
        for index, selector in enumerate(policy.network_selectors or ())
        if selector.type not in _SELECTABLE
    ]
    if faults:
        raise Unsupported(subject, faults)


def find_sources(
    selectors: Sequence[NetworkSelector] | None, members: SourceMembers, inventory: Inventory
) -> PolicySources:
    """Sort a selection's interfaces by network, and pass over those that `selectors` (None: any) do not take."""
    topology = inventory.topology
    by_network: dict[str, NetworkSources] = {}
    notes: set[str] = set()
    for attachment, nodes in members.nodes.items():
        network = inventory.network_of(attachment)
        if network is None:
            if selectors is None or any(one.type is not NetworkSelectionType.DEFAULT_NETWORK for one in selectors):
                notes.add(f"network attachment {attachment} is not known as an OVN network; its interfaces are skipped")
        elif selectors is not None and not _selects(selectors, attachment, inventory):
            continue
        elif not topology.supports(network):
            notes.add(f"network {network.name} is {network.topology}, which is not supported yet; it is skipped")
        else:
            sources = by_network.setdefault(network.name, NetworkSources(network=network))
            if sources.network.versions != network.versions:  # two attachments of one network: what both carry
                versions = sources.network.versions | network.versions
                sources.network = replace(sources.network, versions=versions)
            sources.switches.update(topology.switch(network, node) for node in nodes)
            sources.attachments.add(attachment)
    return PolicySources(networks=tuple(by_network[name] for name in sorted(by_network)), notes=tuple(sorted(notes)))


def _selects(selectors: Sequence[NetworkSelector], attachment: str, inventory: Inventory) -> bool:
    if attachment == DEFAULT_NETWORK:
        return any(selector.type is NetworkSelectionType.DEFAULT_NETWORK for selector in selectors)
    definition = inventory.attachment(attachment)
    return definition is not None and any(
        selector.type is NetworkSelectionType.NETWORK_ATTACHMENT_DEFINITIONS
        and selector.namespace_selector is not None
        and selector.network_selector is not None
        and selector.namespace_selector.matches(inventory.namespace_labels(definition.namespace))
        and selector.network_selector.matches(definition.labels)
        for selector in selectors
    )
