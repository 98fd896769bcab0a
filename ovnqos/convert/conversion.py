"""What a conversion takes and returns; the network of a namespace's pods, and the packets that leave the cluster."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from typing import TYPE_CHECKING, Final

from netaddr import IPNetwork, IPSet, cidr_merge

from ovnqos.compile.inventory import NAMESPACE_NAME_LABEL
from ovnqos.diagnostics import Code, Diagnostic, ObjectRef
from ovnqos.model.labels import LabelSelector
from ovnqos.model.networks import (
    DEFAULT_NETWORK,
    DEFAULT_NETWORK_SELECTOR,
    NetworkRole,
    NetworkSelectionType,
    NetworkSelector,
    NetworkTopology,
)
from ovnqos.model.policy import Classifier, IPBlock
from ovnqos.model.workloads import LOGICAL_SWITCH, NO_POD_QOS, PodQos

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ovnqos.model.networks import NetworkAttachmentDefinition
    from ovnqos.model.policy import Bandwidth, NetworkQoS
    from ovnqos.model.workloads import Pod
    from ovnqos.sources import Manifests
    from ovnqos.sources.egress_qos import EgressQoS


class Part(StrEnum):
    """The parts of a pod's QoS that a NetworkQoS can express."""

    LIMIT = "egress limit"
    MARK = "dscp"

    def of(self, qos: PodQos) -> Bandwidth | int | None:
        """This part of a pod's QoS; None when it is not set."""
        return qos.egress if self is Part.LIMIT else qos.dscp


@dataclass(slots=True, kw_only=True)
class NamespaceObjects:
    """What is in one namespace, sorted by name; `qos` is what its own annotations set for its pods."""

    name: str
    qos: PodQos = NO_POD_QOS
    labels: Mapping[str, str] = field(default_factory=dict)
    pods: list[Pod] = field(default_factory=list)
    attachments: list[NetworkAttachmentDefinition] = field(default_factory=list)
    policies: list[NetworkQoS] = field(default_factory=list)
    egress_qos: EgressQoS | None = None

    @property
    def object(self) -> ObjectRef:
        """The Namespace."""
        return ObjectRef(kind="Namespace", name=self.name)

    def pod(self, name: str) -> ObjectRef:
        """One of its pods."""
        return ObjectRef(kind="Pod", namespace=self.name, name=name)

    def sources(self) -> list[Pod]:
        """The pods whose traffic a NetworkQoS can take."""
        return [pod for pod in self.pods if pod.has_own_addresses]


def by_namespace(manifests: Manifests) -> list[NamespaceObjects]:
    """Each namespace that any object is in, in the order of their names."""
    found: dict[str, NamespaceObjects] = {}

    def of(name: str) -> NamespaceObjects:
        return found.setdefault(name, NamespaceObjects(name=name))

    for namespace in manifests.namespaces:
        of(namespace.name).qos = namespace.qos
        of(namespace.name).labels = namespace.labels
    for pod in sorted(manifests.pods, key=lambda pod: pod.name):
        of(pod.namespace).pods.append(pod)
    for definition in manifests.network_attachment_definitions:
        of(definition.namespace).attachments.append(definition)
    for policy in sorted(manifests.policies, key=lambda policy: policy.name):
        of(policy.namespace).policies.append(policy)
    for egress_qos in manifests.egress_qos:
        of(egress_qos.namespace).egress_qos = egress_qos
    return [found[name] for name in sorted(found)]


def policy_ref(policy: NetworkQoS) -> ObjectRef:
    """The object of a policy."""
    return ObjectRef(kind="NetworkQoS", namespace=policy.namespace, name=policy.name)


def not_converted(ref: ObjectRef, path: str, text: str, hint: str = "") -> Diagnostic:
    """A warning that a field has no equivalent, and why; the object stays as it is."""
    return Diagnostic.warning(ref, Code.NOT_CONVERTED, text, path=path, hint=hint)


