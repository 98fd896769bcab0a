"""The status of NetworkQoS objects as a real API server keeps it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from structlog.testing import capture_logs

from ovnqos.kubernetes import NETWORK_QOSES, Reflector, RetryPolicy
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
    summary,
    wait_for_object,
)
from tests.support.outcomes import cause

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovnqos.kubernetes import Changes, KubernetesClient
    from tests.support.kubernetes.api import KubernetesApi

PATIENCE = 30.0
SOON = StatusTiming(spacing=0.0, retract_after=0.0, unavailable_after=0.0, pending_after=0.0, missing_retry=0.0)


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
    (condition,) = found["status"]["conditions"]
    assert condition.pop("lastTransitionTime").endswith("Z")
    assert condition == {
        "type": "Ready-In-Zone-global",
        "status": "True",
        "reason": "Success",
        "message": APPLIED,
        "observedGeneration": 1,
    }
    managers = {entry["manager"] for entry in found["metadata"]["managedFields"] if entry["operation"] == "Apply"}
    assert managers == {"ovnqosd-zone-global", "ovnqosd-aggregator"}


def test_zones_write_side_by_side_and_the_summary_follows_the_worst(api: KubernetesApi, namespace: str) -> None:
    policy = create_policy(api, namespace)
    path = collection(namespace)
    with client_of(api) as client, zone(client, "a", aggregating=True) as first, zone(client, "b.example") as second:
        first.set_outcomes([outcome_of(policy)])
        second.set_outcomes([outcome_of(policy, Reason.CONFLICT)])
        found = wait_for_object(api, path, lambda one: summary(one) == "Conflict in zone b.example")
        assert conditions(found) == {"Ready-In-Zone-a": "Success", "Ready-In-Zone-b.example": "Conflict"}
        second.set_outcomes([outcome_of(policy)])
        wait_for_object(api, path, lambda one: summary(one) == APPLIED)
        second.set_outcomes([outcome_of(policy, sources=False)])
        found = wait_for_object(api, path, lambda one: len(conditions(one)) == 1)
        assert (conditions(found), summary(found)) == ({"Ready-In-Zone-a": "Success"}, APPLIED)


def test_a_change_of_the_object_is_pending_until_its_zones_have_seen_it(api: KubernetesApi, namespace: str) -> None:
    policy = create_policy(api, namespace)
    path = collection(namespace)
    with client_of(api) as client, zone(client, "a", aggregating=True) as writer:
        writer.set_outcomes([outcome_of(policy)])
        wait_for_object(api, path, lambda one: summary(one) == APPLIED)
        patch = {"spec": {"priority": 2}}
        _, changed = api.request("PATCH", f"{path}/gold", patch, content_type="application/merge-patch+json")
        wait_for_object(api, path, lambda one: summary(one) == "Pending in zone a")
        writer.set_outcomes([outcome_of(changed)])
        found = wait_for_object(api, path, lambda one: summary(one) == APPLIED)
    assert found["status"]["conditions"][0]["observedGeneration"] == 2


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
        writer.set_zones(frozenset({"a"}))
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
