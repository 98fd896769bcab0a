"""Connecting to real Northbound servers, writing to them, and losing them."""

from __future__ import annotations

import socket
import threading
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from ovsdbapp.backend.ovs_idl.command import BaseCommand

from ovnqos.errors import (
    InvalidRemote,
    InvalidRow,
    LockLost,
    NorthboundUnavailable,
    OutcomeUnknown,
    SchemaMismatch,
    StalePlan,
    TransactionRefused,
)
from ovnqos.northbound.connection import NorthboundConnection
from ovnqos.northbound.datum import assign, stored_map, stored_members, stored_scalar
from ovnqos.northbound.schema import NEEDED_COLUMNS
from ovnqos.northbound.tls import TlsFiles
from ovnqos.sandbox import Certificate, NorthboundServer, Pki, RaftCluster, SouthboundServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from ovnqos.northbound.idl import RowEvent


def tls_files(certificate: Certificate) -> TlsFiles:
    return TlsFiles(
        private_key=certificate.private_key,
        certificate=certificate.certificate,
        ca_certificate=certificate.authority,
    )


def add_set(connection: NorthboundConnection, name: str, **columns: Any) -> Any:
    return connection.api.db_create("Address_Set", name=name, **columns)


def names(connection: NorthboundConnection, table: str = "Address_Set") -> set[str]:
    with connection.reading() as tables:
        return {row.name for row in tables[table].rows.values()}


class AddQosRow(BaseCommand):  # type: ignore[misc]  # ovsdbapp ships no types
    """Inserts a row on a switch whose rows must be those we know."""

    def __init__(self, connection: NorthboundConnection, switch: str, **columns: Any) -> None:
        super().__init__(connection.api)
        self._switch: Any = connection.row_by_name("Logical_Switch", switch)
        self._columns = columns

    def run_idl(self, txn: Any) -> None:
        row = txn.insert(self.api.tables["QoS"])
        self.set_columns(row, **self._columns)
        self._switch.verify("qos_rules")
        self._switch.addvalue("qos_rules", row.uuid)


class Reassign(BaseCommand):  # type: ignore[misc]  # ovsdbapp ships no types
    """Sets the addresses of an address set that is there."""

    def __init__(self, connection: NorthboundConnection, name: str, addresses: list[str]) -> None:
        super().__init__(connection.api)
        self._row = connection.row_by_name("Address_Set", name)
        self._addresses = addresses

    def run_idl(self, txn: Any) -> None:
        assign(self._row, "addresses", self._addresses)


PORT = "Logical_Switch_Port"
QOS_ROW: Mapping[str, Any] = {"direction": "to-lport", "priority": 100, "match": "ip4", "action": {"dscp": 20}}


@pytest.fixture
def connection(northbound: NorthboundServer) -> Iterator[NorthboundConnection]:
    with NorthboundConnection.open(northbound.remote) as opened:
        yield opened


