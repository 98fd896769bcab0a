"""The admission policy as shipped: only network plugins write the annotations that say which networks a pod has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ovnqos.sandbox.programs import SandboxError
from tests.support.deploy import DEPLOY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.kubernetes.api import KubernetesApi

COMPONENT = DEPLOY / "components" / "admission-policy" / "admission-policy.yaml"
OLDEST = 30
"""The minor version of Kubernetes that has such policies."""
MERGE = "application/merge-patch+json"
NETWORKS = "k8s.ovn.org/pod-networks"
WIRED = {
    NETWORKS: '{"default": {"ip_addresses": ["10.0.0.5/24"]}}',
    "ovn.kubernetes.io/allocated": "true",
    "ovn.kubernetes.io/logical_switch": "subnet",
    "net.shop.ovn.kubernetes.io/ip_address": "10.1.0.5",
}
CHANGES: list[dict[str, str | None]] = [
    {NETWORKS: "{"},
    {NETWORKS: None},
    {"ovn.kubernetes.io/allocated": "false"},
    {"ovn.kubernetes.io/logical_switch": "other"},
    {"ovn.kubernetes.io/logical_switch": None},
    {"net.shop.ovn.kubernetes.io/ip_address": "10.1.0.6"},
    {"net.shop.ovn.kubernetes.io/allocated": "true"},
]


def account(api: KubernetesApi, namespace: str, name: str) -> str:
    """The token of an account that may edit pods anywhere."""
    api.create(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": name}})
    rules = [{"apiGroups": [""], "resources": ["pods", "pods/status"], "verbs": ["*"]}]
    roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
    role = api.create(roles, {"metadata": {"generateName": "edits-pods-"}, "rules": rules})["metadata"]["name"]
    api.create(
        roles.replace("clusterroles", "clusterrolebindings"),
        {
            "metadata": {"name": role},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "ServiceAccount", "namespace": namespace, "name": name}],
        },
    )
    return api.token_for_service_account(namespace, name)


def pod(name: str, annotations: dict[str, str]) -> dict[str, Any]:
    spec = {"containers": [{"name": "c", "image": "c"}], "nodeName": "node1"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "annotations": annotations}, "spec": spec}


def patch(api: KubernetesApi, path: str, annotations: dict[str, str | None], token: str | None) -> int:
    body = {"metadata": {"annotations": annotations}}
    return api.request("PATCH", path, body, token=token, content_type=MERGE)[0]


@pytest.fixture(scope="module")
def policy(api: KubernetesApi) -> Iterator[None]:
    if api.minor_version < OLDEST:
        with pytest.raises(SandboxError):
            api.kubectl("apply", "-f", str(COMPONENT))
        pytest.skip(f"Kubernetes 1.{api.minor_version} has no ValidatingAdmissionPolicy, and kubectl says so")
    api.kubectl("apply", "-f", str(COMPONENT))
    yield
    api.kubectl("delete", "-f", str(COMPONENT))


@pytest.mark.usefixtures("policy")
def test_a_tenant_changes_no_networks_of_a_pod_and_its_network_plugin_does(api: KubernetesApi, namespace: str) -> None:
    tenant = account(api, namespace, "tenant")
    api.create("/api/v1/namespaces", {"metadata": {"name": "ovn-kubernetes"}})
    plugin = account(api, "ovn-kubernetes", "node")
    pods = f"/api/v1/namespaces/{namespace}/pods"
    path = f"{pods}/web"
    api.wait_until(lambda: api.request("GET", pods, token=tenant)[0] == 200, what="notice the role binding")
    api.wait_until(lambda: api.request("GET", pods, token=plugin)[0] == 200, what="notice the role binding")

    def is_refused(annotations: dict[str, str]) -> bool:
        status, _ = api.request("POST", f"{pods}?dryRun=All", pod("forged", annotations), token=tenant)
        return status == 403

    api.wait_until(lambda: is_refused({NETWORKS: "{}"}), what="notice the policy")
    assert is_refused({"ovn.kubernetes.io/allocated": "true"})
    asked = {"ovn.kubernetes.io/logical_switch": "subnet", "qos.projectcalico.org/egressBandwidth": "1M"}
    assert not is_refused(asked)
    status, _ = api.request("POST", pods, pod("web", asked), token=tenant)
    assert status == 201
    for where in (path, f"{path}/status"):
        assert patch(api, where, dict(WIRED), plugin) == 200
        for change in CHANGES:
            assert patch(api, where, change, tenant) == 403, change
        assert patch(api, where, {"qos.projectcalico.org/egressBandwidth": "2M", "app": "web"}, tenant) == 200
        assert patch(api, where, {NETWORKS: "{}"}, plugin) == 200
        assert patch(api, where, {NETWORKS: WIRED[NETWORKS]}, None) == 200  # a member of system:masters
