"""The commands that carry out changes of QoS rows.

Not ovsdbapp's own QoS commands: those scan all rows for each insert, merge maps so that an old burst survives, and
cannot set dscp 0 (measured on ovsdbapp 3.0).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from ovnqos.northbound.plan_command import PlanCommand, has_changed
from ovnqos.northbound.replica_snapshot import row_content
from ovnqos.ovsdb.datum import assign
from ovnqos.plan.snapshot import ROW_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovnqos.plan.changes import RowDelete, RowInsert, RowUpdate


class RowCommand(PlanCommand):
    """A command on a QoS row and the switches that reference it."""

    def _bind(self, row: Any, switches: Iterable[str]) -> None:
        for name in switches:
            self._switch(name).addvalue("qos_rules", row)

    def _unbind(self, row: Any, switches: Iterable[str]) -> None:
        for name in switches:
            self._switch(name).delvalue("qos_rules", row)

    def _switch(self, name: str) -> Any:
        return self._row("Logical_Switch", self._find("Logical_Switch", self._snapshot.switches[name]))

    def _row(self, table: str, record: Any) -> Any:
        """The row of ovs, in which a transaction gathers what is to change."""
        return self.api.tables[table].rows[UUID(record.uuid)]


class InsertRow(RowCommand):
    """Create a QoS row and bind it to its switches, in one transaction, else the database drops it."""

    def run_idl(self, txn: Any) -> None:
        """Create the row."""
        change: RowInsert = self._change
        row = txn.insert(self.api.tables["QoS"])
        for column in ROW_COLUMNS:
            assign(row, column, getattr(change.content, column))
        self._bind(row, change.switches)


class UpdateRow(RowCommand):
    """Assign the columns of a QoS row that differ, and change which switches reference it."""

    def run_idl(self, txn: Any) -> None:  # noqa: ARG002 - ovsdbapp's signature
        """Change the row, if it still is as it was planned for, here and (verified) on the server."""
        change: RowUpdate = self._change
        record = self._find_same("QoS", change.uuid, change.before.external_ids)
        if row_content(record) != change.before:
            raise has_changed("QoS", change.uuid)
        row = self._row("QoS", record)
        row.verify("external_ids")
        for column in change.columns:
            row.verify(column)
            assign(row, column, getattr(change.after, column))
        self._bind(row, change.bind)
        self._unbind(row, change.unbind)


class DeleteRow(RowCommand):
    """Remove all references to a QoS row. The database collects it then; one that is referenced cannot be deleted."""

    def run_idl(self, txn: Any) -> None:  # noqa: ARG002 - ovsdbapp's signature
        """Unbind the row, if it still is the owner's, here and (verified) on the server."""
        change: RowDelete = self._change
        row = self._row("QoS", self._find_same("QoS", change.uuid, change.content.external_ids))
        row.verify("external_ids")
        self._unbind(row, change.switches)
