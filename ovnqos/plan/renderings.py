"""A plan as text: a unified diff, a shell script of ovn-nbctl commands, JSON.

The diff can be held against `ovn-nbctl qos-list`, switch by switch. Of the script one command line, and so one
transaction, is a batch; it names present rows, switches and ports by uuid, so it fits the database that was planned
against.
"""

from __future__ import annotations

import json
import re
import shlex
from collections import defaultdict
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

from ovnqos.diagnostics import printable
from ovnqos.plan import render_operations
from ovnqos.plan.changes import RowDelete, RowInsert, RowUpdate, SetDelete, SetInsert, SetUpdate, batches
from ovnqos.plan.snapshot import SetKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from ovnqos.model.owner import Owner
    from ovnqos.plan.changes import Change, MissingReference
    from ovnqos.plan.render_operations import Operation
    from ovnqos.plan.snapshot import RowContent, SetContent, Snapshot


CONTEXT = 3
MEMBERS_SHOWN = 20
_PARTS = re.compile(r"[0-9]+|[^0-9]+")


SortKey = tuple[str, int, str]


class _Line(NamedTuple):
    key: SortKey
    sign: str  # "-" sorts before "+" through ORDER
    text: str


ORDER = {" ": 0, "-": 1, "+": 2}


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


def as_diff(changes: Sequence[Change], snapshot: Snapshot) -> str:
    """The diff; empty for no changes."""
    parts = [*_switches(changes, snapshot), *_sets(changes, snapshot.owner)]
    return "\n".join(map(printable, parts)) + "\n" if parts else ""


def _switches(changes: Sequence[Change], snapshot: Snapshot) -> Iterator[str]:
    changed: dict[str, list[_Line]] = defaultdict(list)
    removed: set[tuple[str, str]] = set()  # switch and uuid of rows that are shown with a minus
    for change in changes:
        for sign, content, switches, uuid in row_lines(change):
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
        lines = sorted(changed[switch] + unchanged[switch], key=lambda one: (one.key, ORDER[one.sign], one.text))
        yield f"--- switch {switch} (is)"
        yield f"+++ switch {switch} (will be)"
        yield from _hunks(lines)


def row_lines(change: Change) -> Iterator[tuple[str, RowContent, Iterable[str], str]]:
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
        ordered = sorted(members, key=natural)
        yield from (f"{sign}  {member}" for member in ordered[:MEMBERS_SHOWN])
        if len(ordered) > MEMBERS_SHOWN:
            yield f"{sign}  … and {len(ordered) - MEMBERS_SHOWN} more"


def natural(member: str) -> tuple[tuple[int, str], ...]:
    """Numbers inside a text sort as numbers: 10.9.0.0 before 10.10.0.0, pod9 before pod10."""
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in _PARTS.findall(member))


COMMAND_LINE_WEIGHT = 800
"""Batches of this weight stay below the 2 MiB that Linux allows for a command line and the environment."""
_MEMBERS_PER_WORD = 500
"""Members in one word of the command line stay below the 128 KiB that Linux allows for it."""


def as_nbctl(changes: Sequence[Change], snapshot: Snapshot, summary: str) -> str:
    """The script; without commands for no changes. Its arguments go to each ovn-nbctl, e.g. `--db=unix:/nb.sock`."""
    lines = [
        "#!/bin/sh",
        f"# ovnqos, owner {snapshot.owner.name}: {summary}",
        "# Arguments are passed on to ovn-nbctl, e.g. --db=unix:/var/run/ovn/ovnnb_db.sock",
        "set -eu",
    ]
    parts = list(batches(changes, snapshot.owner, COMMAND_LINE_WEIGHT))
    for number, batch in enumerate(parts, start=1):
        if len(parts) > 1:
            lines.append(f"# transaction {number} of {len(parts)}")
        lines.append('ovn-nbctl "$@" \\')
        operations = render_operations.render(batch, snapshot)
        commands = [shlex.join(words) for one in operations for words in _commands(one, by_name=snapshot.by_name)]
        lines.extend(f"  -- {command} \\" for command in commands[:-1])
        lines.append(f"  -- {commands[-1]}")
    return "\n".join(lines) + "\n"


