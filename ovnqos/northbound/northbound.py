"""A Northbound as a caller uses it: snapshots in, plans applied."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Self

from ovnqos.collector import collector_paused
from ovnqos.errors import OvnQosError, StalePlan
from ovnqos.model.owner import Owner
from ovnqos.northbound.live_view import LiveView
from ovnqos.northbound.replica_reader import PORT, port_addresses, take_snapshot
from ovnqos.ovsdb.client import OvsdbClient
from ovnqos.ovsdb.remotes import NORTHBOUND
from ovnqos.ovsdb.replica import Replica
from ovnqos.plan import render_operations
from ovnqos.plan.changes import TRANSACTION_WEIGHT, batches
from ovnqos.plan.render_operations import SchemaChecks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ovnqos.compile.rows import Delta
    from ovnqos.errors import DatabaseUnavailable
    from ovnqos.northbound.database_change import DatabaseChange
    from ovnqos.ovsdb.protocol import Columns
    from ovnqos.ovsdb.replica import RecordTable
    from ovnqos.ovsdb.tls import TlsFiles
    from ovnqos.plan.changes import Change
    from ovnqos.plan.plan import Plan
    from ovnqos.plan.snapshot import Snapshot

_REREAD_SHARE: Final = 4
"""Changes times this, if more than the rows known, take longer to be reported back than all takes to be read anew."""

NEEDED_COLUMNS: Final[Columns] = {
    "Logical_Switch": {"name": "string", "qos_rules": "set of references to QoS"},
    "Logical_Switch_Port": {"name": "string"},
    "QoS": {
        "priority": "integer",
        "direction": "string",
        "match": "string",
        "action": "map of string to integer",
        "bandwidth": "map of string to integer",
        "external_ids": "map of string to string",
    },
    "Port_Group": {
        "name": "string",
        "ports": "set of weak references to Logical_Switch_Port",
        "external_ids": "map of string to string",
    },
    "Address_Set": {"name": "string", "addresses": "set of strings", "external_ids": "map of string to string"},
}
"""The columns that are read and written (ovn-nb(5)); they have these types since OVN 20.03."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What applying a plan did: how many changes it made, in how many transactions."""

    changes: int
    transactions: int


