"""Connections over TLS, and certificates that do not fit."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from ovnqos.errors import (
    InvalidRemote,
    NorthboundUnavailable,
)
from ovnqos.ovsdb.client import OvsdbClient
from ovnqos.ovsdb.remotes import NORTHBOUND
from ovnqos.ovsdb.tls import TlsFiles
from ovnqos.sandbox import NorthboundServer
from tests.functional.support_connection import add_set, connect, names, row_named
from tests.support.pki import Certificate, Pki

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.pki import Certificate, Pki


def tls_files(certificate: Certificate) -> TlsFiles:
    return TlsFiles(
        private_key=certificate.private_key,
        certificate=certificate.certificate,
        ca_certificate=certificate.authority,
    )


@pytest.fixture
def server(pki: Pki) -> Iterator[NorthboundServer]:
    with NorthboundServer(listen=["pssl:0:127.0.0.1"], tls_options=pki.server("nb").options) as server:
        yield server


def test_reads_and_writes_a_megabyte(pki: Pki, server: NorthboundServer) -> None:
    addresses = [f"10.0.{i // 256}.{i % 256}" for i in range(20_000)]
    with connect(server.remotes[1], tls=tls_files(pki.client("c"))) as connection:
        connection.transact([add_set("a", *addresses)], timeout_s=30)
        assert len(row_named(connection, "Address_Set", "a").addresses) == 20_000


def test_a_server_of_another_authority_is_not_trusted(pki: Pki, server: NorthboundServer) -> None:
    client = pki.client("c")
    wrong = TlsFiles(
        private_key=client.private_key,
        certificate=client.certificate,
        ca_certificate=pki.server("x").authority,
    )
    with pytest.raises(NorthboundUnavailable, match="its certificate is not trusted"):
        connect(server.remotes[1], tls=wrong)


def test_a_client_that_the_server_does_not_trust_is_told(pki: Pki, server: NorthboundServer) -> None:
    with pytest.raises(NorthboundUnavailable, match="refuses our certificate"):
        connect(server.remotes[1], tls=tls_files(pki.stranger("c")), timeout_s=2)


def test_connections_of_one_process_have_files_of_their_own(pki: Pki, server: NorthboundServer) -> None:
    stranger = tls_files(pki.stranger("c2"))
    with connect(server.remotes[1], tls=tls_files(pki.client("c1"))) as connection:
        with pytest.raises(NorthboundUnavailable, match="refuses our certificate"):
            connect(server.remotes[1], tls=stranger, timeout_s=2)
        connection.transact([add_set("a")])
    with connect(server.remotes[1], tls=tls_files(pki.client("c3"))) as connection:
        assert names(connection) == {"a"}


def test_renewed_files_are_taken_by_the_next_connection_attempt(
    pki: Pki, server: NorthboundServer, tmp_path: Path
) -> None:
    good, bad = tls_files(pki.client("c1")), tls_files(pki.stranger("c2"))
    files = TlsFiles(
        private_key=tmp_path / "key.pem", certificate=tmp_path / "cert.pem", ca_certificate=good.ca_certificate
    )
    shutil.copy(bad.private_key, files.private_key)
    shutil.copy(bad.certificate, files.certificate)
    with OvsdbClient(NORTHBOUND, server.remotes[1], tls=files, timeout_s=20) as client:
        with pytest.raises(NorthboundUnavailable):
            client.query(timeout_s=2)
        shutil.copy(good.private_key, files.private_key)
        shutil.copy(good.certificate, files.certificate)
        for _ in range(40):
            with suppress(NorthboundUnavailable):
                assert client.query() == []
                return
            time.sleep(0.1)
        pytest.fail("the new files were not used")


def test_a_missing_or_unfit_file_is_one_line(pki: Pki, server: NorthboundServer, tmp_path: Path) -> None:
    good, other = tls_files(pki.client("c1")), tls_files(pki.client("c2"))
    missing = TlsFiles(
        private_key=tmp_path / "none.pem", certificate=good.certificate, ca_certificate=good.ca_certificate
    )
    unfit = TlsFiles(private_key=other.private_key, certificate=good.certificate, ca_certificate=good.ca_certificate)
    with pytest.raises(InvalidRemote, match=r"TLS private key .*none\.pem: No such file"):
        connect(server.remotes[1], tls=missing)
    with pytest.raises(InvalidRemote, match="key values mismatch"):
        connect(server.remotes[1], tls=unfit)
    with pytest.raises(InvalidRemote, match="needs a private key"):
        connect(server.remotes[1])
