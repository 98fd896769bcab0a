"""A plan as JSON, for programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ovnqos.plan.changes import RowDelete, RowInsert, RowUpdate, SetDelete, SetInsert, SetUpdate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovnqos.model.owner import Owner
    from ovnqos.plan.changes import Change, MissingReference

FORMAT = "ovnqos.io/plan/v2"
_NAMES = {
    RowInsert: "insert-row",
    RowUpdate: "update-row",
    RowDelete: "delete-row",
    SetInsert: "insert-set",
    SetUpdate: "update-set",
    SetDelete: "delete-set",
}


def render(changes: Iterable[Change], owner: Owner, missing: Iterable[MissingReference]) -> str:
    """One object: format, owner, changes in order, missing references. Sorted keys, so that equal plans print equal."""
    document = {
        "format": FORMAT,
        "owner": owner.name,
        "changes": [_change(change) for change in changes],
        "missing": [asdict(one) for one in missing],
    }
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _change(change: Change) -> dict[str, Any]:
    facts: dict[str, Any] = {"change": _NAMES[type(change)]}
    if isinstance(change, RowInsert | RowUpdate | RowDelete):
        facts["id"] = change.identity
    if isinstance(change, RowUpdate):
        facts |= {"columns": list(change.columns), "before": asdict(change.before), "row": asdict(change.after)}
        facts |= {"bind": list(change.bind), "unbind": list(change.unbind)}
    elif isinstance(change, RowInsert | RowDelete):
        facts |= {"row": asdict(change.content), "switches": list(change.switches)}
    else:
        content = change.content
        facts |= {"table": str(content.kind), "name": content.name, "external_ids": dict(content.external_ids)}
        if isinstance(change, SetUpdate):
            facts |= {"add": list(change.add), "remove": list(change.remove)}
        else:
            facts["members"] = sorted(content.members)
    if not isinstance(change, RowInsert | SetInsert):
        facts["uuid"] = change.uuid
    return facts
