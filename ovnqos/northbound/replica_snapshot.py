"""Copy the replica into plain values."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from ovnqos.ovsdb.records import frozen
from ovnqos.plan.snapshot import ActualRow, ActualSet, RowContent, SetContent, SetKind, Snapshot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovnqos.model.owner import Owner
    from ovnqos.ovsdb.records import RecordTable


def take_snapshot(tables: Mapping[str, RecordTable], owner: Owner) -> Snapshot:
    """Copy what an owner's plans need; sets and maps are the replica's own, which change no more once they are here.

    The caller holds the replica's lock.

    Args:
        tables: the replica's tables by name.
        owner: whose rows are told apart from everybody else's.
    """
    switches: dict[str, str] = {}
    switches_of_row: dict[str, list[str]] = defaultdict(list)
    for switch in tables["Logical_Switch"].records.values():
        switches[switch.name] = switch.uuid
        for rule in switch.qos_rules:
            switches_of_row[rule].append(switch.name)
    ours: list[ActualRow] = []
    foreign: list[ActualRow] = []
    bound: dict[tuple[str, ...], frozenset[str]] = {}  # most rows share the switches they are on
    for uuid, record in sorted(tables["QoS"].records.items()):
        names = tuple(switches_of_row.get(uuid, ()))
        on = bound.setdefault(names, frozenset(names)) if names not in bound else bound[names]
        content = row_content(record)
        into = ours if owner.owns(content.external_ids) else foreign
        into.append(ActualRow(uuid=uuid, content=content, switches=on))
    ports = tables["Logical_Switch_Port"].records
    sets: dict[tuple[SetKind, str], ActualSet] = {}
    foreign_sets: dict[tuple[SetKind, str], ActualSet] = {}
    for kind in SetKind:
        for record in tables[kind].records.values():
            stored = ActualSet(uuid=record.uuid, content=set_content(record, kind, all_members(record, kind, ports)))
            (sets if owner.owns(record.external_ids) else foreign_sets)[kind, record.name] = stored
    return Snapshot(
        owner=owner,
        rows=tuple(ours),
        foreign_rows=tuple(foreign),
        sets=sets,
        foreign_sets=foreign_sets,
        switches=switches,
        ports={port.name: uuid for uuid, port in ports.items()},
    )


def row_content(record: Any) -> RowContent:
    """A QoS row's columns as the replica has them. The caller holds the replica's lock."""
    return RowContent(
        direction=record.direction,
        priority=record.priority,
        match=record.match,
        action=record.action,
        bandwidth=record.bandwidth,
        external_ids=record.external_ids,
    )


def set_content(record: Any, kind: SetKind, members: frozenset[str]) -> SetContent:
    """A port group's or address set's columns likewise, with these members."""
    return SetContent(kind=kind, name=record.name, members=members, external_ids=record.external_ids)


def all_members(record: Any, kind: SetKind, ports: Mapping[str, Any]) -> frozenset[str]:
    """A set's addresses, or names of its ports; a port of which the server has not told is left out."""
    found = frozen(record, kind.column)
    if kind is SetKind.ADDRESS_SET:
        return found
    return frozenset(ports[port].name for port in found if port in ports)
