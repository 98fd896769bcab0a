"""Pods, namespaces and nodes: of each only what QoS needs, so that a large cluster stays small in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

POD_ANNOTATIONS = frozenset({"k8s.ovn.org/pod-networks"})
"""The annotations kept of a pod."""
NODE_ANNOTATIONS = frozenset({"k8s.ovn.org/zone-name"})
"""The annotations kept of a node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """A Kubernetes namespace."""

    name: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A Kubernetes node with its `NODE_ANNOTATIONS`."""

    name: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """A Kubernetes pod with its `POD_ANNOTATIONS`. `node` is empty while it is not scheduled."""

    namespace: str
    name: str
    node: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    host_network: bool = False
    phase: str = "Running"

    @property
    def key(self) -> str:
        """`<namespace>/<name>`."""
        return f"{self.namespace}/{self.name}"

    @property
    def has_own_addresses(self) -> bool:
        """Whether its addresses are its own: not the host's, and not those of a finished pod, which may be reused."""
        return not self.host_network and self.phase not in {"Succeeded", "Failed"}
