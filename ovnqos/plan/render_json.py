"""A plan as JSON, for programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ovnqos.plan.changes import RowDelete, RowInsert, RowUpdate, SetDelete, SetInsert

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovnqos.model.owner import Owner
    from ovnqos.plan.changes import Change, MissingReference
    from ovnqos.plan.snapshot import RowContent, SetContent

FORMAT = "ovnqos.io/plan/v2"


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
    if isinstance(change, RowInsert):
        return {
            "change": "insert-row",
            "id": change.identity,
            "row": _row(change.content),
            "switches": list(change.switches),
        }
    if isinstance(change, RowUpdate):
        return {
            "change": "update-row",
            "id": change.identity,
            "uuid": change.uuid,
            "columns": list(change.columns),
            "before": _row(change.before),
            "row": _row(change.after),
            "bind": list(change.bind),
            "unbind": list(change.unbind),
        }
    if isinstance(change, RowDelete):
        return {
            "change": "delete-row",
            "id": change.identity,
            "uuid": change.uuid,
            "row": _row(change.content),
            "switches": list(change.switches),
        }
    if isinstance(change, SetInsert):
        return {"change": "insert-set", **_set(change.content), "members": sorted(change.content.members)}
    if isinstance(change, SetDelete):
        return {
            "change": "delete-set",
            "uuid": change.uuid,
            **_set(change.content),
            "members": sorted(change.content.members),
        }
    return {
        "change": "update-set",
        "uuid": change.uuid,
        **_set(change.content),
        "add": list(change.add),
        "remove": list(change.remove),
    }


def _row(content: RowContent) -> dict[str, Any]:
    return asdict(content)


def _set(content: SetContent) -> dict[str, Any]:
    return {"table": str(content.kind), "name": content.name, "external_ids": dict(content.external_ids)}
