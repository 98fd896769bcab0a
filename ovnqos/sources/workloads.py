"""Namespaces, pods and nodes, as the API server prints them: lenient about what is missing, strict about types."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from ovnqos.model.workloads import (
    ALLOCATED,
    LOGICAL_ROUTER,
    LOGICAL_SWITCH,
    NO_POD_QOS,
    NODE_ANNOTATIONS,
    POD_ANNOTATION_SUFFIXES,
    POD_ANNOTATIONS,
    Namespace,
    Node,
    Pod,
    PodQos,
)
from ovnqos.sources.objects import ObjectKind, ObjectReader
from ovnqos.sources.pod_annotations import is_pod_qos_key, read_pod_qos

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovnqos.sources.fields import Fields

_NAMESPACE = ObjectKind(name="Namespace", namespaced=False, dotted_names=False)
_NODE = ObjectKind(name="Node", namespaced=False)
_POD = ObjectKind(name="Pod")
_OF_FEW_VALUES = (LOGICAL_SWITCH, LOGICAL_ROUTER, ALLOCATED)


@lru_cache(maxsize=1024)  # a cluster has few keys, and many pods with each
def keeps_pod_annotation(key: str) -> bool:
    """Whether a pod's annotation means something here: where it is wired, or a limit or mark of its own.

    The others are dropped: of a large cluster they would be most of the memory.
    """
    return key in POD_ANNOTATIONS or key.endswith(POD_ANNOTATION_SUFFIXES) or is_pod_qos_key(key)


def parse_namespace(document: object, *, origin: str = "") -> Namespace:
    """Parse a Namespace; what is wrong with its QoS annotations is in its `qos`, and does not make it invalid.

    Raises:
        InvalidObject: with every error of the object.
    """
    reader = ObjectReader(document, _NAMESPACE, origin=origin)
    annotations = _kept_annotations(reader.metadata, is_pod_qos_key)
    reader.check()
    return Namespace(name=reader.name, labels=reader.labels, qos=_qos(annotations, reader))


def parse_node(document: object, *, origin: str = "") -> Node:
    """Parse a Node; of its annotations only `NODE_ANNOTATIONS` are kept.

    Raises:
        InvalidObject: with every error of the object.
    """
    reader = ObjectReader(document, _NODE, origin=origin)
    annotations = _annotations(reader.metadata, NODE_ANNOTATIONS)
    reader.check()
    return Node(name=reader.name, labels=reader.labels, annotations=annotations)


def parse_pod(
    document: object,
    *,
    origin: str = "",
    also_keep: frozenset[str] = frozenset(),
) -> Pod:
    """Parse a Pod; what is wrong with its QoS annotations is in its `qos`, and does not make it invalid.

    A pod without `status.phase`, as manifests have it, is taken to run.

    Args:
        document: the object.
        origin: where it was read, for the diagnostics.
        also_keep: annotations to keep, of this pod, besides those of `keeps_pod_annotation`: those that a topology map
            needs.

    Raises:
        InvalidObject: with every error of the object.
    """
    reader = ObjectReader(document, _POD, origin=origin)
    annotations = _kept_annotations(
        reader.metadata,
        (lambda key: key in also_keep or keeps_pod_annotation(key)) if also_keep else keeps_pod_annotation,
    )
    node = phase = None
    host_network = False
    spec = reader.root.mapping("spec", warn_unknown=False)
    if spec is not None:
        node = spec.string("nodeName")
        host_network = spec.boolean("hostNetwork") or False
    status = reader.root.mapping("status", warn_unknown=False)
    if status is not None:
        phase = status.string("phase")
    reader.check()
    qos = _qos(annotations, reader)
    return Pod(
        namespace=reader.namespace,
        name=reader.name,
        node=sys.intern(node or ""),
        labels=reader.labels,
        annotations=annotations,
        host_network=host_network,
        phase=sys.intern(phase or "Running"),
        qos=qos,
    )


def _qos(annotations: dict[str, str], reader: ObjectReader) -> PodQos:
    """What the QoS annotations say; they are taken out."""
    found = {key: annotations.pop(key) for key in [*annotations] if is_pod_qos_key(key)}
    return read_pod_qos(found, reader.ref_without_origin) if found else NO_POD_QOS


def _annotations(metadata: Fields, kept: frozenset[str]) -> dict[str, str]:
    annotations = metadata.mapping("annotations", warn_unknown=False)
    if annotations is None:
        return {}
    texts = {key: annotations.string(key) for key in kept}
    return {key: text for key, text in texts.items() if text is not None}


def _kept_annotations(metadata: Fields, keeps: Callable[[str], bool]) -> dict[str, str]:
    given = metadata.get("annotations")
    annotations = metadata.mapping("annotations", warn_unknown=False)
    if annotations is None or not isinstance(given, (dict, Mapping)):
        return {}
    kept = {}
    for key in given:
        if isinstance(key, str) and keeps(key):
            text = annotations.string(key)
            if text is not None:
                kept[sys.intern(key)] = sys.intern(text) if key.endswith(_OF_FEW_VALUES) else text
    return kept
