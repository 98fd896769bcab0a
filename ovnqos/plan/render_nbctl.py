"""A plan as a shell script of ovn-nbctl commands: one command line, and so one transaction, a batch.

The script names present rows, switches and ports by uuid, so it fits the database that was planned against.
"""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

from ovnqos.plan.batches import batches
from ovnqos.plan.changes import RowDelete, RowInsert, RowUpdate, SetDelete, SetInsert
from ovnqos.plan.snapshot import ROW_COLUMNS, SetKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ovnqos.plan.changes import Change
    from ovnqos.plan.snapshot import RowContent, SetContent, Snapshot

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
        commands = list(_commands(batch, snapshot))
        lines.extend(f"  -- {command} \\" for command in commands[:-1])
        lines.append(f"  -- {commands[-1]}")
    return "\n".join(lines) + "\n"


def _commands(batch: Sequence[Change], snapshot: Snapshot) -> Iterator[str]:
    for number, change in enumerate(batch):
        yield from (_join(words) for words in _change(change, f"@row{number}", snapshot))


def _join(words: Iterable[str]) -> str:
    return " ".join(map(shlex.quote, words))


def _change(change: Change, handle: str, snapshot: Snapshot) -> Iterator[Sequence[str]]:
    if isinstance(change, RowInsert):
        yield [f"--id={handle}", "create", "QoS", *(_assign(change.content, name) for name in ROW_COLUMNS)]
        yield from (["add", "Logical_Switch", snapshot.switches[name], "qos_rules", handle] for name in change.switches)
    elif isinstance(change, RowUpdate):
        if change.columns:
            yield ["set", "QoS", change.uuid, *(_assign(change.after, name) for name in change.columns)]
        yield from _bind("add", change.bind, change.uuid, snapshot)
        yield from _bind("remove", change.unbind, change.uuid, snapshot)
    elif isinstance(change, RowDelete):
        yield from _bind("remove", change.switches, change.uuid, snapshot)
    elif isinstance(change, SetInsert):
        content = change.content
        names = _map(content.external_ids)
        yield ["create", str(content.kind), f"name={content.name}", f"external_ids={names}"]
        yield from _members("add", content, content.name, sorted(content.members), snapshot)
    elif isinstance(change, SetDelete):
        yield ["destroy", str(change.content.kind), change.uuid]
    else:
        if change.relabels:
            names = _map(change.content.external_ids)
            yield ["set", str(change.content.kind), change.uuid, f"external_ids={names}"]
        yield from _members("add", change.content, change.uuid, change.add, snapshot)
        yield from _members("remove", change.content, change.uuid, change.remove, snapshot)


def _bind(verb: str, switches: Iterable[str], row: str, snapshot: Snapshot) -> Iterator[Sequence[str]]:
    yield from ([verb, "Logical_Switch", snapshot.switches[name], "qos_rules", row] for name in switches)


def _members(
    verb: str, content: SetContent, record: str, members: Sequence[str], snapshot: Snapshot
) -> Iterator[Sequence[str]]:
    if content.kind is SetKind.PORT_GROUP and snapshot.by_name:
        if members:
            yield ["pg-set-ports", record, *members]  # the one command that knows ports by name
        return
    for start in range(0, len(members), _MEMBERS_PER_WORD):
        some = members[start : start + _MEMBERS_PER_WORD]
        words = [snapshot.ports[name] for name in some] if content.kind is SetKind.PORT_GROUP else map(_quoted, some)
        yield [verb, str(content.kind), record, content.kind.column, ",".join(words)]


def _assign(content: RowContent, column: str) -> str:
    value = getattr(content, column)
    if isinstance(value, int):
        return f"{column}={value}"
    return f"{column}={_quoted(value) if isinstance(value, str) else _map(value)}"


def _map(pairs: Mapping[str, str] | Mapping[str, int]) -> str:
    words = (
        f"{_quoted(key)}={_quoted(value) if isinstance(value, str) else value}" for key, value in sorted(pairs.items())
    )
    return f"{{{','.join(words)}}}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
