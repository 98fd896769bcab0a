"""The client of the switch against a scripted one; tests/lab/test_stats.py has the real one."""

from __future__ import annotations

import socket
import struct
import threading
from typing import TYPE_CHECKING, Final

import pytest

from ovnqos.errors import ChassisUnavailable
from ovnqos.stats.openflow import FlowStatistics, MeterStatistics, OpenFlowSwitch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HELLO, ERROR, ECHO_REQUEST, ECHO_REPLY, REQUEST, REPLY = 0, 1, 2, 3, 18, 19
MORE: Final = 1


def message(kind: int, body: bytes = b"", *, version: int = 6, transaction: int = 0) -> bytes:
    return struct.pack("!BBHI", version, kind, 8 + len(body), transaction) + body


def reply(kind: int, body: bytes, *, more: bool = False, transaction: int = 2) -> bytes:
    return message(REPLY, struct.pack("!HH4x", kind, MORE if more else 0) + body, transaction=transaction)


def meter(number: int, *, bands: int = 1) -> bytes:
    body = b"".join(struct.pack("!QQ", 3, 300) for _ in range(bands))
    return struct.pack("!IH6xIQQII", number, 40 + len(body), 2, 10, 1000, 7, 500_000_000) + body


def flow(cookie: int, *, packets: int, table: int = 48) -> bytes:
    match = struct.pack("!HH4x", 1, 4)
    fields = struct.pack("!HBBQ", 0x8002, 4 << 1, 8, packets) + struct.pack("!HBBQ", 0x8002, 5 << 1, 8, packets * 100)
    fields = struct.pack("!HBBI", 0x8002, 3 << 1, 4, 1) + struct.pack("!HBBI", 0xFFFF, 4 << 1, 4, 99) + fields
    statistics = struct.pack("!HH", 0, 4 + len(fields)) + fields
    statistics += b"\0" * (-len(statistics) % 8)
    instructions = b"\0" * 16
    length = 24 + len(match) + len(statistics) + len(instructions)
    head = struct.pack("!H2xBxHHHHHQ", length, table, 10400, 0, 0, 0, 0, cookie)
    return head + match + statistics + instructions


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Start a switch that sends its hello, and then an answer to each message that comes; returns its socket."""
    listener = socket.socket(socket.AF_UNIX)
    path = tmp_path / "br.mgmt"
    listener.bind(str(path))
    listener.listen()
    threads: list[threading.Thread] = []

    def start(*answers: bytes, hello: bytes = message(HELLO), close: bool = True) -> Path:
        def run() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(hello)
                connection.recv(8)
                for answer in answers:
                    connection.recv(65536)
                    connection.sendall(answer)
                if not close:
                    connection.recv(65536)
                    connection.recv(65536)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return path

    yield start
    for thread in threads:
        thread.join()
    listener.close()


def test_meters_of_several_replies_are_read(serve: Callable[..., Path]) -> None:
    path = serve(reply(9, meter(1) + meter(2, bands=2), more=True) + reply(9, meter(3, bands=0)))
    with OpenFlowSwitch(path) as switch:
        found = list(switch.meters())
    assert found[0] == MeterStatistics(
        meter=1, flows=2, packets=10, octets=1000, dropped_packets=3, dropped_octets=300, seconds=7.5
    )
    assert [(one.meter, one.dropped_packets) for one in found] == [(1, 3), (2, 6), (3, 0)]


def test_flows_are_read_past_fields_that_are_not_known(serve: Callable[..., Path]) -> None:
    path = serve(reply(1, flow(0xAB, packets=4) + flow(0xCD, packets=0, table=9)))
    with OpenFlowSwitch(path) as switch:
        assert list(switch.flows()) == [
            FlowStatistics(table=48, cookie=0xAB, packets=4, octets=400),
            FlowStatistics(table=9, cookie=0xCD, packets=0, octets=0),
        ]


def test_an_echo_request_in_between_is_answered(serve: Callable[..., Path]) -> None:
    path = serve(message(ECHO_REQUEST, b"ping", transaction=9), reply(9, meter(1)))
    with OpenFlowSwitch(path) as switch:
        assert [one.meter for one in switch.meters()] == [1]


@pytest.mark.parametrize(
    "answer",
    [
        message(ERROR, struct.pack("!HH", 1, 5), transaction=2),
        b"",  # it closes
        reply(9, b"\0" * 39),
        reply(9, struct.pack("!IH6xIQQII", 1, 0, 2, 10, 1000, 7, 5)),
        reply(9, meter(1))[:30],
        struct.pack("!BBHI", 6, REPLY, 4, 2),
    ],
    ids=["refusal", "closed", "short meter", "meter without length", "cut off", "message without length"],
)
def test_what_the_switch_cannot_mean_is_an_error(serve: Callable[..., Path], answer: bytes) -> None:
    with OpenFlowSwitch(serve(answer)) as switch, pytest.raises(ChassisUnavailable):
        list(switch.meters())


def test_flows_cut_off_are_an_error(serve: Callable[..., Path]) -> None:
    with OpenFlowSwitch(serve(reply(1, flow(1, packets=2)[:-20]))) as switch, pytest.raises(ChassisUnavailable):
        list(switch.flows())


def test_a_switch_that_does_not_answer_is_given_up(serve: Callable[..., Path]) -> None:
    with OpenFlowSwitch(serve(close=False), timeout_s=0.1) as switch, pytest.raises(ChassisUnavailable):
        list(switch.meters())


@pytest.mark.parametrize("hello", [message(ERROR, b"\0\0\0\0"), b"", message(HELLO, version=4)])
def test_a_switch_of_another_version_is_refused(serve: Callable[..., Path], hello: bytes) -> None:
    with pytest.raises(ChassisUnavailable):
        OpenFlowSwitch(serve(hello=hello))


def test_no_switch_at_all(tmp_path: Path) -> None:
    with pytest.raises(ChassisUnavailable, match=r"none\.mgmt"):
        OpenFlowSwitch(tmp_path / "none.mgmt")
