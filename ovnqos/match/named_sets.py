"""What the names in a match stand for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedSets:
    """What `$name` and `@name` stand for; others do not exist.

    Attributes:
        address_sets: addresses and CIDRs by name.
        port_groups: names of logical ports by name.
        unknown_sets: address sets that exist, and whose members are not known.
        meanings: what a set or group is, in words, for those of which that is known.
    """

    address_sets: Mapping[str, Collection[str]] = field(default_factory=dict)
    port_groups: Mapping[str, Collection[str]] = field(default_factory=dict)
    unknown_sets: Collection[str] = frozenset()
    meanings: Mapping[str, str] = field(default_factory=dict)
