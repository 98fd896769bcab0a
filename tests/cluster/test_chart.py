"""The Helm chart, installed by Helm into a real API server: what is there after each step, and what stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.cluster.conftest import describe_api
from tests.support.deploy_tools import HelmError, helm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.kubernetes.api import KubernetesApi

NAMESPACE = "ovnqos"
DEPLOYMENT = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/ovnqosd"
DAEMON_SET = f"/apis/apps/v1/namespaces/{NAMESPACE}/daemonsets/ovnqosd"
BUDGET = f"/apis/policy/v1/namespaces/{NAMESPACE}/poddisruptionbudgets/ovnqosd"
POLICY = f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies/ovnqosd"
CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/networkqoses.k8s.ovn.org"
OBJECTS = "/apis/k8s.ovn.org/v1alpha1/namespaces/default/networkqoses"
OLDEST = 21
"""The minor version of Kubernetes that the chart needs."""


@pytest.fixture(scope="module")
def empty() -> Iterator[KubernetesApi]:
    """An API server of the module's own, without custom resources."""
    with describe_api() as started:
        started.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        yield started


def call(api: KubernetesApi, action: str, values: dict[str, Any] | None = None) -> Any:
    return helm(action, values, name="ovnqosd", namespace=NAMESPACE, kubeconfig=str(api.kubeconfig()))


def there(api: KubernetesApi, *paths: str) -> list[bool]:
    return [api.request("GET", path)[0] == 200 for path in paths]


def test_install_upgrade_and_uninstall_keep_the_custom_resource_and_its_objects(empty: KubernetesApi) -> None:
    if empty.minor_version < OLDEST:
        with pytest.raises(HelmError, match=r"requires kubeVersion: >=1\.21"):
            call(empty, "install")
        return
    assert call(empty, "install")["status"] == "deployed"
    assert there(empty, DEPLOYMENT, BUDGET, DAEMON_SET, POLICY) == [True, True, False, False]
    empty.wait_until(lambda: there(empty, OBJECTS) == [True], what="serve NetworkQoS")
    policy = {
        "apiVersion": "k8s.ovn.org/v1alpha1",
        "kind": "NetworkQoS",
        "metadata": {"name": "gold"},
        "spec": {"priority": 1, "egress": [{"dscp": 1}]},
    }
    empty.create(OBJECTS, policy)
    token = empty.token_for_service_account(NAMESPACE, "ovnqosd")
    assert empty.request("GET", OBJECTS.replace("/namespaces/default", ""), token=token)[0] == 200
    assert empty.request("DELETE", f"{OBJECTS}/gold", token=token)[0] == 403

    assert call(empty, "upgrade", {"mode": "zone", "networkPolicy": {"enabled": True}})["revision"] == 2
    assert there(empty, DEPLOYMENT, BUDGET, DAEMON_SET, POLICY) == [False, False, True, True]
    call(empty, "uninstall")
    assert there(empty, DEPLOYMENT, BUDGET, DAEMON_SET, POLICY) == [False] * 4
    assert there(empty, CRD, f"{OBJECTS}/gold") == [True, True]
    assert call(empty, "install")["status"] == "deployed"
    assert there(empty, f"{OBJECTS}/gold") == [True]