class Northbound:
    """A connection of one owner to an OVN Northbound. A context manager; its methods may be called from any thread.

    Attributes:
        owner: whose rows are read as ours and written.
    """

    def __init__(self, client: OvsdbClient, replica: Replica, owner: Owner, view: LiveView | None) -> None:
        """For `connect`."""
        self.owner = owner
        self._view = view
        self._client = client
        self._replica = replica
        self._checked_types: Mapping[str, Mapping[str, Any]] = {}
        self._checks = SchemaChecks({})

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
        outage_s: float | None = None,
        on_outage: Callable[[DatabaseUnavailable | None], None] | None = None,
    ) -> Self:
        """Connect, and read what is there.

        Args:
            remotes: `unix:/path`, `tcp:host:port`, `ssl:host:port`, or several with commas between. None: OVN_NB_DB
                from the environment, else the local socket.
            owner: whose rows to read as ours; None: the default owner.
            tls: key and certificates, which `ssl:` needs.
            timeout_s: seconds that this call and later ones wait for the server.
            leader_only: use only the leader of a cluster.
            on_change: called with each change in the database, on the connection's thread; it must not block. What
                `apply` makes as planned is left out. After a lost connection everything is a change; see `session`.
            wait: until everything is read. Otherwise only until a server was asked for it; the reading goes on in the
                background, and the first call that needs it waits and raises what `connect` would.
            outage_s: a server that was there and is gone, or silent, for so many seconds (at least 2) is an outage.
            on_outage: called on the connection's thread when an outage begins, with its cause, and with None when it
                ends. It must not block. The connection is made again by itself.

        Raises:
            InvalidRemote: a remote cannot be read.
            NorthboundUnavailable: no server answers in time, or none of those that do leads its cluster; at once where
                no server listens on any of the local sockets.
            SchemaMismatch: the server has no Northbound, or one with other tables or columns.
        """
        who = owner or Owner()
        view = LiveView(who, on_change) if on_change is not None else None
        replica = Replica(NEEDED_COLUMNS, view)
        client = OvsdbClient(
            NORTHBOUND,
            remotes,
            tls=tls,
            timeout_s=timeout_s,
            replica=replica,
            leader_only=leader_only,
            outage_s=outage_s,
            on_outage=on_outage,
        )
        try:
            if wait:
                client.await_contents()
            else:
                client.await_request()
        except BaseException:
            client.close()
            raise
        return cls(client, replica, who, view)

    @staticmethod
    def check(remotes: str | None = None, *, tls: TlsFiles | None = None) -> None:
        """See whether `connect` can use these, as far as that can be told without a connection.

        Raises:
            InvalidRemote: a remote, or a TLS file, cannot be used.
        """
        NORTHBOUND.remotes(remotes, tls)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect; the lock is given back."""
        self._client.close()

    @property
    def is_connected(self) -> bool:
        """Whether there is a server now; it does not wait for any other call."""
        return self._client.is_connected

    @property
    def has_contents(self) -> bool:
        """Whether everything was read; see `wait` of `connect`."""
        return self._client.has_contents

    def snapshot(self, *, addresses: bool = False) -> Snapshot:
        """What the Northbound holds now, as far as the server has reported it.

        Args:
            addresses: whether to read the addresses of all logical switch ports, too, which the replica does not hold:
                they tell which pods still exist.

        Raises:
            NorthboundUnavailable: the addresses cannot be read in time.
        """
        known = self._addresses() if addresses else None
        with self._client.reading() as tables:
            return replace(take_snapshot(tables, self.owner), addresses=known)

    def _addresses(self) -> dict[str, set[str]]:
        operation = {"op": "select", "table": PORT, "where": [], "columns": ["name", "addresses", "dynamic_addresses"]}
        rows = self._client.query(operation)[0]["rows"]
        known: dict[str, set[str]] = defaultdict(set)
        for row in rows:
            for address in port_addresses(row):
                known[address].add(row["name"])
        return dict(known)

    @property
    def session(self) -> int:
        """Changes with every connection made or lost: then plan from a whole `snapshot` again."""
        return self._client.session_number

    def part(self, delta: Delta) -> Snapshot:
        """The part of the Northbound that a delta names, at the cost of what it names."""
        with self._client.reading() as tables:
            return self._listening().part(delta, tables)

    def everything(self) -> DatabaseChange:
        """All rows and sets of the owner, and whether there are foreign rows, as if all had changed."""
        with self._client.reading() as tables:
            return self._listening().everything(tables)

    def _listening(self) -> LiveView:
        """The view, with the replica's lock held: what only takes snapshots and applies plans needs none."""
        if self._view is None:
            self._view = LiveView(self.owner)
            self._replica.listen(self._view)
        return self._view

    def refresh(self, *, timeout_s: float | None = None) -> None:
        """Wait until `snapshot` shows all that was committed before this call. Call it after OutcomeUnknown.

        Raises:
            NorthboundUnavailable: the server does not answer in time.
        """
        self._client.refresh(timeout_s=timeout_s)

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
        if not self._client.holds_lock(self.owner.lock):
            self._client.await_contents()
            self._client.acquire_lock(self.owner.lock, timeout_s, steal=steal)

    def apply(
        self,
        plan: Plan,
        *,
        transaction_weight: int = TRANSACTION_WEIGHT,
        advance_sequence: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> Applied:
        """Carry out a plan: one atomic transaction, or several when it is large, each leaving every policy whole.

        Takes the owner's lock first, if it is not held yet. The rows to change are verified to be as they were planned
        for. Nothing is tried a second time: after an error take a new snapshot and plan again.

        Args:
            plan: made from a snapshot of this owner.
            transaction_weight: bound on a transaction; see `ovnqos.plan.changes.batches`.
            advance_sequence: increment the sequence number (`nb_cfg`) in each transaction, so that northd and every
                chassis report when they have caught up with it: each chassis then writes to the Southbound.
            progress: called after each transaction with the changes done and the changes in all.

        Raises:
            StalePlan: the database is not as it was planned for. Nothing of the transaction was written, but for
                members of other sets where it was of members alone.
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
        self._client.await_contents()
        self._schema_checks().check_changes(plan.changes)
        if not self._client.holds_lock(self.owner.lock):
            self.lock()
        parts = list(batches(plan.changes, self.owner, transaction_weight))
        if self._view is None:
            self._prepare_unfollowed(plan)
        done = 0
        for number, batch in enumerate(parts):
            try:
                self._commit(batch, plan.snapshot, advance_sequence=advance_sequence)
            except OvnQosError as error:
                if number:
                    error.add_note(f"{number} of {len(parts)} transactions were committed before")
                raise
            done += len(batch)
            if progress is not None:
                progress(done, len(plan.changes))
        return Applied(changes=done, transactions=len(parts))

    def _schema_checks(self) -> SchemaChecks:
        if self._checked_types is not self._replica.types:
            self._checked_types = self._replica.types
            self._checks = SchemaChecks(self._checked_types)
        return self._checks

    def _prepare_unfollowed(self, plan: Plan) -> None:
        """Check what a plan needs, and where it changes much, have the server not report that back.

        That takes both sides as long as the transaction itself (measured). What is there then is read when it is asked
        for; a command asks no more.
        """
        with self._client.reading() as tables:
            self._check_ports(plan.changes, plan.snapshot, tables)
            known = sum(len(table.records) for table in tables.values())
        if len(plan.changes) * _REREAD_SHARE > known:
            self._client.pause_replica()

    @staticmethod
    def _check_ports(changes: Sequence[Change], snapshot: Snapshot, tables: Mapping[str, RecordTable]) -> None:
        ports = tables[PORT].records
        if gone := next((one for one in render_operations.ports_needed(changes, snapshot) if one not in ports), ""):
            raise StalePlan(render_operations.describe_gone_port(gone))

    def _commit(self, batch: Sequence[Change], snapshot: Snapshot, *, advance_sequence: bool) -> None:
        committed = False
        if self._view is not None:
            with self._client.reading() as tables:
                self._check_ports(batch, snapshot, tables)
                self._view.expect(batch, tables)
        of_members = render_operations.changes_members_only(batch, self.owner)
        try:
            with collector_paused():
                operations = (
                    render_operations.render_members(batch, snapshot)
                    if of_members
                    else render_operations.render(batch, snapshot)
                )
            if advance_sequence:
                operations.append(render_operations.ADVANCE_SEQUENCE)
            results = self._client.transact(operations)
            committed = True
        finally:
            if self._view is not None:
                with self._client.lock:
                    self._view.end_transaction(committed=committed)
        if of_members and (stale := render_operations.find_unchanged(operations, results)) is not None:
            raise StalePlan(render_operations.describe_stale(stale, written="the members of other sets were written"))
