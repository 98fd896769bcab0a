"""Commands that become one transaction, and what comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from ovsdbapp.backend.ovs_idl.command import BaseCommand

from ovnqos.errors import (
    StalePlan,
    TransactionRefused,
)
from ovnqos.ovsdb.connection import NorthboundConnection
from ovnqos.ovsdb.datum import assign
from tests.functional.support_connection import QOS_ROW, AddQosRow, Reassign, add_set, names, ovs_row, row_named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovnqos.sandbox import NorthboundServer


@pytest.fixture
def connection(northbound: NorthboundServer) -> Iterator[NorthboundConnection]:
    with NorthboundConnection.open(northbound.remote) as opened:
        yield opened


def test_all_commands_are_one_transaction_and_give_their_results(northbound: NorthboundServer) -> None:
    northbound.nbctl("ls-add", "lan")
    with NorthboundConnection.open(northbound.remote) as connection:
        result = connection.run([add_set(connection, "a"), AddQosRow(connection, "lan", **QOS_ROW)])

        assert result.changed
        assert str(result.results[0]) == row_named(connection, "Address_Set", "a").uuid
    assert northbound.nbctl("qos-list", "lan").split() == ["to-lport", "100", "(ip4)", "dscp=20"]


def test_assigned_columns_are_written_as_set_ones_are(northbound: NorthboundServer) -> None:
    class Insert(BaseCommand):  # type: ignore[misc]  # ovsdbapp ships no types
        def run_idl(self, txn: Any) -> None:
            rule = txn.insert(self.api.tables["QoS"])
            for column, value in {**QOS_ROW, "external_ids": {"a": "b"}, "bandwidth": {}}.items():
                assign(rule, column, value)
            switch, port = (
                next(iter(self.api.tables[t].rows.values())) for t in ("Logical_Switch", "Logical_Switch_Port")
            )
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
    port = northbound.nbctl("--bare", "--columns=_uuid", "list", "Logical_Switch_Port", "a")
    assert northbound.nbctl("--bare", "--columns=ports", "list", "Port_Group", "pg") == port


def test_commands_that_change_nothing_send_nothing(connection: NorthboundConnection) -> None:
    assert not connection.run([]).changed


def test_ovsdbapps_own_transactions_work_and_fail_aloud(connection: NorthboundConnection) -> None:
    with connection.api.transaction() as transaction:
        transaction.add(add_set(connection, "a"))
    with pytest.raises(TransactionRefused), connection.api.transaction() as transaction:
        transaction.add(add_set(connection, "a"))


def test_a_refusal_is_the_servers_words_in_one_line(connection: NorthboundConnection) -> None:
    connection.run([add_set(connection, "a")])

    with pytest.raises(TransactionRefused, match=r"constraint violation: .*identical values") as caught:
        connection.run([add_set(connection, "b"), add_set(connection, "a")])

    assert "\n" not in str(caught.value)
    assert names(connection) == {"a"}


def test_a_verified_column_that_changed_makes_the_plan_stale(northbound: NorthboundServer) -> None:
    northbound.nbctl("ls-add", "lan")
    with NorthboundConnection.open(northbound.remote) as connection, connection.reading():
        # Inside `reading` the replica does not see what the other client does.
        command = AddQosRow(connection, "lan", **QOS_ROW)
        northbound.nbctl("qos-add", "lan", "to-lport", "7", "ip4", "dscp=1")
        with pytest.raises(StalePlan):
            connection.run([command])

    assert northbound.nbctl("qos-list", "lan").split()[:2] == ["to-lport", "7"]


def test_a_command_that_fails_leaves_nothing_behind(connection: NorthboundConnection) -> None:
    class Failing(BaseCommand):  # type: ignore[misc]  # ovsdbapp ships no types
        def run_idl(self, txn: Any) -> None:
            raise StalePlan("not the row I knew")

    with pytest.raises(StalePlan, match="not the row I knew"):
        connection.run([add_set(connection, "a"), Failing(connection.api)])

    assert names(connection) == set()
    assert connection.run([add_set(connection, "b")]).changed


def test_a_transaction_of_many_megabytes_goes_through(connection: NorthboundConnection) -> None:
    addresses = [f"10.{i // 65536}.{i // 256 % 256}.{i % 256}" for i in range(30_000)]

    connection.run([add_set(connection, f"a{i}", addresses=addresses) for i in range(5)], timeout_s=60)

    with connection.reading() as tables:
        assert [len(row.addresses) for row in tables["Address_Set"].records.values()] == [30_000] * 5


def test_commands_that_change_one_row_are_all_carried_out(northbound: NorthboundServer) -> None:
    northbound.nbctl("ls-add", "lan")
    with NorthboundConnection.open(northbound.remote) as connection:
        connection.run([AddQosRow(connection, "lan", **{**QOS_ROW, "priority": number}) for number in (1, 2, 3)])

        assert len(row_named(connection, "Logical_Switch", "lan").qos_rules) == 3
    assert northbound.nbctl("qos-list", "lan").split()[1::4] == ["3", "2", "1"]


def test_a_row_that_is_verified_only_makes_the_plan_stale_too(northbound: NorthboundServer) -> None:
    class Verify(BaseCommand):  # type: ignore[misc]  # ovsdbapp ships no types
        def run_idl(self, txn: Any) -> None:
            next(iter(self.api.tables["Logical_Switch"].rows.values())).verify("name")

    northbound.nbctl("ls-add", "lan")
    with NorthboundConnection.open(northbound.remote) as opened, opened.reading():
        # Inside `reading` the replica does not see what the other client does.
        northbound.nbctl("set", "Logical_Switch", "lan", "name=wan")
        with pytest.raises(StalePlan):
            opened.run([Verify(opened.api), add_set(opened, "a")])

    assert not northbound.nbctl("--bare", "list", "Address_Set")


def test_a_row_whose_deletion_did_not_happen_is_still_there(connection: NorthboundConnection) -> None:
    connection.run([add_set(connection, "a"), add_set(connection, "b")])

    def destroy() -> Any:
        return connection.api.db_destroy("Address_Set", UUID(row_named(connection, "Address_Set", "a").uuid))

    with pytest.raises(TransactionRefused):
        connection.run([destroy(), add_set(connection, "b")])

    assert names(connection) == {"a", "b"}
    assert ovs_row(connection, "Address_Set", "a").name == "a"
    connection.run([destroy()])
    assert names(connection) == {"b"}
