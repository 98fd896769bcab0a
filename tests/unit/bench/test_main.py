"""What of a run of the benchmark counts as worse than the committed one."""

from __future__ import annotations

from dataclasses import asdict

from bench.__main__ import find_worse
from bench.measures import Result


def result(measure: str, ratio: float | None, size: str = "M") -> Result:
    return Result(measure=measure, size=size, ours_ms=1.0, ours_min_ms=1.0, floor_ms=1.0, floor_min_ms=1.0, ratio=ratio)


def test_ratios_that_are_worse_by_more_than_a_fifth_are_told() -> None:
    committed = [asdict(result(name, 2.0)) for name in ("initial_sync", "noop_restart", "rule_change_p99")]
    run = [
        result("initial_sync", 2.5),
        result("noop_restart", 2.3),
        result("rule_change_p99", 9.0),
        result("new", 9.0),
        result("initial_sync", 9.0, size="L"),
        result("compile_cpu", None),
    ]

    assert [line.split(":")[0] for line in find_worse(run, committed)] == ["initial_sync M"]
