"""The reconcile loop before Kubernetes has been listed: it connects, but takes and writes nothing."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from ovnqos import Northbound
from ovnqos.controller import DatabaseChange, NorthboundUnavailable
from ovnqos.kubernetes import Clock
from ovnqosd.loop.inbox import Inbox
from ovnqosd.status.policy_outcome import Reason
from tests.functional.support_reconciler import KINDS, PATIENCE_S, PODS, POLICY, Daemon, changes_of, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovnqos import OvnQosError
    from ovnqos.kubernetes import Changes
    from ovnqos.sandbox import NorthboundServer
    from ovnqosd.loop.inbox import Work


class Connections:
    """Counts the connections that a daemon opens."""

    def __init__(self) -> None:
        self._opened = 0
        self._changed = threading.Condition()

    def __call__(self, northbound: Northbound) -> Northbound:
        with self._changed:
            self._opened += 1
            self._changed.notify_all()
        return northbound

    def count(self) -> int:
        with self._changed:
            return self._opened

    def wait(self) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self._opened, PATIENCE_S)


@pytest.fixture
def connections() -> Connections:
    return Connections()


@pytest.fixture
def daemon(wired: NorthboundServer, connections: Connections) -> Iterator[Daemon]:
    started = Daemon(wired.remote, wrap=connections)
    yield started
    started.stop()


def test_the_northbound_is_read_while_kubernetes_is_listed_and_the_lock_is_left_alone(
    daemon: Daemon, connections: Connections, wired: NorthboundServer
) -> None:
    connections.wait()
    with Northbound.connect(wired.remote) as other:
        other.lock()
    daemon.tell(*PODS)
    daemon.inbox.synced("Pod")
    wired.nbctl("ls-add", "other")  # heard, but no reason to do anything
    daemon.sync(*PODS, POLICY)
    assert connections.count() == 1
    assert len(rows_of(wired)) == 1
    assert [one.trigger for one in daemon.outcomes if one.transactions] == ["full"]


def test_who_may_not_write_does_not_connect(wired: NorthboundServer, connections: Connections) -> None:
    elected = threading.Event()
    daemon = Daemon(wired.remote, wrap=connections, may_write=elected.is_set)
    try:
        daemon.tell(*PODS)
        assert daemon.reconciler.pause(PATIENCE_S)  # the loop has seen all of that
        assert connections.count() == 0
        elected.set()
        daemon.reconciler.elected(silent_predecessor=False)
        connections.wait()
        elected.clear()
        assert daemon.reconciler.pause(PATIENCE_S)
        elected.set()
        daemon.reconciler.elected(silent_predecessor=False)
        daemon.sync(*PODS, POLICY)
        assert connections.count() == 2
    finally:
        daemon.stop()


def test_a_northbound_out_of_reach_is_noticed_before_kubernetes_has_been_listed(wired: NorthboundServer) -> None:
    wired.stop()
    errors: list[OvnQosError] = []
    failed = threading.Event()

    def note(error: OvnQosError) -> None:
        errors.append(error)
        failed.set()

    daemon = Daemon(wired.remote, on_failure=note)
    try:
        assert failed.wait(PATIENCE_S)
        assert isinstance(errors[0], NorthboundUnavailable)
        assert daemon.outcomes == []
        daemon.tell(*PODS, POLICY)
        for kind in KINDS:
            daemon.inbox.synced(kind)
        told = daemon.wait(lambda one: bool(one.error))
        assert told.policies["shop/gold"].reason is Reason.NORTHBOUND_UNAVAILABLE
        wired.start()
        told = daemon.wait(lambda one: not one.error and "shop/gold" in one.policies)
        assert told.policies["shop/gold"].reason is Reason.SUCCESS
    finally:
        daemon.stop()


class RacingInbox(Inbox):
    """Delivers everything, and that it is everything, just after the loop has taken what was there."""

    def __init__(self) -> None:
        super().__init__(Clock())
        self.late: list[Changes] = []

    def take(self, timeout: float | None) -> Work:
        work = super().take(timeout)
        late, self.late = self.late, []
        for changes in late:
            self.changed(changes)
        for kind in KINDS if late else ():
            self.synced(kind)
        return work


def test_what_is_delivered_while_a_pass_begins_is_not_taken_for_absent(wired: NorthboundServer) -> None:
    first = Daemon(wired.remote)
    first.sync(*PODS, POLICY)
    first.stop()
    before = wired.nbctl("--bare", "--columns=_uuid", "list", "QoS")
    inbox = RacingInbox()
    inbox.late = [changes_of(one) for one in (*PODS, POLICY)]
    second = Daemon(wired.remote, inbox=inbox)
    try:
        inbox.database_changed(DatabaseChange(ports={"shop_web"}))  # wakes the loop
        told = second.wait(lambda one: one.trigger == "full" and "shop/gold" in one.policies)
        assert told.policies["shop/gold"].reason is Reason.SUCCESS
        assert [one.changes for one in second.outcomes if one.changes] == []
        assert wired.nbctl("--bare", "--columns=_uuid", "list", "QoS") == before
    finally:
        second.stop()
