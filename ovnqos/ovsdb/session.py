"""The session with the servers of one database: which of them to use, what it holds, who has the lock.

Messages are those of RFC 7047 and ovsdb-server(7). Nothing here blocks, and nothing is safe for threads: see `client`.
"""

from __future__ import annotations

import time
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

import ovs.db.types
import ovs.jsonrpc
import ovs.timeval

from ovnqos.collector import collector_paused
from ovnqos.errors import SchemaMismatch
from ovnqos.ovsdb.protocol import Request
from ovnqos.ovsdb.remotes import Failure, JsonRpcSession
from ovnqos.ovsdb.replica import RecordTable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ovnqos.ovsdb.remotes import Database, Remote
    from ovnqos.ovsdb.replica import Replica
    from ovnqos.ovsdb.tls import TlsFiles

_MESSAGES_AT_ONCE: Final = 50
_SERVER, _SERVER_TABLE = "_Server", "Database"
_STATUS_COLUMNS: Final = {
    "name": "string",
    "model": "string",
    "connected": "boolean",
    "leader": "boolean",
    "index": {"key": "integer", "min": 0, "max": 1},
}
_PROBE_S: Final = (1.0, 5.0)
"""The shortest and the longest interval of probes: a server that compacts its database pauses for a moment."""
_SILENT: Final = "accepts the connection but does not answer"


class Phase(IntEnum):
    """How far the session with the connected server is."""

    DISCONNECTED = 0
    CONNECTED = 1  # it was asked for schema and status
    MONITORING = 2  # it was asked for the contents
    READY = 3
    LEAVING = 4  # it is of no use


