"""The periodic comparison of everything, in parts, so that what happens meanwhile does not wait for all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ovnqos import DesiredState

if TYPE_CHECKING:
    from ovnqos import AddressSet, PortGroup, QosRow
    from ovnqos.controller import DatabaseChange

_PART: Final = 200
"""Rows or sets of a part: 5 ms of CPU, where a set has 40 members (measured)."""


class Resync:
    """Yield everything part by part, and gather what is desired of it for the searches that need all of it.

    Attributes:
        has_foreign_rows: whether there were any at the start.
    """

    def __init__(self, everything: DatabaseChange) -> None:
        """Begin with all rows and sets that are there or desired."""
        self.has_foreign_rows = everything.foreign_rows
        self._parts = everything.parts(_PART)
        self._rows: dict[str, QosRow] = {}
        self._groups: dict[str, PortGroup] = {}
        self._addresses: dict[str, AddressSet] = {}

    def next_part(self) -> DatabaseChange | None:
        """Return the next rows or sets to compare; None at the end."""
        return next(self._parts, None)

    def add(self, desired: DesiredState) -> None:
        """Add what is desired of a part, whose sets are whole."""
        self._rows.update(desired.rows)
        self._groups.update(desired.port_groups)
        self._addresses.update(desired.address_sets)

    def desired(self) -> DesiredState:
        """Return what was desired of all parts."""
        return DesiredState(rows=self._rows, port_groups=self._groups, address_sets=self._addresses)
