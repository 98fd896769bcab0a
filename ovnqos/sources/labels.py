"""Kubernetes label selectors (`metav1.LabelSelector`): matchLabels and matchExpressions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovnqos.model.labels import EVERYTHING, LabelSelector, Operator, Requirement
from ovnqos.sources.fields import child_path, show, suggest
from ovnqos.sources.names import label_key_fault, label_value_fault

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
        required: what to give when it is absent; makes absence a fault.

    Returns:
        The selector; None when absent or faulty. A faulty requirement is a fault and left out.
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
        fault = label_key_fault(key) or label_value_fault(value)
        if fault:
            selector.fault(child_path("matchLabels", key), fault)
        requirements.append(Requirement(key=key, operator=Operator.IN, values=frozenset((value,))))
    return requirements


def _requirement(expression: Fields) -> Requirement | None:
    key = expression.string("key", required="name the label")
    if key is not None and (fault := label_key_fault(key)):
        expression.fault("key", fault)
    word = expression.string("operator", required=f"use {_OPERATOR_WORDS}")
    values = expression.strings("values")
    for index, value in values.items():
        if fault := label_value_fault(value):
            expression.fault(f"values[{index}]", fault)
    if word is None:
        return None
    operator = _OPERATORS.get(word)
    if operator is None:
        expression.fault(
            "operator", f"{show(word)} is not an operator; use {_OPERATOR_WORDS}{suggest(word, _OPERATORS)}"
        )
        return None
    if operator in _WITH_VALUES and not expression.get("values"):
        expression.fault("values", f"missing; operator {operator} needs at least one value")
    if operator not in _WITH_VALUES and values:
        expression.fault("values", f"operator {operator} takes no values; remove them, or use In or NotIn")
    if key is None:
        return None
    return Requirement(key=key, operator=operator, values=frozenset(values.values()))
