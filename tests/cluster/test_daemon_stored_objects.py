"""Objects that were stored before the custom resource's schema became as strict as it is."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.cluster.support_daemon import (
    APPLIED,
    COLLECTIONS,
    Daemon,
    apply,
    eventually,
    guide_policy,
    rows,
    wait_for_rows,
    wait_for_status,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ovnqos.sandbox import NorthboundServer
    from tests.support.kubernetes.api import KubernetesApi

CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/networkqoses.k8s.ovn.org"
RATCHETING = 30
"""The minor version of Kubernetes from which a CRD's API server lets an invalid part that does not change be."""
NOT_WRITTEN = "write refused; retrying"
EVENTS = "/api/v1/namespaces/default/events?fieldSelector=involvedObject.name=qos-external"


def accepts(api: KubernetesApi, policy: dict[str, Any]) -> bool:
    return api.request("POST", f"{COLLECTIONS['NetworkQoS']}?dryRun=All", policy)[0] == 201


def set_schema(api: KubernetesApi, schema: object) -> None:
    patch = [{"op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema", "value": schema}]
    status, answer = api.request("PATCH", CRD, patch, content_type="application/json-patch+json")
    assert status == 200, answer


@contextmanager
def lenient_schema(api: KubernetesApi, policy: dict[str, Any]) -> Iterator[None]:
    """Inside, the API server takes the policy, whatever is in it; before and after it does not."""
    assert not accepts(api, policy)
    strict = api.request("GET", CRD)[1]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    set_schema(api, {"type": "object", "properties": {"spec": anything, "status": anything}})
    try:
        api.wait_until(lambda: accepts(api, policy), what="take what its schema did not allow")
        yield
    finally:
        set_schema(api, strict)
        api.wait_until(lambda: not accepts(api, policy), what="be strict again")


def told(api: KubernetesApi, reason: str) -> list[dict[str, Any]]:
    return [event for event in api.request("GET", EVENTS)[1]["items"] if event["reason"] == reason]


@eventually
def wait_for_event(api: KubernetesApi, reason: str, uid: str) -> dict[str, Any]:
    found = [event for event in told(api, reason) if event["involvedObject"]["uid"] == uid]
    assert found, api.request("GET", EVENTS)
    return found[0]


def test_what_the_status_may_not_say_an_event_says_once_until_the_object_is_mended(
    start: Callable[..., Daemon], cluster: KubernetesApi, northbound: NorthboundServer
) -> None:
    policy = guide_policy(dscp=99)
    with lenient_schema(cluster, policy):
        apply(cluster, policy)
    uid = cluster.request("GET", f"{COLLECTIONS['NetworkQoS']}/qos-external")[1]["metadata"]["uid"]
    daemon = start()
    event = wait_for_event(cluster, "Invalid", uid)
    assert event["type"] == "Warning"
    assert "spec.egress[0].dscp" in event["message"]
    assert rows(northbound) == []
    ratcheting = cluster.minor_version >= RATCHETING
    if ratcheting:  # what was invalid before may stay so; the status can be written
        wait_for_status(cluster, "Invalid in zone global")
    else:
        assert "HTTP 422" in event["message"]
        daemon.wait_for_line(NOT_WRITTEN)
    apply(cluster, guide_policy())
    wait_for_status(cluster, APPLIED)
    wait_for_rows(northbound, 2, "dscp=20")
    assert wait_for_event(cluster, "Applied", uid)["type"] == "Normal"
    events = [one for one in told(cluster, "Invalid") if one["involvedObject"]["uid"] == uid]
    assert [one["count"] for one in events] == [1]
    assert len(daemon.lines(NOT_WRITTEN)) == (0 if ratcheting else 1)
