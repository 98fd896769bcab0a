"""Real servers for the functional tests; where their programs are missing these skip, or fail under CI=true."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from ovnqos.sandbox import MissingProgramError, NorthboundServer, Programs
from tests.support.pki import Pki

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session", autouse=True)
def _programs() -> None:
    """Every functional test needs OVN's database server and its command-line client."""
    try:
        Programs().require("ovsdb-server", "ovsdb-tool", "ovn-nbctl", "ovn-northd", "ovs-pki", "ovs-appctl")
    except MissingProgramError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """Keys and certificates for TLS; a test that changes their files copies them first."""
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def northbound() -> Iterator[NorthboundServer]:
    """An empty Northbound on a unix socket."""
    with NorthboundServer() as server:
        yield server


@pytest.fixture
def wired(northbound: NorthboundServer) -> NorthboundServer:
    """A Northbound with the switches and ports of two pods."""
    northbound.nbctl("ls-add", "node1", "--", "ls-add", "node2")
    northbound.nbctl("lsp-add", "node1", "shop_web", "--", "lsp-add", "node2", "shop_db")
    return northbound
