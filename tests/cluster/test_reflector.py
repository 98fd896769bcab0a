"""Reflectors against a real API server: TLS, RBAC, pages, bookmarks, restarts, compaction, CRDs that come and go."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import tenacity
from structlog.testing import capture_logs

from ovnqos import Namespace, NetworkAttachmentDefinition, NetworkQoS, Node, Pod
from ovnqos.kubernetes import (
    NETWORK_ATTACHMENT_DEFINITIONS,
    NODES,
    PODS,
    RESOURCES,
    Reflector,
    RestartReason,
    RetryPolicy,
    connect,
)
from tests.cluster.conftest import NETWORK_ATTACHMENT_DEFINITION_CRD
from tests.support.reflectors import PATIENCE, Recorder, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovnqos.kubernetes import KubernetesClient, Resource
    from tests.support.kubernetes.api import KubernetesApi

_IMPATIENT = RetryPolicy(longest_delay=0.3, absent_interval=0.2, absence_confirmed_after=0.5)
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_NAD_CRD = f"{_CRDS}/network-attachment-definitions.k8s.cni.cncf.io"


@contextmanager
def _client(api: KubernetesApi, token: str | None = None) -> Iterator[KubernetesClient]:
    client = connect(api.kubeconfig(token))
    try:
        yield client
    finally:
        client.close()


@contextmanager
def _reflected(
    api: KubernetesApi,
    recorder: Recorder,
    resource: Resource,
    *,
    policy: RetryPolicy = _IMPATIENT,
    token: str | None = None,
) -> Iterator[Reflector]:
    with _client(api, token) as client, running(Reflector(resource, client, recorder, policy=policy)) as reflector:
        yield reflector


def _pod(name: str, **labels: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {"nodeName": "node1", "containers": [{"name": "main", "image": "none"}]},
    }


def _told_of(recorder: Recorder, namespace: str) -> list[tuple[list[str], ...]]:
    """What was told of a namespace's objects: of each change the keys updated, invalid and removed."""
    told = [tuple([key for key in keys if key.startswith(f"{namespace}/")] for keys in one) for one in recorder.told]
    return [one for one in told if any(one)]


