"""The OVSDB lock of an owner, taken from a writer that does not let go of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ovnqos import LockLost, Northbound, plan_changes
from ovnqos.controller import NorthboundUnavailable
from tests.functional.support_database import dump
from tests.functional.support_rows import assert_as_wanted, inhabit, make, row, state

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovnqos.sandbox import NorthboundServer


@pytest.fixture
def server(northbound: NorthboundServer) -> NorthboundServer:
    return inhabit(northbound)


@pytest.fixture
def holder(server: NorthboundServer) -> Iterator[Northbound]:
    """A writer that has written, holds the lock, and does not let go."""
    with Northbound.connect(server.remote) as found:
        make(found, state())
        yield found


def test_a_stolen_lock_is_the_thiefs_and_the_former_holder_writes_nothing(
    server: NorthboundServer, holder: Northbound
) -> None:
    with Northbound.connect(server.remote) as thief:
        thief.lock(steal=True)
        before = dump(server)
        with pytest.raises(LockLost):
            holder.apply(plan_changes(state(row(dscp=30)), holder.snapshot()))
        with pytest.raises(LockLost):
            holder.lock()
        assert dump(server) == before
        make(thief, state(row(dscp=20)))
        assert_as_wanted(server, state(row(dscp=20)))
    holder.lock(timeout_s=10)
    make(holder, state(row(dscp=30)))
    assert_as_wanted(server, state(row(dscp=30)))


def test_a_holder_that_lets_go_in_time_is_not_robbed(server: NorthboundServer, holder: Northbound) -> None:
    with Northbound.connect(server.remote) as next_one:
        holder.close()
        next_one.lock(timeout_s=10, steal=True)
        make(next_one, state(row(dscp=20)))
    assert_as_wanted(server, state(row(dscp=20)))


def test_a_lock_that_nobody_holds_is_simply_taken(server: NorthboundServer) -> None:
    with Northbound.connect(server.remote) as client:
        client.lock(steal=True)
        client.lock(steal=True)
        make(client, state())
    assert_as_wanted(server, state())


def test_a_lock_that_was_stolen_is_asked_for_and_not_stolen_after_a_reconnect(
    server: NorthboundServer, holder: Northbound
) -> None:
    with Northbound.connect(server.remote) as thief:
        thief.lock(steal=True)
        session = holder.session
        server.stop()
        server.start()
        holder.refresh(timeout_s=10)
        thief.refresh(timeout_s=10)
        assert holder.session != session
        written = [one for one in (holder, thief) if can_write(one)]
        assert len(written) == 1


def can_write(client: Northbound) -> bool:
    try:
        client.lock()
    except LockLost:
        return False
    return True


def test_a_server_that_does_not_answer_is_told(server: NorthboundServer, holder: Northbound) -> None:
    with Northbound.connect(server.remote) as thief:
        server.freeze()
        try:
            with pytest.raises(NorthboundUnavailable):
                thief.lock(steal=True)
        finally:
            server.thaw()
