"""Sessions side by side: who must be alone waits for the others, and is not passed by while it waits."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from tests.support.machine_lock import machine

if TYPE_CHECKING:
    from pathlib import Path


def test_who_must_be_alone_waits_and_is_next(tmp_path: Path) -> None:
    order: list[str] = []
    entered, leave = threading.Event(), threading.Event()

    def share_first() -> None:
        with machine(alone=False, folder=tmp_path):
            entered.set()
            leave.wait()
            order.append("first ends")

    def be_alone() -> None:
        with machine(alone=True, folder=tmp_path):
            order.append("alone")
            time.sleep(0.05)
            order.append("alone ends")

    def share_later() -> None:
        with machine(alone=False, folder=tmp_path):
            order.append("later")

    threads = [threading.Thread(target=work) for work in (share_first, be_alone, share_later)]
    threads[0].start()
    entered.wait()
    for thread in threads[1:]:
        thread.start()
        time.sleep(0.1)  # until it waits
    leave.set()
    for thread in threads:
        thread.join()
    assert order == ["first ends", "alone", "alone ends", "later"]


def test_those_that_share_are_inside_together(tmp_path: Path) -> None:
    with machine(alone=False, folder=tmp_path), machine(alone=False, folder=tmp_path):
        pass
