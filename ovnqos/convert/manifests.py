"""Documents to the objects of a conversion: the kinds that are read elsewhere too, and EgressQoS."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ovnqos.convert.conversion import ClusterObjects
from ovnqos.diagnostics import Code, Diagnostic, ObjectRef
from ovnqos.errors import InvalidObject
from ovnqos.sources.documents import expand_lists
from ovnqos.sources.egress_qos import EGRESS_QOS_API_VERSION, EGRESS_QOS_KIND, parse_egress_qos
from ovnqos.sources.manifests import parse_manifests

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovnqos.sources.documents import Document
    from ovnqos.sources.egress_qos import EgressQoS

_GROUP = EGRESS_QOS_API_VERSION.rpartition("/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedObjects:
    """The valid objects, an error for each that is not, and what is odd about any."""

    objects: ClusterObjects
    invalid: tuple[InvalidObject, ...]
    warnings: tuple[Diagnostic, ...]


def parse_cluster_objects(documents: Iterable[Document]) -> LoadedObjects:
    """Parse documents, expanding lists, as `ovnqos.sources.parse_manifests` does; EgressQoS objects too."""
    others: list[Document] = []
    egress_qos: list[Document] = []
    invalid: list[InvalidObject] = []
    for document in documents:
        for found in expand_lists(document):
            if isinstance(found, InvalidObject):
                invalid.append(found)
            else:
                (egress_qos if _is_egress_qos(found) else others).append(found)
    manifests = parse_manifests(others)
    marks = _EgressQoSLoader()
    for document in egress_qos:
        marks.add(document)
    return LoadedObjects(
        objects=ClusterObjects(
            pods=manifests.pods,
            namespaces=manifests.namespaces,
            network_attachment_definitions=manifests.network_attachment_definitions,
            policies=manifests.policies,
            egress_qos=tuple(marks.objects.values()),
        ),
        invalid=(*invalid, *manifests.invalid, *marks.invalid),
        warnings=(*manifests.warnings, *marks.warnings),
    )


def _is_egress_qos(document: Document) -> bool:
    """By kind and API group: another group may have the kind too."""
    version = document.value.get("apiVersion")
    of_group = not isinstance(version, str) or version.rpartition("/")[0] == _GROUP
    return document.value.get("kind") == EGRESS_QOS_KIND and of_group


class _EgressQoSLoader:
    """Gathers EgressQoS objects, by namespace, and what is wrong with them."""

    def __init__(self) -> None:
        self.objects: dict[str, EgressQoS] = {}
        self.invalid: list[InvalidObject] = []
        self.warnings: list[Diagnostic] = []

    def add(self, document: Document) -> None:
        errors = list(document.errors)
        found = None
        try:
            found = parse_egress_qos(document.value, origin=document.origin)
            namespace, name, warnings = found.namespace, found.name, found.diagnostics
        except InvalidObject as error:
            errors.extend(error.diagnostics)
            namespace, name, warnings = error.object.namespace, error.object.name, error.warnings
        origin = f"{document.origin}, {document.place}"
        ref = ObjectRef(kind=EGRESS_QOS_KIND, namespace=namespace, name=name, origin=origin)
        if found is not None and namespace in self.objects:
            text = "the same object is given twice"
            errors.append(Diagnostic.error(ref, Code.DUPLICATE_OBJECT, text, hint="keep one of the two"))
        self.warnings.extend(replace(warning, object=ref) for warning in warnings)
        if errors:
            self.invalid.append(InvalidObject(ref, errors))
        elif found is not None:
            self.objects[namespace] = found
