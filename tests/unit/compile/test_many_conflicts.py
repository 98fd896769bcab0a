"""Conflicts are looked for in pairs, and so not among more objects of one namespace and priority than a bound."""

from __future__ import annotations

import pytest

from ovnqos import Code
from ovnqos.compile import dirty_objects, overlaps
from tests.support.cluster import compiled, pod, policy

BOUND = 4


@pytest.fixture(autouse=True)
def bound(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (overlaps, dirty_objects):
        monkeypatch.setattr(module, "RIVALS_MAXIMUM", BOUND)


def test_beyond_it_none_is_told_and_below_it_all_are_again() -> None:
    found = compiled([policy(name=f"p{index}") for index in range(BOUND)], pod("web", "10.0.0.5"))

    def codes() -> set[frozenset[Code]]:
        return {
            frozenset(one.code for one in found.diagnostics("NetworkQoS", key))
            & {Code.CONFLICT, Code.CONFLICTS_UNCHECKED}
            for key in found.policies
        }

    assert codes() == {frozenset({Code.CONFLICT})}
    assert len(found.conflicts("shop/p0")) == BOUND - 1
    found.drain()
    found.apply(policy(name="more"))
    assert found.drain().policies == set(found.policies)
    assert codes() == {frozenset({Code.CONFLICTS_UNCHECKED})}
    found.apply(policy(name="other", priority=50))
    assert found.conflicts("shop/p0") == frozenset()
    found.delete("NetworkQoS", "shop/other")
    found.delete("NetworkQoS", "shop/more")
    assert {f"shop/p{index}" for index in range(BOUND)} <= found.drain().policies
    assert codes() == {frozenset({Code.CONFLICT})}
    assert len(found.conflicts("shop/p0")) == BOUND - 1


def test_of_another_namespace_they_do_not_count() -> None:
    crowd = [policy(name=f"p{index}") for index in range(BOUND + 1)]
    others = [policy(name="a", namespace="bank"), policy(name="b", namespace="bank")]
    found = compiled([*crowd, *others], pod("web", "10.0.0.5"), pod("web", "10.0.0.6", namespace="bank"))
    assert found.conflicts("bank/a") == {"bank/b"}
