"""`python -m bench --sizes S,M,L`: measure, print a table, compare it with the committed run.

Writes bench/out/latest.json. Ends with 1 where a ratio is worse than in bench/committed.json by more than 20 %; what
has no floor, and the 99th percentiles, are not compared. `--save` makes the run the one to commit.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.files import reading_times
from bench.generate import generate
from bench.live import loop_measures, own_process
from bench.measures import Objects, Result, compile_time, quiet_collector, start_up, sync_times
from bench.sizes import SIZES

MEASURES = ("files", "sync", "live", "process")
OUT = Path(__file__).parent / "out" / "latest.json"
COMMITTED = Path(__file__).parent / "committed.json"
WORSE = 1.2
"""A ratio that is so many times that of the committed run fails."""


def main() -> None:
    """Run the benchmark."""
    load_before = os.getloadavg()[0]
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--sizes", default="S,M", help=f"with commas, of {', '.join(SIZES)}")
    parser.add_argument("--mode", choices=["zone", "central"], default="zone", help="which nodes this Northbound wires")
    parser.add_argument("--runs", type=int, default=5, help="runs of each measure; the median counts")
    parser.add_argument("--measures", default=",".join(MEASURES), help=f"with commas, of {', '.join(MEASURES)}")
    parser.add_argument("--times", type=int, default=200, help="changes of each kind that the reconcile loop is given")
    parser.add_argument("--save", action="store_true", help=f"write {COMMITTED.name} too, in place of comparing")
    arguments = parser.parse_args()
    sizes = arguments.sizes.split(",")
    if unknown := [size for size in sizes if size not in SIZES]:
        parser.error(f"unknown size {unknown[0]}; use {', '.join(SIZES)}")
    measures = arguments.measures.split(",")
    if unknown := [measure for measure in measures if measure not in MEASURES]:
        parser.error(f"unknown measure {unknown[0]}; use {', '.join(MEASURES)}")
    results = [start_up(arguments.runs)]
    for size in sizes:
        cluster = generate(size, mode=arguments.mode)
        if "files" in measures:
            results.extend(reading_times(size, cluster, arguments.runs))
        if "sync" in measures:
            objects = Objects.of(cluster, arguments.mode)
            quiet_collector()
            results.append(compile_time(size, objects, arguments.runs))
            results.extend(sync_times(size, cluster, objects, arguments.runs))
        if "live" in measures:
            quiet_collector()
            results.extend(loop_measures(size, cluster, arguments.mode, arguments.times))
        if "process" in measures:
            results.extend(own_process(size, cluster, arguments.mode))
        print(f"{size} done")
    run = {
        "commit": _commit(),
        "mode": arguments.mode,
        "load_before": round(load_before, 2),
        "load_after": round(os.getloadavg()[0], 2),
        "results": [asdict(one) for one in results],
    }
    OUT.parent.mkdir(exist_ok=True)
    for file in (OUT, COMMITTED) if arguments.save else (OUT,):
        file.write_text(json.dumps(run, indent=2) + "\n")
    print(_table(results))
    print(f"commit {run['commit']}, load of the machine {run['load_before']} before, {run['load_after']} after")
    if arguments.save or not COMMITTED.exists():
        return
    committed = json.loads(COMMITTED.read_text())
    if committed["mode"] != arguments.mode:
        print(f"not compared: the committed run is of mode {committed['mode']}")
    elif worse := find_worse(results, committed["results"]):
        raise SystemExit(f"worse than {committed['commit']} by more than 20 %:\n" + "\n".join(worse))


def find_worse(results: list[Result], committed: list[dict[str, Any]]) -> list[str]:
    """The measures whose ratio to the floor is worse than in the committed run, a line each."""
    known = {(one["measure"], one["size"]): one["ratio"] for one in committed}
    return [
        f"{one.measure} {one.size}: {one.ratio:.1f} x the floor, {before:.1f} x before"
        for one in results
        if one.ratio is not None and not one.measure.endswith("_p99")
        if (before := known.get((one.measure, one.size))) is not None and one.ratio > WORSE * before
    ]


def _commit() -> str:
    """The commit that was measured, with a + where files differ from it."""
    described = ["git", "describe", "--always", "--dirty=+", "--exclude=*"]
    return subprocess.run(described, cwd=OUT.parent.parent, capture_output=True, text=True, check=False).stdout.strip()


def _table(results: list[Result]) -> str:
    lines = [
        f"{'measure':<27} {'size':<4} {'ours ms':>9} {'(min)':>9} {'floor ms':>9} {'(min)':>9} {'ratio':>6} {'txn':>4}"
    ]
    for one in results:
        words = [
            f"{one.measure:<27} {one.size:<4} {one.ours_ms:>9.1f} {one.ours_min_ms:>9.1f}",
            f"{_number(one.floor_ms, 9)} {_number(one.floor_min_ms, 9)} {_number(one.ratio, 6)}",
            f"{'-' if one.transactions is None else one.transactions:>4}  {one.notes}".rstrip(),
        ]
        lines.append(" ".join(words))
    return "\n".join(lines)


def _number(value: float | None, width: int) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:>{width}.1f}"


if __name__ == "__main__":
    main()
