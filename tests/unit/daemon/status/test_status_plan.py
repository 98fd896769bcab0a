"""Which status is written next, and when: times are arguments, nothing waits."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from ovnqos import BandwidthScope
from ovnqos.controller import PolicyCounts
from ovnqosd.status.condition import Condition
from ovnqosd.status.object_status import ObservedStatus, StatusPatch, read_status, write_last_valid
from ovnqosd.status.policy_outcome import APPLIED, PolicyOutcome, Reason
from ovnqosd.status.status_plan import StatusPlan
from ovnqosd.status.work_queue import DelayingQueue
from tests.support.cluster import block, labels, policy, rule
from tests.support.outcomes import cause, merged_status

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEY = "shop/gold"
POLICY = replace(
    policy(rule(20, destinations=(block("10.0.0.0/8", "10.1.0.0/16"),)), pods=labels(app="web")),
    bandwidth_scope=BandwidthScope.POD,
)


def kind_of(patch: StatusPatch) -> str:
    """What a patch is for."""
    if patch.type == "Ready":
        return "summary"
    return "retraction" if patch.condition is None else "condition"


class World:
    """A plan with its queue, and an API server that carries out what the plan says."""

    def __init__(self, zone: str = "a", *, shared: bool = False) -> None:
        self.queue = DelayingQueue()
        self.plan = StatusPlan(zone, self.queue, shared=shared)
        self.metadata: dict[str, Any] = {
            "namespace": "shop",
            "name": "gold",
            "uid": "u1",
            "generation": 1,
            "resourceVersion": "1",
        }
        self.owned: dict[str, dict[str, Any]] = {}  # by field manager, what it applied

    @property
    def status(self) -> dict[str, Any]:
        return merged_status(self.owned.values())

    @property
    def observed(self) -> ObservedStatus:
        found = read_status({"metadata": self.metadata, "status": self.status}, "Ready-In-Zone-a")
        assert found is not None
        return found

    @property
    def ready(self) -> tuple[str, str, int]:
        """Status, reason and generation of the condition `Ready`."""
        (one,) = (one for one in self.status["conditions"] if one["type"] == "Ready")
        return one["status"], one["reason"], one["observedGeneration"]

    def change(self, **metadata: Any) -> ObservedStatus:
        version = int(str(self.metadata["resourceVersion"])) + 1
        self.metadata |= {**metadata, "resourceVersion": str(version)}
        return self.observed

    def others_say(self, counts: PolicyCounts | None = None, **reasons: str) -> ObservedStatus:
        """Sets conditions of other zones."""
        for zone, reason in reasons.items():
            found = Condition(
                type=f"Ready-In-Zone-{zone}",
                status="True" if reason == "Success" else "False",
                reason=reason,
                message="of another",
                last_transition_time="2026-11-21T12:00:00Z",
                observed_generation=self.observed.generation,
            )
            status: dict[str, Any] = {"conditions": [found.as_document()]}
            self.owned[f"ovnqosd-zone-{zone}"] = status | ({"zones": {zone: asdict(counts)}} if counts else {})
        return self.change()

    def apply(self, patch: StatusPatch) -> ObservedStatus:
        self.owned[patch.manager] = patch.status()
        return self.change()

    def next(self, now: float) -> StatusPatch | None:
        """The next patch that is due, taken from the queue as `WorkQueue` does."""
        while (key := self.queue.pop(now)) is not None:
            found = self.plan.prepare(key, now, NOON)
            if isinstance(found, StatusPatch):
                return found
            if found is not None:
                self.queue.add(key, found)
        return None

    def settle(self, now: float) -> list[StatusPatch]:
        """Carries out all that is due."""
        done = []
        while (patch := self.next(now)) is not None:
            self.plan.written(patch, self.apply(patch), now)
            done.append(patch)
            assert len(done) < 20
        return done


def outcome(
    reason: Reason = Reason.SUCCESS, *, generation: int = 1, sources: bool = True, message: str = "x"
) -> PolicyOutcome:
    causes = () if reason is Reason.SUCCESS else (cause(message),)
    return PolicyOutcome(key=KEY, uid="u1", generation=generation, reason=reason, causes=causes, sources=sources)


def test_a_condition_is_written_once() -> None:
    world = World()
    world.plan.set_outcomes([outcome()], 0.0)
    (patch,) = world.settle(0.0)
    assert (patch.key, patch.uid, patch.manager, kind_of(patch)) == (KEY, "u1", "ovnqosd-zone-a", "condition")
    world.plan.set_outcomes([outcome()], 5.0)
    world.plan.observe(world.observed, 5.0)
    assert world.settle(5.0) == []
    assert world.queue.next_time() is None


def test_a_condition_that_is_there_already_is_not_written_after_a_restart() -> None:
    first = World()
    first.plan.set_outcomes([outcome()], 0.0)
    first.settle(0.0)
    restarted = World()
    restarted.plan.observe(first.observed, 0.0)
    restarted.plan.set_outcomes([outcome()], 0.0)
    assert restarted.settle(0.0) == []


def test_changes_of_one_object_within_a_second_become_one_write_of_the_last() -> None:
    world = World()
    world.plan.set_outcomes([outcome()], 0.0)
    world.settle(0.0)
    for number in range(5):
        world.plan.set_outcomes([outcome(Reason.CONFLICT, message=f"rival {number}")], 0.1 * number)
        assert world.settle(0.1 * number) == []
    assert world.queue.next_time() == 1.0
    (patch,) = world.settle(1.0)
    assert patch.condition is not None
    assert patch.condition.message == "rival 4"


def test_a_change_that_is_taken_back_is_not_written() -> None:
    world = World()
    world.plan.set_outcomes([outcome()], 0.0)
    world.settle(0.0)
    world.plan.set_outcomes([outcome(Reason.CONFLICT)], 0.1)
    assert world.settle(0.1) == []
    world.plan.set_outcomes([outcome()], 0.2)
    assert world.settle(2.0) == []


def test_a_short_outage_of_the_northbound_is_not_written_and_a_long_one_is() -> None:
    world = World()
    world.plan.set_outcomes([outcome()], 0.0)
    world.settle(0.0)
    world.plan.set_outcomes([outcome(Reason.NORTHBOUND_UNAVAILABLE)], 100.0)
    assert world.settle(105.0) == []
    world.plan.set_outcomes([outcome()], 106.0)
    assert world.settle(130.0) == []
    world.plan.set_outcomes([outcome(Reason.NORTHBOUND_UNAVAILABLE)], 200.0)
    world.plan.set_outcomes([outcome(Reason.NORTHBOUND_UNAVAILABLE, message="again")], 208.0)
    (patch,) = world.settle(210.0)
    assert patch.condition is not None
    assert patch.condition.reason == "NorthboundUnavailable"


def test_a_zone_that_has_no_source_pods_for_a_minute_takes_its_condition_away() -> None:
    world = World()
    world.plan.set_outcomes([outcome(sources=False)], 0.0)
    assert world.settle(0.0) == []
    world.plan.set_outcomes([outcome()], 1.0)
    world.settle(1.0)
    world.plan.set_outcomes([outcome(sources=False)], 5.0)
    assert world.settle(5.0) == []
    world.plan.set_outcomes([outcome()], 30.0)
    assert world.settle(30.0) == []
    world.plan.set_outcomes([outcome(sources=False)], 40.0)
    assert world.settle(99.0) == []
    (patch,) = world.settle(100.0)
    assert (kind_of(patch), patch.status()) == ("retraction", {"conditions": None, "zones": {"a": None}})
    assert world.observed.conditions == {}


def test_a_condition_that_is_not_needed_and_not_true_any_more_is_taken_away_at_once() -> None:
    world = World()
    world.plan.set_outcomes([outcome()], 0.0)
    world.settle(0.0)
    world.plan.set_outcomes([outcome(generation=2, sources=False)], 5.0)
    (patch,) = world.settle(5.0)
    assert kind_of(patch) == "retraction"


def test_of_several_processes_of_a_zone_only_the_elected_one_writes() -> None:
    world = World(shared=True)
    world.plan.set_outcomes([outcome()], 0.0)
    assert world.settle(0.0) == []
    world.plan.aggregate(True, 1.0)
    assert [kind_of(patch) for patch in world.settle(1.0)] == ["condition", "summary"]
    world.plan.aggregate(False, 2.0)
    world.plan.observe(world.others_say(a="Conflict"), 2.0)  # its successor
    assert world.settle(1000.0) == []


def test_an_outcome_of_an_earlier_generation_does_not_replace_what_another_process_of_the_zone_wrote() -> None:
    world = World(shared=True)
    world.plan.set_outcomes([outcome()], 0.0)
    world.change(generation=2)
    world.plan.observe(world.others_say(a="Conflict"), 0.0)
    world.plan.aggregate(True, 0.0)
    assert [patch.summary for patch in world.settle(0.0)] == ["Conflict in zone a"]
    world.plan.set_outcomes([outcome(generation=2)], 5.0)
    assert [kind_of(patch) for patch in world.settle(5.0)] == ["condition", "summary"]


def test_a_condition_of_a_generation_that_the_object_has_not_reached_is_replaced() -> None:
    """As one of a dead object that was written on its successor: the API compares no uid on a status."""
    world = World()
    world.change(generation=5)
    world.others_say(a="Conflict")
    world.plan.observe(world.change(generation=1), 0.0)
    world.plan.set_outcomes([outcome()], 0.0)
    (patch,) = world.settle(0.0)
    assert patch.condition is not None
    assert (patch.condition.reason, patch.condition.observed_generation) == ("Success", 1)


def test_the_aggregator_writes_a_condition_on_every_object_and_the_summary() -> None:
    world = World()
    world.plan.aggregate(True, 0.0)
    world.plan.set_outcomes([outcome(sources=False)], 0.0)
    assert [kind_of(patch) for patch in world.settle(0.0)] == ["condition", "summary"]
    assert world.observed.summary == "NetworkQoS Destinations applied"
    world.plan.aggregate(False, 5.0)
    assert world.settle(64.0) == []
    assert [kind_of(patch) for patch in world.settle(65.0)] == ["retraction"]
    assert world.observed.summary == "NetworkQoS Destinations applied"


def test_only_the_aggregator_writes_a_summary() -> None:
    world = World()
    world.plan.set_outcomes([outcome()], 0.0)
    world.plan.observe(world.others_say(b="Conflict"), 0.0)
    assert [kind_of(patch) for patch in world.settle(0.0)] == ["condition"]
    world.plan.aggregate(True, 0.0)
    (patch,) = world.settle(0.0)
    assert (patch.manager, kind_of(patch), patch.summary) == (
        "ovnqosd-aggregator",
        "summary",
        "Conflict in zone b",
    )


def test_the_summary_follows_the_other_zones() -> None:
    world = World()
    world.plan.aggregate(True, 0.0)
    world.plan.set_outcomes([outcome()], 0.0)
    world.settle(0.0)
    world.plan.observe(world.others_say(b="Invalid"), 10.0)
    world.settle(10.0)
    assert world.observed.summary == "Invalid in zone b"
    world.plan.observe(world.others_say(b="Success"), 20.0)
    world.settle(20.0)
    assert world.observed.summary == "NetworkQoS Destinations applied"


def test_pending_is_written_only_when_it_lasts() -> None:
    world = World()
    world.plan.aggregate(True, 0.0)
    world.plan.set_outcomes([outcome()], 0.0)
    world.settle(0.0)
    world.plan.observe(world.change(generation=2), 10.0)
    assert world.settle(11.0) == []
    world.settle(12.0)
    assert world.observed.summary == "Pending in zone a"
    world.plan.set_outcomes([outcome(generation=2)], 14.0)
    world.settle(14.0)
    assert world.observed.summary == "NetworkQoS Destinations applied"


def test_conditions_of_zones_that_are_gone_are_taken_away_by_their_own_manager() -> None:
    world = World()
    world.plan.aggregate(True, 0.0)
    world.plan.set_outcomes([outcome()], 0.0)
    world.plan.observe(world.others_say(b="Conflict", c="Success"), 0.0)
    world.settle(0.0)
    assert world.observed.summary == "Conflict in zone b"
    world.plan.set_zones({"n1": "a", "n3": "c"}, 10.0)
    retraction, summary = world.settle(10.0)
    assert (retraction.manager, kind_of(retraction)) == ("ovnqosd-zone-b", "retraction")
    assert summary.summary == "NetworkQoS Destinations applied"
    assert set(world.observed.conditions) == {"Ready-In-Zone-a", "Ready-In-Zone-c"}


def test_a_condition_of_a_zone_that_is_gone_and_that_another_manager_has_is_removed_by_its_position() -> None:
    world = World()
    world.plan.aggregate(True, 0.0)
    world.plan.set_outcomes([outcome()], 0.0)
    world.settle(0.0)
    world.plan.observe(world.others_say(b="Success", c="Success"), 10.0)
    world.plan.set_zones({"n1": "a", "n3": "c"}, 10.0)
    first = world.next(10.0)
    assert isinstance(first, StatusPatch)
    assert (first.manager, first.position) == ("ovnqosd-zone-b", None)
    world.plan.written(first, world.observed, 10.0)  # which leaves it where it is
    second = world.next(11.0)
    assert isinstance(second, StatusPatch)
    kinds = [one["type"] for one in world.status["conditions"]]
    assert second.operations() == [
        {"op": "test", "path": f"/status/conditions/{kinds.index('Ready-In-Zone-b')}/type", "value": "Ready-In-Zone-b"},
        {"op": "remove", "path": f"/status/conditions/{kinds.index('Ready-In-Zone-b')}"},
    ]


def test_no_condition_is_taken_away_while_the_zones_are_unknown_or_by_another_than_the_aggregator() -> None:
    world = World()
    world.plan.set_outcomes([outcome()], 0.0)
    world.plan.observe(world.others_say(b="Success"), 0.0)
    world.plan.set_zones({"n1": "a"}, 0.0)
    assert [kind_of(patch) for patch in world.settle(0.0)] == ["condition"]
    world.plan.set_zones(None, 1.0)
    world.plan.aggregate(True, 1.0)
    assert [kind_of(patch) for patch in world.settle(1.0)] == ["summary"]


def test_what_somebody_else_edits_is_written_again_ever_more_slowly() -> None:
    world = World()
    world.plan.set_outcomes([outcome()], 0.0)
    world.settle(0.0)
    times = []
    now = 0.0
    for _ in range(12):
        world.owned["ovnqosd-zone-a"] = {}
        world.plan.observe(world.change(), now)
        assert world.settle(now) == []
        due = world.queue.next_time()
        assert due is not None
        assert len(world.settle(due)) == 1
        times.append(due - now)
        now = due
    assert times[:4] == [1.0, 2.0, 4.0, 8.0]
    assert times[-1] == 300.0


def test_a_watch_event_older_than_the_answer_to_a_write_is_passed_over() -> None:
    world = World()
    before = world.observed
    world.plan.set_outcomes([outcome()], 0.0)
    world.settle(0.0)
    world.plan.observe(before, 5.0)
    assert world.settle(5.0) == []


def test_an_object_that_the_api_does_not_know_is_tried_once_more_and_then_forgotten() -> None:
    world = World()
    world.plan.set_outcomes([outcome()], 0.0)
    patch = world.next(0.0)
    assert patch is not None
    world.plan.missing(patch, 0.0)
    assert world.queue.next_time() == 10.0
    patch = world.next(10.0)
    assert patch is not None
    world.plan.missing(patch, 10.0)
    assert world.next(1000.0) is None
    assert world.queue.next_time() is None
    assert world.plan.uid(KEY) == ""


def test_an_outcome_of_an_earlier_object_of_the_same_name_is_not_written_on_the_new_one() -> None:
    world = World()
    world.plan.observe(world.change(uid="u2"), 0.0)
    world.plan.set_outcomes([outcome()], 0.0)
    assert world.settle(0.0) == []
    world.plan.set_outcomes([replace(outcome(), uid="u2")], 1.0)
    (patch,) = world.settle(1.0)
    assert patch.uid == "u2"


def test_forgotten_objects_are_not_written() -> None:
    world = World()
    world.plan.set_outcomes([outcome()], 0.0)
    world.plan.delete([KEY, "shop/unknown"], 0.0)
    assert world.settle(0.0) == []
    assert len(world.queue) == 0


@pytest.mark.parametrize("aggregating", [False, True])
def test_nothing_is_written_on_an_object_before_its_outcome_is_known(aggregating: bool) -> None:
    world = World()
    world.plan.aggregate(aggregating, 0.0)
    world.plan.observe(world.others_say(a="Success", b="Success"), 0.0)
    assert world.settle(100.0) == []


def test_the_last_condition_of_an_object_is_taken_away_from_the_very_version_that_was_seen() -> None:
    world = World()
    world.plan.set_outcomes([outcome()], 0.0)
    world.settle(0.0)
    seen = world.observed.resource_version
    world.plan.withdraw(1.0)
    (patch,) = world.settle(1.0)
    assert (kind_of(patch), patch.replaces) == ("retraction", seen)
    assert patch.status() == {"conditions": None, "zones": {"a": None}}
    assert world.observed.conditions == {}


def test_one_condition_of_several_is_no_longer_applied() -> None:
    world = World()
    world.plan.set_outcomes([outcome()], 0.0)
    world.settle(0.0)
    world.plan.observe(world.others_say(b="Success"), 0.5)
    world.plan.withdraw(1.0)
    (patch,) = world.settle(1.0)
    assert (patch.manager, patch.replaces, patch.status()) == ("ovnqosd-zone-a", "", {})
    assert world.observed.conditions.keys() == {"Ready-In-Zone-b"}


def test_who_withdraws_waits_for_nothing_and_says_nothing_more() -> None:
    world = World()
    world.plan.set_outcomes([outcome()], 0.0)
    world.settle(0.0)
    world.plan.withdraw(0.1)
    assert [kind_of(patch) for patch in world.settle(0.1)] == ["retraction"]
    world.plan.set_outcomes([outcome(Reason.INVALID, generation=2)], 0.2)
    world.plan.observe(world.change(generation=2), 0.2)
    assert world.settle(500.0) == []
    assert world.queue.next_time() is None


def test_the_summary_goes_with_the_last_zone_and_else_says_what_the_others_say() -> None:
    alone = World()
    alone.plan.aggregate(True, 0.0)
    alone.plan.observe(alone.observed, 0.0)
    alone.plan.set_outcomes([outcome()], 0.0)
    alone.settle(0.0)
    assert alone.observed.summary == APPLIED
    alone.plan.withdraw(1.0)
    alone.settle(1.0)
    assert (alone.observed.conditions, alone.observed.summary) == ({}, "")

    one_of_two = World()
    one_of_two.plan.aggregate(True, 0.0)
    one_of_two.plan.observe(one_of_two.others_say(b="Conflict"), 0.0)
    one_of_two.plan.set_outcomes([outcome(Reason.INVALID)], 0.0)
    one_of_two.settle(0.0)
    assert one_of_two.observed.summary == "Invalid in zone a"
    one_of_two.plan.withdraw(1.0)
    one_of_two.settle(1.0)
    assert one_of_two.observed.summary == "Conflict in zone b"


def test_of_a_shared_zone_only_the_elected_withdraws() -> None:
    world = World(shared=True)
    world.plan.aggregate(True, 0.0)
    world.plan.set_outcomes([outcome()], 0.0)
    world.settle(0.0)
    standby = World(shared=True)
    standby.plan.observe(world.observed, 0.0)
    standby.plan.withdraw(1.0)
    assert standby.settle(1.0) == []


def test_an_answer_about_a_dead_object_is_not_taken_for_its_successor() -> None:
    """Deleted and recreated while the watch is cut: the answer to a write comes after the new object was listed."""
    world = World()
    world.plan.set_outcomes([outcome()], 0.0)
    patch = world.next(0.0)
    assert patch is not None
    answer = world.apply(patch)
    world.owned.clear()
    world.plan.observe(world.change(uid="u2"), 0.1)
    world.plan.set_outcomes([replace(outcome(Reason.INVALID), uid="u2")], 0.2)
    world.plan.written(patch, answer, 0.3)
    (second,) = world.settle(2.0)
    assert second.condition is not None
    assert (second.uid, second.condition.reason) == ("u2", "Invalid")


def test_a_dead_object_that_the_server_does_not_know_does_not_hold_up_its_successor() -> None:
    world = World()
    world.plan.set_outcomes([outcome()], 0.0)
    patch = world.next(0.0)
    assert patch is not None
    world.plan.observe(world.change(uid="u2"), 0.1)
    world.plan.set_outcomes([replace(outcome(), uid="u2")], 0.2)
    world.plan.missing(patch, 0.3)
    assert [one.uid for one in world.settle(0.4)] == ["u2"]


# Ready and counts


def aggregating() -> World:
    """Zone a, whose process is elected and has written what there was to write."""
    world = World()
    world.plan.aggregate(True, 0.0)
    world.plan.set_outcomes([counted(2)], 0.0)
    world.settle(0.0)
    return world


def counted(pods: int, *, generation: int = 1) -> PolicyOutcome:
    return replace(outcome(generation=generation), counts=PolicyCounts(pods=pods, rows=1, switches=1))


def test_ready_is_over_all_zones_and_goes_with_each_change_of_them() -> None:
    world = aggregating()
    assert world.ready == ("True", "Success", 1)
    world.plan.observe(world.others_say(b="Conflict"), 10.0)
    world.settle(10.0)
    assert world.ready == ("False", "Conflict", 1)
    world.plan.observe(world.others_say(b="Success"), 20.0)
    world.settle(20.0)
    assert world.ready == ("True", "Success", 1)


def test_ready_is_unknown_while_a_zone_has_not_reported_on_the_present_generation() -> None:
    world = aggregating()
    world.plan.observe(world.others_say(b="Success"), 5.0)
    world.plan.observe(world.change(generation=2), 10.0)
    world.plan.set_outcomes([counted(2, generation=2)], 10.0)
    world.settle(12.0)
    assert world.ready == ("Unknown", "Pending", 2)
    world.plan.observe(world.others_say(b="Success"), 14.0)
    world.settle(14.0)
    assert world.ready == ("True", "Success", 2)


def test_of_a_summary_and_ready_one_write_is_made() -> None:
    world = aggregating()
    world.plan.observe(world.others_say(b="Conflict"), 10.0)
    (patch,) = world.settle(10.0)
    assert patch.manager == "ovnqosd-aggregator"
    assert patch.status().keys() == {"conditions", "status", "pods", "rows", "switches"}


def test_counts_are_those_of_the_zone_and_their_sum_over_zones() -> None:
    world = aggregating()
    assert world.status["zones"] == {"a": {"pods": 2, "rows": 1, "switches": 1}}
    world.plan.observe(world.others_say(PolicyCounts(pods=5, rows=1, switches=3), b="Success"), 20.0)
    world.settle(20.0)
    assert {name: world.status[name] for name in ("pods", "rows", "switches")} == {"pods": 7, "rows": 2, "switches": 4}


def test_counts_of_a_zone_that_is_gone_are_no_more_in_the_sum() -> None:
    world = aggregating()
    world.plan.observe(world.others_say(PolicyCounts(pods=5), b="Success"), 20.0)
    world.settle(20.0)
    world.plan.set_zones({"n1": "a"}, 40.0)
    world.settle(40.0)
    assert (world.status["zones"].keys(), world.status["pods"]) == ({"a"}, 2)


def test_counts_that_change_alone_are_written_at_most_every_ten_seconds() -> None:
    world = aggregating()
    for second in range(1, 10):
        world.plan.set_outcomes([counted(2 + second)], float(second))
        assert world.settle(float(second)) == []
    assert [kind_of(patch) for patch in world.settle(10.0)] == ["condition", "summary"]
    assert (world.status["zones"]["a"]["pods"], world.status["pods"]) == (11, 11)
    assert world.settle(1000.0) == []


def test_a_condition_that_changes_takes_its_counts_along() -> None:
    world = aggregating()
    bad = replace(outcome(Reason.CONFLICT), counts=PolicyCounts(pods=9))
    world.plan.set_outcomes([bad], 2.0)
    condition, summary = world.settle(2.0)
    assert condition.counts == summary.counts == PolicyCounts(pods=9)


def test_no_counts_are_written_on_a_custom_resource_without_them() -> None:
    world = World()
    world.plan.aggregate(True, 0.0)
    world.plan.drop_counts(0.0)
    world.plan.set_outcomes([counted(2)], 0.0)
    assert [patch.counts for patch in world.settle(0.0)] == [None, None]
    assert world.settle(1000.0) == []
    assert (world.ready, world.status["zones"]) == (("True", "Success", 1), {})


def test_the_last_valid_version_stands_in_the_status_of_an_invalid_object_alone() -> None:
    world = World()
    world.plan.aggregate(True, 0.0)
    world.plan.observe(world.observed, 0.0)
    invalid = replace(outcome(Reason.INVALID), last_valid=write_last_valid(POLICY))
    world.plan.set_outcomes([invalid], 0.0)
    world.settle(0.0)
    assert world.observed.read_last_valid() == POLICY
    world.plan.set_outcomes([outcome()], 10.0)
    world.settle(10.0)
    assert "lastValid" not in world.status


@pytest.mark.parametrize("text", ["{", "[]", '{"kind": "Pod"}', write_last_valid(replace(POLICY, name="other"))])
def test_a_last_valid_version_that_is_of_no_use_is_none(text: str) -> None:
    assert replace(World().observed, last_valid=text).read_last_valid() is None


def test_what_the_custom_resource_gives_by_default_is_no_status() -> None:
    default = {
        "type": "Ready",
        "status": "Unknown",
        "reason": "Pending",
        "message": "waiting",
        "lastTransitionTime": "1970-01-01T00:00:00Z",
    }
    found = read_status(
        {"metadata": {"namespace": "shop", "name": "gold"}, "status": {"status": "Pending", "conditions": [default]}},
        "x",
    )
    assert found is not None
    assert (found.summary, found.ready, found.conditions) == ("", None, {})


def test_ready_waits_for_every_zone_with_source_pods_to_report_once() -> None:
    world = World()
    world.plan.aggregate(True, 0.0)
    world.plan.set_zones({"n1": "a", "n2": "b", "n3": "c"}, 0.0)
    world.plan.set_outcomes([replace(outcome(), nodes=frozenset({"n1", "n2"}))], 0.0)
    world.settle(2.0)
    world.settle(5.0)
    assert world.ready == ("Unknown", "Pending", 1)
    assert world.observed.summary == "Pending in zone b"
    world.plan.observe(world.others_say(b="Success"), 6.0)
    world.settle(6.0)
    assert world.ready == ("True", "Success", 1)
    del world.owned["ovnqosd-zone-b"]  # its pods are gone
    world.plan.observe(world.change(), 100.0)
    world.settle(200.0)
    assert world.ready == ("True", "Success", 1)
    world.plan.set_outcomes([replace(outcome(generation=2), nodes=frozenset({"n1", "n2"}))], 300.0)
    world.plan.observe(world.change(generation=2), 300.0)
    world.settle(303.0)
    assert world.ready == ("Unknown", "Pending", 2)


def test_a_node_that_is_gone_is_not_waited_for() -> None:
    world = World()
    world.plan.aggregate(True, 0.0)
    world.plan.set_zones({"n1": "a", "n2": "b"}, 0.0)
    world.plan.set_outcomes([replace(outcome(), nodes=frozenset({"n1", "n2", "unknown"}))], 0.0)
    world.settle(2.0)
    world.settle(5.0)
    assert world.ready[0] == "Unknown"
    world.plan.set_zones({"n1": "a"}, 6.0)
    world.settle(6.0)
    assert world.ready[0] == "True"
