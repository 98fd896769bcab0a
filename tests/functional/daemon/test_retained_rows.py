"""A policy that is not valid when the daemon starts: its rows are kept as they are, and go when it does."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ovnqos import Code, Diagnostic, InvalidObject, ObjectRef, PodPeer
from ovnqos.compile import dirty_objects
from ovnqos.controller import parse_pod
from ovnqos.kubernetes import Changes, ObservedObject
from ovnqos.model.labels import EVERYTHING
from ovnqos.sources.pod_annotations import read_pod_qos
from ovnqosd.loop.outcomes import DriftKind
from ovnqosd.status.object_status import ObservedStatus, write_last_valid
from ovnqosd.status.policy_outcome import Reason
from tests.functional.support_reconciler import PODS, POLICY, Daemon, metadata, rows_of
from tests.support.cluster import labels, pod, policy, rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ovnqos import Pod
    from ovnqos.sandbox import NorthboundServer

GOLD = ObjectRef(kind="NetworkQoS", namespace="shop", name="gold")
INVALID = InvalidObject(GOLD, [Diagnostic.error(GOLD, Code.INVALID_FIELD, "is wrong", path="spec.priority")])
OTHER = policy(rule(9), name="other", priority=40, pods=labels(app="db"))


@pytest.fixture
def daemon(wired: NorthboundServer) -> Iterator[Daemon]:
    """Started when the policy that it wrote the rows of before is not valid any more."""
    first = Daemon(wired.remote)
    first.sync(*PODS, POLICY, OTHER)
    first.stop()
    second = Daemon(wired.remote)
    second.inbox.changed(
        Changes(kind="NetworkQoS", updated=(ObservedObject(metadata=metadata(POLICY), object=INVALID),))
    )
    second.sync(*PODS, OTHER)
    assert second.outcomes[-1].policies["shop/gold"].reason is Reason.INVALID
    second.forget_outcomes()
    yield second
    second.stop()


def test_new_pods_join_the_last_valid_version_that_the_status_holds(wired: NorthboundServer) -> None:
    first = Daemon(wired.remote)
    first.sync(*PODS, POLICY)
    first.stop()
    known = metadata(POLICY)
    status = ObservedStatus(
        key=known.key,
        uid=known.uid,
        generation=known.generation,
        resource_version="1",
        conditions={},
        summary="",
        last_valid=write_last_valid(POLICY),
    )
    second = Daemon(wired.remote)
    observed = ObservedObject(metadata=known, object=INVALID, status=status)
    second.inbox.changed(Changes(kind="NetworkQoS", updated=(observed,)))
    second.sync(*PODS)
    assert second.outcomes[-1].changes == {}
    assert second.outcomes[-1].policies["shop/gold"].reason is Reason.INVALID
    wired.nbctl("lsp-add", "node2", "shop_new")
    second.forget_outcomes()
    second.tell(pod("new", "10.0.0.3", node="node2", labels={"app": "web"}))
    second.wait(lambda one: bool(one.changes))
    assert len([row for row in rows_of(wired, "node2") if "dscp=20" in row]) == 1
    second.stop()


def gold(server: NorthboundServer) -> list[str]:
    return [row for row in rows_of(server) if "dscp=20" in row]


def uuid_of(server: NorthboundServer) -> str:
    return server.nbctl("--bare", "--columns=_uuid", "find", "QoS", "priority=10400").strip()


@pytest.mark.parametrize(
    ("edit", "kind"),
    [
        (lambda row, _group: ("set", "QoS", row, "bandwidth:rate=4000000"), DriftKind.ROW_EDITED),
        (lambda row, _group: ("remove", "Logical_Switch", "node1", "qos_rules", row), DriftKind.ROW_UNBOUND),
        (lambda _row, _group: ("qos-del", "node1", "--", "qos-del", "node2"), DriftKind.ROW_DELETED),
        (lambda _row, group: ("destroy", "Port_Group", group), DriftKind.SET_DELETED),
    ],
    ids=["rate", "binding", "row", "group"],
)
def test_its_rows_are_repaired_to_what_they_were(
    daemon: Daemon, wired: NorthboundServer, edit: Callable[[str, str], tuple[str, ...]], kind: DriftKind
) -> None:
    (before,) = gold(wired)
    group = before.partition("@")[2].split()[0].rstrip(")")
    wired.nbctl(*edit(uuid_of(wired), group))
    told = daemon.wait(lambda one: bool(one.drift))
    assert kind in {one.kind for one in told.drift}
    assert gold(wired) == [before]
    assert group in wired.nbctl("--bare", "--columns=name", "list", "Port_Group").split()
    assert any("dscp=9" in row for row in rows_of(wired, "node2"))


def test_its_rows_go_when_it_is_deleted(daemon: Daemon, wired: NorthboundServer) -> None:
    daemon.inbox.changed(Changes(kind="NetworkQoS", deleted=("shop/gold",)))
    daemon.wait(lambda one: "row_delete" in one.changes)
    assert gold(wired) == []
    assert len(wired.nbctl("--bare", "--columns=name", "list", "Port_Group").split()) == 1


def test_its_rows_are_what_it_says_when_it_is_mended(daemon: Daemon, wired: NorthboundServer) -> None:
    before = uuid_of(wired)
    daemon.tell(replace(POLICY, pod_selector=labels(app="none")))
    told = daemon.wait(lambda one: "row_delete" in one.changes)
    assert not told.drift
    assert gold(wired) == []
    daemon.tell(POLICY)
    daemon.wait(lambda one: "row_insert" in one.changes)
    assert len(gold(wired)) == 1
    assert uuid_of(wired) != before


def test_a_policy_that_pods_bring_to_too_many_addresses_keeps_its_rows_as_they_are(
    wired: NorthboundServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dirty_objects, "MEMBERS_MAXIMUM", 3)
    to_all = policy(rule(20, destinations=[PodPeer(pod_selector=EVERYTHING)]))
    daemon = Daemon(wired.remote, full_pass_seconds=0.5)
    try:
        daemon.sync(*PODS, to_all)
        before = rows_of(wired)
        third = pod("third", "10.0.0.3", "10.0.0.4", node="node2")
        daemon.tell(third)
        told = daemon.wait(
            lambda one: "shop/gold" in one.policies and one.policies["shop/gold"].reason != Reason.SUCCESS
        )
        said = told.policies["shop/gold"]
        assert (said.reason, [one.code for one in said.causes]) == (Reason.UNSUPPORTED, [Code.TOO_MANY_MEMBERS])
        assert rows_of(wired) == before
        daemon.tell(pod("fourth", "10.0.0.5"))
        wired.nbctl("qos-del", "node1")
        daemon.wait(lambda one: bool(one.drift))
        assert rows_of(wired) == before
        assert "10.0.0.5" not in wired.nbctl("--bare", "--columns=addresses", "list", "Address_Set")
        daemon.forget_outcomes()
        daemon.inbox.changed(Changes(kind="Pod", deleted=(third.key,)))
        daemon.wait(lambda one: "shop/gold" in one.policies and one.policies["shop/gold"].reason is Reason.SUCCESS)
        assert rows_of(wired) == before
        addresses = wired.nbctl("--bare", "--columns=addresses", "list", "Address_Set")
        assert sorted(addresses.split()) == ["10.0.0.1", "10.0.0.2", "10.0.0.5"]
    finally:
        daemon.stop()


ANNOTATED = parse_pod(
    {
        "metadata": {
            "namespace": "shop",
            "name": "web",
            "uid": "uid-web",
            "annotations": {**PODS[0].annotations, "qos.projectcalico.org/egressBandwidth": "3M"},
        },
        "spec": {"nodeName": "node1"},
    }
)
UNWIRED = replace(ANNOTATED, annotations={"k8s.ovn.org/pod-networks": "{"})
UNREADABLE = replace(
    ANNOTATED, qos=read_pod_qos({"qos.projectcalico.org/egressBandwidth": "three"}, ObjectRef(kind="Pod"))
)


@pytest.mark.parametrize("broken", [UNWIRED, UNREADABLE], ids=["networks", "limit"])
def test_a_pod_that_is_unreadable_when_the_daemon_starts_keeps_its_row(wired: NorthboundServer, broken: Pod) -> None:
    first = Daemon(wired.remote)
    first.sync(ANNOTATED, PODS[1])
    first.stop()
    (before,) = rows_of(wired)
    second = Daemon(wired.remote)
    try:
        second.sync(broken, PODS[1])
        assert rows_of(wired) == [before]
        wired.nbctl("qos-del", "node1")
        second.wait(lambda one: bool(one.drift))
        assert rows_of(wired) == [before]
        second.inbox.changed(Changes(kind="Pod", deleted=("shop/web",)))
        second.wait(lambda one: "row_delete" in one.changes)
        assert rows_of(wired) == []
    finally:
        second.stop()
