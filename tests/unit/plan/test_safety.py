"""The limit on what a plan may remove."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovnqos import DesiredState, Plan, UnsafePlan, plan_changes
from ovnqos.controller import EndedLimitsMaximum, InvalidRow
from tests.support.database import stored
from tests.support.random_states import OWNER
from tests.support.rows import qos_row


@pytest.mark.parametrize(
    ("text", "limit", "words"),
    [
        ("0", EndedLimitsMaximum(count=0), "0"),
        ("10", EndedLimitsMaximum(count=10), "10"),
        ("30%", EndedLimitsMaximum(share=0.3), "30 %"),
        ("12.5%", EndedLimitsMaximum(share=0.125), "12.5 %"),
        ("0%", EndedLimitsMaximum(share=0.0), "0 %"),
        ("100%", EndedLimitsMaximum(share=1.0), "100 %"),
        ("0.3", EndedLimitsMaximum(share=0.3), "30 %"),
        (".5", EndedLimitsMaximum(share=0.5), "50 %"),
        ("1.0", EndedLimitsMaximum(share=1.0), "100 %"),
    ],
)
def test_a_limit_is_read_from_text(text: str, limit: EndedLimitsMaximum, words: str) -> None:
    assert EndedLimitsMaximum.parse(text) == limit
    assert str(EndedLimitsMaximum.parse(text)) == words


@pytest.mark.parametrize(
    "text", ["", "-1", "101%", "1.5", "x", "10 %", "1e3", "nan", "inf", "٣", "0.3\n", "9999999999", "%", "+1", "100.1%"]
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidRow, match="delete limit"):
        EndedLimitsMaximum.parse(text)


@pytest.mark.parametrize("limit", [-1, -0.1, 1.5, math.inf, math.nan])
def test_a_number_that_is_no_limit_is_refused(limit: float) -> None:
    with pytest.raises(InvalidRow, match="delete limit"):
        EndedLimitsMaximum.of(limit)


def test_a_limit_is_made_from_a_number() -> None:
    assert EndedLimitsMaximum.of(1) == EndedLimitsMaximum(count=1)
    assert EndedLimitsMaximum.of(1.0) == EndedLimitsMaximum(share=1.0)
    assert EndedLimitsMaximum.of(EndedLimitsMaximum(count=7)) == EndedLimitsMaximum(count=7)


def test_a_count_allows_that_many() -> None:
    assert EndedLimitsMaximum(count=2).allows(2, 2)
    assert not EndedLimitsMaximum(count=2).allows(3, 1_000)


@given(st.integers(0, 100), st.integers(1, 50))
def test_a_share_allows_exactly_its_percentage(percent: int, hundreds: int) -> None:
    """Binary fractions must not cut it short: 0.29 * 100 is 28.999999999999996."""
    limit = EndedLimitsMaximum.parse(f"{percent}%")
    assert limit.allows(percent * hundreds, 100 * hundreds)
    assert not limit.allows(percent * hundreds + 1, 100 * hundreds)


def test_a_share_of_few_rows_can_allow_some_in_any_case() -> None:
    limit = EndedLimitsMaximum(share=0.1, at_least=3)
    assert limit.allows(3, 4)
    assert not limit.allows(4, 4)
    assert limit.allows(10, 100)


def _emptying(wanted: int, found: int) -> Plan:
    rows = [qos_row(identity=f"r{number}") for number in range(found)]
    database = stored(DesiredState.of(rows=rows), OWNER, ("lan",), ())
    return plan_changes(DesiredState.of(rows=rows[:wanted]), database.snapshot(OWNER))


def test_a_plan_over_its_limit_is_refused_with_the_numbers() -> None:
    plan = _emptying(6, 10)
    plan.check(4)
    plan.check(0.4)
    plan.check(EndedLimitsMaximum(count=4))
    with pytest.raises(UnsafePlan, match=r"^4 of 10 limits and marks of pods would end, more than the limit of 3;"):
        plan.check(3)
    with pytest.raises(UnsafePlan, match=r"^4 of 10 limits and marks of pods would end, more than the limit of 39 %;"):
        plan.check(0.39)


def test_changes_in_place_are_no_deletions() -> None:
    rows = [qos_row(identity=f"r{number}") for number in range(10)]
    database = stored(DesiredState.of(rows=rows), OWNER, ("lan",), ())
    changed = DesiredState.of(rows=[replace(row, dscp=63) for row in rows])
    plan_changes(changed, database.snapshot(OWNER)).check(0)


def test_nothing_found_and_nothing_deleted_is_within_every_limit() -> None:
    plan = _emptying(0, 0)
    for limit in (0, 0.0, 1.0):
        plan.check(limit)
