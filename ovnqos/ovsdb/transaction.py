"""A transaction in the words of RFC 7047: the request, its results, and what its errors mean."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import ovs.jsonrpc

from ovnqos.errors import LockLost, SchemaMismatch, StalePlan, TransactionRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ovnqos.ovsdb.remotes import Database

Operation = Mapping[str, Any]
"""An `<operation>` of RFC 7047, section 5.2."""

Row = dict[str, Any]
"""A row's columns, or the result of an operation, as RFC 7047 has them in JSON."""

_UNKNOWN_NAMES: Final = frozenset({"syntax error", "unknown column", "unknown table"})


class Deadline:
    """A moment of the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds until then; 0 when it has passed."""
        return max(0.0, self._end - time.monotonic())


class Request:
    """A request that was sent.

    Attributes:
        reply: the `ovs.jsonrpc.Message` that answers it; None until there is one.
        is_lost: the connection ended before the reply.
        on_reply: called with the reply.
    """

    def __init__(self, on_reply: Callable[[Any], None] | None = None) -> None:
        self.reply: Any = None
        self.is_lost = False
        self.on_reply = on_reply

    @property
    def is_over(self) -> bool:
        """Whether the reply is there, or will not come."""
        return self.reply is not None or self.is_lost


def results_of(reply: Any, operations: Sequence[Operation], database: Database) -> list[Row]:
    """The results of a transaction that was committed.

    Args:
        reply: what a server answered.
        operations: what it was asked.
        database: which one.

    Raises:
        LockLost: an `assert` failed.
        StalePlan: a `wait` failed.
        SchemaMismatch: there is no such table or column.
        TransactionRefused: another error, in the server's words.
    """
    refusal = f"the {database.title} refuses the transaction"
    if reply.type != ovs.jsonrpc.Message.T_REPLY or not isinstance(reply.result, list):
        raise TransactionRefused(f"{refusal}: {reply.error}")
    for number, result in enumerate(reply.result):
        error = result.get("error") if isinstance(result, dict) else None
        if error is None:
            continue
        if error == "not owner":
            raise lock_lost(operations[number]["lock"])
        if error == "timed out":
            row = _describe_row(operations[number])
            raise StalePlan(f"{row} has changed or is gone since the plan was made; nothing was written, plan again")
        details = result.get("details", "")
        if error in _UNKNOWN_NAMES:
            raise SchemaMismatch(f"the schema of {database.name} does not fit: {details}")
        raise TransactionRefused(f"{refusal}: {error}: {details}" if details else f"{refusal}: {error}")
    results: list[Row] = reply.result  # null only stands after an error
    return results


def lock_lost(name: str) -> LockLost:
    """The error that says that another client has this lock."""
    return LockLost(f"another writer of this owner holds the OVSDB lock {name}; nothing was written")


def _describe_row(operation: Operation) -> str:
    """The table of a condition, and the row if it is one by uuid."""
    column, _function, value = operation["where"][0]
    return f"{operation['table']} {value[1]}" if column == "_uuid" else str(operation["table"])
