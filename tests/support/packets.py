"""Packets, and what a match expression means for one: OVN's definition, read off its tree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from netaddr import IPAddress, IPNetwork

from ovnqos import match as m
from ovnqos.match.syntax import ConstantKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ovnqos.match.syntax import Constant

TRANSPORTS = ("tcp", "udp", "sctp")
NUMBERS = {"tcp": 6, "udp": 17, "sctp": 132}
GROUP = "group"


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """An IP packet, no fragment, that enters a switch by a port. `protocol` is one of TRANSPORTS or another word.

    `next_hop` is the MAC address that it goes to, or `group` for that of several receivers.
    """

    switch: str
    inport: str
    source: IPAddress
    destination: IPAddress
    protocol: str
    destination_port: int | None = None
    next_hop: str = "0a:58:64:00:00:01"

    @property
    def version(self) -> int:
        return int(self.source.version)


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What `$name` and `@name` stand for."""

    address_sets: Mapping[str, frozenset[str]]
    port_groups: Mapping[str, frozenset[str]]


def matches(expression: m.Match, packet: Packet, names: Names) -> bool:
    """Whether the packet matches. Fails with KeyError for a set or group that there is not."""
    expression = expression.tree
    match expression:
        case m.Boolean():
            return expression.value
        case m.And() | m.Or():
            # every operand, so that a name that is not there never goes unseen
            found = [matches(operand, packet, names) for operand in expression.operands]
            return all(found) if isinstance(expression, m.And) else any(found)
        case m.Not():
            return not matches(expression.operand, packet, names)
        case m.Symbol():
            return _symbol(expression.name, packet)
        case m.Comparison():
            return _compares(expression, packet, names)
    raise AssertionError(f"unexpected expression {expression}")


def _symbol(name: str, packet: Packet) -> bool:
    if name in TRANSPORTS:
        return packet.protocol == name
    if name == "eth.mcast":
        return packet.next_hop == GROUP
    return {"ip": True, "ip.is_frag": False, "ip4": packet.version == 4, "ip6": packet.version == 6}[name]


def _compares(comparison: m.Comparison, packet: Packet, names: Names) -> bool:
    scope, _, part = comparison.field.partition(".")
    assert comparison.relation is m.Relation.EQUAL or scope in TRANSPORTS, comparison
    if scope == "icmp6":  # of ICMP a packet is an echo request
        return False
    if comparison.field == "ip.proto":
        return NUMBERS.get(packet.protocol) in {int(one.text) for one in comparison.constants}
    if comparison.field == "inport":
        return packet.inport in set(_ports(comparison.constants, names))
    if comparison.field == "icmp6.type":  # no packet here is of neighbour discovery
        return False
    if scope in {"ip4", "ip6"}:
        address = {"src": packet.source, "dst": packet.destination}[part]
        return packet.version == int(scope[2]) and any(
            address in IPNetwork(text) for text in _addresses(comparison.constants, names)
        )
    if comparison.field == "eth.dst":
        return packet.next_hop in set(_addresses(comparison.constants, names))
    assert (scope in TRANSPORTS, part) == (True, "dst"), comparison
    port, numbers = packet.destination_port, [int(one.text) for one in comparison.constants]
    if packet.protocol != scope or port is None:
        return False
    match comparison.relation:
        case m.Relation.EQUAL:
            return port in numbers
        case m.Relation.GREATER_OR_EQUAL:
            return port >= numbers[0]
        case m.Relation.LESS_OR_EQUAL:
            return port <= numbers[0]
    raise AssertionError(f"unexpected comparison {comparison}")


def _ports(constants: Iterable[Constant], names: Names) -> Iterable[str]:
    for one in constants:
        yield from names.port_groups[one.text] if one.kind is ConstantKind.PORT_GROUP else (one.text,)


def _addresses(constants: Iterable[Constant], names: Names) -> Iterable[str]:
    for one in constants:
        yield from names.address_sets[one.text] if one.kind is ConstantKind.ADDRESS_SET else (one.text,)
