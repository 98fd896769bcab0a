"""IP addresses and other numbers: CIDRs, their union and difference, ranges, and numbers of OVN.

On integers, because netaddr's `IPSet` takes 600 µs for one ordinary rule (measured: 0.0.0.0/0 less three CIDRs) where
this takes about 30 µs, and a cluster has thousands of rules. netaddr reads what is not plain, and is the tests' oracle.

Source of what OVN's lexer reads as a number: ovn-sb(5), Logical_Flow, match; what ovn-trace of OVN 23.03 and 25.03
takes and refuses.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from enum import StrEnum
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import TYPE_CHECKING, Final, NamedTuple

from netaddr import AddrFormatError, IPNetwork

from ovnqos.errors import InvalidRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


Range = tuple[int, int]
"""First and last number, both included."""

WIDTH = {4: 32, 6: 128}
"""Bits in an address of each IP version."""

_SOCKET_FAMILY = {4: AF_INET, 6: AF_INET6}
_OCTETS = tuple(map(str, range(256)))
_ABOVE_ALL = 1 << WIDTH[6]
_new_tuple = tuple.__new__  # half the time of a named tuple's own


class AddressBlock(NamedTuple):
    """A CIDR: IP version (4 or 6), first address as an integer, prefix length."""

    version: int
    first: int
    prefix_length: int

    @classmethod
    def of(cls, network: IPNetwork) -> AddressBlock:
        """Take over a netaddr network; host bits are cleared."""
        return cls(network.version, network.first, network.prefixlen)

    @classmethod
    def parse(cls, text: str) -> AddressBlock:
        """Read a CIDR, or a single address; host bits are cleared. Raises ValueError for text that is neither.

        Plain text goes by the functions of the C library that netaddr calls, too: 1 µs instead of 6 to 10 (measured).
        """
        address, slash, length = text.partition("/")
        version = 6 if ":" in address else 4
        width = WIDTH[version]
        try:
            packed = inet_pton(_SOCKET_FAMILY[version], address)
        except (OSError, ValueError):
            return cls._parse_by_netaddr(text)
        if not slash:
            return cls(version, int.from_bytes(packed), width)
        if not (length.isascii() and length.isdigit()) or int(length) > width:
            return cls._parse_by_netaddr(text)
        host_bits = width - int(length)
        return cls(version, int.from_bytes(packed) >> host_bits << host_bits, int(length))

    @classmethod
    def _parse_by_netaddr(cls, text: str) -> AddressBlock:
        try:
            return cls.of(IPNetwork(text))
        except AddrFormatError as error:
            raise ValueError(str(error)) from None

    @property
    def last(self) -> int:
        """The block's last address."""
        return self.first | ((1 << (WIDTH[self.version] - self.prefix_length)) - 1)

    def __str__(self) -> str:
        """As OVN writes it: `10.0.0.0/8`; a single address without its prefix length."""
        return _text(*self)


def parse_address(text: str) -> tuple[int, int] | None:
    """The IP version and the integer of a single address; None for other text."""
    version = 6 if ":" in text else 4
    try:
        return version, int.from_bytes(inet_pton(_SOCKET_FAMILY[version], text))
    except (OSError, ValueError):
        return None


def canonical_address(text: str) -> str:
    """A single address as `str` writes it: lower case, without leading zeros. Raises ValueError for other text."""
    family = AF_INET6 if ":" in text else AF_INET
    try:
        return inet_ntop(family, inet_pton(family, text))
    except (OSError, ValueError):
        return str(AddressBlock.parse(text))


def union(blocks: Iterable[AddressBlock]) -> tuple[AddressBlock, ...]:
    """The fewest blocks that cover exactly these addresses, sorted, IPv4 first."""
    return difference(blocks, ())


def difference(blocks: Iterable[AddressBlock], excluded: Iterable[AddressBlock]) -> tuple[AddressBlock, ...]:
    """The fewest blocks that cover exactly the addresses of `blocks` that are not in `excluded`, sorted, IPv4 first."""
    kept, dropped = tuple(blocks), tuple(excluded)
    result: list[AddressBlock] = []
    for version in WIDTH:
        ranges = _joined(kept, version)
        if ranges:
            left = subtract_ranges(ranges, _joined(dropped, version))
            result.extend([_new_tuple(AddressBlock, (version, *block)) for block in _blocks(left, version)])
    return tuple(result)