class TestReading:
    def test_rows_are_there_once_open_returns_and_found_by_name(self, northbound: NorthboundServer) -> None:
        northbound.nbctl(
            "ls-add", "lan", "--", "lsp-add", "lan", "vm1", "--", "qos-add", "lan", "to-lport", "7", "ip4", "dscp=1"
        )

        with NorthboundConnection.open(northbound.remote) as connection:
            switch = connection.row_by_name("Logical_Switch", "lan")
            assert switch is not None
            assert [rule.priority for rule in switch.qos_rules] == [7]
            assert names(connection, "Logical_Switch_Port") == {"vm1"}
            assert connection.row_by_name("Logical_Switch", "wan") is None

    def test_a_change_by_another_client_arrives_and_is_told_to_the_observer(self, northbound: NorthboundServer) -> None:
        events: list[RowEvent] = []
        with NorthboundConnection.open(northbound.remote, observer=events.append) as connection:
            northbound.nbctl("ls-add", "lan")
            northbound.nbctl("qos-add", "lan", "to-lport", "7", "ip4", "dscp=1")
            northbound.nbctl("qos-del", "lan")
            connection.refresh()

        rules = [event for event in events if event.table == "QoS"]
        assert [event.event for event in rules] == ["create", "delete"]
        assert rules[0].values["priority"] == 7
        switch = [event for event in events if event.table == "Logical_Switch"]
        assert [event.event for event in switch] == ["create", "update", "update"]
        assert switch[1].values["qos_rules"] == [rules[0].uuid]

    def test_columns_read_alike_from_a_new_row_a_changed_one_and_a_new_connection(
        self, northbound: NorthboundServer
    ) -> None:
        def content(connection: NorthboundConnection) -> list[Any]:
            with connection.reading() as tables:
                (rule,) = tables["QoS"].rows.values()
                (group,) = tables["Port_Group"].rows.values()
                return [
                    *(stored_scalar(rule, "priority"), stored_scalar(rule, "match"), stored_map(rule, "bandwidth")),
                    *(rule.priority, rule.match, rule.bandwidth, rule.action, stored_map(rule, "action")),
                    *([port.name for port in group.ports], sorted(map(str, stored_members(group, "ports")))),
                ]

        with NorthboundConnection.open(northbound.remote) as connection:
            northbound.nbctl(
                *("ls-add", "lan", "--", "lsp-add", "lan", "a", "--", "lsp-add", "lan", "b", "--", "pg-add", "pg", "a"),
                *("--", "--id=@q", "create", "QoS", "direction=to-lport", "priority=0", 'match=""', "action=dscp=0"),
                *("--", "add", "Logical_Switch", "lan", "qos_rules", "@q"),
            )
            connection.refresh()
            new = content(connection)
            assert new[:8] == [0, "", {}, 0, "", {}, {"dscp": 0}, {"dscp": 0}]
            assert new[8] == ["a"]
            with connection.reading() as tables:
                (rule,) = map(str, tables["QoS"].rows)
            northbound.nbctl(
                *("set", "QoS", rule, "priority=5", "match=ip4", "bandwidth:rate=7", "action:dscp=9"),
                *("--", "pg-set-ports", "pg", "b"),
            )
            connection.refresh()
            changed = content(connection)
            assert changed[:8] == [5, "ip4", {"rate": 7}, 5, "ip4", {"rate": 7}, {"dscp": 9}, {"dscp": 9}]
            assert changed[8] == ["b"]
            with NorthboundConnection.open(northbound.remote) as second:
                assert content(second) == changed

    def test_two_connections_of_one_process_are_two(self, northbound: NorthboundServer) -> None:
        with (
            NorthboundServer() as other,
            NorthboundConnection.open(northbound.remote) as first,
            NorthboundConnection.open(other.remote) as second,
        ):
            second.run([add_set(second, "only_there")])

            assert names(second) == {"only_there"}
            assert names(first) == set()
            assert first.api.ovsdb_connection is first

    def test_an_ipv6_address_and_a_host_name_can_be_connected_to(self) -> None:
        with NorthboundServer(listen=["ptcp:0:[::1]", "ptcp:0:127.0.0.1"]) as server:
            six, four = server.remotes[1:]
            for remote in (six, four.replace("127.0.0.1", "localhost")):
                with NorthboundConnection.open(remote) as connection:
                    assert connection.following


class TestNoServer:
    def test_a_missing_socket_is_one_line_with_the_remote_and_the_reason(self, tmp_path: Path) -> None:
        with pytest.raises(NorthboundUnavailable) as caught:
            NorthboundConnection.open(f"unix:{tmp_path}/none.sock,tcp:127.0.0.1:1", timeout_s=0.3)

        text = str(caught.value)
        assert f"unix:{tmp_path}/none.sock: No such file or directory" in text
        assert "tcp:127.0.0.1:1: Connection refused" in text
        assert "\n" not in text

    def test_a_name_that_does_not_resolve_is_said_so(self) -> None:
        with pytest.raises(NorthboundUnavailable, match=r"the name nowhere\.invalid has no address"):
            NorthboundConnection.open("tcp:nowhere.invalid:6641", timeout_s=0.2)

    def test_a_server_that_accepts_and_stays_silent_is_given_up(self, tmp_path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(tmp_path / "silent.sock"))
            listener.listen()
            with pytest.raises(
                NorthboundUnavailable, match=r"silent\.sock: accepts the connection but does not answer"
            ):
                NorthboundConnection.open(f"unix:{tmp_path}/silent.sock", timeout_s=0.5)

    def test_a_silent_server_in_a_list_does_not_keep_us_from_the_next(
        self, northbound: NorthboundServer, tmp_path: Path
    ) -> None:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(tmp_path / "silent.sock"))
            listener.listen()
            remotes = f"unix:{tmp_path}/silent.sock,{northbound.remote}"
            with NorthboundConnection.open(remotes, timeout_s=3) as connection:
                assert connection.following

    def test_what_is_no_ovsdb_server_is_said_so(self, tmp_path: Path) -> None:
        def chatter() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.sendall(b"SSH-2.0-none\r\n")
                peer.recv(1000)

        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(tmp_path / "ssh.sock"))
            listener.listen()
            thread = threading.Thread(target=chatter)
            thread.start()
            with pytest.raises(NorthboundUnavailable, match=r"does not speak OVSDB|does not answer"):
                NorthboundConnection.open(f"unix:{tmp_path}/ssh.sock", timeout_s=0.5)
            thread.join()

    def test_a_server_that_starts_a_little_later_is_waited_for(self, northbound: NorthboundServer) -> None:
        northbound.stop()
        starter = threading.Timer(0.3, northbound.start)
        starter.start()

        with NorthboundConnection.open(northbound.remote) as connection:
            assert connection.following
        starter.join()


