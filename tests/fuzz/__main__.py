"""`python -m tests.fuzz [--objects N] [--seed N]`: hostile objects through everything; ends with 1 if one is a finding.

A finding is printed with the seed of its cluster: `python -m tests.fuzz --seed THAT --objects 1` shows it again.
"""

from __future__ import annotations

import argparse
import time
import traceback
from collections import Counter

from tests.fuzz.pipeline import ROUND, check_round

_SHOWN = 3


def main() -> int:
    """Run clusters until there were so many objects."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--objects", type=int, default=20_000, help="how many, at least")
    parser.add_argument("--seed", type=int, default=0, help="of the first cluster; each further one has the next")
    given = parser.parse_args()
    started, done, seed = time.process_time(), 0, given.seed
    findings: Counter[str] = Counter()
    while done < given.objects:
        try:
            check_round(seed)
        except Exception as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            kind = f"{type(error).__name__} at {frame.filename.rpartition('/')[2]}:{frame.lineno}"
            findings[kind] += 1
            if findings[kind] <= _SHOWN:
                print(f"seed {seed}: {kind}: {ascii(str(error))[:400]}", flush=True)
            if findings[kind] == 1:
                traceback.print_exc()
        done += ROUND
        seed += 1
    seconds = time.process_time() - started
    print(
        f"{done} objects, seeds {given.seed} to {seed - 1}, {seconds:.0f} s of CPU: {sum(findings.values())} findings"
    )
    for kind, number in findings.most_common():
        print(f"  {number} {kind}")
    return 1 if findings else 0


if __name__ == "__main__":
    raise SystemExit(main())
