"""What changed in a Northbound, in the terms of an owner's plans, less what a transaction is expected to change."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ovnqos.compile.rows import carried_for
from ovnqos.plan.changes import Change, RowDelete, RowInsert, RowUpdate, SetDelete, SetInsert, SetUpdate
from ovnqos.plan.snapshot import ActualRow, SetKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Set

    from ovnqos.northbound.replica_reader import ReplicaReader


@dataclass(slots=True, kw_only=True)
class DatabaseChange:
    """What changed in the database, by any client, in the terms of an owner's plans.

    Attributes:
        rows: identities of the owner's rows that came, changed, went, or are bound elsewhere.
        sets: names of the owner's sets that came, changed or went; with the members that came or went, or None when
            more changed.
        switches: names of logical switches that came.
        ports: names of logical switch ports that came.
        foreign_rows: whether a foreign row came, changed or went that may conflict: as high as pods' marks, or higher.
        beside_marks: identities of the owner's rows on a switch where a foreign row came, changed or went that sets
            the mark of packets: what the owner's rows carry of it may be another now.
    """

    rows: set[str] = field(default_factory=set)
    sets: dict[str, set[str] | None] = field(default_factory=dict)
    switches: set[str] = field(default_factory=set)
    ports: set[str] = field(default_factory=set)
    foreign_rows: bool = False
    beside_marks: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        named = self.rows or self.sets or self.switches or self.ports or self.beside_marks
        return bool(named or self.foreign_rows)

    def merge(self, other: DatabaseChange) -> None:
        """Add what else changed, so that many changes stay one of the size of what they name."""
        self.rows |= other.rows
        self.switches |= other.switches
        self.ports |= other.ports
        self.foreign_rows |= other.foreign_rows
        self.beside_marks |= other.beside_marks
        for name, members in other.sets.items():
            self.add_set(name, members)

    def parts(self, size: int) -> Iterator[DatabaseChange]:
        """Its rows and sets in parts of this size, in order."""
        rows, sets = sorted(self.rows), sorted(self.sets)
        for start in range(0, len(rows), size):
            yield DatabaseChange(rows=set(rows[start : start + size]))
        for start in range(0, len(sets), size):
            yield DatabaseChange(sets={name: self.sets[name] for name in sets[start : start + size]})

    def add_set(self, name: str, members: set[str] | None) -> None:
        """Add that these members of a set came or went, or with None, that more changed."""
        known = self.sets.setdefault(name, set())
        if members is None:
            self.sets[name] = None
        elif known is not None:
            known |= members


class ExpectedChanges:
    """The state that a transaction in flight leads to, so that its echo from the database needs no second look.

    A server reports a writer's own changes, too, before it replies. Comparing them with what is desired took as long
    again as the change itself (measured). What is exactly as expected is left out, whoever made it so. All else is
    reported, and so is what the server never reported: it was undone so soon that nothing had changed.
    """

    def __init__(self, changes: Iterable[Change], reader: ReplicaReader) -> None:
        """Of these changes, which one transaction is about to make in what the reader finds now."""
        self._rows: dict[str, dict[str, ActualRow]] = {}  # identity -> uuid, or none yet -> row
        self._sets: dict[str, SetInsert | SetUpdate | SetDelete] = {}
        names: Counter[str] = Counter()
        for change in changes:
            if isinstance(change, RowInsert | RowUpdate | RowDelete):
                identity = carried_for(change.identity)
                if identity not in self._rows:
                    self._rows[identity] = {row.uuid: row for row in reader.rows(identity)}
                _carry_out(change, self._rows[identity])
            else:
                self._sets[change.content.name] = change
                names[change.content.name] += 1
        for name, count in names.items():
            if count > 1:  # a group and an address set of one name: a DatabaseChange does not say which
                del self._sets[name]
        self._unreported_rows, self._unreported_sets = set(self._rows), set(names)

    def remove_from(self, change: DatabaseChange, reader: ReplicaReader) -> None:
        """Remove from a change what is as expected."""
        self._unreported_rows -= change.rows
        self._unreported_sets -= change.sets.keys()
        change.rows -= {one for one in change.rows & self._rows.keys() if self._is_row_as_expected(one, reader)}
        for name in [one for one in change.sets if one in self._sets]:
            if _is_set_as_expected(self._sets[name], change.sets[name], reader):
                del change.sets[name]

    def unreported(self) -> DatabaseChange:
        """What the server has not reported."""
        return DatabaseChange(rows=self._unreported_rows, sets=dict.fromkeys(self._unreported_sets))

    def _is_row_as_expected(self, identity: str, reader: ReplicaReader) -> bool:
        actual = [(row.content, row.switches) for row in reader.rows(identity)]
        expected = [(row.content, row.switches) for row in self._rows[identity].values()]
        return (
            len(actual) == len(expected)
            and all(one in actual for one in expected)
            and all(one in expected for one in actual)
        )


def _carry_out(change: RowInsert | RowUpdate | RowDelete, rows: dict[str, ActualRow]) -> None:
    if isinstance(change, RowInsert):
        rows[f"new {len(rows)}"] = ActualRow(uuid="", content=change.content, switches=frozenset(change.switches))
    elif isinstance(change, RowUpdate):
        switches = (change.switches | set(change.bind)) - set(change.unbind)
        rows[change.uuid] = ActualRow(uuid=change.uuid, content=change.after, switches=switches)
    else:
        rows.pop(change.uuid, None)


def _is_set_as_expected(
    change: SetInsert | SetUpdate | SetDelete, moved: Set[str] | None, reader: ReplicaReader
) -> bool:
    """Whether a set, of which the `moved` members came or went, or more changed, is as the change is to leave it."""
    kind, name = change.content.kind, change.content.name
    if any(reader.has(one, name) for one in SetKind if one is not kind):
        return False  # again: a DatabaseChange does not say which of the two it is about
    if isinstance(change, SetUpdate):
        if moved is None or not moved <= {*change.add, *change.remove}:
            return False
        return reader.is_changed(kind, name, change.content.external_ids, added=change.add, removed=change.remove)
    if isinstance(change, SetDelete):
        return not reader.has(kind, name)
    actual = reader.set(kind, name, None)
    if actual is None or actual.content != change.content:
        return False
    reader.share(kind, name, change.content.members)
    return True
