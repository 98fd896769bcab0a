"""Kubernetes label selectors (`metav1.LabelSelector`): matchLabels and matchExpressions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovnqos.model.labels import EVERYTHING, LabelSelector, Operator, Requirement
from ovnqos.sources.fields import child_path, show, suggest
from ovnqos.sources.names import label_key_error, label_value_error

if TYPE_CHECKING:
    from ovnqos.sources.fields import Fields

_OPERATORS = {operator.value: operator for operator in Operator}
_WITH_VALUES = frozenset({Operator.IN, Operator.NOT_IN})
_OPERATOR_WORDS = "In, NotIn, Exists or DoesNotExist"


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
