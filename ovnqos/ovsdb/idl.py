"""The in-memory replica of a Northbound: `ovs`' IDL, on a session of ours, with what a long-lived client needs."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Protocol

import ovs.db.idl
import ovs.jsonrpc
import ovs.timeval

from ovnqos.collector import collector_paused
from ovnqos.ovsdb.json_rpc import StreamSession, describe_loss
from ovnqos.ovsdb.ovs_rows import RecordRows
from ovnqos.ovsdb.records import RecordTable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ovnqos.ovsdb.records import RecordChange
    from ovnqos.ovsdb.remotes import Remote
    from ovnqos.ovsdb.schema import NorthboundSchema

if not hasattr(ovs.db.idl.Idl, "_Idl__do_parse_update"):
    raise ImportError("this version of ovs reads updates otherwise than 3.5 to 4.0 do; install one of those")


class Listener(Protocol):
    """Hears what happens in a replica, on the thread that runs it: it must not block."""

    def replaced(self, tables: Mapping[str, RecordTable]) -> None:
        """Everything was read, for the first time or after a reconnect: no other word tells what came or went."""

    def changed(self, tables: Mapping[str, RecordTable], changes: Sequence[RecordChange]) -> None:
        """A server told of these changes, all of them made already: those of one transaction, or of some together."""


class NorthboundIdl(ovs.db.idl.Idl):  # type: ignore[misc]  # ovs ships no types
    """The replica. Only its owner's thread, or one that holds its owner's lock, may touch it.

    Attributes:
        records: the contents, by table. `tables` shows the same as rows of `ovs`.
        complete: whether the contents were read, now or before the connection was lost.
    """

    def __init__(  # noqa: PLR0913  # keywords with defaults
        self,
        remotes: Sequence[Remote],
        schema: NorthboundSchema,
        *,
        leader_only: bool = True,
        probe_interval_ms: int | None = None,
        silence_limit_ms: int = 5000,
        listener: Listener | None = None,
    ) -> None:
        """Describes the replica; its first `run` connects.

        Args:
            remotes: in the order to try them.
            schema: the server's, cut to the columns to replicate.
            leader_only: follow and write to the leader of a cluster only.
            probe_interval_ms: see `StreamSession`.
            silence_limit_ms: a server that stays silent for so long before the replica is complete is left for the
                next; `ovs` would wait for ever on a unix socket.
            listener: hears of changes.
        """
        super().__init__(",".join(map(str, remotes)), schema.helper(), leader_only=leader_only)
        self._session = StreamSession(remotes, probe_interval_ms=probe_interval_ms)
        self._silence_limit_ms = silence_limit_ms
        self._heard = (0, 0, 0)  # session's sequence number, bytes received, and when (ms)
        self._was_replicating = False
        self._listener = listener
        self.complete = False
        self.records: dict[str, RecordTable] = {}
        for name, table in self.tables.items():
            records = RecordTable(name, {column.name: column.type for column in table.columns.values()})
            self.records[name] = records
            table.rows = RecordRows(self, table, records)

    @property
    def replicating(self) -> bool:
        """True while the replica is complete and follows a server."""
        return bool(self.state == self.IDL_S_MONITORING and self._session.is_connected())

    @property
    def asked(self) -> bool:
        """True from when a server was asked for its contents on."""
        return bool(self.state >= self.IDL_S_DATA_MONITOR_REQUESTED)

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
        self.state = self.IDL_S_INITIAL
        self.complete = False
        self._session.force_reconnect()

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
        if error == 0:
            return f"{name} does not answer, or does not lead its cluster"
        return f"{name}: {describe_loss(error, tls=name.startswith('ssl:'))}"

    # The one place where ovs reads contents; it is private to its class.

    def _Idl__do_parse_update(self, updates: Mapping[str, Any], version: str, tables: Any) -> None:  # noqa: N802  # mangled
        if tables is not self.tables:
            super()._Idl__do_parse_update(updates, version, tables)
            return
        if version == ovs.db.idl.OVSDB_UPDATE:
            raise ValueError("the server speaks OVSDB as before Open vSwitch 2.6 (2016)")
        if self.state != self.IDL_S_MONITORING:
            for name, rows in updates.items():
                self.records[name].load(rows)
            if self._listener is not None:
                self._listener.replaced(self.records)
            self.complete = True
            return
        changes = [change for name, rows in updates.items() for change in self.records[name].take_all(rows)]
        if changes:
            self.change_seqno += 1
            if self._listener is not None:
                self._listener.changed(self.records, changes)

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
