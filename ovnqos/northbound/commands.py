"""The commands a plan is carried out with: one class a kind of change, each on exactly the row it was planned for.

Not ovsdbapp's own QoS commands: those scan all rows for each insert, merge maps so that an old burst survives, and
cannot set dscp 0 (measured on ovsdbapp 3.0).
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from ovsdbapp.backend.ovs_idl.command import BaseCommand

from ovnqos.errors import StalePlan
from ovnqos.northbound.datum import assign
from ovnqos.northbound.replica_snapshot import row_content
from ovnqos.plan.changes import Change, RowDelete, RowInsert, RowUpdate, SetDelete, SetInsert, SetUpdate
from ovnqos.plan.content import ROW_COLUMNS, SetKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovnqos.northbound.schema import NorthboundSchema
    from ovnqos.plan.content import SetContent
    from ovnqos.plan.snapshot import Snapshot


class PlanCommand(BaseCommand):  # type: ignore[misc] # ovsdbapp ships no types
    """A command that carries out one change of a plan."""

    def __init__(self, api: Any, change: Any, snapshot: Snapshot, schema: NorthboundSchema) -> None:
        super().__init__(api)
        self._change = change
        self._snapshot = snapshot
        self._schema = schema

    def _find(self, table: str, row_uuid: str) -> Any:
        """The row, if the replica still has it; else the plan is stale."""
        row = self.api.tables[table].rows.get(uuid.UUID(row_uuid))
        if row is None:
            raise StalePlan(f"{table} {row_uuid} is gone since the plan was made; nothing was written, plan again")
        return row

    def _assign(self, row: Any, table: str, column: str, value: object) -> None:
        self._schema.check(table, column, value)
        assign(row, column, value)

    def _bind(self, row: Any, switches: Iterable[str]) -> None:
        for name in switches:
            self._find("Logical_Switch", self._snapshot.switches[name]).addvalue("qos_rules", row)

    def _unbind(self, row: Any, switches: Iterable[str]) -> None:
        for name in switches:
            self._find("Logical_Switch", self._snapshot.switches[name]).delvalue("qos_rules", row)


class InsertRow(PlanCommand):
    """Create a QoS row and bind it to its switches, in one transaction, else the database drops it."""

    def run_idl(self, txn: Any) -> None:
        """Create the row."""
        change: RowInsert = self._change
        row = txn.insert(self.api.tables["QoS"])
        for column in ROW_COLUMNS:
            self._assign(row, "QoS", column, getattr(change.content, column))
        self._bind(row, change.switches)


class UpdateRow(PlanCommand):
    """Assign the columns of a QoS row that differ, and change which switches reference it."""

    def run_idl(self, txn: Any) -> None:  # noqa: ARG002 - the signature of ovsdbapp
        """Change the row, if it still is as it was planned for, here and (verified) on the server."""
        change: RowUpdate = self._change
        row = self._find("QoS", change.uuid)
        if row_content(row) != change.before:
            raise StalePlan(f"QoS {change.uuid} has changed since the plan was made; nothing was written, plan again")
        for column in ("external_ids", *change.columns):
            row.verify(column)
        for column in change.columns:
            self._assign(row, "QoS", column, getattr(change.after, column))
        self._bind(row, change.bind)
        self._unbind(row, change.unbind)


class DeleteRow(PlanCommand):
    """Remove all references to a QoS row. The database collects it then; one that is referenced cannot be deleted."""

    def run_idl(self, txn: Any) -> None:  # noqa: ARG002 - the signature of ovsdbapp
        """Unbind the row, if it still is the owner's, here and (verified) on the server."""
        change: RowDelete = self._change
        row = self._find("QoS", change.uuid)
        if row_content(row).external_ids != change.content.external_ids:
            raise StalePlan(f"QoS {change.uuid} has changed since the plan was made; nothing was written, plan again")
        row.verify("external_ids")
        self._unbind(row, change.switches)


class SetCommand(PlanCommand):
    """A command on a port group or address set."""

    def _values(self, content: SetContent, members: Iterable[str]) -> Iterable[Any]:
        if content.kind is SetKind.ADDRESS_SET:
            return list(members)
        return [self._find("Logical_Switch_Port", self._snapshot.ports[name]) for name in members]


class InsertSet(SetCommand):
    """Create a port group or address set with its members."""

    def run_idl(self, txn: Any) -> None:
        """Create the set."""
        change: SetInsert = self._change
        content = change.content
        row = txn.insert(self.api.tables[content.kind])
        self._assign(row, content.kind, "name", content.name)
        self._assign(row, content.kind, "external_ids", content.external_ids)
        assign(row, content.kind.column, self._values(content, content.members))


class UpdateSet(SetCommand):
    """Add and remove members by mutation, which leaves concurrent changes of other members alone."""

    def run_idl(self, txn: Any) -> None:  # noqa: ARG002 - the signature of ovsdbapp
        """Change the set."""
        change: SetUpdate = self._change
        kind = change.content.kind
        row = self._find(kind, change.uuid)
        row.verify("external_ids")
        if change.relabels:
            self._assign(row, kind, "external_ids", change.content.external_ids)
        for value in self._values(change.content, change.add):
            row.addvalue(kind.column, value)
        for value in self._values(change.content, (name for name in change.remove if self._is_there(name, kind))):
            row.delvalue(kind.column, value)

    def _is_there(self, name: str, kind: SetKind) -> bool:
        """A port that is deleted meanwhile has left its groups by itself."""
        if kind is SetKind.ADDRESS_SET:
            return True
        return uuid.UUID(self._snapshot.ports[name]) in self.api.tables["Logical_Switch_Port"].rows


class DeleteSet(SetCommand):
    """Delete a port group or address set."""

    def run_idl(self, txn: Any) -> None:  # noqa: ARG002 - the signature of ovsdbapp
        """Delete the set, if it still is the owner's on the server."""
        change: SetDelete = self._change
        row = self._find(change.content.kind, change.uuid)
        row.verify("external_ids")
        row.delete()


_COMMANDS: dict[type[Change], type[PlanCommand]] = {
    RowInsert: InsertRow,
    RowUpdate: UpdateRow,
    RowDelete: DeleteRow,
    SetInsert: InsertSet,
    SetUpdate: UpdateSet,
    SetDelete: DeleteSet,
}


def command_for(change: Change, api: Any, snapshot: Snapshot, schema: NorthboundSchema) -> PlanCommand:
    """The command that carries out a change."""
    return _COMMANDS[type(change)](api, change, snapshot, schema)
