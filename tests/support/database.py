"""A Northbound in memory: it carries out a plan's changes as OVSDB would, and refuses what OVSDB would refuse."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING

from ovnqos import DesiredState, Owner, Snapshot
from ovnqos.controller import ActualRow, ActualSet
from ovnqos.plan.changes import Change, RowDelete, RowInsert, RowUpdate, SetDelete, SetInsert, SetUpdate
from ovnqos.plan.snapshot import RowContent, SetContent, SetKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ovnqos import AddressSet, PortGroup

OWNER_KEY, ID_KEY, OBJECT_KEY = "ovnqos.io/owner", "ovnqos.io/id", "ovnqos.io/object"
_NUMBERS = count()
Key = tuple[SetKind, str]


@dataclass(frozen=True, kw_only=True)
class Database:
    """What a Northbound holds: rows and sets by uuid, names of switches and ports."""

    rows: Mapping[str, ActualRow]
    sets: Mapping[str, ActualSet]
    switches: frozenset[str]
    ports: frozenset[str]

    def snapshot(self, owner: Owner) -> Snapshot:
        """In the eyes of an owner, whose rows are those with its name in external_ids."""
        ours = [one for one in self.rows.values() if owns(owner, one.content.external_ids)]
        foreign = [one for one in self.rows.values() if not owns(owner, one.content.external_ids)]
        sets = {(one.content.kind, one.content.name): one for one in self.sets.values()}
        return Snapshot(
            owner=owner,
            rows=tuple(sorted(ours, key=lambda one: one.uuid)),
            foreign_rows=tuple(sorted(foreign, key=lambda one: one.uuid)),
            sets={key: one for key, one in sets.items() if owns(owner, one.content.external_ids)},
            foreign_sets={key: one for key, one in sets.items() if not owns(owner, one.content.external_ids)},
            switches={name: f"uuid-of-switch-{name}" for name in self.switches},
            ports={name: f"uuid-of-port-{name}" for name in self.ports},
        )


def owns(owner: Owner, external_ids: Mapping[str, str]) -> bool:
    return external_ids.get(OWNER_KEY) == owner.name


def references(match: str) -> set[Key]:
    """The sets and groups in a match without strings."""
    kinds = {"$": SetKind.ADDRESS_SET, "@": SetKind.PORT_GROUP}
    return {(kinds[sign], name) for sign, name in re.findall(r"([$@])([A-Za-z_.][\w.]*)", match)}


def stored(desired: DesiredState, owner: Owner, switches: Iterable[str], ports: Iterable[str]) -> Database:
    """What a Northbound with these switches and ports holds when all that can be is as desired."""
    there, there_ports = frozenset(switches), frozenset(ports)
    rows = [
        ActualRow(
            uuid=f"wanted-row-{identity}",
            content=RowContent(
                direction=row.direction.value,
                priority=row.priority,
                match=str(row.match),
                action={} if row.dscp is None else {"dscp": row.dscp},
                bandwidth={
                    key: value
                    for key, value in (("rate", row.rate_kbps), ("burst", row.burst_kbit))
                    if value is not None
                },
                external_ids={**row.external_ids, OWNER_KEY: owner.name, ID_KEY: identity},
            ),
            switches=row.switches & there,
        )
        for identity, row in desired.rows.items()
        if row.switches & there
    ]
    sets = [
        _stored_set(SetKind.PORT_GROUP, one, one.ports & there_ports, owner) for one in desired.port_groups.values()
    ]
    sets += [_stored_set(SetKind.ADDRESS_SET, one, one.addresses, owner) for one in desired.address_sets.values()]
    return Database(
        rows={one.uuid: one for one in rows},
        sets={one.uuid: one for one in sets},
        switches=there,
        ports=there_ports,
    )


def _stored_set(kind: SetKind, one: PortGroup | AddressSet, members: frozenset[str], owner: Owner) -> ActualSet:
    external_ids = {**one.external_ids, OWNER_KEY: owner.name, ID_KEY: one.identity}
    content = SetContent(kind=kind, name=one.name, members=members, external_ids=external_ids)
    return ActualSet(uuid=f"wanted-set-{kind}-{one.name}", content=content)


def _new_uuid() -> str:
    return f"new-{next(_NUMBERS)}"


def apply(changes: Iterable[Change], database: Database) -> Database:
    """One transaction. Fails where OVSDB would refuse it, and where a change is not what the database needs."""
    rows, sets = dict(database.rows), dict(database.sets)
    for change in changes:
        match change:
            case RowInsert():
                assert change.switches, "the database would drop it at once"
                assert set(change.switches) <= database.switches
                uuid = _new_uuid()
                rows[uuid] = ActualRow(uuid=uuid, content=change.content, switches=frozenset(change.switches))
            case RowUpdate():
                before = rows[change.uuid]
                assert (before.content, before.switches) == (change.before, change.switches)
                assert change.columns or change.bind or change.unbind, "a change of nothing"
                assert set(change.bind) <= database.switches - before.switches
                assert set(change.unbind) <= before.switches
                after = before.switches - set(change.unbind) | set(change.bind)
                columns = {name: getattr(change.after, name) for name in change.columns}
                assert after, "the database would drop it"
                rows[change.uuid] = ActualRow(
                    uuid=change.uuid, content=replace(before.content, **columns), switches=after
                )
            case RowDelete():
                assert (rows[change.uuid].content, rows[change.uuid].switches) == (
                    change.content,
                    frozenset(change.switches),
                )
                del rows[change.uuid]
            case SetInsert():
                taken = {(one.content.kind, one.content.name) for one in sets.values()}
                assert (change.content.kind, change.content.name) not in taken, "names are unique"
                uuid = _new_uuid()
                sets[uuid] = ActualSet(uuid=uuid, content=change.content)
            case SetUpdate():
                was = sets[change.uuid].content
                assert (was.kind, was.name) == (change.content.kind, change.content.name)
                assert was.external_ids == change.external_ids_before
                assert change.add or change.remove or change.relabels, "a change of nothing"
                assert not set(change.add) & was.members
                assert set(change.remove) <= was.members
                sets[change.uuid] = ActualSet(
                    uuid=change.uuid,
                    content=replace(
                        was,
                        members=was.members - set(change.remove) | set(change.add),
                        external_ids=change.content.external_ids if change.relabels else was.external_ids,
                    ),
                )
            case SetDelete():
                assert sets.pop(change.uuid).content == change.content
    return replace(database, rows=rows, sets=sets)