def _pods(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/pods"


def _attachments(namespace: str) -> str:
    return f"/apis/k8s.cni.cncf.io/v1/namespaces/{namespace}/network-attachment-definitions"


def _attachment(namespace: str) -> dict[str, Any]:
    config = {
        "cniVersion": "0.4.0",
        "type": "ovn-k8s-cni-overlay",
        "name": "blue",
        "topology": "layer2",
        "netAttachDefName": f"{namespace}/blue",
    }
    return {
        "apiVersion": "k8s.cni.cncf.io/v1",
        "kind": "NetworkAttachmentDefinition",
        "metadata": {"name": "blue"},
        "spec": {"config": json.dumps(config)},
    }


def _patch(api: KubernetesApi, path: str, document: dict[str, Any]) -> None:
    status, answer = api.request("PATCH", path, document, content_type="application/merge-patch+json")
    assert status == 200, answer


def _delete(api: KubernetesApi, path: str) -> None:
    """Deletes at once; a pod with a node would else wait for its kubelet."""
    status, answer = api.request("DELETE", path, {"gracePeriodSeconds": 0})
    assert status in {200, 202}, answer


def _remove_crd(api: KubernetesApi) -> None:
    """Returns when neither the definition nor its objects are served."""
    assert api.request("DELETE", _NAD_CRD)[0] == 200
    tenacity.Retrying(
        retry=tenacity.retry_if_result(lambda statuses: statuses != {404}),
        stop=tenacity.stop_after_delay(PATIENCE),
        wait=tenacity.wait_fixed(0.02),
    )(lambda: {api.request("GET", path)[0] for path in (_NAD_CRD, NETWORK_ATTACHMENT_DEFINITIONS.path)})


def _await_restart(reflector: Reflector, reason: RestartReason, count: int) -> None:
    tenacity.Retrying(
        retry=tenacity.retry_if_result(lambda restarts: restarts < count),
        stop=tenacity.stop_after_delay(PATIENCE),
        wait=tenacity.wait_fixed(0.02),
    )(lambda: reflector.restarts[reason])


def test_every_kind_is_reflected_from_one_client(api: KubernetesApi, namespace: str) -> None:
    api.create("/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"node-{namespace}"}})
    api.create(_pods(namespace), _pod("web"))
    api.create(_attachments(namespace), _attachment(namespace))
    policy = {
        "apiVersion": "k8s.ovn.org/v1alpha1",
        "kind": "NetworkQoS",
        "metadata": {"name": "voice"},
        "spec": {"priority": 10, "egress": [{"dscp": 46}]},
    }
    created = api.create(f"/apis/k8s.ovn.org/v1alpha1/namespaces/{namespace}/networkqoses", policy)
    recorder = Recorder()
    with _client(api) as client:
        reflectors = [Reflector(resource, client, recorder, policy=_IMPATIENT) for resource in RESOURCES]
        for reflector in reflectors:
            reflector.start()
        try:
            assert all(reflector.wait_synced(PATIENCE) for reflector in reflectors)
            recorder.wait_until(
                lambda: (
                    {call for call in recorder.calls if isinstance(call, str)}
                    == {resource.kind for resource in RESOURCES}
                )
            )
        finally:
            for reflector in reflectors:
                reflector.stop()
    told = {
        type(one.object): one
        for changes in recorder.changes
        for one in changes.updated
        if namespace in (one.metadata.namespace, one.metadata.name.removeprefix("node-"))
    }
    assert told.keys() == {Namespace, NetworkAttachmentDefinition, NetworkQoS, Node, Pod}
    assert told[NetworkQoS].metadata.uid == created["metadata"]["uid"]
    assert told[NetworkQoS].metadata.generation == 1
    observed = told[NetworkQoS].object
    assert isinstance(observed, NetworkQoS)
    assert observed.diagnostics == ()


def test_objects_made_changed_and_deleted_are_told(api: KubernetesApi, namespace: str) -> None:
    recorder = Recorder()
    key = f"{namespace}/web"
    with _reflected(api, recorder, PODS) as reflector:
        assert reflector.wait_synced(PATIENCE)
        api.create(_pods(namespace), _pod("web", app="db"))
        recorder.wait_until(lambda: key in recorder.world)
        _patch(api, f"{_pods(namespace)}/web", {"metadata": {"labels": {"app": "web"}}})
        recorder.wait_until(lambda: getattr(recorder.world[key], "labels", {}).get("app") == "web")
        _delete(api, f"{_pods(namespace)}/web")
        recorder.wait_until(lambda: key not in recorder.world)
        assert reflector.connected
        assert reflector.last_event_time is not None


def test_more_than_a_thousand_pods_come_in_pages(own_api: KubernetesApi, namespace: str) -> None:
    count = 1100
    names = [f"pod-{number}" for number in range(count)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: own_api.create(_pods(namespace), _pod(name, app="web")), names))
    recorder = Recorder()
    with _reflected(own_api, recorder, PODS) as reflector:
        assert reflector.wait_synced(60)
        recorder.wait_for_calls(2)
        assert len(recorder.changes) == 1
        assert {key for key in recorder.world if key.startswith(namespace)} == {f"{namespace}/{name}" for name in names}
        assert reflector.objects >= count
        _delete(own_api, f"{_pods(namespace)}/pod-7")
        recorder.wait_until(lambda: f"{namespace}/pod-7" not in recorder.world)
        assert reflector.objects == len(recorder.world)


def test_a_restart_of_the_servers_loses_and_repeats_nothing_and_makes_nothing_seem_gone(
    own_api: KubernetesApi, namespace: str
) -> None:
    before, after = f"{namespace}/before", f"{namespace}/after"
    own_api.create(_pods(namespace), _pod("before"))
    own_api.create(_attachments(namespace), _attachment(namespace))
    pods, attachments = Recorder(), Recorder()
    hasty = RetryPolicy(
        first_delay=0.02, longest_delay=0.02
    )  # to meet the moment in which the server does not know its CRDs
    with (
        _reflected(own_api, pods, PODS) as reflector,
        _reflected(own_api, attachments, NETWORK_ATTACHMENT_DEFINITIONS, policy=hasty) as hasty_reflector,
    ):
        pods.wait_until(lambda: before in pods.world)
        attachments.wait_until(lambda: f"{namespace}/blue" in attachments.world)
        own_api.restart()
        own_api.create(_pods(namespace), _pod("after"))
        _patch(own_api, f"{_attachments(namespace)}/blue", {"metadata": {"labels": {"seen": "again"}}})
        pods.wait_until(lambda: after in pods.world)
        attachments.wait_until(lambda: len(_told_of(attachments, namespace)) == 2)
        assert _told_of(pods, namespace) == [([before], [], []), ([after], [], [])]
        assert len(pods.changes) == 2
        assert reflector.restarts[RestartReason.UNREACHABLE] >= 1
        assert reflector.problem == ""
        assert all(not changes.deleted for changes in attachments.changes)
        assert not hasty_reflector.absent


def test_a_version_that_etcd_has_compacted_makes_a_new_list(own_api: KubernetesApi, namespace: str) -> None:
    before, after = f"{namespace}/before", f"{namespace}/after"
    own_api.create(_pods(namespace), _pod("before"))
    recorder = Recorder()
    with _reflected(own_api, recorder, PODS) as reflector:
        recorder.wait_until(lambda: before in recorder.world)
        for number in range(3):  # the version that the watch knows must be older than what is compacted
            document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"other-{number}"}}
            own_api.create(f"/api/v1/namespaces/{namespace}/configmaps", document)
        own_api.compact()
        own_api.create(_pods(namespace), _pod("after"))
        recorder.wait_until(lambda: after in recorder.world)
        assert _told_of(recorder, namespace) == [([before], [], []), ([after], [], [])]
        assert len(recorder.changes) == 2
        assert reflector.restarts[RestartReason.EXPIRED] >= 1


