"""A client of the switch: the two multipart requests of OpenFlow 1.5 that statistics need, and nothing else.

ovn-controller itself speaks OpenFlow 1.5 to the integration bridge, so a bridge that OVN uses always takes it. Numbers
and layouts are those of the OpenFlow Switch Specification 1.5.1, sections 7.1, 7.2.4, 7.3.5.2 and 7.3.5.15.
"""

from __future__ import annotations

import socket
import struct
import time
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Final, Self, TypeVar

from ovnqos.errors import ChassisUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_T = TypeVar("_T")
ANY_TABLE: Final = 0xFF
_VERSION: Final = 6
_HELLO, _ERROR, _ECHO_REQUEST, _ECHO_REPLY, _MULTIPART_REQUEST, _MULTIPART_REPLY = 0, 1, 2, 3, 18, 19
_FLOW_DESCRIPTION, _METER_STATISTICS = 1, 9
_MORE_REPLIES: Final = 1
_HEADER: Final = struct.Struct("!BBHI")  # version, type, length, transaction
_MULTIPART: Final = struct.Struct("!HH4x")  # type, flags
_METER: Final = struct.Struct("!IH6xIQQII")  # meter, length, flows, packets, bytes, seconds, nanoseconds
_BAND: Final = struct.Struct("!QQ")  # packets, bytes
_FLOW: Final = struct.Struct("!H2xBxHHHHHQ")  # length, table, priority, timeouts, flags, importance, cookie
_TYPE_AND_LENGTH: Final = struct.Struct("!HH")  # of a match, or of statistics whose type is reserved
_LENGTH: Final = struct.Struct("!H")
_FIELD: Final = struct.Struct("!HBB")  # class, field and a bit, length
_OPENFLOW_BASIC: Final = 0x8002
_PACKET_COUNT, _BYTE_COUNT = 4, 5
_ALL_METERS: Final = 0xFFFFFFFF
_ANY: Final = 0xFFFFFFFF  # any output port, any group
_ALL_BITS: Final = 2**64 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterStatistics:
    """What a meter has counted since the switch has it.

    Attributes:
        meter: its number on the switch.
        flows: how many flows send packets through it.
        packets: that reached it, those dropped included.
        octets: of these packets, with Ethernet headers.
        dropped_packets: that it dropped.
        dropped_octets: of these packets.
        seconds: how long the switch has had it.
    """

    meter: int
    flows: int
    packets: int
    octets: int
    dropped_packets: int
    dropped_octets: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowStatistics:
    """What a flow has counted: its table, its cookie, and packets and bytes that it matched."""

    table: int
    cookie: int
    packets: int
    octets: int


