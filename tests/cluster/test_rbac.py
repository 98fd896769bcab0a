"""The rights as shipped, on a real API server: the daemon's account can do its work with them, and nothing else."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tenacity
import yaml

from ovnqos.kubernetes import RESOURCES, Interruption, Reflector, connect
from ovnqosd.leadership.lease import Lease, LeaseRecord, micro_time
from ovnqosd.settings.settings import Settings
from ovnqosd.status.event_writer import EventWriter
from ovnqosd.status.events import WARNING, Event
from ovnqosd.status.policy_outcome import PolicyOutcome, Reason
from ovnqosd.status.status_writer import StatusWriter
from tests.support.reflectors import PATIENCE, Recorder, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovnqos.kubernetes import KubernetesClient, Resource
    from tests.support.kubernetes.api import KubernetesApi

DEPLOY = Path(__file__).parents[2] / "daemon" / "deploy"
NAMESPACE = "ovnqos"
ACCOUNT = "ovnqosd"
_WORKLOADS = {
    "Deployment": (DEPLOY / "overlays" / "central" / "deployment.yaml", "deployments"),
    "DaemonSet": (DEPLOY / "overlays" / "zone" / "daemon-set.yaml", "daemonsets"),
}
_POLICIES = "/apis/k8s.ovn.org/v1alpha1/namespaces/{}/networkqoses"


@pytest.fixture(scope="module")
def token(api: KubernetesApi) -> str:
    """The token of the daemon's account, with the rights as shipped and in force."""
    api.kubectl("apply", "-k", str(DEPLOY / "base"))
    api.wait_until(lambda: may(api, "list", "", "nodes"), what="notice the role binding")
    api.wait_until(
        lambda: may(api, "get", "coordination.k8s.io", "leases", namespace=NAMESPACE), what="notice the role binding"
    )
    return api.token_for_service_account(NAMESPACE, ACCOUNT)


@pytest.fixture
def client(api: KubernetesApi, token: str) -> Iterator[KubernetesClient]:
    """The daemon's client, under its account."""
    connection = connect(api.kubeconfig(token))
    yield connection
    connection.close()


@pytest.fixture
def policy(api: KubernetesApi, namespace: str) -> PolicyOutcome:
    """How an object of the test's own stands."""
    created = api.create(
        _POLICIES.format(namespace),
        {
            "apiVersion": "k8s.ovn.org/v1alpha1",
            "kind": "NetworkQoS",
            "metadata": {"name": "gold"},
            "spec": {"priority": 1, "egress": [{"dscp": 46}]},
        },
    )
    return PolicyOutcome(
        key=f"{namespace}/gold",
        uid=created["metadata"]["uid"],
        generation=1,
        reason=Reason.SUCCESS,
    )


def may(api: KubernetesApi, verb: str, group: str, resource: str, *, namespace: str = "") -> bool:
    name, _, subresource = resource.partition("/")
    review = api.create(
        "/apis/authorization.k8s.io/v1/subjectaccessreviews",
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {
                "user": f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}",
                "groups": ["system:serviceaccounts", "system:authenticated"],
                "resourceAttributes": {
                    "verb": verb,
                    "group": group,
                    "resource": name,
                    "subresource": subresource,
                    "namespace": namespace,
                },
            },
        },
    )
    return bool(review["status"]["allowed"])


def until(condition: Any) -> None:
    tenacity.Retrying(
        retry=tenacity.retry_if_result(lambda held: not held),
        stop=tenacity.stop_after_delay(PATIENCE),
        wait=tenacity.wait_fixed(0.02),
    )(condition)


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.kind)
def test_the_account_lists_and_watches(resource: Resource, client: KubernetesClient) -> None:
    with running(Reflector(resource, client, Recorder())) as reflector:
        assert reflector.wait_synced(PATIENCE), reflector.problem
        until(lambda: reflector.connected or reflector.problem)
        assert reflector.problem == ""
        assert not reflector.absent


