"""Rows of others that meet ours, and a second controller that does our work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ovnqos import Owner
from ovnqos.controller import find_foreign_conflicts, policy_of, qos_list_line, upstream_rows

if TYPE_CHECKING:
    from ovnqos import DesiredState, Snapshot

_REFERENCE: Final = Owner.ovn_kubernetes()


def find_rivals(desired: DesiredState, snapshot: Snapshot) -> dict[str, str]:
    """The policies whose rows collide with rows of others, and how, in words for the policy's author."""
    rivals: dict[str, str] = {}
    for row in upstream_rows(snapshot):
        key = _REFERENCE.object_of(row.content.external_ids).removeprefix("NetworkQoS/")
        rivals[key] = "ovn-kubernetes' own NetworkQoS controller writes rows for it too; switch one of the two off"
    for conflict in find_foreign_conflicts(desired, snapshot):
        found = qos_list_line(conflict.row.content).strip()
        words = f"a row of somebody else on switch {conflict.switch} has the same priority for packets that both match"
        rivals.setdefault(policy_of(conflict.identity), f"{words}, so which wins is undefined: {found}")
    return rivals
