"""The daemon while its Northbound restarts, is replaced, freezes, or loses the leader of its cluster."""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING
from urllib.error import HTTPError

import pytest

from ovnqos.sandbox import NorthboundServer
from tests.cluster.support_daemon import (
    APPLIED,
    PODS,
    SWITCHES,
    Daemon,
    apply,
    eventually,
    guide_policy,
    rows,
    wait_for_full_compile,
    wait_for_rows,
    wait_for_status,
)
from tests.support.kubernetes.programs import free_port
from tests.support.pki import Pki
from tests.support.raft import RaftCluster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.kubernetes.api import KubernetesApi


def add_switches_and_ports(server: NorthboundServer) -> None:
    adds = [word for switch in SWITCHES for word in ("ls-add", switch, "--")]
    for name, (node, _address, _labels) in PODS.items():
        adds += ["lsp-add", f"ovn.stream_{node}", f"default.ovn.stream_default_{name}", "--"]
    server.nbctl(*adds[:-1])


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def secured(pki: Pki) -> Iterator[NorthboundServer]:
    """A Northbound on a unix socket and with TLS."""
    with NorthboundServer(listen=["pssl:0:127.0.0.1"], tls_options=pki.server("nb").options) as server:
        add_switches_and_ports(server)
        yield server


@pytest.mark.parametrize("end", [NorthboundServer.kill, NorthboundServer.freeze], ids=["killed", "frozen"])
@pytest.mark.parametrize("method", ["unix", "ssl"])
def test_a_northbound_that_is_lost_while_nothing_happens_is_told_and_so_is_its_return(  # noqa: PLR0917 - fixtures
    start: Callable[..., Daemon],
    cluster: KubernetesApi,
    pki: Pki,
    secured: NorthboundServer,
    end: Callable[[NorthboundServer], None],
    method: str,
) -> None:
    client, port = pki.client("c"), free_port()
    daemon = start(
        *("--nb", secured.remotes[0 if method == "unix" else 1], "--private-key", str(client.private_key)),
        *("--certificate", str(client.certificate), "--ca-cert", str(client.authority)),
        *("--northbound-outage", "3", "--northbound-timeout", "1", "--metrics-address", f"127.0.0.1:{port}"),
    )
    apply(cluster, guide_policy())
    wait_for_status(cluster, APPLIED)
    wait_for_health(port, 200, 1)
    end(secured)
    assert f"{method}:" in wait_for_health(port, 503, 0)
    wait_for_status(cluster, "NorthboundUnavailable")
    lost = daemon.lines("Northbound not reconciled; retrying")
    assert len(lost) == 1, lost
    assert f"{method}:" in lost[0]["error"]
    if end is NorthboundServer.kill:
        secured.start()
    else:
        secured.thaw()
    wait_for_health(port, 200, 1)
    wait_for_status(cluster, APPLIED)
    assert len(daemon.lines("Northbound reconciled again")) == 1
    wait_for_full_compile(cluster, secured.remote)


