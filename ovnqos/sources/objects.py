"""What all Kubernetes objects have in common: a kind, a name, labels, and one error for all their faults."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ovnqos.errors import InvalidObject
from ovnqos.sources.fields import Fields, Report, describe
from ovnqos.sources.names import dns_label_fault, dns_subdomain_fault

if TYPE_CHECKING:
    from ovnqos.sources.fields import Warn

DEFAULT_NAMESPACE = "default"
"""The namespace of an object that names none, as kubectl has it without a context."""


def subject_of(kind: str, namespace: str, name: str, origin: str) -> str:
    """An object in words: `NetworkQoS default/qos-external (nqos.yaml)`. Without a name only its kind can be told."""
    whole_name = f"{namespace}/{name}" if namespace and name else name
    words = f"{kind} {whole_name}" if whole_name else kind
    return f"{words} ({origin})" if origin else words


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectKind:
    """What is said of a kind to read its objects.

    Attributes:
        name: the kind.
        namespaced: whether it lives in namespaces.
        dotted_names: whether names are DNS subdomains; else they are DNS labels.
        policed: whether unknown fields are warned of.
        error: the class of the error that tells the faults.
    """

    name: str
    namespaced: bool = True
    dotted_names: bool = True
    policed: bool = False
    error: type[InvalidObject] = InvalidObject


class ObjectReader:
    """The reader of one object: its metadata, read; the rest by `root`; at the end `check`.

    Attributes:
        root: the reader of the object itself.
        metadata: the reader of its metadata; of an empty mapping when there is none.
        namespace: its namespace; empty for a cluster-wide kind, or when it is faulty.
        name: its name; empty when it is missing or faulty.
        labels: its labels.

    Args:
        document: the object.
        kind: what it is.
        origin: where it was read, for the errors; may be empty.

    Raises:
        InvalidObject: the document is no mapping.
    """

    def __init__(self, document: object, kind: ObjectKind, *, origin: str) -> None:
        self._kind = kind
        self._origin = origin
        self._report = Report()
        self.namespace = self.name = ""
        if not isinstance(document, Mapping):
            self._report.fault("", f"must be a mapping, not {describe(document)}")
            raise self._invalid()
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
        fault = dns_subdomain_fault(name) if dotted else dns_label_fault(name)
        if fault:
            self.metadata.fault(key, fault)
            return ""
        return sys.intern(name)

    def check(self, warn: Warn | None) -> None:
        """Tell the warnings, then raise if there is a fault.

        Raises:
            InvalidObject: of the class given; it holds all faults.
        """
        if warn is not None:
            self._report.warn_of_unknown_fields()
            for warning in self._report.warnings:
                warn(warning)
        if self._report.faults:
            raise self._invalid()

    def _invalid(self) -> InvalidObject:
        kind = self._kind.name
        subject = subject_of(kind, self.namespace, self.name, self._origin)
        return self._kind.error(subject, self._report.faults, kind=kind, namespace=self.namespace, name=self.name)
