"""The first words with a Northbound: does it answer, is it one, and what is its schema?"""

from __future__ import annotations

import errno
import os
import ssl
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

import ovs.jsonrpc
import ovs.poller
import ovs.stream
import tenacity

from ovnqos.errors import NorthboundUnavailable, SchemaMismatch
from ovnqos.ovsdb.json_rpc import Poller, StreamConnection, describe_loss
from ovnqos.ovsdb.schema import DATABASE
from ovnqos.ovsdb.tls import describe_tls_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ovnqos.ovsdb.remotes import Remote

_SILENT: Final = "accepts the connection but does not answer"


class Deadline:
    """A moment of the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds until then; 0 when it has passed."""
        return max(0.0, self._end - time.monotonic())


class _NoAnswerError(Exception):
    """One remote gave no answer; the text says why. `final`: trying again will not help."""

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


class _NobodyAnswersError(Exception):
    def __init__(self, reasons: dict[Remote, _NoAnswerError]) -> None:
        super().__init__(reasons)
        self.reasons = reasons


def fetch_schema(remotes: Sequence[Remote], *, timeout_s: float) -> tuple[dict[str, Any], Remote]:
    """Asks the remotes in turn, and again, until one gives the schema of the Northbound.

    Args:
        remotes: in the order to ask them.
        timeout_s: seconds for all of it; one silent remote gets a part of that, so that the others have their turn.

    Returns:
        The schema as JSON, and the remote that gave it.

    Raises:
        NorthboundUnavailable: none answered in time; names each remote with its reason.
        SchemaMismatch: a server answers, but serves other databases.
    """
    deadline = Deadline(timeout_s)
    share_s = max(timeout_s / (len(remotes) + 1), 0.1)

    def ask_all() -> tuple[dict[str, Any], Remote]:
        reasons = {}
        for remote in remotes:
            try:
                return _ask_schema(remote, Deadline(min(share_s, deadline.left))), remote
            except _NoAnswerError as error:
                reasons[remote] = error
        raise _NobodyAnswersError(reasons)

    try:
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception(_worth_another_try),
            wait=tenacity.wait_random_exponential(multiplier=0.1, max=1),
            stop=tenacity.stop_before_delay(timeout_s),
            reraise=True,
        )(ask_all)
    except _NobodyAnswersError as error:
        told = "; ".join(f"{remote}: {reason}" for remote, reason in error.reasons.items())
        waited = "" if not _worth_another_try(error) else f" within {timeout_s:g} s"
        raise NorthboundUnavailable(f"no Northbound answers{waited}: {told}") from None


def _worth_another_try(error: BaseException) -> bool:
    return isinstance(error, _NobodyAnswersError) and not all(reason.final for reason in error.reasons.values())


def _ask_schema(remote: Remote, deadline: Deadline) -> dict[str, Any]:
    failure: _NoAnswerError | None = None
    for name in remote.stream_names():
        try:
            with closing(_open(name, deadline)) as connection:
                return _exchange(connection, deadline, tls=remote.method == "ssl")
        except _NoAnswerError as error:
            failure = failure or error
    assert failure is not None  # a remote has a name at least
    if remote.host and str(remote) in remote.stream_names() and not _is_address(remote):
        raise _NoAnswerError(f"the name {remote.host} has no address")
    raise failure


def _is_address(remote: Remote) -> bool:
    return ":" in remote.host or remote.host.replace(".", "").isdigit()


def _open(name: str, deadline: Deadline) -> StreamConnection:
    error, stream = ovs.stream.Stream.open(name)
    if error:
        if stream is not None:
            stream.close()
        raise _NoAnswerError(os.strerror(error))
    try:
        _await(lambda: _tcp_connect(stream), stream.connect_wait, deadline, "does not answer")
        if isinstance(stream.socket, ssl.SSLSocket):
            receive = ovs.poller.POLLIN
            _await(lambda: _shake_hands(stream), lambda poller: poller.fd_wait(stream.socket, receive), deadline)
    except BaseException:
        stream.close()
        raise
    return StreamConnection(stream)


def _tcp_connect(stream: Any) -> bool:
    # Not the subclass' own: that one hides why a TLS handshake fails.
    error = ovs.stream.Stream.connect(stream)
    if error and error != errno.EAGAIN:
        raise _NoAnswerError(os.strerror(error))
    return not error


def _shake_hands(stream: Any) -> bool:
    try:
        stream.socket.do_handshake()
    except ssl.SSLWantReadError:
        return False
    except ssl.SSLError as error:
        raise _NoAnswerError(describe_tls_error(error), final=True) from None
    except OSError as error:
        raise _NoAnswerError(error.strerror or str(error)) from None
    return True


def _exchange(connection: StreamConnection, deadline: Deadline, *, tls: bool) -> dict[str, Any]:
    """Asks for the list of databases and for the schema in one go."""
    request = ovs.jsonrpc.Message.create_request
    ask_list, ask_schema = request("list_dbs", []), request("get_schema", [DATABASE])
    connection.send(ask_list)
    connection.send(ask_schema)
    answers: dict[Any, Any] = {}

    def receive() -> bool:
        connection.run()
        error, message = connection.recv()
        if message is not None:
            answers[message.id] = message
        elif error != errno.EAGAIN:
            raise _hung_up(error, tls=tls)
        return ask_schema.id in answers

    def wait(poller: Poller) -> None:
        connection.wait(poller)
        connection.recv_wait(poller)

    _await(receive, wait, deadline)
    schema = answers[ask_schema.id]
    if schema.type == ovs.jsonrpc.Message.T_REPLY and isinstance(schema.result, dict):
        return schema.result
    databases = getattr(answers.get(ask_list.id), "result", None) or []
    if DATABASE in databases:
        raise _NoAnswerError("has not joined its cluster yet")
    names = ", ".join(sorted(name for name in databases if name != "_Server")) or "none"
    raise SchemaMismatch(f"{connection.name} has no database {DATABASE}; it serves: {names}")


def _hung_up(error: int, *, tls: bool) -> _NoAnswerError:
    return _NoAnswerError(describe_loss(error, tls=tls), final=tls and error == ssl.SSL_ERROR_SSL)


def _await(
    done: Callable[[], bool], wait: Callable[[Poller], None], deadline: Deadline, otherwise: str = _SILENT
) -> None:
    while not done():
        if not deadline.left:
            raise _NoAnswerError(otherwise)
        poller = Poller()
        wait(poller)
        poller.timer_wait(deadline.left * 1000 + 1)
        poller.block()
