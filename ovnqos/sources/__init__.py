"""From Kubernetes documents to the model."""

from ovnqos.sources.documents import Document, read_documents
from ovnqos.sources.manifests import KINDS, KubernetesObject, Manifests, load_manifests, parse_manifests, parse_object
from ovnqos.sources.network_attachments import parse_network_attachment_definition
from ovnqos.sources.network_qos import parse_policy
from ovnqos.sources.objects import parse_namespace, parse_node, parse_pod

__all__ = [
    "KINDS",
    "Document",
    "KubernetesObject",
    "Manifests",
    "load_manifests",
    "parse_manifests",
    "parse_namespace",
    "parse_network_attachment_definition",
    "parse_node",
    "parse_object",
    "parse_pod",
    "parse_policy",
    "read_documents",
]
