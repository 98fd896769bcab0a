"""A plan as a command for a transaction of `ovsdbapp`, on a connection of the caller's own.

Nothing of `ovsdbapp` or `ovs` is imported: a transaction of theirs asks of a command what `PlanCommand` has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from ovnqos.errors import StalePlan
from ovnqos.plan import render_operations
from ovnqos.plan.changes import RowInsert
from ovnqos.plan.render_operations import PORT, SchemaChecks, describe_gone_port, describe_stale
from ovnqos.plan.snapshot import ROW_COLUMNS, SetKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ovnqos.plan.changes import Change
    from ovnqos.plan.render_operations import Operation
    from ovnqos.plan.snapshot import Snapshot

_COLUMNS = {
    "QoS": ROW_COLUMNS,
    SetKind.PORT_GROUP: ("name", "ports", "external_ids"),
    SetKind.ADDRESS_SET: ("name", "addresses", "external_ids"),
}


class PlanCommand:
    """Makes the changes of a plan within a transaction of `ovsdbapp`.

    Attributes:
        result: how many changes it makes.
    """

    def __init__(self, api: Any, changes: Sequence[Change], snapshot: Snapshot) -> None:
        """For these changes of one plan, which were planned for this snapshot; raises as `Plan.commands`."""
        self.api = api
        self.result = len(changes)
        self._changes = changes
        self._snapshot = snapshot
        self._was_run = False
        types = {
            table: {column: api.tables[table].columns[column].type for column in columns}
            for table, columns in _COLUMNS.items()
        }
        SchemaChecks(types).check_changes(changes)

    def __str__(self) -> str:
        return f"{type(self).__name__}(owner={self._snapshot.owner.name}, changes={self.result})"

    def execute(self, check_error: bool = False, log_errors: bool = True, **options: Any) -> int:
        """Run the command in a transaction of its own."""
        with self.api.transaction(check_error, log_errors, **options) as transaction:
            transaction.add(self)
        return self.result

    def run_idl(self, txn: Any) -> None:
        """Add the operations to a transaction of `ovs`.

        `ovsdbapp` runs a command again when a `wait` failed, or the connection was lost before the answer, as soon as
        the replica has changed. By then the replica shows what happened.

        Raises:
            StalePlan: the replica is not as it was planned for; after a lost connection also where the first
                transaction was committed.
        """
        prefix = f"ovnqos_{id(self):x}_"  # other plans may be in this transaction
        operations = render_operations.render(self._changes, self._snapshot, prefix)
        for operation in operations:
            if operation["op"] == "wait" and not self._holds(operation):
                raise StalePlan(describe_stale(operation))
        ports = self.api.tables[PORT].rows
        for port in render_operations.ports_needed(self._changes, self._snapshot):
            if UUID(port) not in ports:
                raise StalePlan(describe_gone_port(port))
        if self._was_run and (row := self._find_inserted()):
            raise StalePlan(f"QoS {row} is there already, by an earlier attempt or another writer; plan again")
        self._was_run = True
        for operation in operations:
            txn.add_op(operation)

    def post_commit(self, txn: Any) -> None:
        """Do nothing more."""

    def _find_inserted(self) -> UUID | None:
        """A row that is there and has the identity of one to insert."""
        owner = self._snapshot.owner
        identities = {change.identity for change in self._changes if isinstance(change, RowInsert)}
        rows = self.api.tables["QoS"].rows.items() if identities else ()
        for uuid, row in rows:
            external_ids = row.external_ids
            if owner.owns(external_ids) and owner.identity(external_ids) in identities:
                return UUID(str(uuid))
        return None

    def _holds(self, wait: Operation) -> bool:
        """Whether the server would let this `wait` pass, as far as the replica shows."""
        (_column, _function, (_uuid, uuid)), *conditions = wait["where"]
        row = self.api.tables[wait["table"]].rows.get(UUID(uuid))
        (expected,) = wait["rows"]
        return (
            row is not None
            and all(getattr(row, column) == _plain(value) for column, value in expected.items())
            and all(_meets(getattr(row, column), function, _plain(value)) for column, function, value in conditions)
        )


def _meets(actual: Mapping[str, str], function: str, value: Mapping[str, str]) -> bool:
    return value.items() <= actual.items() if function == "includes" else actual == value


def _plain(value: Any) -> Any:
    return dict(value[1]) if isinstance(value, list) else value
