"""What all Kubernetes objects have in common: kind, name and labels; and label selectors (`metav1.LabelSelector`)."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass

from ovnqos.diagnostics import Code, Diagnostic, ObjectRef
from ovnqos.errors import InvalidObject
from ovnqos.model.labels import EVERYTHING, LabelSelector, Operator, Requirement
from ovnqos.sources.fields import Fields, Report
from ovnqos.sources.values import (
    child_path,
    describe,
    dns_label_error,
    dns_subdomain_error,
    label_key_error,
    label_value_error,
    show,
    suggest,
)

DEFAULT_NAMESPACE = "default"
"""The namespace of an object that names none, as kubectl has it without a context."""
_OPERATORS = {operator.value: operator for operator in Operator}
_WITH_VALUES = frozenset({Operator.IN, Operator.NOT_IN})
_OPERATOR_WORDS = "In, NotIn, Exists or DoesNotExist"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectKind:
    """What is said of a kind to read its objects.

    Attributes:
        name: the kind.
        namespaced: whether it lives in namespaces.
        dotted_names: whether names are DNS subdomains; else they are DNS labels.
        warn_unknown: whether unknown fields are warnings.
    """

    name: str
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
        self._report = Report()
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
        """Return the warnings if there is no error.

        Raises:
            InvalidObject: with every error and warning.
        """
        return self._report.finish(lambda: self.ref)


def read_selector(fields: Fields, key: str, *, required: str = "") -> LabelSelector | None:
    """Read the label selector in a field.

    Args:
        fields: the mapping that holds it.
        key: the field.
        required: what to give when it is absent; makes absence an error.

    Returns:
        The selector; None when absent or invalid. An invalid requirement is an error and left out.
    """
    selector = fields.mapping(key, required=required)
    if selector is None:
        return None
    requirements = _match_labels(selector)
    for expression in selector.mappings("matchExpressions") or ():
        requirement = _requirement(expression)
        if requirement is not None:
            requirements.append(requirement)
    return LabelSelector.of(requirements) if requirements else EVERYTHING


def _match_labels(selector: Fields) -> list[Requirement]:
    requirements = []
    for key, value in selector.string_map("matchLabels").items():
        error = label_key_error(key) or label_value_error(value)
        if error:
            selector.invalid(child_path("matchLabels", key), error)
        requirements.append(Requirement(key=key, operator=Operator.IN, values=frozenset((value,))))
    return requirements


def _requirement(expression: Fields) -> Requirement | None:
    key = expression.string("key", required="name the label")
    if key is not None and (error := label_key_error(key)):
        expression.invalid("key", error)
    word = expression.string("operator", required=f"use {_OPERATOR_WORDS}")
    values = expression.strings("values")
    for index, value in values.items():
        if error := label_value_error(value):
            expression.invalid(f"values[{index}]", error)
    if word is None:
        return None
    operator = _OPERATORS.get(word)
    if operator is None:
        expression.error(
            "operator", f"{show(word)} is not an operator", f"use {_OPERATOR_WORDS}", suggest(word, _OPERATORS)
        )
        return None
    if operator in _WITH_VALUES and not expression.get("values"):
        expression.missing("values", f"operator {operator} needs at least one value")
    if operator not in _WITH_VALUES and values:
        expression.error("values", f"operator {operator} takes no values", "remove them, or use In or NotIn")
    if key is None:
        return None
    return Requirement(key=key, operator=operator, values=frozenset(values.values()))
