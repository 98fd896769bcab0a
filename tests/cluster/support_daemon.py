"""The daemon as a process under its shipped rights, the guide's objects, and how to wait for what becomes of them."""

from __future__ import annotations

import json
import os
import signal
import sys
import uuid
from dataclasses import replace
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import tenacity
import yaml

from ovnqos import Compiler, DesiredState, Northbound, OvnKubernetesTopology, Plan, plan_changes
from ovnqos.kubernetes import RESOURCES
from ovnqos.sandbox.process import Process

if TYPE_CHECKING:
    from pathlib import Path

    from ovnqos.sandbox import NorthboundServer
    from tests.support.kubernetes.api import KubernetesApi

APPLIED: Final = "NetworkQoS Destinations applied"
PATIENCE_S: Final = 30
END_S: Final = 10
"""In how many seconds a daemon ends that was asked to: it takes 5 at most, and a busy machine some more."""
SWITCHES: Final = ("ovn.stream_ovn-worker", "ovn.stream_ovn-worker2")
PODS: Final = {
    "pod0": ("ovn-worker", "10.245.4.4", {}),
    "pod1": ("ovn-worker", "10.245.4.3", {"nqos-app": "bw-limited"}),
    "pod2": ("ovn-worker2", "10.245.2.3", {"nqos-app": "bw-limited"}),
}
LEASE_NAMESPACE: Final = "ovnqos"
COLLECTIONS: Final = {
    "Pod": "/api/v1/namespaces/default/pods",
    "NetworkQoS": "/apis/k8s.ovn.org/v1alpha1/namespaces/default/networkqoses",
    "NetworkAttachmentDefinition": "/apis/k8s.cni.cncf.io/v1/namespaces/default/network-attachment-definitions",
}

eventually = tenacity.retry(stop=tenacity.stop_after_delay(PATIENCE_S), wait=tenacity.wait_fixed(0.1), reraise=True)


class Daemon:
    """A process of the daemon, in central mode and with little patience, unless flags say otherwise."""

    def __init__(self, api: KubernetesApi, token: str, remote: str, folder: Path, lease: str, *flags: str) -> None:
        command = [
            *(sys.executable, "-m", "ovnqosd", "--nb", remote, "--kubeconfig", str(api.kubeconfig(token))),
            *("--lease-namespace", LEASE_NAMESPACE, "--lease-name", lease, "--metrics-address", "127.0.0.1:0"),
            *("--lease-duration", "3", "--lease-renew", "2", "--api-retry", "2", *flags),
        ]
        self.process = Process(command, name="ovnqosd", log=folder / f"daemon-{uuid.uuid4().hex[:8]}.log")
        self.process.start()

    def log(self) -> str:
        return self.process.log_text()

    def lines(self, event: str) -> list[dict[str, Any]]:
        """The lines of the log with this event."""
        said = [json.loads(line) for line in self.log().splitlines() if line.startswith("{") and line.endswith("}")]
        return [line for line in said if line.get("event") == event]

    @eventually
    def wait_for_line(self, event: str, count: int = 1, **fields: object) -> None:
        found = [line for line in self.lines(event) if fields.items() <= line.items()]
        assert len(found) >= count, self.log()

    def ask_to_end(self) -> None:
        os.kill(self.process.pid, signal.SIGTERM)

    def terminate(self) -> int:
        """Asks it to end; its exit code. Fails if it takes too long."""
        self.ask_to_end()
        return self.process.wait(timeout=END_S)


def pod(name: str, **changes: Any) -> dict[str, Any]:
    """A pod of the guide; `node`, `address`, `labels` and `annotation` may be others."""
    node, address, labels = PODS.get(name, ("ovn-worker", "10.245.4.9", {}))
    networks = {"default/ovn-stream": {"ip_addresses": [f"{changes.get('address', address)}/24"]}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "default",
            "labels": changes.get("labels", labels),
            "annotations": {"k8s.ovn.org/pod-networks": changes.get("annotation", json.dumps(networks))},
        },
        "spec": {
            "nodeName": changes.get("node", node),
            "containers": [{"name": name, "image": "example.invalid/none"}],
            "automountServiceAccountToken": False,
        },
    }


