"""The status of NetworkQoS objects as a real API server keeps it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from ovnqos.controller import PolicyCounts
from ovnqos.kubernetes import NETWORK_QOSES, Reflector, RetryPolicy
from ovnqos.sandbox.programs import SandboxError
from ovnqosd.status.object_status import ObservedStatus
from ovnqosd.status.policy_outcome import APPLIED, PolicyOutcome, Reason
from ovnqosd.status.status_plan import StatusTiming
from ovnqosd.status.status_writer import StatusWriter
from tests.cluster.support_status import (
    client_of,
    collection,
    conditions,
    create_policy,
    read_policy,
    ready,
    summary,
    wait_for_object,
)
from tests.support.outcomes import cause

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovnqos.kubernetes import Changes, KubernetesClient
    from tests.support.kubernetes.api import KubernetesApi

PATIENCE = 30.0
SOON = StatusTiming(
    spacing=0.0, count_spacing=0.0, retract_after=0.0, unavailable_after=0.0, pending_after=0.0, missing_retry=0.0
)


class Zone:
    """A status writer with the reflector that shows it the objects, as in the daemon."""

    def __init__(self, client: KubernetesClient, name: str) -> None:
        policy = RetryPolicy(longest_delay=1.0)
        self.writer = StatusWriter(client, name, timing=SOON, outage=policy)
        resource = replace(NETWORK_QOSES, parse_status=self.writer.parse_status)
        self.reflector = Reflector(resource, client, self, policy=policy)
        self.removed = threading.Event()

    def changed(self, changes: Changes) -> None:
        for one in changes.updated:
            assert isinstance(one.status, ObservedStatus)
            self.writer.observe(one.status)
        self.writer.delete(changes.deleted)
        if changes.deleted:
            self.removed.set()

    def synced(self, kind: str) -> None:
        """Needs nothing."""


@contextmanager
def zone(client: KubernetesClient, name: str, *, aggregating: bool = False) -> Iterator[StatusWriter]:
    found = Zone(client, name)
    found.writer.aggregate(aggregating)
    found.writer.start()
    found.reflector.start()
    assert found.reflector.wait_synced(PATIENCE)
    try:
        yield found.writer
    finally:
        found.writer.stop(drain_seconds=PATIENCE)
        found.reflector.stop()


def outcome_of(document: dict[str, Any], reason: Reason = Reason.SUCCESS, *, sources: bool = True) -> PolicyOutcome:
    metadata = document["metadata"]
    return PolicyOutcome(
        key=f"{metadata['namespace']}/{metadata['name']}",
        uid=metadata["uid"],
        generation=metadata["generation"],
        reason=reason,
        causes=() if reason is Reason.SUCCESS else (cause(f"{reason} in words"),),
        sources=sources,
    )


def test_a_zone_in_charge_says_that_the_object_is_applied(api: KubernetesApi, namespace: str) -> None:
    policy = create_policy(api, namespace)
    with client_of(api) as client, zone(client, "global", aggregating=True) as writer:
        writer.set_outcomes([outcome_of(policy)])
        found = wait_for_object(api, collection(namespace), lambda one: summary(one) == APPLIED)
    by_type = {one["type"]: one for one in found["status"]["conditions"]}
    assert by_type.keys() == {"Ready", "Ready-In-Zone-global"}
    for kind, condition in by_type.items():
        assert condition.pop("lastTransitionTime") > "2000"
        assert condition == {
            "type": kind,
            "status": "True",
            "reason": "Success",
            "message": APPLIED,
            "observedGeneration": 1,
        }
    assert found["status"]["zones"] == {"global": {"pods": 0, "rows": 0, "switches": 0}}
    managers = {entry["manager"] for entry in found["metadata"]["managedFields"] if entry["operation"] == "Apply"}
    assert managers == {"ovnqosd-zone-global", "ovnqosd-aggregator"}


def counted(outcome: PolicyOutcome, pods: int) -> PolicyOutcome:
    return replace(outcome, counts=PolicyCounts(pods=pods, rows=1, switches=1))


def test_kubectl_waits_for_ready_and_shows_the_pods_of_all_zones(api: KubernetesApi, namespace: str) -> None:
    policy = create_policy(api, namespace)
    path = collection(namespace)
    with client_of(api) as client, zone(client, "a", aggregating=True) as first, zone(client, "b") as second:
        first.set_outcomes([counted(outcome_of(policy), 2)])
        second.set_outcomes([counted(outcome_of(policy, Reason.WAITING), 3)])
        wait_for_object(api, path, lambda one: ready(one) == ("False", "Waiting"))
        with pytest.raises(SandboxError, match="timed out"):
            api.kubectl("wait", "--for=condition=Ready", "nqos/gold", "-n", namespace, "--timeout=1s")
        second.set_outcomes([counted(outcome_of(policy), 3)])
        api.kubectl("wait", "--for=condition=Ready", "nqos/gold", "-n", namespace, f"--timeout={PATIENCE}s")
        found = wait_for_object(api, path, lambda one: one["status"].get("pods") == 5)
    status = found["status"]
    assert (status["pods"], status["rows"], status["switches"]) == (5, 2, 2)
    assert status["zones"]["b"] == {"pods": 3, "rows": 1, "switches": 1}
    shown = api.kubectl("get", "nqos", "gold", "-n", namespace).splitlines()
    assert shown[0].split() == ["NAME", "PRIORITY", "STATUS", "PODS", "AGE"]
    assert shown[1][shown[0].index("PODS") :].split()[0] == "5"


def test_the_column_status_is_never_blank(api: KubernetesApi, namespace: str) -> None:
    seen: list[str] = []

    def ends(document: dict[str, Any]) -> bool:
        seen.append(summary(document))
        return document["metadata"]["generation"] == 2 and seen[-1] == APPLIED and ready(document)[0] == "True"

    policy = create_policy(api, namespace)
    path = collection(namespace)
    assert (summary(policy), ready(policy)) == ("Pending", ("Unknown", "Pending"))
    with client_of(api) as client, zone(client, "b") as second, zone(client, "a", aggregating=True) as writer:
        for one in (second, writer):
            one.set_outcomes([outcome_of(policy)])
        wait_for_object(api, path, lambda one: summary(one) == APPLIED)
        patch = {"spec": {"priority": 2}}
        _, changed = api.request("PATCH", f"{path}/gold", patch, content_type="application/merge-patch+json")
        second.set_outcomes([outcome_of(changed)])
        writer.set_outcomes([outcome_of(changed)])
        version = policy["metadata"]["resourceVersion"]
        for event in api.watch(f"{path}?watch=true&timeoutSeconds=30&resourceVersion={version}"):
            if ends(event["object"]):
                break
    assert "" not in seen
    assert seen[-1] == APPLIED


def test_counts_and_conditions_go_with_the_last_zone(api: KubernetesApi, namespace: str) -> None:
    policy = create_policy(api, namespace)
    with client_of(api) as client, zone(client, "global", aggregating=True) as writer:
        writer.set_outcomes([counted(outcome_of(policy), 2)])
        wait_for_object(api, collection(namespace), lambda one: one["status"].get("pods") == 2)
        assert writer.withdraw(PATIENCE, stalled_seconds=PATIENCE)
    status = read_policy(api, namespace)["status"]
    assert (status["status"], status.get("pods"), status.get("zones") or {}) == ("Pending", None, {})
    assert [one["type"] for one in status["conditions"]] == ["Ready"]
    with client_of(api) as client, zone(client, "global", aggregating=True) as writer:
        writer.set_outcomes([counted(outcome_of(policy), 4)])
        wait_for_object(api, collection(namespace), lambda one: one["status"].get("pods") == 4)


def test_zones_write_side_by_side_and_the_summary_follows_the_worst(api: KubernetesApi, namespace: str) -> None:
    policy = create_policy(api, namespace)
    path = collection(namespace)
    with client_of(api) as client, zone(client, "a", aggregating=True) as first, zone(client, "b.example") as second:
        first.set_outcomes([outcome_of(policy)])
        second.set_outcomes([outcome_of(policy, Reason.CONFLICT)])
        found = wait_for_object(api, path, lambda one: summary(one) == "Conflict in zone b.example")
        assert conditions(found) == {"Ready-In-Zone-a": "Success", "Ready-In-Zone-b.example": "Conflict"}
        assert ready(found) == ("False", "Conflict")
        second.set_outcomes([outcome_of(policy)])
        wait_for_object(api, path, lambda one: summary(one) == APPLIED)
        second.set_outcomes([outcome_of(policy, sources=False)])
        found = wait_for_object(api, path, lambda one: len(conditions(one)) == 1)
        assert (conditions(found), summary(found)) == ({"Ready-In-Zone-a": "Success"}, APPLIED)
        assert ready(found) == ("True", "Success")


def test_a_change_of_the_object_is_pending_until_its_zones_have_seen_it(api: KubernetesApi, namespace: str) -> None:
    policy = create_policy(api, namespace)
    path = collection(namespace)
    with client_of(api) as client, zone(client, "a", aggregating=True) as writer:
        writer.set_outcomes([outcome_of(policy)])
        wait_for_object(api, path, lambda one: summary(one) == APPLIED)
        patch = {"spec": {"priority": 2}}
        _, changed = api.request("PATCH", f"{path}/gold", patch, content_type="application/merge-patch+json")
        pending = wait_for_object(api, path, lambda one: summary(one) == "Pending in zone a")
        assert ready(pending) == ("Unknown", "Pending")
        writer.set_outcomes([outcome_of(changed)])
        found = wait_for_object(api, path, lambda one: summary(one) == APPLIED)
    assert {one["observedGeneration"] for one in found["status"]["conditions"]} == {2}


def test_a_restarted_process_writes_nothing_that_is_there(api: KubernetesApi, namespace: str) -> None:
    policy = create_policy(api, namespace)
    with client_of(api) as client:
        with zone(client, "global", aggregating=True) as writer:
            writer.set_outcomes([outcome_of(policy)])
            before = wait_for_object(api, collection(namespace), lambda one: summary(one) == APPLIED)
        with zone(client, "global", aggregating=True) as writer:
            writer.set_outcomes([outcome_of(policy)])
    after = read_policy(api, namespace)
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


def test_a_status_that_somebody_edits_is_put_right(api: KubernetesApi, namespace: str) -> None:
    policy = create_policy(api, namespace)
    path = collection(namespace)
    with client_of(api) as client, zone(client, "global", aggregating=True) as writer:
        writer.set_outcomes([outcome_of(policy)])
        wait_for_object(api, path, lambda one: summary(one) == APPLIED)
        patch = {"status": {"status": "mine", "conditions": []}}
        status, _ = api.request("PATCH", f"{path}/gold/status", patch, content_type="application/merge-patch+json")
        assert status == 200
        found = wait_for_object(api, path, lambda one: summary(one) == APPLIED and bool(conditions(one)))
    assert conditions(found) == {"Ready-In-Zone-global": "Success"}


def test_the_condition_of_a_zone_that_is_gone_is_taken_away(api: KubernetesApi, namespace: str) -> None:
    policy = create_policy(api, namespace)
    path = collection(namespace)
    with client_of(api) as client, zone(client, "a", aggregating=True) as writer:
        with zone(client, "gone") as second:
            second.set_outcomes([outcome_of(policy, Reason.NORTHBOUND_UNAVAILABLE)])
            writer.set_outcomes([outcome_of(policy)])
            wait_for_object(api, path, lambda one: summary(one) == "NorthboundUnavailable in zone gone")
        writer.set_zones({"n1": "a"})
        found = wait_for_object(api, path, lambda one: summary(one) == APPLIED)
    assert conditions(found) == {"Ready-In-Zone-a": "Success"}


def test_an_object_that_is_deleted_meanwhile_is_no_warning(api: KubernetesApi, namespace: str) -> None:
    policy = create_policy(api, namespace)
    assert api.request("DELETE", f"{collection(namespace)}/gold")[0] == 200
    with capture_logs() as logs, client_of(api) as client, zone(client, "global", aggregating=True) as writer:
        writer.set_outcomes([outcome_of(policy)])
        writer.stop(drain_seconds=PATIENCE)
    assert [log for log in logs if log["log_level"] == "warning"] == []
    assert api.request("GET", f"{collection(namespace)}/gold")[0] == 404


def test_the_longest_zone_name_is_taken_by_the_api(api: KubernetesApi, namespace: str) -> None:
    policy = create_policy(api, namespace)
    names = ["n" * 63 + "." + "m" * 63 + "." + "o" * 63 + "." + "p" * 61, "eu/west 1"]
    with client_of(api) as client:
        for name in names:
            with zone(client, name) as writer:
                writer.set_outcomes([outcome_of(policy)])
    assert len(conditions(read_policy(api, namespace))) == len(names)


def test_what_could_not_be_written_is_written_when_the_api_is_back(own_api: KubernetesApi, namespace: str) -> None:
    policy = create_policy(own_api, namespace)
    with client_of(own_api) as client, zone(client, "global", aggregating=True) as writer:
        own_api.stop_api()
        writer.set_outcomes([outcome_of(policy)])
        own_api.start_api()
        wait_for_object(own_api, collection(namespace), lambda one: summary(one) == APPLIED)
