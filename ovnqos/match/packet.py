"""What a match is evaluated against: a packet, its fields as far as they are known, and the members of sets and groups.

Source of fields, their widths, prerequisites and which are nominal: ovn-sb(5), Logical_Flow, match, and ovn-trace of
OVN 23.03 and 25.03.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from ovnqos.match.verdict import YES, Verdict, no, unknown

if TYPE_CHECKING:
    from collections.abc import Callable

    from netaddr import IPAddress


class PacketProtocol(StrEnum):
    """The protocol of a packet; `icmp` is ICMPv6 where the packet is IPv6."""

    TCP = "tcp"
    UDP = "udp"
    SCTP = "sctp"
    ICMP = "icmp"


TRANSPORTS: Final = (PacketProtocol.TCP, PacketProtocol.UDP, PacketProtocol.SCTP)
"""The protocols that have ports."""
_NUMBERS: Final = {PacketProtocol.TCP: 6, PacketProtocol.UDP: 17, PacketProtocol.SCTP: 132, PacketProtocol.ICMP: 1}
_ICMP6: Final = 58
_BROADCAST: Final = 0xFFFFFFFF
_ETHERNET_TYPES: Final = {4: 0x800, 6: 0x86DD}


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """An IP packet that is no fragment, in one pass through a logical switch.

    Attributes:
        inport: the logical port that it enters by.
        source: where it comes from.
        destination: where it goes, of the same IP version.
        protocol: None where that is not known.
        source_port: None where that is not known.
        destination_port: None where that is not known.
        outport: the logical port that it leaves by; empty while that is not decided; None where it is not known.
        not_outports: where `outport` is None, ports that it does not leave by.
        switch_ports: ports of the switch, as far as they are known.
        next_hop: the MAC address that it goes to, as a number; 0 for one that no pod has; None where it is not known.
        icmp_type: of ICMP; None for an echo request.
    """

    inport: str
    source: IPAddress
    destination: IPAddress
    protocol: PacketProtocol | None = None
    source_port: int | None = None
    destination_port: int | None = None
    outport: str | None = None
    not_outports: frozenset[str] = frozenset()
    switch_ports: frozenset[str] = frozenset()
    next_hop: int | None = None
    icmp_type: int | None = None

    def __post_init__(self) -> None:
        if self.source.version != self.destination.version:
            raise ValueError(f"{self.source} and {self.destination} are not of one IP version")

    @property
    def version(self) -> int:
        """4 or 6."""
        return int(self.source.version)


class Field(NamedTuple):
    """A field of integers.

    Attributes:
        width: in bits.
        requires: the predicate that a packet with this field meets; empty for none.
        value: what it holds; None where that is not known.
        nominal: OVN can test it for equality only.
    """

    width: int
    requires: str
    value: Callable[[Packet], int | None]
    nominal: bool = False


def _unknown(_packet: Packet) -> None:
    return None


def _is_group(packet: Packet) -> int:
    """Whether it goes to several receivers. A subnet's broadcast address is not known for one."""
    if packet.next_hop:
        return packet.next_hop >> 40 & 1
    return int(packet.destination.is_multicast() or (packet.version == 4 and int(packet.destination) == _BROADCAST))


def _protocol_number(packet: Packet) -> int | None:
    if packet.protocol is PacketProtocol.ICMP and packet.version == 6:
        return _ICMP6
    return None if packet.protocol is None else _NUMBERS[packet.protocol]


def _icmp_type(packet: Packet) -> int | None:
    if packet.protocol not in {PacketProtocol.ICMP, None}:
        return None
    return ECHO_REQUEST[packet.version] if packet.icmp_type is None else packet.icmp_type


def _icmp_code(packet: Packet) -> int | None:
    return 0 if packet.protocol is PacketProtocol.ICMP else None


ECHO_REQUEST: Final[Mapping[int, int]] = {4: 8, 6: 128}
"""The ICMP type of a ping, by IP version (RFC 792, RFC 4443)."""

