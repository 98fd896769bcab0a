"""Reading alone in a process of its own: `python -m bench.reading REMOTE` prints the seconds."""

from __future__ import annotations

import sys

from bench.measures import time_reading

if __name__ == "__main__":
    print(time_reading(sys.argv[1]))