class DatabaseSession:
    """A session with one database, at whichever of its servers is fit: it has the database, and leads its cluster.

    Attributes:
        phase: how far it is with the connected server.
        answered: whether a server has answered at all.
        was_ready: whether a server was fit, at some time.
        mismatch: why the last server that answered is no server of the database, or its schema does not fit.
        lock_name: the OVSDB lock that is asked for on every connection; None for none.
        has_lock: whether the server said that the lock is ours.
        is_lock_contended: whether the server said that it is another client's.
    """

    def __init__(  # noqa: PLR0913  # keywords with defaults
        self,
        database: Database,
        remotes: Sequence[Remote],
        *,
        tls: TlsFiles | None = None,
        replica: Replica | None = None,
        leader_only: bool = True,
        silence_limit_ms: int = 5000,
        probe_interval_ms: int | None = None,
    ) -> None:
        """Describe the session; its first `run` connects.

        Args:
            database: which one.
            remotes: its servers, in the order to try them.
            tls: the files that `ssl:` needs.
            replica: kept up to date; None for no replica.
            leader_only: use the leader of a cluster only.
            silence_limit_ms: a server that stays silent for so long before it is ready is left for the next.
            probe_interval_ms: see `JsonRpcSession`.
        """
        self.phase = Phase.DISCONNECTED
        self.answered = self.was_ready = False
        self.mismatch: SchemaMismatch | None = None
        self.lock_name: str | None = None
        self.has_lock = self.is_lock_contended = False
        self._database = database
        self._replica = replica
        self._leader_only = leader_only
        self._rpc = JsonRpcSession(remotes, tls=tls, probe_interval_ms=probe_interval_ms)
        self._silence_limit_ms = silence_limit_ms
        self._number = -1  # of the connection that requests were sent on
        self._received = (0, 0)  # bytes, and when they had changed last (ms)
        self._requests: dict[Any, Request] = {}
        self._lock_request: Request | None = None
        self._servers = _server_table()
        self._oldest_index = 0
        self._is_paused = False

    @property
    def number(self) -> int:
        """Changes with every connection made or lost."""
        return int(self._rpc.get_seqno())

    @property
    def is_ready(self) -> bool:
        """Whether a fit server is connected, and the replica follows it."""
        return self.phase is Phase.READY and self._rpc.is_connected()

    @property
    def is_hopeless(self) -> bool:
        """Whether every remote failed in a way that trying again will not change."""
        failures = self._rpc.failures
        return len(failures) == len(self._rpc.remotes) and all(one.final for one in failures.values())

    @property
    def has_unsent(self) -> bool:
        """Whether bytes are left that the socket has not taken yet."""
        return bool(self._rpc.get_backlog())

    @property
    def server(self) -> str:
        """The remote that is connected, or tried."""
        return str(self._rpc.remote)

    def describe_trouble(self) -> str:
        """Why there is no fit server at this time: each remote with its reason."""
        failures = dict(self._rpc.failures)
        if self._rpc.is_connected():
            failures[self.server] = Failure(_SILENT)
        return "; ".join(f"{remote}: {failure.reason}" for remote, failure in failures.items()) or "no connection yet"

    def send(self, method: str, *parameters: Any, on_reply: Callable[[Any], None] | None = None) -> Request | None:
        """Send a request; None when it was not sent."""
        message: Any = ovs.jsonrpc.Message.create_request(method, list(parameters))
        if not self._rpc.is_connected() or self._rpc.send(message):
            return None
        request = self._requests[message.id] = Request(on_reply)
        return request

    def set_lock(self, name: str | None) -> None:
        """Ask for this lock, now and on each new connection; None gives it back, or withdraws the request."""
        if self.lock_name is not None:
            self.send("unlock", self.lock_name)
        self.lock_name = name
        self._ask_for_lock("lock")

    def steal_lock(self, name: str) -> None:
        """Take the lock from its holder; a new connection just asks for it.

        A client that waits for a lock must `unlock` before it may `steal` it.
        """
        self.set_lock(None)
        self.lock_name = name
        self._ask_for_lock("steal")

    def _ask_for_lock(self, method: str) -> None:
        if self._lock_request is not None:
            self._lock_request.on_reply = None
        self.has_lock = self.is_lock_contended = False
        if self.lock_name is not None:
            self._lock_request = self.send(method, self.lock_name, on_reply=self._take_lock)

    def pause(self) -> None:
        """Have the server report no more changes: the replica is incomplete until `resume` has it read anew."""
        if self._replica is not None and self.is_ready and not self._is_paused:
            self._is_paused = True
            self._replica.is_complete = False
            self.send("monitor_cancel", self._database.name)

    def resume(self) -> None:
        """End a pause; a new connection does so by itself."""
        if self._is_paused and self.is_ready:
            self._monitor()

    def restart(self, reason: str) -> None:
        """Drop the connection, and read everything anew; `reason` says why in words that follow the remote's name."""
        if self._replica is not None:
            self._replica.reset()
        self._leave(reason)

    def close(self) -> None:
        """Disconnect, which gives the lock back."""
        self.phase = Phase.DISCONNECTED
        self._rpc.close()

    def wait(self, poller: Any) -> None:
        """Wake `poller` when `run` has something to do."""
        self._rpc.wait(poller)
        self._rpc.recv_wait(poller)
        if not self.is_ready and self._rpc.is_connected():
            poller.timer_wait_until(self._received[1] + self._silence_limit_ms)

    def run(self) -> None:
        """Do what there is to do without blocking."""
        with collector_paused():
            self._rpc.run()
            for _ in range(_MESSAGES_AT_ONCE):
                if self._number != self.number:
                    self._lose_requests()
                if not self._rpc.is_connected():
                    break
                if self.phase is Phase.DISCONNECTED:
                    self._start()
                if self.phase is Phase.LEAVING:
                    break  # bytes that are received now would make `ovs` take the connection for a good one again
                message = self._rpc.recv()
                if message is None:
                    break
                self._take(message)
        if not self.is_ready:
            self._leave_silent_server()

    def _lose_requests(self) -> None:
        self._number = self.number
        self.phase = Phase.DISCONNECTED
        self.has_lock = self.is_lock_contended = False
        requests, self._requests = self._requests, {}
        for request in requests.values():
            request.is_lost = True

    def _start(self) -> None:
        self.phase = Phase.CONNECTED
        self._received = (0, ovs.timeval.msec())
        self._servers = _server_table()
        self.send("get_schema", self._database.name, on_reply=self._take_schema)
        columns = [{"columns": list(_STATUS_COLUMNS)}]
        self.send("monitor_cond", _SERVER, _SERVER, {_SERVER_TABLE: columns}, on_reply=self._take_status)
        self._ask_for_lock("lock")

    def _take(self, message: Any) -> None:
        if message.type in (ovs.jsonrpc.Message.T_REPLY, ovs.jsonrpc.Message.T_ERROR):
            request = self._requests.pop(message.id, None)
            if request is not None:
                request.reply = message
                if request.on_reply is not None:
                    request.on_reply(message)
        elif message.method == "update3" and self._replica is not None and self.phase is Phase.READY:
            self._replica.apply_changes(*message.params[1:])
        elif message.method == "update2":
            for _ in self._servers.apply_all(message.params[1][_SERVER_TABLE]):
                pass
            self._check_server()
        elif message.method in ("locked", "stolen") and message.params == [self.lock_name]:
            self.has_lock = message.method == "locked"
            self.is_lock_contended = not self.has_lock

    def _take_schema(self, reply: Any) -> None:
        """Take the schema, if there is one; a server without the database is refused for its status."""
        self.answered = True
        if reply.type != ovs.jsonrpc.Message.T_REPLY or self._replica is None:
            return
        try:
            self._replica.set_schema(self._database.name, reply.result)
        except SchemaMismatch as mismatch:
            self._refuse(mismatch)

    def _take_status(self, reply: Any) -> None:
        if reply.type != ovs.jsonrpc.Message.T_REPLY:
            self._refuse(SchemaMismatch(f"{self.server} is older than Open vSwitch 2.9: it has no database {_SERVER}"))
            return
        self._servers.load(reply.result.get(_SERVER_TABLE, {}))
        self._check_server()
        if self.phase is not Phase.CONNECTED:
            return
        self.mismatch = None
        self._monitor()

    def _monitor(self) -> None:
        self._is_paused = False
        if self._replica is None:
            self._get_ready()
            return
        self.phase = Phase.MONITORING
        name = self._database.name
        self.send("monitor_cond_since", name, name, *self._replica.monitor_parameters(), on_reply=self._take_contents)

    def _take_contents(self, reply: Any) -> None:
        if reply.type != ovs.jsonrpc.Message.T_REPLY:
            self._refuse(SchemaMismatch(f"{self.server} refuses to be monitored: {reply.error}"))
        elif self._replica is not None:
            self._replica.apply_contents(reply.result)
            self._get_ready()

    def _get_ready(self) -> None:
        self.phase = Phase.READY
        self.was_ready = True
        self._rpc.clear_failures()

    def _take_lock(self, reply: Any) -> None:
        result = reply.result
        self.has_lock = isinstance(result, dict) and result.get("locked") is True
        self.is_lock_contended = not self.has_lock

    def _check_server(self) -> None:
        """Leave a server that is not fit, or not any more."""
        status = {record.name: record for record in self._servers.records.values()}
        server = status.get(self._database.name)
        if server is None:
            names = ", ".join(sorted(status.keys() - {_SERVER})) or "none"
            self._refuse(SchemaMismatch(f"{self.server} has no database {self._database.name}; it serves: {names}"))
            return
        index = max(server.index, default=0)
        reason = ""
        if server.model == "clustered" and not server.connected:
            reason = "is not connected to its cluster"
        elif not server.connected:
            reason = "has not opened its database"
        elif server.model == "clustered" and self._leader_only and not server.leader:
            reason = "does not lead its cluster"
        elif index < self._oldest_index:
            reason = "has fallen behind its cluster"
        if reason:
            self._leave(reason)
        else:
            self._oldest_index = index

    def _refuse(self, mismatch: SchemaMismatch) -> None:
        self.mismatch = mismatch
        self._leave(str(mismatch))

    def _leave(self, reason: str) -> None:
        self.phase = Phase.LEAVING
        self._rpc.leave(reason)

    def _leave_silent_server(self) -> None:
        if self.phase not in (Phase.CONNECTED, Phase.MONITORING) or not self._rpc.is_connected():
            return
        now, received = ovs.timeval.msec(), self._rpc.rpc.get_received_bytes()
        if received != self._received[0]:
            self._received = (received, now)
        elif now - self._received[1] >= self._silence_limit_ms:
            self._leave(_SILENT)


