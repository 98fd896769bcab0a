"""A connection to an OVN Northbound: its replica, its commands, its transactions."""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final, Self

import ovsdbapp.api
from ovsdbapp.backend import ovs_idl

from ovnqos.errors import InvalidRemote, NorthboundUnavailable
from ovnqos.ovsdb import transaction
from ovnqos.ovsdb.handshake import Deadline, fetch_schema
from ovnqos.ovsdb.idl import NorthboundIdl
from ovnqos.ovsdb.lock import WriterLock
from ovnqos.ovsdb.remotes import default_remotes, parse_remotes
from ovnqos.ovsdb.replica import Replica
from ovnqos.ovsdb.schema import DATABASE, NEEDED_COLUMNS, NorthboundSchema
from ovnqos.ovsdb.tls import TlsClaim

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ovnqos.ovsdb.idl import Listener
    from ovnqos.ovsdb.records import RecordTable
    from ovnqos.ovsdb.schema import Columns
    from ovnqos.ovsdb.tls import TlsFiles
    from ovnqos.ovsdb.transaction import TransactionResult

_QUESTION_S: Final = 0.5
"""How long the words before the question for contents may take; a leader is found later, if at all."""


class NorthboundConnection:
    """An open connection with a complete replica; a context manager.

    Its methods may be called from any thread.

    Attributes:
        remotes: where it connects, as text.
        schema: the server's schema, and the check of values against it.
        api: `ovsdbapp`'s backend for this connection alone, for commands to be made with.
        timeout_s: seconds that a call may wait for the server unless it says otherwise.
    """

    def __init__(self, *, replica: Replica, remotes: str, schema: NorthboundSchema, timeout_s: float) -> None:
        """For `open`."""
        self.remotes = remotes
        self.schema = schema
        self.timeout_s = timeout_s
        self._replica = replica
        self._writing = threading.Lock()
        self._stack = ExitStack()
        self._stack.callback(replica.close)
        # ovsdbapp keeps the connection on the backend's class.
        backend = type("NorthboundApi", (_NorthboundApi,), {})
        self.api: ovs_idl.Backend = backend(self)

    @classmethod
    def open(  # noqa: PLR0913  # keywords, all with a default
        cls,
        remotes: str | None = None,
        *,
        tls: TlsFiles | None = None,
        timeout_s: float = 10.0,
        leader_only: bool = True,
        probe_interval_s: float | None = None,
        columns: Columns = NEEDED_COLUMNS,
        listener: Listener | None = None,
        wait: bool = True,
    ) -> Self:
        """Connects and reads the replica.

        Args:
            remotes: `unix:/path`, `tcp:host:port`, `ssl:host:port`, or several with commas between; None takes
                OVN_NB_DB, or else the local socket.
            tls: the files that `ssl:` needs.
            timeout_s: seconds for all of it, and for later calls.
            leader_only: follow and write to the leader of a cluster only.
            probe_interval_s: seconds of silence after which the server is probed; 0 never probes; None: 5 s, and never
                on unix sockets.
            columns: what to replicate, and the types this needs.
            listener: hears of changes, with the replica locked.
            wait: until the replica is complete; else only until a server was asked for its contents, and the first call
                that needs them waits.

        Raises:
            InvalidRemote: a remote, or a TLS file, cannot be used.
            NorthboundUnavailable: nobody answers in time, or none of those who do leads the cluster.
            SchemaMismatch: the server is not a Northbound, or one whose schema does not fit.
        """
        parsed = default_remotes() if remotes is None else parse_remotes(remotes)
        deadline = Deadline(timeout_s)
        with ExitStack() as stack:
            if any(remote.method == "ssl" for remote in parsed):
                if tls is None:
                    raise InvalidRemote("an ssl: remote needs a private key, a certificate and a CA certificate")
                stack.callback(TlsClaim(tls).release)
            schema_json, answering = fetch_schema(parsed, timeout_s=timeout_s)
            schema = NorthboundSchema(schema_json, columns)
            first = parsed.index(answering)
            idl = NorthboundIdl(
                parsed[first:] + parsed[:first],
                schema,
                leader_only=leader_only,
                probe_interval_ms=None if probe_interval_s is None else round(probe_interval_s * 1000),
                silence_limit_ms=max(200, round(timeout_s * 1000 / (len(parsed) + 1))),
                listener=listener,
            )
            replica = Replica(idl)
            stack.callback(replica.close)
            text = ",".join(map(str, parsed))
            connection = cls(replica=replica, remotes=text, schema=schema, timeout_s=timeout_s)
            if wait:
                connection.await_contents(deadline.left)
            else:
                connection._await_question()
            connection._stack.push(stack.pop_all())
        return connection

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def session_number(self) -> int:
        """Changes with every connection made or lost. After a change the replica may differ without events."""
        with self._replica.lock:
            return self._replica.idl.session_number

    @property
    def following(self) -> bool:
        """True while the replica follows a server; False while it only remembers."""
        with self._replica.lock:
            return self._replica.idl.replicating

    @property
    def has_contents(self) -> bool:
        """Whether everything was read once. Waits while some of it is being taken in."""
        with self._replica.lock:
            return self._replica.idl.complete

    def await_contents(self, timeout_s: float | None = None) -> None:
        """Waits until everything was read once.

        Raises:
            NorthboundUnavailable: that did not come about in time.
        """
        with self._replica.lock:
            self._await_complete(self._deadline(timeout_s))

    def _await_complete(self, deadline: Deadline) -> None:
        idl = self._replica.idl
        if not self._replica.wait_until(lambda: idl.complete, deadline):
            raise NorthboundUnavailable(
                f"no Northbound to follow within {self.timeout_s:g} s: {idl.describe_trouble()}"
            )

    def _await_question(self) -> None:
        """A busy caller would hold up the thread that asks: measured, by 25 ms of 35."""
        with self._replica.lock:
            self._replica.wait_until(lambda: self._replica.idl.asked, Deadline(_QUESTION_S))

    @contextmanager
    def reading(self) -> Iterator[Mapping[str, RecordTable]]:
        """Inside, the replica stands still: its contents by table.

        Raises:
            NorthboundUnavailable: see `await_contents`.
        """
        with self._replica.lock:
            self._await_complete(self._deadline(None))
            yield self._replica.idl.records

    def refresh(self, *, timeout_s: float | None = None) -> None:
        """Waits until the replica holds everything committed before this call; call it after `OutcomeUnknown`.

        Raises:
            NorthboundUnavailable: the server does not answer in time.
        """
        transaction.refresh(self._replica, self._deadline(timeout_s))

    def run(self, commands: Sequence[Any], *, timeout_s: float | None = None) -> TransactionResult:
        """Commits all commands in one transaction; see `transaction.commit` for what it raises.

        Args:
            commands: `ovsdbapp` commands made with `api`.
            timeout_s: seconds until the answer must be there.
        """
        deadline = self._deadline(timeout_s)
        if not self._writing.acquire(timeout=deadline.left):
            raise NorthboundUnavailable("another transaction of this connection is under way; nothing was sent")
        try:
            return transaction.commit(self._replica, commands, deadline)
        finally:
            self._writing.release()

    def writer_lock(self, name: str) -> WriterLock:
        """The OVSDB lock of this name (an `<id>` of RFC 7047), not acquired yet."""
        return WriterLock(self._replica, name)

    def close(self) -> None:
        """Disconnects, which also gives back the lock."""
        self._stack.close()

    def _deadline(self, timeout_s: float | None) -> Deadline:
        return Deadline(self.timeout_s if timeout_s is None else timeout_s)

    # What ovsdbapp's Backend asks of a connection.

    is_running = True

    @property
    def idl(self) -> NorthboundIdl:
        """The IDL, for `ovsdbapp`; to be touched inside `reading` only."""
        return self._replica.idl

    @property
    def lock(self) -> threading.RLock:
        """The lock of the replica, for `ovsdbapp`."""
        return self._replica.lock

    @property
    def timeout(self) -> float:
        """`timeout_s`, for `ovsdbapp`."""
        return self.timeout_s


class _NorthboundApi(ovs_idl.Backend, ovsdbapp.api.API):  # type: ignore[misc]  # ovsdbapp ships no types
    """`ovsdbapp`'s backend, whose transactions have a certain outcome or say that there is none."""

    schema = DATABASE

    def __init__(self, connection: NorthboundConnection) -> None:
        super().__init__(connection, start=False, auto_index=False, nested_transactions=False)

    def create_transaction(self, check_error: bool = True, log_errors: bool = False, **_: object) -> _CommandBatch:  # noqa: ARG002  # ovsdbapp's signature
        return _CommandBatch(self.ovsdb_connection)


class _CommandBatch(ovsdbapp.api.Transaction):  # type: ignore[misc]  # ovsdbapp ships no types
    """What `api.transaction()` gives: it collects commands and hands them to `NorthboundConnection.run`."""

    def __init__(self, connection: NorthboundConnection) -> None:
        self.commands: list[Any] = []
        self._connection = connection

    def add(self, command: Any) -> Any:
        self.commands.append(command)
        return command

    def commit(self) -> list[Any]:
        return list(self._connection.run(self.commands).results)