class TestSchema:
    def test_another_database_is_named(self) -> None:
        with SouthboundServer() as server, pytest.raises(SchemaMismatch, match="it serves: OVN_Southbound"):
            NorthboundConnection.open(server.remote)

    def test_every_missing_or_other_column_is_named(self, northbound: NorthboundServer) -> None:
        columns = {
            **NEEDED_COLUMNS,
            "QoS": {**NEEDED_COLUMNS["QoS"], "colour": "string", "priority": "map of string to integer"},
            "Teapot": {"name": "string"},
        }
        with pytest.raises(SchemaMismatch) as caught:
            NorthboundConnection.open(northbound.remote, columns=columns)

        assert "QoS has no column colour" in str(caught.value)
        assert "QoS.priority is a integer, not a map of string to integer" in str(caught.value)
        assert "it has no table Teapot" in str(caught.value)

    @pytest.mark.parametrize(
        ("table", "column", "value", "words"),
        [
            ("QoS", "priority", 32768, "32768 is not in the range 0 to 32767"),
            ("QoS", "priority", "7", "'7' is not an integer"),
            ("QoS", "priority", True, "True is not an integer"),
            ("QoS", "direction", "sideways", "'sideways' is not one of from-lport, to-lport"),
            ("QoS", "action", {"colour": 1}, "key 'colour' is not one of"),
            ("QoS", "bandwidth", {"rate": 0}, "rate: 0 is not in the range 1 to 4294967295"),
            ("QoS", "bandwidth", {"burst": 2**32}, "burst: 4294967296 is not in the range"),
            ("QoS", "bandwidth", [1], "a map is needed"),
            ("QoS", "match", "ip4\0", "holds a NUL"),
            ("QoS", "match", "\ud800", "is not valid Unicode"),
            ("QoS", "colour", 1, "is not a column in use"),
            ("Address_Set", "addresses", "10.0.0.1", "a set is needed"),
            ("Port_Group", "ports", ["vm1"], "'vm1' is not a uuid"),
        ],
    )
    def test_a_value_that_the_server_would_refuse_is_refused_here(
        self, connection: NorthboundConnection, table: str, column: str, value: object, words: str
    ) -> None:
        with pytest.raises(InvalidRow) as caught:
            connection.schema.check(table, column, value)

        assert words in str(caught.value)
        assert str(caught.value).startswith(f"{table}.{column}: ") or "not a column" in words

    @pytest.mark.parametrize(
        ("table", "column", "value"),
        [
            ("QoS", "priority", 32767),
            ("QoS", "direction", "from-lport"),
            ("QoS", "action", {"dscp": 63}),
            ("QoS", "bandwidth", {}),
            ("QoS", "bandwidth", {"rate": 2**32 - 1, "burst": 1}),
            ("Address_Set", "addresses", frozenset({"10.0.0.1"})),
            ("Port_Group", "ports", [uuid.uuid4()]),
        ],
    )
    def test_a_value_within_the_constraints_passes(
        self, connection: NorthboundConnection, table: str, column: str, value: object
    ) -> None:
        connection.schema.check(table, column, value)