def test_the_account_reads_a_node(api: KubernetesApi, client: KubernetesClient, namespace: str) -> None:
    name = f"node-{namespace}"
    api.create("/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})
    document = client.request("GET", f"/api/v1/nodes/{name}")
    assert document["kind"] == "Node"


def test_the_account_writes_a_status(api: KubernetesApi, client: KubernetesClient, policy: PolicyOutcome) -> None:
    written = threading.Event()
    writer = StatusWriter(client, "a", on_condition=lambda _outcome, _previous: written.set())
    writer.start()
    try:
        writer.set_outcomes([policy])
        assert written.wait(PATIENCE)
    finally:
        writer.stop()
    namespace, name = policy.key.split("/")
    status = api.request("GET", f"{_POLICIES.format(namespace)}/{name}")[1]["status"]
    assert [one["type"] for one in status["conditions"]] == ["Ready", "Ready-In-Zone-a"]


def test_the_account_writes_an_event_and_counts_it(
    api: KubernetesApi, client: KubernetesClient, policy: PolicyOutcome
) -> None:
    namespace, _ = policy.key.split("/")
    event = Event(key=policy.key, uid=policy.uid, type=WARNING, reason="Invalid", message="spec.priority: too high")

    def counts() -> list[int]:
        return [one["count"] for one in api.request("GET", f"/api/v1/namespaces/{namespace}/events")[1]["items"]]

    writer = EventWriter(client, "node1", interval=0.0)
    writer.start()
    try:
        for count in (1, 2):
            writer.record([event])
            until(lambda count=count: counts() == [count])
    finally:
        writer.stop()


def test_the_account_holds_its_lease(client: KubernetesClient) -> None:
    lease = Lease(client, NAMESPACE, Settings().lease_name)
    interruption = Interruption()
    now = micro_time(1.8e9)
    record = LeaseRecord(holder="a", duration=15, acquired=now, renewed=now)
    assert lease.write(record, interruption, timeout=PATIENCE) is not None
    kept = lease.read(interruption, timeout=PATIENCE)
    assert kept is not None
    assert lease.write(kept, interruption, timeout=PATIENCE) is not None


@pytest.mark.usefixtures("token")
@pytest.mark.parametrize(
    ("namespace", "forbidden"),
    [
        ("default", "k8s.ovn.org: update, patch, delete networkqoses"),
        ("default", "k8s.cni.cncf.io: update network-attachment-definitions"),
        ("default", ": create, patch, delete pods"),
        ("default", ": create pods/exec"),
        ("default", ": list, delete events"),
        (NAMESPACE, ": get, list secrets"),
        (NAMESPACE, ": get, list configmaps"),
        ("", ": list secrets"),
        ("", ": patch, delete nodes"),
        ("", ": impersonate users"),
        ("kube-system", "coordination.k8s.io: get, update leases"),
        (NAMESPACE, "coordination.k8s.io: delete, list leases"),
        (NAMESPACE, "rbac.authorization.k8s.io: create, bind rolebindings"),
    ],
)
def test_the_account_may_not(api: KubernetesApi, namespace: str, forbidden: str) -> None:
    group, _, words = forbidden.partition(": ")
    verbs, _, resource = words.rpartition(" ")
    assert [verb for verb in verbs.split(", ") if may(api, verb, group, resource, namespace=namespace)] == []


@pytest.mark.parametrize("kind", _WORKLOADS)
def test_the_api_server_keeps_every_field_of_the_workload(kind: str, api: KubernetesApi, token: str) -> None:
    file, plural = _WORKLOADS[kind]
    manifest = yaml.safe_load(file.read_text())
    kept = api.create(f"/apis/apps/v1/namespaces/{NAMESPACE}/{plural}?dryRun=All", manifest)
    assert manifest["kind"] == kind
    assert lost(manifest, kept) == []


def lost(sent: Any, kept: Any, path: str = "") -> list[str]:
    """Where the API server has dropped or changed what it was sent: that field it does not know."""
    if isinstance(sent, dict) and isinstance(kept, dict):
        return [fault for key, value in sent.items() for fault in lost(value, kept.get(key), f"{path}.{key}")]
    if isinstance(sent, list) and isinstance(kept, list) and len(sent) == len(kept):
        return [
            fault
            for number, pair in enumerate(zip(sent, kept, strict=True))
            for fault in lost(*pair, f"{path}[{number}]")
        ]
    return [] if sent == kept else [path]
