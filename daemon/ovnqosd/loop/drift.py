"""From a plan that only somebody else's changes made necessary, to what they had done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovnqos.controller import RowDelete, RowInsert, RowUpdate, SetDelete, SetInsert, qos_list_line
from ovnqosd.loop.outcomes import Drift, DriftKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovnqos import Plan
    from ovnqos.controller import Change

_MEMBERS_SHOWN = 5


def find_drift(plan: Plan) -> tuple[Drift, ...]:
    """What was found to be other than it was written, in the plan's order."""
    return tuple(_drift(plan))


def _drift(plan: Plan) -> Iterator[Drift]:
    owner = plan.snapshot.owner
    for change in plan.changes:
        if isinstance(change, RowInsert | RowUpdate | RowDelete):
            content = change.before if isinstance(change, RowUpdate) else change.content
            kind, _, key = owner.object_of(content.external_ids).partition("/")
            yield Drift(
                kind=_ROW_KINDS[type(change)],
                what=change.identity,
                policy=key if kind == "NetworkQoS" else "",
                found="no row" if isinstance(change, RowInsert) else qos_list_line(content).strip(),
            )
        else:
            yield Drift(kind=_set_kind(change), what=change.content.name, policy="", found=_set_words(change))


_ROW_KINDS = {
    RowInsert: DriftKind.ROW_DELETED,
    RowUpdate: DriftKind.ROW_EDITED,
    RowDelete: DriftKind.ROW_SURPLUS,
}


def _set_kind(change: Change) -> DriftKind:
    if isinstance(change, SetInsert):
        return DriftKind.SET_DELETED
    return DriftKind.SET_SURPLUS if isinstance(change, SetDelete) else DriftKind.SET_EDITED


def _set_words(change: Change) -> str:
    if isinstance(change, SetInsert):
        return "no set"
    if isinstance(change, SetDelete):
        return f"{len(change.content.members)} members"
    added, removed = getattr(change, "add", ()), getattr(change, "remove", ())
    parts = [
        f"{word} {', '.join(members[:_MEMBERS_SHOWN])}{' …' if len(members) > _MEMBERS_SHOWN else ''}"
        for word, members in (("lacks", added), ("has too many:", removed))
        if members
    ]
    return "; ".join(parts) or "other external_ids"