class TestCommit:
    def test_all_commands_are_one_transaction_and_give_their_results(self, northbound: NorthboundServer) -> None:
        northbound.nbctl("ls-add", "lan")
        with NorthboundConnection.open(northbound.remote) as connection:
            result = connection.run([add_set(connection, "a"), AddQosRow(connection, "lan", **QOS_ROW)])

            row = connection.row_by_name("Address_Set", "a")
            assert row is not None
            assert result.changed
            assert result.results[0] == row.uuid
        assert northbound.nbctl("qos-list", "lan").split() == ["to-lport", "100", "(ip4)", "dscp=20"]

    def test_assigned_columns_are_written_as_set_ones_are(self, northbound: NorthboundServer) -> None:
        class Insert(BaseCommand):  # type: ignore[misc]  # ovsdbapp ships no types
            def run_idl(self, txn: Any) -> None:
                rule = txn.insert(self.api.tables["QoS"])
                for column, value in {**QOS_ROW, "external_ids": {"a": "b"}, "bandwidth": {}}.items():
                    assign(rule, column, value)
                switch, port = (next(iter(self.api.tables[t].rows.values())) for t in ("Logical_Switch", PORT))
                switch.addvalue("qos_rules", rule.uuid)
                group = txn.insert(self.api.tables["Port_Group"])
                assign(group, "name", "pg")
                assign(group, "ports", [port])
                addresses = txn.insert(self.api.tables["Address_Set"])
                assign(addresses, "name", "as")
                assign(addresses, "addresses", {"10.0.0.2", "10.0.0.1"})

        northbound.nbctl("ls-add", "lan", "--", "lsp-add", "lan", "a")
        with NorthboundConnection.open(northbound.remote) as connection:
            connection.run([Insert(connection.api)])
            connection.run([Reassign(connection, "as", ["10.0.0.3"])])

        assert northbound.nbctl("qos-list", "lan").split() == ["to-lport", "100", "(ip4)", "dscp=20"]
        columns = "--columns=addresses"
        assert northbound.nbctl("--bare", columns, "list", "Address_Set", "as").split() == ["10.0.0.3"]
        port = northbound.nbctl("--bare", "--columns=_uuid", "list", PORT, "a")
        assert northbound.nbctl("--bare", "--columns=ports", "list", "Port_Group", "pg") == port

    def test_commands_that_change_nothing_send_nothing(self, connection: NorthboundConnection) -> None:
        assert not connection.run([]).changed

    def test_ovsdbapps_own_transactions_work_and_fail_aloud(self, connection: NorthboundConnection) -> None:
        with connection.api.transaction() as transaction:
            transaction.add(add_set(connection, "a"))
        with pytest.raises(TransactionRefused), connection.api.transaction() as transaction:
            transaction.add(add_set(connection, "a"))

    def test_a_refusal_is_the_servers_words_in_one_line(self, connection: NorthboundConnection) -> None:
        connection.run([add_set(connection, "a")])

        with pytest.raises(TransactionRefused, match=r"constraint violation: .*identical values") as caught:
            connection.run([add_set(connection, "b"), add_set(connection, "a")])

        assert "\n" not in str(caught.value)
        assert names(connection) == {"a"}

    def test_a_verified_column_that_changed_makes_the_plan_stale(self, northbound: NorthboundServer) -> None:
        northbound.nbctl("ls-add", "lan")
        with NorthboundConnection.open(northbound.remote) as connection, connection.reading():
            # Inside `reading` the replica does not see what the other client does.
            command = AddQosRow(connection, "lan", **QOS_ROW)
            northbound.nbctl("qos-add", "lan", "to-lport", "7", "ip4", "dscp=1")
            with pytest.raises(StalePlan):
                connection.run([command])

        assert northbound.nbctl("qos-list", "lan").split()[:2] == ["to-lport", "7"]

    def test_a_command_that_fails_leaves_nothing_behind(self, connection: NorthboundConnection) -> None:
        class Failing(BaseCommand):  # type: ignore[misc]  # ovsdbapp ships no types
            def run_idl(self, txn: Any) -> None:
                raise StalePlan("not the row I knew")

        with pytest.raises(StalePlan, match="not the row I knew"):
            connection.run([add_set(connection, "a"), Failing(connection.api)])

        assert names(connection) == set()
        assert connection.run([add_set(connection, "b")]).changed

    def test_a_transaction_of_many_megabytes_goes_through(self, connection: NorthboundConnection) -> None:
        addresses = [f"10.{i // 65536}.{i // 256 % 256}.{i % 256}" for i in range(30_000)]

        connection.run([add_set(connection, f"a{i}", addresses=addresses) for i in range(5)], timeout_s=60)

        with connection.reading() as tables:
            assert [len(row.addresses) for row in tables["Address_Set"].rows.values()] == [30_000] * 5


