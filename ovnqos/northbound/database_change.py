"""What changed in a Northbound, as its users are told."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class DatabaseChange:
    """What changed in the database, by whomever, in the words of an owner's plans.

    Attributes:
        rows: identities of the owner's rows that came, changed, went, or are bound elsewhere.
        sets: names of the owner's sets that came, changed or went; with the members that came or went, or None when
            more changed.
        switches: names of logical switches that came.
        ports: names of logical switch ports that came.
        rivals: whether a row of somebody else came or changed that has a priority in the band of NetworkQoS rules.
    """

    rows: set[str] = field(default_factory=set)
    sets: dict[str, set[str] | None] = field(default_factory=dict)
    switches: set[str] = field(default_factory=set)
    ports: set[str] = field(default_factory=set)
    rivals: bool = False

    def __bool__(self) -> bool:
        return bool(self.rows or self.sets or self.switches or self.ports or self.rivals)

    def merge(self, other: DatabaseChange) -> None:
        """Take in what else changed, so that many changes stay one of the size of what they name."""
        self.rows |= other.rows
        self.switches |= other.switches
        self.ports |= other.ports
        self.rivals |= other.rivals
        for name, members in other.sets.items():
            self.note_set(name, members)

    def note_set(self, name: str, members: set[str] | None) -> None:
        """Note that these members of a set came or went, or with None, that more changed."""
        known = self.sets.setdefault(name, set())
        if members is None:
            self.sets[name] = None
        elif known is not None:
            known |= members
