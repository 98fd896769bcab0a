"""The periodic comparison of everything: in parts, between which the reconcile loop takes what happens meanwhile."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from ovnqos.kubernetes import Clock
from ovnqosd.loop import resync
from ovnqosd.loop.inbox import Inbox
from ovnqosd.loop.outcomes import DriftKind, Trigger
from tests.functional.support_reconciler import PODS, POLICY, Daemon, rows_of
from tests.support.cluster import pod

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ovnqos.controller import DatabaseChange
    from ovnqos.sandbox import NorthboundServer

PATIENCE_S = 10.0
SECONDS = 0.5


class DeafInbox(Inbox):
    """Is never told of the database."""

    def database_changed(self, change: DatabaseChange) -> None:
        """Leave it out."""


@pytest.fixture
def start(wired: NorthboundServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[float], Daemon]]:
    started: list[Daemon] = []
    monkeypatch.setattr(resync, "_PART", 1)

    def start_one(seconds: float) -> Daemon:
        daemon = Daemon(wired.remote, inbox=DeafInbox(Clock()), full_pass_seconds=seconds)
        started.append(daemon)
        daemon.sync(*PODS, POLICY)
        daemon.forget_outcomes()
        return daemon

    yield start_one
    for one in started:
        one.stop()


def group(server: NorthboundServer) -> str:
    return server.nbctl("--bare", "--columns=name", "list", "Port_Group").strip()


@pytest.mark.parametrize(
    ("edit", "drift"),
    [
        (("set", "QoS", ".", "priority=7"), DriftKind.ROW_EDITED),
        (("qos-del", "node1", "--", "qos-del", "node2"), DriftKind.ROW_DELETED),
        (("clear", "Port_Group", "{group}", "ports"), DriftKind.SET_EDITED),
    ],
)
def test_what_no_event_told_is_repaired_and_is_drift(
    start: Callable[[float], Daemon], wired: NorthboundServer, edit: tuple[str, ...], drift: DriftKind
) -> None:
    daemon = start(SECONDS)
    before = rows_of(wired)
    uuid = wired.nbctl("--bare", "--columns=_uuid", "list", "QoS").strip()
    wired.nbctl(*(uuid if word == "." else word.format(group=group(wired)) for word in edit))

    outcome = daemon.wait(lambda one: bool(one.drift))

    assert [one.kind for one in outcome.drift] == [drift]
    assert rows_of(wired) == before
    assert "shop_web" in wired.nbctl("--bare", "--columns=name", "find", "Logical_Switch_Port", "name=shop_web")
    assert wired.nbctl("--bare", "--columns=ports", "list", "Port_Group").strip()
    daemon.wait(lambda one: one.trigger is Trigger.FULL)


def test_a_row_and_a_set_of_the_owner_that_nothing_desires_go(
    start: Callable[[float], Daemon], wired: NorthboundServer
) -> None:
    daemon = start(SECONDS)
    ids = ("external_ids:ovnqos.io/owner=ovnqos", "external_ids:ovnqos.io/id=stray")
    wired.nbctl("create", "Address_Set", "name=stray", *ids)
    row = ("create", "QoS", "priority=11", "direction=to-lport", "match=ip4", "action:dscp=1", *ids)
    wired.nbctl("--id=@row", *row, "--", "add", "Logical_Switch", "node1", "qos_rules", "@row")

    daemon.wait(lambda one: any(drift.kind is DriftKind.SET_EXTRA for drift in one.drift))

    assert len(rows_of(wired)) == 1
    assert not wired.nbctl("--bare", "--columns=name", "find", "Address_Set", "name=stray").strip()


def test_what_is_told_meanwhile_is_written_before_the_next_part(
    start: Callable[[float], Daemon], wired: NorthboundServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_go_on = threading.Event(), threading.Event()
    next_part = resync.Resync.next_part

    def held_next_part(self: resync.Resync) -> DatabaseChange | None:
        begun.set()
        assert may_go_on.wait(PATIENCE_S)
        return next_part(self)

    monkeypatch.setattr(resync.Resync, "next_part", held_next_part)
    daemon = start(SECONDS)
    wired.nbctl("lsp-add", "node1", "shop_new")
    assert begun.wait(PATIENCE_S)
    daemon.tell(pod("new", "10.0.0.3", labels={"app": "web"}))
    may_go_on.set()
    daemon.wait(lambda one: one.trigger is Trigger.FULL)

    first = daemon.outcomes[0]
    assert first.trigger is Trigger.CHANGE
    assert first.changes == {"set_update": 1}


def test_changes_without_end_do_not_keep_it_from_its_end(start: Callable[[float], Daemon]) -> None:
    daemon = start(SECONDS)
    stop = threading.Event()

    def change_without_end() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            daemon.tell(pod("web", f"10.0.1.{number % 250}", labels={"app": "web"}))
            stop.wait(0.0005)

    thread = threading.Thread(target=change_without_end)
    thread.start()
    try:
        daemon.wait(lambda one: one.trigger is Trigger.FULL)
    finally:
        stop.set()
        thread.join()
