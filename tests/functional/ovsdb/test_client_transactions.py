"""Operations that become one transaction, and what comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ovnqos.errors import StalePlan, TransactionRefused
from tests.functional.support_connection import add_set, connect, names, row_named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovnqos.ovsdb.client import OvsdbClient
    from ovnqos.sandbox import NorthboundServer


@pytest.fixture
def connection(northbound: NorthboundServer) -> Iterator[OvsdbClient]:
    with connect(northbound.remote) as opened:
        yield opened


def wait_for(table: str, uuid: str, **columns: Any) -> dict[str, Any]:
    where = [["_uuid", "==", ["uuid", uuid]]]
    return {
        "op": "wait",
        "table": table,
        "where": where,
        "timeout": 0,
        "until": "==",
        "columns": list(columns),
        "rows": [columns],
    }


def test_all_operations_are_one_transaction_and_give_their_results(
    connection: OvsdbClient, northbound: NorthboundServer
) -> None:
    results = connection.transact([add_set("a", "10.0.0.1"), add_set("b")])

    assert [one["uuid"][1] for one in results] == [row_named(connection, "Address_Set", name).uuid for name in "ab"]
    assert northbound.nbctl("--bare", "--columns=addresses", "list", "Address_Set", "a").split() == ["10.0.0.1"]


def test_a_refusal_is_the_servers_words_in_one_line(connection: OvsdbClient) -> None:
    connection.transact([add_set("a")])

    with pytest.raises(TransactionRefused, match=r"constraint violation: .*identical values") as caught:
        connection.transact([add_set("b"), add_set("a")])

    assert "\n" not in str(caught.value)
    assert names(connection) == {"a"}
    connection.transact([add_set("c")])
    assert names(connection) == {"a", "c"}


def test_a_wait_that_fails_makes_the_plan_stale_and_names_the_row(northbound: NorthboundServer) -> None:
    northbound.nbctl("ls-add", "lan")
    with connect(northbound.remote) as connection, connection.reading():
        # Inside `reading` the replica does not see what the other client does.
        uuid = row_named(connection, "Logical_Switch", "lan").uuid
        northbound.nbctl("set", "Logical_Switch", "lan", "name=wan")
        with pytest.raises(StalePlan, match=f"Logical_Switch {uuid} has changed or is gone"):
            connection.transact([add_set("a"), wait_for("Logical_Switch", uuid, name="lan")])

    assert not northbound.nbctl("--bare", "list", "Address_Set")


def test_a_transaction_of_many_megabytes_goes_through(connection: OvsdbClient) -> None:
    addresses = [f"10.{i // 65536}.{i // 256 % 256}.{i % 256}" for i in range(30_000)]

    connection.transact([add_set(f"a{i}", *addresses) for i in range(5)], timeout_s=60)

    with connection.reading() as tables:
        assert [len(row.addresses) for row in tables["Address_Set"].records.values()] == [30_000] * 5