FIELDS: Final[Mapping[str, Field]] = {
    "ip4.src": Field(32, "ip4", lambda packet: int(packet.source)),
    "ip4.dst": Field(32, "ip4", lambda packet: int(packet.destination)),
    "ip6.src": Field(128, "ip6", lambda packet: int(packet.source)),
    "ip6.dst": Field(128, "ip6", lambda packet: int(packet.destination)),
    **{f"{one}.src": Field(16, one, lambda packet: packet.source_port) for one in TRANSPORTS},
    **{f"{one}.dst": Field(16, one, lambda packet: packet.destination_port) for one in TRANSPORTS},
    "tcp.flags": Field(12, "tcp", _unknown),
    "icmp4.type": Field(8, "icmp4", _icmp_type, nominal=True),
    "icmp4.code": Field(8, "icmp4", _icmp_code, nominal=True),
    "icmp6.type": Field(8, "icmp6", _icmp_type, nominal=True),
    "icmp6.code": Field(8, "icmp6", _icmp_code, nominal=True),
    "ip.frag": Field(2, "ip", lambda _packet: 0),
    **{f"ip.{one}_frag": Field(1, "ip", lambda _packet: 0) for one in ("is", "first", "later")},
    "ip.proto": Field(8, "ip", _protocol_number, nominal=True),
    "ip.dscp": Field(6, "ip", _unknown, nominal=True),
    "ip.ecn": Field(2, "ip", _unknown, nominal=True),
    "ip.ttl": Field(8, "ip", _unknown, nominal=True),
    "eth.type": Field(16, "", lambda packet: _ETHERNET_TYPES[packet.version], nominal=True),
    "eth.src": Field(48, "", _unknown),
    "eth.dst": Field(48, "", lambda packet: packet.next_hop),
    "eth.mcast": Field(1, "", _is_group),
}
"""The integer fields that are understood, by name. Every other is taken for unknown."""

SUBFIELD: Final = re.compile(r"(?P<name>[^\[]+)\[(?P<low>[0-9]+)(?:\.\.(?P<high>[0-9]+))?\]")
"""Some bits of a field, as `tcp.dst[0..3]`."""

PORT_FIELDS: Final = frozenset({"inport", "outport"})
NO_PORT: Final = ""
"""What `outport` is where the port by which a packet leaves is not decided yet."""
NO_PORT_NAME: Final = "none"
"""How a match names that; `""` does the same (seen on ovn-trace of OVN 23.03 and 25.03)."""

ANY_PROTOCOL: Final = "any"
PREDICATES: Final[Mapping[str, tuple[int | None, str | None]]] = {
    "ip": (None, ANY_PROTOCOL),
    "ip4": (4, ANY_PROTOCOL),
    "ip6": (6, ANY_PROTOCOL),
    "tcp": (None, PacketProtocol.TCP),
    "udp": (None, PacketProtocol.UDP),
    "sctp": (None, PacketProtocol.SCTP),
    "icmp": (None, PacketProtocol.ICMP),
    "icmp4": (4, PacketProtocol.ICMP),
    "icmp6": (6, PacketProtocol.ICMP),
    "arp": (None, None),
    "rarp": (None, None),
}
"""The predicates that are understood, each nominal: OVN can test it positively only.

The IP version and the protocol that one demands: None for any version; `any` for any protocol of IP, None for no IP.
"""


def predicate(name: str, packet: Packet) -> Verdict:
    """Whether a packet meets a predicate of `PREDICATES`."""
    version, protocol = PREDICATES[name]
    if version is not None and version != packet.version:
        return no(f"the packet is IPv{packet.version}, not IPv{version}", is_plain=True)
    if protocol == ANY_PROTOCOL:
        return YES
    if protocol is None:
        return no(f"an IP packet is not {name}")
    if packet.protocol is None:
        return unknown(f"only if it is {name}")
    return YES if packet.protocol == protocol else no(f"the packet is {packet.protocol}, not {name}")


class MembersByName(Mapping[str, "Collection[str]"]):
    """Members of sets or groups that are looked up when a match names them, each once."""

    def __init__(self, find: Callable[[str], Collection[str]]) -> None:
        """Take what finds the members of a name; none for a name that does not exist."""
        self._find = find
        self._found: dict[str, Collection[str]] = {}

    def __getitem__(self, name: str) -> Collection[str]:
        if name not in self._found:
            self._found[name] = self._find(name)
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)