def test_a_watch_that_ends_goes_on_where_it_was(api: KubernetesApi, namespace: str) -> None:
    recorder = Recorder()
    policy = RetryPolicy(watch_shortest=1, watch_longest=1, first_delay=0.01, longest_delay=0.01)
    with _reflected(api, recorder, PODS, policy=policy) as reflector:
        for name in ("first", "second", "third"):
            before = reflector.restarts[RestartReason.CLOSED]
            api.create(_pods(namespace), _pod(name))
            recorder.wait_until(lambda name=name: f"{namespace}/{name}" in recorder.world)  # type: ignore[misc] # the default binds the loop's name
            _await_restart(reflector, RestartReason.CLOSED, before + 1)
        told = [key for updated, _, _ in recorder.told for key in updated if key.startswith(namespace)]
        assert told == [f"{namespace}/{name}" for name in ("first", "second", "third")]
        assert reflector.restarts[RestartReason.EXPIRED] == 0


def test_a_missing_crd_is_noticed_when_it_appears_and_when_it_goes(own_api: KubernetesApi, namespace: str) -> None:
    _remove_crd(own_api)
    recorder = Recorder()
    with _reflected(own_api, recorder, NETWORK_ATTACHMENT_DEFINITIONS) as reflector:
        assert reflector.wait_synced(PATIENCE)
        assert reflector.absent
        own_api.install_crd(NETWORK_ATTACHMENT_DEFINITION_CRD.read_text())
        own_api.create(_attachments(namespace), _attachment(namespace))
        recorder.wait_for_objects(f"{namespace}/blue")
        assert not reflector.absent
        _remove_crd(own_api)
        recorder.wait_for_objects()
        _await_restart(reflector, RestartReason.ABSENT, 2)
        own_api.install_crd(NETWORK_ATTACHMENT_DEFINITION_CRD.read_text())
        own_api.create(_attachments(namespace), _attachment(namespace))
        recorder.wait_for_objects(f"{namespace}/blue")


def test_a_forbidden_resource_is_told_once_and_read_when_it_is_allowed(api: KubernetesApi, namespace: str) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "reader"}}
    api.create(f"/api/v1/namespaces/{namespace}/serviceaccounts", account)
    token = api.token_for_service_account(namespace, "reader")
    api.create(_pods(namespace), _pod("web"))
    name = f"{namespace}-reader"
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]}
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": [rule],
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "namespace": namespace, "name": "reader"}],
    }
    recorder = Recorder()
    with capture_logs() as logs, _reflected(api, recorder, PODS, token=token) as reflector:
        _await_restart(reflector, RestartReason.REFUSED, 3)
        assert reflector.problem.startswith("HTTP 403 Forbidden: pods is forbidden: User")
        api.create(f"{rbac}/clusterroles", role)
        api.create(f"{rbac}/clusterrolebindings", binding)
        recorder.wait_until(lambda: f"{namespace}/web" in recorder.world)
    warnings = [line for line in logs if line["log_level"] == "warning"]
    assert [(line["path"], line["status"]) for line in warnings] == [("/api/v1/pods", 403)]


def test_stop_ends_a_tls_watch_of_a_frozen_server(own_api: KubernetesApi) -> None:
    with _client(own_api) as client:
        recorder = Recorder()
        reflector = Reflector(NODES, client, recorder)
        reflector.start()
        recorder.wait_for_calls(1)
        own_api.freeze_api()
        try:
            reflector.stop()
            assert not reflector.is_alive
        finally:
            own_api.thaw_api()
