"""A server that dies or freezes while nothing is asked of it, and one that comes back."""

from __future__ import annotations

import queue
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from ovnqos.errors import DatabaseUnavailable, NorthboundUnavailable
from ovnqos.ovsdb.tls import TlsFiles
from ovnqos.sandbox import NorthboundServer
from tests.functional.support_connection import add_set, connect, names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ovnqos.ovsdb.client import OvsdbClient
    from tests.support.pki import Pki

PATIENCE_S = 20.0
METHODS = ["unix", "ssl"]


@pytest.fixture
def server(pki: Pki) -> Iterator[NorthboundServer]:
    with NorthboundServer(listen=["pssl:0:127.0.0.1"], tls_options=pki.server("nb").options) as server:
        yield server


@contextmanager
def watched(
    server: NorthboundServer, pki: Pki, method: str, **options: Any
) -> Iterator[tuple[OvsdbClient, queue.Queue[DatabaseUnavailable | None]]]:
    """A client, and what it reports of outages."""
    client = pki.client("c")
    tls = TlsFiles(private_key=client.private_key, certificate=client.certificate, ca_certificate=client.authority)
    reported: queue.Queue[DatabaseUnavailable | None] = queue.Queue()
    remote = server.remotes[METHODS.index(method)]
    with connect(remote, tls=tls, outage_s=2.5, on_outage=reported.put, **options) as opened:
        yield opened, reported


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("end", [NorthboundServer.kill, NorthboundServer.freeze], ids=["killed", "frozen"])
def test_an_idle_connection_notices_that_its_server_is_gone_and_that_it_is_back(
    server: NorthboundServer, pki: Pki, end: Callable[[NorthboundServer], None], method: str
) -> None:
    with watched(server, pki, method) as (connection, reported):
        assert connection.is_connected
        end(server)
        error = reported.get(timeout=PATIENCE_S)
        assert isinstance(error, NorthboundUnavailable)
        assert f"{method}:" in str(error)
        assert "\n" not in str(error)
        assert not connection.is_connected
        if end is NorthboundServer.kill:
            server.start()
        else:
            server.thaw()
        assert reported.get(timeout=PATIENCE_S) is None
        assert connection.is_connected
        connection.transact([add_set("a")])
        assert names(connection) == {"a"}
        assert reported.empty()


def test_a_server_that_restarts_at_once_is_no_outage(server: NorthboundServer, pki: Pki) -> None:
    with watched(server, pki, "unix") as (connection, reported):
        server.kill()
        server.start()
        connection.refresh()
        server.kill()
        assert reported.get(timeout=PATIENCE_S) is not None  # the first report is of the second loss
        assert reported.empty()


def test_an_idle_server_is_no_outage(server: NorthboundServer, pki: Pki) -> None:
    with watched(server, pki, "unix") as (connection, reported):
        number = connection.session_number
        time.sleep(5.0)  # several probes, and twice the limit
        assert connection.session_number == number
        assert reported.empty()
