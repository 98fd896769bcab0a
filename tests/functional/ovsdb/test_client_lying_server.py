"""A server whose messages are not those of an OVSDB server: one line says so, and the connection goes on."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from ovnqos.errors import (
    LockLost,
    NorthboundUnavailable,
    OutcomeUnknown,
    OvnQosError,
    SchemaMismatch,
    TransactionRefused,
)
from ovnqos.ovsdb.client import OvsdbClient
from ovnqos.ovsdb.protocol import Deadline
from ovnqos.ovsdb.remotes import NORTHBOUND
from ovnqos.ovsdb.replica import Replica

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Answer = bytes | object
UUID = "7c0f1e0a-9c1c-4d1c-8d51-5d0a6e4f9b11"
STATUS = {"name": "OVN_Northbound", "model": "standalone", "connected": True, "leader": True}
HONEST: dict[str, Answer] = {
    "get_schema": {
        "name": "OVN_Northbound",
        "version": "7.0.0",
        "tables": {"Address_Set": {"columns": {"name": {"type": "string"}}}},
    },
    "monitor_cond": {"Database": {UUID: {"initial": STATUS}}},
    "monitor_cond_since": [False, UUID, {"Address_Set": {UUID: {"initial": {"name": "a"}}}}],
    "transact": [{}],
    "lock": {"locked": True},
    "unlock": {},
    "echo": [],
}
NOWHERE = b""
"""Bytes in place of an answer are sent as they are."""


class Server:
    """Answers each request by its method: with a result, or with bytes as they are; and then says `more`."""

    def __init__(self, path: Path, answers: dict[str, Answer]) -> None:
        self.path = path
        self.answers = HONEST | answers
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(64)
        self._connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def say(self, message: Answer) -> None:
        """Send the bytes, or the message, on the last connection."""
        data = message if isinstance(message, bytes) else json.dumps(message).encode()
        with suppress(OSError, IndexError):
            self._connections[-1].sendall(data)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for connection in (self._listener, *self._connections):
            connection.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._connections.append(connection)
                thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        decoder, text = json.JSONDecoder(), ""
        with suppress(OSError):
            while data := connection.recv(65_536).decode():
                text += data
                while text:
                    try:
                        request, end = decoder.raw_decode(text)
                    except ValueError:
                        break
                    text = text[end:]
                    answer = self.answers[request["method"]]
                    if isinstance(answer, bytes):
                        connection.sendall(answer)
                    else:
                        reply = {"id": request["id"], "result": answer, "error": None}
                        connection.sendall(json.dumps(reply).encode())


@contextmanager
def serving(folder: Path, **answers: Answer) -> Iterator[Server]:
    server = Server(folder / "nb.sock", answers)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def client_of(server: Server, timeout_s: float = 0.4) -> Iterator[OvsdbClient]:
    replica = Replica({"Address_Set": {"name": "string"}})
    with OvsdbClient(NORTHBOUND, f"unix:{server.path}", replica=replica, timeout_s=timeout_s) as client:
        yield client
        assert client._thread.is_alive()


def names(client: OvsdbClient) -> set[str]:
    with client.reading() as tables:
        return {record.name for record in tables["Address_Set"].records.values()}


def test_the_honest_server_of_these_tests_is_understood(tmp_path: Path) -> None:
    with serving(tmp_path) as server, client_of(server, 20.0) as client:
        assert names(client) == {"a"}
        client.acquire_lock("ovnqos")
        server.answers["transact"] = [{}, {"count": 1}]
        assert client.transact([{"op": "update"}]) == [{"count": 1}]


@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("get_schema", None),
        ("get_schema", []),
        ("get_schema", {"name": "OVN_Northbound"}),
        ("get_schema", {"name": "OVN_Northbound", "version": "7.0.0", "tables": {"Address_Set": None}}),
        ("get_schema", {"name": "OVN_Northbound", "version": 7, "tables": []}),
        ("get_schema", NOWHERE),
        ("get_schema", b"\xff\xfe"),
        ("get_schema", b'{"id": 0, "result": NaN, "error": null}'),
        ("get_schema", b"[" * 100_000),
        ("get_schema", b'{"id": 0, "result": ' + b"9" * 10_000 + b', "error": null}'),
        ("get_schema", b'{"id": [], "result": {}, "error": null}'),
        ("get_schema", b'{"method": null, "params": 3, "id": {}}'),
        ("monitor_cond", None),
        ("monitor_cond", {"Database": None}),
        ("monitor_cond", {"Database": {UUID: None}}),
        ("monitor_cond", {"Database": {UUID: {"initial": {"name": ["set", ["OVN_Northbound"]], "model": 3}}}}),
        ("monitor_cond", {"Database": {UUID: {"initial": STATUS | {"index": "many"}}}}),
        ("monitor_cond_since", None),
        ("monitor_cond_since", [False, UUID]),
        ("monitor_cond_since", [False, UUID, None]),
        ("monitor_cond_since", [False, UUID, {"Logical_Router": {}}]),
        ("monitor_cond_since", [False, UUID, {"Address_Set": {UUID: {}}}]),
        ("monitor_cond_since", [False, UUID, {"Address_Set": {UUID: {"modify": {"name": "a"}}}}]),
        ("monitor_cond_since", NOWHERE),
    ],
)
def test_a_handshake_that_makes_no_sense_is_one_line_in_time(tmp_path: Path, method: str, answer: Answer) -> None:
    with serving(tmp_path, **{method: answer}) as server, client_of(server) as client:
        with pytest.raises(OvnQosError) as caught:
            client.await_contents()
        assert str(tmp_path) in str(caught.value) or isinstance(caught.value, SchemaMismatch)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 600
        server.answers = HONEST  # and it is tried again
        with client.lock:
            assert client.wait_until(lambda: client.has_contents, Deadline(20.0))
        assert names(client) == {"a"}


def update(tables: object) -> dict[str, Answer]:
    return {"method": "update3", "params": ["OVN_Northbound", UUID, tables], "id": None}


@pytest.mark.parametrize(
    "message",
    [
        {"method": "update3", "params": None, "id": None},
        update({"Logical_Router": {UUID: {"insert": {}}}}),
        update({"Address_Set": {UUID[::-1]: {"modify": {}}}}),
        update({"Address_Set": {UUID: {"modify": {"x": 1}}}}),
        update({"Address_Set": {UUID: 7}}),
        {"method": "update2", "params": [], "id": None},
        {"method": "update2", "params": ["_Server", {"Database": {UUID: {"delete": None}}}], "id": None},
        {"method": "locked", "params": {}, "id": None},
        {"method": "no_such_method", "params": [], "id": 7},
        {"id": 12345, "result": [], "error": None},
        b"nonsense",
        b'{"id": 1, "result": 1e99999, "error": null}',
    ],
    ids=str,
)
def test_a_message_that_makes_no_sense_is_survived(tmp_path: Path, message: Answer) -> None:
    with serving(tmp_path) as server, client_of(server, 20.0) as client:
        client.await_contents()
        server.say(message)
        client.refresh()
        assert names(client) == {"a"}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (None, OutcomeUnknown),
        ([], OutcomeUnknown),
        ([{}], OutcomeUnknown),
        ([None, None], OutcomeUnknown),
        ([{}, 3], OutcomeUnknown),
        ({"error": "no"}, TransactionRefused),
        ([{"error": 3, "details": {}}], TransactionRefused),
        ([{"error": "not owner"}], LockLost),
        (NOWHERE, OutcomeUnknown),
        (b"nonsense", OutcomeUnknown),
    ],
    ids=str,
)
def test_an_answer_to_a_transaction_that_makes_no_sense_is_an_error_of_ours(
    tmp_path: Path, answer: Answer, expected: type[OvnQosError]
) -> None:
    with serving(tmp_path, transact=answer) as server, client_of(server) as client:
        client.await_contents(20.0)
        client.acquire_lock("ovnqos", 20.0)
        with pytest.raises(expected) as caught:
            client.transact([{"op": "update"}])
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("answer", [[], {"locked": "yes"}, {"locked": 1}, 7], ids=str)
def test_an_answer_about_the_lock_that_makes_no_sense_gives_no_lock(tmp_path: Path, answer: Answer) -> None:
    with serving(tmp_path, lock=answer) as server, client_of(server) as client:
        client.await_contents(20.0)
        with pytest.raises((LockLost, NorthboundUnavailable)):
            client.acquire_lock("ovnqos")
        assert not client.holds_lock("ovnqos")


def test_a_handshake_that_is_dripped_is_given_up_in_time(tmp_path: Path) -> None:
    with serving(tmp_path, get_schema=b'{"id": "', monitor_cond=NOWHERE) as server, client_of(server) as client:
        ending = threading.Event()

        def drip() -> None:
            while not ending.wait(0.02):
                server.say(b"a")

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            with pytest.raises(NorthboundUnavailable):
                client.await_contents()
        finally:
            ending.set()
            thread.join()
