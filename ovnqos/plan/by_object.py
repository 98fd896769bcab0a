"""A plan as text to read: by object, the qos-list lines of equal switches once, sets by their meaning."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from ovnqos.diagnostics import listed, printable
from ovnqos.model.owner import RULE_KEY
from ovnqos.plan.changes import RowDelete, RowInsert, RowUpdate, SetInsert, SetUpdate
from ovnqos.plan.renderings import MEMBERS_SHOWN, ORDER, natural, qos_list_key, qos_list_line, row_lines
from ovnqos.plan.snapshot import references_in

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from ovnqos.plan.changes import Change, SetDelete
    from ovnqos.plan.renderings import SortKey
    from ovnqos.plan.snapshot import RowContent, Snapshot

_SHARED = "sets of several objects, or of none"
_OF_NO_OBJECT = "rows of no object"


class _Line(NamedTuple):
    key: SortKey
    order: int
    text: str


class _Part:
    """What changes of one object."""

    def __init__(self) -> None:
        self.rules: set[str] = set()
        self.lines: dict[frozenset[str], set[_Line]] = defaultdict(set)  # by switches
        self.sets: list[SetInsert | SetUpdate | SetDelete] = []


def as_text(
    changes: Sequence[Change], snapshot: Snapshot, states: Mapping[str, Sequence[str]], *, lines: bool = True
) -> str:
    """The text; empty for no changes.

    Args:
        changes: of the plan.
        snapshot: what they start from.
        states: the objects, by whether they are new, changed or ended.
        lines: whether rows and members are shown, too, not only a line for each object.
    """
    parts = _parts(changes, snapshot)
    state_of = {name: state for state, names in states.items() for name in names}
    text = []
    for name in sorted(parts, key=lambda one: (one in {_SHARED, _OF_NO_OBJECT}, one)):
        text.append(_heading(name, state_of.get(name, ""), parts[name]))
        text += _body(parts[name], snapshot) if lines else ()
    return "".join(f"{printable(line)}\n" for line in text)


def _parts(changes: Sequence[Change], snapshot: Snapshot) -> dict[str, _Part]:
    parts: dict[str, _Part] = defaultdict(_Part)
    sets = [change for change in changes if not isinstance(change, RowInsert | RowUpdate | RowDelete)]
    users: dict[str, set[str]] = {change.content.name: set() for change in sets}

    def note(content: RowContent) -> str:
        name = snapshot.owner.object_of(content.external_ids) or _OF_NO_OBJECT
        for one in references_in(content.match) & users.keys():
            users[one].add(name)
        return name

    for change in changes:
        for sign, content, switches, _uuid in row_lines(change):
            part = parts[note(content)]
            part.rules.add(content.external_ids.get(RULE_KEY, content.match))
            if on := frozenset(switches):
                part.lines[on].add(
                    _Line(qos_list_key(content), ORDER[sign], f"{sign} {qos_list_line(content).strip()}")
                )
    for row in snapshot.rows if sets else ():
        note(row.content)
    for one in sets:
        names = users[one.content.name]
        parts[names.pop() if len(names) == 1 else _SHARED].sets.append(one)
    return parts


def _heading(name: str, state: str, part: _Part) -> str:
    kind, slash, key = name.partition("/")
    title = f"{kind} {key}{f' ({state})' if state else ''}" if slash else name
    switches = len(frozenset().union(*part.lines)) if part.lines else 0
    if not part.rules:
        return f"{title}: members of {_count(len(part.sets), 'set')}"
    return f"{title}: {_count(len(part.rules), 'rule')} on {_count(switches, 'switch', 'switches')}"


def _body(part: _Part, snapshot: Snapshot) -> Iterator[str]:
    for switches, lines in sorted(part.lines.items(), key=lambda one: sorted(one[0])):
        number = "switch" if len(switches) == 1 else f"{len(switches)} switches:"
        yield f"  on {number} {listed(switches)}"
        yield from (f"    {line.text}" for line in sorted(lines))
    for change in part.sets:
        content = change.content
        members = sorted(content.members, key=natural)
        add: Collection[str] = members if isinstance(change, SetInsert) else ()
        remove: Collection[str] = () if isinstance(change, SetInsert) else members
        if isinstance(change, SetUpdate):
            add, remove = sorted(change.add, key=natural), sorted(change.remove, key=natural)
        what = "new " if isinstance(change, SetInsert) else "" if isinstance(change, SetUpdate) else "deleted "
        meaning = snapshot.owner.identity(content.external_ids)
        yield f"  {what}{content.kind.words} {content.name}{f': {meaning}' if meaning else ''}"
        for sign, names in (("-", remove), ("+", add)):
            if names:
                more = len(names) - MEMBERS_SHOWN
                shown = ", ".join([*names][:MEMBERS_SHOWN]) + (f" and {more} more" if more > 0 else "")
                yield f"    {sign} {_count(len(names), 'member')}: {shown}"


def _count(number: int, noun: str, plural: str = "") -> str:
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
