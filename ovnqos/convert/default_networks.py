"""The network that annotations of a namespace's pods are for: its primary one, or else the cluster's default."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ovnqos.model.labels import LabelSelector
from ovnqos.model.networks import (
    DEFAULT_NETWORK,
    DEFAULT_NETWORK_SELECTOR,
    NetworkRole,
    NetworkSelectionType,
    NetworkSelector,
    NetworkTopology,
)
from ovnqos.model.workloads import LOGICAL_SWITCH

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovnqos.convert.conversion import NamespaceObjects
    from ovnqos.model.networks import NetworkAttachmentDefinition
    from ovnqos.model.policy import NetworkQoS
    from ovnqos.model.workloads import Pod

_NAME_LABEL: Final = "kubernetes.io/metadata.name"
_POD_NETWORKS: Final = "k8s.ovn.org/pod-networks"
_KUBE_OVN_DEFAULT: Final = "ovn"  # the provider of a pod's default interface


@dataclass(frozen=True, slots=True, kw_only=True)
class PodsNetwork:
    """A network of pods, and the selector that takes it and no other of a namespace.

    Attributes:
        selector: for `networkSelectors`.
        shares_stage_with_limits: whether rows of NetworkQoS objects are in the stage of the pods' own egress limits,
            so that of one packet only one of them holds. So it is on layer2; elsewhere both hold.
    """

    selector: NetworkSelector
    shares_stage_with_limits: bool

    @property
    def is_primary(self) -> bool:
        """Whether it is a namespace's own."""
        return self.selector.type is NetworkSelectionType.PRIMARY_USER_DEFINED_NETWORKS


DEFAULT_PODS_NETWORK = PodsNetwork(selector=DEFAULT_NETWORK_SELECTOR, shares_stage_with_limits=False)


def network_of(namespace: str, attachments: Iterable[NetworkAttachmentDefinition]) -> PodsNetwork | None:
    """The network that annotations of this namespace are for, told by its NADs; None when it has several primary."""
    primary = [one.ovn for one in attachments if one.ovn is not None and one.ovn.role is NetworkRole.PRIMARY]
    if not primary:
        return DEFAULT_PODS_NETWORK
    if len(primary) > 1:
        return None
    selector = NetworkSelector(
        type=NetworkSelectionType.PRIMARY_USER_DEFINED_NETWORKS,
        namespace_selector=LabelSelector.from_labels({_NAME_LABEL: namespace}),
    )
    return PodsNetwork(selector=selector, shares_stage_with_limits=primary[0].topology is NetworkTopology.LAYER2)


def may_take(policy: NetworkQoS, network: PodsNetwork) -> bool:
    """Whether a policy may hold on the network; says yes when it is not sure."""
    if policy.network_selectors is None:
        return True
    is_default = (one.type is NetworkSelectionType.DEFAULT_NETWORK for one in policy.network_selectors)
    return not all(is_default) if network.is_primary else any(is_default)


def takes_only(policy: NetworkQoS, network: PodsNetwork, namespace: str, objects: NamespaceObjects) -> bool:
    """Whether the policy names this network and no other."""
    if not policy.network_selectors:
        return False
    if not network.is_primary:
        return all(one.type is NetworkSelectionType.DEFAULT_NETWORK for one in policy.network_selectors)
    labels = {**objects.labels, _NAME_LABEL: namespace}
    return all(
        one.type is NetworkSelectionType.PRIMARY_USER_DEFINED_NETWORKS
        and one.namespace_selector is not None
        and one.namespace_selector.matches(labels)
        for one in policy.network_selectors
    )


def is_only_on_default(pod: Pod) -> bool:
    """Whether what the CNI wrote on a pod, if anything, says that it has an interface on the default network alone."""
    text = pod.annotations.get(_POD_NETWORKS)
    if text:
        try:
            networks = json.loads(text)
        except (ValueError, RecursionError):  # whoever makes a pod can write any depth of brackets
            return False
        return isinstance(networks, dict) and set(networks) == {DEFAULT_NETWORK}
    providers = {key.removesuffix(LOGICAL_SWITCH) for key in pod.annotations if key.endswith(LOGICAL_SWITCH)}
    return providers == {_KUBE_OVN_DEFAULT}
