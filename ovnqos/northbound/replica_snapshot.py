"""Copy the replica into plain values."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from ovnqos.northbound.datum import stored_map, stored_members, stored_scalar
from ovnqos.plan.content import RowContent, SetContent, SetKind
from ovnqos.plan.snapshot import Snapshot, StoredRow, StoredSet

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping

    from ovnqos.model.owner import Owner


def take_snapshot(tables: Mapping[str, Any], owner: Owner) -> Snapshot:
    """Copy what an owner's plans need. The caller holds the replica's lock.

    Args:
        tables: the replica's tables by name.
        owner: whose rows are told apart from everybody else's.
    """
    switches: dict[str, str] = {}
    switches_of_row: dict[uuid.UUID, set[str]] = defaultdict(set)
    for row in tables["Logical_Switch"].rows.values():
        name = stored_scalar(row, "name")
        switches[name] = str(row.uuid)
        for rule in stored_members(row, "qos_rules"):
            switches_of_row[rule].add(name)
    ours: list[StoredRow] = []
    foreign: list[StoredRow] = []
    for row in tables["QoS"].rows.values():
        content = row_content(row)
        stored = StoredRow(uuid=str(row.uuid), content=content, switches=frozenset(switches_of_row.get(row.uuid, ())))
        (ours if owner.owns(content.external_ids) else foreign).append(stored)
    port_names = {row.uuid: stored_scalar(row, "name") for row in tables["Logical_Switch_Port"].rows.values()}
    sets: dict[tuple[SetKind, str], StoredSet] = {}
    foreign_sets: dict[tuple[SetKind, str], StoredSet] = {}
    for kind in SetKind:
        for row in tables[kind].rows.values():
            stored_set = _stored_set(row, kind, port_names)
            into = sets if owner.owns(stored_set.content.external_ids) else foreign_sets
            into[kind, stored_set.content.name] = stored_set
    return Snapshot(
        owner=owner,
        rows=tuple(sorted(ours, key=lambda one: one.uuid)),
        foreign_rows=tuple(sorted(foreign, key=lambda one: one.uuid)),
        sets=sets,
        foreign_sets=foreign_sets,
        switches=switches,
        ports={name: str(port) for port, name in port_names.items()},
    )


def row_content(row: Any) -> RowContent:
    """A QoS row's columns as the replica has them. The caller holds the replica's lock."""
    return RowContent(
        direction=stored_scalar(row, "direction"),
        priority=stored_scalar(row, "priority"),
        match=stored_scalar(row, "match"),
        action=stored_map(row, "action"),
        bandwidth=stored_map(row, "bandwidth"),
        external_ids=stored_map(row, "external_ids"),
    )


def _stored_set(row: Any, kind: SetKind, port_names: Mapping[uuid.UUID, str]) -> StoredSet:
    found = stored_members(row, kind.column)
    if kind is SetKind.PORT_GROUP:
        found = (port_names[port] for port in found if port in port_names)
    content = SetContent(
        kind=kind,
        name=stored_scalar(row, "name"),
        members=frozenset(found),
        external_ids=stored_map(row, "external_ids"),
    )
    return StoredSet(uuid=str(row.uuid), content=content)
