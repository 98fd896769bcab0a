"""A set of manifests to the model: every object that is valid, and every reason why another is not."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, TextIO

from ovnqos.diagnostics import Code, Diagnostic, ObjectRef
from ovnqos.errors import InvalidObject
from ovnqos.model.networks import NetworkAttachmentDefinition
from ovnqos.model.policy import NetworkQoS
from ovnqos.model.workloads import Namespace, Node, Pod
from ovnqos.sources.documents import read_documents
from ovnqos.sources.kinds import KubernetesObject, parse_object
from ovnqos.sources.lists import expand_lists

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from ovnqos.sources.documents import Document


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifests:
    """What manifests hold, in the order of the documents.

    Attributes:
        policies: the valid NetworkQoS objects.
        namespaces: the namespaces that have an object; a policy's own need not.
        pods: the pods.
        nodes: the nodes.
        network_attachment_definitions: the NADs.
        invalid: an error for each object that is not valid, or is there a second time.
        warnings: of valid and invalid objects.
        ignored_kinds: how many objects there are of each kind that is not read.
    """

    policies: tuple[NetworkQoS, ...] = ()
    namespaces: tuple[Namespace, ...] = ()
    pods: tuple[Pod, ...] = ()
    nodes: tuple[Node, ...] = ()
    network_attachment_definitions: tuple[NetworkAttachmentDefinition, ...] = ()
    invalid: tuple[InvalidObject, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()
    ignored_kinds: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


def load_manifests(
    paths: Sequence[Path | str], *, stdin: TextIO | None = None, also_keep: frozenset[str] = frozenset()
) -> Manifests:
    """Load Kubernetes objects from files, folders and standard input.

    One bad object never stops the others. Of two documents for one object (kind, namespace and name) the first counts,
    and the second is invalid.

    Args:
        paths: as in `read_documents`.
        stdin: as in `read_documents`.
        also_keep: of pods, as in `parse_pod`.

    Raises:
        UnreadableInput: with one line for each file that cannot be read.
    """
    return parse_manifests(read_documents(paths, stdin=stdin), also_keep=also_keep)


def parse_manifests(documents: Iterable[Document], *, also_keep: frozenset[str] = frozenset()) -> Manifests:
    """Parse documents, expanding lists; as `load_manifests`."""
    loader = _Loader(also_keep)
    for document in documents:
        for found in expand_lists(document):
            if isinstance(found, InvalidObject):
                loader.invalid.append(found)
            else:
                loader.add(found)
    return loader.manifests()


class _Loader:
    """Gathers objects and what is wrong with them."""

    def __init__(self, also_keep: frozenset[str]) -> None:
        self._also_keep = also_keep
        self.invalid: list[InvalidObject] = []
        self._objects: list[KubernetesObject] = []
        self._warnings: list[Diagnostic] = []
        self._ignored: Counter[str] = Counter()
        self._places: dict[tuple[str, str, str], str] = {}

    def add(self, document: Document) -> None:
        warnings: list[Diagnostic] = []
        parsed = parse_object(document.value, origin=document.origin, warn=warnings.append, also_keep=self._also_keep)
        if parsed is None:
            self._ignored[str(document.value["kind"])] += 1
            return
        kind, namespace, name = _identity(parsed)
        place = f"{document.origin}, {document.place}"
        first_place = self._places.setdefault((kind, namespace, name), place) if name else place
        origin = document.origin if name and first_place == place else place
        ref = ObjectRef(kind=kind, namespace=namespace, name=name, origin=origin)
        errors = list(document.errors)
        if isinstance(parsed, InvalidObject):
            errors.extend(parsed.diagnostics)
        if first_place != place:
            text = f"the same object is in {first_place} already"
            errors.append(Diagnostic.error(ref, Code.DUPLICATE_OBJECT, text, hint="keep one of the two"))
        self._warnings.extend(replace(warning, object=ref) for warning in warnings)
        if errors:
            self.invalid.append(InvalidObject(ref, errors))
        elif not isinstance(parsed, InvalidObject):
            self._objects.append(parsed)

    def manifests(self) -> Manifests:
        return Manifests(
            policies=tuple(found for found in self._objects if isinstance(found, NetworkQoS)),
            namespaces=tuple(found for found in self._objects if isinstance(found, Namespace)),
            pods=tuple(found for found in self._objects if isinstance(found, Pod)),
            nodes=tuple(found for found in self._objects if isinstance(found, Node)),
            network_attachment_definitions=tuple(
                found for found in self._objects if isinstance(found, NetworkAttachmentDefinition)
            ),
            invalid=tuple(self.invalid),
            warnings=tuple(self._warnings),
            ignored_kinds=MappingProxyType(dict(self._ignored)),
        )


def _identity(parsed: KubernetesObject | InvalidObject) -> tuple[str, str, str]:
    """The kind, namespace and name of an object; each empty where there is none, or where it is not valid."""
    if isinstance(parsed, InvalidObject):
        return parsed.object.kind, parsed.object.namespace, parsed.object.name
    namespace = "" if isinstance(parsed, (Namespace, Node)) else parsed.namespace
    return type(parsed).__name__, namespace, parsed.name
