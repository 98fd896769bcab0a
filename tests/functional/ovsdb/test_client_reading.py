"""The replica: what is there, and what other clients change, is read and told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ovnqos.errors import (
    NorthboundUnavailable,
)
from ovnqos.ovsdb.session import Phase
from ovnqos.sandbox import NorthboundServer
from tests.functional.support_connection import add_set, connect, names, row_named
from tests.support.raft import RaftCluster

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ovnqos.ovsdb.client import OvsdbClient
    from ovnqos.ovsdb.replica import RecordChange, RecordTable


class Ear:
    """Listens to a replica, and remembers what it heard."""

    def __init__(self) -> None:
        self.read = 0
        self.heard: list[Sequence[RecordChange]] = []

    def replaced(self, _tables: Mapping[str, RecordTable]) -> None:
        self.read += 1

    def changed(self, _tables: Mapping[str, RecordTable], changes: Sequence[RecordChange]) -> None:
        self.heard.append(changes)


def test_rows_are_there_once_open_returns(northbound: NorthboundServer) -> None:
    northbound.nbctl(
        "ls-add", "lan", "--", "lsp-add", "lan", "vm1", "--", "qos-add", "lan", "to-lport", "7", "ip4", "dscp=1"
    )

    with connect(northbound.remote) as connection, connection.reading() as tables:
        (rule,) = tables["QoS"].records.values()
        assert (rule.priority, rule.action) == (7, {"dscp": 1})
        assert row_named(connection, "Logical_Switch", "lan").qos_rules == {rule.uuid}
        assert names(connection, "Logical_Switch_Port") == {"vm1"}


def test_a_connection_that_does_not_wait_has_everything_when_it_is_read(northbound: NorthboundServer) -> None:
    northbound.nbctl("ls-add", "lan")

    with connect(northbound.remote, wait=False) as connection:
        with connection.lock:
            assert connection.session.phase >= Phase.MONITORING  # a busy caller would hold up the question
        assert names(connection, "Logical_Switch") == {"lan"}
        assert connection.has_contents


def test_reading_says_so_when_a_connection_that_did_not_wait_gets_nothing() -> None:
    with RaftCluster() as cluster:
        follower = cluster.remotes[(cluster.leader() + 1) % 3]
        with (
            connect(follower, timeout_s=1, wait=False) as connection,
            pytest.raises(NorthboundUnavailable, match="does not lead its cluster"),
            connection.reading(),
        ):
            pass
        with connect(follower, timeout_s=1, wait=False) as connection:
            assert not connection.has_contents


def test_changes_by_another_client_are_heard_as_they_were_made(northbound: NorthboundServer) -> None:
    ear = Ear()
    northbound.nbctl("ls-add", "wan")
    with connect(northbound.remote, listener=ear) as connection:
        northbound.nbctl("ls-add", "lan")
        northbound.nbctl("qos-add", "lan", "to-lport", "7", "ip4", "dscp=1")
        northbound.nbctl("qos-del", "lan")
        connection.refresh()

    assert ear.read == 1
    new_switch, new_rule, no_rule = ear.heard
    assert [(one.event, one.table, one.record.name) for one in new_switch] == [("create", "Logical_Switch", "lan")]
    rule, switch = sorted(new_rule, key=lambda one: one.event)
    assert (rule.event, rule.record.priority) == ("create", 7)
    assert switch.event == "update"
    assert switch.moved == {"qos_rules": {rule.record.uuid}}
    assert sorted(one.event for one in no_rule) == ["delete", "update"]
    assert [one.moved for one in no_rule if one.event == "update"] == [{"qos_rules": {rule.record.uuid}}]


def test_everything_is_read_again_after_a_restart_of_the_server(northbound: NorthboundServer) -> None:
    ear = Ear()
    with connect(northbound.remote, listener=ear) as connection:
        northbound.stop()
        northbound.start()
        connection.refresh()

        assert ear.read == 2


def test_columns_read_alike_from_a_new_row_a_changed_one_and_a_new_connection(northbound: NorthboundServer) -> None:
    def content(connection: OvsdbClient) -> list[Any]:
        with connection.reading() as tables:
            (record,) = tables["QoS"].records.values()
            (group,) = tables["Port_Group"].records.values()
            return [
                *(record.priority, record.match, record.bandwidth, record.action),
                {tables["Logical_Switch_Port"].records[port].name for port in group.ports},
            ]

    with connect(northbound.remote) as connection:
        northbound.nbctl(
            *("ls-add", "lan", "--", "lsp-add", "lan", "a", "--", "lsp-add", "lan", "b", "--", "pg-add", "pg", "a"),
            *("--", "--id=@q", "create", "QoS", "direction=to-lport", "priority=0", 'match=""', "action=dscp=0"),
            *("--", "add", "Logical_Switch", "lan", "qos_rules", "@q"),
        )
        connection.refresh()
        new: list[Any] = [0, "", {}, {"dscp": 0}]
        assert content(connection) == [*new, {"a"}]
        with connection.reading() as tables:
            (rule,) = tables["QoS"].records
        northbound.nbctl(
            *("set", "QoS", rule, "priority=5", "match=ip4", "bandwidth:rate=7", "action:dscp=9"),
            *("--", "pg-set-ports", "pg", "b"),
        )
        connection.refresh()
        changed: list[Any] = [5, "ip4", {"rate": 7}, {"dscp": 9}]
        assert content(connection) == [*changed, {"b"}]
        with connect(northbound.remote) as second:
            assert content(second) == content(connection)


def test_two_connections_of_one_process_are_two(northbound: NorthboundServer) -> None:
    with (
        NorthboundServer() as other,
        connect(northbound.remote) as first,
        connect(other.remote) as second,
    ):
        second.transact([add_set("only_there")])

        assert names(second) == {"only_there"}
        assert names(first) == set()


def test_an_ipv6_address_and_a_host_name_can_be_connected_to() -> None:
    with NorthboundServer(listen=["ptcp:0:[::1]", "ptcp:0:127.0.0.1"]) as server:
        six, four = server.remotes[1:]
        for remote in (six, four.replace("127.0.0.1", "localhost")):
            with connect(remote) as connection:
                assert connection.session.is_ready
