"""What a conversion takes, and what it returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from ovnqos.diagnostics import Code, Diagnostic, ObjectRef
from ovnqos.model.workloads import NO_POD_QOS, PodQos

if TYPE_CHECKING:
    from collections.abc import Mapping

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
