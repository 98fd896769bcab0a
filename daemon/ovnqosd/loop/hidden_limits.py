"""Limits that rows of higher priority hide, by the object whose limit it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovnqos.controller import find_shadowed_limits

if TYPE_CHECKING:
    from ovnqos import DesiredState
    from ovnqos.controller import Inventory


def hidden_by_object(desired: DesiredState, inventory: Inventory) -> dict[str, dict[str, tuple[str, ...]]]:
    """In words for its author, what may escape an object's limits: by kind (`NetworkQoS`, `Pod`) and key."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for shadowed in find_shadowed_limits(desired, inventory):
        one = shadowed.diagnostic
        of_kind = found.setdefault(one.object.kind, {})
        of_kind[one.object.key] = (*of_kind.get(one.object.key, ()), one.message)
    return found
