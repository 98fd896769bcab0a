"""What a conversion gets, and what comes of it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

from ovnqos.model.pod_qos import NO_POD_QOS, PodQos

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ovnqos.diagnostics import Diagnostic
    from ovnqos.model.networks import NetworkAttachmentDefinition
    from ovnqos.model.policy import Bandwidth, NetworkQoS
    from ovnqos.model.workloads import Namespace, Pod
    from ovnqos.sources.egress_qos import EgressQoS


class Part(StrEnum):
    """The parts of a pod's QoS that a NetworkQoS can say."""

    LIMIT = "egress limit"
    MARK = "dscp"

    def of(self, qos: PodQos) -> Bandwidth | int | None:
        """This part of a pod's QoS; None when it is not set."""
        return qos.egress if self is Part.LIMIT else qos.dscp


@dataclass(frozen=True, kw_only=True)
class ClusterObjects:
    """The objects of a cluster, or of a part of it, among them those to convert.

    Attributes:
        pods: the pods; a conversion is exact for these.
        namespaces: those whose annotations or labels matter.
        network_attachment_definitions: they tell which namespaces have a primary network of their own.
        policies: NetworkQoS objects.
        egress_qos: at most one a namespace.
    """

    pods: tuple[Pod, ...] = ()
    namespaces: tuple[Namespace, ...] = ()
    network_attachment_definitions: tuple[NetworkAttachmentDefinition, ...] = ()
    policies: tuple[NetworkQoS, ...] = ()
    egress_qos: tuple[EgressQoS, ...] = ()

    @cached_property
    def _by_namespace(self) -> dict[str, NamespaceObjects]:
        found: dict[str, NamespaceObjects] = defaultdict(NamespaceObjects)
        for namespace in self.namespaces:
            found[namespace.name].qos = namespace.qos
            found[namespace.name].labels = namespace.labels
        for pod in self.pods:
            found[pod.namespace].pods.append(pod)
        for definition in self.network_attachment_definitions:
            found[definition.namespace].attachments.append(definition)
        for policy in self.policies:
            found[policy.namespace].policies.append(policy)
        for egress_qos in self.egress_qos:
            found[egress_qos.namespace].egress_qos = egress_qos
        for one in found.values():
            one.pods.sort(key=lambda pod: pod.name)
            one.policies.sort(key=lambda policy: policy.name)
        return found

    def by_namespace(self) -> Iterable[tuple[str, NamespaceObjects]]:
        """Each namespace that any object is in, in the order of their names."""
        return sorted(self._by_namespace.items(), key=lambda item: item[0])


@dataclass(slots=True, kw_only=True)
class NamespaceObjects:
    """What is in one namespace; `qos` is what its own annotations say for its pods. Sorted by name."""

    qos: PodQos = NO_POD_QOS
    labels: Mapping[str, str] = field(default_factory=dict)
    pods: list[Pod] = field(default_factory=list)
    attachments: list[NetworkAttachmentDefinition] = field(default_factory=list)
    policies: list[NetworkQoS] = field(default_factory=list)
    egress_qos: EgressQoS | None = None

    def sources(self) -> list[Pod]:
        """The pods whose traffic a NetworkQoS can take."""
        return [pod for pod in self.pods if pod.has_own_addresses]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """What has no equivalent, or not quite the same: the object, its field, and why."""

    subject: str
    field: str
    reason: str

    @classmethod
    def of(cls, diagnostic: Diagnostic) -> Remark:
        """What is wrong with an object's annotation."""
        reason = f"{diagnostic.text}; {diagnostic.hint}" if diagnostic.hint else diagnostic.text
        return cls(subject=str(diagnostic.object), field=diagnostic.path, reason=reason)

    def __str__(self) -> str:
        return f"{self.subject}: {self.field}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """An object that other ones say now, as a whole or in part: it shall go, or those annotations of it.

    Attributes:
        kind: Pod, Namespace, EgressQoS or NetworkQoS.
        namespace: its namespace; empty for a Namespace.
        name: its name.
        parts: of a Pod or Namespace, the annotations that are said elsewhere.
        by: the objects that say it now, in words.
    """

    kind: str
    namespace: str
    name: str
    parts: frozenset[Part] = frozenset()
    by: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        """The object in words."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkQoSConversion:
    """NetworkQoS objects to make, sorted by namespace and falling priority, and what to remove when they hold."""

    policies: tuple[NetworkQoS, ...] = ()
    remarks: tuple[Remark, ...] = ()
    replacements: tuple[Replacement, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitedObject:
    """A Pod or a Namespace, and what its annotations shall say; parts that are None stay as they are."""

    kind: str
    namespace: str
    name: str
    qos: PodQos


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotationConversion:
    """Annotations to make, namespaces before their pods, and the NetworkQoS objects to remove when they hold."""

    annotated: tuple[LimitedObject, ...] = ()
    remarks: tuple[Remark, ...] = ()
    replacements: tuple[Replacement, ...] = ()
