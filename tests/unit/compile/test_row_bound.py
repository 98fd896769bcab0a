"""A policy of scope `pod` has a bounded number of rows: beyond, it stays as it is, and says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ovnqos import BandwidthScope, Code, Severity
from ovnqos.compile import dirty_objects, network_qos
from tests.support.cluster import compiled, pod, policy, rule

if TYPE_CHECKING:
    from ovnqos import Compiler

BOUND = 10
EACH = policy(rule(None, rate=1000), scope=BandwidthScope.POD, name="each")
PODS = [pod(f"web{index}", f"10.0.0.{index}") for index in range(BOUND + 3)]


@pytest.fixture(autouse=True)
def bound(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (network_qos, dirty_objects):
        monkeypatch.setattr(module, "ROWS_MAXIMUM", BOUND)


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
