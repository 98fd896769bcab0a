"""The daemon while custom resources vanish under it: limits stay in force until somebody deletes what asks for them."""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.cluster.conftest import NETWORK_ATTACHMENT_DEFINITION_CRD, NETWORK_QOS_CRD
from tests.cluster.support_daemon import (
    APPLIED,
    COLLECTIONS,
    Daemon,
    apply,
    eventually,
    guide_policy,
    guide_text,
    wait_for_rows,
    wait_for_status,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ovnqos.sandbox import NorthboundServer
    from tests.support.kubernetes.api import KubernetesApi

NAMES = [f"gold{number}" for number in range(6)]
LIMITS = 2 * len(NAMES)
"""Each of the policies limits two pods."""


@pytest.fixture
def crds(cluster: KubernetesApi) -> Iterator[KubernetesApi]:
    """The API, whose custom resources a test may remove."""
    yield cluster
    for crd in (NETWORK_QOS_CRD, NETWORK_ATTACHMENT_DEFINITION_CRD):
        if cluster.request("GET", _collection_of(crd))[0] == 404:
            cluster.install_crd(crd.read_text())


@pytest.fixture
def daemon(start: Callable[..., Daemon], crds: KubernetesApi, northbound: NorthboundServer, unused_port: int) -> Daemon:
    """A daemon that has written the rows of six policies."""
    started = start("--metrics-address", f"127.0.0.1:{unused_port}", "--absent-crd-seconds", "1")
    apply(crds, *_policies())
    for name in NAMES:
        wait_for_status(crds, APPLIED, name)
    wait_for_rows(northbound, LIMITS)
    return started


def _policies() -> list[dict[str, object]]:
    return [guide_policy(name=name, priority=10 + number) for number, name in enumerate(NAMES)]


def _collection_of(crd: Path) -> str:
    document = yaml.safe_load(crd.read_text())["spec"]
    version = document["versions"][0]["name"]
    return f"/apis/{document['group']}/{version}/{document['names']['plural']}"


def _remove(api: KubernetesApi, crd: Path) -> None:
    api.kubectl("delete", "crd", yaml.safe_load(crd.read_text())["metadata"]["name"])


def _uuids(northbound: NorthboundServer) -> list[str]:
    return sorted(northbound.nbctl("--bare", "--columns=_uuid", "list", "QoS").split())


def _held(port: int) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    (line,) = [one for one in lines if one.startswith("ovnqosd_removals_held ")]
    return float(line.split()[1])


@eventually
def _wait_until_held(port: int, limits: int) -> None:
    assert _held(port) == limits


@eventually
def _wait_for_event(api: KubernetesApi, name: str) -> None:
    status, answer = api.request("GET", "/api/v1/namespaces/default/events")
    assert status == 200
    assert any(
        (one["reason"], one["involvedObject"]["name"], one["type"]) == ("RemovalHeld", name, "Warning")
        for one in answer["items"]
    )


def test_networks_whose_custom_resource_vanishes_keep_their_limits_until_it_is_back(
    daemon: Daemon, crds: KubernetesApi, northbound: NorthboundServer, unused_port: int
) -> None:
    before = _uuids(northbound)
    _remove(crds, NETWORK_ATTACHMENT_DEFINITION_CRD)
    _wait_until_held(unused_port, LIMITS)
    assert _uuids(northbound) == before
    for name in NAMES:
        status = wait_for_status(crds, "RemovalHeld", name)
        found = {one["type"]: (one["status"], one["reason"]) for one in status["conditions"]}
        assert found["Ready-In-Zone-global"] == ("False", "RemovalHeld")
        assert found["Ready"] == ("False", "RemovalHeld")
    _wait_for_event(crds, NAMES[0])
    daemon.wait_for_line("removals held: objects are missing that nobody deleted", limits=LIMITS, of=LIMITS)
    crds.install_crd(NETWORK_ATTACHMENT_DEFINITION_CRD.read_text())
    apply(crds, yaml.safe_load(guide_text("nad.yaml")))
    _wait_until_held(unused_port, 0)
    for name in NAMES:
        wait_for_status(crds, APPLIED, name)
    assert _uuids(northbound) == before
    assert len(daemon.lines("removals no longer held")) == 1


def test_networks_whose_custom_resource_vanishes_keep_their_limits_however_few(
    crds: KubernetesApi, northbound: NorthboundServer, start: Callable[..., Daemon], unused_port: int
) -> None:
    daemon = start("--metrics-address", f"127.0.0.1:{unused_port}", "--absent-crd-seconds", "1")
    apply(crds, guide_policy())
    wait_for_status(crds, APPLIED)
    wait_for_rows(northbound, 2)
    before = _uuids(northbound)
    _remove(crds, NETWORK_ATTACHMENT_DEFINITION_CRD)
    _wait_until_held(unused_port, 2)
    assert _uuids(northbound) == before
    crds.install_crd(NETWORK_ATTACHMENT_DEFINITION_CRD.read_text())
    apply(crds, yaml.safe_load(guide_text("nad.yaml")))
    _wait_until_held(unused_port, 0)
    assert _uuids(northbound) == before
    assert daemon.lines("removals held: objects are missing that nobody deleted")[0]["emptied"] == (
        "NetworkAttachmentDefinition (absent)"
    )


def test_policies_that_vanish_with_their_custom_resource_stay_in_force(
    daemon: Daemon, crds: KubernetesApi, northbound: NorthboundServer, unused_port: int
) -> None:
    before = _uuids(northbound)
    _remove(crds, NETWORK_QOS_CRD)
    daemon.wait_for_line("list or watch failed; retrying", kind="NetworkQoS", status=404)
    assert _uuids(northbound) == before
    crds.install_crd(NETWORK_QOS_CRD.read_text())
    _wait_until_held(unused_port, LIMITS)
    assert _uuids(northbound) == before
    apply(crds, *_policies())
    _wait_until_held(unused_port, 0)
    for name in NAMES:
        wait_for_status(crds, APPLIED, name)
    assert _uuids(northbound) == before


def test_held_limits_end_after_a_restart_that_lets_them(
    daemon: Daemon, crds: KubernetesApi, northbound: NorthboundServer, unused_port: int, start: Callable[..., Daemon]
) -> None:
    _remove(crds, NETWORK_ATTACHMENT_DEFINITION_CRD)
    _wait_until_held(unused_port, LIMITS)
    assert daemon.terminate() == 0
    still = start("--metrics-address", f"127.0.0.1:{unused_port}", "--absent-crd-seconds", "1")
    _wait_until_held(unused_port, LIMITS)
    wait_for_rows(northbound, LIMITS)
    assert still.terminate() == 0
    start("--max-deletes", "100%")
    wait_for_rows(northbound, 0)


def test_policies_that_are_deleted_all_at_once_go_at_once(
    daemon: Daemon, crds: KubernetesApi, northbound: NorthboundServer
) -> None:
    status, answer = crds.request("DELETE", COLLECTIONS["NetworkQoS"], {"gracePeriodSeconds": 0})
    assert status == 200, answer
    wait_for_rows(northbound, 0)
    assert not daemon.lines("removals held: objects are missing that nobody deleted")