def range_texts(ranges: Iterable[Range], version: int) -> list[str]:
    """The fewest CIDRs of ranges of addresses, as `str` of an `AddressBlock`."""
    return [_text(version, *block) for block in _blocks(ranges, version)]


def _text(version: int, first: int, prefix_length: int) -> str:
    """A CIDR as OVN writes it."""
    if version == 4:  # as inet_ntop, in two thirds of its time
        address = (
            f"{_OCTETS[first >> 24]}.{_OCTETS[first >> 16 & 255]}.{_OCTETS[first >> 8 & 255]}.{_OCTETS[first & 255]}"
        )
    else:
        address = inet_ntop(AF_INET6, first.to_bytes(16))
    return address if prefix_length == WIDTH[version] else f"{address}/{prefix_length}"


def _joined(blocks: Iterable[AddressBlock], version: int) -> list[Range]:
    """Ranges of one version, sorted, where touching and overlapping ones are one."""
    return join_ranges([(block.first, block.last) for block in blocks if block.version == version])


def join_ranges(ranges: list[Range]) -> list[Range]:
    """These ranges, sorted, where touching and overlapping ones are one. The argument is sorted in place."""
    if len(ranges) < 2:
        return ranges
    ranges.sort()
    joined = [ranges[0]]
    for one in ranges:
        first, last = joined[-1]
        if one[0] > last + 1:
            joined.append(one)
        elif one[1] > last:
            joined[-1] = (first, one[1])
    return joined


def subtract_ranges(kept: Sequence[Range], dropped: Sequence[Range]) -> Iterator[Range]:
    """What is left of the kept ranges; both sequences are sorted and disjoint."""
    start = 0
    for first, last in kept:
        while start < len(dropped) and dropped[start][1] < first:
            start += 1
        position = first
        for hole in dropped[start:]:
            if hole[0] > last:
                break
            if hole[0] > position:
                yield position, hole[0] - 1
            position = hole[1] + 1
        if position <= last:
            yield position, last


def _blocks(ranges: Iterable[Range], version: int) -> Iterator[tuple[int, int]]:
    """The fewest CIDRs of ranges, as first address and prefix length.

    Each is as large as its alignment and the range's end allow.
    """
    width = WIDTH[version]
    for first, last in ranges:
        while first <= last:
            bits = (last - first + 1).bit_length() - 1
            if first and (aligned := (first & -first).bit_length() - 1) < bits:
                bits = aligned
            yield first, width - bits
            first += 1 << bits  # noqa: PLW2901 - the range is used up block by block


@dataclass(frozen=True, slots=True)
class Ranges:
    """A set of integers as ranges, sorted and disjoint, so that one of 50,000 is found in a few steps."""

    bounds: tuple[Range, ...]

    @classmethod
    def of(cls, ranges: Iterable[Range]) -> Ranges:
        """The union of ranges in any order."""
        return cls(tuple(join_ranges(list(ranges))))

    def __contains__(self, value: int) -> bool:
        place = bisect_right(self.bounds, (value, _ABOVE_ALL)) - 1
        return place >= 0 and value <= self.bounds[place][1]

    def __bool__(self) -> bool:
        return bool(self.bounds)

    def __and__(self, other: Ranges) -> Ranges:
        return Ranges(tuple(_common(self.bounds, other.bounds)))

    def isdisjoint(self, other: Ranges) -> bool:
        """Whether no integer is in both."""
        return next(_common(self.bounds, other.bounds), None) is None


def _common(one: Sequence[Range], other: Sequence[Range]) -> Iterator[Range]:
    """What two sequences of sorted and disjoint ranges have in common."""
    place, beside = 0, 0
    while place < len(one) and beside < len(other):
        first, last = one[place]
        others_first, others_last = other[beside]
        if first <= others_last and others_first <= last:
            yield max(first, others_first), min(last, others_last)
        if last < others_last:
            place += 1
        else:
            beside += 1


