"""The reconcile loop in a process of its own: `python -m bench.own_process [--read-ahead] FILE REMOTE [NODE]`.

Prints the seconds until everything in FILE (a Kubernetes object a line) is in the database, from when all of it was
parsed and nothing connected; and the MB that are in use then. With `--read-ahead` the clock starts when the database
has been read, as where Kubernetes takes longer to list.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.loop import Loop
from bench.measures import Objects
from ovnqos.controller import parse_namespace, parse_pod, parse_policy

if TYPE_CHECKING:
    from collections.abc import Callable

_PAGE = os.sysconf("SC_PAGE_SIZE")
_PARSERS: dict[str, Callable[[Any], object]] = {
    "Namespace": parse_namespace,
    "Pod": parse_pod,
    "NetworkQoS": parse_policy,
}


def main() -> None:
    """Load, reconcile, measure."""
    read_ahead = sys.argv[1] == "--read-ahead"
    file, remote, *nodes = sys.argv[1 + read_ahead :]
    kinds: dict[str, list[object]] = {kind: [] for kind in _PARSERS}
    with Path(file).open() as lines:  # one object a line, so that no process ever holds the documents
        for line in lines:
            document = json.loads(line)
            if document["kind"] in kinds:
                kinds[document["kind"]].append(_PARSERS[document["kind"]](document))
    objects = Objects(
        namespaces=kinds["Namespace"],  # type: ignore[arg-type] # each list holds what its parser makes
        pods=kinds["Pod"],  # type: ignore[arg-type] # likewise
        policies=kinds["NetworkQoS"],  # type: ignore[arg-type] # likewise
        zone_nodes=nodes or None,
    )
    loop = Loop(remote, objects)
    if read_ahead:
        loop.read_ahead()
    seconds = loop.start(objects)
    gc.collect()
    print(seconds, resident_mb())
    loop.stop()


def resident_mb() -> float:
    """Resident memory of this process in MB (proc(5), statm)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE / 1e6


if __name__ == "__main__":
    main()