def effect_differs(ref: ObjectRef, path: str, text: str) -> Diagnostic:
    """A warning that a field is converted, and has more or less effect than it had."""
    return Diagnostic.warning(ref, Code.EFFECT_DIFFERS, text, path=path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """An object that others replace, as a whole or in part; remove it, or those annotations of it.

    Attributes:
        object: a Pod, Namespace, EgressQoS or NetworkQoS.
        parts: of a Pod or Namespace, which of its annotations.
        by: the objects that replace it.
    """

    object: ObjectRef
    parts: frozenset[Part] = frozenset()
    by: tuple[ObjectRef, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkQoSConversion:
    """NetworkQoS objects to create, sorted by namespace and descending priority, and what to remove afterwards."""

    policies: tuple[NetworkQoS, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    replacements: tuple[Replacement, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatedObject:
    """A Pod or a Namespace, and what its annotations are to set; parts that are None stay as they are."""

    object: ObjectRef
    qos: PodQos


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotationConversion:
    """Annotations to set, namespaces before their pods, and the NetworkQoS objects to remove afterwards."""

    annotated: tuple[AnnotatedObject, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    replacements: tuple[Replacement, ...] = ()


_POD_NETWORKS: Final = "k8s.ovn.org/pod-networks"
_KUBE_OVN_DEFAULT: Final = "ovn"  # the provider of a pod's default interface


@dataclass(frozen=True, slots=True, kw_only=True)
class PodsNetwork:
    """A network of pods, and the selector that takes it and no other of a namespace.

    Attributes:
        selector: for `networkSelectors`.
        shares_direction_with_limits: whether rows of NetworkQoS objects and the pods' own egress limits have one
            direction, so that only one of them applies to a packet. So it is on layer2; elsewhere both apply.
        subnets: its addresses, as far as they are declared; they are inside the cluster.
    """

    selector: NetworkSelector
    shares_direction_with_limits: bool
    subnets: tuple[IPNetwork, ...] = ()

    @property
    def is_primary(self) -> bool:
        """Whether it is a namespace's own."""
        return self.selector.type is NetworkSelectionType.PRIMARY_USER_DEFINED_NETWORKS


_EVERYTHING = {4: "0.0.0.0/0", 6: "::/0"}
DEFAULT_PODS_NETWORK = PodsNetwork(selector=DEFAULT_NETWORK_SELECTOR, shares_direction_with_limits=False)


def network_of(objects: NamespaceObjects) -> PodsNetwork | None:
    """The network that annotations of a namespace's pods apply to; None when the namespace has several primary ones."""
    primary = [one.ovn for one in objects.attachments if one.ovn is not None and one.ovn.role is NetworkRole.PRIMARY]
    if not primary:
        return DEFAULT_PODS_NETWORK
    if len(primary) > 1:
        return None
    selector = NetworkSelector(
        type=NetworkSelectionType.PRIMARY_USER_DEFINED_NETWORKS,
        namespace_selector=LabelSelector.from_labels({NAMESPACE_NAME_LABEL: objects.name}),
    )
    is_layer2 = primary[0].topology is NetworkTopology.LAYER2
    return PodsNetwork(selector=selector, shares_direction_with_limits=is_layer2, subnets=primary[0].subnets)


def may_take(policy: NetworkQoS, network: PodsNetwork) -> bool:
    """Whether a policy may hold on the network; says yes when it is not sure."""
    if policy.network_selectors is None:
        return True
    is_default = (one.type is NetworkSelectionType.DEFAULT_NETWORK for one in policy.network_selectors)
    return not all(is_default) if network.is_primary else any(is_default)


def takes_only(policy: NetworkQoS, network: PodsNetwork, objects: NamespaceObjects) -> bool:
    """Whether a policy of the namespace selects this network and no other."""
    if not policy.network_selectors:
        return False
    if not network.is_primary:
        return all(one.type is NetworkSelectionType.DEFAULT_NETWORK for one in policy.network_selectors)
    labels = {**objects.labels, NAMESPACE_NAME_LABEL: objects.name}
    return all(
        one.type is NetworkSelectionType.PRIMARY_USER_DEFINED_NETWORKS
        and one.namespace_selector is not None
        and one.namespace_selector.matches(labels)
        for one in policy.network_selectors
    )


def is_only_on_default(pod: Pod) -> bool:
    """Whether the CNI annotated a pod with an interface on the default network alone."""
    text = pod.annotations.get(_POD_NETWORKS)
    if text:
        try:
            networks = json.loads(text)
        except (ValueError, RecursionError):  # a pod can be created with any depth of brackets
            return False
        return isinstance(networks, dict) and set(networks) == {DEFAULT_NETWORK}
    providers = {key.removesuffix(LOGICAL_SWITCH) for key in pod.annotations if key.endswith(LOGICAL_SWITCH)}
    return providers == {_KUBE_OVN_DEFAULT}


class Reach(Enum):
    """Which packets of a pod."""

    ALL = auto()
    OUTSIDE = auto()


def outside_blocks(cluster_cidrs: Iterable[IPNetwork]) -> tuple[IPBlock, ...]:
    """The addresses outside the cluster: a block for each IP version of its CIDRs, less these; none if none is left."""
    cidrs = tuple(cluster_cidrs)
    blocks = []
    for version, text in _EVERYTHING.items():
        everything = IPNetwork(text)
        inside = tuple(cidr_merge([cidr for cidr in cidrs if cidr.version == version]))
        if inside and everything not in inside:
            blocks.append(IPBlock(cidr=everything, excluded=inside))
    return tuple(blocks)


def reach_of(classifier: Classifier, cluster_cidrs: Sequence[IPNetwork]) -> Reach | None:
    """What a classifier takes; None when it is neither of the two. Without CIDRs no address is known to be outside."""
    if classifier.ports is not None or classifier.sources is not None:
        return None
    if classifier.destinations is None:
        return Reach.ALL
    blocks = [peer for peer in classifier.destinations if isinstance(peer, IPBlock)]
    if len(blocks) < len(classifier.destinations):
        return None
    taken = _addresses(blocks)
    if taken == _addresses(IPBlock(cidr=IPNetwork(text)) for text in _EVERYTHING.values()):
        return Reach.ALL
    if cluster_cidrs and blocks and taken == _addresses(outside_blocks(cluster_cidrs)):
        return Reach.OUTSIDE
    return None


def _addresses(blocks: Iterable[IPBlock]) -> IPSet:
    taken = IPSet()
    for block in blocks:
        taken |= IPSet([block.cidr]) - IPSet(block.excluded)
    return taken
