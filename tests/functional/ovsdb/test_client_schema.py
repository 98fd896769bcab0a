"""The server's schema: what must be there, and which values it takes."""

from __future__ import annotations

import uuid

import pytest

from ovnqos.errors import (
    InvalidRow,
    SchemaMismatch,
)
from ovnqos.northbound.northbound import NEEDED_COLUMNS
from ovnqos.ovsdb.client import OvsdbClient
from ovnqos.ovsdb.remotes import NORTHBOUND
from ovnqos.ovsdb.replica import Replica
from ovnqos.plan.render_operations import SchemaChecks
from ovnqos.sandbox import NorthboundServer, SouthboundServer
from tests.functional.support_connection import connect


@pytest.fixture
def checks(northbound: NorthboundServer) -> SchemaChecks:
    replica = Replica(NEEDED_COLUMNS)
    with OvsdbClient(NORTHBOUND, northbound.remote, replica=replica) as client:
        client.await_contents()
    return SchemaChecks(replica.types)


def test_another_database_is_named() -> None:
    with SouthboundServer() as server, pytest.raises(SchemaMismatch, match="it serves: OVN_Southbound"):
        connect(server.remote)


def test_every_missing_or_other_column_is_named(northbound: NorthboundServer) -> None:
    columns = {
        **NEEDED_COLUMNS,
        "QoS": {**NEEDED_COLUMNS["QoS"], "colour": "string", "priority": "map of string to integer"},
        "Teapot": {"name": "string"},
    }
    with pytest.raises(SchemaMismatch) as caught:
        connect(northbound.remote, columns=columns)

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
    checks: SchemaChecks, table: str, column: str, value: object, words: str
) -> None:
    with pytest.raises(InvalidRow) as caught:
        checks.check(table, column, value)

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
def test_a_value_within_the_constraints_passes(checks: SchemaChecks, table: str, column: str, value: object) -> None:
    checks.check(table, column, value)
