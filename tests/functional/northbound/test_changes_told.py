"""What a Northbound tells of changes in its database: those of others, in the words of plans, and not its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ovnqos import AddressSet, DesiredState, Northbound, PortGroup, plan_changes
from ovnqos.controller import DatabaseChange
from tests.functional.support_rows import SENDERS, assert_as_wanted, inhabit, make, our_rows, row, state

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovnqos.sandbox import NorthboundServer

ROW = row(switches=frozenset({"lan", "wan"}))
SERVERS = AddressSet.of("servers_v4", ["203.0.113.1", "203.0.113.2"])


@pytest.fixture
def server(northbound: NorthboundServer) -> NorthboundServer:
    return inhabit(northbound)


@pytest.fixture
def told() -> DatabaseChange:
    """What was told, merged."""
    return DatabaseChange()


@pytest.fixture
def client(server: NorthboundServer, told: DatabaseChange) -> Iterator[Northbound]:
    with Northbound.connect(server.remote, on_change=told.merge) as connected:
        yield connected


def test_what_is_there_at_first_is_no_change(client: Northbound, told: DatabaseChange) -> None:
    client.refresh()

    assert not told


def test_our_own_writes_are_not_told(client: Northbound, told: DatabaseChange) -> None:
    fewer = PortGroup(name="senders", ports=frozenset({"vm2", "vm3"}))
    for desired in (
        state(ROW, servers=SERVERS),
        state(row(dscp=30), servers=SERVERS),
        state(row(dscp=30), senders=fewer, servers=AddressSet.of("servers_v4", ["203.0.113.2", "203.0.113.3"])),
        DesiredState.of(),
    ):
        make(client, desired)
        client.refresh()

        assert not told


def test_what_others_do_is_told_by_identity_and_member(
    server: NorthboundServer, client: Northbound, told: DatabaseChange
) -> None:
    make(client, state(ROW, servers=SERVERS))
    (uuid,) = our_rows(server)

    server.nbctl("set", "QoS", uuid, "priority=7")
    server.nbctl("remove", "Address_Set", "servers_v4", "addresses", "203.0.113.1")
    server.nbctl("pg-set-ports", "senders", "vm1", "vm3")
    server.nbctl("ls-add", "new", "--", "lsp-add", "new", "new-port")
    server.nbctl("qos-add", "lan", "to-lport", "10006", "ip4", "dscp=1")
    client.refresh()

    assert told == DatabaseChange(
        rows={"web"},
        sets={"servers_v4": {"203.0.113.1"}, "senders": {"vm2", "vm3"}},
        switches={"new"},
        ports={"new-port"},
        foreign_rows=True,
    )


def test_foreign_rows_are_told_that_have_or_had_a_priority_that_rows_of_policies_or_pods_have(
    server: NorthboundServer, client: Northbound, told: DatabaseChange
) -> None:
    for priority, is_told in (("2003", False), ("4990", True), ("5000", True)):
        server.nbctl("qos-add", "lan", "from-lport", priority, "ip4", "dscp=1")
        client.refresh()
        assert told.foreign_rows is is_told
        told.foreign_rows = False
    uuid = server.nbctl("--bare", "--columns=_uuid", "find", "QoS", "priority=5000").strip()
    server.nbctl("set", "QoS", uuid, "priority=3")
    client.refresh()
    assert told == DatabaseChange(foreign_rows=True)


def test_a_port_that_goes_is_told_as_a_member_that_went(
    server: NorthboundServer, client: Northbound, told: DatabaseChange
) -> None:
    make(client, state(ROW, senders=SENDERS))

    server.nbctl("lsp-del", "vm1")
    client.refresh()

    assert told == DatabaseChange(sets={"senders": {"vm1"}})


def test_a_row_taken_off_one_switch_is_told(server: NorthboundServer, client: Northbound, told: DatabaseChange) -> None:
    make(client, state(ROW))

    server.nbctl("qos-del", "wan", "to-lport", "2000", str(ROW.match))
    client.refresh()

    assert told == DatabaseChange(rows={"web"})


def test_after_a_restart_of_the_server_everything_is_told(
    server: NorthboundServer, client: Northbound, told: DatabaseChange
) -> None:
    make(client, state(ROW))
    session = client.session

    server.stop()
    server.start()
    client.refresh()

    assert client.session != session
    assert told.rows == {"web"}
    assert told.sets == {"senders": None, "servers_v4": None}
    assert told.switches == {"lan", "wan"}
    assert told.ports == {"vm1", "vm2", "vm3", "vm4"}


def test_a_snapshot_stays_as_it_was_taken(server: NorthboundServer, client: Northbound) -> None:
    make(client, state(ROW, servers=SERVERS))
    snapshots = [client.snapshot()]
    for address in ("203.0.113.1", "203.0.113.2"):
        server.nbctl("remove", "Address_Set", "servers_v4", "addresses", address)
        client.refresh()
        snapshots.append(client.snapshot())

    found = [next(one for (_, name), one in shot.sets.items() if name == "servers_v4") for shot in snapshots]
    assert [sorted(one.content.members) for one in found] == [
        ["203.0.113.1", "203.0.113.2"],
        ["203.0.113.2"],
        [],
    ]


def test_a_client_that_did_not_wait_plans_and_writes_as_one_that_did(server: NorthboundServer) -> None:
    with Northbound.connect(server.remote) as first:
        make(first, state(ROW))

    with Northbound.connect(server.remote, wait=False) as hasty:
        assert plan_changes(state(ROW), hasty.snapshot()).is_empty
        hasty.apply(plan_changes(state(row(dscp=30)), hasty.snapshot()))
    assert_as_wanted(server, state(row(dscp=30)))


def test_the_lock_can_be_the_first_that_a_client_asks_for_that_did_not_wait(server: NorthboundServer) -> None:
    with Northbound.connect(server.remote, wait=False) as hasty:
        hasty.lock()
