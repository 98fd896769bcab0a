"""What the named sets of a match stand for: their members, and the numbers that these are."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from ovnqos.match.addresses import Range, Ranges, Unparsable, read_number

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedSets:
    """What `$name` and `@name` stand for; other names do not exist. The members do not change meanwhile.

    Attributes:
        address_sets: addresses and CIDRs by name.
        port_groups: names of logical ports by name.
        unknown_sets: address sets that exist, and whose members are not known.
        meanings: descriptions of sets and groups, as far as they are known.
    """

    address_sets: Mapping[str, Collection[str]] = field(default_factory=dict)
    port_groups: Mapping[str, Collection[str]] = field(default_factory=dict)
    unknown_sets: Collection[str] = frozenset()
    meanings: Mapping[str, str] = field(default_factory=dict)
    _ranges: dict[tuple[str, int], Ranges | None] = field(default_factory=dict, init=False, repr=False, compare=False)

    def ranges(self, name: str, bits: int) -> Ranges | None:
        """The numbers in an address set that a field of so many bits can be; None where they are not known.

        OVN passes over a member that it cannot read, and so does this.
        """
        key = (name, bits)
        if key not in self._ranges:
            self._ranges[key] = None if name in self.unknown_sets else _read_ranges(self._texts(name), bits)
        return self._ranges[key]

    def has_numbers(self, name: str, bits: int) -> bool:
        """Whether an address set may hold a number that a field of so many bits can be. Stops at the first."""
        for text in self._texts(name):
            if read_range(text, bits) != NO_NUMBER:
                return True
        return name in self.unknown_sets

    def _texts(self, name: str) -> Collection[str]:
        return self.address_sets.get(name, ())


def derived_sets(port_groups: Iterable[str]) -> frozenset[str]:
    """Return the names of the address sets that northd makes by itself (ovn-nb(5), Port_Group, name)."""
    return frozenset({"svc_monitor_mac", *(f"{group}_ip{version}" for group in port_groups for version in (4, 6))})


def _read_ranges(texts: Iterable[str], bits: int) -> Ranges | None:
    found = {read_range(text, bits) for text in texts}
    found.discard(NO_NUMBER)
    return None if None in found else Ranges.of(found)  # type: ignore[arg-type] # there is no None in it


NO_NUMBER: Final[Range] = (1, 0)
"""The empty range."""


@lru_cache(maxsize=1 << 14)  # a pod's address is in many sets
def read_range(text: str, bits: int) -> Range | None:
    """The values of a field of so many bits that equal a number or address; None where they are not one range.

    `NO_NUMBER` for a text that OVN refuses, and for a number that is too wide for the field.
    """
    try:
        number = read_number(text)
    except Unparsable:
        return NO_NUMBER
    return NO_NUMBER if number.width > bits else number.as_range(bits)
