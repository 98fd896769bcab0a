"""What a plan prints: the diff is a patch of qos-list, the script and the JSON hold every change."""

from __future__ import annotations

import json
import shlex
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from hypothesis import assume, given, settings

from ovnqos import plan_changes
from ovnqos.plan.changes import RowDelete, RowInsert, RowUpdate, SetDelete, SetInsert
from tests.support import random_states as make
from tests.support.database import ID_KEY, Database, apply
from tests.support.patch import patched
from tests.support.random_clusters import RANDOMS
from tests.support.random_states import OWNER

if TYPE_CHECKING:
    from random import Random

    from ovnqos import Plan
    from ovnqos.plan.changes import Change
    from ovnqos.plan.snapshot import RowContent


def _case(random: Random) -> tuple[Database, Plan]:
    desired = make.desired_state(random)
    earlier = desired if random.random() < 0.3 else make.desired_state(random)
    database = make.database(random, earlier)
    return database, plan_changes(desired, database.snapshot(OWNER))


def _qos_list(database: Database, switch: str) -> list[str]:
    """As ovn-nbctl prints it."""
    rows = [row.content for row in database.rows.values() if switch in row.switches]
    keys = [(row.direction, -row.priority, row.match) for row in rows]
    assume(len(set(keys)) == len(keys))  # ovn-nbctl leaves the order of the others open
    return [_line(row) for _, row in sorted(zip(keys, rows, strict=True), key=lambda pair: pair[0])]


def _line(row: RowContent) -> str:
    text = "%10s %5d (%s)" % (row.direction, row.priority, row.match)  # noqa: UP031 - the format of ovn-nbctl
    for key, value in ((key, row.bandwidth.get(key)) for key in ("rate", "burst")):
        text += f" {key}={value}" if value is not None else ""
    return text + "".join(f" {key}={value}" for key, value in row.action.items())


def _sections(diff: str) -> tuple[dict[str, list[str]], list[str]]:
    """Hunks by switch, and the lines about sets."""
    switches: dict[str, list[str]] = {}
    sets: list[str] = []
    into = sets
    for line in diff.splitlines():
        if line.startswith("--- switch "):
            into = switches.setdefault(line.removeprefix("--- switch ").removesuffix(" (is)"), [])
        elif line.startswith("*** "):
            into = sets
            into.append(line)
        elif not line.startswith("+++ "):
            into.append(line)
    return switches, sets


@settings(max_examples=500)
@given(RANDOMS)
def test_the_diff_is_a_patch_of_qos_list(random: Random) -> None:
    database, plan = _case(random)
    after = apply(plan.changes, database)
    sections, _ = _sections(plan.as_diff())
    assert list(sections) == sorted(sections)
    for switch in database.switches:
        before_lines, after_lines = _qos_list(database, switch), _qos_list(after, switch)
        assert patched(before_lines, sections.get(switch, [])) == after_lines


@settings(max_examples=200)
@given(RANDOMS)
def test_the_diff_names_every_set_that_changes_with_its_members(random: Random) -> None:
    _, plan = _case(random)
    _, lines = _sections(plan.as_diff())
    expected = []
    for change in plan.changes:
        if isinstance(change, RowInsert | RowUpdate | RowDelete):
            continue
        if isinstance(change, SetInsert | SetDelete):
            add = sorted(change.content.members) if isinstance(change, SetInsert) else []
            remove = sorted(change.content.members) if isinstance(change, SetDelete) else []
            note = "new" if isinstance(change, SetInsert) else "deleted"
        else:
            add, remove = list(change.add), list(change.remove)
            note = "external_ids change" if change.relabels else ""
        counts = [note, f"+{len(add)}" if add else "", f"-{len(remove)}" if remove else ""]
        kind = "port group" if change.content.kind == "Port_Group" else "address set"
        meaning = change.content.external_ids.get(ID_KEY, "")
        expected.append(f"*** {kind} {change.content.name} ({', '.join(filter(None, counts))}) {meaning}".rstrip())
        expected += [f"-  {member}" for member in remove] + [f"+  {member}" for member in add]
    assert lines == expected


@settings(max_examples=200)
@given(RANDOMS)
def test_the_json_holds_every_change(random: Random) -> None:
    _, plan = _case(random)
    document = json.loads(plan.as_json())
    assert (document["format"], document["owner"]) == ("ovnqos.io/plan/v2", OWNER.name)
    assert [one["change"] for one in document["changes"]] == [_word(change) for change in plan.changes]
    for said, change in zip(document["changes"], plan.changes, strict=True):
        assert said == {"change": _word(change), **_facts(change)}
    assert document["missing"] == [
        {"kind": one.kind, "name": one.name, "needed_by": one.needed_by, "objects": list(one.objects)}
        for one in plan.missing
    ]


