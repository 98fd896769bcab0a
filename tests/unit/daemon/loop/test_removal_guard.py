"""What the guard takes for removed, and for how long; what it does on a real Northbound is in the functional tier."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest
from structlog.testing import capture_logs

from ovnqos import (
    Compiler,
    DesiredState,
    InvalidObject,
    Northbound,
    ObjectRef,
    OvnKubernetesTopology,
    Owner,
    plan_changes,
)
from ovnqos.controller import EndedLimitsMaximum
from ovnqos.kubernetes import Changes, Clock, Emptied, Metadata, ObservedObject
from ovnqosd.loop.removal_guard import RemovalGuard
from tests.support.cluster import attachment, labels, pod, policy, rule
from tests.support.database import stored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ovnqos import NetworkAttachmentDefinition, NetworkQoS, Pod

PODS = [pod(f"p{number}", f"10.0.0.{number}", labels={"app": "web"}) for number in range(12)]
GOLD = policy(rule(20), pods=labels(app="web"))
NORTHBOUND = cast("Northbound", None)  # no address is in question


class _Clock(Clock):
    time = 1000.0

    def monotonic(self) -> float:
        return self.time


class Zone:
    """A guard, the compiler that knows the objects, and a database with their rows."""

    def __init__(self, maximum: EndedLimitsMaximum | None = None) -> None:
        self.clock = _Clock()
        self.compiler = Compiler.of((*PODS, GOLD), OvnKubernetesTopology())
        self.guard = RemovalGuard(maximum or EndedLimitsMaximum(share=0.3), self.compiler, self.clock)
        self.store()

    def store(self) -> None:
        """Have the database as desired now."""
        whole = self.desired()
        ports = {name for group in whole.port_groups.values() for name in group.ports}
        switches = {name for row in whole.rows.values() for name in row.switches}
        self.database = stored(whole, Owner(), switches, ports)

    def desired(self) -> DesiredState:
        return replace(self.compiler.desired(), scope=None)

    def delete(self, *keys: str, kind: str = "Pod", listed: bool = False) -> None:
        self.guard.observe([Changes(kind=kind, deleted=keys, listed=listed)])
        for key in keys:
            self.compiler.delete(kind, key)

    def empty(self, *keys: str, kind: str = "Pod", why: Emptied = Emptied.ABSENT) -> None:
        """The kind has no object left."""
        self.guard.observe([Changes(kind=kind, deleted=keys, listed=True, emptied=why)])
        for key in keys:
            self.compiler.delete(kind, key)

    def update(self, *objects: Pod | NetworkQoS) -> None:
        for one in objects:
            metadata = Metadata(namespace=one.namespace, name=one.name, uid="u", generation=2, resource_version="2")
            seen = ObservedObject(metadata=metadata, object=one)
            self.guard.observe([Changes(kind=type(one).__name__, updated=(seen,))])
            self.compiler.apply(one)

    def is_held(self, *, is_drift: bool = False) -> bool:
        """Whether the guard holds back a part of what is to be done."""
        desired = self.desired()
        plan = plan_changes(desired, self.database.snapshot(Owner()))
        return self.guard.check_all(plan, desired, NORTHBOUND, is_drift=is_drift) != plan


@pytest.fixture
def zone() -> Zone:
    return Zone()


def keys(number: int) -> list[str]:
    return [one.key for one in PODS[:number]]


def test_what_is_missing_from_a_list_is_held_and_asks_for_a_comparison_of_everything(zone: Zone) -> None:
    zone.delete(*keys(6), listed=True)
    assert zone.guard.in_doubt
    assert zone.is_held()
    assert zone.guard.held == {"NetworkQoS/shop/gold": 6}
    assert not zone.guard.in_doubt


def test_a_share_may_go(zone: Zone) -> None:
    zone.delete(*keys(3), listed=True)
    assert not zone.is_held()


def test_a_count_is_a_count() -> None:
    zone = Zone(EndedLimitsMaximum(count=2))
    zone.delete(*keys(3), listed=True)
    assert zone.is_held()


def test_what_is_deleted_goes(zone: Zone) -> None:
    zone.delete(*keys(9))
    zone.delete("shop/gold", kind="NetworkQoS")
    assert not zone.guard.in_doubt
    assert not zone.is_held()


def test_pods_that_have_ended_lose_their_limits(zone: Zone) -> None:
    zone.update(*(replace(one, phase="Succeeded") for one in PODS[:9]))
    assert not zone.is_held()


def test_a_policy_that_says_something_else_is_no_removal_and_one_that_says_the_same_is_none(zone: Zone) -> None:
    zone.update(GOLD)
    zone.delete(*keys(6), listed=True)
    assert zone.is_held()
    zone.update(replace(GOLD, pod_selector=labels(app="none")))
    assert not zone.is_held()


def test_what_was_removed_is_forgotten(zone: Zone) -> None:
    zone.delete(*keys(6))
    zone.guard.forget()
    assert zone.is_held()


def test_a_process_that_stands_by_remembers_policies_and_for_a_while_pods(zone: Zone) -> None:
    zone.delete(*keys(6))
    zone.clock.time += 500
    zone.guard.stand_by()
    assert not zone.is_held()
    zone.clock.time += 500
    zone.guard.stand_by()
    assert zone.is_held()
    zone.delete("shop/gold", kind="NetworkQoS")
    zone.clock.time += 5000
    zone.guard.stand_by()
    assert not zone.is_held()


def test_what_began_it_has_to_come_back_and_a_smaller_share_is_not_enough(zone: Zone) -> None:
    zone.delete(*keys(6), listed=True)
    assert zone.is_held()
    for one in PODS[:5]:
        zone.compiler.apply(one)
    assert zone.is_held()
    assert sum(zone.guard.held.values()) == 1
    zone.compiler.apply(PODS[5])
    zone.compiler.delete("Pod", PODS[11].key)  # another one, within the share
    assert not zone.is_held()
    assert zone.guard.held == {}


def test_what_ends_meanwhile_does_not_prolong_it(zone: Zone) -> None:
    zone.delete(*keys(6), listed=True)
    assert zone.is_held()
    zone.compiler.apply(replace(PODS[11], labels={"app": "other"}))
    assert zone.is_held()
    for one in PODS[:6]:
        zone.compiler.apply(one)
    assert not zone.is_held()


def test_a_second_cause_outlasts_the_first(zone: Zone) -> None:
    zone.delete(*keys(6), listed=True)
    assert zone.is_held()
    zone.delete(*(one.key for one in PODS[6:]), listed=True)
    assert zone.is_held()
    for one in PODS[:6]:
        zone.compiler.apply(one)
    assert zone.is_held()
    assert sum(zone.guard.held.values()) == 6


def test_what_another_writer_did_is_repaired_whatever_it_removes(zone: Zone) -> None:
    zone.compiler.delete("NetworkQoS", "shop/gold")
    assert not zone.is_held(is_drift=True)


def test_all_may_end_where_that_is_said() -> None:
    zone = Zone(EndedLimitsMaximum(share=1.0))
    zone.delete(*keys(12), listed=True)
    assert not zone.is_held()


@pytest.mark.parametrize("why", Emptied)
def test_what_ends_since_a_kind_has_no_object_left_is_held_however_few_it_is(zone: Zone, why: Emptied) -> None:
    zone.empty(*keys(2), why=why)
    assert zone.guard.in_doubt
    assert zone.is_held()
    assert zone.guard.held == {"NetworkQoS/shop/gold": 2}
    assert zone.is_held()


def test_where_few_limits_are_those_of_a_kind_without_objects_are_held_too() -> None:
    zone = Zone()
    zone.delete(*(one.key for one in PODS[4:]))
    assert not zone.is_held()
    zone.store()
    zone.guard.forget()
    zone.empty(*keys(4))
    assert zone.is_held()


def test_a_count_does_not_let_a_kind_without_objects_end_limits() -> None:
    zone = Zone(EndedLimitsMaximum(count=100))
    zone.empty(*keys(4))
    assert zone.is_held()


def test_all_may_end_though_a_kind_has_no_object_left_where_that_is_said() -> None:
    zone = Zone(EndedLimitsMaximum(share=1.0))
    zone.empty(*keys(12))
    assert not zone.is_held()


def test_a_kind_that_is_back_in_part_stays_held_until_the_rest_is_back(zone: Zone) -> None:
    zone.empty(*keys(3))
    assert zone.is_held()
    zone.update(*PODS[:2])
    assert zone.is_held()
    assert sum(zone.guard.held.values()) == 1
    zone.update(PODS[2])
    assert not zone.is_held()
    assert zone.guard.held == {}


def test_what_was_relabelled_meanwhile_ends_within_the_share_once_the_kind_is_back(zone: Zone) -> None:
    zone.empty(*keys(2))
    zone.update(replace(PODS[11], labels={"app": "other"}))
    assert zone.is_held()
    assert sum(zone.guard.held.values()) == 3
    zone.update(*PODS[:2])
    with capture_logs() as logs:
        assert not zone.is_held()
    assert [line["event"] for line in logs] == ["removals no longer held"]
    assert zone.guard.held == {}


def test_an_object_that_is_back_but_invalid_does_not_end_what_is_held(zone: Zone) -> None:
    zone.empty(*keys(2))
    assert zone.is_held()
    for one in PODS[:2]:
        metadata = Metadata(namespace=one.namespace, name=one.name, uid="u", generation=2, resource_version="2")
        invalid = InvalidObject(ObjectRef(kind="Pod", namespace=one.namespace, name=one.name), [])
        zone.guard.observe([Changes(kind="Pod", updated=(ObservedObject(metadata=metadata, object=invalid),))])
    assert zone.is_held()


def test_a_relabelled_pod_long_after_a_kind_went_that_ended_nothing_is_within_the_share(zone: Zone) -> None:
    zone.empty("shop/blue", kind="NetworkAttachmentDefinition")
    assert not zone.is_held()
    zone.update(replace(PODS[11], labels={"app": "other"}))
    assert not zone.is_held()


def test_a_repair_after_a_kind_went_that_ended_nothing_leaves_the_share_to_decide(zone: Zone) -> None:
    zone.empty("shop/blue", kind="NetworkAttachmentDefinition")
    assert not zone.is_held(is_drift=True)
    zone.update(replace(PODS[11], labels={"app": "other"}))
    assert not zone.is_held()


def test_a_process_that_stood_by_while_a_kind_went_holds_it(zone: Zone) -> None:
    zone.empty(*keys(2))
    zone.guard.stand_by()
    assert zone.is_held()


def _restarted(
    *objects: Pod | NetworkQoS | NetworkAttachmentDefinition, of: Sequence[object] = (*PODS[:3], GOLD)
) -> Zone:
    """A process that starts with these objects, where the database has the rows of others."""
    zone = Zone()
    zone.compiler = Compiler.of(of, OvnKubernetesTopology())
    zone.store()
    zone.compiler = Compiler.of(objects, OvnKubernetesTopology())
    zone.guard = RemovalGuard(EndedLimitsMaximum(share=0.3), zone.compiler, zone.clock)
    return zone


def test_a_kind_without_any_object_at_the_start_ends_no_limit_however_few_there_are() -> None:
    """A custom resource that is not installed, or a list that is empty though it should not be."""
    for objects in (PODS[:3], [GOLD], []):
        zone = _restarted(*objects)
        with capture_logs() as logs:
            assert zone.is_held()
        assert zone.guard.held == {"NetworkQoS/shop/gold": 3}
        assert [one["log_level"] for one in logs] == ["warning"]
        zone.update(*PODS[:3], GOLD)
        assert not zone.is_held()
        assert zone.guard.held == {}


def test_networks_without_any_definition_at_the_start_keep_their_limits() -> None:
    on_blue = [pod(one.name, networks={"shop/blue": ["10.1.0.1"]}, labels={"app": "web"}) for one in PODS[:3]]
    zone = _restarted(*on_blue, GOLD, of=(*on_blue, GOLD, attachment("shop/blue", "10.1.0.0/16")))
    assert zone.is_held()
    assert zone.guard.held == {"NetworkQoS/shop/gold": 3}


def test_one_of_several_policies_that_a_complete_list_lacks_at_the_start_ends_and_that_is_logged() -> None:
    tin = replace(GOLD, name="tin", priority=3)
    zone = _restarted(*PODS[:3], tin, of=(*PODS[:3], GOLD, tin))
    with capture_logs() as logs:
        assert not zone.is_held()
    assert [(one["log_level"], one["objects"], one["limits"]) for one in logs] == [
        ("warning", "NetworkQoS/shop/gold", 3)
    ]