def _commands(operation: Operation, *, by_name: bool) -> Iterator[list[str]]:
    op, table = operation["op"], operation["table"]
    if op == "insert":
        row = operation["row"]
        sets = {name: value[1] for name, value in row.items() if isinstance(value, list) and value[0] == "set"}
        handle = [f"--id=@{operation['uuid-name']}"] if "uuid-name" in operation else []
        yield [*handle, "create", table, *_assignments({name: row[name] for name in row if name not in sets})]
        for column, members in sets.items():
            if by_name and table == SetKind.PORT_GROUP:  # the one command that knows ports by name
                yield from [["pg-set-ports", row["name"], *sorted(name for _uuid, name in members)]] if members else []
            else:
                yield from _members(["add", table, row["name"], column], members)
        return
    record = operation["where"][0][2][1]
    if op == "update":
        yield ["set", table, record, *_assignments(operation["row"])]
    elif op == "delete":
        yield ["destroy", table, record]
    elif op == "mutate":
        for column, mutator, (_set, members) in operation["mutations"]:
            yield from _members(["add" if mutator == "insert" else "remove", table, record, column], members)


def _members(command: list[str], members: Iterable[Any]) -> Iterator[list[str]]:
    words = sorted(map(_word, members))
    for start in range(0, len(words), _MEMBERS_PER_WORD):
        yield [*command, ",".join(words[start : start + _MEMBERS_PER_WORD])]


def _assignments(row: Mapping[str, Any]) -> Iterator[str]:
    return (f"{column}={_word(value)}" for column, value in row.items())


def _word(value: Any) -> str:
    """A value, or a member of a set, as ovn-nbctl reads it."""
    match value:
        case ["uuid", uuid]:
            return str(uuid)
        case ["named-uuid", name]:
            return f"@{name}"
        case ["map", pairs]:
            return f"{{{','.join(f'{_word(key)}={_word(content)}' for key, content in sorted(pairs))}}}"
    return json.dumps(value, ensure_ascii=False)


JSON_FORMAT = "ovnqos.io/plan/v2"
_CHANGE_NAMES = {
    RowInsert: "insert-row",
    RowUpdate: "update-row",
    RowDelete: "delete-row",
    SetInsert: "insert-set",
    SetUpdate: "update-set",
    SetDelete: "delete-set",
}


def as_json(changes: Iterable[Change], owner: Owner, missing: Iterable[MissingReference]) -> str:
    """One object: format, owner, changes in order, missing references. Sorted keys, so that equal plans print equal."""
    document = {
        "format": JSON_FORMAT,
        "owner": owner.name,
        "changes": [_change(change) for change in changes],
        "missing": [asdict(one) for one in missing],
    }
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _change(change: Change) -> dict[str, Any]:
    facts: dict[str, Any] = {"change": _CHANGE_NAMES[type(change)]}
    if isinstance(change, RowInsert | RowUpdate | RowDelete):
        facts["id"] = change.identity
    if isinstance(change, RowUpdate):
        facts |= {"columns": list(change.columns), "before": asdict(change.before), "row": asdict(change.after)}
        facts |= {"bind": list(change.bind), "unbind": list(change.unbind)}
    elif isinstance(change, RowInsert | RowDelete):
        facts |= {"row": asdict(change.content), "switches": list(change.switches)}
    else:
        content = change.content
        facts |= {"table": str(content.kind), "name": content.name, "external_ids": dict(content.external_ids)}
        if isinstance(change, SetUpdate):
            facts |= {"add": list(change.add), "remove": list(change.remove)}
        else:
            facts["members"] = sorted(content.members)
    if not isinstance(change, RowInsert | SetInsert):
        facts["uuid"] = change.uuid
    return facts
