"""A Northbound as a caller uses it: snapshots in, plans applied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from ovnqos.errors import InvalidRemote, OvnQosError
from ovnqos.model.owner import Owner
from ovnqos.northbound.commands import check_values, command_for
from ovnqos.northbound.live_view import LiveView
from ovnqos.northbound.replica_snapshot import take_snapshot
from ovnqos.ovsdb.connection import NorthboundConnection
from ovnqos.ovsdb.remotes import default_remotes, parse_remotes
from ovnqos.plan.batches import TRANSACTION_WEIGHT, batches

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ovnqos.compile.rows import Delta
    from ovnqos.northbound.database_change import DatabaseChange
    from ovnqos.northbound.plan_command import PlanCommand
    from ovnqos.ovsdb.lock import WriterLock
    from ovnqos.ovsdb.tls import TlsFiles
    from ovnqos.plan.changes import Change
    from ovnqos.plan.plan import Plan
    from ovnqos.plan.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What applying a plan did: how many changes it made, in how many transactions."""

    changes: int
    transactions: int


class Northbound:
    """An OVN Northbound, in the hands of one owner. A context manager; its methods may be called from any thread.

    Attributes:
        owner: whose rows are read as ours and written.
    """

    def __init__(self, connection: NorthboundConnection, owner: Owner, view: LiveView) -> None:
        """For `connect`."""
        self.owner = owner
        self._view = view
        self._connection = connection
        self._lock: WriterLock = connection.writer_lock(owner.lock)

    @classmethod
    def connect(  # noqa: PLR0913 - keywords with defaults
        cls,
        remotes: str | None = None,
        *,
        owner: Owner | None = None,
        tls: TlsFiles | None = None,
        timeout_s: float = 10.0,
        leader_only: bool = True,
        on_change: Callable[[DatabaseChange], None] | None = None,
        wait: bool = True,
    ) -> Self:
        """Connect, and read what is there.

        Args:
            remotes: `unix:/path`, `tcp:host:port`, `ssl:host:port`, or several with commas between. None: OVN_NB_DB
                from the environment, else the local socket.
            owner: whose rows to read as ours; None: the default owner.
            tls: key and certificates, which `ssl:` needs.
            timeout_s: seconds that this call and later ones wait for the server.
            leader_only: use only the leader of a cluster.
            on_change: told of each change in the database, on the connection's thread; it must not block. Not told of
                what `apply` makes as it was planned. After a lost connection told of everything; see `session`.
            wait: until everything is read. Otherwise only until a server was asked, half a second at most; the reading
                goes on in the background, while the caller compiles, say, and the first call that needs it waits; it
                then raises what `connect` would.

        Raises:
            InvalidRemote: a remote cannot be read.
            NorthboundUnavailable: no server answers in time, or none of those that do leads its cluster.
            SchemaMismatch: the server has no Northbound, or one with other tables or columns.
        """
        who = owner or Owner()
        view = LiveView(who, on_change)
        connection = NorthboundConnection.open(
            remotes, tls=tls, timeout_s=timeout_s, leader_only=leader_only, listener=view, wait=wait
        )
        return cls(connection, who, view)

    @staticmethod
    def check(remotes: str | None = None, *, tls: TlsFiles | None = None) -> None:
        """See whether `connect` can use these, as far as that can be told without a connection.

        Raises:
            InvalidRemote: a remote, or a TLS file, cannot be used.
        """
        parsed = default_remotes() if remotes is None else parse_remotes(remotes)
        if any(remote.method == "ssl" for remote in parsed):
            if tls is None:
                raise InvalidRemote("an ssl: remote needs a private key, a certificate and a CA certificate")
            tls.check()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect; the lock is given back."""
        self._connection.close()

    @property
    def has_contents(self) -> bool:
        """Whether everything was read: what waits for that, waits no more. See `wait` of `connect`."""
        return self._connection.has_contents

    def snapshot(self) -> Snapshot:
        """What the Northbound holds now, as far as the server has told us."""
        with self._connection.reading() as tables:
            return take_snapshot(tables, self.owner)

    @property
    def session(self) -> int:
        """Changes with every connection made or lost: then plan from a whole `snapshot` again."""
        return self._connection.session_number

    def part(self, delta: Delta) -> Snapshot:
        """The part of the Northbound that a delta names, at the cost of what it names."""
        with self._connection.reading() as tables:
            return self._view.part(delta, tables)

    def refresh(self, *, timeout_s: float | None = None) -> None:
        """Wait until `snapshot` shows all that was committed before this call. Call it after OutcomeUnknown.

        Raises:
            NorthboundUnavailable: the server does not answer in time.
        """
        self._connection.refresh(timeout_s=timeout_s)

    def lock(self, *, timeout_s: float = 0.0, steal: bool = False) -> None:
        """Take the OVSDB lock of this owner, which fences all its other writers.

        Args:
            timeout_s: seconds to wait for another writer to let go.
            steal: then take it from that writer, whose transactions the server refuses from then on. Only for a caller
                who knows by other means that the other one must not write any more.

        Raises:
            LockLost: another writer holds it for longer than `timeout_s` seconds.
            NorthboundUnavailable: the server does not answer.
        """
        self._connection.await_contents()
        self._lock.acquire(timeout_s, steal=steal)

    def apply(
        self,
        plan: Plan,
        *,
        transaction_weight: int = TRANSACTION_WEIGHT,
        progress: Callable[[int, int], None] | None = None,
    ) -> Applied:
        """Carry out a plan: one atomic transaction, or several when it is large, each leaving every policy whole.

        Takes the owner's lock first, if it is not held yet. The rows to change are verified to be as they were planned
        for. Nothing is tried a second time: after an error take a new snapshot and plan again.

        Args:
            plan: made from a snapshot of this owner.
            transaction_weight: bound on a transaction; see `ovnqos.plan.batches`.
            progress: called after each transaction with the changes done and the changes in all.

        Raises:
            StalePlan: the database is not as it was planned for.
            LockLost: another writer of this owner is at work.
            TransactionRefused: the server refused a transaction, in its own words.
            OutcomeUnknown: no answer came to a transaction: it may have happened.
            NorthboundUnavailable: the transaction was not sent.
            InvalidRow: a value does not fit the server's schema; nothing was written.
            Where a transaction failed those before it are committed, and the error's notes say how many.
        """
        if plan.snapshot.owner != self.owner:
            raise ValueError(f"the plan is of owner {plan.snapshot.owner.name}, this connection of {self.owner.name}")
        if plan.is_empty:
            return Applied(changes=0, transactions=0)
        for change in plan.changes:
            check_values(change, self._connection.schema)
        if not self._lock.held:
            self.lock()
        parts = list(batches(plan.changes, self.owner, transaction_weight))
        done = 0
        for number, batch in enumerate(parts):
            commands = [command_for(change, self._connection.api, plan.snapshot) for change in batch]
            try:
                self._commit(batch, commands)
            except OvnQosError as error:
                if number:
                    error.add_note(f"{number} of {len(parts)} transactions were committed before")
                raise
            done += len(batch)
            if progress is not None:
                progress(done, len(plan.changes))
        return Applied(changes=done, transactions=len(parts))

    def _commit(self, batch: Sequence[Change], commands: Sequence[PlanCommand]) -> None:
        committed = False
        with self._connection.reading() as tables:
            self._view.intend(batch, tables)
        try:
            self._connection.run(commands)
            committed = True
        finally:
            with self._connection.lock:
                self._view.settle(committed=committed)
