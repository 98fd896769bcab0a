"""Questions to an OVSDB server, answered as they are asked: no replica, so that a large Southbound costs little.

A replica of the logical flows of a large cluster is hundreds of megabytes, of which QoS is a thousandth.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, Self

import ovs.jsonrpc

from ovnqos.errors import DatabaseUnavailable, InvalidRemote, NorthboundUnavailable, SchemaMismatch, TransactionRefused
from ovnqos.ovsdb.handshake import Deadline
from ovnqos.ovsdb.json_rpc import Poller, StreamSession, describe_loss
from ovnqos.ovsdb.tls import TlsClaim

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ovnqos.ovsdb.remotes import Remote
    from ovnqos.ovsdb.tls import TlsFiles

Row = dict[str, Any]
"""A row's columns as RFC 7047 has them in JSON."""

_SERVER_STATUS: Final = {"op": "select", "table": "Database", "columns": ["name", "connected", "leader", "model"]}
_TIMED_OUT: Final = "timed out"


class OvsdbSession:
    """Asks one database, at whichever of its servers answers and leads; a context manager. For one thread.

    Attributes:
        database: the name of its schema.
        remotes: where its servers are, as text.
    """

    def __init__(
        self,
        database: str,
        remotes: Sequence[Remote],
        *,
        tls: TlsFiles | None = None,
        timeout_s: float = 10.0,
        unavailable: type[DatabaseUnavailable] = NorthboundUnavailable,
    ) -> None:
        """Describes it; the first question connects.

        Args:
            database: `OVN_Northbound` or `OVN_Southbound`.
            remotes: in the order to try them.
            tls: the files that `ssl:` needs.
            timeout_s: seconds that a question may take, unless it says otherwise.
            unavailable: the error that says that nobody answers.

        Raises:
            InvalidRemote: a TLS file is missing or cannot be used.
        """
        self.database = database
        self.remotes = ",".join(map(str, remotes))
        self._timeout_s = timeout_s
        self._share_s = max(timeout_s / (len(remotes) + 1), 0.1)
        self._unavailable = unavailable
        self._stack = ExitStack()
        if any(remote.method == "ssl" for remote in remotes):
            if tls is None:
                raise InvalidRemote("an ssl: remote needs a private key, a certificate and a CA certificate")
            self._stack.callback(TlsClaim(tls).release)
        self._session = StreamSession(remotes)
        self._stack.callback(self._session.close)
        self._answers: dict[Any, Any] = {}
        self._good_session = -1
        self._failure = ("", 0)
        self._reasons: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Disconnects."""
        self._stack.close()

    def transact(self, *operations: Mapping[str, Any], timeout_s: float | None = None) -> list[Row]:
        """Runs operations in one transaction (RFC 7047, section 5.2), again if the connection is lost meanwhile.

        Args:
            operations: they must not mind to be run twice.
            timeout_s: seconds until the answer must be there.

        Returns:
            A result for each operation.

        Raises:
            NorthboundUnavailable: nobody answers in time, as the class that was given for that.
            SchemaMismatch: the server does not have the database, or it lacks a table or column that is asked for.
            TransactionRefused: the server refused it for another reason, in its own words.
        """
        deadline = Deadline(self._timeout_s if timeout_s is None else timeout_s)
        while True:
            self._find_server(deadline)
            reply = self._ask("transact", [self.database, *operations], deadline)
            if reply is not None:
                return self._results(reply)
            if not deadline.left:
                raise self._nobody_answers("does not answer")

    def await_none(self, table: str, *conditions: Sequence[Sequence[Any]], timeout_s: float) -> bool:
        """Waits until no row of a table fulfils any of the conditions.

        Args:
            table: the table.
            conditions: each a conjunction as in RFC 7047, section 5.2.1, `where`, of columns that are scalars.
            timeout_s: seconds to wait at most.

        Returns:
            Whether that came true; raises as `transact`.
        """
        common = {"op": "wait", "table": table, "until": "==", "rows": [], "timeout": round(timeout_s * 1000)}
        waits = ({**common, "where": where, "columns": [where[0][0]]} for where in conditions)
        try:
            self.transact(*waits, timeout_s=timeout_s + self._timeout_s)
        except TransactionRefused as refused:
            if _TIMED_OUT in str(refused):
                return False
            raise
        return True

    def _results(self, reply: Any) -> list[Row]:
        if reply.type != ovs.jsonrpc.Message.T_REPLY or not isinstance(reply.result, list):
            raise TransactionRefused(f"{self.database} refuses the transaction: {reply.error}")
        for result in reply.result:
            if isinstance(result, dict) and (error := result.get("error")):
                details = result.get("details", "")
                if error in {"syntax error", "unknown column", "unknown table"}:
                    raise SchemaMismatch(f"the schema of {self.database} does not fit: {details}")
                raise TransactionRefused(f"{self.database} refuses the transaction: {error}: {details}")
        return [result or {} for result in reply.result]

    def _find_server(self, deadline: Deadline) -> None:
        """Returns with a connection to a server that has the database and leads, or is not part of a cluster."""
        while not (self._session.is_connected() and self._session.get_seqno() == self._good_session):
            if not self._run_until(self._session.is_connected, deadline):
                raise self._nobody_answers("does not answer")
            name = self._session.get_name()
            reason = self._ask_fitness(Deadline(min(self._share_s, deadline.left)))
            if not reason:
                self._good_session = self._session.get_seqno()
            else:
                self._reasons[name] = reason
                self._session.force_reconnect()
                self._work()
                if not deadline.left:
                    raise self._nobody_answers(reason)

    def _ask_fitness(self, deadline: Deadline) -> str:
        """Asks a server that was just connected to; returns why it is of no use, or nothing."""
        reply = self._ask("transact", ["_Server", {**_SERVER_STATUS, "where": []}], deadline)
        if reply is None and self._session.is_connected():
            return "accepts the connection but does not answer"
        if reply is None:
            return describe_loss(ovs.jsonrpc.EOF, tls=_is_tls(self._session.get_name()))
        rows = {row["name"]: row for row in self._results(reply)[0].get("rows", [])}
        status = rows.get(self.database)
        if status is None:
            names = ", ".join(sorted(name for name in rows if name != "_Server")) or "none"
            raise SchemaMismatch(f"{self._session.get_name()} has no database {self.database}; it serves: {names}")
        if status["model"] == "clustered" and not status["connected"]:
            return "is not connected to its cluster"
        if status["model"] == "clustered" and not status["leader"]:
            return "does not lead its cluster"
        return "" if status["connected"] else "has not opened its database"

    def _ask(self, method: str, parameters: Sequence[Any], deadline: Deadline) -> Any:
        """Sends a request and returns the reply; None when the connection was lost, or the time is up."""
        session = self._session.get_seqno()
        request: Any = ovs.jsonrpc.Message.create_request(method, list(parameters))
        if self._session.send(request):
            self._work()  # which notices that the connection is gone
            return None
        self._run_until(lambda: request.id in self._answers or self._session.get_seqno() != session, deadline)
        return self._answers.pop(request.id, None)

    def _run_until(self, done: Callable[[], bool], deadline: Deadline) -> bool:
        self._work()
        while not done():
            if not deadline.left:
                return False
            poller = Poller()
            self._session.wait(poller)
            self._session.recv_wait(poller)
            poller.timer_wait(deadline.left * 1000 + 1)
            poller.block()
            self._work()
        return True

    def _work(self) -> None:
        self._session.run()
        while (message := self._session.recv()) is not None:
            self._answers[message.id] = message
        if self._session.last_failure != self._failure:
            self._failure = name, error = self._session.last_failure
            if error:
                self._reasons[name] = describe_loss(error, tls=_is_tls(name))

    def _nobody_answers(self, reason: str) -> DatabaseUnavailable:
        reasons = self._reasons or {self._session.get_name(): reason}
        words = self.database.removeprefix("OVN_")
        told = "; ".join(f"{name}: {why}" for name, why in reasons.items())
        return self._unavailable(f"no {words} answers in time: {told}")


def _is_tls(remote: str) -> bool:
    return remote.startswith("ssl:")
