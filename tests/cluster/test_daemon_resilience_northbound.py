"""The daemon while its Northbound restarts, is replaced, freezes, or loses the leader of its cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
from tests.support.raft import RaftCluster

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovnqos.sandbox import NorthboundServer
    from tests.support.kubernetes.api import KubernetesApi


def add_switches_and_ports(server: NorthboundServer) -> None:
    adds = [word for switch in SWITCHES for word in ("ls-add", switch, "--")]
    for name, (node, _address, _labels) in PODS.items():
        adds += ["lsp-add", f"ovn.stream_{node}", f"default.ovn.stream_default_{name}", "--"]
    server.nbctl(*adds[:-1])


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
    assert [condition["reason"] for condition in status["conditions"]] == ["NorthboundUnavailable"]
    assert wait_for_status(cluster, APPLIED, "other")  # its rows are in force as they were
    northbound.thaw()
    wait_for_status(cluster, APPLIED)
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
