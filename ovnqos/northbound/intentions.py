"""What a transaction under way is to leave behind, so that its own echo from the database is no news.

A server tells a writer of its own changes, too, and tells them before it answers. Comparing them with what is wanted
took as long again as the change itself (measured). Whatever is found exactly as it is meant to be needs no second look,
whoever made it so. Anything else is told, and so is what the server never spoke of: somebody undid it so soon that
nothing had changed when the server told of both.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ovnqos.northbound.database_change import DatabaseChange
from ovnqos.plan.changes import Change, RowDelete, RowInsert, RowUpdate, SetDelete, SetInsert, SetUpdate
from ovnqos.plan.content import SetKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Set

    from ovnqos.northbound.live_part import PartReader


class Intentions:
    """The state that changes of a plan are meant to lead to."""

    def __init__(self, changes: Iterable[Change]) -> None:
        """Of these changes, which one transaction makes."""
        self._rows: dict[str, RowInsert | RowUpdate | None] = {}
        self._sets: dict[str, SetInsert | SetUpdate | SetDelete] = {}
        names: Counter[str] = Counter()
        for change in changes:
            if isinstance(change, RowDelete):
                self._rows.setdefault(change.identity, None)
            elif isinstance(change, RowInsert | RowUpdate):
                self._rows[change.identity] = change
            else:
                self._sets[change.content.name] = change
                names[change.content.name] += 1
        for name, count in names.items():
            if count > 1:  # a group and an address set of one name: which of them was told of, nobody knows
                del self._sets[name]
        self._unheard_rows, self._unheard_sets = set(self._rows), set(names)

    def forget_fulfilled(self, told: DatabaseChange, reader: PartReader) -> None:
        """Take out of a change what is as intended."""
        self._unheard_rows -= told.rows
        self._unheard_sets -= told.sets.keys()
        told.rows -= {one for one in told.rows & self._rows.keys() if self._is_row_as_intended(one, reader)}
        for name in [one for one in told.sets if one in self._sets]:
            if _is_set_as_intended(self._sets[name], told.sets[name], reader):
                del told.sets[name]

    def unheard(self) -> DatabaseChange:
        """What the server has not told of."""
        return DatabaseChange(rows=self._unheard_rows, sets=dict.fromkeys(self._unheard_sets))

    def _is_row_as_intended(self, identity: str, reader: PartReader) -> bool:
        change, found = self._rows[identity], reader.rows(identity)
        if change is None:
            return not found
        if len(found) != 1:
            return False
        if isinstance(change, RowInsert):
            content, switches = change.content, frozenset(change.switches)
        else:
            content, switches = change.after, (change.switches | set(change.bind)) - set(change.unbind)
        return found[0].content == content and found[0].switches == switches


def _is_set_as_intended(change: SetInsert | SetUpdate | SetDelete, moved: Set[str] | None, reader: PartReader) -> bool:
    """Whether a set, of which the `moved` members came or went, or more changed, is as the change is to leave it."""
    kind, name = change.content.kind, change.content.name
    if isinstance(change, SetUpdate):
        if moved is None or not moved <= {*change.add, *change.remove}:
            return False
        stored = reader.set(kind, name, frozenset(moved))
        return stored is not None and stored.content.members == moved & set(change.add)
    if isinstance(change, SetDelete):
        return all(reader.set(one, name, frozenset()) is None for one in SetKind)
    stored = reader.set(kind, name, None)
    if stored is None or stored.content != change.content:
        return False
    reader.share(kind, name, change.content.members)
    return True
