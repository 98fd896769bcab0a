"""The in-memory replica of a Northbound: `ovs`' IDL, on a session of ours, with what a long-lived client needs."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import ovs.db.idl
import ovs.jsonrpc
import ovs.timeval

from ovnqos.northbound.datum import read_datum
from ovnqos.northbound.json_rpc import StreamSession
from ovnqos.northbound.json_stream import collector_paused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ovnqos.northbound.remotes import Remote
    from ovnqos.northbound.schema import NorthboundSchema

NAMED_TABLES: Final = ("Logical_Switch", "Logical_Switch_Port", "Port_Group", "Address_Set")
"""Tables with an index on `name`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowEvent:
    """A row came, changed or went in the replica.

    After a reconnect there are `create` events for rows known before, and none for those that went meanwhile: an event
    says what may have changed, never what is.

    Attributes:
        table: the row's table.
        event: what happened.
        uuid: the row.
        values: copies of all its columns; references are `uuid.UUID`.
    """

    table: str
    event: Literal["create", "update", "delete"]
    uuid: uuid.UUID
    values: Mapping[str, Any]


class NorthboundIdl(ovs.db.idl.Idl):  # type: ignore[misc]  # ovs ships no types
    """The replica. Only its owner's thread, or one that holds its owner's lock, may touch it."""

    def __init__(  # noqa: PLR0913  # keywords with defaults
        self,
        remotes: Sequence[Remote],
        schema: NorthboundSchema,
        *,
        leader_only: bool = True,
        probe_interval_ms: int | None = None,
        silence_limit_ms: int = 5000,
        observer: Callable[[RowEvent], None] | None = None,
        listener: Callable[[str, Any, Mapping[str, Any]], None] | None = None,
    ) -> None:
        """Describes the replica; its first `run` connects.

        Args:
            remotes: in the order to try them.
            schema: the server's, cut to the columns to replicate.
            leader_only: follow and write to the leader of a cluster only.
            probe_interval_ms: see `StreamSession`.
            silence_limit_ms: a server that stays silent for so long before the replica is complete is left for the
                next; `ovs` would wait for ever on a unix socket.
            observer: called for every row that changes, on the thread that runs the replica; it must not block.
            listener: likewise, but given event, `ovs` row and the former values of columns that changed: no copies.
        """
        super().__init__(",".join(map(str, remotes)), schema.helper(), leader_only=leader_only)
        self._session = StreamSession(remotes, probe_interval_ms=probe_interval_ms)
        self._silence_limit_ms = silence_limit_ms
        self._heard = (0, 0, 0)  # session's sequence number, bytes received, and when (ms)
        self._was_replicating = False
        self.observer = observer
        self.listener = listener
        for table in NAMED_TABLES:
            if table in self.tables and "name" in self.tables[table].columns:
                self.index_create(table, "name").add_column("name")

    @property
    def replicating(self) -> bool:
        """True while the replica is complete and follows a server."""
        return bool(self.state == self.IDL_S_MONITORING and self._session.is_connected())

    @property
    def session_number(self) -> int:
        """Changes with every connection made or lost."""
        return int(self._session.get_seqno())

    @property
    def unsent(self) -> bool:
        """True while bytes wait for the socket to take them."""
        return bool(self._session.get_backlog())

    def send(self, message: Any, waiter: Any) -> bool:
        """Sends a request; `waiter._process_reply` gets the answer. Returns False when it was not sent."""
        if self._session.send(message):
            return False
        self._outstanding_txns[message.id] = waiter
        return True

    def forget_transactions(self) -> None:
        """Waits for no reply any more, as `set_lock` demands."""
        self._outstanding_txns.clear()

    def run(self) -> bool:
        """Does what there is to do without blocking. Returns True when the replica changed."""
        with collector_paused():
            changed = bool(super().run())
        replicating = self.replicating
        if replicating and not self._was_replicating:
            # When this server is lost, each of the others gets one try at once.
            self._session.reset_backoff()
        self._was_replicating = replicating
        if not replicating:
            self._leave_silent_server()
        return changed

    def wait(self, poller: Any) -> None:
        """Wakes `poller` when `run` has something to do."""
        super().wait(poller)
        if not self.replicating and self._session.is_connected():
            poller.timer_wait_until(self._heard[2] + self._silence_limit_ms)

    def restart(self) -> None:
        """Drops connection and contents, and replicates from the beginning."""
        self.last_id = str(uuid.UUID(int=0))
        self._session.force_reconnect()

    def notify(self, event: str, row: Any, updates: Any = None) -> None:
        """Tells listener and observer of a change."""
        if row._table.name not in self.tables:  # noqa: SLF001  # ovs' rows have no other way
            return
        if self.listener is not None:
            self.listener(event, row, updates._data if updates is not None else {})  # noqa: SLF001  # same
        if self.observer is None:
            return
        values = {name: datum.to_python(_keep) for name, datum in row._data.items()}  # noqa: SLF001  # same
        self.observer(RowEvent(table=row._table.name, event=event, uuid=row.uuid, values=values))  # type: ignore[arg-type]  # noqa: SLF001  # one of the three

    def describe_trouble(self) -> str:
        """Says why the replica does not follow a server at this time."""
        if self._session.is_connected() and not self._session.rpc.get_status():
            database = self._database_status()
            if database is not None and database.model == ovs.db.idl.CLUSTERED:
                if not database.connected:
                    return f"{self.session_name()} is not connected to its cluster"
                if self.leader_only and not database.leader:
                    return f"{self.session_name()} does not lead its cluster"
            return f"{self.session_name()} accepts the connection but does not answer"
        name, error = self._session.last_failure
        if self._session.is_connected():
            name, error = self.session_name(), ovs.jsonrpc.EOF
        if not name:
            return "there is no connection"
        if error == ovs.jsonrpc.EOF:
            return f"{name} closed the connection"
        return f"{name}: {os.strerror(error)}" if error > 0 else f"{name} does not answer, or does not lead its cluster"

    # The two places where ovs reads values. They are private to its class: should a version of ovs rename them, these
    # are not called, and values are read as ovs reads them, which is right and slow.

    def _Idl__row_update(self, table: Any, row: Any, row_json: Mapping[str, Any]) -> bool:  # noqa: N802  # mangled
        changed = False
        stored = row._data  # noqa: SLF001  # ovs' rows have no other way
        for name, json in row_json.items():
            column = table.columns.get(name)
            if column is None:
                continue
            datum = read_datum(column.type, json)
            before = stored.get(name)  # None: a new row, whose columns have their defaults
            if datum.is_default() if before is None else datum == before:
                continue
            stored[name] = datum
            changed = changed or column.alert
        return changed

    def _Idl__apply_diff(self, table: Any, row: Any, row_diff: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802  # mangled
        old = {}
        stored = row._data  # noqa: SLF001  # ovs' rows have no other way
        for name, json in row_diff.items():
            column = table.columns.get(name)
            if column is None:
                continue
            before = stored[name]
            old[name] = before.copy()
            stored[name] = before.diff(read_datum(column.type, json))
        return old

    def _database_status(self) -> Any:
        if not self.server_tables:
            return None
        rows = self.server_tables[self._server_db_table].rows.values()
        return next((row for row in rows if row.name == self._db.name), None)

    def _leave_silent_server(self) -> None:
        now = ovs.timeval.msec()
        rpc = self._session.rpc
        heard = (self.session_number, rpc.get_received_bytes() if rpc is not None else 0)
        if heard != self._heard[:2]:
            self._heard = (*heard, now)
        elif rpc is not None and now - self._heard[2] >= self._silence_limit_ms:
            self._session.force_reconnect()


def _keep(value: Any, base: Any) -> Any:  # noqa: ARG001  # ovs' signature
    return value
