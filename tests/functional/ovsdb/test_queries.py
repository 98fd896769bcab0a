"""Questions to real database servers: clusters, TLS, servers that end, freeze, or are something else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from ovnqos import SchemaMismatch, TlsFiles, TransactionRefused
from ovnqos.controller import InvalidRemote, NorthboundUnavailable, SouthboundUnavailable
from ovnqos.ovsdb.client import OvsdbClient
from ovnqos.ovsdb.remotes import NORTHBOUND
from ovnqos.sandbox import NorthboundServer, SouthboundServer
from ovnqos.southbound.southbound import NorthboundSequence, Southbound
from tests.support.raft import RaftCluster

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.pki import Pki

SWITCHES = {"op": "select", "table": "Logical_Switch", "where": [], "columns": ["name"]}


def insert(name: str) -> dict[str, Any]:
    return {"op": "insert", "table": "Logical_Switch", "row": {"name": name}}


def session(remote: str, **options: Any) -> OvsdbClient:
    return OvsdbClient(NORTHBOUND, remote, **{"timeout_s": 5.0, **options})


def test_a_question_gets_its_answer_and_a_second_on_the_same_connection(northbound: NorthboundServer) -> None:
    with session(northbound.remote) as asked:
        asked.query(insert("lan"))
        for _ in range(2):
            assert asked.query(SWITCHES)[0]["rows"] == [{"name": "lan"}]


def test_all_operations_are_one_transaction(northbound: NorthboundServer) -> None:
    with session(northbound.remote) as asked:
        with pytest.raises(TransactionRefused, match=r"Northbound refuses the transaction: .*abort"):
            asked.query(insert("lan"), {"op": "abort"})
        assert asked.query(SWITCHES)[0]["rows"] == []


@pytest.mark.parametrize(
    "operation",
    [{**SWITCHES, "table": "Nosuch"}, {**SWITCHES, "columns": ["nosuch"]}],
    ids=["table", "column"],
)
def test_a_schema_that_lacks_something_is_told(northbound: NorthboundServer, operation: dict[str, Any]) -> None:
    with session(northbound.remote) as asked, pytest.raises(SchemaMismatch, match=r"does not fit: .*[Nn]osuch"):
        asked.query(operation)


class TestWaiting:
    def await_none(self, asked: OvsdbClient, timeout_s: float) -> bool:
        return asked.await_none("NB_Global", [["nb_cfg", "<", 1]], timeout_s=timeout_s)

    def test_it_ends_as_soon_as_the_condition_holds(self, northbound: NorthboundServer) -> None:
        northbound.nbctl("init")
        with session(northbound.remote) as asked, ThreadPoolExecutor() as pool:
            waiting = pool.submit(self.await_none, asked, 30)
            northbound.nbctl("set", "NB_Global", ".", "nb_cfg=1")
            assert waiting.result(timeout=20)

    def test_it_ends_when_the_time_is_up(self, northbound: NorthboundServer) -> None:
        northbound.nbctl("init")
        with session(northbound.remote) as asked:
            assert not self.await_none(asked, 0.2)
            assert not self.await_none(asked, 0)

    def test_without_conditions_there_is_nothing_to_wait_for(self, northbound: NorthboundServer) -> None:
        with session(northbound.remote) as asked:
            assert asked.await_none("NB_Global", timeout_s=0)


class TestTrouble:
    def test_nobody_listens(self, tmp_path: Path) -> None:
        remotes = f"unix:{tmp_path}/one.sock,unix:{tmp_path}/two.sock"
        with session(remotes, timeout_s=0.5) as asked, pytest.raises(NorthboundUnavailable) as caught:
            asked.query(SWITCHES)
        for name in ("one", "two"):
            assert f"unix:{tmp_path}/{name}.sock: No such file or directory" in str(caught.value)

    def test_a_frozen_server_costs_no_more_than_its_share_where_there_is_another(
        self, northbound: NorthboundServer, tmp_path: Path
    ) -> None:
        with NorthboundServer() as other:
            northbound.freeze()
            with session(f"{northbound.remote},{other.remote}", timeout_s=3) as asked:
                assert asked.query(SWITCHES)[0]["rows"] == []
            northbound.thaw()

    def test_a_frozen_server_alone_is_told(self, northbound: NorthboundServer) -> None:
        northbound.freeze()
        with session(northbound.remote, timeout_s=0.5) as asked, pytest.raises(NorthboundUnavailable, match="answer"):
            asked.query(SWITCHES)
        northbound.thaw()

    def test_a_server_that_freezes_between_two_questions(self, northbound: NorthboundServer) -> None:
        with session(northbound.remote, timeout_s=0.5) as asked:
            asked.query(SWITCHES)
            northbound.freeze()
            with pytest.raises(NorthboundUnavailable, match="does not answer"):
                asked.query(SWITCHES)
            northbound.thaw()
            assert asked.query(SWITCHES, timeout_s=10)[0]["rows"] == []

    def test_a_server_that_is_started_again_is_found_again(self, northbound: NorthboundServer) -> None:
        with session(northbound.remote, timeout_s=10) as asked:
            asked.query(insert("lan"))
            northbound.stop()
            northbound.start()
            assert asked.query(SWITCHES)[0]["rows"] == [{"name": "lan"}]

    def test_another_database_is_told_with_what_is_there(self) -> None:
        with (
            SouthboundServer() as southbound,
            session(southbound.remote) as asked,
            pytest.raises(SchemaMismatch, match="has no database OVN_Northbound; it serves: OVN_Southbound"),
        ):
            asked.query(SWITCHES)

    def test_the_southbounds_error_is_its_own(self, tmp_path: Path) -> None:
        with (
            Southbound(f"unix:{tmp_path}/sb.sock", timeout_s=0.3) as southbound,
            pytest.raises(SouthboundUnavailable, match="Southbound: no server: unix:"),
        ):
            southbound.read()


class TestCluster:
    def test_the_leader_is_asked_whichever_stands_first(self) -> None:
        with RaftCluster() as cluster:
            leader = cluster.leader()
            followers = [remote for number, remote in enumerate(cluster.remotes) if number != leader]
            with session(",".join([*followers, cluster.remotes[leader]])) as asked:
                asked.query(insert("lan"))
                assert asked.query(SWITCHES)[0]["rows"] == [{"name": "lan"}]
            with (
                session(followers[0], timeout_s=0.5) as asked,
                pytest.raises(NorthboundUnavailable, match="does not lead its cluster"),
            ):
                asked.query(SWITCHES)

    def test_the_next_leader_is_found(self) -> None:
        with RaftCluster() as cluster, session(cluster.remote, timeout_s=20) as asked:
            asked.query(insert("lan"))
            cluster.kill(cluster.leader())
            assert asked.query(SWITCHES)[0]["rows"] == [{"name": "lan"}]


class TestTls:
    def test_with_the_right_files(self, pki: Pki) -> None:
        party = pki.client("me")
        files = TlsFiles(private_key=party.private_key, certificate=party.certificate, ca_certificate=party.authority)
        with NorthboundServer(listen=["pssl:0:127.0.0.1"], tls_options=pki.server("nb").options) as server:
            with session(server.remotes[1], tls=files) as asked:
                assert asked.query(SWITCHES)[0]["rows"] == []
            with NorthboundSequence(server.remotes[1], tls=files) as sequence:
                assert sequence.read() == 0

    def test_a_stranger_is_not_let_in(self, pki: Pki) -> None:
        party = pki.stranger("eve")
        files = TlsFiles(private_key=party.private_key, certificate=party.certificate, ca_certificate=party.authority)
        with (
            NorthboundServer(listen=["pssl:0:127.0.0.1"], tls_options=pki.server("nb").options) as server,
            session(server.remotes[1], tls=files, timeout_s=1) as asked,
            pytest.raises(NorthboundUnavailable, match=r"ssl:127\.0\.0\.1:\d+: .*certificate"),
        ):
            asked.query(SWITCHES)

    def test_without_files(self) -> None:
        with pytest.raises(InvalidRemote, match="private key"):
            session("ssl:127.0.0.1:1")


def test_a_generation_is_advanced_by_one(northbound: NorthboundServer) -> None:
    northbound.nbctl("init")
    with NorthboundSequence(northbound.remote) as sequence:
        assert (sequence.read(), sequence.advance(), sequence.read()) == (0, 1, 1)
        assert not sequence.await_northd(1, timeout_s=0.1)
