"""Pods, namespaces and nodes: of each only what QoS needs, so that a large cluster stays small in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ovnqos.model.pod_qos import NO_POD_QOS, PodQos

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    """A Kubernetes namespace; `qos` is what its annotations say for those of its pods that say nothing."""

    name: str
    labels: Mapping[str, str]
    qos: PodQos = NO_POD_QOS


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A Kubernetes node with its `NODE_ANNOTATIONS`."""

    name: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """A Kubernetes pod. `node` is empty while it is not scheduled.

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

    @property
    def key(self) -> str:
        """`<namespace>/<name>`."""
        return f"{self.namespace}/{self.name}"

    @property
    def has_own_addresses(self) -> bool:
        """Whether its addresses are its own: not the host's, and not those of a finished pod, which may be reused."""
        return not self.host_network and self.phase not in {"Succeeded", "Failed"}
