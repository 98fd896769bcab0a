"""Values that cannot be stored, locks that others hold, servers that do not answer."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from ovnqos import (
    AddressSet,
    DesiredState,
    LockLost,
    Northbound,
    OutcomeUnknown,
    OvnQosError,
    Owner,
    match,
    plan_changes,
)
from ovnqos.controller import InvalidRow
from tests.functional.support_database import dump, owned, transact, wanted
from tests.functional.support_rows import assert_as_wanted, inhabit, make, objects, our_rows, row, state
from tests.functional.support_wiretap import Wiretap

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ovnqos.sandbox import NorthboundServer


@pytest.fixture
def server(northbound: NorthboundServer) -> NorthboundServer:
    """A Northbound with two switches and four ports, where others are at home already."""
    return inhabit(northbound)


@pytest.fixture
def client(server: NorthboundServer) -> Iterator[Northbound]:
    with Northbound.connect(server.remote) as connected:
        yield connected


class TestValues:
    @pytest.mark.parametrize(
        "desired",
        [
            DesiredState.of(rows=[row(external_ids={"note": "nul\0"})]),
            DesiredState.of(rows=[row(external_ids={"half\ud800": "x"})]),
            DesiredState.of(rows=[row(match=match.Verbatim("ip4\0"))]),
            DesiredState.of(address_sets=[AddressSet(name="x", addresses=frozenset({"10.0.0.1\0"}))]),
            DesiredState.of(address_sets=[AddressSet(name="x", addresses=frozenset({"\ud800"}))]),
        ],
        ids=["nul", "surrogate", "match", "address", "address surrogate"],
    )
    def test_what_the_schema_does_not_take_is_refused_before_anything_is_sent(
        self, server: NorthboundServer, desired: DesiredState
    ) -> None:
        with Wiretap(server) as tap, Northbound.connect(tap.remote) as client:
            before = server.file.read_bytes()
            with pytest.raises(InvalidRow, match=r"NUL|Unicode"):
                client.apply(plan_changes(desired, client.snapshot()))
            assert tap.transactions == []
            assert server.file.read_bytes() == before

            make(client, state())
        assert_as_wanted(server, state())

    def test_an_address_that_cannot_be_stored_is_refused_in_a_set_that_is_there(
        self, server: NorthboundServer, client: Northbound
    ) -> None:
        make(client, state())
        worse = state(servers=AddressSet(name="servers_v4", addresses=frozenset({"10.0.0.1\0"})))
        with pytest.raises(InvalidRow):
            client.apply(plan_changes(worse, client.snapshot()))

        assert_as_wanted(server, state())

    def test_a_refused_value_in_a_later_transaction_is_found_before_the_first_is_sent(
        self, server: NorthboundServer, client: Northbound
    ) -> None:
        before = dump(server)
        bad = row(
            "zz", external_ids={"ovnqos.io/object": "NetworkQoS/z/z", "note": "nul\0"}, switches=frozenset({"lan"})
        )
        good = objects(10)
        desired = DesiredState.of(
            rows=[*good.rows.values(), bad],
            port_groups=good.port_groups.values(),
            address_sets=good.address_sets.values(),
        )
        with pytest.raises(InvalidRow):
            client.apply(plan_changes(desired, client.snapshot()), transaction_weight=10)

        assert dump(server) == before


class TestLock:
    def test_a_lock_held_by_another_stops_apply_and_nothing_is_written(
        self, server: NorthboundServer, client: Northbound
    ) -> None:
        before = dump(server)
        with Northbound.connect(server.remote) as rival:
            rival.lock()
            with pytest.raises(LockLost, match="which OVSDB does not name"):
                client.apply(plan_changes(state(), client.snapshot()))
            assert dump(server) == before
        client.lock(timeout_s=10)
        make(client, state())
        assert_as_wanted(server, state())

    def test_the_lock_is_given_back_on_close(self, server: NorthboundServer, client: Northbound) -> None:
        with Northbound.connect(server.remote) as first:
            first.apply(plan_changes(state(), first.snapshot()))
        client.lock(timeout_s=5)

    def test_writers_of_other_owners_are_not_fenced(self, server: NorthboundServer, client: Northbound) -> None:
        client.lock()
        other = Owner("ovnqos-2")
        with Northbound.connect(server.remote, owner=other) as second:
            theirs = DesiredState.of(rows=[row("x", match=match.ip4)])
            second.apply(plan_changes(theirs, second.snapshot()))
        assert owned(dump(server), other) == wanted(theirs, other, dump(server))

    def test_a_plan_of_another_owner_is_refused(self, server: NorthboundServer, client: Northbound) -> None:
        with (
            Northbound.connect(server.remote, owner=Owner("another")) as second,
            pytest.raises(ValueError, match="the plan is of owner ovnqos"),
        ):
            second.apply(plan_changes(state(), client.snapshot()))


class TestOutcome:
    def test_after_an_unknown_outcome_a_new_plan_ends_right(self, server: NorthboundServer) -> None:
        with Northbound.connect(server.remote, timeout_s=0.5) as client:
            client.lock()
            plan = plan_changes(state(), client.snapshot())
            server.freeze()
            try:
                with pytest.raises(OutcomeUnknown):
                    client.apply(plan)
            finally:
                server.thaw()
            client.refresh(timeout_s=20)
            client.apply(plan_changes(state(), client.snapshot()))

            assert_as_wanted(server, state())

    def test_a_frozen_server_that_dies_has_written_nothing_and_the_next_plan_does(
        self, server: NorthboundServer
    ) -> None:
        with Northbound.connect(server.remote, timeout_s=20) as client:
            client.lock()
            plan = plan_changes(state(), client.snapshot())
            server.freeze()
            killer = threading.Timer(0.2, server.kill)
            killer.start()
            with pytest.raises(OvnQosError) as caught:
                client.apply(plan)
            killer.join()
            assert isinstance(caught.value, OutcomeUnknown)
            server.start()
            client.refresh()
            assert our_rows(server) == {}
            make(client, state())
            assert_as_wanted(server, state())

    def test_the_database_restored_from_a_backup_is_made_right_again(
        self, server: NorthboundServer, client: Northbound, tmp_path: Path
    ) -> None:
        backup = server.file.read_bytes()
        make(client, state())
        server.stop()
        server.file.write_bytes(backup)
        server.start()
        client.refresh()
        make(client, state())

        assert_as_wanted(server, state())


def test_another_clients_transaction_between_two_reads_is_seen_after_refresh(
    server: NorthboundServer, client: Northbound
) -> None:
    for number in range(20):
        where = {"op": "insert", "table": "Logical_Switch", "row": {"name": f"new{number}"}}
        transact(server, where)
        client.refresh()
        assert f"new{number}" in client.snapshot().switches
