"""The port groups and address sets that a live compilation's objects use, and which of them are to be compared."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

from ovnqos.compile.compilation import address_set, port_group
from ovnqos.compile.sets import FixedMembers, SourcePorts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from ovnqos.compile.compiled import CompiledObject
    from ovnqos.compile.inventory import Inventory
    from ovnqos.compile.rows import AddressSet, PortGroup
    from ovnqos.compile.selections import PodSelection, Selections
    from ovnqos.compile.sets import SetDescription

Following = tuple[bool, "PodSelection"]
"""A selection, and whether it is followed as sources (ports) or as peers (addresses)."""


class _Kind(Enum):
    PORT_GROUP = auto()
    ADDRESS_SET = auto()
    UNWRITTEN_GROUP = auto()


@dataclass(slots=True)
class _Use:
    """A set in use: what it is, of which kind, and the objects that use it."""

    described: SetDescription
    kind: _Kind
    users: set[str] = field(default_factory=set)


class SetsInUse:
    """By name, the sets that objects use. A set that none uses any more is forgotten."""

    def __init__(self, selections: Selections, inventory: Inventory) -> None:
        """No set is in use.

        Args:
            selections: where members are asked for.
            inventory: likewise.
        """
        self._selections = selections
        self._inventory = inventory
        self._uses: dict[str, _Use] = {}
        self._following: dict[Following, set[str]] = defaultdict(set)
        self._counts = dict.fromkeys(_Kind, 0)
        self._dirty: dict[str, set[str] | None] = {}

    def replace(self, user: str, old: CompiledObject | None, new: CompiledObject | None) -> list[Following]:
        """Exchange the sets that an object uses. Returns the selections that no set follows any more."""
        kept = set()
        unfollowed: list[Following] = []
        for name, described, kind in _sets(new):
            kept.add(name)
            unfollowed += self._use(name, described, kind, user)
        for name, _described, _kind in _sets(old):
            if name not in kept:
                unfollowed += self._stop_using(name, user)
        return [followed for followed in unfollowed if not self._following.get(followed)]

    def touch(self, name: str, members: Iterable[str] | None) -> None:
        """Have a set compared with the database again: these members of it, or (None) the whole."""
        if members is None:
            self._dirty[name] = None
            return
        known = self._dirty.setdefault(name, set())
        if known is not None:
            known.update(members)

    def touch_following(self, following: Following, members: Collection[str] | None) -> None:
        """As `touch`, all sets that follow a selection."""
        for name in self._following.get(following, ()):
            self.touch(name, members)

    @property
    def is_dirty(self) -> bool:
        """Whether there is a set to be compared."""
        return bool(self._dirty)

    def users_of_dirty(self) -> set[str]:
        """The objects that use a set whose members may have changed."""
        uses = (self._uses.get(name) for name in self._dirty)
        return {user for use in uses if use is not None for user in use.users}

    def drain(self) -> dict[str, frozenset[str] | None]:
        """By name, the sets to be compared, with the members concerned, or None for the whole; none are then."""
        dirty, self._dirty = self._dirty, {}
        unwritten = _Kind.UNWRITTEN_GROUP
        return {
            name: None if touched is None else frozenset(touched)
            for name, touched in dirty.items()
            if name not in self._uses or self._uses[name].kind is not unwritten
        }

    def members(self, name: str) -> frozenset[str]:
        """The members of a set in use; none of another."""
        use = self._uses.get(name)
        return use.described.members.find(self._selections, self._inventory) if use is not None else frozenset()

    def resolve(
        self, sets: Mapping[str, frozenset[str] | None] | None = None
    ) -> tuple[dict[str, PortGroup], dict[str, AddressSet]]:
        """These of the sets in use (None: all), with those members that are asked for."""
        groups: dict[str, PortGroup] = {}
        addresses: dict[str, AddressSet] = {}
        for name, touched in (dict.fromkeys(self._uses) if sets is None else sets).items():
            use = self._uses.get(name)
            if use is None:
                continue
            if use.kind is _Kind.PORT_GROUP:
                groups[name] = port_group(use.described, self._selections, self._inventory, touched)
            elif use.kind is _Kind.ADDRESS_SET:
                addresses[name] = address_set(use.described, self._selections, self._inventory, touched)
        return groups, addresses

    def counts(self) -> dict[str, int]:
        """How many port groups and address sets are wanted."""
        return {"port_group": self._counts[_Kind.PORT_GROUP], "address_set": self._counts[_Kind.ADDRESS_SET]}

    def _use(self, name: str, described: SetDescription, kind: _Kind, user: str) -> list[Following]:
        use = self._uses.get(name)
        unfollowed: list[Following] = []
        if use is None:
            use = self._add(name, described, kind)
        elif use.described != described:
            users = use.users
            unfollowed = self._drop(name, use)
            use = self._add(name, described, kind)
            use.users |= users
        use.users.add(user)
        return unfollowed

    def _stop_using(self, name: str, user: str) -> list[Following]:
        use = self._uses[name]
        use.users.discard(user)
        return [] if use.users else self._drop(name, use)

    def _add(self, name: str, described: SetDescription, kind: _Kind) -> _Use:
        use = self._uses[name] = _Use(described, kind)
        self._counts[kind] += 1
        self._dirty[name] = None
        followed = _followed(described)
        if followed is not None:
            self._following[followed].add(name)
        return use

    def _drop(self, name: str, use: _Use) -> list[Following]:
        del self._uses[name]
        self._counts[use.kind] -= 1
        if use.kind is _Kind.UNWRITTEN_GROUP:
            self._dirty.pop(name, None)
        else:
            self._dirty[name] = None
        followed = _followed(use.described)
        if followed is None:
            return []
        names = self._following[followed]
        names.discard(name)
        if names:
            return []
        del self._following[followed]
        return [followed]


def _sets(compiled: CompiledObject | None) -> Iterator[tuple[str, SetDescription, _Kind]]:
    if compiled is not None:
        for name, described in compiled.port_groups.items():
            yield name, described, _Kind.PORT_GROUP
        for name, described in compiled.address_sets.items():
            yield name, described, _Kind.ADDRESS_SET
        for name, described in compiled.unwritten_groups.items():
            yield name, described, _Kind.UNWRITTEN_GROUP


def _followed(described: SetDescription) -> Following | None:
    """Which selection's members the set follows, and as what; None for members that only the policy decides."""
    members = described.members
    if isinstance(members, FixedMembers):
        return None
    return isinstance(members, SourcePorts), members.selection
