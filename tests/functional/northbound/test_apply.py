"""Applying plans to real Northbounds: what is written, and what is left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ovnqos import AddressSet, DesiredState, Direction, Northbound, PortGroup, match, plan_changes
from ovnqos.controller import NameTaken, RowUpdate
from tests.functional.support_database import add_row, add_set, as_set, bindings, dump, of_others, update
from tests.functional.support_rows import assert_as_wanted, inhabit, make, objects, our_rows, row, state
from tests.functional.support_wiretap import Wiretap

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovnqos.sandbox import NorthboundServer


@pytest.fixture
def server(northbound: NorthboundServer) -> NorthboundServer:
    """A Northbound with two switches and four ports, where others are at home already."""
    return inhabit(northbound)


@pytest.fixture
def client(server: NorthboundServer) -> Iterator[Northbound]:
    with Northbound.connect(server.remote) as connected:
        yield connected


class TestWrites:
    def test_all_that_is_wanted_is_there_and_others_are_untouched(
        self, server: NorthboundServer, client: Northbound
    ) -> None:
        before = dump(server)
        desired = state(
            row("web"),
            row("zero", dscp=0, rate_kbps=None, burst_kbit=None, priority=1, switches=frozenset({"lan", "wan"})),
            row("rate", dscp=None, burst_kbit=None, direction=Direction.FROM_LPORT, priority=32767),
        )
        applied = client.apply(plan_changes(desired, client.snapshot()))

        assert (applied.changes, applied.transactions) == (5, 1)
        assert_as_wanted(server, desired)
        assert of_others(dump(server)) == of_others(before)

    def test_the_second_apply_sends_nothing(self, server: NorthboundServer, client: Northbound) -> None:
        make(client, state())
        with Wiretap(server) as tap, Northbound.connect(tap.remote) as second:
            before = server.file.read_bytes()
            applied = second.apply(plan_changes(state(), second.snapshot()))
            second.refresh()

            assert applied.transactions == 0
            assert tap.transactions == []
            assert server.file.read_bytes() == before

    def test_a_plan_that_changes_most_of_the_database_is_not_reported_back_and_read_when_asked_for(
        self, server: NorthboundServer
    ) -> None:
        desired = objects(40)
        with Wiretap(server) as tap, Northbound.connect(tap.remote) as other:
            other.apply(plan_changes(desired, other.snapshot()))
            assert "monitor_cancel" in [one.get("method") for one in tap.requests]
            assert not other.has_contents
            assert plan_changes(desired, other.snapshot()).is_empty

            update(server, "QoS", next(iter(our_rows(server))), priority=7)
            other.refresh()
            (repair,) = plan_changes(desired, other.snapshot()).changes
            other.apply(plan_changes(desired, other.snapshot()))
            assert isinstance(repair, RowUpdate)
            assert_as_wanted(server, desired)
            assert other.has_contents  # a plan that changes little is followed

    def test_a_connection_lost_after_such_a_plan_is_made_again(self, server: NorthboundServer) -> None:
        desired = objects(40)
        with Northbound.connect(server.remote) as other:
            other.apply(plan_changes(desired, other.snapshot()))
            server.stop()
            server.start()
            assert plan_changes(desired, other.snapshot()).is_empty

    def test_an_unchanged_row_is_not_written_beside_a_changed_one(self, server: NorthboundServer) -> None:
        desired, changed = state(row("a"), row("b", priority=7)), state(row("a"), row("b", priority=8))
        with Wiretap(server) as tap, Northbound.connect(tap.remote) as client:
            make(client, desired)
            (same,) = (uuid for uuid, found in our_rows(server).items() if found["priority"] == 2000)
            earlier = len(tap.transactions)
            make(client, changed)

            (operations,) = tap.transactions[earlier:]
        assert same not in str(operations)
        assert [list(one["row"]) for one in operations if one["op"] == "update"] == [["priority"]]

    @pytest.mark.parametrize(
        "changes",
        [
            {"priority": 2001},
            {"match": match.ip4},
            {"direction": Direction.FROM_LPORT},
            {"dscp": 0},
            {"dscp": None},
            {"rate_kbps": 1},
            {"burst_kbit": None},
            {"burst_kbit": 4_294_967_295},
            {"rate_kbps": None, "burst_kbit": None},
            {"external_ids": {"note": 'it\'s "new"'}},
            {"switches": frozenset({"lan", "wan"})},
            {"switches": frozenset({"wan"})},
        ],
        ids=lambda changes: str({name: sorted(one) if name == "switches" else one for name, one in changes.items()}),
    )
    def test_a_changed_row_keeps_its_uuid(
        self, server: NorthboundServer, client: Northbound, changes: dict[str, Any]
    ) -> None:
        make(client, state())
        before = our_rows(server)
        make(client, state(row(**changes)))

        assert our_rows(server).keys() == before.keys()
        assert_as_wanted(server, state(row(**changes)))

    def test_deletes_rows_and_sets_that_are_not_wanted_any_more(
        self, server: NorthboundServer, client: Northbound
    ) -> None:
        before = dump(server)
        make(client, state(row("a"), row("b", switches=frozenset({"lan", "wan"}))))
        make(client, DesiredState.of())

        assert dump(server) == before

    def test_a_row_that_leaves_one_of_two_switches_stays_and_one_that_leaves_all_is_gone(
        self, server: NorthboundServer, client: Northbound
    ) -> None:
        both = frozenset({"lan", "wan"})
        make(client, state(row("stays", switches=both), row("goes", switches=both, priority=5)))
        make(client, state(row("stays", switches=frozenset({"wan"}))))

        (uuid,) = our_rows(server)
        assert bindings(dump(server))[uuid] == {"wan"}

    def test_duplicates_made_by_hand_are_removed_and_the_right_one_stays(
        self, server: NorthboundServer, client: Northbound
    ) -> None:
        make(client, state())
        ((right, content),) = our_rows(server).items()
        add_row(server, ["lan", "wan"], **{**content, "priority": 7})
        add_row(server, ["lan"], **content)
        before = our_rows(server)
        assert len(before) == 3
        make(client, state())

        assert len(our_rows(server)) == 1
        assert our_rows(server).keys() <= before.keys()
        assert_as_wanted(server, state())
        assert right in before

    def test_a_row_whose_identity_was_taken_off_by_hand_is_replaced(
        self, server: NorthboundServer, client: Northbound
    ) -> None:
        make(client, state())
        (uuid,) = our_rows(server)
        update(server, "QoS", uuid, external_ids={"ovnqos.io/owner": "ovnqos"})
        make(client, state())

        assert_as_wanted(server, state())

    def test_wants_that_the_northbound_has_no_switch_or_port_for_wait(
        self, server: NorthboundServer, client: Northbound
    ) -> None:
        desired = state(
            row("a", switches=frozenset({"lan", "later"})),
            row("b", switches=frozenset({"later"}), priority=3),
            senders=PortGroup(name="senders", ports=frozenset({"vm1", "new"})),
        )
        plan = plan_changes(desired, client.snapshot())
        client.apply(plan)
        assert sorted((one.kind, one.name) for one in plan.missing) == [
            ("logical switch", "later"),
            ("logical switch", "later"),
            ("logical switch port", "new"),
        ]
        assert_as_wanted(server, desired)

        server.nbctl("ls-add", "later", "--", "lsp-add", "later", "new")
        make(client, desired)
        assert_as_wanted(server, desired)
        assert len(our_rows(server)) == 2
        assert client.snapshot().ports["new"]


class TestMembers:
    def test_only_the_members_that_differ_are_sent(self, server: NorthboundServer) -> None:
        with Wiretap(server) as tap, Northbound.connect(tap.remote) as client:
            make(client, state())
            earlier = len(tap.transactions)
            make(
                client,
                state(
                    senders=PortGroup(name="senders", ports=frozenset({"vm2", "vm3"})),
                    servers=AddressSet.of("servers_v4", ["203.0.113.0/24", "198.51.100.7"]),
                ),
            )
            (operations,) = tap.transactions[earlier:]
        changes = {one["table"]: one for one in operations if one["op"] not in {"assert", "wait"}}
        assert all(one["op"] == "mutate" for table, one in changes.items() if table in {"Address_Set", "Port_Group"})
        assert changes["Address_Set"]["mutations"] == [["addresses", "insert", ["set", ["198.51.100.7"]]]]
        assert "QoS" not in changes

    def test_members_that_others_add_meanwhile_stay(self, server: NorthboundServer, client: Northbound) -> None:
        make(client, state())
        servers = AddressSet.of("servers_v4", ["203.0.113.0/24", "198.51.100.7"])
        senders = PortGroup(name="senders", ports=frozenset({"vm1", "vm2", "vm3"}))
        plan = plan_changes(state(senders=senders, servers=servers), client.snapshot())
        server.nbctl("add", "Address_Set", "servers_v4", "addresses", '"192.0.2.1"')
        port = server.nbctl("--bare", "--columns=_uuid", "list", "Logical_Switch_Port", "vm4").strip()
        server.nbctl("add", "Port_Group", "senders", "ports", port, "--", "set", "Port_Group", "senders", "acls=[]")
        client.apply(plan)

        found = dump(server)
        (addresses,) = (one["addresses"] for one in found["Address_Set"].values() if one["name"] == "servers_v4")
        (ports,) = (one["ports"] for one in found["Port_Group"].values())
        assert as_set(addresses) == {"203.0.113.0/24", "198.51.100.7", "192.0.2.1"}
        assert {found["Logical_Switch_Port"][one]["name"] for one in as_set(ports)} == {"vm1", "vm2", "vm3", "vm4"}

    def test_rows_that_others_bind_meanwhile_stay(self, server: NorthboundServer, client: Northbound) -> None:
        plan = plan_changes(state(), client.snapshot())
        uuid = add_row(server, ["lan"], priority=77)
        client.apply(plan)
        (ours,) = our_rows(server)
        assert {bound[0] for bound in _bound(server, uuid, ours)} == {"lan"}
        assert len(_bound(server, uuid, ours)) == 2

    def test_a_port_that_is_deleted_meanwhile_does_not_stop_its_removal(
        self, server: NorthboundServer, client: Northbound
    ) -> None:
        make(client, state())
        fewer = state(senders=PortGroup(name="senders", ports=frozenset({"vm1"})))
        plan = plan_changes(fewer, client.snapshot())
        server.nbctl("lsp-del", "vm2")
        client.refresh()
        client.apply(plan)

        assert_as_wanted(server, fewer)

    def test_a_set_whose_external_ids_were_wiped_is_taken_over(
        self, server: NorthboundServer, client: Northbound
    ) -> None:
        make(client, state())
        before = dump(server)
        for table in ("Address_Set", "Port_Group"):
            for uuid, one in before[table].items():
                if one["name"] in {"servers_v4", "senders"}:
                    update(server, table, uuid, external_ids={})
        make(client, state())

        assert dump(server) == before

    def test_a_set_of_another_owner_is_not_taken(self, server: NorthboundServer, client: Northbound) -> None:
        add_set(server, "Address_Set", name="servers_v4", external_ids={"ovnqos.io/owner": "another"})
        client.refresh()
        with pytest.raises(NameTaken, match="servers_v4 belongs to another owner"):
            plan_changes(state(), client.snapshot())


def _bound(server: NorthboundServer, *uuids: str) -> list[tuple[str, str]]:
    bound = bindings(dump(server))
    return [(switch, uuid) for uuid in uuids for switch in sorted(bound[uuid])]
