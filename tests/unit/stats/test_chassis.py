"""Asking ovn-controller by its socket; tests/lab/test_stats.py has the real one."""

from __future__ import annotations

import json
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from ovnqos.stats import Chassis, ChassisUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[Callable[[str, bytes], None]]:
    """Start an ovn-controller of this process number that gives one answer."""
    threads: list[threading.Thread] = []

    def start(pid: str, answer: bytes) -> None:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(tmp_path / f"ovn-controller.{pid}.ctl"))
        listener.listen()

        def run() -> None:
            with listener, listener.accept()[0] as connection:
                connection.recv(65536)
                connection.sendall(answer)

        threads.append(threading.Thread(target=run))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"nonsense",
        b"[1]",
        b"7",
        json.dumps({"id": 0, "error": "unknown command", "result": None}).encode(),
    ],
)
def test_an_answer_that_means_nothing_is_an_error(
    controller: Callable[[str, bytes], None], tmp_path: Path, answer: bytes
) -> None:
    controller("7", answer)
    with pytest.raises(ChassisUnavailable):
        Chassis(ovs_folder=tmp_path, ovn_folder=tmp_path, timeout_s=2).read(())


def test_a_socket_that_a_killed_one_left_is_passed_over(
    controller: Callable[[str, bytes], None], tmp_path: Path
) -> None:
    controller("8", json.dumps({"id": 0, "error": None, "result": ""}).encode())
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(tmp_path / "ovn-controller.9.ctl"))  # newer, and nobody listens
    stale.close()
    (tmp_path / "ovn-controller.gone.ctl").symlink_to(tmp_path / "none")  # gone while it is looked at
    with pytest.raises(ChassisUnavailable, match=r"br-int\.mgmt"):  # the controller has answered, the switch is next
        Chassis(ovs_folder=tmp_path, ovn_folder=tmp_path, timeout_s=2).read(())
