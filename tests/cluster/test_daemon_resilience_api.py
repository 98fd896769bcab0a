"""The daemon while the Kubernetes API restarts, is away, forgets its history, or forbids a resource."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import yaml

from ovnqos.kubernetes import RESOURCES
from ovnqos.sandbox import NorthboundServer
from tests.cluster.conftest import DEPLOY, NETWORK_ATTACHMENT_DEFINITION_CRD
from tests.cluster.support_daemon import (
    APPLIED,
    SWITCHES,
    Daemon,
    apply,
    delete,
    eventually,
    guide_policy,
    guide_text,
    pod,
    rows,
    wait_for_full_compile,
    wait_for_rows,
    wait_for_status,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.kubernetes.api import KubernetesApi

ZONE = ("--mode", "zone", "--node", "ovn-worker")
NAD_PATH = "/apis/k8s.cni.cncf.io/v1/network-attachment-definitions"
TOLD = "list or watch failed; retrying"
ROLE = "/apis/rbac.authorization.k8s.io/v1/clusterroles/ovnqosd"


def set_rate(northbound: NorthboundServer, rate: int) -> None:
    for row in northbound.nbctl("--bare", "--columns=_uuid", "list", "QoS").split():
        northbound.nbctl("set", "QoS", row, f"bandwidth:rate={rate}")


def test_a_restart_of_the_api_loses_nothing(
    start: Callable[..., Daemon], cluster: KubernetesApi, northbound: NorthboundServer, lease: str
) -> None:
    with NorthboundServer() as of_the_node:
        of_the_node.nbctl("ls-add", SWITCHES[0], "--", "lsp-add", SWITCHES[0], "default.ovn.stream_default_pod1")
        daemons = [start(), start(*ZONE, "--nb", of_the_node.remote, "--lease-name", f"{lease}-of-zones")]
        apply(cluster, guide_policy())
        wait_for_rows(northbound, 2, "dscp=20")
        wait_for_row(of_the_node, "dscp=20")
        wait_for_status(cluster, APPLIED)
        before = rows(northbound)
        cluster.restart()
        assert rows(northbound) == before
        wait_for_row(of_the_node, "dscp=20")
        apply(cluster, guide_policy(dscp=30))
        wait_for_rows(northbound, 2, "dscp=30")
        wait_for_row(of_the_node, "dscp=30")
        wait_for_status(cluster, APPLIED)
        assert [daemon.terminate() for daemon in daemons] == [0, 0]


@eventually
def wait_for_row(northbound: NorthboundServer, words: str) -> None:
    found = northbound.nbctl("qos-list", SWITCHES[0]).splitlines()
    assert found
    assert all(words in row for row in found), found


def test_while_the_api_is_away_a_nodes_daemon_keeps_its_rows_and_repairs_them(
    start: Callable[..., Daemon], cluster: KubernetesApi, northbound: NorthboundServer
) -> None:
    daemon = start(*ZONE)
    apply(cluster, guide_policy())
    wait_for_rows(northbound, 1, "rate=20000")
    cluster.stop_api()
    try:
        for resource in RESOURCES:
            daemon.wait_for_line(TOLD, kind=resource.kind)
        for _ in range(2):
            set_rate(northbound, 1)
            wait_for_rows(northbound, 1, "rate=20000")
            northbound.nbctl("qos-del", "ovn.stream_ovn-worker")
            wait_for_rows(northbound, 1, "rate=20000")
    finally:
        cluster.start_api()
    apply(cluster, guide_policy(rate=30000))
    wait_for_rows(northbound, 1, "rate=30000")
    for resource in RESOURCES:
        daemon.wait_for_line("list and watch recovered", kind=resource.kind)
    told = [tuple(map(line.get, ("kind", "reason", "status"))) for line in daemon.lines(TOLD)]
    assert len(told) == len(set(told))  # of each resource, a kind of failure is told once an outage


def test_a_leader_that_cannot_renew_repairs_its_rows_as_long_as_it_leads_and_when_the_api_is_back(
    start: Callable[..., Daemon], cluster: KubernetesApi, northbound: NorthboundServer
) -> None:
    daemon = start("--lease-duration", "8", "--lease-renew", "6")
    apply(cluster, guide_policy())
    wait_for_status(cluster, APPLIED)
    cluster.stop_api()
    try:
        set_rate(northbound, 1)
        wait_for_rows(northbound, 2, "rate=20000")
        daemon.wait_for_line("no longer elected")
        set_rate(northbound, 1)
        assert len(rows(northbound)) == 2
    finally:
        cluster.start_api()
    wait_for_rows(northbound, 2, "rate=20000")


def test_history_that_etcd_forgot_while_a_watch_was_cut_is_made_up_for(
    start: Callable[..., Daemon], cluster: KubernetesApi, northbound: NorthboundServer
) -> None:
    daemon = start()
    apply(cluster, guide_policy())
    wait_for_status(cluster, APPLIED)
    daemon.process.freeze()  # while it hears nothing
    try:
        delete(cluster, "Pod", "pod2")
        apply(cluster, guide_policy(dscp=30))
        cluster.compact()
    finally:
        daemon.process.thaw()
    wait_for_rows(northbound, 1, "dscp=30")
    wait_for_status(cluster, APPLIED)
    wait_for_full_compile(cluster, northbound.remote)


@pytest.fixture
def forbidden(cluster: KubernetesApi, daemon_token: str) -> Iterator[Callable[[], None]]:
    """The daemon's account may not read network attachment definitions, until this is called."""
    _, role = cluster.request("GET", ROLE)
    rules = [rule for rule in role["rules"] if rule["apiGroups"] != ["k8s.cni.cncf.io"]]
    assert len(rules) == len(role["rules"]) - 1
    patch(cluster, {"rules": rules})
    cluster.wait_until(lambda: cluster.request("GET", NAD_PATH, token=daemon_token)[0] == 403, what="forbid it")

    def allow() -> None:
        patch(cluster, {"rules": role["rules"]})

    yield allow
    cluster.kubectl("apply", "-k", str(DEPLOY / "base"))
    allow()
    cluster.wait_until(lambda: cluster.request("GET", NAD_PATH, token=daemon_token)[0] == 200, what="allow it")