class TestServerTrouble:
    def test_a_frozen_server_leaves_the_outcome_unknown_and_may_still_write(self, northbound: NorthboundServer) -> None:
        with NorthboundConnection.open(northbound.remote) as connection:
            northbound.freeze()
            try:
                with pytest.raises(OutcomeUnknown, match="may still carry it out"):
                    connection.run([add_set(connection, "a")], timeout_s=0.3)
                with pytest.raises(NorthboundUnavailable):
                    connection.refresh(timeout_s=0.2)
            finally:
                northbound.thaw()
            connection.refresh()

            assert names(connection) == {"a"}
            assert connection.run([add_set(connection, "b")]).changed

    def test_a_server_killed_before_the_answer_leaves_the_outcome_unknown(self, northbound: NorthboundServer) -> None:
        with NorthboundConnection.open(northbound.remote) as connection:
            northbound.freeze()
            killer = threading.Timer(0.3, northbound.kill)
            killer.start()
            with pytest.raises(OutcomeUnknown, match="the connection was lost before the answer"):
                connection.run([add_set(connection, "a")], timeout_s=20)
            killer.join()

            with pytest.raises(NorthboundUnavailable, match="nothing was sent"):
                connection.run([add_set(connection, "b")], timeout_s=0.3)
            assert not connection.following
            northbound.start()
            connection.refresh()
            assert connection.run([add_set(connection, "c")]).changed

    def test_after_a_restart_the_replica_is_the_servers_again(self, northbound: NorthboundServer) -> None:
        with NorthboundConnection.open(northbound.remote) as connection:
            connection.run([add_set(connection, "a"), add_set(connection, "b")])
            northbound.stop()
            northbound.start()
            northbound.nbctl("destroy", "Address_Set", "a", "--", "create", "Address_Set", "name=c")
            connection.refresh()

            assert names(connection) == {"b", "c"}

    def test_a_closed_connection_says_so(self, connection: NorthboundConnection) -> None:
        connection.close()
        connection.close()

        with pytest.raises(NorthboundUnavailable):
            connection.run([add_set(connection, "a")])
        with pytest.raises(NorthboundUnavailable):
            connection.refresh()


class TestCluster:
    def test_writes_go_to_the_leader_and_to_the_next_one_when_it_is_killed(self) -> None:
        with RaftCluster() as cluster:
            leader = cluster.leader()
            with NorthboundConnection.open(cluster.remote) as connection:
                connection.run([add_set(connection, "before")])
                cluster.members[leader].freeze()
                killer = threading.Timer(0.3, cluster.kill, [leader])
                killer.start()
                with pytest.raises(OutcomeUnknown):
                    connection.run([add_set(connection, "between")], timeout_s=20)
                killer.join()

                connection.refresh(timeout_s=20)
                assert names(connection) == {"before"}
                assert connection.run([add_set(connection, "after")], timeout_s=20).changed
                assert cluster.leader() != leader

    def test_a_follower_alone_is_refused_unless_asked_for(self) -> None:
        with RaftCluster() as cluster:
            follower = cluster.remotes[(cluster.leader() + 1) % 3]
            with pytest.raises(NorthboundUnavailable, match="does not lead its cluster"):
                NorthboundConnection.open(follower, timeout_s=1)
            with NorthboundConnection.open(follower, leader_only=False) as connection:
                assert connection.following


