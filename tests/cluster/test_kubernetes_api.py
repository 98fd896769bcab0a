"""The Kubernetes API that the tier runs on: it behaves as a cluster's, and leaves nothing behind."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
from kubernetes import client, config

from ovnqos.sandbox import MissingProgramError, SandboxError
from tests.cluster.conftest import describe_api
from tests.support.kubernetes.api import KubernetesApi
from tests.support.kubernetes.programs import BUILDS

NAMESPACES = "/api/v1/namespaces"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
HOLDER = """
import sys
from tests.support.kubernetes.api import KubernetesApi
with KubernetesApi() as api:
    print(api.pid, api.etcd.pid, flush=True)
    sys.stdin.read()
"""


def config_maps(namespace: str) -> str:
    return f"{NAMESPACES}/{namespace}/configmaps"


def config_map(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}


def service_account(api: KubernetesApi, namespace: str, name: str) -> str:
    document = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}
    api.create(f"{NAMESPACES}/{namespace}/serviceaccounts", document)
    return api.token_for_service_account(namespace, name)


def resource_version(api: KubernetesApi, path: str) -> str:
    return str(api.request("GET", path)[1]["metadata"]["resourceVersion"])


def wait_for_end(pid: int) -> None:
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        assert poll.poll(10_000), f"process {pid} still runs"
    finally:
        os.close(pidfd)


def test_nothing_is_left_after_the_end() -> None:
    with describe_api() as api:
        pids = (api.pid, api.etcd.pid)
        assert api.request("GET", "/readyz") == (200, "ok")
    assert not api.running
    assert not api.etcd.running
    assert not api.folder.exists()
    for pid in pids:
        wait_for_end(pid)
    with pytest.raises(URLError, match="refused"):
        api.request("GET", "/readyz")


def test_the_servers_die_with_a_killed_parent(tmp_path: Path) -> None:
    describe_api()
    command = [sys.executable, "-c", HOLDER]
    environment = os.environ | {"TMPDIR": str(tmp_path)}  # the killed one cannot remove its folder
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as holder:
        assert holder.stdout is not None
        pids = [int(word) for word in holder.stdout.readline().split()]
        holder.kill()
    assert len(pids) == 2
    for pid in pids:
        wait_for_end(pid)


@pytest.mark.parametrize("server", BUILDS)
def test_a_missing_program_is_told_with_the_script_that_brings_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: str
) -> None:
    monkeypatch.setenv("OVNQOS_KUBERNETES", server)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder, script = BUILDS[server]
    assert (Path(__file__).parents[2] / script).stat().st_mode & 0o111
    with pytest.raises(MissingProgramError, match=f"{folder}/kube-apiserver; run {script}"):
        KubernetesApi()


def test_the_server_of_the_environment_must_be_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVNQOS_KUBERNETES", "1.19")
    with pytest.raises(SandboxError, match=r"OVNQOS_KUBERNETES: unknown server 1\.19; use one of 1\.20, modern"):
        KubernetesApi()


def test_the_named_server_is_the_one_that_runs(api: KubernetesApi) -> None:
    named = os.environ.get("OVNQOS_KUBERNETES", "")
    assert api.minor_version >= 33 if named == "modern" else api.minor_version >= 20


def test_programs_are_looked_for_where_envtest_looks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("OVNQOS_KUBERNETES", raising=False)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    with pytest.raises(MissingProgramError, match=f"kube-apiserver in {tmp_path}, which KUBEBUILDER_ASSETS names"):
        KubernetesApi()


def test_an_unknown_token_is_nobody(api: KubernetesApi) -> None:
    status, answer = api.request("GET", NAMESPACES, token="guessed")
    assert (status, answer["reason"]) == (401, "Unauthorized")


def test_a_service_account_may_do_what_it_was_given_and_nothing_else(api: KubernetesApi, namespace: str) -> None:
    token = service_account(api, namespace, "reader")
    path = config_maps(namespace)
    status, answer = api.request("GET", path, token=token)
    assert status == 403
    assert f'User "system:serviceaccount:{namespace}:reader" cannot list resource "configmaps"' in answer["message"]
    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}]
    api.create(
        f"{RBAC}/namespaces/{namespace}/roles",
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "read"}, "rules": rules},
    )
    api.create(
        f"{RBAC}/namespaces/{namespace}/rolebindings",
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "read"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "read"},
            "subjects": [{"kind": "ServiceAccount", "name": "reader", "namespace": namespace}],
        },
    )
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": f"system:serviceaccount:{namespace}:reader",
            "resourceAttributes": {"namespace": namespace, "verb": "list", "resource": "configmaps"},
        },
    }
    api.wait_until(
        lambda: api.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", review)["status"]["allowed"],
        what="notice the role binding",
    )
    assert api.request("GET", path, token=token)[0] == 200
    assert api.request("POST", path, config_map("x"), token=token)[0] == 403


def test_a_token_for_an_account_that_is_not_there_is_refused(api: KubernetesApi, namespace: str) -> None:
    with pytest.raises(SandboxError, match='404: serviceaccounts "nobody" not found'):
        api.token_for_service_account(namespace, "nobody")


def test_the_kubeconfig_serves_kubectl_and_the_python_client(api: KubernetesApi, namespace: str) -> None:
    connection = config.new_client_from_config(str(api.kubeconfig()))  # type: ignore[no-untyped-call] # it has no types
    with connection:
        names = [item.metadata.name for item in client.CoreV1Api(connection).list_namespace().items if item.metadata]
    assert namespace in names
    assert f"namespace/{namespace}" in api.kubectl("get", "namespaces", "-o", "name").splitlines()
    token = service_account(api, namespace, "stranger")
    with pytest.raises(SandboxError, match="Forbidden"):
        api.kubectl("get", "namespaces", token=token)


def test_a_watch_tells_changes_and_bookmarks(api: KubernetesApi, namespace: str) -> None:
    path = config_maps(namespace)
    query = f"?watch=true&allowWatchBookmarks=true&timeoutSeconds=5&resourceVersion={resource_version(api, path)}"
    watch = api.watch(path + query)
    created = api.create(path, config_map("one"))["metadata"]
    event = next(watch)
    assert (event["type"], event["object"]["metadata"]["resourceVersion"]) == ("ADDED", created["resourceVersion"])
    # one or more are sent 2 s before the end of the watch, if an object of the kind changed elsewhere meanwhile
    elsewhere = api.create(config_maps("default"), config_map(namespace))["metadata"]
    bookmarks = [event["object"]["metadata"] for event in watch if event["type"] == "BOOKMARK"]
    # a newer server counts changes of other kinds, too
    assert bookmarks
    assert all(int(one["resourceVersion"]) >= int(elsewhere["resourceVersion"]) for one in bookmarks)


def test_a_restart_keeps_objects_url_and_tokens_and_breaks_watches_and_connections(
    own_api: KubernetesApi, namespace: str
) -> None:
    path = config_maps(namespace)
    own_api.create(path, config_map("kept"))
    token = service_account(own_api, namespace, "lasting")
    url = own_api.url
    watch = own_api.watch(f"{path}?watch=true")
    assert next(watch)["object"]["metadata"]["name"] == "kept"
    own_api.stop_api()
    with pytest.raises(URLError, match="refused"):
        own_api.request("GET", NAMESPACES)
    own_api.etcd.kill()
    own_api.etcd.start()
    own_api.start_api()
    assert [event for event in watch if event["object"]["metadata"]["name"] == "kept"] == []  # it ends
    assert own_api.url == url
    assert own_api.request("GET", f"{path}/kept")[0] == 200
    assert own_api.request("GET", path, token=token)[0] == 403  # known, though without rights


def test_a_frozen_api_takes_connections_and_answers_when_it_goes_on(own_api: KubernetesApi) -> None:
    own_api.freeze_api()
    try:
        with pytest.raises(OSError, match="timed out"):
            next(own_api.watch(f"{NAMESPACES}?watch=true", timeout=0.2))
    finally:
        own_api.thaw_api()
    assert own_api.request("GET", NAMESPACES)[0] == 200


def test_after_a_compaction_an_old_resource_version_is_gone(own_api: KubernetesApi, namespace: str) -> None:
    path = f"/apis/k8s.ovn.org/v1alpha1/namespaces/{namespace}/networkqoses"
    for name in ("first", "second", "third"):
        own_api.create(
            path,
            {
                "apiVersion": "k8s.ovn.org/v1alpha1",
                "kind": "NetworkQoS",
                "metadata": {"name": name},
                "spec": {"priority": 1, "egress": []},
            },
        )
    page = own_api.request("GET", f"{path}?limit=1")[1]["metadata"]
    old = page["resourceVersion"]
    own_api.create(config_maps(namespace), config_map("later"))
    own_api.compact()
    own_api.wait_until(lambda: own_api.request("GET", path)[0] == 200, what="serve the custom resource again")
    (event,) = own_api.watch(f"{path}?watch=true&resourceVersion={old}")
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
    status, answer = own_api.request("GET", f"{path}?limit=1&continue={page['continue']}")
    assert (status, answer["reason"]) == (410, "Expired")
    assert len(own_api.request("GET", path)[1]["items"]) == 3
