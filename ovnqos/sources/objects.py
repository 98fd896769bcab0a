"""What all Kubernetes objects have in common: a kind, a name, labels, and one error for all that is wrong."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ovnqos.diagnostics import Code, Diagnostic, ObjectRef
from ovnqos.errors import InvalidObject
from ovnqos.sources.fields import Fields, Report, describe
from ovnqos.sources.names import dns_label_error, dns_subdomain_error

if TYPE_CHECKING:
    from ovnqos.sources.fields import Warn

DEFAULT_NAMESPACE = "default"
"""The namespace of an object that names none, as kubectl has it without a context."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectKind:
    """What is said of a kind to read its objects.

    Attributes:
        name: the kind.
        namespaced: whether it lives in namespaces.
        dotted_names: whether names are DNS subdomains; else they are DNS labels.
        policed: whether unknown fields are warned of.
    """

    name: str
    namespaced: bool = True
    dotted_names: bool = True
    policed: bool = False


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
        self._report = Report()
        self.namespace = self.name = ""
        if not isinstance(document, Mapping):
            text = f"must be a mapping, not {describe(document)}"
            raise InvalidObject(self.ref, [Diagnostic.error(self.ref, Code.INVALID_FIELD, text)])
        self.root = Fields(document, self._report, policed=kind.policed)
        for key in ("kind", "status"):
            self.root.get(key)
        metadata = self.root.mapping("metadata", policed=False)
        self.metadata = metadata if metadata is not None else Fields({}, self._report, place="metadata", policed=False)
        if metadata is not None or not self.root.has("metadata"):
            self.name = self._named("name", dotted=kind.dotted_names, required="name the object")
            if kind.namespaced:
                given = self.metadata.has("namespace")
                self.namespace = self._named("namespace", dotted=False) if given else DEFAULT_NAMESPACE
        self.labels = {sys.intern(key): sys.intern(value) for key, value in self.metadata.string_map("labels").items()}

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

    def check(self, warn: Warn | None) -> None:
        """Hand out the warnings, then raise if there is an error.

        Raises:
            InvalidObject: with every error.
        """
        self._report.finish(self.ref, warn)
