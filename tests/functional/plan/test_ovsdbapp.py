"""Plans in the transactions of a stock ovsdbapp API, as Neutron holds one, on real servers."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ovsdbapp.backend.ovs_idl import connection
from ovsdbapp.backend.ovs_idl.command import BaseCommand
from ovsdbapp.schema.ovn_northbound.impl_idl import OvnNbApiIdlImpl

from ovnqos import (
    AddressSet,
    DesiredState,
    Northbound,
    Owner,
    PortGroup,
    Snapshot,
    StalePlan,
    plan_changes,
)
from ovnqos.errors import InvalidRow
from tests.functional.support_database import (
    add_row,
    comparable,
    copy_of,
    dump,
    of_others,
    unbind,
    update,
)
from tests.functional.support_rows import assert_as_wanted, inhabit, make, our_rows, row, state
from tests.functional.support_states import OURS, compiled_states, damage, inhabited, states
from tests.functional.support_wiretap import Wiretap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ovnqos.sandbox import NorthboundServer


@contextmanager
def stock_api(server: NorthboundServer, remote: str = "") -> Iterator[Any]:
    """The API as any Python controller of OVN makes it; its connection is on its class, so each has its own."""
    idl = connection.OvsdbIdl.from_server(remote or server.remote, "OVN_Northbound")
    api = type("Api", (OvnNbApiIdlImpl,), {})(connection.Connection(idl, timeout=10))
    try:
        yield api
    finally:
        api.ovsdb_connection.stop()


class Verify(BaseCommand):  # type: ignore[misc]  # ovsdbapp ships no types
    """Writes to a switch that must be as it was read."""

    def __init__(self, api: Any, switch: str) -> None:
        super().__init__(api)
        self._switch = UUID(switch)

    def run_idl(self, txn: Any) -> None:
        row = self.api.tables["Logical_Switch"].rows[self._switch]
        row.verify("external_ids")
        row.other_config = {"a": "b"}


@pytest.fixture
def server(northbound: NorthboundServer) -> NorthboundServer:
    """A Northbound with two switches and four ports, where others are at home already."""
    return inhabit(northbound)


@pytest.fixture
def api(server: NorthboundServer) -> Iterator[Any]:
    with stock_api(server) as stock:
        yield stock


def carry_out(api: Any, desired: DesiredState, *further: Any) -> None:
    run(api, *plan_changes(desired, Snapshot.of(api)).commands(api), *further)


def run(api: Any, *commands: Any) -> None:
    with api.transaction(check_error=True) as transaction:
        transaction.extend(commands)


class RunFirst(BaseCommand):  # type: ignore[misc]  # ovsdbapp ships no types
    """Does something, once, after the commands before it have looked at the replica."""

    def __init__(self, api: Any, act: Callable[[], object]) -> None:
        super().__init__(api)
        self._act: Callable[[], object] | None = act

    def run_idl(self, txn: Any) -> None:
        if self._act is not None:
            self._act()
            self._act = None


@settings(max_examples=25)
@given(st.data(), states() | compiled_states, states() | compiled_states)
def test_the_end_is_the_same_as_that_of_northbound_apply(
    data: st.DataObject, first: DesiredState, second: DesiredState
) -> None:
    with inhabited(data, first, second) as one, Northbound.connect(one.remote) as northbound:
        northbound.apply(plan_changes(first, northbound.snapshot()))
        damage(data, one)
        before = dump(one)
        with copy_of(one) as two, stock_api(two) as api:
            northbound.refresh()
            snapshot = Snapshot.of(api)
            assert snapshot == northbound.snapshot()

            northbound.apply(plan_changes(second, northbound.snapshot()))
            carry_out(api, second)

            assert comparable(dump(two), before) == comparable(dump(one), before)
            assert plan_changes(second, Snapshot.of(api)).is_empty


class TestOneTransaction:
    def test_it_holds_the_callers_own_commands_too(self, server: NorthboundServer) -> None:
        with Wiretap(server) as tap, stock_api(server, tap.remote) as api:
            carry_out(api, state(), api.ls_add("new"))
            (operations,) = tap.transactions
        assert {"QoS", "Address_Set", "Port_Group", "Logical_Switch"} <= {one["table"] for one in operations}
        assert "new" in Snapshot.of(api).switches
        assert_as_wanted(server, state())

    def test_both_roll_back_when_the_callers_command_fails(self, server: NorthboundServer, api: Any) -> None:
        before = dump(server)
        with pytest.raises(RuntimeError):
            carry_out(api, state(), api.db_create("Port_Group", name="senders"))
        assert dump(server) == before
        carry_out(api, state())
        assert_as_wanted(server, state())

    def test_both_roll_back_when_the_plan_is_stale(self, server: NorthboundServer, api: Any) -> None:
        carry_out(api, state())
        (uuid,) = our_rows(server)
        plan = plan_changes(state(row(dscp=1)), Snapshot.of(api))
        update(server, "QoS", uuid, priority=7)
        before = dump(server)
        with pytest.raises(StalePlan):
            run(api, api.ls_add("new"), *plan.commands(api))
        assert dump(server) == before

    def test_plans_of_two_owners_go_together(self, server: NorthboundServer, api: Any) -> None:
        second = Owner("second")
        theirs = DesiredState.of(rows=[row("theirs", match=state().rows["web"].match)])
        plans = [plan_changes(state(), Snapshot.of(api)), plan_changes(theirs, Snapshot.of(api, second))]
        with api.transaction(check_error=True) as transaction:
            for plan in plans:
                transaction.extend(plan.commands(api))
        assert_as_wanted(server, state())
        assert len(Snapshot.of(api, second).rows) == 1

    def test_an_empty_plan_has_no_commands(self, server: NorthboundServer, api: Any) -> None:
        carry_out(api, state())
        before = server.file.read_bytes()
        assert plan_changes(state(), Snapshot.of(api)).commands(api) == []
        carry_out(api, state())
        assert server.file.read_bytes() == before

    def test_a_command_can_run_alone(self, server: NorthboundServer, api: Any) -> None:
        (command,) = plan_changes(state(), Snapshot.of(api)).commands(api)
        assert command.execute(check_error=True) == 3
        assert "changes=3" in str(command)
        assert_as_wanted(server, state())


class TestContents:
    @pytest.mark.parametrize(
        "desired",
        [
            state(row(dscp=0)),
            state(row(burst_kbit=None)),
            state(row(switches=frozenset({"lan", "wan"}))),
            state(row(switches=frozenset({"wan"}))),
            state(senders=PortGroup(name="senders", ports=frozenset({"vm3"}))),
            state(servers=AddressSet.of("servers_v4", ["198.51.100.7"])),
            DesiredState.of(),
        ],
        ids=["dscp 0", "burst goes", "bind", "rebind", "ports", "addresses", "all goes"],
    )
    def test_updates_are_exact(self, server: NorthboundServer, api: Any, desired: DesiredState) -> None:
        before = dump(server)
        carry_out(api, state())
        carry_out(api, desired)
        assert_as_wanted(server, desired)
        assert of_others(dump(server)) == of_others(before)

    def test_members_that_others_add_meanwhile_stay(self, server: NorthboundServer, api: Any) -> None:
        carry_out(api, state())
        more = state(servers=AddressSet.of("servers_v4", ["203.0.113.0/24", "198.51.100.7"]))
        plan = plan_changes(more, Snapshot.of(api))
        server.nbctl("add", "Address_Set", "servers_v4", "addresses", '"192.0.2.1"')
        run(api, *plan.commands(api))
        (addresses,) = (
            one["addresses"][1] for one in dump(server)["Address_Set"].values() if one["name"] == "servers_v4"
        )
        assert set(addresses) == {"203.0.113.0/24", "198.51.100.7", "192.0.2.1"}

    def test_a_value_that_the_schema_does_not_take_is_refused_before_anything_is_sent(
        self, server: NorthboundServer, api: Any
    ) -> None:
        plan = plan_changes(DesiredState.of(rows=[row(external_ids={"note": "nul\0"})]), Snapshot.of(api))
        with pytest.raises(InvalidRow, match="NUL"):
            plan.commands(api)


class TestStalePlans:
    """Another client was at work between plan and transaction, and the replica has heard of it, or has not."""

    @pytest.fixture(params=["heard", "not heard"])
    def hears(self, request: pytest.FixtureRequest) -> bool:
        return bool(request.param == "heard")

    @pytest.mark.parametrize("what", ["edited", "given away", "unbound", "switch gone", "set given away"])
    def test_nothing_is_written(self, server: NorthboundServer, api: Any, what: str, hears: bool) -> None:
        carry_out(api, state())
        (uuid,) = our_rows(server)
        (one_set,) = (uuid for uuid, one in dump(server)["Address_Set"].items() if one["name"] == "servers_v4")
        more = AddressSet.of("servers_v4", ["203.0.113.0/24", "198.51.100.7"])
        plan = plan_changes(state(row(dscp=33, switches=frozenset({"lan", "wan"})), servers=more), Snapshot.of(api))
        meddle: Callable[[], object] = {
            "edited": lambda: update(server, "QoS", uuid, action={"dscp": 63}),
            "given away": lambda: update(server, "QoS", uuid, external_ids={"ovnqos.io/owner": "another"}),
            "unbound": lambda: unbind(server, "lan", uuid),
            "switch gone": lambda: server.nbctl("ls-del", "wan"),
            "set given away": lambda: update(server, "Address_Set", one_set, external_ids={"ovnqos.io/owner": "x"}),
        }[what]
        if hears:
            meddle()
            api.ls_add("sync").execute(check_error=True)
            further = []
        else:
            further = [RunFirst(api, meddle)]
        with pytest.raises(StalePlan):
            run(api, *plan.commands(api), *further)

        rows = dump(server)["QoS"].values()
        assert rows
        assert all(one["action"] != ["map", [["dscp", 33]]] for one in rows)

    def test_a_port_that_is_gone(self, server: NorthboundServer, api: Any) -> None:
        plan = plan_changes(state(), Snapshot.of(api))
        server.nbctl("lsp-del", "vm1")
        api.ls_add("sync").execute(check_error=True)
        with pytest.raises(StalePlan, match="Logical_Switch_Port"):
            run(api, *plan.commands(api))
        assert our_rows(server) == {}

    def test_rows_are_not_inserted_twice_when_the_answer_to_the_first_attempt_is_lost(
        self, server: NorthboundServer, api: Any
    ) -> None:
        (command,) = plan_changes(state(), Snapshot.of(api)).commands(api)

        def commit_and_lose_the_answer() -> None:
            with Northbound.connect(server.remote) as other:
                make(other, state())
            update(server, "Logical_Switch", lan, external_ids={"changed": "too"})

        (lan,) = (uuid for uuid, one in dump(server)["Logical_Switch"].items() if one["name"] == "lan")
        again = Verify(api, lan)  # has ovsdbapp try again
        with pytest.raises(StalePlan, match="is there already"):
            run(api, command, again, RunFirst(api, commit_and_lose_the_answer))
        assert len(our_rows(server)) == 1


def test_a_snapshot_is_of_one_moment(server: NorthboundServer, api: Any) -> None:
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            add_row(server, ["lan", "wan"], priority=100 + number % 1000)
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(50):
            snapshot = Snapshot.of(api, OURS)
            assert all(one.switches for one in snapshot.foreign_rows)
    finally:
        stop.set()
        writer.join()