@eventually
def wait_for_health(port: int, status: int, connected: int) -> str:
    """Wait until /readyz has this status, and the metric this value; returns what /readyz says."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            code, text = answer.status, answer.read().decode()
    except HTTPError as refusal:
        with refusal:
            code, text = refusal.code, refusal.read().decode()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        metrics = answer.read().decode()
    assert code == status, text
    assert f"ovnqosd_northbound_connected {connected}.0" in metrics
    return str(text)


def test_a_northbound_that_restarts_is_written_on(
    start: Callable[..., Daemon], cluster: KubernetesApi, northbound: NorthboundServer
) -> None:
    start()
    apply(cluster, guide_policy())
    wait_for_status(cluster, APPLIED)
    for dscp in (30, 40):
        northbound.kill()
        apply(cluster, guide_policy(dscp=dscp))
        northbound.start()
        wait_for_rows(northbound, 2, f"dscp={dscp}")
        wait_for_status(cluster, APPLIED)


def test_a_northbound_that_is_replaced_by_one_without_rows_is_filled_again(
    start: Callable[..., Daemon], cluster: KubernetesApi, northbound: NorthboundServer
) -> None:
    start()
    apply(cluster, guide_policy())
    wait_for_status(cluster, APPLIED)
    northbound.kill()
    northbound.file.unlink()
    northbound._create_database()
    northbound.start()
    add_switches_and_ports(northbound)  # as ovn-kubernetes does
    wait_for_rows(northbound, 2, "rate=20000")
    wait_for_full_compile(cluster, northbound.remote)


def test_a_northbound_that_is_replaced_by_an_older_copy_is_mended(
    start: Callable[..., Daemon], cluster: KubernetesApi, northbound: NorthboundServer
) -> None:
    copy = northbound.file.read_bytes()  # its switches and ports, and no rows
    start()
    apply(cluster, guide_policy())
    wait_for_status(cluster, APPLIED)
    northbound.kill()
    northbound.file.write_bytes(copy)
    northbound.start()
    wait_for_rows(northbound, 2, "rate=20000")
    wait_for_full_compile(cluster, northbound.remote)


def test_what_changes_while_the_northbound_is_frozen_says_so_and_is_applied_later(
    start: Callable[..., Daemon], cluster: KubernetesApi, northbound: NorthboundServer
) -> None:
    start("--northbound-timeout", "1", "--northbound-outage", "2")
    apply(cluster, guide_policy(), guide_policy(name="other", priority=20))
    wait_for_status(cluster, APPLIED)
    wait_for_status(cluster, APPLIED, "other")
    northbound.freeze()
    apply(cluster, guide_policy(dscp=30))
    status = wait_for_status(cluster, "NorthboundUnavailable")
    assert {condition["reason"] for condition in status["conditions"]} == {"NorthboundUnavailable"}
    wait_for_status(cluster, "NorthboundUnavailable", "other")  # nobody can tell whether its rows are as they were
    northbound.thaw()
    wait_for_status(cluster, APPLIED)
    wait_for_status(cluster, APPLIED, "other")
    wait_for_full_compile(cluster, northbound.remote)
    assert any("dscp=30" in row for row in rows(northbound))


def test_a_cluster_whose_leader_is_killed_is_written_on(
    start: Callable[..., Daemon], cluster: KubernetesApi, northbound: NorthboundServer
) -> None:
    with RaftCluster(election_timer=300) as raft:
        add_switches_and_ports(raft.members[raft.leader()])
        daemon = start("--nb", raft.remote)
        apply(cluster, guide_policy())
        wait_for_status(cluster, APPLIED)
        for dscp in (30, 40):
            leader = raft.leader()
            raft.kill(leader)
            apply(cluster, guide_policy(dscp=dscp))
            wait_for_cluster_rows(raft, f"dscp={dscp}")
            wait_for_status(cluster, APPLIED)
            raft.restart(leader)
        assert daemon.terminate() == 0


@eventually
def wait_for_cluster_rows(raft: RaftCluster, words: str) -> None:
    found = rows(raft.members[raft.leader()])
    assert len(found) == 2, found
    assert all(words in row for row in found), found


def test_a_port_that_is_replaced_is_back_in_its_group(
    start: Callable[..., Daemon], cluster: KubernetesApi, northbound: NorthboundServer
) -> None:
    start()
    apply(cluster, guide_policy())
    wait_for_status(cluster, APPLIED)
    port = "default.ovn.stream_default_pod1"
    northbound.nbctl("lsp-del", port)
    northbound.nbctl("lsp-add", SWITCHES[0], port)
    wait_for_full_compile(cluster, northbound.remote)
    northbound.nbctl("lsp-del", port, "--", "lsp-add", SWITCHES[0], port)
    wait_for_full_compile(cluster, northbound.remote)
