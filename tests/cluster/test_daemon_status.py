"""What the daemon says of a policy while pods, networks and its own mode change."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.cluster.support_daemon import (
    APPLIED,
    COLLECTIONS,
    SWITCHES,
    Daemon,
    apply,
    delete,
    eventually,
    guide_policy,
    pod,
    wait_for_status,
)
from tests.support.kubernetes.http import APPLY

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovnqos.sandbox import NorthboundServer
    from tests.support.kubernetes.api import KubernetesApi

NODES = "/api/v1/nodes"


def conditions(api: KubernetesApi, name: str = "qos-external") -> dict[str, dict[str, Any]]:
    code, document = api.request("GET", f"{COLLECTIONS['NetworkQoS']}/{name}")
    assert code == 200, document
    return {one["type"]: one for one in document["status"]["conditions"]}


@eventually
def wait_for_conditions(api: KubernetesApi, *zones: str, ready: str = "True") -> None:
    found = conditions(api)
    assert found.keys() == {"Ready", *(f"Ready-In-Zone-{zone}" for zone in zones)}
    assert found["Ready"]["status"] == ready


@eventually
def wait_for_reason(api: KubernetesApi, reason: str, words: str = "") -> None:
    ready = conditions(api)["Ready"]
    assert ready["reason"] == reason
    assert words in ready["message"]


@eventually
def wait_for_pods(api: KubernetesApi, number: int) -> None:
    code, document = api.request("GET", f"{COLLECTIONS['NetworkQoS']}/qos-external")
    assert code == 200, document
    assert document["status"].get("pods") == number


def test_conditions_of_another_mode_go(
    start: Callable[..., Daemon], cluster: KubernetesApi, northbound: NorthboundServer
) -> None:
    for name in ("ovn-worker", "ovn-worker2"):
        cluster.create(NODES, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
    apply(cluster, guide_policy())
    zones = [start("--mode", "zone", "--node", name, "--owner", name) for name in ("ovn-worker", "ovn-worker2")]
    wait_for_conditions(cluster, "ovn-worker", "ovn-worker2")
    for daemon in zones:
        daemon.terminate()
    for switch in SWITCHES:
        northbound.nbctl("qos-del", switch)  # of the other owners, which stay and would conflict
    central = start()
    wait_for_conditions(cluster, "global")
    wait_for_pods(cluster, 2)
    central.terminate()
    start("--mode", "zone", "--node", "ovn-worker")
    wait_for_conditions(cluster, "ovn-worker", ready="Unknown")  # the other zone has a source pod and no daemon
    wait_for_reason(cluster, "Pending", "ovn-worker2")
    start("--mode", "zone", "--node", "ovn-worker2", "--owner", "ovn-worker2")
    wait_for_conditions(cluster, "ovn-worker", "ovn-worker2")
    assert cluster.request("DELETE", NODES)[0] == 200


def test_conditions_that_ovn_kubernetes_wrote_go_in_central_mode(
    start: Callable[..., Daemon], cluster: KubernetesApi
) -> None:
    """Its controllers apply a condition a zone, with the zone's name as field manager."""
    apply(cluster, guide_policy())
    path = f"{COLLECTIONS['NetworkQoS']}/qos-external/status"
    for zone in ("ovn-worker", "ovn-worker2"):
        condition = {
            "type": f"Ready-In-Zone-{zone}",
            "status": "True",
            "reason": "SetupSucceeded",
            "message": "NetworkQoS Destinations applied",
            "lastTransitionTime": "2026-01-02T03:04:05Z",
        }
        document = guide_policy() | {"status": {"conditions": [condition]}}
        del document["spec"]
        status, answer = cluster.request(
            "PATCH", f"{path}?fieldManager={zone}&force=true", document, content_type=APPLY
        )
        assert status == 200, answer
    start()
    wait_for_conditions(cluster, "global")
    wait_for_pods(cluster, 2)


def test_why_nothing_is_selected_follows_the_pods(start: Callable[..., Daemon], cluster: KubernetesApi) -> None:
    for name in ("pod1", "pod2"):
        delete(cluster, "Pod", name)
    start()
    apply(cluster, guide_policy())
    wait_for_status(cluster, APPLIED)
    wait_for_reason(cluster, "NothingSelected", "matches no pod")
    unwired = pod("pod1")
    del unwired["metadata"]["annotations"]
    apply(cluster, unwired)
    wait_for_reason(cluster, "NothingSelected", "not wired yet: pod1")
    apply(cluster, pod("pod1"))
    wait_for_reason(cluster, "Success")
    wait_for_pods(cluster, 1)
    apply(cluster, pod("pod2", labels={"nqos-app": "bw-limited"}))
    wait_for_pods(cluster, 2)
    default = json.dumps({"default": {"ip_addresses": ["10.244.0.9/24"]}})
    for name in ("pod1", "pod2"):
        apply(cluster, pod(name, annotation=default))
    wait_for_reason(cluster, "NothingSelected", "no selected pod is attached to default/ovn-stream")
    wait_for_pods(cluster, 0)


def test_new_pods_join_the_last_valid_version_after_a_restart(
    start: Callable[..., Daemon], cluster: KubernetesApi, northbound: NorthboundServer
) -> None:
    first = start()
    apply(cluster, guide_policy())
    wait_for_status(cluster, APPLIED)
    invalid = guide_policy()
    invalid["spec"]["egress"][0]["classifier"]["to"][0]["ipBlock"]["cidr"] = "10.0.0.0/8"  # no exception is inside
    apply(cluster, invalid)
    wait_for_status(cluster, "Invalid")
    wait_for_last_valid(cluster, known=True)
    first.terminate()
    start().wait_for_line("reconciled", trigger="full")
    northbound.nbctl("lsp-add", SWITCHES[0], "default.ovn.stream_default_new")
    apply(cluster, pod("new", labels={"nqos-app": "bw-limited"}))
    wait_for_pods(cluster, 3)
    apply(cluster, guide_policy())
    wait_for_status(cluster, APPLIED)
    wait_for_last_valid(cluster, known=False)
    delete(cluster, "Pod", "new")


@eventually
def wait_for_last_valid(api: KubernetesApi, *, known: bool) -> None:
    code, document = api.request("GET", f"{COLLECTIONS['NetworkQoS']}/qos-external")
    assert code == 200, document
    assert ("lastValid" in document["status"]) is known
