"""Events of NetworkQoS objects on a real API server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovnqosd.loop.outcomes import Drift, DriftKind
from ovnqosd.status.event_writer import EventWriter
from ovnqosd.status.events import events_of_condition, events_of_drift
from ovnqosd.status.policy_outcome import APPLIED, PolicyOutcome, Reason
from tests.cluster.support_status import client_of, create_policy, wait_for_object
from tests.support.outcomes import cause

if TYPE_CHECKING:
    from tests.support.kubernetes.api import KubernetesApi

PATIENCE = 30.0


def test_events_are_kept_counted_and_shown_with_the_object(api: KubernetesApi, namespace: str) -> None:
    uid = create_policy(api, namespace)["metadata"]["uid"]
    key, path = f"{namespace}/gold", f"/api/v1/namespaces/{namespace}/events"
    causes = (cause("99", path="spec.egress[0].dscp"),)
    invalid = PolicyOutcome(key=key, uid=uid, generation=1, reason=Reason.INVALID, causes=causes)
    drift = Drift(kind=DriftKind.ROW_DELETED, what="id-7", policy=key, found="")
    with client_of(api) as client:
        writer = EventWriter(client, "node1", interval=0.0)
        writer.start()
        writer.record(events_of_condition(invalid, None))
        wait_for_object(api, path, lambda one: one["reason"] == "Invalid")
        writer.record(events_of_condition(invalid, None))
        counted = wait_for_object(api, path, lambda one: one["reason"] == "Invalid" and one["count"] == 2)
        writer.record(events_of_drift([drift], lambda _: uid))
        writer.stop(drain_seconds=PATIENCE)
    assert counted["message"] == "spec.egress[0].dscp: 99"
    assert counted["type"] == "Warning"
    query = f"fieldSelector=involvedObject.kind=NetworkQoS,involvedObject.uid={uid}"
    _, core = api.request("GET", f"{path}?{query}")
    assert sorted(event["reason"] for event in core["items"]) == ["DriftRepaired", "Invalid"]
    _, new = api.request("GET", f"/apis/events.k8s.io/v1/namespaces/{namespace}/events")
    regarding: list[Any] = [event["regarding"]["name"] for event in new["items"]]
    assert regarding == ["gold", "gold"]


def test_kubectl_describe_shows_the_event(api: KubernetesApi, namespace: str) -> None:
    uid = create_policy(api, namespace)["metadata"]["uid"]
    success = PolicyOutcome(key=f"{namespace}/gold", uid=uid, generation=1, reason=Reason.SUCCESS)
    with client_of(api) as client:
        writer = EventWriter(client, "node1")
        writer.start()
        writer.record(events_of_condition(success, None))
        writer.stop(drain_seconds=PATIENCE)
    shown = api.kubectl("describe", "networkqos", "gold", "--namespace", namespace)
    (line,) = (line for line in shown.splitlines() if "Applied" in line)
    assert line.split()[:2] == ["Normal", "Applied"]
    assert APPLIED in line
