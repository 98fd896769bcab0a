"""A set of manifests to the model: every object that is valid, and every reason why another is not."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields, replace
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, TextIO, TypeAlias

from ovnqos.diagnostics import Code, Diagnostic, ObjectRef
from ovnqos.errors import InvalidObject
from ovnqos.model.networks import NetworkAttachmentDefinition
from ovnqos.model.policy import NetworkQoS
from ovnqos.model.workloads import Namespace, Node, Pod
from ovnqos.sources.documents import expand_lists, read_documents
from ovnqos.sources.egress_qos import EgressQoS, is_egress_qos, parse_egress_qos
from ovnqos.sources.network_attachments import parse_network_attachment_definition
from ovnqos.sources.network_qos import parse_policy
from ovnqos.sources.objects import parse_namespace, parse_node, parse_pod, shorten_pod
from ovnqos.sources.services import Service, parse_service
from ovnqos.sources.values import describe, show

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from ovnqos.sources.documents import Document

KubernetesObject: TypeAlias = NetworkQoS | NetworkAttachmentDefinition | Namespace | Node | Pod
_Parsed: TypeAlias = KubernetesObject | EgressQoS | Service


class _Parser(Protocol):
    def __call__(self, document: object, *, origin: str = "") -> KubernetesObject: ...


_PARSERS: dict[str, tuple[str, _Parser]] = {
    "NetworkQoS": ("k8s.ovn.org", parse_policy),
    "NetworkAttachmentDefinition": ("k8s.cni.cncf.io", parse_network_attachment_definition),
    "Namespace": ("", parse_namespace),
    "Node": ("", parse_node),
    "Pod": ("", parse_pod),
}
KINDS = frozenset(_PARSERS)
"""The kinds that are read."""
_SPELLINGS = {kind.lower(): kind for kind in _PARSERS}


def parse_object(
    document: Mapping[str, object],
    *,
    origin: str = "",
    also_keep: frozenset[str] = frozenset(),
) -> KubernetesObject | InvalidObject | None:
    """Parse an object of any kind.

    A kind is known by its API group too: other groups have a `Node` of their own. A `NetworkQoS` of another group or
    version is an InvalidObject.

    Args:
        document: the object as JSON or YAML gives it.
        origin: where it was read, for the diagnostics.
        also_keep: of pods, as in `parse_pod`.

    Returns:
        The object; or, for `Compiler.apply` to keep its last valid version in force, an InvalidObject with every error
        of it; None if it is of a kind that is not read.
    """
    kind = document.get("kind")
    if not isinstance(kind, str):
        hint = "give what it is, e.g. NetworkQoS"
        if kind is None:
            return _invalid_kind("missing", hint, origin, Code.MISSING_FIELD)
        return _invalid_kind(f"must be a string, not {describe(kind)}", hint, origin)
    if kind not in _PARSERS:
        meant = _SPELLINGS.get(kind.lower())
        if meant is None:
            return None
        return _invalid_kind(f"{show(kind)} is not a kind", f"it is spelt {meant}", origin)
    group, parse = _PARSERS[kind]
    version = document.get("apiVersion")
    if kind != "NetworkQoS" and isinstance(version, str) and version.rpartition("/")[0] != group:
        return None
    try:
        if kind == "Pod":
            return parse_pod(document, origin=origin, also_keep=also_keep)
        return parse(document, origin=origin)
    except InvalidObject as error:
        return error


def _invalid_kind(text: str, hint: str, origin: str, code: Code = Code.INVALID_FIELD) -> InvalidObject:
    ref = ObjectRef(kind="", origin=origin)
    return InvalidObject(ref, [Diagnostic.error(ref, code, text, path="kind", hint=hint)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifests:
    """What manifests hold, in the order of the documents.

    Attributes:
        policies: the valid NetworkQoS objects.
        namespaces: the namespaces that have an object; a policy's own need not.
        pods: the pods.
        nodes: the nodes.
        network_attachment_definitions: the NADs.
        egress_qos: the valid EgressQoS objects, where they are read.
        services: the Services, where they are read.
        invalid: an error for each object that is not valid, or is there a second time.
        warnings: of valid and invalid objects.
        ignored_kinds: how many objects there are of each kind that is not read.
    """

    policies: tuple[NetworkQoS, ...] = ()
    namespaces: tuple[Namespace, ...] = ()
    pods: tuple[Pod, ...] = ()
    nodes: tuple[Node, ...] = ()
    network_attachment_definitions: tuple[NetworkAttachmentDefinition, ...] = ()
    egress_qos: tuple[EgressQoS, ...] = ()
    services: tuple[Service, ...] = ()
    invalid: tuple[InvalidObject, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()
    ignored_kinds: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def objects(self) -> tuple[KubernetesObject | InvalidObject, ...]:
        """All objects, valid and invalid, for `Compiler.of`; those that others refer to come first."""
        return (
            *self.namespaces,
            *self.nodes,
            *self.network_attachment_definitions,
            *self.pods,
            *self.policies,
            *self.invalid,
        )

    @classmethod
    def joined(cls, parts: Iterable[Manifests]) -> Manifests:
        """What several parts hold, one after the other."""
        given = [*parts]
        values: dict[str, Any] = {
            one.name: tuple(chain.from_iterable(getattr(part, one.name) for part in given)) for one in fields(cls)
        }
        ignored = sum((Counter(part.ignored_kinds) for part in given), Counter[str]())
        return cls(**values | {"ignored_kinds": MappingProxyType(dict(ignored))})


def load_manifests(
    paths: Sequence[Path | str],
    *,
    stdin: TextIO | None = None,
    also_keep: frozenset[str] = frozenset(),
    also_read: frozenset[str] = frozenset(),
) -> Manifests:
    """Load Kubernetes objects from files, folders and standard input.

    One bad object never stops the others. Of two documents for one object (kind, namespace and name) the first counts,
    and the second is invalid.

    Args:
        paths: as in `read_documents`.
        stdin: as in `read_documents`.
        also_keep: of pods, as in `parse_pod`.
        also_read: further kinds to read: EgressQoS, Service.

    Raises:
        UnreadableInput: with one line for each file that cannot be read.
    """
    documents = read_documents(paths, stdin=stdin, shorten=shorten_pod)
    return parse_manifests(documents, also_keep=also_keep, also_read=also_read)


def parse_manifests(
    documents: Iterable[Document],
    *,
    also_keep: frozenset[str] = frozenset(),
    also_read: frozenset[str] = frozenset(),
) -> Manifests:
    """Parse documents, expanding lists; as `load_manifests`."""
    loader = _Loader(also_keep, also_read)
    for document in documents:
        for found in expand_lists(document):
            if isinstance(found, InvalidObject):
                loader.invalid.append(found)
            else:
                loader.add(found)
    return loader.manifests()


class _Loader:
    """Gathers objects and what is wrong with them."""

    def __init__(self, also_keep: frozenset[str], also_read: frozenset[str]) -> None:
        self._also_keep = also_keep
        self._also_read = also_read
        self.invalid: list[InvalidObject] = []
        self._objects: list[_Parsed] = []
        self._warnings: list[Diagnostic] = []
        self._ignored: Counter[str] = Counter()
        self._places: dict[tuple[str, str, str], str] = {}

    def add(self, document: Document) -> None:
        parsed = self._parse(document)
        if parsed is None:
            self._ignored[str(document.value["kind"])] += 1
            return
        kind, namespace, name = _identity(parsed)
        place = f"{document.origin}, {document.place}"
        first_place = self._places.setdefault((kind, namespace, name), place) if name else place
        origin = document.origin if name and first_place == place else place
        ref = ObjectRef(kind=kind, namespace=namespace, name=name, origin=origin)
        errors = [*document.errors, *(parsed.diagnostics if isinstance(parsed, InvalidObject) else ())]
        if first_place != place:
            text = f"already given in {first_place}"
            errors.append(Diagnostic.error(ref, Code.DUPLICATE_OBJECT, text, hint="keep one of the two"))
        self._warnings.extend(replace(warning, object=ref) for warning in _warnings(parsed))
        if errors:
            self.invalid.append(InvalidObject(ref, errors))
        elif not isinstance(parsed, InvalidObject):
            self._objects.append(parsed)

    def _parse(self, document: Document) -> _Parsed | InvalidObject | None:
        value = document.value
        try:
            if "EgressQoS" in self._also_read and is_egress_qos(value):
                return parse_egress_qos(value, origin=document.origin)
            if "Service" in self._also_read and (value.get("kind"), value.get("apiVersion")) == ("Service", "v1"):
                return parse_service(value, origin=document.origin)
        except InvalidObject as error:
            return error
        return parse_object(value, origin=document.origin, also_keep=self._also_keep)

    def manifests(self) -> Manifests:
        return Manifests(
            policies=tuple(found for found in self._objects if isinstance(found, NetworkQoS)),
            namespaces=tuple(found for found in self._objects if isinstance(found, Namespace)),
            pods=tuple(found for found in self._objects if isinstance(found, Pod)),
            nodes=tuple(found for found in self._objects if isinstance(found, Node)),
            network_attachment_definitions=tuple(
                found for found in self._objects if isinstance(found, NetworkAttachmentDefinition)
            ),
            egress_qos=tuple(found for found in self._objects if isinstance(found, EgressQoS)),
            services=tuple(found for found in self._objects if isinstance(found, Service)),
            invalid=tuple(self.invalid),
            warnings=tuple(self._warnings),
            ignored_kinds=MappingProxyType(dict(self._ignored)),
        )


def _identity(parsed: _Parsed | InvalidObject) -> tuple[str, str, str]:
    """The kind, namespace and name of an object; each empty where there is none, or where it is not valid."""
    if isinstance(parsed, InvalidObject):
        return parsed.object.kind, parsed.object.namespace, parsed.object.name
    namespace = "" if isinstance(parsed, (Namespace, Node)) else parsed.namespace
    return type(parsed).__name__, namespace, parsed.name


def _warnings(parsed: _Parsed | InvalidObject) -> tuple[Diagnostic, ...]:
    """The warnings of a parser; those of pods' and namespaces' annotations are said by the compiler."""
    if isinstance(parsed, InvalidObject):
        return parsed.warnings
    return () if isinstance(parsed, (Namespace, Node, Pod, Service)) else parsed.diagnostics
