"""Reading a cluster's manifests, as kubectl prints them, beside what the parsers need that we build on.

`python -m bench.files [--parser-alone] FILE` is one reading in a process of its own: it prints CPU seconds and peak MB.
"""

from __future__ import annotations

import gc
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from bench.measures import Result
from ovnqos import load_manifests

if TYPE_CHECKING:
    from bench.generate import Cluster


def reading_times(size: str, cluster: Cluster, runs: int) -> list[Result]:
    """CPU time from a file to the model, for YAML beside `yaml.CSafeLoader` and for JSON beside `json.loads`."""
    items = [one for listed in cluster.documents() for one in listed["items"]]
    document = {"apiVersion": "v1", "items": items, "kind": "List", "metadata": {"resourceVersion": ""}}
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for form in ("yaml", "json"):
            file = Path(folder) / f"cluster.{form}"
            with file.open("w") as opened:
                if form == "yaml":
                    yaml.dump(document, opened, Dumper=yaml.CSafeDumper)
                else:
                    json.dump(document, opened, indent=4)
            ours, alone = zip(*(_run(file) for _ in range(runs)), strict=True)
            seconds, floor = ([one[0] for one in series] for series in (ours, alone))
            results.append(
                Result(
                    measure=f"read_{form}_cpu",
                    size=size,
                    ours_ms=statistics.median(seconds) * 1e3,
                    ours_min_ms=min(seconds) * 1e3,
                    floor_ms=statistics.median(floor) * 1e3,
                    floor_min_ms=min(floor) * 1e3,
                    ratio=statistics.median(seconds) / statistics.median(floor),
                    notes=f"{file.stat().st_size / 1e6:.0f} MB in {ours[0][1]:.0f} MB; floor {alone[0][1]:.0f} MB",
                )
            )
    return results


def _run(file: Path) -> tuple[tuple[float, float], tuple[float, float]]:
    """CPU seconds and peak MB, ours and the parser's alone, one after the other."""
    command = [sys.executable, "-m", "bench.files"]
    found = []
    for options in ([], ["--parser-alone"]):
        done = subprocess.run([*command, *options, str(file)], check=True, capture_output=True, text=True)
        seconds, megabytes = map(float, done.stdout.split())
        found.append((seconds, megabytes))
    return found[0], found[1]


def main() -> None:
    """Read one file."""
    gc.disable()  # as the command does
    *options, file = sys.argv[1:]
    start = time.process_time()
    if not options:
        load_manifests([file])
    elif file.endswith(".json"):
        json.loads(Path(file).read_text())
    else:
        yaml.load(Path(file).read_text(), Loader=yaml.CSafeLoader)
    seconds = time.process_time() - start
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    print(seconds, int(peak.split()[1]) / 1e3)  # getrusage would count what the parent had when it forked


if __name__ == "__main__":
    main()
