"""One atomic transaction on a replica: from commands to a certain outcome, or to the news that there is none."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import ovs.db.idl
import ovs.jsonrpc

from ovnqos.collector import collector_paused
from ovnqos.errors import (
    InvalidRow,
    LockLost,
    NorthboundUnavailable,
    OutcomeUnknown,
    StalePlan,
    TransactionRefused,
)
from ovnqos.ovsdb.schema import DATABASE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ovnqos.ovsdb.handshake import Deadline
    from ovnqos.ovsdb.replica import Replica

_REFUSED_BY_LOCK: Final = "another writer of this owner holds the OVSDB lock {}; nothing was written"


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionResult:
    """What a committed transaction did.

    Attributes:
        changed: False when the commands asked for nothing, so that nothing was sent.
        results: each command's `result`, in order; of a command that inserts: the row's UUID in the database.
    """

    changed: bool
    results: tuple[Any, ...]


class _Transaction(ovs.db.idl.Transaction):  # type: ignore[misc]  # ovs ships no types
    """`ovs`' transaction, which here keeps the server's words."""

    refusal = ""

    def _substitute_uuids(self, json: Any) -> Any:
        """Puts the names of rows inserted here in place of their UUIDs; of many strings or numbers it looks at one."""
        match json:
            case ["set", [str() | int(), *_]] | ["map", [[str() | int(), str() | int()], *_]]:
                return json
            case _:
                return super()._substitute_uuids(json)

    def _process_reply(self, msg: Any) -> None:
        super()._process_reply(msg)
        operations = msg.result if isinstance(msg.result, list) else [msg.error]
        for operation in operations:
            if isinstance(operation, dict) and operation.get("error") not in (None, "aborted"):
                details = operation.get("details", "")
                self.refusal = f"{operation['error']}: {details}" if details else str(operation["error"])
                return
        if msg.error:
            self.refusal = json.dumps(msg.error)


def commit(replica: Replica, commands: Sequence[Any], deadline: Deadline) -> TransactionResult:
    """Runs the commands and commits what they did as one transaction; never tries a second time.

    Args:
        replica: what the commands work on.
        commands: `ovsdbapp` commands: `run_idl` composes, `post_commit` sees the outcome. One that finds a row other
            than it was planned for raises `StalePlan`; one that reads before it writes calls `Row.verify`.
        deadline: when to give up.

    Raises:
        NorthboundUnavailable: nothing was sent.
        OutcomeUnknown: it was sent and no answer came in time, or the connection was lost meanwhile.
        LockLost: another client holds the lock; nothing was written.
        StalePlan: a verified column has changed; nothing was written.
        TransactionRefused: the server refused it, in its own words; nothing was written.
    """
    with replica.lock:
        _await_ready(replica, deadline)
        session = replica.idl.session_number
        transaction = _Transaction(replica.idl)
        try:
            with collector_paused():
                for command in commands:
                    command.run_idl(transaction)
                status = transaction.commit()
        finally:
            if replica.idl.txn is transaction:
                transaction.abort()
        if status is None:
            raise InvalidRow("a command adds or removes a value that its column cannot hold")
        if status == transaction.INCOMPLETE:
            if replica.idl.unsent:
                replica.wake()
            status = _await_answer(replica, transaction, session, deadline)
        elif status == transaction.TRY_AGAIN:
            raise NorthboundUnavailable(f"nothing was sent: {replica.idl.describe_trouble()}")
        _check_outcome(replica, transaction, status)
        if status == transaction.SUCCESS:
            for command in commands:
                command.post_commit(transaction)
        results = tuple(command.result for command in commands)
        return TransactionResult(changed=status == transaction.SUCCESS, results=results)


def refresh(replica: Replica, deadline: Deadline) -> None:
    """Waits until the replica holds all that was committed before this call.

    Raises:
        NorthboundUnavailable: the server did not answer in time.
    """
    with replica.lock:
        while True:
            _await_following(replica, deadline)
            session = replica.idl.session_number
            # ovsdb-server sends a client the updates it owes before the reply to a later request.
            answer = _Answer()
            request: Any = ovs.jsonrpc.Message.create_request("transact", [DATABASE])
            if replica.idl.send(request, answer):
                replica.wait_until(partial(answer.settled, replica, session), deadline)
                if answer.arrived:
                    return
            if not deadline.left:
                raise NorthboundUnavailable(f"no answer in time: {replica.idl.describe_trouble()}")


class _Answer:
    arrived = False

    def settled(self, replica: Replica, session: int) -> bool:
        return self.arrived or replica.idl.session_number != session

    def _process_reply(self, _message: Any) -> None:
        self.arrived = True


def _await_ready(replica: Replica, deadline: Deadline) -> None:
    """Waits until the replica follows a server and the server has said who holds the lock, if one is wanted."""
    idl = replica.idl
    _await_following(replica, deadline)
    if not idl.lock_name:
        return
    if not replica.wait_until(lambda: idl.has_lock or idl.is_lock_contended, deadline):
        raise NorthboundUnavailable(f"no answer about the OVSDB lock in time: {idl.describe_trouble()}")
    if not idl.has_lock:
        raise LockLost(_REFUSED_BY_LOCK.format(idl.lock_name))


def _await_following(replica: Replica, deadline: Deadline) -> None:
    if not replica.wait_until(lambda: replica.idl.replicating, deadline):
        raise NorthboundUnavailable(f"no connection in time, nothing was sent: {replica.idl.describe_trouble()}")


def _await_answer(replica: Replica, transaction: _Transaction, session: int, deadline: Deadline) -> str:
    idl = replica.idl

    def settled() -> bool:
        return bool(transaction.commit() != transaction.INCOMPLETE) or idl.session_number != session

    replica.wait_until(settled, deadline)
    status: str = transaction.commit()
    if idl.session_number != session and status in (transaction.INCOMPLETE, transaction.TRY_AGAIN):
        raise OutcomeUnknown(f"the connection was lost before the answer: {idl.describe_trouble()}")
    if status == transaction.INCOMPLETE:
        raise OutcomeUnknown(f"{idl.session_name()} did not answer the transaction in time; it may still carry it out")
    return status


def _check_outcome(replica: Replica, transaction: _Transaction, status: str) -> None:
    if status in (transaction.SUCCESS, transaction.UNCHANGED):
        return
    if status == transaction.NOT_LOCKED:
        raise LockLost(_REFUSED_BY_LOCK.format(replica.idl.lock_name))
    if status == transaction.TRY_AGAIN:
        raise StalePlan("the Northbound changed between plan and commit; nothing was written")
    raise TransactionRefused(f"the Northbound refuses the transaction: {transaction.refusal or status}")
