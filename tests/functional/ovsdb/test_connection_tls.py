"""Connections over TLS, and certificates that do not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ovnqos.errors import (
    InvalidRemote,
    NorthboundUnavailable,
)
from ovnqos.ovsdb.connection import NorthboundConnection
from ovnqos.ovsdb.tls import TlsFiles
from ovnqos.sandbox import NorthboundServer
from tests.functional.support_connection import add_set, row_named
from tests.support.pki import Certificate, Pki

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def tls_files(certificate: Certificate) -> TlsFiles:
    return TlsFiles(
        private_key=certificate.private_key,
        certificate=certificate.certificate,
        ca_certificate=certificate.authority,
    )


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path)


@pytest.fixture
def server(pki: Pki) -> Iterator[NorthboundServer]:
    with NorthboundServer(listen=["pssl:0:127.0.0.1"], tls_options=pki.server("nb").options) as server:
        yield server


def test_reads_and_writes_a_megabyte(pki: Pki, server: NorthboundServer) -> None:
    addresses = [f"10.0.{i // 256}.{i % 256}" for i in range(20_000)]
    with NorthboundConnection.open(server.remotes[1], tls=tls_files(pki.client("c"))) as connection:
        connection.run([add_set(connection, "a", addresses=addresses)], timeout_s=30)
        assert len(row_named(connection, "Address_Set", "a").addresses) == 20_000


def test_a_server_of_another_authority_is_not_trusted(pki: Pki, server: NorthboundServer) -> None:
    client = pki.client("c")
    wrong = TlsFiles(
        private_key=client.private_key,
        certificate=client.certificate,
        ca_certificate=pki.server("x").authority,
    )
    with pytest.raises(NorthboundUnavailable, match="its certificate is not trusted"):
        NorthboundConnection.open(server.remotes[1], tls=wrong)


def test_a_client_that_the_server_does_not_trust_is_told(pki: Pki, server: NorthboundServer) -> None:
    with pytest.raises(NorthboundUnavailable, match="refuses our certificate"):
        NorthboundConnection.open(server.remotes[1], tls=tls_files(pki.stranger("c")), timeout_s=2)


def test_other_files_in_one_process_are_refused_while_the_first_are_in_use(pki: Pki, server: NorthboundServer) -> None:
    first, second = tls_files(pki.client("c1")), tls_files(pki.client("c2"))
    with NorthboundConnection.open(server.remotes[1], tls=first):
        with pytest.raises(InvalidRemote, match="one set a process"):
            NorthboundConnection.open(server.remotes[1], tls=second)
        NorthboundConnection.open(server.remotes[1], tls=first).close()
    NorthboundConnection.open(server.remotes[1], tls=second).close()


def test_a_missing_or_unfit_file_is_one_line(pki: Pki, server: NorthboundServer, tmp_path: Path) -> None:
    good, other = tls_files(pki.client("c1")), tls_files(pki.client("c2"))
    missing = TlsFiles(
        private_key=tmp_path / "none.pem", certificate=good.certificate, ca_certificate=good.ca_certificate
    )
    unfit = TlsFiles(private_key=other.private_key, certificate=good.certificate, ca_certificate=good.ca_certificate)
    with pytest.raises(InvalidRemote, match=r"TLS private key .*none\.pem: No such file"):
        NorthboundConnection.open(server.remotes[1], tls=missing)
    with pytest.raises(InvalidRemote, match="key values mismatch"):
        NorthboundConnection.open(server.remotes[1], tls=unfit)
    with pytest.raises(InvalidRemote, match="needs a private key"):
        NorthboundConnection.open(server.remotes[1])
