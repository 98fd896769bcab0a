"""One client of an OVSDB database: a session that a thread keeps, with a replica or without, for all threads to use."""

from __future__ import annotations

import logging
import os
import select
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, Self

from ovnqos.errors import OutcomeUnknown, StalePlan
from ovnqos.ovsdb.json_stream import Poller
from ovnqos.ovsdb.protocol import Deadline, lock_lost, results_of
from ovnqos.ovsdb.session import DatabaseSession, Outages, Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ovnqos.errors import DatabaseUnavailable
    from ovnqos.ovsdb.protocol import Operation, Request, Row
    from ovnqos.ovsdb.remotes import Database
    from ovnqos.ovsdb.replica import RecordTable, Replica
    from ovnqos.ovsdb.tls import TlsFiles

_REQUEST_S: Final = 0.5
"""Seconds that the request for contents may take after a server has answered; a leader is found later, if at all."""
_LOCK_ANSWER_S: Final = 5.0
"""Even with no time to wait for another holder of a lock, the server gets so long to answer."""
_NO_ANSWER: Final = "no server answers in time"
_CAUSE_MAXIMUM: Final = 200
_log = logging.getLogger(__name__)


class OvsdbClient:
    """A connection to a database, kept up by a thread; a context manager. Its methods may be called from any thread.

    Attributes:
        remotes: where it connects, as text.
        timeout_s: seconds that a call may wait for the server unless it says otherwise.
        lock: guards session and replica. It is a bare one: Ctrl-C in the Python code by which a condition is entered
            would leave it held for ever.
        session: to be touched with `lock` held only.
    """

    def __init__(  # noqa: PLR0913  # keywords, most with a default
        self,
        database: Database,
        remotes: str | None = None,
        *,
        tls: TlsFiles | None = None,
        timeout_s: float = 10.0,
        replica: Replica | None = None,
        leader_only: bool = True,
        outage_s: float | None = None,
        on_outage: Callable[[DatabaseUnavailable | None], None] | None = None,
    ) -> None:
        """Start to connect.

        Args:
            database: which one.
            remotes: `unix:/path`, `tcp:host:port`, `ssl:host:port`, or several with commas between; None takes those
                that OVN's own commands would use.
            tls: the files that `ssl:` needs.
            timeout_s: seconds for each call.
            replica: kept up to date; None for no replica.
            leader_only: use the leader of a cluster only.
            outage_s: a server that was there and is gone, or silent, for so many seconds is an outage; at least 2 s
                pass before silence is noticed. None: silent servers on unix sockets are not noticed.
            on_outage: called on the connection's thread when an outage begins, with its cause, and with None when it
                ends. It must not block.

        Raises:
            InvalidRemote: a remote, or a TLS file, cannot be used.
        """
        parsed = database.remotes(remotes, tls)
        self.remotes = ",".join(map(str, parsed))
        self._is_local = all(remote.method == "unix" for remote in parsed)
        self.timeout_s = timeout_s
        self._database = database
        self._replica = replica
        self._on_outage = on_outage
        self._outages = Outages(outage_s)
        self.session = DatabaseSession(
            database,
            parsed,
            tls=tls,
            replica=replica,
            leader_only=leader_only,
            silence_limit_ms=max(200, round(timeout_s * 1000 / (len(parsed) + 1))),
            probe_interval_ms=self._outages.probe_interval_ms,
        )
        self.lock = threading.RLock()
        self._changed = threading.Condition(self.lock)
        self._writing = threading.Lock()
        self._stopping = False
        self._wake_up = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._work, name=f"ovnqos-{database.title.lower()}", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect, which also gives back the lock."""
        with self.lock:
            if self._stopping:
                return
            self.wake()
            self._stopping = True
            self._changed.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join()
        self.session.close()
        os.close(self._wake_up)

    @property
    def is_connected(self) -> bool:
        """Whether there is a fit server now, and the replica follows it; it waits for no other call."""
        return self.session.is_ready

    @property
    def session_number(self) -> int:
        """Changes with every connection made or lost. After a change the replica may differ without events."""
        with self.lock:
            return self.session.number

    # Reading

    @property
    def has_contents(self) -> bool:
        """Whether everything was read once. Waits while some of it is being read."""
        with self.lock:
            return self._replica is not None and self._replica.is_complete

    def await_request(self) -> None:
        """Wait until a server has answered, and at most half a second more until one was asked for its contents.

        A busy caller would hold up the thread that asks: measured, by 25 ms of 35.

        Raises:
            DatabaseUnavailable: no server answers in time, as the class of this database.
            SchemaMismatch: a server does not have this database, or its schema does not fit.
        """
        with self.lock:
            self._await_server(lambda: self.session.answered, Deadline(self.timeout_s))
            asked = (Phase.MONITORING, Phase.READY)
            self.wait_until(lambda: self.session.phase in asked, Deadline(_REQUEST_S))
            if self.session.mismatch is not None:
                raise self.session.mismatch

    def await_contents(self, timeout_s: float | None = None) -> None:
        """Wait until everything was read once; raises as `await_request`."""
        with self.lock:
            self.session.resume()
            self._wake_if_unsent()
            self._await_server(lambda: self.has_contents, self._deadline(timeout_s))

    def pause_replica(self) -> None:
        """Have the server report no more changes. All is read anew when it is asked for next."""
        with self.lock:
            self.session.pause()
            self._wake_if_unsent()

    @contextmanager
    def reading(self) -> Iterator[Mapping[str, RecordTable]]:
        """Inside, the replica stands still: its contents by table; raises as `await_request`."""
        with self.lock:
            if not self.has_contents:
                self.await_contents()
            assert self._replica is not None  # or the wait would not have ended
            yield self._replica.tables

    def refresh(self, *, timeout_s: float | None = None) -> None:
        """Wait until the replica holds everything committed before this call; call it after `OutcomeUnknown`.

        Raises:
            DatabaseUnavailable: the server does not answer in time, as the class of this database.
        """
        # ovsdb-server sends a client the updates it owes before the reply to a later request
        self.query(timeout_s=timeout_s)

    def query(self, *operations: Operation, timeout_s: float | None = None) -> list[Row]:
        """Run operations in one transaction, again if the connection is lost meanwhile.

        Args:
            operations: they must not mind to be run twice.
            timeout_s: seconds until the answer must be there.

        Returns:
            A result for each operation.

        Raises:
            DatabaseUnavailable: no server answers in time, as the class of this database.
            SchemaMismatch: the server does not have the database, or it lacks a table or column that is asked for.
            TransactionRefused: the server refused it for another reason, in its own words.
        """
        deadline = self._deadline(timeout_s)
        with self.lock:
            request = self._ask(operations, deadline)
            while request is None or request.reply is None:
                if not deadline.left:
                    raise self.unavailable()
                request = self._ask(operations, deadline)
        return results_of(request.reply, operations, self._database)

    def await_none(self, table: str, *conditions: Sequence[Sequence[Any]], timeout_s: float) -> bool:
        """Wait until no row of a table fulfils any of the conditions; raises as `query`.

        Args:
            table: the table.
            conditions: each a conjunction as in RFC 7047, section 5.2.1, `where`, of columns that are scalars.
            timeout_s: seconds to wait at most.

        Returns:
            Whether that came true.
        """
        common = {"op": "wait", "table": table, "until": "==", "rows": [], "timeout": round(timeout_s * 1000)}
        waits = ({**common, "where": where, "columns": [where[0][0]]} for where in conditions)
        try:
            self.query(*waits, timeout_s=timeout_s + self.timeout_s)
        except StalePlan:
            return False
        return True

    # Writing

    def transact(self, operations: Sequence[Operation], *, timeout_s: float | None = None) -> list[Row]:
        """Run operations in one transaction that asserts the lock, if one is asked for; never try a second time.

        Args:
            operations: a `wait` among them that fails says that something is not as it was planned for.
            timeout_s: seconds until the answer must be there.

        Returns:
            A result for each operation.

        Raises:
            DatabaseUnavailable: nothing was sent, as the class of this database.
            OutcomeUnknown: it was sent and no answer came in time, or the connection was lost meanwhile.
            LockLost: another client holds the lock; nothing was written.
            StalePlan: a `wait` failed; nothing was written.
            TransactionRefused: the server refused it, in its own words; nothing was written.
        """
        deadline = self._deadline(timeout_s)
        if not self._writing.acquire(timeout=deadline.left):
            raise self._database.unavailable("another transaction of this connection is in flight; nothing was sent")
        try:
            with self.lock:
                self._await_lock(deadline)
                name = self.session.lock_name
                guarded = [*([] if name is None else [{"op": "assert", "lock": name}]), *operations]
                request = self._ask(guarded, deadline)
                if request is None:
                    raise self.unavailable("nothing was sent")
                if request.is_lost:
                    trouble = self.session.describe_trouble()
                    raise OutcomeUnknown(f"the connection was lost before the answer: {trouble}")
                if request.reply is None:
                    raise OutcomeUnknown(
                        f"{self.session.server} did not answer the transaction in time; it may still carry it out"
                    )
        finally:
            self._writing.release()
        return results_of(request.reply, guarded, self._database)[len(guarded) - len(operations) :]

    def holds_lock(self, name: str) -> bool:
        """Whether the server says, as far as we have heard, that a lock is ours."""
        with self.lock:
            return self.session.lock_name == name and self.session.has_lock and self.session.is_ready

    def acquire_lock(self, name: str, timeout_s: float | None = 0.0, *, steal: bool = False) -> None:
        """Ask for a lock (RFC 7047, section 4.1.8), and wait for it while another client holds it.

        From then on `transact` asserts it on the server. A lost connection loses it; the next one asks for it again.

        Args:
            name: an `<id>` of RFC 7047 (`/` is refused).
            timeout_s: seconds to wait for another holder to let go; None waits as long as it takes.
            steal: then take it away from the holder: the server tells it, and refuses its transactions from then on
                (measured with OVS 3.1: a holder that is frozen keeps its lock on a unix socket for ever, else until
                the server's probe, 60 s by default).

        Raises:
            LockLost: another client holds it still. The request is withdrawn.
            DatabaseUnavailable: the server did not say who holds it, as the class of the database.
        """
        session, deadline = self.session, None if timeout_s is None else Deadline(timeout_s)
        with self.lock:
            if session.lock_name != name:
                session.set_lock(name)
                self.wake()
            patience = None if timeout_s is None else Deadline(max(timeout_s, _LOCK_ANSWER_S))
            self.wait_until(lambda: self.holds_lock(name) or session.is_lock_contended, patience)
            if self.wait_until(lambda: self.holds_lock(name), deadline):
                return
            if steal and session.is_lock_contended:
                session.steal_lock(name)
                self.wake()
                if self.wait_until(lambda: self.holds_lock(name), Deadline(_LOCK_ANSWER_S)):
                    return
            is_contended = session.is_lock_contended
            self.release_lock(name)
            raise lock_lost(name) if is_contended else self.unavailable(f"no answer about the OVSDB lock {name}")

    def release_lock(self, name: str) -> None:
        """Give a lock back, or withdraw the request for it."""
        with self.lock:
            if self.session.lock_name == name:
                self.session.set_lock(None)
                self.wake()

    def _await_lock(self, deadline: Deadline) -> None:
        """Wait until the server has said who holds the lock, if one is asked for."""
        session = self.session
        self._await_ready(deadline, "no server in time, nothing was sent")
        if session.lock_name is None:
            return
        if not self.wait_until(lambda: session.has_lock or session.is_lock_contended, deadline):
            raise self.unavailable("no answer about the OVSDB lock in time, nothing was sent")
        if not session.has_lock:
            raise lock_lost(session.lock_name)

    # With the lock held

    def wait_until(self, condition: Callable[[], bool], deadline: Deadline | None) -> bool:
        """With `lock` held: wait, the lock released meanwhile, until the condition holds.

        Returns:
            Whether it holds; False when the deadline passed, or the client was closed.
        """
        while not condition():
            left = None if deadline is None else deadline.left
            if self._stopping or left == 0:
                return False
            try:
                self._changed.wait(left)
            except BaseException:  # Ctrl-C, perhaps while the lock was let go: who holds it must give it back
                with suppress(RuntimeError):
                    self.lock.release()
                self.lock.acquire()
                raise
        return True

    def wake(self) -> None:
        """Let the thread look again at what it waits for."""
        if not self._stopping:
            os.eventfd_write(self._wake_up, 1)

    def _wake_if_unsent(self) -> None:
        if self.session.has_unsent:
            self.wake()

    def _await_server(self, condition: Callable[[], bool], deadline: Deadline, what: str = _NO_ANSWER) -> None:
        """Wait for a condition that a server fulfils, as long as one of the remotes may have such a server."""
        session = self.session

        def is_settled() -> bool:
            if condition():
                return True
            # remotes that were right once may be so again
            return not session.was_ready and (session.mismatch is not None or session.is_hopeless)

        self.wait_until(is_settled, deadline)
        if not condition():
            raise session.mismatch or self.unavailable(what)

    def _await_ready(self, deadline: Deadline, what: str = _NO_ANSWER) -> None:
        self._await_server(lambda: self.session.is_ready, deadline, what)

    def _ask(self, operations: Sequence[Operation], deadline: Deadline) -> Request | None:
        """Send a transaction, once there is a server, and wait: for the reply, the loss of it, or the deadline.

        Returns:
            The request; None when it was not sent.
        """
        self._await_ready(deadline)
        request = self.session.send("transact", self._database.name, *operations)
        if request is None or self.session.has_unsent:
            self.wake()  # it notices that the connection is gone, or sends the rest
        if request is None:
            self.wait_until(lambda: not self.session.is_ready, deadline)
        else:
            self.wait_until(lambda: request.is_over, deadline)
        return request

    def unavailable(self, what: str = _NO_ANSWER) -> DatabaseUnavailable:
        """The error that says that there is no server, with the reason of each remote."""
        trouble = "the connection is closed" if self._stopping else self.session.describe_trouble()
        if what == _NO_ANSWER and self._is_local and self.session.is_hopeless and not self.session.was_ready:
            what = "no server"
            trouble += f"; start it, or name another one by {self._database.option} or {self._database.variables[0]}"
        return self._database.unavailable(f"{self._database.title}: {what}: {trouble}")

    def _deadline(self, timeout_s: float | None) -> Deadline:
        return Deadline(self.timeout_s if timeout_s is None else timeout_s)

    # The thread

    def _work(self) -> None:
        while not self._stopping:
            poller = Poller()
            with self.lock:
                self.session.wait(poller)
            self._outages.wait(poller)
            poller.fd_wait(self._wake_up, select.POLLIN)
            poller.block()
            with suppress(BlockingIOError):
                os.eventfd_read(self._wake_up)
            with self.lock:
                if not self._stopping:
                    self._run_session()
                self._changed.notify_all()
            if self._on_outage is not None and not self._stopping:
                self._report_outage(self._on_outage)

    def _report_outage(self, report: Callable[[DatabaseUnavailable | None], None]) -> None:
        """Report an outage once it has lasted, and its end."""
        has_begun = self._outages.notice(self.session)
        if has_begun is None:
            return
        with self.lock:
            error = self.unavailable("connection lost") if has_begun else None
        report(error)

    def _run_session(self) -> None:
        try:
            self.session.run()
        except Exception as error:  # a message, or a listener, failed: what was read in part is read anew
            cause = " ".join(f"{type(error).__name__}: {error}".split())[:_CAUSE_MAXIMUM]
            _log.warning("the %s replica failed and is read anew: %s", self._database.title, cause)
            self.session.restart(f"sends what cannot be read: {cause}")
