"""What all commands that carry out a change of a plan share: they find exactly the row that it was planned for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovsdbapp.backend.ovs_idl.command import BaseCommand

from ovnqos.errors import StalePlan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovnqos.plan.snapshot import Snapshot


class PlanCommand(BaseCommand):  # type: ignore[misc] # ovsdbapp ships no types
    """A command that carries out one change of a plan."""

    def __init__(self, api: Any, change: Any, snapshot: Snapshot) -> None:
        """For a change of a plan that was made from this snapshot."""
        super().__init__(api)
        self._change = change
        self._snapshot = snapshot

    def _find(self, table: str, row_uuid: str) -> Any:
        """The record of a row, if the replica still has it; else the plan is stale."""
        record = self.api.ovsdb_connection.idl.records[table].records.get(row_uuid)
        if record is None:
            raise StalePlan(f"{table} {row_uuid} is gone since the plan was made; nothing was written, plan again")
        return record

    def _find_same(self, table: str, row_uuid: str, external_ids: Mapping[str, str]) -> Any:
        """The same, if the row still has these external_ids."""
        record = self._find(table, row_uuid)
        if record.external_ids != external_ids:
            raise has_changed(table, row_uuid)
        return record


def has_changed(table: str, row_uuid: str) -> StalePlan:
    """The error for a row that is not as it was planned for."""
    return StalePlan(f"{table} {row_uuid} has changed since the plan was made; nothing was written, plan again")
