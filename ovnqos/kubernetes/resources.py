"""What the daemon reads from the Kubernetes API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from ovnqos.model.networks import NetworkAttachmentDefinition
from ovnqos.model.policy import NetworkQoS
from ovnqos.model.workloads import Namespace, Node, Pod
from ovnqos.sources import parse_namespace, parse_network_attachment_definition, parse_node, parse_pod, parse_policy

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovnqos.diagnostics import Diagnostic

WatchedObject: TypeAlias = NetworkQoS | NetworkAttachmentDefinition | Namespace | Node | Pod


class Parser(Protocol):
    """Makes an object of a document, or raises `InvalidObject` with every error."""

    def __call__(self, document: object, *, warn: Callable[[Diagnostic], None] | None = None) -> WatchedObject:
        """Parses; each warning goes to `warn`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A collection of the Kubernetes API, in all namespaces.

    Attributes:
        kind: the kind of its objects.
        path: where the API serves it.
        parse: from a document to the object that is kept of it.
        optional: whether a cluster may lack it; then HTTP 404 means that it has no objects.
    """

    kind: str
    path: str
    parse: Parser
    optional: bool = False


NETWORK_QOSES = Resource(kind="NetworkQoS", path="/apis/k8s.ovn.org/v1alpha1/networkqoses", parse=parse_policy)
PODS = Resource(kind="Pod", path="/api/v1/pods", parse=parse_pod)
NAMESPACES = Resource(kind="Namespace", path="/api/v1/namespaces", parse=parse_namespace)
NODES = Resource(kind="Node", path="/api/v1/nodes", parse=parse_node)
NETWORK_ATTACHMENT_DEFINITIONS = Resource(
    kind="NetworkAttachmentDefinition",
    path="/apis/k8s.cni.cncf.io/v1/network-attachment-definitions",
    parse=parse_network_attachment_definition,
    optional=True,  # a cluster without secondary networks
)
RESOURCES = (NETWORK_QOSES, PODS, NAMESPACES, NODES, NETWORK_ATTACHMENT_DEFINITIONS)
"""All that the daemon reads."""
