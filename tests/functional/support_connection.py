"""Connections, operations and questions for the tests of the OVSDB client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovnqos.northbound.northbound import NEEDED_COLUMNS
from ovnqos.ovsdb.client import OvsdbClient
from ovnqos.ovsdb.protocol import Deadline
from ovnqos.ovsdb.remotes import NORTHBOUND
from ovnqos.ovsdb.replica import Replica

if TYPE_CHECKING:
    from ovnqos.ovsdb.protocol import Columns
    from ovnqos.ovsdb.replica import Listener


def connect(
    remotes: str,
    *,
    columns: Columns = NEEDED_COLUMNS,
    listener: Listener | None = None,
    wait: bool = True,
    **options: Any,
) -> OvsdbClient:
    """A client of a Northbound, with a replica."""
    client = OvsdbClient(NORTHBOUND, remotes, replica=Replica(columns, listener), **options)
    try:
        if wait:
            client.await_contents()
        else:
            client.await_request()
    except BaseException:
        client.close()
        raise
    return client


def add_set(name: str, *addresses: str) -> dict[str, Any]:
    """An operation that makes an address set."""
    row = {"name": name, "addresses": ["set", list(addresses)]}
    return {"op": "insert", "table": "Address_Set", "row": row}


def names(client: OvsdbClient, table: str = "Address_Set") -> set[str]:
    """The names in a table, as the replica has them."""
    with client.reading() as tables:
        return {record.name for record in tables[table].records.values()}


def row_named(client: OvsdbClient, table: str, name: str) -> Any:
    """The record of this name."""
    with client.reading() as tables:
        return next(record for record in tables[table].records.values() if record.name == name)


def await_lock(client: OvsdbClient, name: str, *, held: bool, timeout_s: float = 10.0) -> bool:
    """Wait until a lock is held, or is not. Returns whether that came about in time."""
    with client.lock:
        return client.wait_until(lambda: client.holds_lock(name) == held, Deadline(timeout_s))
