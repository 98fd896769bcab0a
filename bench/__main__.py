"""`python -m bench --sizes S,M,L`: measure, print a table, write bench/out/latest.json."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from bench.files import reading_times
from bench.generate import generate
from bench.live import loop_measures, own_process
from bench.measures import Objects, Result, compile_time, quiet_collector, start_up, sync_times
from bench.sizes import SIZES

MEASURES = ("files", "sync", "live", "process")
OUT = Path(__file__).parent / "out" / "latest.json"


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--sizes", default="S,M", help=f"with commas, of {', '.join(SIZES)}")
    parser.add_argument("--mode", choices=["zone", "central"], default="zone", help="which nodes this Northbound wires")
    parser.add_argument("--runs", type=int, default=5, help="runs of each measure; the median counts")
    parser.add_argument("--measures", default=",".join(MEASURES), help=f"with commas, of {', '.join(MEASURES)}")
    parser.add_argument("--times", type=int, default=200, help="changes of each kind that the reconcile loop is given")
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
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps([asdict(one) for one in results], indent=2) + "\n")
    print(_table(results))


def _table(results: list[Result]) -> str:
    lines = [
        f"{'measure':<17} {'size':<4} {'ours ms':>9} {'(min)':>9} {'floor ms':>9} {'(min)':>9} {'ratio':>6} {'txn':>4}"
    ]
    for one in results:
        words = [
            f"{one.measure:<17} {one.size:<4} {one.ours_ms:>9.1f} {one.ours_min_ms:>9.1f}",
            f"{_number(one.floor_ms, 9)} {_number(one.floor_min_ms, 9)} {_number(one.ratio, 6)}",
            f"{'-' if one.transactions is None else one.transactions:>4}  {one.notes}".rstrip(),
        ]
        lines.append(" ".join(words))
    return "\n".join(lines)


def _number(value: float | None, width: int) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:>{width}.1f}"


if __name__ == "__main__":
    main()
