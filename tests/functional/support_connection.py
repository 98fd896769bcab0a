"""Commands and questions for the tests of connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ovsdbapp.backend.ovs_idl.command import BaseCommand

from ovnqos.ovsdb.datum import assign

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovnqos.ovsdb.connection import NorthboundConnection

QOS_ROW: Final[Mapping[str, Any]] = {"direction": "to-lport", "priority": 100, "match": "ip4", "action": {"dscp": 20}}


def add_set(connection: NorthboundConnection, name: str, **columns: Any) -> Any:
    """A command that makes an address set."""
    return connection.api.db_create("Address_Set", name=name, **columns)


def names(connection: NorthboundConnection, table: str = "Address_Set") -> set[str]:
    """The names in a table, as the replica has them."""
    with connection.reading() as tables:
        return {record.name for record in tables[table].records.values()}


def row_named(connection: NorthboundConnection, table: str, name: str) -> Any:
    """The record of this name."""
    with connection.reading() as tables:
        return next(record for record in tables[table].records.values() if record.name == name)


def ovs_row(connection: NorthboundConnection, table: str, name: str) -> Any:
    """The same as a row of ovs."""
    with connection.reading():
        return next(row for row in connection.api.tables[table].rows.values() if row.name == name)


class AddQosRow(BaseCommand):  # type: ignore[misc]  # ovsdbapp ships no types
    """Inserts a row on a switch whose rows must be those we know."""

    def __init__(self, connection: NorthboundConnection, switch: str, **columns: Any) -> None:
        super().__init__(connection.api)
        self._switch = ovs_row(connection, "Logical_Switch", switch)
        self._columns = columns

    def run_idl(self, txn: Any) -> None:
        """Insert and bind the row."""
        row = txn.insert(self.api.tables["QoS"])
        self.set_columns(row, **self._columns)
        self._switch.verify("qos_rules")
        self._switch.addvalue("qos_rules", row.uuid)


class Reassign(BaseCommand):  # type: ignore[misc]  # ovsdbapp ships no types
    """Sets the addresses of an address set that is there."""

    def __init__(self, connection: NorthboundConnection, name: str, addresses: list[str]) -> None:
        super().__init__(connection.api)
        self._row = ovs_row(connection, "Address_Set", name)
        self._addresses = addresses

    def run_idl(self, txn: Any) -> None:
        """Assign them."""
        assign(self._row, "addresses", self._addresses)
