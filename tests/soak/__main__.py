"""`make soak MINUTES= FAULTS= SEED= BATCH=`: the real daemon under random faults, compared with a full compile.

Faults come in batches, in central and in zone mode by turns, while objects change all the time. After each batch
churn rests, and everything is to be in order within 70 s. The first failure ends the soak and names seed and batch;
with BATCH= it begins there, with the same faults.
"""

from __future__ import annotations

import argparse
import random
import signal
import statistics
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ovnqos.sandbox import SandboxError
from tests.soak.checks import Checks, SentinelWatch
from tests.soak.churn import Churn
from tests.soak.faults import all_kinds
from tests.soak.world import CENTRAL, QUICK, ZONE, World

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.soak.faults import Fault

SETTLED_S: Final = 70.0
_FAULTS_A_BATCH: Final = (4, 10)
_BATCHES_A_MODE: Final = 5
_LINES_A_FAULT: Final = 150
_LASTS_S: Final = (0.05, 2.5)
_APART_S: Final = (0.02, 0.6)


class SoakFailedError(Exception):
    """What was not in order, by line, with seed and batch."""


@dataclass(slots=True)
class Summary:
    """What a soak did.

    Attributes:
        faults: how many were made, by kind.
        recoveries: seconds from the end of a batch's last fault until rows were in order, batch by batch.
        statuses: the same of rows and statuses.
        failed: the batches after which something was not in order.
    """

    seed: int
    batches: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    recoveries: list[float] = field(default_factory=list)
    statuses: list[float] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    notes: str = ""

    def __str__(self) -> str:
        made = sum(self.faults.values())
        kinds = ", ".join(f"{name} {count}" for name, count in sorted(self.faults.items()))
        return (
            f"seed {self.seed}: {made} faults of {len(self.faults)} kinds in {self.batches} batches, "
            f"{len(self.failed)} failed; rows in order after {_figures(self.recoveries)}, "
            f"statuses after {_figures(self.statuses)}; {self.notes}\n"
            f"{kinds}"
        )


def _figures(seconds: Sequence[float]) -> str:
    if not seconds:
        return "-"
    p90 = sorted(seconds)[int(0.9 * (len(seconds) - 1))]
    return f"{statistics.median(seconds):.1f} s (median), {p90:.1f} s (p90), {max(seconds):.1f} s (longest)"


