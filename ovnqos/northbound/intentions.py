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
from ovnqos.plan.snapshot import ActualRow, SetKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Set

    from ovnqos.northbound.live_part import PartReader


class Intentions:
    """The state that changes of a plan are meant to lead to."""

    def __init__(self, changes: Iterable[Change], reader: PartReader) -> None:
        """Of these changes, which one transaction is about to make in what the reader finds now."""
        self._rows: dict[str, dict[str, ActualRow]] = {}  # identity -> uuid, or none yet -> row
        self._sets: dict[str, SetInsert | SetUpdate | SetDelete] = {}
        names: Counter[str] = Counter()
        for change in changes:
            if isinstance(change, RowInsert | RowUpdate | RowDelete):
                if change.identity not in self._rows:
                    self._rows[change.identity] = {row.uuid: row for row in reader.rows(change.identity)}
                _carry_out(change, self._rows[change.identity])
            else:
                self._sets[change.content.name] = change
                names[change.content.name] += 1
        for name, count in names.items():
            if count > 1:  # a group and an address set of one name: which of them is told of, nobody knows
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
        left = [(row.content, row.switches) for row in reader.rows(identity)]
        meant = [(row.content, row.switches) for row in self._rows[identity].values()]
        return len(left) == len(meant) and all(one in left for one in meant) and all(one in meant for one in left)


def _carry_out(change: RowInsert | RowUpdate | RowDelete, rows: dict[str, ActualRow]) -> None:
    if isinstance(change, RowInsert):
        rows[""] = ActualRow(uuid="", content=change.content, switches=frozenset(change.switches))
    elif isinstance(change, RowUpdate):
        switches = (change.switches | set(change.bind)) - set(change.unbind)
        rows[change.uuid] = ActualRow(uuid=change.uuid, content=change.after, switches=switches)
    else:
        rows.pop(change.uuid, None)


def _is_set_as_intended(change: SetInsert | SetUpdate | SetDelete, moved: Set[str] | None, reader: PartReader) -> bool:
    """Whether a set, of which the `moved` members came or went, or more changed, is as the change is to leave it."""
    kind, name = change.content.kind, change.content.name
    if any(reader.has(one, name) for one in SetKind if one is not kind):
        return False  # again: which of the two is told of, nobody knows
    if isinstance(change, SetUpdate):
        if moved is None or not moved <= {*change.add, *change.remove}:
            return False
        return reader.is_changed(kind, name, change.content.external_ids, added=change.add, removed=change.remove)
    if isinstance(change, SetDelete):
        return not reader.has(kind, name)
    stored = reader.set(kind, name, None)
    if stored is None or stored.content != change.content:
        return False
    reader.share(kind, name, change.content.members)
    return True
