"""Reads captured packets: addresses, ports and the traffic class, inside geneve or plain."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import netaddr

if TYPE_CHECKING:
    from collections.abc import Iterator

_ICMP, _TCP, _UDP, _ICMP6 = 1, 6, 17, 58
_ECHO_REQUESTS: Final = {(_ICMP, 8), (_ICMP6, 128)}
_GENEVE_PORT: Final = 6081
_ETHERNET: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """One captured IP packet.

    Attributes:
        source: its sender's address.
        destination: its receiver's address.
        protocol: `icmp` for an echo request of either family, `udp`, `tcp`, or the IANA number of another protocol
            (an echo reply, or another message, is `icmp-other`).
        port: the destination port of UDP and TCP.
        traffic_class: IPv4's TOS or IPv6's traffic class: the DSCP times four.
        tunneled: whether it travelled inside geneve.
    """

    source: str
    destination: str
    protocol: str
    port: int | None
    traffic_class: int
    tunneled: bool


def read_packets(data: bytes) -> Iterator[Packet]:
    """Reads a capture file of Ethernet frames (pcap, `tcpdump -w`), as far as it has been written.

    Frames that are not IP are left out, and so is what follows an IPv6 extension header.
    """
    if len(data) < 24:
        return
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    if struct.unpack_from(order + "I", data, 20)[0] != _ETHERNET:
        raise ValueError("the capture does not hold Ethernet frames")
    at = 24
    while at + 16 <= len(data):
        length = struct.unpack_from(order + "I", data, at + 8)[0]
        frame = data[at + 16 : at + 16 + length]
        if len(frame) < length:
            return
        if (packet := _read_frame(frame, tunneled=False)) is not None:
            yield packet
        at += 16 + length


def _read_frame(frame: bytes, *, tunneled: bool) -> Packet | None:
    kind, at = struct.unpack_from("!H", frame, 12)[0], 14
    if kind == 0x8100:  # a VLAN tag
        kind, at = struct.unpack_from("!H", frame, 16)[0], 18
    datagram = frame[at:]
    if kind == 0x0800:
        traffic_class, number, header = datagram[1], datagram[9], (datagram[0] & 15) * 4
        source, destination = datagram[12:16], datagram[16:20]
    elif kind == 0x86DD:
        traffic_class, number, header = struct.unpack_from("!H", datagram)[0] >> 4 & 0xFF, datagram[6], 40
        source, destination = datagram[8:24], datagram[24:40]
    else:
        return None
    payload = datagram[header:]
    protocol, port = _transport(number, payload)
    if protocol == "udp" and port == _GENEVE_PORT and not tunneled:
        options = (payload[8] & 0x3F) * 4  # RFC 8926, section 3.4: the length of the options in words
        return _read_frame(payload[16 + options :], tunneled=True)
    return Packet(
        source=_address(source),
        destination=_address(destination),
        protocol=protocol,
        port=port,
        traffic_class=traffic_class,
        tunneled=tunneled,
    )


def _transport(number: int, payload: bytes) -> tuple[str, int | None]:
    if len(payload) < 4:  # a fragment's rest
        return str(number), None
    if number in (_UDP, _TCP):
        return "udp" if number == _UDP else "tcp", struct.unpack_from("!H", payload, 2)[0]
    if number in (_ICMP, _ICMP6):
        return ("icmp" if (number, payload[0]) in _ECHO_REQUESTS else "icmp-other"), None
    return str(number), None


def _address(packed: bytes) -> str:
    return str(netaddr.IPAddress(int.from_bytes(packed), 4 if len(packed) == 4 else 6))