class Soak:
    """One run."""

    def __init__(self, world: World, seed: int, *, verbose: bool = False, keep_going: bool = False) -> None:
        self.summary = Summary(seed=seed)
        self.batch = 0
        self._world = world
        self._seed = seed
        self._verbose = verbose
        self._keep_going = keep_going

    def run(self, *, faults: int, minutes: float, first_batch: int = 0) -> Summary:
        """Make batches until there were so many faults, or so many minutes are over.

        Raises:
            SoakFailedError: something was not in order.
        """
        deadline = time.monotonic() + 60 * minutes
        with ExitStack() as stack:
            self._watches = [stack.enter_context(SentinelWatch(one)) for one in self._world.all_databases]
            self._world.change_mode(self._mode(first_batch))
            self._churn = stack.enter_context(Churn(self._world, self._seed))
            self._checks = Checks(self._world, self._churn)
            self.batch = first_batch
            self._settle(0, counts=False)
            while sum(self.summary.faults.values()) < faults and time.monotonic() < deadline:
                self._run_batch(faults - sum(self.summary.faults.values()))
                self.batch += 1
        growth = ", ".join(f"{count} {what}" for what, count in sorted(self._checks.growth.items()))
        self.summary.notes = (
            f"{self._churn.steps} changes of objects; most growth of a daemon: {growth}; "
            f"at most {self._checks.most_lines:.0f} log lines a fault"
        )
        return self.summary

    def _mode(self, batch: int) -> str:
        return (CENTRAL, ZONE)[batch // _BATCHES_A_MODE % 2]

    def _run_batch(self, most: int) -> None:
        rng = random.Random(f"{self._seed}-{self.batch}")
        mode = self._mode(self.batch)
        if mode != self._world.mode:
            self._arm(False)
            self._world.change_mode(mode)
            self._settle(0, counts=False)
        kinds = [one for one in all_kinds() if one.mode in ("", mode)]
        self._churn.resume()
        open_faults: list[Fault] = []
        made = 0
        for _ in range(min(most, rng.randint(*_FAULTS_A_BATCH))):
            kind = rng.choice(kinds)
            fault = kind(self._world, random.Random(rng.random()))
            for one in [one for one in open_faults if one.concerns == kind.concerns]:
                open_faults.remove(one)
                self._end(one)
            if kind.ends_limits:
                self._arm(False)
            if self._begin(fault):
                made += 1
                open_faults.append(fault)
            time.sleep(rng.uniform(*_APART_S))
            if rng.random() < 0.6:
                time.sleep(rng.uniform(*_LASTS_S))
                for one in open_faults:
                    self._end(one)
                open_faults.clear()
        for one in open_faults:
            self._end(one)
        self._settle(made)
        self.summary.batches += 1

    def _begin(self, fault: Fault) -> bool:
        try:
            fault.begin()
        except (SandboxError, OSError) as error:
            self._say(f"not made: {type(fault).__name__}: {str(error)[:200]}")
            return False
        self._say(f"begins: {fault.name}")
        self.summary.faults[fault.name] = self.summary.faults.get(fault.name, 0) + 1
        return True

    def _end(self, fault: Fault) -> None:
        fault.end()
        self._say(f"ends: {fault.name}")

    def _settle(self, made: int, *, counts: bool = True) -> None:
        self._churn.pause()
        self._world.recover()
        self._churn.rest()
        ended = time.monotonic()
        rows_s = None
        while True:
            rows, statuses = self._checks.differences()
            seconds = time.monotonic() - ended
            if not rows and rows_s is None:
                rows_s = seconds
            if not rows and not statuses:
                break
            if seconds > SETTLED_S:
                self._fail([f"not in order {seconds:.0f} s after the last fault:", *rows[:10], *statuses[:10]])
                break
            time.sleep(0.2)
        self._say(f"in order after {rows_s or seconds:.1f} s, statuses after {seconds:.1f} s")
        if counts:
            self.summary.recoveries.append(rows_s or 0.0)
            self.summary.statuses.append(seconds)
        found = [*self._checks.foreign(), *self._checks.growing(), *self._checks.log(max(made, 1), _LINES_A_FAULT)]
        found += [f"sentinel absent: {one}" for watch in self._watches for one in watch.absences]
        if self._churn.failure is not None:
            found.append(f"churn failed: {self._churn.failure!r}")
        if found:
            self._fail(found)
        self._arm(True)

    def _arm(self, is_armed: bool) -> None:
        for watch in self._watches:
            watch.is_armed = is_armed and watch.database in self._world.databases

    def _fail(self, lines: Sequence[str]) -> None:
        lines_of = {
            one.name: [line for line in one.log_lines() if "reconciled" not in line] for one in self._world.daemons
        }
        logs = [f"{name}: {line}" for name, told in lines_of.items() for line in told[-8:]]
        head = f"FAILED: seed {self._seed}, batch {self.batch}; again: make soak SEED={self._seed} BATCH={self.batch}"
        text = "\n".join([head, *(line[:1000] for line in lines), "", *(line[:500] for line in logs)])
        if not self._keep_going:
            raise SoakFailedError(text)
        print(text, flush=True)
        self.summary.failed.append(self.batch)
        for watch in self._watches:
            watch.absences.clear()

    def _say(self, line: str) -> None:
        if self._verbose:
            print(f"{time.strftime('%H:%M:%S')} batch {self.batch}: {line}", flush=True)


def main() -> int:
    """Run one, as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=300)
    parser.add_argument("--minutes", type=float, default=600)
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    parser.add_argument("--batch", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="daemons with little patience, not as shipped")
    parser.add_argument("--keep-going", action="store_true", help="do not end at the first failure")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started and mounted ends with it
    with World(flags=QUICK if given.quick else ()) as world:
        soak = Soak(world, given.seed, verbose=True, keep_going=given.keep_going)
        try:
            print(soak.run(faults=given.faults, minutes=given.minutes, first_batch=given.batch))
        except SoakFailedError as failure:
            print(f"{soak.summary}\n{failure}")
            return 1
    return 1 if soak.summary.failed else 0


if __name__ == "__main__":
    sys.exit(main())
