"""Pods, namespaces and nodes, and what their annotations say of traffic: of each only what QoS needs.

So a large cluster stays small in memory.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from ovnqos.diagnostics import Code, Diagnostic, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovnqos.model.policy import Bandwidth


class Purpose(StrEnum):
    """What a row of a single pod is for."""

    EGRESS = "egress"
    INGRESS = "ingress"
    DSCP = "dscp"


CALICO_PREFIX: Final = "qos.projectcalico.org/"
"""Every annotation with this prefix is read, or draws a warning that it has no effect."""
KUBERNETES_BANDWIDTH_KEYS: Final = frozenset({"kubernetes.io/ingress-bandwidth", "kubernetes.io/egress-bandwidth"})
"""The annotations of Kubernetes' bandwidth plugin."""


def is_pod_qos_key(key: str) -> bool:
    """Whether `read_pod_qos` looks at an annotation: a known one, or an unknown one of Calico's prefix."""
    return key.startswith(CALICO_PREFIX) or key in KUBERNETES_BANDWIDTH_KEYS


@dataclass(frozen=True, slots=True, kw_only=True)
class PodQos:
    """Limits and mark of one pod; of a namespace: the defaults of its pods.

    Attributes:
        ingress: the limit of what the pod receives; None sets none.
        egress: the limit of what it sends; None sets none.
        dscp: the mark of what it sends out of the cluster, 0 to 63 (0 is a mark); None leaves the mark alone.
        diagnostics: an error for each annotation that is wrong, and sets nothing; a warning for each that OVN cannot
            express, and for each burst that is too small.
        unreadable: of which purposes an annotation is wrong and no other one sets a limit or mark.
    """

    ingress: Bandwidth | None = None
    egress: Bandwidth | None = None
    dscp: int | None = None
    diagnostics: tuple[Diagnostic, ...] = ()
    unreadable: frozenset[Purpose] = frozenset()

    @property
    def sets_nothing(self) -> bool:
        """Whether there is neither a limit nor a mark; there may be diagnostics all the same."""
        return self.ingress is None and self.egress is None and self.dscp is None

    def after(self, before: PodQos) -> PodQos:
        """With what held before wherever an annotation cannot be read: a typing error must not lift a limit.

        Args:
            before: of the version of the same object before this one, itself with what had held before.
        """
        kept = {one: getattr(before, one) for one in self.unreadable if getattr(before, one) is not None}
        if not kept:
            return self
        said = tuple(
            Diagnostic(
                severity=Severity.INFO,
                code=Code.LAST_VALID_VERSION,
                object=self.diagnostics[0].object,
                path=str(one),
                text="the last valid value stays in force",
            )
            for one in sorted(kept)
        )
        return replace(self, **kept, diagnostics=(*self.diagnostics, *said), unreadable=self.unreadable - kept.keys())


NO_POD_QOS = PodQos()
"""Of a pod without such annotations."""


def merge(pod: PodQos, namespace: PodQos) -> PodQos:
    """The limits and the mark that hold for a pod.

    Each of ingress, egress and dscp is the pod's own, else the namespace's. A limit is taken whole: a pod's rate never
    gets its namespace's burst. An annotation that is wrong sets nothing, so the namespace's default holds there.

    Args:
        pod: of the pod's annotations.
        namespace: of its namespace's.

    Returns:
        What holds, with the pod's diagnostics; those of the namespace are the namespace's own.
    """
    if namespace is NO_POD_QOS:
        return pod
    merged = PodQos(
        ingress=pod.ingress if pod.ingress is not None else namespace.ingress,
        egress=pod.egress if pod.egress is not None else namespace.egress,
        dscp=pod.dscp if pod.dscp is not None else namespace.dscp,
        diagnostics=pod.diagnostics,
    )
    unreadable = frozenset(one for one in pod.unreadable | namespace.unreadable if getattr(merged, one) is None)
    return replace(merged, unreadable=unreadable) if unreadable else merged


ANNOTATION_LENGTH_MAXIMUM: Final = 65_536
"""Characters of an annotation of a pod; a network plugin writes some hundred an interface."""
INTERFACES_MAXIMUM: Final = 64
"""Interfaces of a pod."""
ADDRESSES_MAXIMUM: Final = 128
"""Addresses of a pod, of all its interfaces."""
POD_ANNOTATIONS: Final = frozenset({"k8s.ovn.org/pod-networks"})
"""Annotations kept of a pod, by their whole keys."""
LOGICAL_SWITCH: Final = ".kubernetes.io/logical_switch"
IP_ADDRESS: Final = ".kubernetes.io/ip_address"
LOGICAL_ROUTER: Final = ".kubernetes.io/logical_router"
ALLOCATED: Final = ".kubernetes.io/allocated"
VIRTUAL_MACHINE: Final = ".kubernetes.io/virtualmachine"
POD_ANNOTATION_SUFFIXES: Final = (LOGICAL_SWITCH, IP_ADDRESS, LOGICAL_ROUTER, ALLOCATED, VIRTUAL_MACHINE)
"""Annotations kept of a pod, by the ends of their keys: Kube-OVN puts an interface's provider before them."""
NODE_ANNOTATIONS = frozenset({"k8s.ovn.org/zone-name"})
"""The annotations kept of a node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """A Kubernetes namespace; `qos` is what its annotations say for those of its pods that say nothing.

    `uid` is empty in a manifest.
    """

    name: str
    labels: Mapping[str, str]
    qos: PodQos = NO_POD_QOS
    uid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A Kubernetes node with its `NODE_ANNOTATIONS`."""

    name: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """A Kubernetes pod. `node` is empty while it is not scheduled, `uid` in a manifest.

    Of its annotations those are kept that say where it is wired; what they say of its traffic is `qos`.
    """

    namespace: str
    name: str
    node: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    host_network: bool = False
    phase: str = "Running"
    qos: PodQos = NO_POD_QOS
    uid: str = ""

    @property
    def key(self) -> str:
        """`<namespace>/<name>`."""
        return f"{self.namespace}/{self.name}"

    @property
    def has_own_addresses(self) -> bool:
        """Whether its addresses are its own: not the host's, and not those of a finished pod, which may be reused."""
        return not self.host_network and self.phase not in {"Succeeded", "Failed"}
