"""Label selectors by the words of Kubernetes' API reference (LabelSelectorRequirement), one object at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovnqos import LabelSelector
    from ovnqos.controller import Requirement


def selects(selector: LabelSelector, labels: Mapping[str, str]) -> bool:
    """Whether all requirements hold; an empty selector matches all objects."""
    return not [one for one in selector.requirements if not _holds(one, labels)]


def _holds(requirement: Requirement, labels: Mapping[str, str]) -> bool:
    present = requirement.key in labels
    listed = present and labels[requirement.key] in list(requirement.values)
    return {
        "In": present and listed,
        "NotIn": not (present and listed),
        "Exists": present,
        "DoesNotExist": not present,
    }[requirement.operator.value]
