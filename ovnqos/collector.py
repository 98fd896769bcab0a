"""Pausing Python's cyclic garbage collector while much is made that stays."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pauses the collector, where it runs, for all threads.

    It looks through all containers again and again while messages become rows, and objects what is wanted, none of
    which is garbage. Measured: of a message of 19 MB it takes 0.75 s, the parser 0.15 s; a page of pods takes 137 to
    173 µs a pod with it, 67 without; compiling 5,000 pods and as many rules 1.1 s with it, 0.7 without.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
