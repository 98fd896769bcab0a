"""Which networks an entry of `networkSelectors` takes, told by the NADs that declare them.

UserDefinedNetworks and ClusterUserDefinedNetworks are known by the NADs that ovn-kubernetes generates from them, which
have their labels and name them as owner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovnqos.model.networks import (
    CLUSTER_USER_DEFINED_NETWORK,
    USER_DEFINED_NETWORK,
    NetworkRole,
    NetworkSelectionType,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovnqos.model.networks import NetworkAttachmentDefinition, NetworkSelector


def takes(
    selector: NetworkSelector, definition: NetworkAttachmentDefinition, namespace_labels: Mapping[str, str]
) -> bool:
    """Whether a selector takes the network that a NAD declares; `namespace_labels` are those of the NAD's namespace.

    DefaultNetwork takes none: no NAD declares the default network.
    """
    if not _is_of_type(selector.type, definition):
        return False
    namespaces, networks = selector.namespace_selector, selector.network_selector
    return (namespaces is None or namespaces.matches(namespace_labels)) and (
        networks is None or networks.matches(definition.labels)
    )


def _is_of_type(wanted: NetworkSelectionType, definition: NetworkAttachmentDefinition) -> bool:
    match wanted:
        case NetworkSelectionType.DEFAULT_NETWORK:
            return False
        case NetworkSelectionType.NETWORK_ATTACHMENT_DEFINITIONS:
            return True
        case NetworkSelectionType.CLUSTER_USER_DEFINED_NETWORKS:
            return definition.is_owned_by(CLUSTER_USER_DEFINED_NETWORK)
        case NetworkSelectionType.PRIMARY_USER_DEFINED_NETWORKS:
            return definition.ovn is not None and definition.ovn.role is NetworkRole.PRIMARY
        case NetworkSelectionType.SECONDARY_USER_DEFINED_NETWORKS:
            return (
                definition.ovn is not None
                and definition.ovn.role is NetworkRole.SECONDARY
                and definition.is_owned_by(USER_DEFINED_NETWORK)
            )
