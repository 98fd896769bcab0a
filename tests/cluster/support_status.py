"""NetworkQoS objects on a real API server, and how to wait for what becomes of them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ovnqos.kubernetes import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ovnqos.kubernetes import KubernetesClient
    from tests.support.kubernetes.api import KubernetesApi


def collection(namespace: str) -> str:
    return f"/apis/k8s.ovn.org/v1alpha1/namespaces/{namespace}/networkqoses"


def create_policy(api: KubernetesApi, namespace: str, name: str = "gold") -> dict[str, Any]:
    document = {
        "apiVersion": "k8s.ovn.org/v1alpha1",
        "kind": "NetworkQoS",
        "metadata": {"name": name},
        "spec": {"priority": 1, "egress": [{"dscp": 20}]},
    }
    return api.create(collection(namespace), document)


def read_policy(api: KubernetesApi, namespace: str, name: str = "gold") -> dict[str, Any]:
    status, document = api.request("GET", f"{collection(namespace)}/{name}")
    assert status == 200, document
    found: dict[str, Any] = document
    return found


def wait_for_object(api: KubernetesApi, path: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The first object of a collection of which it holds; fails after half a minute without an event."""
    for event in api.watch(f"{path}?watch=true&timeoutSeconds=30"):
        if holds(event["object"]):
            found: dict[str, Any] = event["object"]
            return found
    raise AssertionError("it never came to hold")


def conditions(document: dict[str, Any]) -> dict[str, str]:
    """Reasons of the zones' conditions, by type."""
    found = document.get("status", {}).get("conditions", [])
    return {condition["type"]: condition["reason"] for condition in found if condition["type"] != "Ready"}


def ready(document: dict[str, Any]) -> tuple[str, str]:
    """Status and reason of the condition over all zones."""
    (found,) = (one for one in document["status"]["conditions"] if one["type"] == "Ready")
    return found["status"], found["reason"]


def summary(document: dict[str, Any]) -> str:
    return str(document.get("status", {}).get("status", ""))


@contextmanager
def client_of(api: KubernetesApi) -> Iterator[KubernetesClient]:
    client = connect(api.kubeconfig())
    try:
        yield client
    finally:
        client.close()
