"""Packets that fulfil a term of a match: their ports, addresses and numbers.

The values of a field are those at which some match changes. Between two of them nothing does, so where any packet
reaches a row past the rows above it, one of these does, as long as the maxima below hold.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import chain, islice, product, zip_longest
from typing import TYPE_CHECKING, Final

from netaddr import IPAddress

from ovnqos.match.addresses import WIDTH
from ovnqos.match.packet import ECHO_REQUEST, NO_PORT, PORT_FIELDS, TRANSPORTS, Packet, PacketProtocol
from ovnqos.match.terms import Term
from ovnqos.southbound.packet_path import UNKNOWN_NEXT_HOP, UNKNOWN_SENDER, PacketPath

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from ovnqos.match.addresses import Ranges
    from ovnqos.southbound.contents import SwitchPort

_PORTS_MAXIMUM: Final = 16
_RANGES_MAXIMUM: Final = 8
_VALUES_MAXIMUM: Final = 128

# RFC 5737 and RFC 3849: addresses for documentation
_OUTSIDE: Final = {4: ("203.0.113.1", "198.51.100.1"), 6: ("2001:db8:ffff::1", "2001:db8::1")}
_UNKNOWN_SOURCE: Final = {4: "192.0.2.10", 6: "2001:db8:1::10"}
_BROADCAST: Final = "ff:ff:ff:ff:ff:ff"
_SOURCE_PORT: Final = 40_000
_DISCARD: Final = 9  # RFC 863
_PROTOCOLS: Final = (PacketProtocol.UDP, PacketProtocol.TCP, PacketProtocol.ICMP, PacketProtocol.SCTP)


class SwitchPorts:
    """The ports of a logical switch, indexed by address.

    Attributes:
        ports: by name.
        names: of the ports.
        versions: the IP versions of the addresses that ports have, those to routers left out; both where none has any.
    """

    def __init__(self, ports: Mapping[str, SwitchPort]) -> None:
        """Index these ports."""
        self.ports = ports
        self.names = frozenset(ports)
        self._owners = {(address.version, int(address)): port for port in ports.values() for address in port.addresses}
        pods = (port for port in ports.values() if not port.is_router)
        known = {int(address.version) for port in pods for address in port.addresses}
        self.versions = frozenset(known or WIDTH)
        # where packets to unknown addresses go: to a router first, then to any port whose Ethernet address is known
        self._others = sorted(
            ports.values(), key=lambda port: (not port.is_router or not port.mac, not port.mac, port.name)
        )

    def is_natural(self, packet: Packet) -> bool:
        """Whether a sender with this source, but not this destination, sends such packets, and OVN out by this port.

        A pod with addresses of one IP version sends no packets of the other.
        """
        inport, outport = self.ports.get(packet.inport), self.ports.get(packet.outport or "")
        if inport is None or outport is None or packet.destination in inport.addresses:
            return False
        if inport.addresses and not inport.kind and packet.source not in inport.addresses:
            return False
        return bool(outport.kind) or not outport.addresses or packet.destination in outport.addresses

    def next_port(self, inport: str, destination: IPAddress, allowed: frozenset[str] | None) -> SwitchPort | None:
        """The port by which a packet leaves: an allowed one, other than the one by which it enters; None for none."""
        owner = self._owners.get((destination.version, int(destination)))
        if owner is not None and owner.name != inport and (allowed is None or owner.name in allowed):
            return owner
        able = (port for port in self._others if port.name != inport and (allowed is None or port.name in allowed))
        return next(able, None)


def packets_of_term(
    term: Term, switch: SwitchPorts, edges: Sequence[Term], versions: Collection[int], *, leaving: bool
) -> Iterator[PacketPath]:
    """Build packets that fulfil a term, the most natural first, with the port by which they leave; empty for none.

    Args:
        term: the term.
        switch: the logical switch.
        edges: where this match and others change.
        versions: their IP versions.
        leaving: whether only packets that leave the switch count.
    """
    for version in term.versions:
        if version not in versions:
            continue
        destinations = _destinations(term, version, switch.ports, edges)
        numbers = list(_transport_ports(term, edges, version))
        for source in _sources(term, version, switch.ports, edges):
            for destination, number in product(destinations, numbers):
                path = _path(switch, source, destination, number, term)
                if path.packet.outport or not leaving:
                    yield path


def packets_around_term(
    term: Term, switch: SwitchPorts, edges: Sequence[Term], version: int, receivers: Iterable[IPAddress] = ()
) -> Iterator[PacketPath]:
    """Build packets of one IP version that fulfil a term, and others that differ from them in one respect.

    Each varies one of source, destination and transport, over the values at which some match changes, of the packet
    that comes first. Not all of them fulfil the term.

    Args:
        term: the term; it names the ports by which packets enter, or leave.
        switch: the logical switch.
        edges: where matches change.
        version: 4 or 6.
        receivers: further destinations to try.
    """
    loose = Term({field: values for field, values in term.nominal.items() if field in PORT_FIELDS}, {})
    sources = list(_sources(term, version, switch.ports, edges))
    destinations = _destinations(term, version, switch.ports, edges)
    numbers = list(_transport_ports(term, edges, version))
    if not (sources and destinations and numbers):
        return
    first = (sources[0], destinations[0], numbers[0])
    every = dict.fromkeys((*destinations, *receivers, *_destinations(loose, version, switch.ports, edges)))
    varied = (
        ((source, *first[1:]) for source in (*sources, *_sources(loose, version, switch.ports, edges))),
        ((first[0], destination, first[2]) for destination in every),
        ((*first[:2], number) for number in (*numbers, *_transport_ports(loose, edges, version))),
    )
    turns = (one for turn in zip_longest(*varied) for one in turn if one is not None)
    for source, destination, number in chain([first], turns):
        yield _path(switch, source, destination, number, term)


def _path(
    switch: SwitchPorts,
    sender: tuple[SwitchPort, IPAddress],
    destination: IPAddress,
    numbers: tuple[PacketProtocol, int | None, int | None],
    term: Term,
) -> PacketPath:
    """The packet from a port and address to a destination, by a port that the term allows if it can.

    Where the term is for packets to groups of receivers it is broadcast, whatever its IP address.
    """
    inport, source = sender
    protocol, source_port, destination_port = numbers
    outport = switch.next_port(inport.name, destination, term.ports("outport"))
    eth_dst = (outport.mac if outport is not None else "") or UNKNOWN_NEXT_HOP
    if (groups := term.ranges("eth.mcast")) is not None and 1 in groups:
        outport, eth_dst = None, _BROADCAST
    packet = Packet(
        inport=inport.name,
        outport=outport.name if outport is not None else NO_PORT,
        source=source,
        destination=destination,
        protocol=protocol,
        source_port=source_port,
        destination_port=destination_port if protocol in TRANSPORTS else None,
        icmp_type=None if protocol in TRANSPORTS else destination_port,
        switch_ports=switch.names,
        next_hop=int(eth_dst.replace(":", ""), 16),
    )
    return PacketPath(packet=packet, eth_src=inport.mac or UNKNOWN_SENDER, eth_dst=eth_dst)


def _sources(
    term: Term, version: int, ports: Mapping[str, SwitchPort], edges: Sequence[Term]
) -> Iterator[tuple[SwitchPort, IPAddress]]:
    """Ports to enter by, with an address to send from: its own where the row takes that."""
    inports, outports, allowed = term.ports("inport"), term.ports("outport") or (), term.ranges(f"ip{version}.src")
    if inports is None:
        able = [port for port in ports.values() if port.name not in outports]
    else:
        able = [ports[name] for name in sorted(inports & ports.keys())]
    # ports of pods before those of routers; those that rows above do not name before those that they do
    named = frozenset(name for one in edges for name in one.ports("inport") or ())
    able.sort(key=lambda port: (port.kind != "", port.name in named, port.name))
    own = [
        (port, address)
        for port in able
        for address in port.addresses
        if address.version == version and (allowed is None or int(address) in allowed)
    ]
    yield from own[:_PORTS_MAXIMUM]
    others = [port for port in able if not any(address.version == version for address in port.addresses)]
    if allowed is not None and not own:
        others = able
    unknown = (int(IPAddress(_UNKNOWN_SOURCE[version])),)
    foreign = _addresses(allowed, unknown, _bounds(edges, f"ip{version}.src"), version)
    yield from product(others[:_PORTS_MAXIMUM], foreign[:_PORTS_MAXIMUM])


def _destinations(term: Term, version: int, ports: Mapping[str, SwitchPort], edges: Sequence[Term]) -> list[IPAddress]:
    outports, field = term.ports("outport"), f"ip{version}.dst"
    receivers = [ports[name] for name in sorted(ports) if outports is None or name in outports]
    if (macs := term.ranges("eth.dst")) is not None:
        outports = frozenset(one.name for one in receivers if one.mac and int(one.mac.replace(":", ""), 16) in macs)
        receivers = [one for one in receivers if one.name in outports]
    near = [int(one) for port in receivers for one in port.addresses if one.version == version and port.kind == ""]
    outside = [int(IPAddress(text)) for text in _OUTSIDE[version]]
    # to a port that must be the receiver go its own addresses; else the way out of the switch is tried first
    natural = [*near[:4], *outside] if outports else [*outside, *near[:4]]
    return _addresses(term.ranges(field), natural, _bounds(edges, field), version)


def _transport_ports(
    term: Term, edges: Sequence[Term], version: int
) -> Iterator[tuple[PacketProtocol, int | None, int | None]]:
    """Protocols with source and destination port; of ICMP with its type in place of the latter, None for a ping."""
    for protocol in _PROTOCOLS:
        if protocol not in term.protocols:
            continue
        if protocol not in TRANSPORTS:
            types = term.ranges(f"icmp{version}.type")
            if types is None or ECHO_REQUEST[version] in types:
                yield protocol, None, None
            yield from ((protocol, None, first) for first, _ in (types.bounds if types is not None else ()))
            continue
        source, destination = f"{protocol}.src", f"{protocol}.dst"
        sources = _values(term.ranges(source), (_SOURCE_PORT,), _bounds(edges, source), 65_535)
        destinations = _values(term.ranges(destination), (_DISCARD,), _bounds(edges, destination), 65_535)
        for source_port, destination_port in product(sources[:4], destinations):
            yield protocol, source_port, destination_port


def _bounds(edges: Iterable[Term], field: str) -> list[int]:
    """The values of a field at which a match may change."""
    found: dict[int, None] = {}
    for one in edges:
        ranges = one.ranges(field)
        for first, last in () if ranges is None else ranges.bounds:
            found |= {first: None, last + 1: None, first - 1: None}
    return list(found)


def _values(
    allowed: Ranges | None, natural: Iterable[int], bounds: Iterable[int], maximum: int, *, inner: int = 0
) -> list[int]:
    """Choose values for a field: the natural ones, then one of each allowed range, then the bounds, if allowed.

    Args:
        allowed: what the term allows; None for any.
        natural: the values to prefer.
        bounds: where a match may change.
        maximum: the largest value of the field.
        inner: which value of an allowed range, counted from its first.
    """
    ranges = allowed.bounds if allowed is not None else ()
    each = [min(first + inner, last) for first, last in ranges[:_VALUES_MAXIMUM]]
    tried = dict.fromkeys((*natural, *each[:_RANGES_MAXIMUM], *bounds, *each))
    return list(
        islice((one for one in tried if 0 <= one <= maximum and (allowed is None or one in allowed)), _VALUES_MAXIMUM)
    )


def _addresses(allowed: Ranges | None, natural: Iterable[int], bounds: Iterable[int], version: int) -> list[IPAddress]:
    # the first address of a CIDR names the network, and may be 0.0.0.0: take the second
    values = _values(allowed, natural, bounds, (1 << WIDTH[version]) - 1, inner=1)
    return [_address(value, version) for value in values]


@lru_cache(maxsize=1 << 14)  # rules share the values at which matches change
def _address(value: int, version: int) -> IPAddress:
    return IPAddress(value, 6 if version == 6 else 4)
