"""Cut a large plan into transactions of bounded size that each leave every policy whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovnqos.plan.changes import Change, RowDelete, RowInsert, RowUpdate, SetDelete, SetInsert, SetUpdate
from ovnqos.plan.snapshot import SetKind, references_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ovnqos.model.owner import Owner

TRANSACTION_WEIGHT = 20_000
"""Default bound: 5,000 rows with their sets stay one transaction, which takes a server less than a second."""
_MEMBERS_PER_WEIGHT = 25
_SWITCHES_PER_WEIGHT = 5
_CHARACTERS_PER_WEIGHT = 500


def batches(changes: Sequence[Change], owner: Owner, weight: int = TRANSACTION_WEIGHT) -> Iterator[tuple[Change, ...]]:
    """Cut changes into batches of at most `weight`.

    Rows and sets count 1; each 25 members of a set, 5 switches of a row and 500 characters of its match count 1 more.

    The rows of one object are never parted, and the sets they use are in the same batch or an earlier one, so that a
    policy is in force as a whole or not at all. A single object that is heavier than the bound has a batch to itself.
    """
    if sum(map(_weight, changes)) <= weight:
        if changes:
            yield tuple(changes)
        return
    batch: list[Change] = []
    load = 0
    for unit in _units(changes, owner):
        heavy = sum(map(_weight, unit))
        if batch and load + heavy > weight:
            yield tuple(batch)
            batch, load = [], 0
        batch.extend(unit)
        load += heavy
    yield tuple(batch)


def _weight(change: Change) -> int:
    if isinstance(change, SetInsert | SetDelete):
        return 1 + len(change.content.members) // _MEMBERS_PER_WEIGHT
    if isinstance(change, SetUpdate):
        return 1 + (len(change.add) + len(change.remove)) // _MEMBERS_PER_WEIGHT
    if isinstance(change, RowInsert):
        match, switches = change.content.match, len(change.switches)
    elif isinstance(change, RowUpdate):
        match, switches = change.after.match, len(change.bind) + len(change.unbind)
    else:
        match, switches = "", len(change.switches)
    return 1 + switches // _SWITCHES_PER_WEIGHT + len(match) // _CHARACTERS_PER_WEIGHT


def _units(changes: Sequence[Change], owner: Owner) -> Iterator[Sequence[Change]]:
    """What must stay together, in order: an object's rows with the sets they need first; other sets; deleted sets."""
    sets = {
        (change.content.kind, change.content.name): change
        for change in changes
        if isinstance(change, SetInsert | SetUpdate)
    }
    objects: dict[str, list[RowInsert | RowUpdate | RowDelete]] = {}
    for change in changes:
        if isinstance(change, RowInsert | RowUpdate | RowDelete):
            objects.setdefault(_object(change, owner), []).append(change)
    for rows in objects.values():
        keys = ((kind, name) for name in sorted(_needs(rows)) for kind in SetKind)
        needed = [sets.pop(key) for key in keys if key in sets]
        yield [*needed, *rows]
    yield from ([change] for change in sets.values())
    yield from ([change] for change in changes if isinstance(change, SetDelete))


def _object(change: RowInsert | RowUpdate | RowDelete, owner: Owner) -> str:
    content = change.after if isinstance(change, RowUpdate) else change.content
    return owner.object_of(content.external_ids) or change.identity


def _needs(rows: Iterable[RowInsert | RowUpdate | RowDelete]) -> set[str]:
    needed: set[str] = set()
    for change in rows:
        if isinstance(change, RowInsert):
            needed |= references_in(change.content.match)
        elif isinstance(change, RowUpdate):
            needed |= references_in(change.after.match)
    return needed
