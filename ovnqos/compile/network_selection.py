"""Which networks a policy takes: what each entry of `networkSelectors` selects, and the source interfaces there.

UserDefinedNetworks and ClusterUserDefinedNetworks are known by the NADs that ovn-kubernetes generates from them, which
have their labels and name them as owner.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ovnqos.diagnostics import Code
from ovnqos.model.networks import (
    NetworkSelectionType,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ovnqos.compile.compiled import CompiledObject
    from ovnqos.compile.inventory import Inventory
    from ovnqos.compile.members import SourceMembers
    from ovnqos.compile.topology import Network
    from ovnqos.model.networks import NetworkAttachmentDefinition, NetworkSelector


@dataclass(slots=True, kw_only=True)
class NetworkSources:
    """A policy's source interfaces on one network: their switches by name, and the attachments they came by."""

    network: Network
    switches: set[str] = field(default_factory=set)
    attachments: set[str] = field(default_factory=set)


def find_sources(
    selectors: Sequence[NetworkSelector] | None, members: SourceMembers, inventory: Inventory, compiled: CompiledObject
) -> tuple[NetworkSources, ...]:
    """A selection's interfaces by network, sorted by its name.

    Args:
        selectors: which networks; None: any.
        members: the interfaces.
        inventory: the cluster.
        compiled: gets a diagnostic for each attachment that is skipped.
    """
    topology = inventory.topology
    by_network: dict[str, NetworkSources] = {}
    unknown: set[str] = set()
    contradictory: dict[str, str] = {}
    for attachment, locations in members.locations.items():
        network = inventory.network_of(attachment)
        if network is None:
            unknown.add(attachment)
            continue
        if selectors is not None and not inventory.selects(selectors, attachment):
            continue
        layouts = inventory.layouts(network.name)
        if len(layouts) > 1:
            contradictory[network.name] = " and ".join(sorted(layouts))
        sources = by_network.setdefault(network.key, NetworkSources(network=network))
        if sources.network.versions != network.versions:  # two attachments of one network: what both carry
            versions = sources.network.versions | network.versions
            sources.network = replace(sources.network, versions=versions)
        sources.switches.update(topology.switch(network, location) for location in locations)
        sources.attachments.add(attachment)
    _warn_of_foreign(selectors or (), inventory, compiled)
    if selectors is None or any(one.type is not NetworkSelectionType.DEFAULT_NETWORK for one in selectors):
        _warn_of_unknown(unknown, inventory, compiled)
    for name, given in sorted(contradictory.items()):
        text = f"network {name}: its NetworkAttachmentDefinitions disagree on the topology ({given})"
        compiled.warn(Code.TOPOLOGIES_DIFFER, text, hint="give all of them one topology")
    return tuple(by_network[key] for key in sorted(by_network))


def _warn_of_foreign(selectors: Sequence[NetworkSelector], inventory: Inventory, compiled: CompiledObject) -> None:
    for index, selector in enumerate(selectors):
        for definition in inventory.not_ovn(selector):
            if not inventory.topology.wires(definition):
                compiled.warn(Code.NOT_OVN, _wired_by(definition), path=f"spec.networkSelectors[{index}]")


def _warn_of_unknown(attachments: set[str], inventory: Inventory, compiled: CompiledObject) -> None:
    for attachment in sorted(attachments):
        definition = inventory.attachment(inventory.topology.definition_key(attachment))
        if definition is not None:
            compiled.warn(Code.NOT_OVN, f"{_wired_by(definition)}; its interfaces are skipped")
        else:
            text = f"network attachment {attachment}: no OVN network is known of this name; its interfaces are skipped"
            compiled.warn(Code.UNKNOWN_NETWORK, text)


def _wired_by(definition: NetworkAttachmentDefinition) -> str:
    plugin = definition.plugin or "unknown"
    return f"network attachment {definition.key}: CNI plugin {plugin} wires it, so OVN can neither mark nor limit"
