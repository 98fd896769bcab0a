"""The command without -f: it reads the cluster, as a user with a kubeconfig runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.conftest import describe_api
from tests.cluster.support_daemon import apply, guide_policy, guide_text, pod, rows
from tests.functional.support_command import Ended, ovnqos, ovnqos_program
from tests.support.kubernetes.programs import kubernetes_program

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovnqos.sandbox import NorthboundServer
    from tests.support.kubernetes.api import KubernetesApi

RBAC = "/apis/rbac.authorization.k8s.io/v1"
LISTED = {
    "networkqoses": "k8s.ovn.org",
    "network-attachment-definitions": "k8s.cni.cncf.io",
    "namespaces": "",
    "pods": "",
}
BIN = Path(sys.executable).parent


@pytest.fixture
def command(cluster: KubernetesApi) -> Callable[..., Ended]:
    """Runs the command as the administrator of a cluster that holds the guide's network, pods and policy."""
    apply(cluster, guide_policy())
    kubeconfig = cluster.kubeconfig()
    return lambda *words: ovnqos(*words, "--kubeconfig", kubeconfig)


def account(api: KubernetesApi, namespace: str, *resources: str) -> str:
    """The token of an account that may list these resources of the whole cluster, and nothing else."""
    name = f"lister-{namespace}"
    subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    api.create(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": name}})
    rules = [{"apiGroups": [LISTED[one]], "resources": [one], "verbs": ["list"]} for one in resources]
    api.create(f"{RBAC}/clusterroles", {"metadata": {"name": name}, "rules": rules})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    api.create(f"{RBAC}/clusterrolebindings", {"metadata": {"name": name}, "roleRef": role, "subjects": [subject]})
    token = api.token_for_service_account(namespace, name)
    api.wait_until(
        lambda: all(api.request("GET", f"{path_of(one)}?limit=1", token=token)[0] == 200 for one in resources),
        what="notice the role binding",
    )
    return token


def path_of(resource: str) -> str:
    versions = {
        "k8s.ovn.org": "/apis/k8s.ovn.org/v1alpha1",
        "k8s.cni.cncf.io": "/apis/k8s.cni.cncf.io/v1",
        "": "/api/v1",
    }
    return f"{versions[LISTED[resource]]}/{resource}"


def test_the_cluster_is_read_and_named_in_one_line(
    cluster: KubernetesApi, command: Callable[..., Ended], northbound: NorthboundServer
) -> None:
    ended = command("apply", "--nb", northbound.remote)
    assert (ended.code, ended.errors) == (0, [])
    assert ended.err.splitlines()[0] == f"reading the cluster {cluster.url} (context sandbox)"
    assert {row.rpartition("dscp=")[2] for row in rows(northbound)} == {"20"}
    assert "nothing to do" in command("apply", "--nb", northbound.remote).err


def test_what_the_cluster_has_and_what_kubectl_prints_are_the_same_input(
    cluster: KubernetesApi, command: Callable[..., Ended]
) -> None:
    kinds = "networkqoses,net-attach-def,namespaces,pods"
    for form in ("yaml", "json"):
        text = cluster.kubectl("get", kinds, "-A", "-o", form)
        assert ovnqos("render", "-f", "-", stdin=text).out == command("render").out


def test_the_context_chooses_and_a_wrong_one_is_told(cluster: KubernetesApi) -> None:
    kubeconfig = cluster.kubeconfig()
    assert ovnqos("render", "--kubeconfig", kubeconfig, "--context", "sandbox").code == 0
    ended = ovnqos("render", "--kubeconfig", kubeconfig, "--context", "prod")
    assert (ended.code, ended.out) == (1, "")
    assert ended.errors == [f"Kubernetes: {kubeconfig}: no context prod; use sandbox"]


def test_in_a_pod_the_service_account_is_used(
    cluster: KubernetesApi,
    daemon_token: str,
    command: Callable[..., Ended],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "token").write_text(daemon_token)
    host, _, port = cluster.url.removeprefix("https://").partition(":")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
    monkeypatch.delenv("KUBECONFIG")
    monkeypatch.setattr("kubernetes.config.incluster_config.SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr("kubernetes.config.incluster_config.SERVICE_CERT_FILENAME", str(cluster.ca_certificate))
    ended = ovnqos("render", "--zone-node", "ovn-worker")
    assert (ended.code, ended.errors) == (0, []), ended
    assert f"reading the cluster {cluster.url} (the service account)" in ended.err
    assert ended.out == command("render", "--zone-node", "ovn-worker").out


def test_in_the_daemons_container_its_kubeconfig_is_used(
    cluster: KubernetesApi, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("OVNQOSD_KUBECONFIG", str(cluster.kubeconfig()))
    assert ovnqos("render").code == 0
    monkeypatch.setenv("KUBECONFIG", "/nonexistent")
    assert ovnqos("render").code == 1


def test_explain_and_convert_read_the_cluster_too(cluster: KubernetesApi, command: Callable[..., Ended]) -> None:
    words = ("explain", "--pod", "default/pod1", "--to", "10.245.2.3", "--network", "ovn-stream")
    ended = command(*words)
    assert (ended.code, ended.errors) == (0, []), ended
    assert "NetworkQoS/default/qos-external rule 0" in ended.out
    assert json.loads(command(*words, "-o", "json").out)["rows_from"] == "cluster"
    ended = command("convert", "--cluster-cidr", "10.244.0.0/16", "--to", "annotations")
    assert (ended.code, ended.errors) == (0, []), ended


def test_a_cluster_without_custom_resources_is_read(northbound: NorthboundServer) -> None:
    with describe_api() as api:
        api.create("/api/v1/namespaces/default/pods", pod("pod1"))
        ended = ovnqos("diff", "--kubeconfig", api.kubeconfig(), "--nb", northbound.remote)
    assert (ended.code, ended.out, ended.errors) == (0, "", []), ended
    assert "the cluster has no NetworkQoS: its CustomResourceDefinition is not installed" in ended.err.splitlines()


@pytest.mark.parametrize("forbidden", ["pods", "networkqoses", "namespaces", "network-attachment-definitions"])
def test_what_may_not_be_listed_is_named_and_nothing_is_written_unless_that_is_allowed(
    cluster: KubernetesApi,
    command: Callable[..., Ended],
    northbound: NorthboundServer,
    namespace: str,
    forbidden: str,
) -> None:
    assert command("apply", "--nb", northbound.remote).code == 0
    before = rows(northbound)
    apply(cluster, guide_policy(dscp=30))
    token = account(cluster, namespace, *(one for one in LISTED if one != forbidden))
    words = ("apply", "--nb", northbound.remote, "--prune", "--kubeconfig", cluster.kubeconfig(token))

    ended = ovnqos(*words)
    assert (ended.code, rows(northbound)) == (1, before)
    told = [line for line in ended.errors if "cannot be listed: HTTP 403" in line]
    assert len(told) == 1, ended
    assert f'cannot list resource "{forbidden}"' in told[0]
    assert not [line for line in ended.warnings if "no rows" in line]

    verified = ovnqos("verify", "--kubeconfig", cluster.kubeconfig(token), "--no-trace")
    assert (verified.code, verified.out) == (1, "")
    assert "nothing verified: the input is incomplete" in verified.err

    ended = ovnqos(*words, "--allow-incomplete", "--max-deletes", "100%", "--yes")
    assert ended.code == 0, ended
    assert len(rows(northbound)) == len(before)


def test_wrong_credentials_are_one_line(cluster: KubernetesApi) -> None:
    ended = ovnqos("render", "--kubeconfig", cluster.kubeconfig("expired"))
    assert (ended.code, ended.out) == (1, "")
    (line,) = ended.errors
    assert "HTTP 401" in line
    assert line.endswith("the credentials are expired or wrong: log in again")


def test_a_cluster_that_is_gone_or_frozen_is_one_line(own_api: KubernetesApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ovnqos.kubernetes.client.REQUEST_TIMEOUT", 1.0)
    kubeconfig = own_api.kubeconfig()
    own_api.freeze_api()
    frozen = ovnqos("render", "--kubeconfig", kubeconfig)
    own_api.thaw_api()
    own_api.stop_api()
    gone = ovnqos("render", "--kubeconfig", kubeconfig)
    for ended in (frozen, gone):
        assert (ended.code, ended.out) == (1, "")
        (line,) = ended.errors
        assert line.startswith(f"Kubernetes API: {own_api.url}: ")


def test_more_pods_than_a_page_holds_are_read(
    cluster: KubernetesApi, command: Callable[..., Ended], namespace: str
) -> None:
    for number in range(501):
        document: dict[str, Any] = pod(f"many-{number}", address="10.245.9.9", labels={"nqos-app": "bw-limited"})
        document["metadata"] |= {"namespace": namespace}
        cluster.create(f"/api/v1/namespaces/{namespace}/pods", document)
    apply(cluster, guide_policy())
    ended = command("explain", "--pod", f"{namespace}/many-500", "--to", "10.245.2.3", "--network", "ovn-stream")
    assert (ended.code, ended.errors) == (0, []), ended


def test_kubectl_runs_the_command_and_its_completion_knows_the_names(
    cluster: KubernetesApi, command: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    kubeconfig = str(cluster.kubeconfig())
    monkeypatch.setenv("PATH", f"{BIN}:{os.environ['PATH']}")
    monkeypatch.setenv("KUBECONFIG", kubeconfig)
    kubectl = [str(kubernetes_program("kubectl")), "ovnqos"]  # it takes no flags before a plugin's name
    rendered = subprocess.run([*kubectl, "render", "-n", "default"], capture_output=True, text=True, check=True)
    assert rendered.stdout == command("render").out
    helped = subprocess.run([*kubectl, "render", "--help"], capture_output=True, text=True, check=True)
    assert helped.stdout.startswith("Usage: kubectl ovnqos render")

    def completed(*words: str) -> list[str]:
        done = subprocess.run([BIN / "kubectl_complete-ovnqos", *words], capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return done.stdout.splitlines()

    assert completed("explain", "--pod", "default/pod") == ["default/pod0", "default/pod1", "default/pod2", ":4"]
    assert completed("apply", "--policy", "default/") == ["default/qos-external", ":4"]
    assert completed("diff", "-n", "kube-p") == ["kube-public", ":4"]
    assert completed("diff", "--context", "") == ["sandbox", ":4"]
    assert {"default/", ":6"} <= {*completed("explain", "--pod", "")}
    assert "--kubeconfig\tOf the cluster to read.  [default: as for kubectl]" in completed("render", "--kube")
    assert completed("render", "-f", "") == [":0"]
    monkeypatch.setenv("KUBECONFIG", "/nonexistent")
    assert completed("explain", "--pod", "default/") == [":4"]


def test_names_complete_from_files(tmp_path: Path) -> None:
    file = tmp_path / "all.yaml"
    file.write_text(guide_text("nqos.yaml"))
    words = f"ovnqos apply -f {file} --policy "
    environment = {"_OVNQOS_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": "5"}
    assert ovnqos_program(environment=environment).out == "plain,default/qos-external\n"
