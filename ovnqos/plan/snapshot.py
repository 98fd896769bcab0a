"""What a Northbound holds at one moment, as plain values; desired rows and sets have the same form."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ovnqos.match.named_sets import NamedSets, derived_sets
from ovnqos.model.owner import PORT_KEY, Owner

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

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
        addresses: each IP and MAC address of logical switch ports, with their names; None: they were not read.
    """

    owner: Owner = field(default_factory=Owner)
    rows: tuple[ActualRow, ...] = ()
    foreign_rows: tuple[ActualRow, ...] = ()
    sets: Mapping[tuple[SetKind, str], ActualSet] = field(default_factory=dict)
    foreign_sets: Mapping[tuple[SetKind, str], ActualSet] = field(default_factory=dict)
    switches: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, str] = field(default_factory=dict)
    by_name: bool = False
    addresses: Mapping[str, Collection[str]] | None = None

    def with_rows(self, uuids: Collection[str]) -> Snapshot:
        """Return the same with these foreign rows as the owner's."""
        rows = sorted((*self.rows, *(row for row in self.foreign_rows if row.uuid in uuids)), key=lambda row: row.uuid)
        return replace(
            self, rows=tuple(rows), foreign_rows=tuple(row for row in self.foreign_rows if row.uuid not in uuids)
        )

    def named_sets(self, derived: Mapping[str, Collection[str]] | None = None) -> NamedSets:
        """The members of all port groups and address sets, of any owner, by name.

        Args:
            derived: address sets of the Southbound, of which those count that northd derives; None where not known.
        """
        sets: dict[SetKind, dict[str, Collection[str]]] = {kind: {} for kind in SetKind}
        for (kind, name), one in (*self.sets.items(), *self.foreign_sets.items()):
            sets[kind][name] = one.content.members
        names = derived_sets(sets[SetKind.PORT_GROUP])
        known = {name: members for name, members in (derived or {}).items() if name in names}
        addresses = {**known, **sets[SetKind.ADDRESS_SET]}
        return NamedSets(
            address_sets=addresses, port_groups=sets[SetKind.PORT_GROUP], unknown_sets=names - addresses.keys()
        )

    @classmethod
    def of_names(cls, desired: DesiredState, owner: Owner) -> Snapshot:
        """A Northbound without rows that has every desired switch and port, known by name alone."""
        ports = {name: name for group in desired.port_groups.values() for name in group.ports}
        ports.update((name, name) for row in desired.rows.values() if (name := row.external_ids.get(PORT_KEY)))
        return cls(
            owner=owner,
            switches={name: name for row in desired.rows.values() for name in row.switches},
            ports=ports,
            by_name=True,
        )

    @classmethod
    def of_contents(
        cls,
        owner: Owner,
        *,
        switches: Iterable[tuple[str, str, Collection[str]]],
        ports: Mapping[str, str],
        rows: Iterable[tuple[str, RowContent]],
        sets: Iterable[tuple[str, SetContent]],
    ) -> Snapshot:
        """Sort the contents of a Northbound into the owner's and foreign ones.

        Args:
            owner: whose rows are `rows`.
            switches: uuid, name, and uuids of the QoS rows of each.
            ports: names and uuids.
            rows: uuid and content of each, sorted by uuid.
            sets: uuid and content of each.
        """
        switches = list(switches)
        switches_of: dict[str, list[str]] = defaultdict(list)
        for _uuid, name, references in switches:
            for row in references:
                switches_of[row].append(name)
        ours: list[ActualRow] = []
        foreign: list[ActualRow] = []
        bound: dict[tuple[str, ...], frozenset[str]] = {}  # most rows share the switches they are on
        for uuid, content in rows:
            names = tuple(switches_of.get(uuid, ()))
            on = bound.setdefault(names, frozenset(names)) if names not in bound else bound[names]
            into = ours if owner.owns(content.external_ids) else foreign
            into.append(ActualRow(uuid=uuid, content=content, switches=on))
        our_sets: dict[tuple[SetKind, str], ActualSet] = {}
        foreign_sets: dict[tuple[SetKind, str], ActualSet] = {}
        for uuid, members in sets:
            of_whom = our_sets if owner.owns(members.external_ids) else foreign_sets
            of_whom[members.kind, members.name] = ActualSet(uuid=uuid, content=members)
        return cls(
            owner=owner,
            rows=tuple(ours),
            foreign_rows=tuple(foreign),
            sets=our_sets,
            foreign_sets=foreign_sets,
            switches=choose_switches(switches),
            ports=ports,
        )

    @classmethod
    def of(cls, api: Any, owner: Owner | None = None) -> Snapshot:
        """What the replica of an `ovsdbapp` API holds now.

        Args:
            api: a Northbound API, such as `OvnNbApiIdlImpl`, that replicates QoS, Logical_Switch, Logical_Switch_Port,
                Port_Group and Address_Set without conditions.
            owner: whose rows to read as ours; None: the default owner.
        """
        with api.ovsdb_connection.lock:
            tables = {name: table.rows for name, table in api.tables.items()}
            return cls.of_contents(
                owner or Owner(),
                switches=(
                    (str(uuid), row.name, [str(rule.uuid) for rule in row.qos_rules])
                    for uuid, row in tables["Logical_Switch"].items()
                ),
                ports={row.name: str(uuid) for uuid, row in tables["Logical_Switch_Port"].items()},
                rows=(
                    (str(uuid), RowContent(**{column: getattr(row, column) for column in ROW_COLUMNS}))
                    for uuid, row in sorted(tables["QoS"].items())
                ),
                sets=((str(uuid), _set_of_row(kind, row)) for kind in SetKind for uuid, row in tables[kind].items()),
            )


def _set_of_row(kind: SetKind, row: Any) -> SetContent:
    members = row.addresses if kind is SetKind.ADDRESS_SET else (port.name for port in row.ports)
    return SetContent(kind=kind, name=row.name, members=frozenset(members), external_ids=row.external_ids)


def choose_switches(switches: Iterable[tuple[str, str, Collection[str]]]) -> dict[str, str]:
    """The uuid of each switch's name; of several that have it, that with the most rows, which has been in use.

    Args:
        switches: uuid, name, and uuids of the QoS rows of each.
    """
    chosen: dict[str, tuple[int, str]] = {}
    for uuid, name, rows in switches:
        if name not in chosen or (-len(rows), uuid) < chosen[name]:
            chosen[name] = -len(rows), uuid
    return {name: uuid for name, (_rows, uuid) in chosen.items()}


def references_in(match: str) -> set[str]:
    """Names of the address sets and port groups that a match uses, also when it does not parse."""
    return set(_REFERENCE.findall(_STRING.sub("", match)))
