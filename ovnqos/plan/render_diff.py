"""A plan as a unified diff that can be held against `ovn-nbctl qos-list`, switch by switch."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from ovnqos.plan.changes import RowDelete, RowInsert, RowUpdate, SetDelete, SetInsert, SetUpdate

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from ovnqos.model.owner import Owner
    from ovnqos.plan.changes import Change
    from ovnqos.plan.snapshot import RowContent, SetContent, Snapshot

CONTEXT = 3
_MEMBERS_SHOWN = 20
_PARTS = re.compile(r"[0-9]+|[^0-9]+")


SortKey = tuple[str, int, str]


class _Line(NamedTuple):
    key: SortKey
    sign: str  # "-" sorts before "+" through _ORDER
    text: str


_ORDER = {" ": 0, "-": 1, "+": 2}


def qos_list_line(content: RowContent) -> str:
    """A row as `ovn-nbctl qos-list` prints it, e.g. `to-lport 10400 (inport == @g && ip4) rate=20000 dscp=20`.

    Source: ovn-nbctl of OVN 23.03.
    """
    words = [f"{content.direction:>10} {content.priority:>5} ({content.match})"]
    words.extend(f"{key}={content.bandwidth[key]}" for key in ("rate", "burst") if key in content.bandwidth)
    words.extend(f"{key}={value}" for key, value in sorted(content.action.items()))
    return " ".join(words)


def qos_list_key(content: RowContent) -> SortKey:
    """The order of qos-list: by direction, then falling priority, then match."""
    return content.direction, -content.priority, content.match


def render(changes: Sequence[Change], snapshot: Snapshot) -> str:
    """The diff; empty for no changes."""
    parts = [*_switches(changes, snapshot), *_sets(changes, snapshot.owner)]
    return "\n".join(parts) + "\n" if parts else ""


def _switches(changes: Sequence[Change], snapshot: Snapshot) -> Iterator[str]:
    changed: dict[str, list[_Line]] = defaultdict(list)
    removed: set[tuple[str, str]] = set()  # switch and uuid of rows that are shown with a minus
    for change in changes:
        for sign, content, switches, uuid in _row_lines(change):
            for switch in switches:
                changed[switch].append(_Line(qos_list_key(content), sign, qos_list_line(content)))
                if sign == "-":
                    removed.add((switch, uuid))
    unchanged: dict[str, list[_Line]] = defaultdict(list)
    for row in (*snapshot.rows, *snapshot.foreign_rows):
        for switch in row.switches & changed.keys():
            if (switch, row.uuid) not in removed:
                unchanged[switch].append(_Line(qos_list_key(row.content), " ", qos_list_line(row.content)))
    for switch in sorted(changed):
        lines = sorted(changed[switch] + unchanged[switch], key=lambda one: (one.key, _ORDER[one.sign], one.text))
        yield f"--- switch {switch} (is)"
        yield f"+++ switch {switch} (will be)"
        yield from _hunks(lines)


def _row_lines(change: Change) -> Iterator[tuple[str, RowContent, Iterable[str], str]]:
    """What a change takes from and adds to the lists of which switches: sign, row, switches, uuid."""
    if isinstance(change, RowInsert):
        yield "+", change.content, change.switches, ""
    elif isinstance(change, RowDelete):
        yield "-", change.content, change.switches, change.uuid
    elif isinstance(change, RowUpdate):
        after = change.switches - set(change.unbind) | set(change.bind)
        yield "-", change.before, change.switches if change.columns else change.unbind, change.uuid
        yield "+", change.after, after if change.columns else change.bind, change.uuid


def _hunks(lines: Sequence[_Line]) -> Iterator[str]:
    changed = [index for index, one in enumerate(lines) if one.sign != " "]
    start = 0
    while start < len(changed):
        end = start
        while end + 1 < len(changed) and changed[end + 1] - changed[end] <= 2 * CONTEXT:
            end += 1
        first = max(0, changed[start] - CONTEXT)
        hunk = lines[first : changed[end] + CONTEXT + 1]
        before = _position(lines, first, "+"), sum(one.sign != "+" for one in hunk)
        after = _position(lines, first, "-"), sum(one.sign != "-" for one in hunk)
        yield f"@@ -{_extent(before)} +{_extent(after)} @@"
        yield from (one.sign + one.text for one in hunk)
        start = end + 1


def _position(lines: Sequence[_Line], index: int, other: str) -> int:
    return sum(one.sign != other for one in lines[:index])


def _extent(extent: tuple[int, int]) -> str:
    skipped, length = extent
    return f"{skipped + 1 if length else skipped},{length}"


def _sets(changes: Sequence[Change], owner: Owner) -> Iterator[str]:
    for change in changes:
        if isinstance(change, SetInsert):
            yield from _set(owner, change.content, change.content.members, (), "new")
        elif isinstance(change, SetUpdate):
            note = "external_ids change" if change.relabels else ""
            yield from _set(owner, change.content, change.add, change.remove, note)
        elif isinstance(change, SetDelete):
            yield from _set(owner, change.content, (), change.content.members, "deleted")


def _set(owner: Owner, content: SetContent, add: Collection[str], remove: Collection[str], note: str) -> Iterator[str]:
    counts = ", ".join(filter(None, (note, f"+{len(add)}" if add else "", f"-{len(remove)}" if remove else "")))
    meaning = owner.identity(content.external_ids)
    yield f"*** {content.kind.words} {content.name} ({counts or 'empty'}) {meaning}".rstrip()
    for sign, members in (("-", remove), ("+", add)):
        ordered = sorted(members, key=_natural)
        yield from (f"{sign}  {member}" for member in ordered[:_MEMBERS_SHOWN])
        if len(ordered) > _MEMBERS_SHOWN:
            yield f"{sign}  … and {len(ordered) - _MEMBERS_SHOWN} more"


def _natural(member: str) -> tuple[tuple[int, str], ...]:
    """Numbers inside a text sort as numbers: 10.9.0.0 before 10.10.0.0, pod9 before pod10."""
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in _PARTS.findall(member))