def patch(api: KubernetesApi, change: object) -> None:
    status, answer = api.request("PATCH", ROLE, change, content_type="application/merge-patch+json")
    assert status == 200, answer


def test_a_resource_that_is_forbidden_is_told_once_and_everything_goes_on_when_it_is_allowed(
    forbidden: Callable[[], None], start: Callable[..., Daemon], cluster: KubernetesApi, northbound: NorthboundServer
) -> None:
    theirs = ("qos-add", "ovn.stream_ovn-worker", "to-lport", "100", "ip4.dst == 10.0.0.1", "dscp=7")
    northbound.nbctl(*theirs)
    daemon = start()
    apply(cluster, guide_policy())
    daemon.wait_for_line(TOLD, status=403)
    daemon.wait_for_line("elected")
    assert len(rows(northbound)) == 1  # what is known in part is not written
    forbidden()
    wait_for_rows(northbound, 3)
    wait_for_status(cluster, APPLIED)
    assert len(daemon.lines(TOLD)) == 1
    daemon.wait_for_line("list and watch recovered", kind="NetworkAttachmentDefinition")


def test_a_resource_that_becomes_forbidden_keeps_what_was_read_and_the_rest_goes_on(
    start: Callable[..., Daemon],
    cluster: KubernetesApi,
    northbound: NorthboundServer,
    request: pytest.FixtureRequest,
) -> None:
    daemon = start()
    apply(cluster, guide_policy())
    wait_for_status(cluster, APPLIED)
    allow: Callable[[], None] = request.getfixturevalue("forbidden")
    cluster.stop_api()  # it cuts the watches; a new one is refused
    cluster.start_api()
    daemon.wait_for_line(TOLD, status=403)
    apply(cluster, guide_policy(dscp=30))
    wait_for_rows(northbound, 2, "dscp=30")
    wait_for_status(cluster, APPLIED)
    allow()
    daemon.wait_for_line("list and watch recovered", kind="NetworkAttachmentDefinition")


@pytest.mark.parametrize(
    "annotation",
    ["{", "[]", '"text"', json.dumps({"default/ovn-stream": {"ip_addresses": ["10.245.4.300/24", "voice"]}})],
)
def test_a_pod_that_cannot_be_read_is_told_once_and_keeps_nothing_from_the_others(
    start: Callable[..., Daemon], cluster: KubernetesApi, northbound: NorthboundServer, annotation: str
) -> None:
    daemon = start()
    apply(cluster, guide_policy(), pod("odd", annotation=annotation, labels={"nqos-app": "bw-limited"}))
    wait_for_rows(northbound, 2, "dscp=20")
    wait_for_status(cluster, APPLIED)
    apply(cluster, guide_policy(dscp=30))
    wait_for_rows(northbound, 2, "dscp=30")
    told = [line for line in daemon.log().splitlines() if "default/odd" in line]
    assert len(told) == 1, daemon.log()


def test_a_pod_of_an_unknown_network_is_told_and_keeps_nothing_from_the_others(
    start: Callable[..., Daemon], cluster: KubernetesApi, northbound: NorthboundServer
) -> None:
    networks = json.dumps({"default/unheard-of": {"ip_addresses": ["10.245.4.8/24"]}})
    start()
    apply(cluster, guide_policy(), pod("odd", annotation=networks, labels={"nqos-app": "bw-limited"}))
    wait_for_rows(northbound, 2, "dscp=20")
    wait_for_status(cluster, APPLIED)
    wait_for_full_compile(cluster, northbound.remote)


@pytest.fixture
def absent_crd(cluster: KubernetesApi) -> Iterator[Callable[[], None]]:
    """There is no custom resource of network attachment definitions, until this is called."""
    crd = NETWORK_ATTACHMENT_DEFINITION_CRD.read_text()
    cluster.kubectl("delete", "crd", yaml.safe_load(crd)["metadata"]["name"])

    def install() -> None:
        cluster.install_crd(crd)

    yield install
    if cluster.request("GET", NAD_PATH)[0] == 404:
        install()


def test_a_crd_of_networks_that_is_installed_later_is_noticed(
    absent_crd: Callable[[], None], start: Callable[..., Daemon], cluster: KubernetesApi, northbound: NorthboundServer
) -> None:
    daemon = start("--absent-crd-seconds", "1")
    apply(cluster, guide_policy())
    daemon.wait_for_line("resource not served by the API server; retrying")
    wait_for_status(cluster, APPLIED)
    assert rows(northbound) == []
    absent_crd()
    apply(cluster, yaml.safe_load(guide_text("nad.yaml")))
    wait_for_rows(northbound, 2)
    assert not daemon.lines(TOLD)
