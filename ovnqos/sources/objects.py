"""What all Kubernetes objects have in common, and pods, namespaces and nodes, which are read for little more.

That is kind, name and labels. Pods, namespaces and nodes are read as the API server prints them: lenient about what is
missing, strict about types.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from ovnqos.diagnostics import Code, Diagnostic, ObjectRef
from ovnqos.errors import InvalidObject
from ovnqos.model.workloads import (
    ALLOCATED,
    ANNOTATION_LENGTH_MAXIMUM,
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
    is_pod_qos_key,
)
from ovnqos.sources.fields import Fields, ParseReport, dns_label_error, dns_subdomain_error
from ovnqos.sources.pod_annotations import read_pod_qos
from ovnqos.sources.values import describe, show

if TYPE_CHECKING:
    from collections.abc import Callable


DEFAULT_NAMESPACE = "default"
"""The namespace of an object that names none, as kubectl has it without a context."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectKind:
    """What is said of a kind to read its objects.

    Attributes:
        name: the kind.
        api_version: the only one that is read; empty: neither it nor the kind is looked at.
        namespaced: whether it lives in namespaces.
        dotted_names: whether names are DNS subdomains; else they are DNS labels.
        warn_unknown: whether unknown fields are warnings.
    """

    name: str
    api_version: str = ""
    namespaced: bool = True
    dotted_names: bool = True
    warn_unknown: bool = False


class ObjectReader:
    """The reader of one object: its metadata, read; the rest by `root`; at the end `check`.

    Attributes:
        root: the reader of the object itself.
        metadata: the reader of its metadata; of an empty mapping when there is none.
        namespace: its namespace; empty for a cluster-wide kind, or when it is invalid.
        name: its name; empty when it is missing or invalid.
        labels: its labels.

    Args:
        document: the object.
        kind: what it is.
        origin: where it was read, for the diagnostics; may be empty.

    Raises:
        InvalidObject: the document is no mapping.
    """

    def __init__(self, document: object, kind: ObjectKind, *, origin: str) -> None:
        self._kind = kind
        self._origin = origin
        self._report = ParseReport()
        self.namespace = self.name = ""
        if not isinstance(document, Mapping):
            text = f"must be a mapping, not {describe(document)}"
            raise InvalidObject(self.ref, [Diagnostic.error(self.ref, Code.INVALID_FIELD, text)])
        self.root = Fields(document, self._report, warn_unknown=kind.warn_unknown)
        for key in ("kind", "status"):
            self.root.get(key)
        metadata = self.root.mapping("metadata", warn_unknown=False)
        self.metadata = (
            metadata if metadata is not None else Fields({}, self._report, place="metadata", warn_unknown=False)
        )
        if metadata is not None or not self.root.has("metadata"):
            self.name = self._named("name", dotted=kind.dotted_names, required="name the object")
            if kind.namespaced:
                given = self.metadata.has("namespace")
                self.namespace = self._named("namespace", dotted=False) if given else DEFAULT_NAMESPACE
        self.labels = {sys.intern(key): sys.intern(value) for key, value in self.metadata.string_map("labels").items()}

        if kind.api_version:
            self._check("apiVersion", kind.api_version, f"is not supported; use {kind.api_version}")
            self._check("kind", kind.name, f"is not {kind.name}")

    def _check(self, key: str, expected: str, wrong: str) -> None:
        found = self.root.string(key, required=f"use {expected}")
        if found not in {None, expected}:
            text, _, hint = wrong.partition("; ")
            self.root.error(key, f"{show(found)} {text}", hint)

    def _named(self, key: str, *, dotted: bool, required: str = "") -> str:
        name = self.metadata.string(key, required=required)
        if name is None:
            return ""
        error = dns_subdomain_error(name) if dotted else dns_label_error(name)
        if error:
            self.metadata.invalid(key, error)
            return ""
        return sys.intern(name)

    @property
    def ref(self) -> ObjectRef:
        """The object."""
        return ObjectRef(kind=self._kind.name, namespace=self.namespace, name=self.name, origin=self._origin)

    @property
    def ref_without_origin(self) -> ObjectRef:
        """The object, for diagnostics that outlive its document."""
        return ObjectRef(kind=self._kind.name, namespace=self.namespace, name=self.name)

    def check(self) -> tuple[Diagnostic, ...]:
        """Return the warnings if there is no error; raises InvalidObject with every error and warning."""
        return self._report.finish(lambda: self.ref)


_NAMESPACE = ObjectKind(name="Namespace", namespaced=False, dotted_names=False)
_NODE = ObjectKind(name="Node", namespaced=False)
_POD = ObjectKind(name="Pod")
_POD_FIELDS = {
    "metadata": ("name", "namespace", "uid", "labels", "annotations"),
    "spec": ("nodeName", "hostNetwork"),
    "status": ("phase",),
}
_OF_FEW_VALUES = (LOGICAL_SWITCH, LOGICAL_ROUTER, ALLOCATED)


@lru_cache(maxsize=1024)  # a cluster has few keys, and many pods with each
def keeps_pod_annotation(key: str) -> bool:
    """Whether a pod's annotation means something here: where it is wired, or a limit or mark of its own.

    The others are dropped: of a large cluster they would be most of the memory.
    """
    return key in POD_ANNOTATIONS or key.endswith(POD_ANNOTATION_SUFFIXES) or is_pod_qos_key(key)


def shorten_pod(document: dict[str, object]) -> Mapping[str, object]:
    """Of a Pod only what `parse_pod` reads, some hundred bytes of several thousand; another document as it is."""
    if document.get("kind") != "Pod":
        return document
    return {key: _shortened(value, _POD_FIELDS.get(key)) for key, value in document.items()}


def _shortened(value: object, kept: tuple[str, ...] | None) -> object:
    if kept is None or not isinstance(value, dict):
        return value
    return {key: value[key] for key in kept if key in value}


def parse_namespace(document: object, *, origin: str = "") -> Namespace:
    """Parse a Namespace; what is wrong with its QoS annotations is in its `qos`, and does not make it invalid.

    Raises:
        InvalidObject: with every error of the object.
    """
    reader = ObjectReader(document, _NAMESPACE, origin=origin)
    annotations = _kept_annotations(reader.metadata, is_pod_qos_key)
    uid = reader.metadata.string("uid") or ""
    reader.check()
    qos = _qos(annotations, reader)
    return Namespace(name=reader.name, labels=reader.labels, qos=qos, uid=uid)


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
    uid = reader.metadata.string("uid") or ""
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
        uid=uid,
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
                text = text[: ANNOTATION_LENGTH_MAXIMUM + 1]  # longer than may be: who reads it says so
                kept[sys.intern(key)] = sys.intern(text) if key.endswith(_OF_FEW_VALUES) else text
    return kept
