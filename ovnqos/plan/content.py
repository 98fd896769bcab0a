"""Plain content of database rows, the same for what is wanted and what was found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovnqos.compile.rows import AddressSet, PortGroup, QosRow
    from ovnqos.model.owner import Owner


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
    def wanted(cls, row: QosRow, owner: Owner) -> RowContent:
        """The content that makes this row the owner's."""
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
    def wanted(cls, one: PortGroup | AddressSet, kind: SetKind, members: frozenset[str], owner: Owner) -> SetContent:
        """The content that makes this set the owner's."""
        return cls(kind=kind, name=one.name, members=members, external_ids=owner.stamp(one.identity, one.external_ids))
