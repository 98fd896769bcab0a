"""A policy has a bounded number of rows, and of addresses of pods: beyond, it stays as it is, and says so."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ovnqos import BandwidthScope, Code, PodPeer, Severity
from ovnqos.compile import dirty_objects, network_qos
from ovnqos.model.labels import EVERYTHING
from tests.support.cluster import attachment, compiled, labels, pod, policy, rule

if TYPE_CHECKING:
    from ovnqos import Compiler

BOUND = 10
MEMBERS = 20
EACH = policy(rule(None, rate=1000), scope=BandwidthScope.POD, name="each")
PODS = [pod(f"web{index}", f"10.0.0.{index}", labels={"app": "web"}) for index in range(BOUND + 3)]


@pytest.fixture(autouse=True)
def bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_qos, "ROWS_MAXIMUM", BOUND)
    monkeypatch.setattr(dirty_objects, "MEMBERS_MAXIMUM", MEMBERS)


def rows(found: Compiler) -> set[str]:
    return {identity.rpartition("/")[2] for identity in found.desired().rows if identity.startswith("NetworkQoS/")}


def codes(found: Compiler) -> set[tuple[Severity, Code]]:
    return {(one.severity, one.code) for one in found.diagnostics("NetworkQoS", EACH.key)}


def test_a_policy_beyond_it_has_no_row_and_keeps_those_in_the_database() -> None:
    found = compiled([EACH], *PODS)
    assert rows(found) == set()
    assert (Severity.ERROR, Code.TOO_MANY_ROWS) in codes(found)
    assert found.desired().retained == {f"NetworkQoS/{EACH.key}"}


def test_pods_that_come_beyond_it_have_none_until_others_go() -> None:
    most = BOUND // 2  # two rows a pod: in to-lport, and for groups of receivers
    found = compiled([EACH], *PODS[:most])
    before = rows(found)
    found.drain()
    found.apply(PODS[most])
    assert not found.drain().compiled_rows
    assert rows(found) == before
    assert codes(found) == {(Severity.ERROR, Code.TOO_MANY_ROWS)}
    for one in PODS[:2]:
        found.delete("Pod", one.key)
    assert rows(found) == {f"shop_{one.name}" for one in PODS[2 : most + 1]}
    assert codes(found) == set()


def test_other_policies_are_compiled() -> None:
    other = policy(rule(9), name="other", priority=40)
    found = compiled([EACH, other], *PODS)
    assert {row.priority for row in found.desired().rows.values()} == {11_600}


def test_on_many_networks_there_is_the_same_bound() -> None:
    networks = [f"shop/blue{index}" for index in range(BOUND + 1)]
    on_all = pod("web", networks={name: ["10.1.0.1"] for name in networks})
    found = compiled([replace(EACH, bandwidth_scope=BandwidthScope.POLICY)], on_all, *map(attachment, networks))
    assert rows(found) == set()
    (said,) = [one for one in found.diagnostics("NetworkQoS", EACH.key) if one.severity is Severity.ERROR]
    assert (said.code, said.path) == (Code.TOO_MANY_ROWS, "spec.networkSelectors")


def test_rows_whose_matches_are_long_are_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    most = PODS[: BOUND // 2]
    assert codes(compiled([EACH], *most)) == set()
    monkeypatch.setattr(network_qos, "MATCHES_MAXIMUM", 1_000)
    assert codes(compiled([EACH], *most)) == {(Severity.ERROR, Code.TOO_MANY_ROWS)}


TWICE = policy(
    rule(9, destinations=[PodPeer(pod_selector=EVERYTHING), PodPeer(pod_selector=labels(app="web"))]),
    name="each",
    priority=41,
)
ONCE = policy(rule(9, destinations=[PodPeer(pod_selector=EVERYTHING)]), name="once", priority=42)
TOO_MANY = (Severity.ERROR, Code.TOO_MANY_MEMBERS)


def sets(found: Compiler) -> dict[int, set[str]]:
    """The members of all sets of destinations together, by the priority of the rows that use them."""
    desired = found.desired()
    return {
        row.priority: {
            one for name, of in desired.address_sets.items() if name in str(row.match) for one in of.addresses
        }
        for row in desired.rows.values()
    }


def test_a_policy_beyond_the_bound_of_addresses_has_no_row_and_another_has() -> None:
    found = compiled([TWICE, ONCE], *PODS)
    assert TOO_MANY in codes(found)
    assert sets(found) == {11_680: {f"10.0.0.{index}" for index in range(BOUND + 3)}}
    assert found.desired().retained == {f"NetworkQoS/{TWICE.key}"}


def test_pods_that_bring_a_policy_there_do_not_join_it_until_others_go() -> None:
    found = compiled([TWICE, ONCE], *PODS[:10])
    assert set(sets(found)) == {11_640, 11_680}
    found.drain()
    found.apply(PODS[10])
    found.check_bounds()
    delta = found.drain()
    assert delta.desired.retained == {f"NetworkQoS/{TWICE.key}"}
    assert delta.policies >= {TWICE.key}
    assert TOO_MANY in codes(found)
    assert set(sets(found)) == {11_680}
    found.apply(PODS[11])
    assert set(sets(found)) == {11_680}
    for one in PODS[:2]:
        found.delete("Pod", one.key)
    found.check_bounds()
    assert found.drain().desired.retained == frozenset()
    assert codes(found) == set()
    assert len(sets(found)[11_640]) == 10


def test_a_new_version_beyond_it_leaves_the_last_one_in_force() -> None:
    small = replace(TWICE, rules=ONCE.rules)
    found = compiled([small], *PODS[:11])
    before = found.desired()
    found.apply(TWICE)
    assert found.desired().rows == before.rows
    assert codes(found) == {TOO_MANY}
    found.apply(PODS[11])
    assert len(sets(found)[11_640]) == 12
    found.apply(small)
    assert codes(found) == set()
    found.delete("NetworkQoS", small.key)
    found.apply(TWICE)
    found.delete("NetworkQoS", TWICE.key)
    assert found.desired().rows == {}
    assert found.desired().retained == frozenset()
