"""The daemon as a process: a real API under the rights that are shipped, a real Northbound, the guide's steps."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING

from tests.cluster.support_daemon import (
    APPLIED,
    Daemon,
    apply,
    eventually,
    guide_policy,
    guide_text,
    lease_holder,
    wait_for_rows,
    wait_for_status,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovnqos.sandbox import NorthboundServer
    from tests.support.kubernetes.api import KubernetesApi


def test_the_guides_steps_give_the_guides_output(
    start: Callable[..., Daemon], cluster: KubernetesApi, northbound: NorthboundServer
) -> None:
    daemon = start()
    assert "networkqos.k8s.ovn.org/qos-external created" in cluster.kubectl(
        "create", "-f", "-", text=guide_text("nqos.yaml")
    )
    wait_for_status(cluster, APPLIED)
    shown = cluster.kubectl("get", "networkqoses", "qos-external", "-n", "default", "-owide").splitlines()
    start_of_status = shown[0].index("STATUS")
    assert shown[1].startswith("qos-external ")
    assert shown[1][start_of_status:].startswith(APPLIED)
    wait_for_rows(northbound, 2, "rate=20000 burst=100 dscp=20")
    conditions = json.loads(cluster.kubectl("get", "networkqoses", "qos-external", "-ojson"))["status"]["conditions"]
    assert [(one["type"], one["status"], one["reason"], one["observedGeneration"]) for one in conditions] == [
        ("Ready", "True", "Success", 1),
        ("Ready-In-Zone-global", "True", "Success", 1),
    ]
    cluster.kubectl("wait", "--for=condition=Ready", "networkqoses/qos-external", "--timeout=30s")
    cluster.kubectl("delete", "networkqoses", "qos-external", "-n", "default")
    wait_for_rows(northbound, 0)
    assert daemon.terminate() == 0


def test_an_invalid_update_keeps_the_limit_and_says_what_is_wrong_across_a_restart_too(
    start: Callable[..., Daemon], cluster: KubernetesApi, northbound: NorthboundServer
) -> None:
    first = start()
    apply(cluster, guide_policy())
    wait_for_status(cluster, APPLIED)
    malformed = guide_policy()
    malformed["spec"]["podSelector"]["matchLabels"] = {"a b": "c"}  # no rule of the CRD is about a label's key
    apply(cluster, malformed)
    wait_for_status(cluster, "Invalid")
    wait_for_rows(northbound, 2, "rate=20000")
    first.terminate()
    start()
    wait_for_status(cluster, "Invalid")
    wait_for_rows(northbound, 2, "rate=20000")
    apply(cluster, guide_policy(rate=30000))
    wait_for_status(cluster, APPLIED)
    wait_for_rows(northbound, 2, "rate=30000")


def test_drift_is_repaired_and_an_event_says_so(
    start: Callable[..., Daemon], cluster: KubernetesApi, northbound: NorthboundServer
) -> None:
    start()
    apply(cluster, guide_policy())
    wait_for_status(cluster, APPLIED)
    row = northbound.nbctl("--bare", "--columns=_uuid", "list", "QoS").split()[0]
    northbound.nbctl("set", "QoS", row, "bandwidth:rate=1")
    wait_for_rows(northbound, 2, "rate=20000")

    @eventually
    def told() -> None:
        assert "DriftRepaired" in cluster.kubectl("get", "events", "-n", "default")

    told()


def test_of_two_replicas_one_writes_and_the_other_takes_over_when_it_is_killed(
    start: Callable[..., Daemon], cluster: KubernetesApi, northbound: NorthboundServer
) -> None:
    first = start()
    apply(cluster, guide_policy())
    wait_for_status(cluster, APPLIED)
    second = start()
    first.process.kill()
    apply(cluster, guide_policy(dscp=30))
    wait_for_rows(northbound, 2, "dscp=30")
    assert second.process.running


def test_a_daemon_a_node_writes_its_own_nodes_rows_only(
    start: Callable[..., Daemon], cluster: KubernetesApi, northbound: NorthboundServer
) -> None:
    start("--mode", "zone", "--node", "ovn-worker2")
    apply(cluster, guide_policy())
    wait_for_rows(northbound, 1)
    assert northbound.nbctl("qos-list", "ovn.stream_ovn-worker2")
    wait_for_status(cluster, APPLIED)


def test_health_and_metrics_are_served(
    start: Callable[..., Daemon], cluster: KubernetesApi, northbound: NorthboundServer, unused_port: int
) -> None:
    start("--metrics-address", f"127.0.0.1:{unused_port}")

    @eventually
    def ready() -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{unused_port}/readyz", timeout=5) as answer:
            assert answer.status == 200

    ready()
    with urllib.request.urlopen(f"http://127.0.0.1:{unused_port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    assert "ovnqosd_reconcile_duration_seconds_count" in text
    with urllib.request.urlopen(f"http://127.0.0.1:{unused_port}/healthz", timeout=5) as answer:
        assert answer.status == 200


def test_a_replica_that_stands_by_says_so_and_who_writes(
    start: Callable[..., Daemon], cluster: KubernetesApi, northbound: NorthboundServer, lease: str, unused_port: int
) -> None:
    start().wait_for_line("elected")
    holder = lease_holder(cluster, lease)
    start("--metrics-address", f"127.0.0.1:{unused_port}").wait_for_line("started")

    @eventually
    def stands_by() -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{unused_port}/readyz", timeout=5) as answer:
            assert answer.read().decode() == f"ok: standing by; {holder} holds the Lease\n"
        with urllib.request.urlopen(f"http://127.0.0.1:{unused_port}/metrics", timeout=5) as answer:
            assert "\novnqosd_northbound_connected " not in answer.read().decode()

    stands_by()
