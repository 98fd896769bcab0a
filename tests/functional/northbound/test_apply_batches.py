"""A large plan is several transactions, each of which leaves every object whole."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from ovnqos import DesiredState, LockLost, Northbound, OutcomeUnknown, plan_changes
from ovnqos.controller import NorthboundUnavailable
from tests.functional.support_database import as_map, dump
from tests.functional.support_rows import inhabit, make, objects, our_rows

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


class TestBatches:
    def whole(self, server: NorthboundServer, dscp: int) -> int:
        """How many objects have all their rows with this mark, and the sets those use; none may have some."""
        found = dump(server)
        names = {one["name"] for one in found["Address_Set"].values()}
        rows: dict[str, list[int]] = {}
        for one in our_rows(server).values():
            key = as_map(one["external_ids"])["ovnqos.io/object"]
            rows.setdefault(key, []).append(as_map(one["action"])["dscp"])
            assert f"to{key.rpartition('o')[2]}" in names
        assert all(len(marks) == 3 and len(set(marks)) == 1 for marks in rows.values())
        assert {"senders"} <= {one["name"] for one in found["Port_Group"].values()} or not rows
        return sum(marks == [dscp] * 3 for marks in rows.values())

    def test_a_large_plan_leaves_every_object_whole_after_each_transaction(
        self, server: NorthboundServer, client: Northbound
    ) -> None:
        told: list[tuple[int, int]] = []
        whole: list[int] = []

        def report(done: int, total: int) -> None:
            told.append((done, total))
            whole.append(self.whole(server, dscp))

        for dscp in (10, 20):
            told.clear()
            whole.clear()
            client.refresh()
            plan = plan_changes(objects(10, dscp), client.snapshot())
            applied = client.apply(plan, transaction_weight=10, progress=report)

            assert applied.transactions == len(told) > 3
            assert [total for _, total in told] == [len(plan.changes)] * len(told)
            assert sorted({done for done, _ in told}) == [done for done, _ in told]
            assert told[-1][0] == len(plan.changes)
            assert whole == sorted(whole)
            assert whole[0] > 0
            assert whole[-1] == 10
        client.refresh()
        client.apply(plan_changes(DesiredState.of(), client.snapshot()), transaction_weight=10, progress=report)
        assert our_rows(server) == {}

    def test_the_last_transaction_done_is_kept_when_the_lock_is_stolen(
        self, server: NorthboundServer, client: Northbound
    ) -> None:
        with socket.socket(socket.AF_UNIX) as thief:

            def steal(_done: int, _total: int) -> None:
                thief.connect(str(server.socket))
                thief.sendall(b'{"method":"steal","params":["ovnqos_ovnqos"],"id":1}')
                assert thief.recv(1000)

            plan = plan_changes(objects(10), client.snapshot())
            with pytest.raises(LockLost) as caught:
                client.apply(plan, transaction_weight=10, progress=steal)
        assert any("1 of " in note and "committed before" in note for note in caught.value.__notes__)
        assert 0 < self.whole(server, 10) < 10

        client.lock(timeout_s=10)
        make(client, objects(10))
        assert self.whole(server, 10) == 10

    def test_a_server_that_dies_in_between_leaves_whole_objects_and_the_next_apply_goes_on(
        self, server: NorthboundServer, client: Northbound
    ) -> None:
        plan = plan_changes(objects(10), client.snapshot())

        def kill(done: int, _total: int) -> None:
            if done < len(plan.changes):
                server.kill()

        with (
            Northbound.connect(server.remote, timeout_s=0.5) as hasty,
            pytest.raises((NorthboundUnavailable, OutcomeUnknown)) as caught,
        ):
            hasty.apply(plan, transaction_weight=10, progress=kill)
        assert any("committed before" in note for note in caught.value.__notes__)
        server.start()
        assert 0 < self.whole(server, 10) < 10

        make(client, objects(10))
        assert self.whole(server, 10) == 10

    def test_one_object_heavier_than_the_bound_has_a_transaction_to_itself(
        self, server: NorthboundServer, client: Northbound
    ) -> None:
        applied = client.apply(plan_changes(objects(2), client.snapshot()), transaction_weight=1)

        assert applied.transactions == 2
        assert self.whole(server, 10) == 2
