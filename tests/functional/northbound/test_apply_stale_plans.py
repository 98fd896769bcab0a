"""Another writer was at work between plan and apply: nothing is written but members of other sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ovnqos import AddressSet, DesiredState, Northbound, StalePlan, plan_changes
from tests.functional.support_database import as_set, dump, unbind, update
from tests.functional.support_rows import assert_as_wanted, inhabit, make, our_rows, row, state

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


class TestStalePlans:
    """The replica follows at once, or has not heard yet: both ways nothing is written."""

    @pytest.fixture(params=["heard", "not heard"])
    def hears(self, request: pytest.FixtureRequest) -> bool:
        return bool(request.param == "heard")

    def refused(
        self, server: NorthboundServer, client: Northbound, desired: DesiredState, *, hears: bool, by: Any
    ) -> None:
        """Plans, lets somebody else do something, and applies: nothing of the plan may be written."""
        plan = plan_changes(desired, client.snapshot())
        if hears:
            by()
            client.refresh()
            before = dump(server)
            with pytest.raises(StalePlan, match="nothing was written"):
                client.apply(plan)
        else:
            client.lock()
            with client._client.reading():  # keeps the news from the replica
                by()
                before = dump(server)
                with pytest.raises(StalePlan, match="nothing was written"):
                    client.apply(plan)
        assert dump(server) == before
        client.refresh()
        make(client, desired)
        assert_as_wanted(server, desired)

    def test_a_row_edited_meanwhile(self, server: NorthboundServer, client: Northbound, hears: bool) -> None:
        make(client, state(row("a"), row("b", priority=5)))
        edited = next(uuid for uuid, found in our_rows(server).items() if found["priority"] == 5)
        self.refused(
            server,
            client,
            state(row("a", dscp=1), row("b", priority=5, dscp=1)),
            hears=hears,
            by=lambda: update(server, "QoS", edited, action={"dscp": 63}),
        )

    def test_a_row_to_bind_that_is_somebody_elses_now(
        self, server: NorthboundServer, client: Northbound, hears: bool
    ) -> None:
        make(client, state())
        (uuid,) = our_rows(server)
        self.refused(
            server,
            client,
            state(row(switches=frozenset({"wan"}))),
            hears=hears,
            by=lambda: update(server, "QoS", uuid, external_ids={"ovnqos.io/owner": "another"}),
        )
        assert uuid in dump(server)["QoS"]

    def test_a_row_to_delete_that_is_somebody_elses_now(
        self, server: NorthboundServer, client: Northbound, hears: bool
    ) -> None:
        make(client, state())
        (uuid,) = our_rows(server)
        self.refused(
            server,
            client,
            DesiredState.of(),
            hears=hears,
            by=lambda: update(server, "QoS", uuid, external_ids={"ovnqos.io/owner": "another"}),
        )
        assert uuid in dump(server)["QoS"]

    def test_a_set_that_is_somebody_elses_now(self, server: NorthboundServer, client: Northbound, hears: bool) -> None:
        make(client, state())
        (uuid,) = (uuid for uuid, one in dump(server)["Address_Set"].items() if one["name"] == "servers_v4")
        self.refused(
            server,
            client,
            DesiredState.of(),
            hears=hears,
            by=lambda: update(server, "Address_Set", uuid, external_ids={"ovnqos.io/owner": "another"}),
        )
        assert uuid in dump(server)["Address_Set"]

    def test_a_set_to_change_that_is_somebody_elses_now(
        self, server: NorthboundServer, client: Northbound, hears: bool
    ) -> None:
        make(client, state())
        (uuid,) = (uuid for uuid, one in dump(server)["Address_Set"].items() if one["name"] == "servers_v4")
        more = state(servers=AddressSet.of("servers_v4", ["203.0.113.0/24", "198.51.100.7"]))
        plan = plan_changes(more, client.snapshot())
        client.lock()

        def give_away() -> None:
            update(server, "Address_Set", uuid, external_ids={"ovnqos.io/owner": "another"})

        if hears:
            give_away()
            client.refresh()
            before = dump(server)
            with pytest.raises(StalePlan):
                client.apply(plan)
        else:
            with client._client.reading():
                give_away()
                before = dump(server)
                with pytest.raises(StalePlan):
                    client.apply(plan)
        assert dump(server) == before

    def test_members_of_other_sets_than_one_that_is_somebody_elses_now_are_written(
        self, server: NorthboundServer, client: Northbound
    ) -> None:
        sets = [AddressSet.of(name, ["203.0.113.1"]) for name in ("first", "second")]
        make(client, DesiredState.of(address_sets=sets))
        uuids = {one["name"]: uuid for uuid, one in dump(server)["Address_Set"].items()}
        more = [AddressSet.of(name, ["203.0.113.1", "203.0.113.7"]) for name in ("first", "second")]
        plan = plan_changes(DesiredState.of(address_sets=more), client.snapshot())
        client.lock()
        with client._client.reading():
            update(server, "Address_Set", uuids["first"], external_ids={"ovnqos.io/owner": "another"})
            with pytest.raises(StalePlan, match=uuids["first"]):
                client.apply(plan)

        found = dump(server)["Address_Set"]
        assert as_set(found[uuids["first"]]["addresses"]) == {"203.0.113.1"}
        assert as_set(found[uuids["second"]]["addresses"]) == {"203.0.113.1", "203.0.113.7"}

    def test_a_set_to_take_over_that_somebody_claims_meanwhile(
        self, server: NorthboundServer, client: Northbound
    ) -> None:
        make(client, state())
        (uuid,) = (uuid for uuid, one in dump(server)["Address_Set"].items() if one["name"] == "servers_v4")
        update(server, "Address_Set", uuid, external_ids={})
        client.refresh()
        plan = plan_changes(state(), client.snapshot())
        client.lock()
        with client._client.reading():
            update(server, "Address_Set", uuid, external_ids={"ovnqos.io/owner": "another"})
            before = dump(server)
            with pytest.raises(StalePlan):
                client.apply(plan)
        assert dump(server) == before

    def test_a_switch_deleted_meanwhile(self, server: NorthboundServer, client: Northbound) -> None:
        plan = plan_changes(state(row(switches=frozenset({"lan", "wan"}))), client.snapshot())
        server.nbctl("ls-del", "wan")
        client.refresh()
        before = dump(server)
        with pytest.raises(StalePlan, match=r"Logical_Switch .* is gone"):
            client.apply(plan)

        assert dump(server) == before

    def test_a_row_deleted_meanwhile(self, server: NorthboundServer, client: Northbound, hears: bool) -> None:
        make(client, state())
        (uuid,) = our_rows(server)
        self.refused(server, client, state(row(dscp=1)), hears=hears, by=lambda: unbind(server, "lan", uuid))

    def test_a_row_whose_switch_was_deleted_comes_back_with_it(
        self, server: NorthboundServer, client: Northbound
    ) -> None:
        desired = state(row("a", switches=frozenset({"wan"})), row("b", switches=frozenset({"lan", "wan"}), priority=3))
        make(client, desired)
        server.nbctl("ls-del", "wan")
        client.refresh()
        plan = plan_changes(desired, client.snapshot())
        client.apply(plan)
        assert {(one.kind, one.name) for one in plan.missing} == {("logical switch", "wan")}
        assert_as_wanted(server, desired)
        assert len(our_rows(server)) == 1

        server.nbctl("ls-add", "wan")
        make(client, desired)
        assert len(our_rows(server)) == 2
        assert_as_wanted(server, desired)
