"""A plan as a shell script of ovn-nbctl commands: one command line, and so one transaction, a batch.

The script names present rows, switches and ports by uuid, so it fits the database that was planned against.
"""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

from ovnqos.plan import render_operations
from ovnqos.plan.render_operations import batches
from ovnqos.plan.snapshot import SetKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ovnqos.plan.changes import Change
    from ovnqos.plan.render_operations import Operation
    from ovnqos.plan.snapshot import Snapshot

COMMAND_LINE_WEIGHT = 800
"""Batches of this weight stay below the 2 MiB that Linux allows for a command line and the environment."""
_MEMBERS_PER_WORD = 500
"""Members in one word of the command line stay below the 128 KiB that Linux allows for it."""


def render(changes: Sequence[Change], snapshot: Snapshot, summary: str) -> str:
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