def guide_text(name: str) -> str:
    """A manifest of the guide: `nqos.yaml`, the policy `qos-external`, or `nad.yaml`, its network."""
    return files("ovnqos.cli.demo").joinpath(name).read_text()


def guide_policy(
    *, dscp: int = 20, rate: int = 20000, priority: int = 10, name: str = "qos-external"
) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(guide_text("nqos.yaml"))
    document["metadata"]["name"] = name
    document["spec"]["priority"] = priority
    document["spec"]["egress"][0]["dscp"] = dscp
    document["spec"]["egress"][0]["bandwidth"]["rate"] = rate
    return document


def apply(api: KubernetesApi, *documents: dict[str, Any]) -> None:
    """Makes objects so, whether they are there or not."""
    for document in documents:
        path = f"{COLLECTIONS[document['kind']]}/{document['metadata']['name']}?fieldManager=test&force=true"
        status, answer = api.request("PATCH", path, document, content_type="application/apply-patch+yaml")
        assert status in {200, 201}, answer


def delete(api: KubernetesApi, kind: str, name: str) -> None:
    status, answer = api.request("DELETE", f"{COLLECTIONS[kind]}/{name}", {"gracePeriodSeconds": 0})
    assert status in {200, 404}, answer


def delete_all(api: KubernetesApi, namespace: str = "default") -> None:
    """Removes what daemons read of a namespace."""
    for collection in COLLECTIONS.values():
        path = collection.replace("/default/", f"/{namespace}/")
        status, answer = api.request("DELETE", path, {"gracePeriodSeconds": 0})
        assert status in {200, 404}, answer  # 404: the test took the custom resource away


def rows(northbound: NorthboundServer) -> list[str]:
    """One row a rule and switch: without the further one for pods with an ingress limit, and for groups."""
    lines = [line for switch in SWITCHES for line in northbound.nbctl("qos-list", switch).splitlines()]
    return [line for line in lines if "ovnqos_limited_" not in line]


@eventually
def wait_for_rows(northbound: NorthboundServer, count: int, words: str = "") -> None:
    found = rows(northbound)
    assert len(found) == count, found
    assert all(words in row for row in found), found


@eventually
def wait_for_status(api: KubernetesApi, text: str, name: str = "qos-external") -> dict[str, Any]:
    """Waits for a policy's summary to hold this text; returns the status."""
    code, document = api.request("GET", f"{COLLECTIONS['NetworkQoS']}/{name}")
    assert code == 200, document
    status: dict[str, Any] = document.get("status", {})
    assert text in status.get("status", ""), status
    return status


def lease_holder(api: KubernetesApi, lease: str) -> str:
    """Who holds the Lease; empty if nobody does."""
    path = f"/apis/coordination.k8s.io/v1/namespaces/{LEASE_NAMESPACE}/leases/{lease}"
    status, document = api.request("GET", path)
    assert status == 200, document
    return str(document["spec"].get("holderIdentity") or "")


def compile_listed(api: KubernetesApi) -> DesiredState:
    """What a full compile makes of all that the API lists; every object must be valid."""
    compiler = Compiler(OvnKubernetesTopology())
    for resource in RESOURCES:
        status, answer = api.request("GET", resource.path)
        assert status == 200, answer
        for parsed in map(resource.parse, answer["items"]):
            compiler.apply(parsed)
    return replace(compiler.desired(), scope=None)  # the lists are complete


def plan_of_full_compile(api: KubernetesApi, remote: str) -> Plan:
    """What a full compile would still change in the Northbound."""
    with Northbound.connect(remote) as northbound:
        return plan_changes(compile_listed(api), northbound.snapshot())


@eventually
def wait_for_full_compile(api: KubernetesApi, remote: str) -> None:
    plan = plan_of_full_compile(api, remote)
    assert plan.is_empty, plan.changes
