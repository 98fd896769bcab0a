"""Sets of addresses and of numbers as ranges, so that one of 50,000 members is looked into in a few steps."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ovnqos.match.address_blocks import WIDTH
from ovnqos.match.numbers import Unparsable, read_number
from ovnqos.match.syntax import ConstantKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ovnqos.match import Comparison


@dataclass(frozen=True, slots=True)
class Ranges:
    """Addresses or numbers as ranges, sorted, apart from each other."""

    bounds: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, pairs: Iterable[tuple[int, int]]) -> Ranges:
        """These ranges, joined where they meet."""
        joined: list[tuple[int, int]] = []
        for first, last in sorted(pairs):
            if joined and first <= joined[-1][1] + 1:
                joined[-1] = (joined[-1][0], max(joined[-1][1], last))
            else:
                joined.append((first, last))
        return cls(tuple(joined))

    def __contains__(self, value: int) -> bool:
        place = bisect_right(self.bounds, (value, 1 << 128)) - 1
        return place >= 0 and value <= self.bounds[place][1]

    def __bool__(self) -> bool:
        return bool(self.bounds)

    def __and__(self, other: Ranges) -> Ranges:
        common, mine, others = [], 0, 0
        while mine < len(self.bounds) and others < len(other.bounds):
            one, two = self.bounds[mine], other.bounds[others]
            if max(one[0], two[0]) <= min(one[1], two[1]):
                common.append((max(one[0], two[0]), min(one[1], two[1])))
            mine, others = (mine + 1, others) if one[1] < two[1] else (mine, others + 1)
        return Ranges(tuple(common))


@dataclass(frozen=True, slots=True, kw_only=True)
class SetValues:
    """What `$name` and `@name` stand for.

    Attributes:
        address_sets: members by name.
        port_groups: names of ports by name.
    """

    address_sets: Mapping[str, frozenset[str]]
    port_groups: Mapping[str, frozenset[str]]
    _ranges: dict[tuple[str, int], Ranges] = field(default_factory=dict, repr=False, compare=False)

    def ports(self, comparison: Comparison) -> frozenset[str]:
        """The ports that a comparison of `inport` or `outport` names."""
        found: set[str] = set()
        for one in comparison.constants:
            group = one.kind is ConstantKind.PORT_GROUP
            found |= self.port_groups.get(one.text, frozenset()) if group else {one.text}
        return frozenset(found)

    def addresses(self, comparison: Comparison, version: int) -> Ranges | None:
        """The addresses of an IP version that a comparison names; None where one cannot be put as a range."""
        pairs: list[tuple[int, int]] = []
        for one in comparison.constants:
            if one.kind is ConstantKind.ADDRESS_SET:
                pairs.extend(self.members(one.text, version).bounds)
            elif (block := _block(one.text, version)) is not None:
                pairs.append(block)
            else:
                return None
        return Ranges.of(pairs)

    def members(self, name: str, version: int) -> Ranges:
        """The addresses of an IP version in an address set; what OVN cannot read in it, it passes over too."""
        key = (name, version)
        if key not in self._ranges:
            texts = (text for text in self.address_sets.get(name, ()) if (":" in text) == (version == 6))
            self._ranges[key] = Ranges.of(_blocks(texts, version))
        return self._ranges[key]


def numbers(comparison: Comparison) -> Ranges | None:
    """The numbers that a comparison names; None where one cannot be read."""
    try:
        read = [read_number(one.text) for one in comparison.constants]
    except Unparsable:
        return None
    return None if any(one.mask is not None for one in read) else Ranges.of((one.value, one.value) for one in read)


def _blocks(texts: Iterable[str], version: int) -> Iterator[tuple[int, int]]:
    for text in texts:
        block = _block(text, version)
        if block is not None:
            yield block


def _block(text: str, version: int) -> tuple[int, int] | None:
    """The first and last of an address or CIDR; None for another text, or a mask that is no prefix."""
    try:
        number = read_number(text)
    except Unparsable:
        return None
    if number.mask is None:
        return number.value, number.value
    hosts = (1 << WIDTH[version]) - 1 - number.mask
    return None if hosts & (hosts + 1) else (number.value, number.value + hosts)
