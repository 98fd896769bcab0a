"""Read the list of rules in `spec.egress`, whatever a rule of the object's kind says."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from ovnqos.diagnostics import Code

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovnqos.sources.fields import Fields

_R = TypeVar("_R")


def read_rules(spec: Fields, read: Callable[[Fields], _R], *, maximum: int, beyond: str) -> tuple[_R, ...]:
    """The rules of an object; a missing list and one that is too long are errors, an empty one draws a warning.

    Args:
        spec: the object's `spec`.
        read: reads one rule.
        maximum: how many rules are taken.
        beyond: words on what to do with more.
    """
    entries = spec.mappings("egress")
    if entries is None:
        if not spec.has("egress"):
            spec.missing("egress", f"give a list of 1 to {maximum} rules")
        return ()
    if len(entries) > maximum:
        spec.error("egress", f"{len(entries)} rules are too many", beyond)
    if not spec.get("egress"):
        spec.warn(Code.NO_EFFECT, "egress", "no rules, so the object does nothing", "add a rule or delete the object")
    return tuple(map(read, entries))
