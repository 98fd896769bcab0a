"""Limits that rows of higher priority hide, by the object whose limit it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovnqos import find_hidden_limits

if TYPE_CHECKING:
    from ovnqos import DesiredState, Inventory


def hidden_by_object(desired: DesiredState, inventory: Inventory) -> dict[str, dict[str, tuple[str, ...]]]:
    """In words for its author, what may escape an object's limits: by kind (`NetworkQoS`, `Pod`) and key."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for hidden in find_hidden_limits(desired, inventory):
        kind, _, key = hidden.object.partition("/")
        of_kind = found.setdefault(kind, {})
        of_kind[key] = (*of_kind.get(key, ()), str(hidden))
    return found
