"""What is wrong with one object costs no other: names that no database takes, sets of others, errors of our own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ovnqos import Code, OvnKubernetesTopology
from ovnqosd.loop import comparison
from ovnqosd.status.policy_outcome import Reason
from tests.functional.support_reconciler import PODS, Daemon, rows_of
from tests.support.cluster import attachment, labels, pod, policy, rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ovnqos import Pod
    from ovnqos.controller import PodInterface
    from ovnqos.sandbox import NorthboundServer

GOLD = policy(rule(20), pods=labels(app="web"))
ODD = policy(rule(7), name="odd", priority=50, pods=labels(app="odd"))
NAMES = {"NUL": "bl\x00ue", "surrogate": "bl\ud800ue", "newline": "bl\nue", "ESC": "bl\x1b[31mue"}


class FailingTopology(OvnKubernetesTopology):
    """Has a fault that one pod trips."""

    def interfaces(self, pod: Pod) -> tuple[PodInterface, ...]:
        if pod.name == "odd":
            raise KeyError(pod.name)
        return super().interfaces(pod)


@pytest.fixture
def start(wired: NorthboundServer) -> Iterator[Callable[..., Daemon]]:
    started: list[Daemon] = []

    def one(**options: Any) -> Daemon:
        started.append(Daemon(wired.remote, **options))
        return started[-1]

    yield one
    for daemon in started:
        daemon.stop()


def is_in_force(daemon: Daemon, server: NorthboundServer) -> bool:
    told = daemon.wait(lambda one: "shop/gold" in one.policies and not one.error)
    return told.policies["shop/gold"].reason is Reason.SUCCESS and any("dscp=20" in row for row in rows_of(server))


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
@pytest.mark.parametrize("place", ["network", "attachment"])
def test_a_name_that_no_database_takes_stops_no_other_policy(
    start: Callable[..., Daemon], wired: NorthboundServer, name: str, place: str
) -> None:
    """The parser refuses such a network; here is what follows if it did not."""
    daemon, key = start(), "shop/blue" if place == "network" else f"shop/{name}"
    odd = pod("odd", networks={key: ["10.9.0.7"]}, labels={"app": "odd"})
    network = attachment("shop/blue", "10.9.0.0/16", network=name if place == "network" else "blue")
    daemon.sync(network, odd, ODD, *PODS, GOLD)
    assert is_in_force(daemon, wired)
    assert all(not one.error for one in daemon.outcomes)


def test_a_set_that_belongs_to_another_owner_stops_no_other_policy(
    start: Callable[..., Daemon], wired: NorthboundServer
) -> None:
    first = start()
    first.sync(*PODS, ODD, pod("odd", "10.0.0.7", labels={"app": "odd"}))
    first.stop()
    (name,) = wired.nbctl("--bare", "--columns=name", "list", "Port_Group").split()
    wired.nbctl("qos-del", "node1", "--", "set", "Port_Group", name, "external_ids:ovnqos.io/owner=other")
    daemon = start()
    daemon.sync(*PODS, GOLD, ODD, pod("odd", "10.0.0.7", labels={"app": "odd"}))
    assert is_in_force(daemon, wired)
    odd = daemon.wait(lambda one: "shop/odd" in one.policies).policies["shop/odd"]
    assert odd.reason is Reason.NORTHBOUND_UNAVAILABLE
    assert name in odd.message
    daemon.forget_outcomes()
    daemon.tell(replace(ODD, priority=51))  # without the set, which another pass did not look at
    told = daemon.wait(lambda one: "shop/odd" in one.policies)
    assert told.policies["shop/odd"].reason is Reason.NORTHBOUND_UNAVAILABLE
    assert not any("dscp=7" in row for row in rows_of(wired))
    wired.nbctl("destroy", "Port_Group", name)
    daemon.wait(lambda one: "row_insert" in one.changes)
    assert any("dscp=7" in row for row in rows_of(wired))


def test_an_error_in_reading_one_pod_loses_no_other_object(
    start: Callable[..., Daemon], wired: NorthboundServer
) -> None:
    daemon = start(topology=FailingTopology())
    daemon.sync(pod("odd", "10.0.0.7", labels={"app": "odd"}), *PODS, GOLD)
    assert is_in_force(daemon, wired)
    reports = [one for outcome in daemon.outcomes for one in outcome.reports]
    assert {(one.object.key, each.code) for one in reports for each in one.diagnostics} == {
        ("shop/odd", Code.COMPILE_FAILED)
    }


def test_an_error_in_the_search_for_shadowed_limits_stops_nothing(
    start: Callable[..., Daemon], wired: NorthboundServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr(comparison, "find_shadowed_limits", fail)
    daemon = start()
    daemon.sync(*PODS, GOLD)
    assert is_in_force(daemon, wired)
    assert daemon.reconciler.in_sync