def _word(change: Change) -> str:
    verb, noun = type(change).__name__.removeprefix("Row").removeprefix("Set").lower(), type(change).__name__[:3]
    return f"{verb}-{noun.lower()}"


def _row(content: RowContent) -> dict[str, Any]:
    columns = ("direction", "priority", "match", "action", "bandwidth", "external_ids")
    return {name: getattr(content, name) for name in columns}


def _facts(change: Change) -> dict[str, Any]:
    match change:
        case RowInsert():
            return {"id": change.identity, "row": _row(change.content), "switches": list(change.switches)}
        case RowUpdate():
            return {
                "id": change.identity,
                "uuid": change.uuid,
                "columns": [key for key, value in _row(change.after).items() if value != _row(change.before)[key]],
                "before": _row(change.before),
                "row": _row(change.after),
                "bind": list(change.bind),
                "unbind": list(change.unbind),
            }
        case RowDelete():
            return {
                "id": change.identity,
                "uuid": change.uuid,
                "row": _row(change.content),
                "switches": list(change.switches),
            }
    content = change.content
    facts: dict[str, Any] = {
        "table": str(content.kind),
        "name": content.name,
        "external_ids": dict(content.external_ids),
    }
    if isinstance(change, SetInsert):
        return {**facts, "members": sorted(content.members)}
    if isinstance(change, SetDelete):
        return {**facts, "uuid": change.uuid, "members": sorted(content.members)}
    return {**facts, "uuid": change.uuid, "add": list(change.add), "remove": list(change.remove)}


@settings(max_examples=200)
@given(RANDOMS)
def test_the_script_carries_out_every_change(random: Random) -> None:
    """Read as a shell does: one line of commands, whose words name the columns and records of the changes."""
    _, plan = _case(random)
    lines = plan.as_nbctl().replace(" \\\n", " ").splitlines()
    assert lines[0] == "#!/bin/sh"
    scripted = [line for line in lines if line.startswith("ovn-nbctl ")]
    assert len(scripted) == (1 if plan.changes else 0)
    commands = (
        [part.split("\0") for part in "\0".join(shlex.split(scripted[0])).split("\0--\0")][1:] if scripted else []
    )
    expected: list[list[str]] = []
    bindings: dict[str, dict[str, list[str]]] = defaultdict(lambda: {"remove": [], "add": []})
    for number, change in enumerate(plan.changes):
        expected += _commands(change, f"@row{number}", bindings)
    for switch, verbs in sorted(bindings.items()):
        record = ["Logical_Switch", f"uuid-of-switch-{switch}", "qos_rules"]
        expected += [[verb, *record, ",".join(sorted(rows))] for verb, rows in verbs.items() if rows]
    assert commands == expected


def _commands(change: Change, handle: str, bindings: dict[str, dict[str, list[str]]]) -> list[list[str]]:
    def quoted(pairs: dict[str, Any]) -> str:
        words = (f"{json.dumps(k)}={json.dumps(v) if isinstance(v, str) else v}" for k, v in sorted(pairs.items()))
        return "{" + ",".join(words) + "}"

    def columns(content: RowContent, names: list[str]) -> list[str]:
        values = {**_row(content), "priority": content.priority}
        return [
            f"{name}={quoted(dict(values[name])) if isinstance(values[name], dict) else json.dumps(values[name])}"
            for name in names
        ]

    def bound(verb: str, names: tuple[str, ...], record: str) -> None:
        for name in names:
            bindings[name][verb].append(record)

    every = ["direction", "priority", "match", "action", "bandwidth", "external_ids"]
    match change:
        case RowInsert():
            bound("add", change.switches, handle)
            return [[f"--id={handle}", "create", "QoS", *columns(change.content, every)]]
        case RowUpdate():
            names = [name for name in every if getattr(change.before, name) != getattr(change.after, name)]
            bound("add", change.bind, change.uuid)
            bound("remove", change.unbind, change.uuid)
            return [["set", "QoS", change.uuid, *columns(change.after, names)]] if names else []
        case RowDelete():
            bound("remove", change.switches, change.uuid)
            return []
        case SetDelete():
            return [["destroy", str(change.content.kind), change.uuid]]
    content = change.content
    table, ids = str(content.kind), f"external_ids={quoted(dict(content.external_ids))}"
    ports = table == "Port_Group"
    column = "ports" if ports else "addresses"

    def members(verb: str, record: str, names: list[str]) -> list[list[str]]:
        words = [f"uuid-of-port-{name}" if ports else json.dumps(name) for name in names]
        return [[verb, table, record, column, ",".join(sorted(words))]] if words else []

    if isinstance(change, SetInsert):
        return [
            ["create", table, f"name={json.dumps(content.name)}", ids],
            *members("add", content.name, sorted(content.members)),
        ]
    relabel = [["set", table, change.uuid, ids]] if change.relabels else []
    return relabel + members("remove", change.uuid, list(change.remove)) + members("add", change.uuid, list(change.add))
