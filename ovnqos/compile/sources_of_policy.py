"""Which interfaces a policy takes: its pods, on its networks, on the nodes of this zone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ovnqos.compile.network_selection import takes
from ovnqos.model.networks import NetworkSelectionType, NetworkSelector

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ovnqos.compile.inventory import Inventory
    from ovnqos.compile.selections import SourceMembers
    from ovnqos.compile.topology import Network


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


def find_sources(
    selectors: Sequence[NetworkSelector] | None, members: SourceMembers, inventory: Inventory
) -> PolicySources:
    """Sort a selection's interfaces by network, and pass over those that `selectors` (None: any) do not take."""
    topology = inventory.topology
    by_network: dict[str, NetworkSources] = {}
    notes: set[str] = set(_not_ovn(selectors or (), inventory))
    for attachment, locations in members.locations.items():
        network = inventory.network_of(attachment)
        if network is None:
            if selectors is None or any(one.type is not NetworkSelectionType.DEFAULT_NETWORK for one in selectors):
                notes.add(_unknown(attachment, inventory))
            continue
        if selectors is not None and not selects(selectors, attachment, inventory):
            continue
        layouts = inventory.layouts(network.name)
        if len(layouts) > 1:
            notes.add(
                f"network {network.name}: its network attachment definitions disagree on the topology, "
                f"{' and '.join(sorted(layouts))}; each attachment is taken by its own word"
            )
        sources = by_network.setdefault(network.key, NetworkSources(network=network))
        if sources.network.versions != network.versions:  # two attachments of one network: what both carry
            versions = sources.network.versions | network.versions
            sources.network = replace(sources.network, versions=versions)
        sources.switches.update(topology.switch(network, location) for location in locations)
        sources.attachments.add(attachment)
    return PolicySources(networks=tuple(by_network[key] for key in sorted(by_network)), notes=tuple(sorted(notes)))


def _unknown(attachment: str, inventory: Inventory) -> str:
    definition = inventory.attachment(inventory.topology.definition_key(attachment))
    if definition is None:
        return f"network attachment {attachment} is not known as an OVN network; its interfaces are skipped"
    return f"network attachment {attachment} {_wired_by(definition.plugin)}; its interfaces are skipped"


def _not_ovn(selectors: Sequence[NetworkSelector], inventory: Inventory) -> Iterator[str]:
    for index, selector in enumerate(selectors):
        for definition in inventory.not_ovn(selector):
            if not inventory.topology.wires(definition):
                told = f"network attachment {definition.key} {_wired_by(definition.plugin)}"
                yield f"spec.networkSelectors[{index}]: {told}"


def _wired_by(plugin: str) -> str:
    return f"is wired by CNI plugin {plugin or 'unknown'}, not by OVN, which cannot mark or limit it"


def selects(selectors: Sequence[NetworkSelector], attachment: str, inventory: Inventory) -> bool:
    """Whether a policy's `networkSelectors` take the network behind an attachment."""
    if inventory.topology.is_default(attachment):
        return any(selector.type is NetworkSelectionType.DEFAULT_NETWORK for selector in selectors)
    definition = inventory.attachment(inventory.topology.definition_key(attachment))
    return definition is not None and any(
        takes(selector, definition, inventory.namespace_labels(definition.namespace)) for selector in selectors
    )
