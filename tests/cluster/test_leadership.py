"""The election by a Lease on a real API server."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

from ovnqosd.leadership.election import LeaderElector, LeaseTiming
from ovnqosd.leadership.lease import Lease, own_identity
from tests.cluster.support_status import client_of

if TYPE_CHECKING:
    from ovnqos.kubernetes import KubernetesClient
    from tests.support.kubernetes.api import KubernetesApi

PATIENCE = 30.0
TIMING = LeaseTiming(duration=3.0, renew_deadline=2.0, retry=0.2)


class Replica:
    def __init__(self, client: KubernetesClient, namespace: str) -> None:
        self.started, self.stopped = threading.Event(), threading.Event()
        self.elector = LeaderElector(
            Lease(client, namespace, "ovnqosd"),
            own_identity(),
            on_started=self.started.set,
            on_stopped=self.stopped.set,
            timing=TIMING,
        )


def replicas(stack: ExitStack, api: KubernetesApi, namespace: str, number: int) -> list[Replica]:
    client = stack.enter_context(client_of(api))
    found = [Replica(client, namespace) for _ in range(number)]
    for replica in found:
        replica.elector.start()
        stack.callback(replica.elector.stop)
    return found


def wait_for_leader(candidates: list[Replica]) -> Replica:
    elected = threading.Event()
    found: list[Replica] = []

    def wait(candidate: Replica) -> None:
        if candidate.started.wait(PATIENCE):
            found.append(candidate)
            elected.set()

    for candidate in candidates:
        threading.Thread(target=wait, args=(candidate,), daemon=True).start()
    assert elected.wait(PATIENCE)
    return found[0]


def test_one_of_three_is_elected_and_hands_over_when_it_stops(api: KubernetesApi, namespace: str) -> None:
    with ExitStack() as stack:
        candidates = replicas(stack, api, namespace, 3)
        elected = []
        for _ in range(3):
            leader = wait_for_leader(candidates)
            assert [one for one in candidates if one.elector.is_leader] == [leader]
            elected.append(leader)
            candidates.remove(leader)
            leader.elector.stop()
            assert leader.stopped.is_set()
    _, lease = api.request("GET", f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/ovnqosd")
    assert "holderIdentity" not in lease["spec"]
    assert lease["spec"]["leaseTransitions"] == 2


def test_a_leader_gives_up_when_the_api_freezes_and_one_is_elected_when_it_is_back(
    own_api: KubernetesApi, namespace: str
) -> None:
    with ExitStack() as stack:
        candidates = replicas(stack, own_api, namespace, 2)
        leader = wait_for_leader(candidates)
        for candidate in candidates:
            candidate.started.clear()
        own_api.freeze_api()
        stack.callback(own_api.thaw_api)
        assert leader.stopped.wait(PATIENCE)
        assert not any(candidate.elector.is_leader for candidate in candidates)
        own_api.thaw_api()
        again = wait_for_leader(candidates)
        assert again.elector.is_leader


def test_a_leader_gives_up_when_the_api_is_gone(own_api: KubernetesApi, namespace: str) -> None:
    with ExitStack() as stack:
        (leader,) = replicas(stack, own_api, namespace, 1)
        assert leader.started.wait(PATIENCE)
        leader.started.clear()
        own_api.stop_api()
        assert leader.stopped.wait(PATIENCE)
        own_api.start_api()
        assert leader.started.wait(PATIENCE)
