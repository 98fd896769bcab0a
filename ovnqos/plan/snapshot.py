"""What a Northbound holds at one moment, as plain values; desired rows and sets have the same form."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ovnqos.model.owner import Owner

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovnqos.compile.rows import AddressSet, DesiredState, PortGroup, QosRow

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_REFERENCE = re.compile(r"[$@]([A-Za-z_.][A-Za-z0-9_.]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class RowContent:
    """The columns of a QoS row (ovn-nb(5)); bandwidth has `rate` in kbps and `burst` in kbit."""

    direction: str
    priority: int
    match: str
    action: Mapping[str, int]
    bandwidth: Mapping[str, int]
    external_ids: Mapping[str, str]

    @classmethod
    def desired(cls, row: QosRow, owner: Owner) -> RowContent:
        """The content of a desired row, marked as the owner's."""
        return cls(
            direction=str(row.direction),
            priority=row.priority,
            match=str(row.match),
            action=row.action,
            bandwidth=row.bandwidth,
            external_ids=owner.stamp(row.identity, row.external_ids),
        )


ROW_COLUMNS = ("direction", "priority", "match", "action", "bandwidth", "external_ids")
"""The columns of `RowContent`, in the order they are shown and written."""


class SetKind(StrEnum):
    """The two kinds of named sets that a match can use, by their table."""

    PORT_GROUP = "Port_Group"
    ADDRESS_SET = "Address_Set"

    @property
    def column(self) -> str:
        """The column that holds the members."""
        return "ports" if self is SetKind.PORT_GROUP else "addresses"

    @property
    def words(self) -> str:
        """The kind in words."""
        return "port group" if self is SetKind.PORT_GROUP else "address set"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetContent:
    """A port group (members: port names) or an address set (members: addresses)."""

    kind: SetKind
    name: str
    members: frozenset[str]
    external_ids: Mapping[str, str]

    @classmethod
    def desired(cls, one: PortGroup | AddressSet, kind: SetKind, members: frozenset[str], owner: Owner) -> SetContent:
        """The content of a desired set with these members, marked as the owner's."""
        return cls(kind=kind, name=one.name, members=members, external_ids=owner.stamp(one.identity, one.external_ids))


@dataclass(frozen=True, slots=True, kw_only=True)
class ActualRow:
    """A QoS row of the Northbound: `uuid`, and the names of the logical switches that reference it."""

    uuid: str
    content: RowContent
    switches: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActualSet:
    """A port group or address set of the Northbound."""

    uuid: str
    content: SetContent


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A Northbound at one moment, as one owner's plans need it.

    Attributes:
        owner: whose rows are `rows` and `sets`.
        rows: the owner's QoS rows, sorted by uuid.
        foreign_rows: all other QoS rows, which are read but never changed.
        sets: the owner's port groups and address sets.
        foreign_sets: all others: their names are taken.
        switches: names of all logical switches, with their uuids.
        ports: names of all logical switch ports, with their uuids.
        by_name: made without a database, so that the uuids of switches and ports are their names.
    """

    owner: Owner = field(default_factory=Owner)
    rows: tuple[ActualRow, ...] = ()
    foreign_rows: tuple[ActualRow, ...] = ()
    sets: Mapping[tuple[SetKind, str], ActualSet] = field(default_factory=dict)
    foreign_sets: Mapping[tuple[SetKind, str], ActualSet] = field(default_factory=dict)
    switches: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, str] = field(default_factory=dict)
    by_name: bool = False

    @classmethod
    def of_names(cls, desired: DesiredState, owner: Owner) -> Snapshot:
        """A Northbound without rows that has every desired switch and port, known by name alone."""
        return cls(
            owner=owner,
            switches={name: name for row in desired.rows.values() for name in row.switches},
            ports={name: name for group in desired.port_groups.values() for name in group.ports},
            by_name=True,
        )

    @classmethod
    def of(cls, api: Any, owner: Owner | None = None) -> Snapshot:
        """What the replica of an `ovsdbapp` API holds now.

        Args:
            api: a Northbound API, such as `OvnNbApiIdlImpl`, that replicates QoS, Logical_Switch, Logical_Switch_Port,
                Port_Group and Address_Set without conditions.
            owner: whose rows to read as ours; None: the default owner.
        """
        who = owner or Owner()
        with api.ovsdb_connection.lock:
            tables = api.tables
            switches, ports = tables["Logical_Switch"].rows, tables["Logical_Switch_Port"].rows
            switches_of: dict[Any, list[str]] = defaultdict(list)
            for switch in switches.values():
                for row in switch.qos_rules:
                    switches_of[row.uuid].append(switch.name)
            rows = [
                ActualRow(
                    uuid=str(uuid),
                    content=RowContent(**{column: getattr(row, column) for column in ROW_COLUMNS}),
                    switches=frozenset(switches_of[uuid]),
                )
                for uuid, row in sorted(tables["QoS"].rows.items())
            ]
            sets = {
                (kind, row.name): ActualSet(
                    uuid=str(uuid),
                    content=SetContent(
                        kind=kind,
                        name=row.name,
                        members=frozenset(
                            row.addresses if kind is SetKind.ADDRESS_SET else (port.name for port in row.ports)
                        ),
                        external_ids=row.external_ids,
                    ),
                )
                for kind in SetKind
                for uuid, row in tables[kind].rows.items()
            }
            return cls(
                owner=who,
                rows=tuple(row for row in rows if who.owns(row.content.external_ids)),
                foreign_rows=tuple(row for row in rows if not who.owns(row.content.external_ids)),
                sets={key: one for key, one in sets.items() if who.owns(one.content.external_ids)},
                foreign_sets={key: one for key, one in sets.items() if not who.owns(one.content.external_ids)},
                switches={row.name: str(uuid) for uuid, row in switches.items()},
                ports={row.name: str(uuid) for uuid, row in ports.items()},
            )


def references_in(match: str) -> set[str]:
    """Names of the address sets and port groups that a match uses, also when it does not parse."""
    return set(_REFERENCE.findall(_STRING.sub("", match)))
