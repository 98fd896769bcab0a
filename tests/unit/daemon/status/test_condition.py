"""A policy's condition in a zone, and the summary of all zones."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovnqosd.status.condition import (
    Condition,
    condition_of,
    condition_type,
    field_manager,
    read_conditions,
    summarise,
)
from ovnqosd.status.policy_outcome import APPLIED, IN_FORCE, PolicyOutcome, Reason
from tests.support.outcomes import cause, policy_outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

NOON = datetime(2026, 11, 21, 12, 0, 0, 900_000, tzinfo=UTC)
LATER = datetime(2026, 11, 21, 13, 0, tzinfo=UTC)
# the patterns of daemon/deploy/crd.yaml and of metav1.Condition
TYPE = re.compile(
    r"([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])"
)
REASON = re.compile(r"[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?")


def outcome(reason: Reason = Reason.SUCCESS, *, message: str = "2 rows", generation: int = 3) -> PolicyOutcome:
    return policy_outcome(reason, message, generation=generation)


def condition(zone: str, reason: str = "Success", *, status: str = "", generation: int = 3) -> Condition:
    return Condition(
        type=f"Ready-In-Zone-{zone}",
        status=status or ("True" if reason == "Success" else "False"),
        reason=reason,
        message="",
        last_transition_time="2026-11-21T12:00:00Z",
        observed_generation=generation,
    )


def test_a_success_is_a_true_condition_of_the_zone() -> None:
    assert condition_of(outcome(), "node1.example", previous=None, now=NOON).as_document() == {
        "type": "Ready-In-Zone-node1.example",
        "status": "True",
        "reason": "Success",
        "message": APPLIED,
        "lastTransitionTime": "2026-11-21T12:00:00Z",
        "observedGeneration": 3,
    }


def test_nothing_selected_is_true_all_the_same_and_says_so() -> None:
    found = condition_of(outcome(Reason.NOTHING_SELECTED, message="no pod"), "a", previous=None, now=NOON)
    assert (found.status, found.reason, found.message) == ("True", "NothingSelected", "no pod")
    assert summary_of([found])[1].reason == "NothingSelected"
    text, both = summary_of([found, condition("b")])
    assert (both.reason, text) == ("Success", APPLIED)


@pytest.mark.parametrize("reason", [one for one in Reason if one not in IN_FORCE])
def test_anything_that_is_not_in_force_is_a_false_condition_with_its_reason(reason: Reason) -> None:
    found = condition_of(outcome(reason), "a", previous=None, now=NOON)
    assert (found.status, found.reason) == ("False", reason.value)
    assert REASON.fullmatch(found.reason)


def test_the_time_moves_only_when_the_status_does() -> None:
    first = condition_of(outcome(Reason.INVALID), "a", previous=None, now=NOON)
    second = condition_of(outcome(Reason.CONFLICT, message="other", generation=4), "a", previous=first, now=LATER)
    third = condition_of(outcome(), "a", previous=second, now=LATER)
    assert second.last_transition_time == first.last_transition_time
    assert third.last_transition_time == "2026-11-21T13:00:00Z"


def test_warnings_stand_behind_the_reason() -> None:
    with_warnings = replace(outcome(Reason.CONFLICT), warnings=(cause("too small", path="spec.egress[0]"),))
    message = condition_of(with_warnings, "a", previous=None, now=NOON).message
    assert message == "2 rows; spec.egress[0]: too small"


def test_a_message_is_as_long_as_the_api_takes() -> None:
    found = condition_of(outcome(Reason.INVALID, message="é" * 40_000), "a", previous=None, now=NOON)
    assert len(found.message) == 32_768
    assert found.message.endswith("é…")


@given(zone=st.text(max_size=400))
def test_every_zone_name_gives_a_type_and_a_manager_that_the_api_takes(zone: str) -> None:
    kind = condition_type(zone)
    assert TYPE.fullmatch(kind)
    assert len(kind) <= 316
    assert len(field_manager(kind).encode()) <= 128
    assert kind.startswith("Ready-In-Zone-")


@pytest.mark.parametrize("zone", ["global", "node-1.rack_2.example.com", "n" * 253])
def test_the_name_of_a_node_stands_in_the_type_as_it_is(zone: str) -> None:
    assert condition_type(zone) == f"Ready-In-Zone-{zone}"


def test_zones_never_share_a_type_or_a_manager() -> None:
    zones = ["a/b", "a b", "a-b", "a-b-", "", "n" * 200, "n" * 201, "n" * 400, "n" * 401]
    assert len({condition_type(zone) for zone in zones}) == len(zones)
    assert len({field_manager(condition_type(zone)) for zone in zones}) == len(zones)


def test_the_manager_names_the_zone() -> None:
    assert field_manager(condition_type("node1")) == "ovnqosd-zone-node1"


def test_conditions_survive_the_way_to_the_api_and_back() -> None:
    found = condition_of(outcome(Reason.CONFLICT), "a", previous=None, now=NOON)
    read = read_conditions([found.as_document()])
    assert read == {"Ready-In-Zone-a": found}
    assert read["Ready-In-Zone-a"].last_transition_time == found.last_transition_time


@pytest.mark.parametrize("documents", [None, "x", {}, [None, 3, {"status": "True"}, {"type": 3}]])
def test_what_is_no_condition_is_passed_over(documents: object) -> None:
    assert read_conditions(documents) == {}


def summary_of(
    conditions: Sequence[Condition], *, previous: Condition | None = None, now: datetime = NOON
) -> tuple[str, Condition]:
    found = summarise(conditions, 3, previous=previous, now=now)
    assert found is not None
    return found


def test_the_summary_is_the_guides_when_every_zone_is_true() -> None:
    text, ready = summary_of([condition("a"), condition("b")])
    assert text == APPLIED == "NetworkQoS Destinations applied"
    assert ready.as_document() == {
        "type": "Ready",
        "status": "True",
        "reason": "Success",
        "message": APPLIED,
        "lastTransitionTime": "2026-11-21T12:00:00Z",
        "observedGeneration": 3,
    }


def test_no_zone_says_nothing() -> None:
    assert summarise([], 3, previous=None, now=NOON) is None
    assert summarise([replace(condition("a", "Broken"), type="Accepted")], 3, previous=None, now=NOON) is None


@pytest.mark.parametrize(
    ("conditions", "ready", "summary"),
    [
        ([condition("a"), condition("b", "Conflict")], "False Conflict", "Conflict in zone b"),
        ([condition("a", "Conflict"), condition("b", "Unsupported")], "False Unsupported", "Unsupported in zone b"),
        ([condition("a", "Unsupported"), condition("b", "Invalid")], "False Invalid", "Invalid in zone b"),
        (
            [condition("a", "NorthboundUnavailable"), condition("b", "Conflict")],
            "False Conflict",
            "Conflict in zone b",
        ),
        (
            [condition("a", "Strange"), condition("b", "NorthboundUnavailable")],
            "False NorthboundUnavailable",
            "NorthboundUnavailable in zone b",
        ),
        ([condition("a", "Invalid", generation=2), condition("b", "Strange")], "False Strange", "Strange in zone b"),
        ([condition("a"), condition("b", generation=2)], "Unknown Pending", "Pending in zone b"),
        ([condition("b", "Conflict"), condition("a", "Conflict")], "False Conflict", "Conflict in zone a"),
        ([condition("a", "Success", status="Unknown")], "Unknown Success", "Success in zone a"),
    ],
)
def test_the_summary_and_ready_name_the_worst_zone(conditions: Sequence[Condition], ready: str, summary: str) -> None:
    text, found = summary_of(conditions)
    assert text == summary
    assert f"{found.status} {found.reason}" == ready
    assert summary.rpartition(" ")[2] in found.message


def test_ready_has_the_message_of_the_zone_that_decides_where_it_is_known() -> None:
    known = replace(condition("a", "Invalid"), message="spec.priority: too high")
    assert summary_of([known, condition("b")])[1].message == "spec.priority: too high"
    assert summary_of([replace(condition("a"), message="applied; too small")])[1].message == "applied; too small"


def test_the_time_of_ready_moves_only_when_its_status_does() -> None:
    first = summary_of([condition("a", "Invalid")])[1]
    second = summary_of([condition("a", "Conflict")], previous=first, now=LATER)[1]
    third = summary_of([condition("a")], previous=second, now=LATER)[1]
    assert second.last_transition_time == first.last_transition_time
    assert third.last_transition_time == "2026-11-21T13:00:00Z"
