"""Who may write: the lock is taken, stolen once by an heir, and let go of by whoever is not elected any more."""

from __future__ import annotations

from typing import cast

import pytest
from structlog.testing import capture_logs

from ovnqos import DesiredState, LockLost, Northbound, Snapshot, plan_changes
from ovnqosd.loop.northbound_writer import NorthboundWriter
from ovnqosd.loop.outcomes import PassRecord


class Server:
    """A Northbound's lock, and who has it: nobody, a rival, or us."""

    def __init__(self, holder: str = "") -> None:
        self.holder = holder
        self.connections = 0

    def connect(self) -> Northbound:
        self.connections += 1
        return cast("Northbound", self)

    def lock(self, *, timeout_s: float = 0.0, steal: bool = False) -> None:
        if self.holder == "rival" and not steal:
            raise LockLost("another writer holds it")
        self.holder = "us"

    def close(self) -> None:
        if self.holder == "us":
            self.holder = ""


def test_a_lock_that_is_free_is_taken_on_one_connection() -> None:
    server = Server()
    writer = NorthboundWriter(server.connect, lambda: True)
    writer.take_lock()
    writer.take_lock()
    assert (server.holder, server.connections) == ("us", 1)
    writer.close()
    assert server.holder == ""


def test_a_lock_that_another_holds_is_left_to_it() -> None:
    server = Server("rival")
    writer = NorthboundWriter(server.connect, lambda: True)
    writer.elected(silent_predecessor=False)
    with pytest.raises(LockLost):
        writer.take_lock()
    assert server.holder == "rival"


def test_an_heir_of_a_silent_holder_steals_the_lock_once() -> None:
    server = Server("rival")
    writer = NorthboundWriter(server.connect, lambda: True)
    writer.elected(silent_predecessor=True)
    with capture_logs() as logs:
        writer.take_lock()
    assert server.holder == "us"
    assert [line["log_level"] for line in logs] == ["warning"]
    server.holder = "rival"
    with pytest.raises(LockLost):
        writer.take_lock()
    assert server.holder == "rival"


def test_an_heir_that_got_the_lock_without_a_theft_does_not_steal_later() -> None:
    server = Server()
    writer = NorthboundWriter(server.connect, lambda: True)
    writer.elected(silent_predecessor=True)
    writer.take_lock()
    server.holder = "rival"
    with pytest.raises(LockLost):
        writer.take_lock()


def test_an_heir_that_is_elected_anew_after_an_orderly_end_does_not_steal() -> None:
    server = Server("rival")
    writer = NorthboundWriter(server.connect, lambda: True)
    writer.elected(silent_predecessor=True)
    writer.elected(silent_predecessor=False)
    with pytest.raises(LockLost):
        writer.take_lock()


def test_who_is_not_elected_any_more_does_not_steal() -> None:
    server = Server("rival")
    writer = NorthboundWriter(server.connect, lambda: False)
    writer.elected(silent_predecessor=True)
    with pytest.raises(LockLost):
        writer.take_lock()
    assert server.holder == "rival"


def test_who_was_frozen_while_it_asked_for_the_lock_lets_go_of_it() -> None:
    """It may even have robbed the one that was elected meanwhile; nothing of it is written."""
    server = Server("rival")
    asked: list[bool] = []

    def may_write() -> bool:
        asked.append(server.holder == "us")
        return server.holder != "us"  # the time ran out between the question and the answer

    writer = NorthboundWriter(server.connect, may_write)
    writer.elected(silent_predecessor=True)
    with pytest.raises(LockLost):
        writer.take_lock()
    assert asked == [False, True]
    assert server.holder == ""


def test_nothing_to_write_asks_for_no_lock() -> None:
    server = Server("rival")
    writer = NorthboundWriter(server.connect, lambda: True)
    writer.apply(plan_changes(DesiredState.of(), Snapshot()), PassRecord())
    assert (server.holder, server.connections) == ("rival", 0)
