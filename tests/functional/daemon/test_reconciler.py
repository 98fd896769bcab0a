"""The daemon's reconcile loop on a real Northbound, told of Kubernetes objects by hand."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ovnqos import Bandwidth, Code, InvalidObject, Northbound, ObjectRef, Severity, TransactionRefused
from ovnqos.kubernetes import Changes, ObservedObject
from ovnqos.model.policy import PodPeer, PortMatch
from ovnqos.model.workloads import PodQos
from ovnqosd.loop.outcomes import AnnotationProblem, DriftKind, Trigger
from ovnqosd.status.events import events_of_report
from ovnqosd.status.policy_outcome import Reason
from tests.functional.support_reconciler import KINDS, PATIENCE_S, PODS, POLICY, Daemon, metadata, rows_of
from tests.support.cluster import labels, pod, policy, rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ovnqos import Plan
    from ovnqos.sandbox import NorthboundServer


@pytest.fixture
def daemon(wired: NorthboundServer) -> Iterator[Daemon]:
    started = Daemon(wired.remote)
    yield started
    started.stop()


@pytest.fixture
def synced(daemon: Daemon) -> Daemon:
    daemon.sync(*PODS, POLICY)
    daemon.forget_outcomes()
    return daemon


def row_uuid(northbound: NorthboundServer) -> str:
    return northbound.nbctl("--bare", "--columns=_uuid", "find", "QoS", "priority=10400").strip()


def test_nothing_is_written_before_all_kinds_are_known(daemon: Daemon, wired: NorthboundServer) -> None:
    daemon.tell(*PODS, POLICY)
    daemon.inbox.synced("Pod")
    assert rows_of(wired) == []
    daemon.inbox.synced("NetworkQoS")
    outcome = daemon.wait(lambda one: bool(one.policies))
    assert outcome.policies["shop/gold"].reason is Reason.SUCCESS
    assert len(rows_of(wired)) == 1


def test_a_pod_that_comes_joins_the_group_and_leaves_the_row(synced: Daemon, wired: NorthboundServer) -> None:
    before = row_uuid(wired)
    wired.nbctl("lsp-add", "node1", "shop_new")
    synced.tell(pod("new", "10.0.0.3", labels={"app": "web"}))
    outcome = synced.wait(lambda one: bool(one.changes))
    assert outcome.changes == {"set_update": 1}
    assert outcome.transactions == 1
    assert row_uuid(wired) == before


@pytest.mark.parametrize("trigger", [Trigger.CHANGE, Trigger.FULL])
def test_a_pass_names_the_objects_whose_sets_alone_it_changed(daemon: Daemon, trigger: Trigger) -> None:
    to_db = policy(rule(dscp=20, destinations=(PodPeer(pod_selector=labels(app="db")),)))
    daemon.sync(*PODS, to_db)
    daemon.forget_outcomes()
    if trigger is Trigger.FULL:
        daemon.inbox.ask_for_full_pass()
    daemon.tell(pod("db2", "10.0.0.9", node="node2", labels={"app": "db"}))
    told = daemon.wait(lambda one: bool(one.transactions))
    assert set(told.changes) == {"set_update"}
    assert told.objects == {"NetworkQoS/shop/gold"}


def test_of_a_row_whose_external_ids_were_wiped_one_remains(synced: Daemon, wired: NorthboundServer) -> None:
    (before,) = rows_of(wired)
    wired.nbctl("clear", "QoS", row_uuid(wired), "external_ids")
    told = synced.wait(lambda one: "row_delete" in one.changes)
    assert rows_of(wired) == [before]
    assert told.policy_counts[Reason.SUCCESS] == 1  # no conflict with itself


def test_a_row_whose_external_ids_were_wiped_goes_with_its_policy(daemon: Daemon, wired: NorthboundServer) -> None:
    first = Daemon(wired.remote)
    first.sync(*PODS, POLICY)
    first.stop()
    wired.nbctl("clear", "QoS", row_uuid(wired), "external_ids")
    daemon.sync(*PODS)
    assert rows_of(wired) == []


def test_limits_that_other_rows_hide_are_told_with_a_full_pass(daemon: Daemon) -> None:
    limit = Bandwidth(rate_kbps=10_000)
    server = replace(pod("server", "10.0.0.9"), qos=PodQos(ingress=limit))
    daemon.sync(
        replace(PODS[0], qos=PodQos(egress=limit)),
        server,
        policy(rule(1, rate=100), rule(2, ports=(PortMatch(port=80),))),
    )
    told = daemon.wait(lambda one: one.trigger == "full")
    assert Code.SHADOWED_LIMIT in {one.code for one in told.policies["shop/gold"].warnings}
    shadowed = [one for one in told.reports if Code.SHADOWED_LIMIT in {each.code for each in one.diagnostics}]
    assert [one.object.key for one in shadowed] == ["shop/web", "shop/gold"]


def test_a_port_that_appears_after_its_pod_is_picked_up(synced: Daemon, wired: NorthboundServer) -> None:
    synced.tell(pod("late", "10.0.0.3", node="node3"))
    synced.wait(lambda one: one.missing == 2)
    wired.nbctl("ls-add", "node3", "--", "lsp-add", "node3", "shop_late")
    synced.wait(lambda one: one.missing == 0 and not one.drift)
    assert len(rows_of(wired, "node3")) == 1


def test_a_pod_without_its_port_is_told_by_a_full_pass_and_until_the_port_appears(
    daemon: Daemon, wired: NorthboundServer
) -> None:
    limited = replace(pod("late", "10.0.0.3", labels={"app": "web"}), qos=PodQos(egress=Bandwidth(rate_kbps=9_000)))
    daemon.sync(*PODS, POLICY, limited)
    told = daemon.wait(lambda one: one.trigger == "full" and bool(one.policies)).policies["shop/gold"]
    assert told.reason is Reason.SUCCESS
    assert [one.code for one in told.warnings] == [Code.MISSING_PORT]
    assert "shop_late" in told.warnings[0].text
    reports = [report for outcome in daemon.outcomes for report in outcome.reports]
    events = {(one.key, one.reason) for report in reports for one in events_of_report(report)}
    assert events >= {("shop/gold", "MissingPort"), ("shop/late", "QosAnnotations")}
    assert daemon.wait(lambda one: bool(one.said)).said[Code.MISSING_PORT, Severity.WARNING] == 2
    daemon.forget_outcomes()
    wired.nbctl("lsp-add", "node1", "shop_late")
    told = daemon.wait(lambda one: "shop/gold" in one.policies).policies["shop/gold"]
    assert (told.reason, told.warnings) == (Reason.SUCCESS, ())
    daemon.wait(lambda one: not one.missing and not one.said[Code.MISSING_PORT, Severity.WARNING])


def test_where_the_northbound_has_no_port_of_any_pod_the_topology_is_in_question(
    daemon: Daemon, wired: NorthboundServer
) -> None:
    wired.nbctl("lsp-del", "shop_web", "--", "lsp-del", "shop_db", "--", "lsp-add", "node1", "web.shop")
    daemon.sync(*PODS, POLICY)
    told = daemon.wait(lambda one: one.trigger == "full" and bool(one.policies)).policies["shop/gold"]
    (found,) = [one for one in (*told.causes, *told.warnings) if one.code is Code.MISSING_PORT]
    assert "--topology" in found.hint


@pytest.mark.parametrize(
    ("break_it", "kind"),
    [
        (lambda row: ("set", "QoS", row, "bandwidth:rate=1"), DriftKind.ROW_EDITED),
        (lambda row: ("set", "QoS", row, "priority=5"), DriftKind.ROW_EDITED),
        (lambda row: ("remove", "Logical_Switch", "node1", "qos_rules", row), DriftKind.ROW_UNBOUND),
        (lambda row: ("qos-del", "node1", "--", "qos-del", "node2"), DriftKind.ROW_DELETED),
        (lambda row: ("clear", "Port_Group", "GROUP", "ports"), DriftKind.SET_EDITED),
        (lambda row: ("destroy", "Port_Group", "GROUP"), DriftKind.SET_DELETED),
        (lambda row: ("clear", "Port_Group", "GROUP", "external_ids"), DriftKind.SET_EDITED),
    ],
    ids=["rate", "priority", "binding", "row deleted", "members", "group deleted", "owner wiped"],
)
def test_what_is_broken_by_hand_is_repaired_and_told(
    synced: Daemon, wired: NorthboundServer, break_it: Callable[[str], tuple[str, ...]], kind: DriftKind
) -> None:
    good = content(wired)
    group = wired.nbctl("--bare", "--columns=name", "list", "Port_Group").strip()
    wired.nbctl(*(word.replace("GROUP", group) for word in break_it(row_uuid(wired))))
    outcome = synced.wait(lambda one: bool(one.drift))
    assert [one.kind for one in outcome.drift] == [kind]
    assert content(wired) == good


def test_a_duplicate_of_our_row_goes_and_foreign_rows_stay(synced: Daemon, wired: NorthboundServer) -> None:
    good = content(wired)
    ids = wired.nbctl("get", "QoS", row_uuid(wired), "external_ids").strip()
    columns = ("priority=10400", "direction=to-lport", "match=ip4", "action:dscp=1", f"external_ids={ids}")
    wired.nbctl("--id=@q", "create", "QoS", *columns, "--", "add", "Logical_Switch", "node2", "qos_rules", "@q")
    outcome = synced.wait(lambda one: bool(one.drift))
    assert DriftKind.ROW_EXTRA in {one.kind for one in outcome.drift}
    assert content(wired) == good
    wired.nbctl("qos-add", "node1", "to-lport", "77", "ip4", "dscp=9")
    synced.tell(replace(POLICY, priority=11))
    written = synced.wait(lambda one: "row_update" in one.changes)
    assert written.objects == {"NetworkQoS/shop/gold"}
    assert any(" 77 (ip4)" in line for line in rows_of(wired))


def test_an_invalid_version_keeps_the_rows_and_says_so(synced: Daemon, wired: NorthboundServer) -> None:
    good = content(wired)
    error = InvalidObject(ObjectRef(kind="NetworkQoS", namespace="shop", name="gold"), [])
    invalid = ObservedObject(metadata=metadata(POLICY, 2), object=error)
    synced.inbox.changed(Changes(kind="NetworkQoS", updated=(invalid,)))
    outcome = synced.wait(lambda one: bool(one.policies))
    assert outcome.policies["shop/gold"].reason is Reason.INVALID
    assert outcome.policies["shop/gold"].generation == 2
    assert content(wired) == good


def test_a_policy_that_is_gone_takes_its_rows_along(synced: Daemon, wired: NorthboundServer) -> None:
    synced.inbox.changed(Changes(kind="NetworkQoS", deleted=("shop/gold",)))
    synced.wait(lambda one: not sum(one.policy_counts.values()))
    assert rows_of(wired) == []
    assert wired.nbctl("--bare", "--columns=name", "list", "Port_Group").strip() == ""


def test_a_northbound_that_restarts_is_compared_as_a_whole(synced: Daemon, wired: NorthboundServer) -> None:
    wired.stop()
    synced.tell(replace(POLICY, priority=12))
    failed = synced.wait(lambda one: bool(one.error))
    assert failed.policies["shop/gold"].reason is Reason.NORTHBOUND_UNAVAILABLE
    wired.start()
    outcome = synced.wait(lambda one: not one.error and bool(one.policies))
    assert outcome.policies["shop/gold"].reason is Reason.SUCCESS
    assert "10480" in rows_of(wired)[0]


def test_a_restarted_daemon_writes_nothing(synced: Daemon, wired: NorthboundServer) -> None:
    good = content(wired)
    synced.stop()
    again = Daemon(wired.remote)
    try:
        again.sync(*PODS, POLICY)
        assert not any(one.transactions for one in again.outcomes)
    finally:
        again.stop()
    assert content(wired) == good


def test_of_two_daemons_one_writes_and_the_other_takes_over(synced: Daemon, wired: NorthboundServer) -> None:
    other = Daemon(wired.remote)
    try:
        other.tell(*PODS, replace(POLICY, priority=50))
        for kind in KINDS:
            other.inbox.synced(kind)
        held = other.wait(lambda one: bool(one.error))
        assert "lock" in held.error
        assert "10400" in rows_of(wired)[0]
        synced.stop()
        other.wait(lambda one: not one.error and bool(one.transactions))
        assert "12000" in rows_of(wired)[0]
    finally:
        other.stop()


def test_a_daemon_whose_lock_is_stolen_writes_nothing_until_it_is_free(synced: Daemon, wired: NorthboundServer) -> None:
    good = content(wired)
    with Northbound.connect(wired.remote) as thief:
        thief.lock(steal=True)
        synced.tell(replace(POLICY, priority=50))
        assert "lock" in synced.wait(lambda one: bool(one.error)).error
        assert content(wired) == good
    synced.wait(lambda one: not one.error and bool(one.transactions))
    assert "12000" in rows_of(wired)[0]


def test_an_heir_takes_the_lock_before_it_compares_so_that_the_one_before_writes_nothing_more(
    synced: Daemon, wired: NorthboundServer
) -> None:
    heir = Daemon(wired.remote)
    try:
        heir.reconciler.elected(silent_predecessor=True)
        heir.sync(*PODS, POLICY)  # nothing to write
        good = content(wired)
        synced.tell(replace(POLICY, priority=50))
        assert "lock" in synced.wait(lambda one: bool(one.error)).error
        assert content(wired) == good
    finally:
        heir.stop()


def test_who_is_not_elected_any_more_lets_go_and_tells_nothing(wired: NorthboundServer) -> None:
    elected = threading.Event()
    elected.set()
    daemon = Daemon(wired.remote, may_write=elected.is_set)
    try:
        daemon.sync(*PODS, POLICY)
        daemon.forget_outcomes()
        elected.clear()
        assert daemon.reconciler.pause(PATIENCE_S)
        with Northbound.connect(wired.remote) as successor:
            successor.lock()
        assert daemon.outcomes == []
        elected.set()
        daemon.reconciler.elected(silent_predecessor=False)
        daemon.wait(lambda one: one.trigger == "full" and not one.error)
    finally:
        daemon.stop()


class Picky:
    """A Northbound that refuses every transaction with a row of one priority."""

    refuses: str = "12000"

    def __init__(self, northbound: Northbound) -> None:
        self._northbound = northbound

    def __getattr__(self, name: str) -> Any:
        return getattr(self._northbound, name)

    def apply(self, plan: Plan) -> Any:
        if self.refuses and self.refuses in plan.as_nbctl():
            raise TransactionRefused("constraint violation: no such priority here")
        return self._northbound.apply(plan)


def test_what_the_server_refuses_of_one_policy_holds_up_no_other_and_is_tried_less_and_less(
    wired: NorthboundServer,
) -> None:
    made: list[Picky] = []

    def picky(northbound: Northbound) -> Picky:
        made.append(Picky(northbound))
        return made[-1]

    daemon = Daemon(wired.remote, wrap=picky)
    try:
        daemon.sync(*PODS, POLICY, replace(POLICY, name="odd", priority=50))
        outcome = daemon.wait(lambda one: "shop/odd" in one.policies)
        assert outcome.policies["shop/odd"].reason is Reason.NORTHBOUND_UNAVAILABLE
        assert "no such priority" in outcome.policies["shop/odd"].message
        assert outcome.policies["shop/gold"].reason is Reason.SUCCESS
        assert [line.split()[1] for line in rows_of(wired)] == ["10400"]
        daemon.wait(lambda one: len([each for each in daemon.outcomes if each.trigger == "full"]) > 3)
        assert not any(one.drift for one in daemon.outcomes)  # a row that was never written is not one that went
        daemon.forget_outcomes()
        daemon.tell(replace(POLICY, priority=12))
        daemon.wait(lambda one: "row_update" in one.changes)
        daemon.tell(replace(POLICY, name="odd", priority=50))
        daemon.wait(lambda one: "shop/odd" in one.policies)
        told = [one.policies["shop/odd"].reason for one in daemon.outcomes if "shop/odd" in one.policies]
        assert set(told) == {Reason.NORTHBOUND_UNAVAILABLE}
        assert not any(one.error for one in daemon.outcomes)
        made[-1].refuses = ""
        daemon.wait(lambda one: "shop/odd" in one.policies and one.policies["shop/odd"].reason is Reason.SUCCESS)
        assert sorted(line.split()[1] for line in rows_of(wired)) == ["10480", "12000"]
    finally:
        daemon.stop()


def test_a_row_of_somebody_else_that_meets_ours_is_told_until_it_goes(synced: Daemon, wired: NorthboundServer) -> None:
    wired.nbctl("qos-add", "node1", "to-lport", "10400", 'inport == "shop_web" && ip4', "dscp=9")
    outcome = synced.wait(lambda one: "shop/gold" in one.policies)
    assert outcome.policies["shop/gold"].reason is Reason.CONFLICT
    assert "10400" in outcome.policies["shop/gold"].message
    synced.forget_outcomes()
    wired.nbctl("qos-del", "node1", "to-lport", "10400", 'inport == "shop_web" && ip4')
    outcome = synced.wait(lambda one: "shop/gold" in one.policies)
    assert outcome.policies["shop/gold"].reason is Reason.SUCCESS


def test_a_row_of_somebody_else_that_meets_a_pods_own_is_told_of_the_pod(
    daemon: Daemon, wired: NorthboundServer
) -> None:
    wired.nbctl("qos-add", "node1", "from-lport", "5000", "ip4", "dscp=9")
    daemon.sync(replace(PODS[0], qos=PodQos(egress=Bandwidth(rate_kbps=10_000))), POLICY)
    told = daemon.wait(lambda one: one.trigger == "full")
    (report,) = (one for one in told.reports if one.diagnostics)
    assert (report.object.key, [one.code for one in report.diagnostics]) == ("shop/web", [Code.FOREIGN_CONFLICT])
    assert "5000" in report.diagnostics[0].text
    assert told.annotation_problems[AnnotationProblem.CONFLICT] == 1
    assert told.policies["shop/gold"].reason is Reason.SUCCESS


def test_ovn_kubernetes_own_controller_is_noticed(synced: Daemon, wired: NorthboundServer) -> None:
    ids = '{"k8s.ovn.org/owner-type"=NetworkQoS,"k8s.ovn.org/name"="shop:gold"}'
    columns = ("priority=10200", "direction=to-lport", "match=ip6", "action:dscp=1", f"external_ids={ids}")
    wired.nbctl("--id=@q", "create", "QoS", *columns, "--", "add", "Logical_Switch", "node2", "qos_rules", "@q")
    outcome = synced.wait(lambda one: "shop/gold" in one.policies)
    assert outcome.upstream_rows == 1
    assert outcome.policies["shop/gold"].reason is Reason.CONFLICT
    assert [one.code for one in outcome.policies["shop/gold"].causes] == [Code.SECOND_CONTROLLER]


def test_clean_up_leaves_only_what_others_have(synced: Daemon, wired: NorthboundServer) -> None:
    wired.nbctl("qos-add", "node1", "to-lport", "77", "ip4", "dscp=9")
    synced.stop()
    synced.reconciler.clean_up()
    assert [line.split()[1] for line in rows_of(wired)] == ["77"]


def content(northbound: NorthboundServer) -> list[str]:
    """Rows with their switches, and sets, but no uuids of rows."""
    groups = northbound.nbctl("--bare", "--columns=name,ports,external_ids", "list", "Port_Group").splitlines()
    return [*rows_of(northbound, "node1"), "-", *rows_of(northbound, "node2"), *groups]


def test_a_switch_that_comes_again_gets_back_what_keeps_neighbour_discovery_from_limits(
    daemon: Daemon, wired: NorthboundServer
) -> None:
    daemon.sync(pod("web", "10.0.0.1", "fd00::1", labels={"app": "web"}), policy(rule(dscp=20, rate=20_000)))
    before = sorted(rows_of(wired))
    assert [row for row in before if "icmp6" in row]
    daemon.forget_outcomes()
    wired.nbctl("ls-del", "node1")
    daemon.wait(lambda one: bool(one.policies))
    daemon.forget_outcomes()
    wired.nbctl("ls-add", "node1", "--", "lsp-add", "node1", "shop_web")
    daemon.wait(lambda one: bool(one.changes))
    daemon.stop()
    assert sorted(rows_of(wired)) == before


def test_a_switch_that_is_renamed_to_one_that_is_missing_is_noticed(synced: Daemon, wired: NorthboundServer) -> None:
    wired.nbctl("ls-add", "new", "--", "lsp-add", "new", "shop_late")
    synced.tell(pod("late", "10.0.0.3", node="node3"))
    synced.wait(lambda one: one.missing == 1)
    wired.nbctl("set", "Logical_Switch", "new", "name=node3")
    synced.wait(lambda one: one.missing == 0 and not one.drift)
    assert len(rows_of(wired, "node3")) == 1
    wired.nbctl("set", "Logical_Switch", "node3", "name=new")
    synced.wait(lambda one: one.missing == 1)


@pytest.mark.parametrize("goes", ["first", "second"])
def test_a_second_switch_of_one_name_takes_nothing_and_leaves_nothing_waiting(
    synced: Daemon, wired: NorthboundServer, goes: str
) -> None:
    """OVN allows two switches of one name, as while a node is made anew."""
    before = row_uuid(wired)
    (first,) = wired.nbctl("--bare", "--columns=_uuid", "find", "Logical_Switch", "name=node1").split()
    wired.nbctl("--add-duplicate", "ls-add", "node1")
    both = wired.nbctl("--bare", "--columns=_uuid", "find", "Logical_Switch", "name=node1").split()
    (second,) = set(both) - {first}
    synced.tell(policy(rule(9), name="other", priority=70))
    synced.wait(lambda one: "row_insert" in one.changes)
    assert len(rows_of(wired, first)) == 2
    assert row_uuid(wired) == before
    synced.forget_outcomes()
    wired.nbctl("ls-del", first if goes == "first" else second)
    left = second if goes == "first" else first
    synced.tell(replace(POLICY, priority=11))
    synced.wait(lambda one: "row_update" in one.changes and len(rows_of(wired, left)) == 2)
    assert any(" 10440 " in row for row in rows_of(wired, left))