class TestWriterLock:
    def test_one_of_two_writers_writes_and_the_other_takes_over(self, northbound: NorthboundServer) -> None:
        with (
            NorthboundConnection.open(northbound.remote) as first,
            NorthboundConnection.open(northbound.remote) as second,
        ):
            lock, rival = first.writer_lock("ovnqos_me"), second.writer_lock("ovnqos_me")
            lock.acquire()
            with pytest.raises(LockLost, match="ovnqos_me"):
                rival.acquire()
            second.writer_lock("ovnqos_another").acquire()
            second.writer_lock("ovnqos_another").release()
            assert first.run([add_set(first, "a")]).changed

            threading.Timer(0.1, lock.release).start()
            rival.acquire(timeout_s=10)
            assert rival.held
            assert not lock.held
            assert second.run([add_set(second, "b")]).changed

    def test_a_writer_whose_lock_is_stolen_notices_and_writes_nothing(self, northbound: NorthboundServer) -> None:
        with NorthboundConnection.open(northbound.remote) as connection:
            lock = connection.writer_lock("ovnqos_me")
            lock.acquire()
            with socket.socket(socket.AF_UNIX) as thief:
                thief.connect(str(northbound.socket))
                thief.sendall(b'{"method":"steal","params":["ovnqos_me"],"id":1}')
                assert thief.recv(1000)
                assert lock.wait_for_change(held=False, timeout_s=10)
                with pytest.raises(LockLost, match="nothing was written"):
                    connection.run([add_set(connection, "a")])
            assert lock.wait_for_change(held=True, timeout_s=10)
            assert connection.run([add_set(connection, "b")]).changed
            assert names(connection) == {"b"}

    def test_closing_gives_the_lock_back(self, northbound: NorthboundServer) -> None:
        with NorthboundConnection.open(northbound.remote) as first:
            first.writer_lock("ovnqos_me").acquire()
        with NorthboundConnection.open(northbound.remote) as second:
            second.writer_lock("ovnqos_me").acquire(timeout_s=5)

    def test_a_lock_is_asked_for_again_after_a_reconnect(self, northbound: NorthboundServer) -> None:
        with NorthboundConnection.open(northbound.remote) as connection:
            lock = connection.writer_lock("ovnqos_me")
            lock.acquire()
            northbound.stop()
            assert lock.wait_for_change(held=False, timeout_s=10)
            northbound.start()
            assert connection.run([add_set(connection, "a")]).changed
            assert lock.held


class TestTls:
    @pytest.fixture
    def pki(self, tmp_path: Path) -> Pki:
        return Pki(tmp_path)

    @pytest.fixture
    def server(self, pki: Pki) -> Iterator[NorthboundServer]:
        with NorthboundServer(listen=["pssl:0:127.0.0.1"], certificate=pki.server("nb")) as server:
            yield server

    def test_reads_and_writes(self, pki: Pki, server: NorthboundServer) -> None:
        addresses = [f"10.0.{i // 256}.{i % 256}" for i in range(20_000)]
        with NorthboundConnection.open(server.remotes[1], tls=tls_files(pki.client("c"))) as connection:
            connection.run([add_set(connection, "a", addresses=addresses)], timeout_s=30)
            row = connection.row_by_name("Address_Set", "a")
            assert row is not None
            assert len(row.addresses) == 20_000

    def test_a_server_of_another_authority_is_not_trusted(self, pki: Pki, server: NorthboundServer) -> None:
        client = pki.client("c")
        wrong = TlsFiles(
            private_key=client.private_key,
            certificate=client.certificate,
            ca_certificate=pki.server("x").authority,
        )
        with pytest.raises(NorthboundUnavailable, match="its certificate is not trusted"):
            NorthboundConnection.open(server.remotes[1], tls=wrong)

    def test_a_client_that_the_server_does_not_trust_is_told(self, pki: Pki, server: NorthboundServer) -> None:
        with pytest.raises(NorthboundUnavailable, match="refuses our certificate"):
            NorthboundConnection.open(server.remotes[1], tls=tls_files(pki.stranger("c")), timeout_s=2)

    def test_other_files_in_one_process_are_refused_while_the_first_are_in_use(
        self, pki: Pki, server: NorthboundServer
    ) -> None:
        first, second = tls_files(pki.client("c1")), tls_files(pki.client("c2"))
        with NorthboundConnection.open(server.remotes[1], tls=first):
            with pytest.raises(InvalidRemote, match="one set a process"):
                NorthboundConnection.open(server.remotes[1], tls=second)
            NorthboundConnection.open(server.remotes[1], tls=first).close()
        NorthboundConnection.open(server.remotes[1], tls=second).close()

    def test_a_missing_or_unfit_file_is_one_line(self, pki: Pki, server: NorthboundServer, tmp_path: Path) -> None:
        good, other = tls_files(pki.client("c1")), tls_files(pki.client("c2"))
        missing = TlsFiles(
            private_key=tmp_path / "none.pem", certificate=good.certificate, ca_certificate=good.ca_certificate
        )
        unfit = TlsFiles(
            private_key=other.private_key, certificate=good.certificate, ca_certificate=good.ca_certificate
        )
        with pytest.raises(InvalidRemote, match=r"TLS private key .*none\.pem: No such file"):
            NorthboundConnection.open(server.remotes[1], tls=missing)
        with pytest.raises(InvalidRemote, match="key values mismatch"):
            NorthboundConnection.open(server.remotes[1], tls=unfit)
        with pytest.raises(InvalidRemote, match="needs a private key"):
            NorthboundConnection.open(server.remotes[1])
