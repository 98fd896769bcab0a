"""A pod whose networks cannot be read when the daemon starts: it stays in the groups, sets and rows that it was in."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ovnqos import BandwidthScope, PodPeer
from ovnqos.kubernetes import Changes
from ovnqosd.status.policy_outcome import Reason
from tests.functional.support_reconciler import PODS, POLICY, Daemon
from tests.support.cluster import POD_NETWORKS, labels, policy, rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ovnqos import NetworkQoS
    from ovnqos.sandbox import NorthboundServer

WEB, DB = PODS
BROKEN = replace(DB, annotations={POD_NETWORKS: "{"})
OF_DB = policy(*POLICY.rules, pods=labels(app="db"))
TO_DB = policy(rule(9, destinations=[PodPeer(pod_selector=labels(app="db"))]), pods=labels(app="web"))


@pytest.fixture
def restart(wired: NorthboundServer) -> Iterator[Callable[..., Daemon]]:
    """Write a policy's rows for both pods, then start another daemon with one that is unreadable."""
    wired.nbctl("lsp-set-addresses", "shop_db", "0a:58:0a:00:00:02 10.0.0.2")
    started: list[Daemon] = []

    def one(asked: NetworkQoS, *objects: object) -> Daemon:
        first = Daemon(wired.remote)
        first.sync(WEB, DB, asked)
        first.stop()
        started.append(Daemon(wired.remote, full_pass_seconds=1.0))
        started[-1].sync(WEB, BROKEN, *(objects or (asked,)))  # type: ignore[arg-type]
        return started[-1]

    yield one
    for daemon in started:
        daemon.stop()


def contents(server: NorthboundServer) -> dict[str, object]:
    found: dict[str, object] = {
        table: sorted(server.nbctl("--bare", f"--columns={columns}", "list", table).split("\n\n"))
        for table, columns in (
            ("QoS", "_uuid,match,priority"),
            ("Port_Group", "_uuid,name,ports"),
            ("Address_Set", "_uuid,name,addresses"),
        )
    }
    return found | {switch: sorted(server.nbctl("qos-list", switch).splitlines()) for switch in ("node1", "node2")}


@pytest.mark.parametrize(
    "asked",
    [POLICY, OF_DB, TO_DB, replace(OF_DB, bandwidth_scope=BandwidthScope.POD)],
    ids=["one of two sources", "the only source", "a destination", "a source with its own meter"],
)
def test_it_stays_until_it_is_deleted(
    restart: Callable[..., Daemon], wired: NorthboundServer, asked: NetworkQoS
) -> None:
    first = Daemon(wired.remote)
    first.sync(WEB, DB, asked)
    before = contents(wired)
    first.stop()
    daemon = restart(asked)
    assert daemon.outcomes[-1].changes == {}
    assert contents(wired) == before
    daemon.forget_outcomes()
    daemon.wait(lambda one: one.trigger == "full")  # as every 5 minutes
    assert contents(wired) == before
    daemon.forget_outcomes()
    daemon.inbox.changed(Changes(kind="Pod", deleted=(DB.key,)))
    daemon.wait(lambda one: bool(one.changes))
    assert contents(wired) != before


def test_what_another_writer_changes_of_it_is_repaired(restart: Callable[..., Daemon], wired: NorthboundServer) -> None:
    daemon = restart(POLICY)
    before = contents(wired)
    (row,) = wired.nbctl("--bare", "--columns=_uuid", "list", "QoS").split()
    (group,) = wired.nbctl("--bare", "--columns=_uuid", "list", "Port_Group").split()
    port = wired.nbctl("--bare", "--columns=_uuid", "list", "Logical_Switch_Port", "shop_db").strip()
    for edit in (
        ("remove", "Logical_Switch", "node2", "qos_rules", row),
        ("remove", "Port_Group", group, "ports", port),
    ):
        daemon.forget_outcomes()
        wired.nbctl(*edit)
        daemon.wait(lambda one: bool(one.drift))
        assert contents(wired) == before


def test_it_is_as_any_other_when_it_can_be_read_again(restart: Callable[..., Daemon], wired: NorthboundServer) -> None:
    daemon = restart(OF_DB)
    before = contents(wired)
    assert daemon.outcomes[-1].policies["shop/gold"].reason is Reason.NOTHING_SELECTED
    daemon.forget_outcomes()
    daemon.tell(DB)
    daemon.wait(lambda one: "shop/gold" in one.policies and one.policies["shop/gold"].reason is Reason.SUCCESS)
    assert contents(wired) == before


@pytest.mark.parametrize("change", [None, replace(OF_DB, pod_selector=labels(app="web"))], ids=["deleted", "changed"])
def test_its_rows_go_with_the_policy(
    restart: Callable[..., Daemon], wired: NorthboundServer, change: NetworkQoS | None
) -> None:
    daemon = restart(OF_DB)
    assert len(wired.nbctl("qos-list", "node2").splitlines()) == 1
    daemon.forget_outcomes()
    if change is None:
        daemon.inbox.changed(Changes(kind="NetworkQoS", deleted=(OF_DB.key,)))
    else:
        daemon.tell(change)
    daemon.wait(lambda one: bool(one.changes))
    assert wired.nbctl("qos-list", "node2").splitlines() == []


@pytest.mark.parametrize("others", [(), (TO_DB,)], ids=["deleted", "selects others"])
def test_a_policy_that_does_not_ask_for_it_any_more_when_the_daemon_starts_keeps_nothing(
    restart: Callable[..., Daemon], wired: NorthboundServer, others: tuple[NetworkQoS, ...]
) -> None:
    restart(OF_DB, policy(name="other", pods=labels(app="none")), *others)
    assert wired.nbctl("qos-list", "node2").splitlines() == []