def _server_table() -> RecordTable:
    types = {name: ovs.db.types.Type.from_json(of_type) for name, of_type in _STATUS_COLUMNS.items()}
    return RecordTable(_SERVER_TABLE, types)


class Outages:
    """Notices when a session has been without a server for too long, and when it has one again.

    Attributes:
        probe_interval_ms: how often to probe a server, so that one that is silent is found out in time.
    """

    def __init__(self, seconds: float | None) -> None:
        """For outages of so many seconds; None: any loss is one, and silent servers are not probed for."""
        self.probe_interval_ms: int | None = None
        self._limit_s = 0.0
        if seconds is not None:
            probe_s = min(max(seconds / 3, _PROBE_S[0]), _PROBE_S[1])
            self.probe_interval_ms = round(probe_s * 1000)
            self._limit_s = max(0.0, seconds - 2 * probe_s)  # what is left once a silent server was found out
        self._since: float | None = None
        self._is_outage = False

    def wait(self, poller: Any) -> None:
        """Wake `poller` when an outage begins."""
        if self._since is not None and not self._is_outage:
            poller.timer_wait(1000 * (self._since + self._limit_s - time.monotonic()) + 1)

    def notice(self, session: DatabaseSession) -> bool | None:
        """Whether an outage has begun (True) or ended (False) since this was asked last; None: neither."""
        was_outage = self._is_outage
        if session.is_ready:
            self._since, self._is_outage = None, False
        elif self._since is None and session.was_ready:
            self._since = time.monotonic()
        if self._since is not None and time.monotonic() - self._since >= self._limit_s:
            self._is_outage = True
        return None if self._is_outage == was_outage else self._is_outage
