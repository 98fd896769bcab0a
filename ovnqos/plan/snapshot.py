"""What a Northbound holds at one moment, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ovnqos.model.owner import Owner

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovnqos.compile.rows import DesiredState
    from ovnqos.plan.content import RowContent, SetContent, SetKind


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRow:
    """A QoS row as found: `uuid`, and the names of the logical switches that reference it."""

    uuid: str
    content: RowContent
    switches: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSet:
    """A port group or address set as found."""

    uuid: str
    content: SetContent


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A Northbound at one moment, in the eyes of one owner.

    Attributes:
        owner: whose rows are `rows`, `port_groups` and `address_sets`.
        rows: the owner's QoS rows, sorted by uuid.
        foreign_rows: everybody else's, which are read but never changed.
        sets: the owner's port groups and address sets.
        foreign_sets: everybody else's: their names are taken.
        switches: names of all logical switches, with their uuids.
        ports: names of all logical switch ports, with their uuids.
        by_name: made without a database, so that the uuids of switches and ports are their names.
    """

    owner: Owner = field(default_factory=Owner)
    rows: tuple[StoredRow, ...] = ()
    foreign_rows: tuple[StoredRow, ...] = ()
    sets: Mapping[tuple[SetKind, str], StoredSet] = field(default_factory=dict)
    foreign_sets: Mapping[tuple[SetKind, str], StoredSet] = field(default_factory=dict)
    switches: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, str] = field(default_factory=dict)
    by_name: bool = False

    @classmethod
    def of_names(cls, desired: DesiredState, owner: Owner) -> Snapshot:
        """A Northbound without rows, that has every switch and port that is wanted, known by name alone."""
        return cls(
            owner=owner,
            switches={name: name for row in desired.rows.values() for name in row.switches},
            ports={name: name for group in desired.port_groups.values() for name in group.ports},
            by_name=True,
        )