class OpenFlowSwitch:
    """A connection to a bridge's management socket; a context manager."""

    def __init__(self, path: Path, *, timeout_s: float = 5.0) -> None:
        """Connect and agree on the version.

        Args:
            path: the bridge's socket, e.g. `/var/run/openvswitch/br-int.mgmt`.
            timeout_s: seconds that a whole request may take.

        Raises:
            ChassisUnavailable: no switch answers there, or none of OpenFlow 1.5.
        """
        self._path = path
        self._timeout_s = timeout_s
        self._transactions = count(1)
        self._deadline = 0.0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._start()
            self._socket.connect(str(path))
            self._send(_HELLO, b"", next(self._transactions))
            kind, _, _ = self._receive()
            if kind != _HELLO:
                raise self._error("does not speak OpenFlow 1.5")
        except OSError as error:
            self.close()
            raise self._error(error.strerror or str(error)) from error
        except ChassisUnavailable:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Disconnect."""
        self._socket.close()

    def meters(self) -> Iterator[MeterStatistics]:
        """Read all meters' statistics; raises ChassisUnavailable."""
        return self._records(_METER_STATISTICS, struct.pack("!I4x", _ALL_METERS), _read_meter, length_at=4)

    def flows(self, *, table: int = ANY_TABLE, cookie: int | None = None) -> Iterator[FlowStatistics]:
        """Read the statistics of flows; raises ChassisUnavailable.

        Args:
            table: of this table, 0 to 254; all tables if it is `ANY_TABLE`.
            cookie: with this cookie; None: with any.
        """
        match = struct.pack("!HH4x", 1, 4)  # an OXM match without fields
        mask = 0 if cookie is None else _ALL_BITS
        request = struct.pack("!B3xII4xQQ", table, _ANY, _ANY, cookie or 0, mask) + match
        return self._records(_FLOW_DESCRIPTION, request, _read_flow, length_at=0)

    def _records(self, kind: int, request: bytes, read: Callable[[bytes], _T], *, length_at: int) -> Iterator[_T]:
        """Send a multipart request; yields the records of the replies, whose lengths stand at an offset in them."""
        for body in self._ask(kind, request):
            start = 0
            while start < len(body):
                try:
                    (length,) = _LENGTH.unpack_from(body, start + length_at)
                    if length > len(body) - start:
                        raise struct.error(f"a record of {length} bytes where {len(body) - start} are left")
                    record = read(body[start : start + length])
                except struct.error as error:
                    raise self._error(f"sent what is not OpenFlow 1.5: {error}") from error
                start += length
                yield record

    def _ask(self, kind: int, request: bytes) -> Iterator[bytes]:
        """Send a multipart request; yields the bodies of the replies."""
        transaction = next(self._transactions)
        self._start()
        try:
            self._send(_MULTIPART_REQUEST, _MULTIPART.pack(kind, 0) + request, transaction)
            flags = _MORE_REPLIES
            while flags & _MORE_REPLIES:
                message, answered, body = self._receive()
                if message == _ECHO_REQUEST:
                    self._send(_ECHO_REPLY, body, answered)
                elif answered == transaction and message == _ERROR:
                    raise self._error(f"refuses the request: error {body[:4].hex()}")
                elif answered == transaction and message == _MULTIPART_REPLY:
                    _, flags = _MULTIPART.unpack_from(body)
                    yield body[_MULTIPART.size :]
        except OSError as error:
            raise self._error(error.strerror or str(error)) from error

    def _send(self, kind: int, body: bytes, transaction: int) -> None:
        self._socket.sendall(_HEADER.pack(_VERSION, kind, _HEADER.size + len(body), transaction) + body)

    def _receive(self) -> tuple[int, int, bytes]:
        version, kind, length, transaction = _HEADER.unpack(self._read(_HEADER.size))
        if version != _VERSION or length < _HEADER.size:
            raise self._error("does not speak OpenFlow 1.5")
        return kind, transaction, self._read(length - _HEADER.size)

    def _read(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            self._socket.settimeout(max(0.001, self._deadline - time.monotonic()))
            part = self._socket.recv(size - len(parts))
            if not part:
                raise self._error("closed the connection; does it take OpenFlow 1.5?")
            parts += part
        return bytes(parts)

    def _start(self) -> None:
        self._deadline = time.monotonic() + self._timeout_s
        self._socket.settimeout(self._timeout_s)

    def _error(self, text: str) -> ChassisUnavailable:
        return ChassisUnavailable(f"switch {self._path}: {text}")


def _read_meter(record: bytes) -> MeterStatistics:
    meter, _, flows, packets, octets, seconds, nanoseconds = _METER.unpack_from(record)
    bands = list(_BAND.iter_unpack(record[_METER.size :]))
    return MeterStatistics(
        meter=meter,
        flows=flows,
        packets=packets,
        octets=octets,
        dropped_packets=sum(one[0] for one in bands),
        dropped_octets=sum(one[1] for one in bands),
        seconds=seconds + nanoseconds / 1e9,
    )


def _read_flow(record: bytes) -> FlowStatistics:
    _, table, _, _, _, _, _, cookie = _FLOW.unpack_from(record)
    _, match_length = _TYPE_AND_LENGTH.unpack_from(record, _FLOW.size)
    packets, octets = _read_statistics(record, _FLOW.size + _padded(match_length))
    return FlowStatistics(table=table, cookie=cookie, packets=packets, octets=octets)


def _read_statistics(body: bytes, start: int) -> tuple[int, int]:
    """Read packets and bytes of an `ofp_stats`."""
    _, length = _TYPE_AND_LENGTH.unpack_from(body, start)
    found = {}
    at, end = start + _TYPE_AND_LENGTH.size, start + length
    while at < end:
        family, field, size = _FIELD.unpack_from(body, at)
        at += _FIELD.size
        if family == _OPENFLOW_BASIC:
            found[field >> 1] = body[at : at + size]
        at += size
    return int.from_bytes(found.get(_PACKET_COUNT, b""), "big"), int.from_bytes(found.get(_BYTE_COUNT, b""), "big")


def _padded(length: int) -> int:
    return (length + 7) // 8 * 8
