"""Builders of match expressions: `ip4.dst.isin("10.0.0.0/8")`, `tcp.dst.isin(80)`, `inport("vm1")`.

Nothing reaches an expression unparsed: addresses are parsed, ports are checked as numbers, names by OVN's rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from ovnqos.errors import InvalidRow
from ovnqos.match.addresses import AddressBlock, union
from ovnqos.match.syntax import FALSE, And, Comparison, Constant, ConstantKind, FunctionCall, Match, Relation, Symbol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from netaddr import IPNetwork


_Field = TypeVar("_Field")


class _PortField:
    """`inport` and `outport`: the logical port a packet enters or leaves by."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, *ports: str) -> Match:
        """Match packets whose port is one of these logical switch ports."""
        return self._equal(Constant(port, ConstantKind.STRING) for port in dict.fromkeys(ports))

    def in_group(self, port_group: str) -> Match:
        """Match packets whose port is in a port group. Raises InvalidRow for a name that OVN cannot read."""
        return self._equal((Constant(port_group, ConstantKind.PORT_GROUP),))

    def _equal(self, constants: Iterable[Constant]) -> Match:
        return Comparison(self._name, Relation.EQUAL, tuple(constants))


class _AddressField:
    """`ip4.src` and its like."""

    __slots__ = ("_name", "_version")

    def __init__(self, name: str) -> None:
        self._name = name
        self._version = int(name[2])

    def isin(self, *networks: str | IPNetwork | AddressBlock) -> Match:
        """Match addresses in these CIDRs, written as the fewest that cover the same addresses.

        Without CIDRs no packet matches; with the whole address space every packet of the IP version. Raises InvalidRow
        for text that is no CIDR or address, and for one of the other IP version.
        """
        return self.isin_any(blocks=networks)

    def in_set(self, address_set: str) -> Match:
        """Match addresses in an address set. Raises InvalidRow for a name that OVN cannot read."""
        return self.isin_any(address_sets=(address_set,))

    def isin_any(
        self, *, blocks: Iterable[str | IPNetwork | AddressBlock] = (), address_sets: Iterable[str] = ()
    ) -> Match:
        """Match addresses in any of the CIDRs and address sets."""
        merged = union(map(self._block, blocks))
        if merged and merged[0].prefix_length == 0:
            return Symbol(f"ip{self._version}")
        constants = [Constant(name, ConstantKind.ADDRESS_SET) for name in dict.fromkeys(address_sets)]
        constants.extend(Constant(str(block)) for block in merged)
        return Comparison(self._name, Relation.EQUAL, tuple(constants)) if constants else FALSE

    def _block(self, network: str | IPNetwork | AddressBlock) -> AddressBlock:
        if not isinstance(network, AddressBlock):
            try:
                network = AddressBlock.parse(str(network))
            except ValueError:
                raise InvalidRow(f"{self._name}: {network!r} is not an IP address or CIDR") from None
        if network.version != self._version:
            raise InvalidRow(
                f"{self._name}: {network} is IPv{network.version}; stale flows stay behind when versions are mixed"
            )
        return network


class _EthernetField:
    """`eth.dst`."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def in_set(self, address_set: str) -> Match:
        """Match Ethernet addresses in an address set. Raises InvalidRow for a name that OVN cannot read."""
        return Comparison(self._name, Relation.EQUAL, (Constant(address_set, ConstantKind.ADDRESS_SET),))


class _Ethernet:
    """`eth.dst`, and `eth.mcast`: broadcast and multicast."""

    dst = _EthernetField("eth.dst")
    mcast = Symbol("eth.mcast")


class _TransportPort:
    """`tcp.dst` and its like."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def isin(self, *ports: int) -> Match:
        """Match these port numbers, 0 to 65535; raises InvalidRow for another."""
        constants = tuple(self._constant(port) for port in sorted(set(ports)))
        return Comparison(self._name, Relation.EQUAL, constants) if constants else FALSE

    def between(self, first: int, last: int) -> Match:
        """Match the port numbers from `first` to `last`, 0 to 65535; raises InvalidRow for others."""
        return And.of(
            Comparison(self._name, Relation.GREATER_OR_EQUAL, (self._constant(first),)),
            Comparison(self._name, Relation.LESS_OR_EQUAL, (self._constant(last),)),
        )

    def _constant(self, port: int) -> Constant:
        if not 0 <= port <= 65_535:
            raise InvalidRow(f"{self._name}: {port} is not a port; use 0 to 65535")
        return Constant(str(port))


class _Protocol(Symbol, Generic[_Field]):
    """`ip4`, `tcp` and their like: matches by itself, and has `src` and `dst`."""

    __slots__ = ("dst", "src")

    src: _Field
    dst: _Field

    def __init__(self, name: str, field: Callable[[str], _Field]) -> None:
        super().__init__(name)
        object.__setattr__(self, "src", field(f"{name}.src"))
        object.__setattr__(self, "dst", field(f"{name}.dst"))


def chassis_resident(port: str) -> Match:
    """Match on the chassis that a logical switch port is bound to."""
    return FunctionCall("is_chassis_resident", port)


inport = _PortField("inport")
outport = _PortField("outport")
eth = _Ethernet
ip = Symbol("ip")
is_fragment = Symbol("ip.is_frag")
ip4 = _Protocol("ip4", _AddressField)
ip6 = _Protocol("ip6", _AddressField)
icmp4 = Symbol("icmp4")
icmp6 = Symbol("icmp6")
Transport = _Protocol[_TransportPort]
"""`tcp` and its like."""
tcp: Transport = _Protocol("tcp", _TransportPort)
udp: Transport = _Protocol("udp", _TransportPort)
sctp: Transport = _Protocol("sctp", _TransportPort)
