"""Asking ovn-controller by its socket; tests/lab/test_stats.py has the real one."""

from __future__ import annotations

import json
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from ovnqos.stats import ChassisUnavailable, LocalChassis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[Callable[[str, bytes], None]]:
    """Start an ovn-controller of this process number, or without one the chassis' database, that gives one answer."""
    threads: list[threading.Thread] = []

    def start(pid: str, answer: bytes) -> None:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(tmp_path / (f"ovn-controller.{pid}.ctl" if pid else "db.sock")))
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
        LocalChassis(ovs_folder=tmp_path, ovn_folder=tmp_path, timeout_s=2).read(())


def test_a_socket_that_a_killed_one_left_is_passed_over(
    controller: Callable[[str, bytes], None], tmp_path: Path
) -> None:
    controller("8", json.dumps({"id": 0, "error": None, "result": ""}).encode())
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(tmp_path / "ovn-controller.9.ctl"))  # newer, and nobody listens
    stale.close()
    (tmp_path / "ovn-controller.gone.ctl").symlink_to(tmp_path / "none")  # gone while it is looked at
    with pytest.raises(ChassisUnavailable, match=r"br-int\.mgmt"):  # the controller has answered, the switch is next
        LocalChassis(ovs_folder=tmp_path, ovn_folder=tmp_path, timeout_s=2).read(())


@pytest.mark.parametrize(
    ("settings", "marked"),
    [
        ({}, False),
        ({"ovn-encap-tos": "inherit"}, True),
        ({"ovn-encap-tos": "7"}, False),
        ({"ovn-encap-tos": "inherit", "ovn-encap-tos-one": "0"}, False),
        ({"ovn-encap-tos-other": "inherit"}, False),
    ],
)
def test_outer_headers_have_marks_where_the_chassis_inherits_them(
    controller: Callable[[str, bytes], None], tmp_path: Path, settings: dict[str, str], marked: bool
) -> None:
    known = ["map", [*{"system-id": "one", **settings}.items()]]
    answer = {"id": 0, "error": None, "result": [{"rows": [{"external_ids": known}]}]}
    controller("", json.dumps(answer).encode())
    assert LocalChassis(ovs_folder=tmp_path, ovn_folder=tmp_path, timeout_s=2).marks_outer_headers() is marked


def test_a_machine_without_ovn_controller_is_no_chassis(tmp_path: Path) -> None:
    chassis = LocalChassis(ovs_folder=tmp_path, ovn_folder=tmp_path, timeout_s=2)
    assert not chassis.is_here
    with pytest.raises(ChassisUnavailable, match=r"db\.sock"):
        chassis.marks_outer_headers()
