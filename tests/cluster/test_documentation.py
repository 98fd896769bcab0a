"""Each command of README and docs, run as it is written, or with the reason why it is not run here."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import tenacity
import yaml

from ovnqos.sandbox import Central
from tests.cluster.support_daemon import PODS, SWITCHES, Daemon, apply, delete_all, guide_policy, pod
from tests.support.kubernetes.programs import kubernetes_program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.kubernetes.api import KubernetesApi

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
BLOCK: Final = re.compile(r"^```sh\n(.*?)^```", re.M | re.S)
COMMAND: Final = re.compile(
    r"(?:[^\n]*(?:\\|\|)\n)*[^\n]*<<'?END'?\n.*?^END\n|(?:[^\n]*(?:\\|\|)\n)*[^\n]+\n", re.M | re.S
)
NOT_HERE: Final = {
    r"#|export OVN_NB_DB=": "a comment, or the servers' own addresses",
    r"make (run|test|venv) ": "CI runs them",
    r"make soak ": "the weekly run, and tests/cluster/test_soak.py for a minute",
    r"kubectl create namespace ovnqos$": "the daemon's account is there already",
    r"pip install ": "tests/functional/deploy/test_installation.py",
    r"OVN_NB_DB=\S+ python docs/examples/controller.py": "tests/cluster/test_example_controller.py",
    r"ovnqos stats": "it needs a chassis: tests/lab/test_stats.py",
    r"ovnqos verify +# is each row in force": "it needs a chassis: tests/lab/test_verify.py",
    r"ovs-vsctl ": "it needs a chassis: tests/lab/test_demo.py",
    r"(time|base)=|(docker|docker-compose|buildah|BASE=\S+ docker-compose|curl|apt-get) |scripts/": (
        "it needs a container runtime"
    ),
    r"kubectl apply -k |kubectl -n ovnqos create secret |mkdir ovnqosd |helm ": (
        "what they apply: tests/cluster/test_rbac.py, test_chart.py and tests/unit/deploy/test_manifests.py"
    ),
    r"(pod=\$\()?kubectl -n ovnqos (exec|get pods) ": "no kubelet runs pods here",
    r"echo '\{\"securityContext|kubectl get networkqoses,net-attach-def.*kubectl debug": "no kubelet runs pods here",
}
PLACES: Final = {  # what a page names, and where it is in this test
    "tcp:10.0.0.1:6641": "$OVN_NB_DB",
    "tcp:ovn-nb.kube-system:6641": "$OVN_NB_DB",
    "REMOTE": "$OVN_NB_DB",
    "/etc/bash_completion.d": "completions",
}


def commands(page: Path) -> list[str]:
    """The page's commands, each whole: with its continued lines, and with its standard input."""
    return [one for block in BLOCK.findall(page.read_text()) for one in COMMAND.findall(block)]


def reason_not_here(command: str) -> str | None:
    return next((why for pattern, why in NOT_HERE.items() if re.match(pattern, command)), None)


def test_every_reason_has_a_command() -> None:
    everything = [one for page in PAGES for one in commands(page)]
    assert [pattern for pattern in NOT_HERE if not any(re.match(pattern, one) for one in everything)] == []


@pytest.fixture
def shop(
    cluster: KubernetesApi, daemon_token: str, tmp_path: Path, lease: str
) -> Iterator[tuple[dict[str, str], Daemon]]:
    """The pages' cluster: the guide's, and a pod and a policy in the namespace shop; a Northbound, and a daemon.

    Yields what is to be in the environment of a command, and the daemon.
    """
    apply(cluster, guide_policy())
    web = on_default_network(pod("web"), "shop", "10.244.1.5")
    gold = guide_policy(name="gold")
    gold["metadata"]["namespace"] = "shop"
    gold["spec"] = {"priority": 10, "egress": [{"dscp": 20, "bandwidth": {"rate": 20000}}]}
    cluster.request("POST", "/api/v1/namespaces", {"metadata": {"name": "shop"}})  # once for all pages
    cluster.create("/api/v1/namespaces/shop/pods", web)
    cluster.create("/apis/k8s.ovn.org/v1alpha1/namespaces/shop/networkqoses", gold)
    for name in ("completions", "manifests"):
        (tmp_path / name).mkdir()
    (tmp_path / "manifests" / "all.yaml").write_text(yaml.safe_dump_all([web | {"kind": "Pod"}, gold]))
    for name in ("daemon", "ovnqos"):
        (tmp_path / name).symlink_to(ROOT / name)
    with Central() as central:
        for switch in (*SWITCHES, "ovn-worker"):
            central.nbctl("ls-add", switch)
        for name, (node, _address, _labels) in PODS.items():
            central.nbctl("lsp-add", f"ovn.stream_{node}", f"default.ovn.stream_default_{name}")
        central.nbctl(
            "lsp-add", "ovn-worker", "shop_web", "--", "lsp-set-addresses", "shop_web", "02:00:00:00:00:05 10.244.1.5"
        )
        daemon = Daemon(cluster, daemon_token, central.northbound.remote, tmp_path, lease)
        daemon.wait_for_line("reconciled")
        environment = {
            "PATH": f"{Path(sys.executable).parent}:{kubernetes_program('kubectl').parent}:{os.environ['PATH']}",
            "KUBECONFIG": str(cluster.kubeconfig()),
            "OVN_NB_DB": central.northbound.remote,
            "OVN_SB_DB": central.southbound.remote,
        }
        yield {**os.environ, **environment}, daemon
        daemon.process.kill()
        assert "Traceback" not in daemon.log()
    delete_all(cluster, "shop")


def on_default_network(document: dict[str, Any], namespace: str, address: str) -> dict[str, Any]:
    networks = json.dumps({"default": {"ip_addresses": [f"{address}/24"]}})
    metadata = {"name": document["metadata"]["name"], "namespace": namespace}
    return document | {"metadata": metadata | {"annotations": {"k8s.ovn.org/pod-networks": networks}}}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_pages_commands_run_as_they_are_written(page: Path, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    runnable = [one for one in commands(page) if reason_not_here(one) is None]
    if not runnable:
        return
    environment, daemon = request.getfixturevalue("shop")
    for command in runnable:
        if "--prune --allow-incomplete" in command:
            assert daemon.terminate() == 0  # "if the daemon is gone already"
        words = command
        for named, here in PLACES.items():
            words = words.replace(named, here)
        run(words, environment, tmp_path)


@tenacity.retry(stop=tenacity.stop_after_delay(20), wait=tenacity.wait_fixed(0.5), reraise=True)
def run(words: str, environment: dict[str, str], folder: Path) -> None:
    """Runs a command; again while the daemon still holds the lock, or has not written what it asks for."""
    ended = subprocess.run(
        ["bash", "-c", words], capture_output=True, text=True, cwd=folder, env=environment, check=False
    )
    said = f"{words}\n{ended.stdout}{ended.stderr}"
    assert ended.returncode == 0, said
    assert "error: " not in ended.stderr, said
