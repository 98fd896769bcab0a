"""Servers that freeze, die, restart, or lose the lead of their cluster, under an open connection."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from ovnqos.errors import (
    NorthboundUnavailable,
    OutcomeUnknown,
)
from tests.functional.support_connection import add_set, connect, names
from tests.support.raft import RaftCluster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovnqos.ovsdb.client import OvsdbClient
    from ovnqos.sandbox import NorthboundServer


@pytest.fixture
def connection(northbound: NorthboundServer) -> Iterator[OvsdbClient]:
    with connect(northbound.remote) as opened:
        yield opened


def test_a_frozen_server_leaves_the_outcome_unknown_and_may_still_write(northbound: NorthboundServer) -> None:
    with connect(northbound.remote) as connection:
        northbound.freeze()
        try:
            with pytest.raises(OutcomeUnknown, match="may still carry it out"):
                connection.transact([add_set("a")], timeout_s=0.3)
            with pytest.raises(NorthboundUnavailable):
                connection.refresh(timeout_s=0.2)
        finally:
            northbound.thaw()
        connection.refresh()

        assert names(connection) == {"a"}
        connection.transact([add_set("b")])


def test_a_server_killed_before_the_answer_leaves_the_outcome_unknown(northbound: NorthboundServer) -> None:
    with connect(northbound.remote) as connection:
        northbound.freeze()
        killer = threading.Timer(0.3, northbound.kill)
        killer.start()
        with pytest.raises(OutcomeUnknown, match="the connection was lost before the answer"):
            connection.transact([add_set("a")], timeout_s=20)
        killer.join()

        with pytest.raises(NorthboundUnavailable, match="nothing was sent"):
            connection.transact([add_set("b")], timeout_s=0.3)
        assert not connection.session.is_ready
        northbound.start()
        connection.refresh()
        connection.transact([add_set("c")])


def test_after_a_restart_the_replica_is_the_servers_again(northbound: NorthboundServer) -> None:
    with connect(northbound.remote) as connection:
        connection.transact([add_set("a"), add_set("b")])
        northbound.stop()
        northbound.start()
        northbound.nbctl("destroy", "Address_Set", "a", "--", "create", "Address_Set", "name=c")
        connection.refresh()

        assert names(connection) == {"b", "c"}


def test_a_closed_connection_says_so(connection: OvsdbClient) -> None:
    connection.close()
    connection.close()

    with pytest.raises(NorthboundUnavailable):
        connection.transact([add_set("a")])
    with pytest.raises(NorthboundUnavailable):
        connection.refresh()


def test_writes_go_to_the_leader_and_to_the_next_one_when_it_is_killed() -> None:
    with RaftCluster() as cluster:
        leader = cluster.leader()
        with connect(cluster.remote) as connection:
            connection.transact([add_set("before")])
            cluster.members[leader].freeze()
            killer = threading.Timer(0.3, cluster.kill, [leader])
            killer.start()
            with pytest.raises(OutcomeUnknown):
                connection.transact([add_set("between")], timeout_s=20)
            killer.join()

            connection.refresh(timeout_s=20)
            assert names(connection) == {"before"}
            connection.transact([add_set("after")], timeout_s=20)
            assert cluster.leader() != leader


def test_a_follower_alone_is_refused_unless_asked_for() -> None:
    with RaftCluster() as cluster:
        follower = cluster.remotes[(cluster.leader() + 1) % 3]
        with pytest.raises(NorthboundUnavailable, match="does not lead its cluster"):
            connect(follower, timeout_s=1)
        with connect(follower, leader_only=False) as connection:
            assert connection.session.is_ready
