"""Passes that fail one after another: how often that is told, and how soon it is tried again."""

from __future__ import annotations

import random

import pytest
from structlog.testing import capture_logs

from ovnqos import LockLost, OutcomeUnknown, OvnQosError, StalePlan, TransactionRefused
from ovnqos.controller import NorthboundUnavailable
from ovnqos.kubernetes import Clock, RetryPolicy
from ovnqosd.loop.northbound_writer import PassBackoff

NOW = 1000.0
LONG = 30.0


class Still(Clock):
    def monotonic(self) -> float:
        return NOW


class Longest(random.Random):
    """Jitter that always comes out at its ceiling."""

    def uniform(self, a: float, b: float) -> float:
        return b


def failures() -> PassBackoff:
    return PassBackoff(RetryPolicy(longest_delay=LONG, random=Longest()), Still())


def delays(row: PassBackoff, error: OvnQosError | None, count: int) -> list[float]:
    found = []
    for _ in range(count):
        row.fail(error)
        found.append(row.retry_at - NOW)
    return found


@pytest.mark.parametrize("error", [LockLost("held"), NorthboundUnavailable("away")])
def test_a_northbound_that_is_locked_or_away_is_asked_for_every_5_seconds_at_least(error: OvnQosError) -> None:
    assert delays(failures(), error, 8) == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0, 5.0]


@pytest.mark.parametrize("error", [TransactionRefused("no"), OutcomeUnknown("perhaps"), None])
def test_after_other_failures_delays_grow_to_the_longest(error: OvnQosError | None) -> None:
    assert delays(failures(), error, 8) == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, LONG, LONG]


def test_a_plan_that_the_database_outran_is_made_again_at_once() -> None:
    assert delays(failures(), StalePlan("outrun"), 3) == [0.0, 0.0, 0.0]


def test_a_success_ends_the_row() -> None:
    row = failures()
    delays(row, NorthboundUnavailable("away"), 5)
    row.succeed()
    assert delays(row, NorthboundUnavailable("away"), 2) == [0.5, 1.0]


def test_each_kind_of_error_is_one_line_in_a_row_and_so_is_its_end() -> None:
    row = failures()
    with capture_logs() as logs:
        for number in range(5):
            row.fail(NorthboundUnavailable(f"away {number}"))
            row.fail(LockLost(f"held {number}"))
        row.succeed()
        row.succeed()
        row.fail(LockLost("held again"))
    assert [(line["log_level"], line.get("kind"), line.get("error")) for line in logs] == [
        ("warning", "NorthboundUnavailable", "away 0"),
        ("warning", "LockLost", "held 0"),
        ("info", None, None),
        ("warning", "LockLost", "held again"),
    ]


def test_what_is_no_error_of_the_northbound_is_not_told_as_one() -> None:
    row = failures()
    with capture_logs() as logs:
        row.fail()
        row.succeed()
    assert logs == []
