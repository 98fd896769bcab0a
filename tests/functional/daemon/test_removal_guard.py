"""The daemon's guard on a real Northbound: limits do not end because objects are missing that nobody deleted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from ovnqos import Bandwidth, Code, InvalidObject, ObjectRef, OvnKubernetesTopology
from ovnqos.controller import EndedLimitsMaximum
from ovnqos.kubernetes import Changes, Emptied, ObservedObject
from ovnqos.model.policy import PodPeer, PortMatch, Protocol
from ovnqos.model.workloads import PodQos
from ovnqosd.status.policy_outcome import Reason
from tests.functional.support_reconciler import Daemon, metadata
from tests.support.cluster import attachment, labels, namespace, pod, policy, rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ovnqos.sandbox import NorthboundServer

BLUE = attachment("shop/blue", "10.1.0.0/16")
NUMBERS = range(1, 11)
PODS = [
    pod(f"p{number}", f"10.0.0.{number}", networks={"shop/blue": [f"10.1.0.{number}"]}, labels={"app": "web"})
    for number in NUMBERS
]
POLICY = policy(rule(5, rate=1000, ports=(PortMatch(protocol=Protocol.TCP),)), pods=labels(app="web"))
ARE_THERE = "pods would lose them at once that are still there"
DEFAULT_ROW, BLUE_ROW = "NetworkQoS/shop/gold/0/default", "NetworkQoS/shop/gold/0/blue"


@pytest.fixture
def server(northbound: NorthboundServer) -> NorthboundServer:
    """A Northbound with two switches and the ports of ten pods on each."""
    for switch, prefix in (("node1", "shop_"), ("blue_node1", "shop.blue_shop_")):
        northbound.nbctl("ls-add", switch)
        for number in NUMBERS:
            northbound.nbctl("lsp-add", switch, f"{prefix}p{number}")
    return northbound


@pytest.fixture
def start(server: NorthboundServer) -> Iterator[Callable[..., Daemon]]:
    started: list[Daemon] = []

    def one(**options: Any) -> Daemon:
        started.append(Daemon(server.remote, **options))
        return started[-1]

    yield one
    for daemon in started:
        daemon.stop()


def synced(daemon: Daemon, *objects: Any) -> Daemon:
    daemon.sync(BLUE, *PODS, POLICY, *objects)
    daemon.forget_outcomes()
    return daemon


def gone(daemon: Daemon, *objects: Any, listed: bool = True, emptied: Emptied | None = None) -> None:
    for kind in sorted({type(one).__name__ for one in objects}):
        keys = [getattr(one, "key", one.name) for one in objects if type(one).__name__ == kind]
        daemon.inbox.changed(Changes(kind=kind, deleted=tuple(keys), listed=listed, emptied=emptied))


def rows(server: NorthboundServer) -> set[str]:
    found = server.nbctl("--bare", "--columns=external_ids", "list", "QoS")
    return {word.partition("=")[2] for word in found.split() if word.startswith("ovnqos.io/id=")}


def members(server: NorthboundServer) -> int:
    return sum(
        len(line.split()) for line in server.nbctl("--bare", "--columns=ports", "list", "Port_Group").split("\n")
    )


def uuids(server: NorthboundServer) -> list[str]:
    return sorted(server.nbctl("--bare", "--columns=_uuid", "list", "QoS").split())


def test_a_resource_that_vanishes_ends_no_limit_and_comes_back(
    start: Callable[..., Daemon], server: NorthboundServer
) -> None:
    with capture_logs() as logs:
        daemon = synced(start())
        before = uuids(server)
        gone(daemon, BLUE)
        told = daemon.wait(lambda one: one.removals_held > 0)
        assert told.removals_held == 10
        assert told.policies["shop/gold"].reason is Reason.REMOVAL_HELD
        assert [one.code for one in told.policies["shop/gold"].causes] == [Code.REMOVAL_HELD]
        assert rows(server) == {DEFAULT_ROW, BLUE_ROW}
        assert members(server) == 20
        daemon.forget_outcomes()
        daemon.tell(BLUE)
        told = daemon.wait(lambda one: one.trigger == "full" and not one.removals_held)
        assert told.policies["shop/gold"].reason is Reason.SUCCESS
        assert uuids(server) == before
        assert not told.drift
    said = [line["event"] for line in logs if "held" in line["event"]]
    assert said == ["removals held: objects are missing that nobody deleted", "removals no longer held"]
    (line,) = [one for one in logs if one["event"] == said[0]]
    assert (line["limits"], line["of"], line["objects"]) == (10, 20, "NetworkQoS/shop/gold")


@pytest.mark.parametrize(
    "missing", [(BLUE, *PODS, POLICY), tuple(PODS), (POLICY,)], ids=["everything", "pods", "the policy"]
)
def test_at_the_start_the_northbound_is_the_witness(
    start: Callable[..., Daemon], server: NorthboundServer, missing: tuple[Any, ...]
) -> None:
    synced(start()).stop()
    before = uuids(server)
    daemon = start()
    everything: list[Any] = [BLUE, *PODS, POLICY]
    daemon.sync(*(one for one in everything if one not in missing))
    assert daemon.wait(lambda one: one.removals_held > 0).removals_held == 20
    assert uuids(server) == before
    assert members(server) == 20


def test_a_start_without_any_policy_ends_no_limit_and_tells_it_until_they_are_back(
    start: Callable[..., Daemon], server: NorthboundServer
) -> None:
    few = PODS[:2]
    first = start()
    first.sync(BLUE, *few, POLICY)
    before = uuids(server)
    first.stop()
    second = start()
    second.sync(BLUE, *few)
    told = second.wait(lambda one: one.trigger == "full")
    assert (told.removals_held, uuids(server)) == (4, before)
    second.forget_outcomes()
    second.tell(POLICY)
    told = second.wait(lambda one: "shop/gold" in one.policies and not one.removals_held)
    assert told.policies["shop/gold"].reason is Reason.SUCCESS
    assert uuids(server) == before


def test_what_held_at_the_start_is_released_by_a_larger_maximum(
    start: Callable[..., Daemon], server: NorthboundServer
) -> None:
    synced(start()).stop()
    daemon = start(max_deletes=EndedLimitsMaximum(share=1.0))
    daemon.sync(*PODS, POLICY)
    assert rows(server) == {DEFAULT_ROW}


def test_an_invalid_definition_after_a_restart_ends_no_limit(
    start: Callable[..., Daemon], server: NorthboundServer
) -> None:
    synced(start()).stop()
    before = uuids(server)
    daemon = start(max_deletes=EndedLimitsMaximum(share=1.0))
    invalid = InvalidObject(ObjectRef(kind="NetworkAttachmentDefinition", namespace="shop", name="blue"), [])
    seen = ObservedObject(metadata=metadata(BLUE), object=invalid)
    daemon.inbox.changed(Changes(kind="NetworkAttachmentDefinition", updated=(seen,)))
    daemon.sync(*PODS, POLICY)
    assert uuids(server) == before
    assert members(server) == 20


def test_what_is_deleted_goes_at_once_and_without_a_comparison_of_everything(
    start: Callable[..., Daemon], server: NorthboundServer
) -> None:
    daemon = synced(start())
    gone(daemon, *PODS[:5], listed=False)
    assert daemon.wait(lambda one: bool(one.changes)).trigger == "change"
    assert members(server) == 10
    gone(daemon, POLICY, listed=False)
    daemon.wait(lambda one: "row_delete" in one.changes)
    assert rows(server) == set()
    assert {one.trigger for one in daemon.outcomes} == {"change"}


def test_a_policy_that_is_changed_loses_what_it_does_not_ask_for(
    start: Callable[..., Daemon], server: NorthboundServer
) -> None:
    daemon = synced(start())
    daemon.tell(replace(POLICY, pod_selector=labels(app="none")))
    daemon.wait(lambda one: "row_delete" in one.changes)
    assert rows(server) == set()


def test_pods_that_are_relabelled_all_at_once_keep_their_limits_and_new_ones_get_theirs(
    start: Callable[..., Daemon], server: NorthboundServer
) -> None:
    daemon = synced(start())
    relabelled = [replace(one, labels={"app": "lost"}) for one in PODS[:7]]
    daemon.inbox.changed(
        Changes(kind="Pod", updated=tuple(ObservedObject(metadata=metadata(one), object=one) for one in relabelled))
    )
    told = daemon.wait(lambda one: one.removals_held > 0)
    assert ARE_THERE in told.policies["shop/gold"].message
    assert members(server) == 20
    server.nbctl("lsp-add", "node1", "shop_new")
    daemon.forget_outcomes()
    daemon.tell(pod("new", "10.0.0.99", labels={"app": "web"}))
    daemon.wait(lambda one: "set_update" in one.changes)
    assert members(server) == 21
    gone(daemon, PODS[9], listed=False)  # seen to be deleted, so its limits end although others are held
    daemon.wait(lambda one: one.trigger == "change" and "set_update" in one.changes and members(server) == 19)


@pytest.mark.parametrize("number", [7, 10], ids=["some", "all"])
def test_labels_that_changed_while_no_daemon_ran_are_not_said_to_be_missing_objects(
    start: Callable[..., Daemon], server: NorthboundServer, number: int
) -> None:
    synced(start()).stop()
    before = uuids(server)
    relabelled = [replace(one, labels={"app": "lost"}) for one in PODS[:number]]
    with capture_logs() as logs:
        daemon = start()
        daemon.sync(BLUE, *relabelled, *PODS[number:], POLICY)
        told = daemon.wait(lambda one: one.removals_held > 0)
    assert told.removals_held == 2 * number
    assert ARE_THERE in told.policies["shop/gold"].message
    assert (uuids(server), members(server)) == (before, 20)
    assert [one["event"] for one in logs if "held" in one["event"]] == [
        "removals held: many pods would lose limits that are still there"
    ]


def test_one_pod_that_is_relabelled_costs_no_comparison_of_everything(
    start: Callable[..., Daemon], server: NorthboundServer
) -> None:
    many = [pod(f"m{number}", f"10.0.7.{number}", labels={"app": "web"}) for number in range(250)]
    server.nbctl(*(word for one in many for word in ("--", "lsp-add", "node1", f"shop_{one.name}")))
    daemon = synced(start(), *many)
    daemon.tell(replace(PODS[0], labels={"app": "lost"}))
    assert daemon.wait(lambda one: bool(one.changes)).trigger == "change"
    assert daemon.outcomes[-1].removals_held == 0


def test_few_limits_are_not_held_where_a_list_lacks_some_objects(
    start: Callable[..., Daemon], server: NorthboundServer
) -> None:
    daemon = start()
    daemon.sync(BLUE, attachment("shop/red", "10.2.0.0/16"), *PODS[:4], POLICY)
    gone(daemon, BLUE)
    daemon.wait(lambda one: "row_delete" in one.changes)
    assert rows(server) == {DEFAULT_ROW}


@pytest.mark.parametrize("why", Emptied)
@pytest.mark.parametrize("limited", [4, 10], ids=["fewer than ten limits", "a small share of all"])
def test_what_goes_with_its_whole_kind_is_held_however_few_limits_it_ends(
    start: Callable[..., Daemon], server: NorthboundServer, limited: int, why: Emptied
) -> None:
    attached = PODS[: limited // 4 + 1]
    names = [one.name for one in PODS[len(attached) : limited]]
    plain = [pod(name, f"10.0.0.{name[1:]}", labels={"app": "web"}) for name in names]
    daemon = start()
    daemon.sync(BLUE, *attached, *plain, POLICY)
    before, wired = uuids(server), members(server)
    daemon.forget_outcomes()
    gone(daemon, BLUE, emptied=why)
    assert daemon.wait(lambda one: one.removals_held > 0).removals_held == len(attached)
    assert daemon.wait(lambda one: bool(one.policies)).policies["shop/gold"].reason is Reason.REMOVAL_HELD
    assert (uuids(server), members(server)) == (before, wired)
    daemon.forget_outcomes()
    daemon.tell(BLUE)
    told = daemon.wait(lambda one: one.trigger == "full" and not one.removals_held)
    assert told.policies["shop/gold"].reason is Reason.SUCCESS
    assert (uuids(server), members(server)) == (before, wired)


def test_drift_is_repaired_while_removals_are_held_and_what_is_held_outlives_a_full_pass(
    start: Callable[..., Daemon], server: NorthboundServer
) -> None:
    daemon = synced(start(full_pass_seconds=1.0))
    gone(daemon, BLUE)
    daemon.wait(lambda one: one.removals_held > 0)
    for row in uuids(server):
        server.nbctl("set", "QoS", row, "bandwidth:rate=7")
    daemon.wait(lambda one: bool(one.drift))
    daemon.forget_outcomes()
    assert daemon.wait(lambda one: one.trigger == "full").removals_held == 10
    assert rows(server) == {DEFAULT_ROW, BLUE_ROW}
    assert members(server) == 20
    server.nbctl("lsp-del", "shop.blue_shop_p1")  # its group is dirty, and not desired any more
    daemon.forget_outcomes()
    daemon.wait(lambda one: one.removals_held == 9)
    assert members(server) == 19


def test_a_pods_own_limit_is_held_and_told_of_it(start: Callable[..., Daemon], server: NorthboundServer) -> None:
    qos = PodQos(egress=Bandwidth(rate_kbps=1000))
    limited = [replace(one, qos=qos) for one in PODS]
    daemon = start()
    daemon.sync(BLUE, *limited)
    before = uuids(server)
    assert len(before) == 10
    plain = tuple(ObservedObject(metadata=metadata(one), object=one) for one in PODS)
    daemon.inbox.changed(Changes(kind="Pod", updated=plain))
    told = daemon.wait(lambda one: one.removals_held > 0)
    assert {one.object.key for one in told.reports} == {f"shop/p{number}" for number in NUMBERS}
    assert {one.code for report in told.reports for one in report.diagnostics} == {Code.REMOVAL_HELD}
    assert uuids(server) == before


def test_a_namespace_without_its_label_empties_no_set(start: Callable[..., Daemon], server: NorthboundServer) -> None:
    to_team = policy(
        rule(9, rate=10, destinations=(PodPeer(namespace_selector=labels(team="x")),)),
        name="team",
        priority=50,
        pods=labels(app="web"),
    )
    daemon = start()
    daemon.sync(BLUE, namespace("shop", team="x"), *PODS, to_team)
    sizes = server.nbctl("--bare", "--columns=addresses", "list", "Address_Set").split()
    assert len(sizes) == 20
    daemon.forget_outcomes()
    daemon.tell(namespace("shop"))
    assert daemon.wait(lambda one: one.removals_held > 0).removals_held == 20
    assert server.nbctl("--bare", "--columns=addresses", "list", "Address_Set").split() == sizes


def test_pods_that_were_replaced_while_no_daemon_ran_hold_nothing_back(
    start: Callable[..., Daemon], server: NorthboundServer
) -> None:
    to_web = policy(rule(9, destinations=(PodPeer(pod_selector=labels(app="web")),)), pods=labels(app="web"))
    first = start()
    first.sync(BLUE, *PODS, to_web)
    first.stop()
    for number in NUMBERS:
        server.nbctl("lsp-del", f"shop_p{number}", "--", "lsp-del", f"shop.blue_shop_p{number}")
    server.nbctl("lsp-add", "node1", "shop_n1", "--", "lsp-set-addresses", "shop_n1", "0a:00:00:00:00:01 10.0.9.1")
    second = start()
    second.sync(BLUE, pod("n1", "10.0.9.1", labels={"app": "web"}), to_web)
    assert second.outcomes[-1].removals_held == 0
    assert rows(server) == {DEFAULT_ROW}
    assert server.nbctl("--bare", "--columns=addresses", "list", "Address_Set").split() == ["10.0.9.1"]


def test_in_a_zone_pods_of_other_zones_may_be_replaced_but_not_vanish(
    start: Callable[..., Daemon], server: NorthboundServer
) -> None:
    """Their ports are in other Northbounds, so that there is no witness of them here."""
    to_db = policy(rule(9, rate=10, destinations=(PodPeer(pod_selector=labels(app="db")),)), pods=labels(app="web"))
    away = [pod(f"d{number}", f"10.0.5.{number}", node="node2", labels={"app": "db"}) for number in range(4)]
    daemon = start(topology=OvnKubernetesTopology(zone_nodes=["node1"]))
    daemon.sync(*PODS, *away, to_db)
    daemon.forget_outcomes()
    new = [pod(f"e{number}", f"10.0.6.{number}", node="node2", labels={"app": "db"}) for number in range(4)]
    seen = tuple(ObservedObject(metadata=metadata(one), object=one) for one in new)
    daemon.inbox.changed(Changes(kind="Pod", updated=seen, deleted=tuple(one.key for one in away), listed=True))
    daemon.wait(lambda one: one.trigger == "full" and "set_update" in one.changes and not one.removals_held)
    sets = server.nbctl("--bare", "--columns=addresses", "list", "Address_Set")
    assert "10.0.6.3" in sets
    assert "10.0.5." not in sets
    gone(daemon, *new)
    daemon.wait(lambda one: one.removals_held == 10)
    assert server.nbctl("--bare", "--columns=addresses", "list", "Address_Set") == sets
