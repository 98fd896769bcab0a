"""TLS on the port for metrics, with certificates of `ovs-pki`."""

from __future__ import annotations

import socket
import ssl
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import TYPE_CHECKING

import pytest

from ovnqosd.health import HealthServer, Protection
from ovnqosd.metrics import Metrics
from ovnqosd.settings.settings import ListenAddress
from tests.support.pki import Pki

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@contextmanager
def served(protection: Protection) -> Iterator[HealthServer]:
    address = ListenAddress("127.0.0.1", 0)
    server = HealthServer(address, Metrics().registry, alive=list, ready=list, protection=protection)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def answer(server: HealthServer, path: str, authority: Path | None = None) -> int:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=20)
    if authority is not None:
        context = ssl.create_default_context(cafile=str(authority))
        context.check_hostname = False  # these certificates name no address
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        connection = HTTPSConnection("127.0.0.1", server.port, timeout=20, context=context)
    try:
        connection.request("GET", path)
        found = connection.getresponse()
        found.read()
        return found.status
    finally:
        connection.close()


def test_it_speaks_tls_and_reads_a_renewed_certificate(pki: Pki, tmp_path: Path) -> None:
    first, second = pki.server("first"), pki.server("second")
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    certificate.write_bytes(first.certificate.read_bytes())
    key.write_bytes(first.private_key.read_bytes())
    authority = pki.client("client").authority
    with served(Protection(certificate=certificate, private_key=key)) as server:
        assert answer(server, "/metrics", authority) == 200
        with pytest.raises((OSError, HTTPException)):
            answer(server, "/metrics")
        key.write_bytes(second.private_key.read_bytes())  # and not its certificate yet
        assert answer(server, "/healthz", authority) == 200
        certificate.write_bytes(second.certificate.read_bytes())
        assert answer(server, "/healthz", authority) == 200


def test_slow_clients_do_not_keep_others_from_tls(pki: Pki) -> None:
    files = pki.server("server")
    protection = Protection(certificate=files.certificate, private_key=files.private_key)
    with served(protection) as server, ExitStack() as silent:
        for _ in range(40):
            silent.enter_context(socket.create_connection(("127.0.0.1", server.port)))
        assert answer(server, "/healthz", pki.client("client").authority) == 200
