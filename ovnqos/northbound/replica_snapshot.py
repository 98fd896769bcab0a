"""Copy the replica into plain values."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

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
        name = _scalar(row, "name")
        switches[name] = str(row.uuid)
        for rule in _members(row, "qos_rules"):
            switches_of_row[rule].add(name)
    ours: list[StoredRow] = []
    foreign: list[StoredRow] = []
    for row in tables["QoS"].rows.values():
        content = _row_content(row)
        stored = StoredRow(uuid=str(row.uuid), content=content, switches=frozenset(switches_of_row.get(row.uuid, ())))
        (ours if owner.owns(content.external_ids) else foreign).append(stored)
    port_names = {row.uuid: _scalar(row, "name") for row in tables["Logical_Switch_Port"].rows.values()}
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
    return _row_content(row)


# The columns are read below ovs' Row attributes: those turn a set into Python values, a Datum and Python values again,
# which takes four times as long (measured: 155,000 addresses).


def _row_content(row: Any) -> RowContent:
    return RowContent(
        direction=_scalar(row, "direction"),
        priority=_scalar(row, "priority"),
        match=_scalar(row, "match"),
        action=_map(row, "action"),
        bandwidth=_map(row, "bandwidth"),
        external_ids=_map(row, "external_ids"),
    )


def _stored_set(row: Any, kind: SetKind, port_names: Mapping[uuid.UUID, str]) -> StoredSet:
    found = _members(row, kind.column)
    if kind is SetKind.PORT_GROUP:
        found = (port_names[port] for port in found if port in port_names)
    content = SetContent(
        kind=kind, name=_scalar(row, "name"), members=frozenset(found), external_ids=_map(row, "external_ids")
    )
    return StoredSet(uuid=str(row.uuid), content=content)


def _scalar(row: Any, column: str) -> Any:
    return next(iter(row._data[column].values)).value  # noqa: SLF001 - see above


def _members(row: Any, column: str) -> Any:
    return (atom.value for atom in row._data[column].values)  # noqa: SLF001 - see above


def _map(row: Any, column: str) -> dict[Any, Any]:
    return {key.value: value.value for key, value in row._data[column].values.items()}  # noqa: SLF001 - see above
