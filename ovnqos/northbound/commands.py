"""The commands a plan is carried out with: one class a kind of change, each on exactly the row it was planned for.

Not ovsdbapp's own QoS commands: those scan all rows for each insert, merge maps so that an old burst survives, and
cannot set dscp 0 (measured on ovsdbapp 3.0).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from ovsdbapp.backend.ovs_idl.command import BaseCommand

from ovnqos.errors import InvalidRow, StalePlan
from ovnqos.northbound.datum import assign
from ovnqos.northbound.replica_snapshot import row_content
from ovnqos.plan.changes import Change, RowDelete, RowInsert, RowUpdate, SetDelete, SetInsert, SetUpdate
from ovnqos.plan.content import ROW_COLUMNS, SetKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from ovnqos.northbound.schema import NorthboundSchema
    from ovnqos.plan.content import SetContent
    from ovnqos.plan.snapshot import Snapshot


class PlanCommand(BaseCommand):  # type: ignore[misc] # ovsdbapp ships no types
    """A command that carries out one change of a plan."""

    def __init__(self, api: Any, change: Any, snapshot: Snapshot) -> None:
        super().__init__(api)
        self._change = change
        self._snapshot = snapshot

    def _find(self, table: str, row_uuid: str) -> Any:
        """The row, if the replica still has it; else the plan is stale."""
        row = self.api.tables[table].rows.get(UUID(row_uuid))
        if row is None:
            raise StalePlan(f"{table} {row_uuid} is gone since the plan was made; nothing was written, plan again")
        return row

    def _find_same(self, table: str, row_uuid: str, external_ids: Mapping[str, str]) -> Any:
        """The row, if it still has these external_ids, here and (verified with the transaction) on the server."""
        row = self._find(table, row_uuid)
        if self._record(table, row_uuid).external_ids != external_ids:
            raise _changed(table, row_uuid)
        row.verify("external_ids")
        return row

    def _record(self, table: str, row_uuid: str) -> Any:
        """What the replica has of a row that was found."""
        return self.api.ovsdb_connection.idl.records[table].records[row_uuid]

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
            assign(row, column, getattr(change.content, column))
        self._bind(row, change.switches)


class UpdateRow(PlanCommand):
    """Assign the columns of a QoS row that differ, and change which switches reference it."""

    def run_idl(self, txn: Any) -> None:  # noqa: ARG002 - ovsdbapp's signature
        """Change the row, if it still is as it was planned for, here and (verified) on the server."""
        change: RowUpdate = self._change
        row = self._find_same("QoS", change.uuid, change.before.external_ids)
        if row_content(self._record("QoS", change.uuid)) != change.before:
            raise _changed("QoS", change.uuid)
        for column in change.columns:
            row.verify(column)
            assign(row, column, getattr(change.after, column))
        self._bind(row, change.bind)
        self._unbind(row, change.unbind)


class DeleteRow(PlanCommand):
    """Remove all references to a QoS row. The database collects it then; one that is referenced cannot be deleted."""

    def run_idl(self, txn: Any) -> None:  # noqa: ARG002 - ovsdbapp's signature
        """Unbind the row, if it still is the owner's, here and (verified) on the server."""
        change: RowDelete = self._change
        row = self._find_same("QoS", change.uuid, change.content.external_ids)
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
        assign(row, "name", content.name)
        assign(row, "external_ids", content.external_ids)
        assign(row, content.kind.column, self._values(content, content.members))


class UpdateSet(SetCommand):
    """Add and remove members by mutation, which leaves concurrent changes of other members alone."""

    def run_idl(self, txn: Any) -> None:  # noqa: ARG002 - ovsdbapp's signature
        """Change the set, if it still is the owner's, here and (verified) on the server."""
        change: SetUpdate = self._change
        kind = change.content.kind
        row = self._find_same(kind, change.uuid, change.external_ids_before)
        if change.relabels:
            assign(row, "external_ids", change.content.external_ids)
        for value in self._values(change.content, change.add):
            row.addvalue(kind.column, value)
        for value in self._values(change.content, (name for name in change.remove if self._is_there(name, kind))):
            row.delvalue(kind.column, value)

    def _is_there(self, name: str, kind: SetKind) -> bool:
        """A port that is deleted meanwhile has left its groups by itself."""
        if kind is SetKind.ADDRESS_SET:
            return True
        return UUID(self._snapshot.ports[name]) in self.api.tables["Logical_Switch_Port"].rows


class DeleteSet(SetCommand):
    """Delete a port group or address set."""

    def run_idl(self, txn: Any) -> None:  # noqa: ARG002 - ovsdbapp's signature
        """Delete the set, if it still is the owner's, here and (verified) on the server."""
        change: SetDelete = self._change
        self._find_same(change.content.kind, change.uuid, change.content.external_ids).delete()


_COMMANDS: dict[type[Change], type[PlanCommand]] = {
    RowInsert: InsertRow,
    RowUpdate: UpdateRow,
    RowDelete: DeleteRow,
    SetInsert: InsertSet,
    SetUpdate: UpdateSet,
    SetDelete: DeleteSet,
}


def command_for(change: Change, api: Any, snapshot: Snapshot) -> PlanCommand:
    """The command that carries out a change, whose values have been checked."""
    return _COMMANDS[type(change)](api, change, snapshot)


def check_values(change: Change, schema: NorthboundSchema) -> None:
    """Raise InvalidRow when a change writes a value that this server's schema does not take."""
    if isinstance(change, RowInsert):
        for column in ROW_COLUMNS:
            schema.check("QoS", column, getattr(change.content, column))
    elif isinstance(change, RowUpdate):
        for column in change.columns:
            schema.check("QoS", column, getattr(change.after, column))
    elif isinstance(change, SetInsert | SetUpdate):
        content = change.content
        schema.check(content.kind, "name", content.name)
        schema.check(content.kind, "external_ids", content.external_ids)
        if content.kind is SetKind.ADDRESS_SET:
            _check_addresses(content.members if isinstance(change, SetInsert) else change.add, schema)


def _check_addresses(addresses: Collection[str], schema: NorthboundSchema) -> None:
    try:
        schema.check(SetKind.ADDRESS_SET, "addresses", ["".join(addresses)])  # 155,000 singly take 80 ms (measured)
    except InvalidRow:
        schema.check(SetKind.ADDRESS_SET, "addresses", addresses)  # says which one
        raise


def _changed(table: str, row_uuid: str) -> StalePlan:
    return StalePlan(f"{table} {row_uuid} has changed since the plan was made; nothing was written, plan again")
