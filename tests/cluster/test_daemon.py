"""The daemon as a process: a real API under the rights that are shipped, a real Northbound, the guide's steps."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tenacity

from ovnqos.sandbox import NorthboundServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ovnqos.sandbox.kubernetes_api import KubernetesApi

DEPLOY = Path(__file__).parents[2] / "daemon" / "deploy"
APPLIED = "NetworkQoS Destinations applied"
PATIENCE_S = 30
SWITCHES = ("ovn.stream_ovn-worker", "ovn.stream_ovn-worker2")
PODS = {
    "pod0": ("ovn-worker", "10.245.4.4", {}),
    "pod1": ("ovn-worker", "10.245.4.3", {"nqos-app": "bw-limited"}),
    "pod2": ("ovn-worker2", "10.245.2.3", {"nqos-app": "bw-limited"}),
}

eventually = tenacity.retry(stop=tenacity.stop_after_delay(PATIENCE_S), wait=tenacity.wait_fixed(0.05), reraise=True)


class Daemon:
    """A process of the daemon."""

    def __init__(self, api: KubernetesApi, token: str, northbound: NorthboundServer, folder: Path, *flags: str) -> None:
        self._log = folder / f"daemon-{len(list(folder.iterdir()))}.log"
        self._api = api
        command = [
            *(sys.executable, "-m", "ovnqosd", "--nb", northbound.remote, "--kubeconfig", str(api.kubeconfig(token))),
            *("--lease-namespace", "ovnqos", "--metrics-address", "127.0.0.1:0", "--lease-duration", "3"),
            *("--lease-renew", "2", *flags),
        ]
        with self._log.open("w") as log:
            self.process = subprocess.Popen(command, stderr=log, stdout=log)

    def log(self) -> str:
        return self._log.read_text()

    def terminate(self) -> float:
        self.process.send_signal(signal.SIGTERM)
        return float(self.process.wait(PATIENCE_S))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE_S)


@pytest.fixture(scope="module")
def token(own_api: KubernetesApi) -> str:
    own_api.kubectl("apply", "-k", str(DEPLOY / "base"))
    return own_api.token_for_service_account("ovnqos", "ovnqosd")


@pytest.fixture
def northbound() -> Iterator[NorthboundServer]:
    with NorthboundServer() as server:
        for switch in SWITCHES:
            server.nbctl("ls-add", switch)
        for name, (node, _address, _labels) in PODS.items():
            server.nbctl("lsp-add", f"ovn.stream_{node}", f"default.ovn.stream_default_{name}")
        yield server


@pytest.fixture
def cluster(own_api: KubernetesApi) -> Iterator[KubernetesApi]:
    """The guide's network and pods; the policy is each test's own to create."""
    guide = files("ovnqos.cli.demo")
    own_api.kubectl("apply", "-f", "-", text=guide.joinpath("nad.yaml").read_text())
    for name in PODS:
        own_api.kubectl("apply", "-f", "-", text=json.dumps(pod(name)))
    yield own_api
    for kind in ("networkqoses", "pods"):
        own_api.kubectl("delete", kind, "--all", "-n", "default", "--force", "--grace-period=0", "--wait=false")


@pytest.fixture
def start(
    cluster: KubernetesApi, token: str, northbound: NorthboundServer, tmp_path: Path
) -> Iterator[Callable[..., Daemon]]:
    running: list[Daemon] = []

    def start_one(*flags: str) -> Daemon:
        running.append(Daemon(cluster, token, northbound, tmp_path, *flags))
        return running[-1]

    yield start_one
    for daemon in running:
        if daemon.process.poll() is None:
            daemon.kill()
        assert "Traceback" not in daemon.log()


def pod(name: str) -> dict[str, Any]:
    node, address, labels = PODS[name]
    networks = {"default/ovn-stream": {"ip_addresses": [f"{address}/24"]}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "default",
            "labels": labels,
            "annotations": {"k8s.ovn.org/pod-networks": json.dumps(networks)},
        },
        "spec": {
            "nodeName": node,
            "containers": [{"name": name, "image": "example.invalid/none"}],
            "automountServiceAccountToken": False,
        },
    }


def guide_policy() -> str:
    return files("ovnqos.cli.demo").joinpath("nqos.yaml").read_text()


def rows(northbound: NorthboundServer) -> list[str]:
    return [line for switch in SWITCHES for line in northbound.nbctl("qos-list", switch).splitlines()]


@eventually
def wait_for_status(api: KubernetesApi, text: str) -> str:
    shown = api.kubectl("get", "networkqoses", "qos-external", "-n", "default", "-owide")
    assert text in shown, shown
    return shown


@eventually
def wait_for_rows(northbound: NorthboundServer, count: int, words: str = "") -> None:
    found = rows(northbound)
    assert len(found) == count, found
    assert all(words in row for row in found), found


def test_the_guides_steps_give_the_guides_output(
    start: Callable[..., Daemon], cluster: KubernetesApi, northbound: NorthboundServer
) -> None:
    daemon = start()
    assert "networkqos.k8s.ovn.org/qos-external created" in cluster.kubectl("create", "-f", "-", text=guide_policy())
    shown = wait_for_status(cluster, APPLIED)
    assert shown.splitlines()[0].split() == ["NAME", "STATUS"]
    assert shown.splitlines()[1].split(maxsplit=1) == ["qos-external", APPLIED]
    wait_for_rows(northbound, 2, "rate=20000 burst=100 dscp=20")
    conditions = json.loads(cluster.kubectl("get", "networkqoses", "qos-external", "-ojson"))["status"]["conditions"]
    assert [(one["type"], one["status"], one["reason"], one["observedGeneration"]) for one in conditions] == [
        ("Ready-In-Zone-global", "True", "Success", 1)
    ]
    cluster.kubectl("delete", "networkqoses", "qos-external", "-n", "default")
    wait_for_rows(northbound, 0)
    assert daemon.terminate() == 0


def test_an_invalid_update_keeps_the_limit_and_says_what_is_wrong_across_a_restart_too(
    start: Callable[..., Daemon], cluster: KubernetesApi, northbound: NorthboundServer
) -> None:
    first = start()
    cluster.kubectl("apply", "-f", "-", text=guide_policy())
    wait_for_status(cluster, APPLIED)
    outside = guide_policy().replace("cidr: 0.0.0.0/0", "cidr: 10.0.0.0/8")  # the exceptions are outside of it now
    cluster.kubectl("apply", "-f", "-", text=outside)
    wait_for_status(cluster, "Invalid")
    wait_for_rows(northbound, 2, "rate=20000")
    first.terminate()
    start()
    wait_for_status(cluster, "Invalid")
    wait_for_rows(northbound, 2, "rate=20000")
    cluster.kubectl("apply", "-f", "-", text=guide_policy().replace("rate: 20000", "rate: 30000"))
    wait_for_status(cluster, APPLIED)
    wait_for_rows(northbound, 2, "rate=30000")


def test_drift_is_repaired_and_an_event_says_so(
    start: Callable[..., Daemon], cluster: KubernetesApi, northbound: NorthboundServer
) -> None:
    start()
    cluster.kubectl("apply", "-f", "-", text=guide_policy())
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
    cluster.kubectl("apply", "-f", "-", text=guide_policy())
    wait_for_status(cluster, APPLIED)
    second = start()
    first.kill()
    cluster.kubectl("apply", "-f", "-", text=guide_policy().replace("dscp: 20", "dscp: 30"))
    wait_for_rows(northbound, 2, "dscp=30")
    assert second.process.poll() is None


def test_a_daemon_a_node_writes_its_own_nodes_rows_only(
    start: Callable[..., Daemon], cluster: KubernetesApi, northbound: NorthboundServer
) -> None:
    start("--mode", "zone", "--node", "ovn-worker2")
    cluster.kubectl("apply", "-f", "-", text=guide_policy())
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


@pytest.fixture
def unused_port() -> int:

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
