"""Namespaces, pods and nodes, as the API server prints them: lenient about what is missing, strict about types."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ovnqos.model.workloads import NODE_ANNOTATIONS, POD_ANNOTATIONS, Namespace, Node, Pod
from ovnqos.sources.objects import ObjectKind, ObjectReader

if TYPE_CHECKING:
    from ovnqos.sources.fields import Fields, Warn

_NAMESPACE = ObjectKind(name="Namespace", namespaced=False, dotted_names=False)
_NODE = ObjectKind(name="Node", namespaced=False)
_POD = ObjectKind(name="Pod")


def parse_namespace(document: object, *, origin: str = "", warn: Warn | None = None) -> Namespace:
    """Parse a Namespace.

    Raises:
        InvalidObject: with every fault of the object.
    """
    reader = ObjectReader(document, _NAMESPACE, origin=origin)
    reader.check(warn)
    return Namespace(name=reader.name, labels=reader.labels)


def parse_node(document: object, *, origin: str = "", warn: Warn | None = None) -> Node:
    """Parse a Node; of its annotations only `NODE_ANNOTATIONS` are kept.

    Raises:
        InvalidObject: with every fault of the object.
    """
    reader = ObjectReader(document, _NODE, origin=origin)
    annotations = _annotations(reader.metadata, NODE_ANNOTATIONS)
    reader.check(warn)
    return Node(name=reader.name, labels=reader.labels, annotations=annotations)


def parse_pod(document: object, *, origin: str = "", warn: Warn | None = None) -> Pod:
    """Parse a Pod; of its annotations only `POD_ANNOTATIONS` are kept.

    A pod without `status.phase`, as manifests have it, is taken to run.

    Raises:
        InvalidObject: with every fault of the object.
    """
    reader = ObjectReader(document, _POD, origin=origin)
    annotations = _annotations(reader.metadata, POD_ANNOTATIONS)
    node = phase = None
    host_network = False
    spec = reader.root.mapping("spec", policed=False)
    if spec is not None:
        node = spec.string("nodeName")
        host_network = spec.boolean("hostNetwork") or False
    status = reader.root.mapping("status", policed=False)
    if status is not None:
        phase = status.string("phase")
    reader.check(warn)
    return Pod(
        namespace=reader.namespace,
        name=reader.name,
        node=sys.intern(node or ""),
        labels=reader.labels,
        annotations=annotations,
        host_network=host_network,
        phase=sys.intern(phase or "Running"),
    )


def _annotations(metadata: Fields, kept: frozenset[str]) -> dict[str, str]:
    annotations = metadata.mapping("annotations", policed=False)
    if annotations is None:
        return {}
    texts = {key: annotations.string(key) for key in kept}
    return {key: text for key, text in texts.items() if text is not None}
