"""The rights that are shipped are those that the daemon's requests need: none is missing, and none is too many."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from ovnqos.kubernetes import RESOURCES, Interruption, KubernetesClient, Reflector, Resource
from ovnqosd.leadership.lease import Lease, LeaseRecord
from ovnqosd.main import find_zone
from ovnqosd.settings.settings import Mode, Settings
from ovnqosd.status.event_writer import EventWriter
from ovnqosd.status.events import WARNING, Event
from ovnqosd.status.policy_outcome import PolicyOutcome, Reason
from ovnqosd.status.status_writer import StatusWriter
from tests.support.answering_api import PATIENCE, AnsweringApi, Request
from tests.support.deploy import DEPLOY, documents
from tests.support.reflectors import Recorder, running
from tests.support.scripted_api import client_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Work = Callable[[KubernetesClient, AnsweringApi], None]
Right = tuple[str, str, str]
"""API group, resource (with its subresource) and verb."""

_METHODS = {"POST": "create", "PUT": "update", "PATCH": "patch"}
_GOLD = PolicyOutcome(key="shop/gold", uid="u1", generation=1, reason=Reason.SUCCESS)
_METADATA = {
    "namespace": "shop",
    "name": "gold",
    "uid": "u1",
    "generation": 1,
    "resourceVersion": "7",
    "annotations": {"k8s.ovn.org/zone-name": "zone1"},
}
_COLLECTIONS = {resource.path for resource in RESOURCES}


def answer(request: Request) -> tuple[int, object]:
    if request.query.get("watch"):
        return 200, {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "8"}}}
    if request.path in _COLLECTIONS:
        return 200, {"metadata": {"resourceVersion": "7"}, "items": []}
    return 200, {"metadata": _METADATA, "spec": {}, "status": {}}


def right(request: Request) -> Right:
    """What a request needs, by the rules of the API's paths."""
    parts = request.path.strip("/").split("/")
    group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1], parts[3:])
    if rest[0] == "namespaces" and len(rest) > 2:
        rest = rest[2:]
    resource, *named = rest
    if request.method == "GET":
        verb = "watch" if request.query.get("watch") else "get" if named else "list"
    else:
        verb = _METHODS[request.method]
    return group, "/".join([resource, *named[1:]]), verb


def granted(file: str) -> list[Right]:
    rules = (rule for one in documents(DEPLOY / "base" / file) for rule in one.get("rules", ()))
    return sorted(
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    )


def reflect(resource: Resource, client: KubernetesClient, api: AnsweringApi) -> None:
    with running(Reflector(resource, client, Recorder())):
        assert any(request.query.get("watch") for request in api.wait_for(2))


def write_status(client: KubernetesClient, api: AnsweringApi) -> None:
    writer = StatusWriter(client, "a")
    writer.start()
    writer.set_outcomes([_GOLD])
    api.wait_for(1)
    writer.stop(drain_seconds=PATIENCE)


def write_events(client: KubernetesClient, api: AnsweringApi) -> None:
    event = Event(key="shop/gold", uid="u1", type=WARNING, reason="Invalid", message="spec.priority")
    writer = EventWriter(client, "node1", interval=0.0)
    writer.start()
    for count in (1, 2):
        writer.record([event])
        api.wait_for(count)
    writer.stop(drain_seconds=PATIENCE)


def hold_lease(client: KubernetesClient, api: AnsweringApi) -> None:
    lease = Lease(client, "ovnqos", Settings().lease_name)
    interruption = Interruption()
    record = LeaseRecord(holder="a", duration=15, acquired="", renewed="")
    assert lease.write(record, interruption, timeout=PATIENCE)
    kept = lease.read(interruption, timeout=PATIENCE)
    assert kept is not None
    assert lease.write(kept, interruption, timeout=PATIENCE)


def read_node(client: KubernetesClient, api: AnsweringApi) -> None:
    assert find_zone(Settings(mode=Mode.ZONE, node="node1"), client) == "zone1"


@pytest.fixture
def requests(tmp_path: Path) -> Iterator[list[Request]]:
    """Every kind of request that the daemon makes, once at least."""
    made: list[Request] = []
    reflecting: list[Work] = [partial(reflect, resource) for resource in RESOURCES]
    with ExitStack() as stack:
        for number, work in enumerate([*reflecting, write_status, write_events, hold_lease, read_node]):
            api = stack.enter_context(AnsweringApi(answer))
            folder = tmp_path / str(number)
            folder.mkdir()
            work(stack.enter_context(client_of(api.url, folder)), api)
            made += api.requests
        yield made


def test_the_daemon_needs_every_right_and_no_other(requests: list[Request]) -> None:
    needed = {right(request) for request in requests}
    cluster_wide, own_namespace = granted("cluster-role.yaml"), granted("role.yaml")
    assert sorted(needed) == sorted(cluster_wide + own_namespace)


def test_only_the_lease_is_in_the_daemon_s_own_namespace(requests: list[Request]) -> None:
    leases = {right(request) for request in requests if "/namespaces/ovnqos/" in request.path}
    assert sorted(leases) == granted("role.yaml")


def test_no_rule_is_a_wildcard() -> None:
    rules: list[dict[str, Any]] = [
        rule
        for file in ("cluster-role.yaml", "role.yaml")
        for one in documents(DEPLOY / "base" / file)
        for rule in one.get("rules", ())
    ]
    assert rules
    assert not any("*" in word for rule in rules for words in rule.values() for word in words)