_DECIMAL: Final = re.compile(r"(?:0|[1-9][0-9]{0,19})\Z")
_HEXADECIMAL: Final = re.compile(r"0[xX][0-9A-Fa-f]+\Z")
_ETHERNET: Final = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}\Z")
_PREFIX_LENGTH: Final = re.compile(r"[0-9]{1,3}\Z")
_DECIMAL_MAXIMUM: Final = (1 << 64) - 1


class _Form(StrEnum):
    DECIMAL = "decimal"
    HEXADECIMAL = "hexadecimal"
    ETHERNET = "Ethernet"
    IPV4 = "IPv4"
    IPV6 = "IPv6"


_WIDTHS: Final = {_Form.IPV4: WIDTH[4], _Form.IPV6: WIDTH[6], _Form.ETHERNET: 48}
_ADDRESS_FORMS: Final = frozenset({_Form.IPV4, _Form.IPV6})
_INTEGERS: Final = frozenset({_Form.DECIMAL, _Form.HEXADECIMAL})


class Unparsable(Exception):  # noqa: N818 - an outcome of reading; it never leaves this package
    """OVN cannot parse an expression; the message is the reason."""


class Number(NamedTuple):
    """A numeric constant as OVN compares it.

    Attributes:
        value: with the bits outside the mask cleared.
        mask: the bits that count; None for all.
        width: how many bits a field must have to take it.
    """

    value: int
    mask: int | None
    width: int

    def equals(self, value: int, bits: int) -> bool:
        """Whether a field's value is this constant, both cut to so many bits; bits outside the mask do not count."""
        mask = (1 << bits) - 1
        if self.mask is not None:
            mask &= self.mask
        return value & mask == self.value & mask

    def as_range(self, bits: int) -> Range | None:
        """The values of a field of so many bits that equal it; None where they are not one range."""
        if self.mask is None:
            return self.value, self.value
        free = ~self.mask & (1 << bits) - 1
        return None if free & (free + 1) else (self.value, self.value | free)


def read_number(text: str) -> Number:
    """Read a number or an address, with or without mask. Raises Unparsable for a text that OVN refuses."""
    left, slash, right = text.partition("/")
    form, value = _read(left)
    if not slash:
        return Number(value, None, _WIDTHS.get(form) or value.bit_length())
    mask_form, mask = _read(right)
    if mask_form == _Form.DECIMAL and form in _ADDRESS_FORMS and mask <= _WIDTHS[form]:
        mask = ((1 << mask) - 1) << (_WIDTHS[form] - mask)
    elif mask_form != form:
        raise Unparsable(f"value and mask of {text} have different formats")
    return Number(value & mask, mask, mask.bit_length())


def _read(text: str) -> tuple[_Form, int]:
    if _DECIMAL.match(text) and (value := int(text)) <= _DECIMAL_MAXIMUM:
        return _Form.DECIMAL, value
    if _HEXADECIMAL.match(text):
        return _Form.HEXADECIMAL, int(text, 16)
    if _ETHERNET.match(text):
        return _Form.ETHERNET, int(text.replace(":", ""), 16)
    address = parse_address(text)
    if address is None:
        raise Unparsable(f"{text} is no number or address")
    return (_Form.IPV4 if address[0] == 4 else _Form.IPV6), address[1]


def check_number(text: str) -> None:
    """Raise InvalidRow for a text that is no decimal or hexadecimal number or address, with or without mask.

    More lenient than `read_number`: a decimal value with a hexadecimal mask is an expression that OVN refuses.
    """
    left, slash, right = text.partition("/")
    try:
        form, _ = _read(left)
        if slash and form in _ADDRESS_FORMS and _PREFIX_LENGTH.match(right):
            fits = int(right) <= _WIDTHS[form]
        elif slash:
            mask_form, _ = _read(right)
            fits = mask_form is form or {form, mask_form} <= _INTEGERS
        else:
            fits = True
    except Unparsable:
        fits = False
    if not fits:
        raise InvalidRow(f"{text!r} is not a number, and not an IP or Ethernet address")
