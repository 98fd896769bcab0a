"""A live view follows what a server tells: it finds what is there, and tells of all that is not as it was meant."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import assume, given, settings

from ovnqos import DesiredState, Snapshot, plan_changes
from ovnqos.controller import DatabaseChange, Delta
from ovnqos.northbound.live_view import LiveView
from ovnqos.northbound.replica_reader import take_snapshot
from ovnqos.plan.changes import SetUpdate
from tests.support import monitor
from tests.support import random_states as make
from tests.support.database import ID_KEY, Database, apply, owns
from tests.support.random_clusters import RANDOMS
from tests.support.random_states import OWNER, SETS, THERE

if TYPE_CHECKING:
    from random import Random

    from ovnqos.ovsdb.replica import RecordTable
    from ovnqos.plan.changes import Change
    from ovnqos.plan.snapshot import RowContent, SetContent, SetKind


class Replica:
    """A view over the records of a database in memory; `told` is what it told, merged."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.told = DatabaseChange()
        self.view = LiveView(OWNER, self.told.merge)
        self.tables: dict[str, RecordTable] = monitor.empty_tables()
        self.read_all()

    def read_all(self) -> None:
        for table, rows in monitor.contents(self.database).items():
            self.tables[table].records.clear()
            self.tables[table].load(rows)
        self.view.replaced(self.tables)

    def hear(self, after: Database, random: Random) -> None:
        updates = monitor.changes(self.database, after, random)
        self.database = after
        heard = [change for table, rows in updates.items() for change in self.tables[table].apply_all(rows)]
        self.view.changed(self.tables, heard)


def _case(random: Random) -> tuple[DesiredState, Database, tuple[Change, ...]]:
    desired = make.desired_state(random)
    database = make.database(random, desired if random.random() < 0.5 else make.desired_state(random))
    return desired, database, plan_changes(desired, database.snapshot(OWNER)).changes


def _rows(database: Database) -> dict[str, list[tuple[RowContent, frozenset[str]]]]:
    found: dict[str, list[tuple[RowContent, frozenset[str]]]] = {}
    for _, row in sorted(database.rows.items()):
        if owns(OWNER, row.content.external_ids):
            identity = row.content.external_ids.get(ID_KEY, "")
            found.setdefault(identity, []).append((row.content, row.switches))
    return found


def _sets(database: Database) -> dict[tuple[SetKind, str], SetContent]:
    return {
        (one.content.kind, one.content.name): one.content
        for one in database.sets.values()
        if owns(OWNER, one.content.external_ids)
    }


def _differing(before: Database, after: Database) -> tuple[set[str], set[str]]:
    """Identities of rows, and names of sets, of ours that are not the same in both."""
    old_rows, new_rows, old_sets, new_sets = _rows(before), _rows(after), _sets(before), _sets(after)
    rows = {one for one in old_rows.keys() | new_rows.keys() if old_rows.get(one) != new_rows.get(one)}
    sets = {
        name for key in old_sets.keys() | new_sets.keys() if old_sets.get(key) != new_sets.get(key) for name in key[1:]
    }
    return rows, sets


def _everything(desired: DesiredState) -> Delta:
    identities = {*desired.rows, *(f"id{number}" for number in range(7)), ""}
    names = dict.fromkeys([*SETS, "others_fs"])
    return Delta(rows=frozenset(identities), sets=names, desired=desired, policies=frozenset())


def _without_foreign_rows(snapshot: Snapshot) -> Snapshot:
    return replace(snapshot, foreign_rows=(), switches={}, ports={})


@given(RANDOMS)
def test_what_differs_is_told_and_nothing_else(random: Random) -> None:
    _desired, database, changes = _case(random)
    replica = Replica(database)
    after = make.meddle(random, apply(changes, database), 9)

    replica.hear(after, random)

    rows, sets = _differing(database, after)
    assert replica.told.rows == rows
    assert replica.told.sets.keys() == sets


@given(RANDOMS)
def test_members_told_are_those_that_came_or_went(random: Random) -> None:
    _desired, database, changes = _case(random)
    replica = Replica(database)

    replica.hear(apply(changes, database), random)

    old, new = _sets(database), _sets(replica.database)
    for name, members in replica.told.sets.items():
        kinds = [kind for kind, other in old.keys() | new.keys() if other == name]
        if members is not None and len(kinds) == 1:
            assert members == old[kinds[0], name].members ^ new[kinds[0], name].members


@given(RANDOMS)
def test_a_view_that_followed_finds_what_one_that_read_anew_finds(random: Random) -> None:
    desired, database, changes = _case(random)
    replica = Replica(database)
    for number in range(3):
        replica.hear(make.meddle(random, replica.database, number), random)
    if random.random() < 0.5:
        changes = plan_changes(desired, replica.database.snapshot(OWNER)).changes
        replica.hear(apply(changes, replica.database), random)
    delta = _everything(desired)

    found = replica.view.part(delta, replica.tables)

    assert found == Replica(replica.database).view.part(delta, replica.tables)
    expected = replica.database.snapshot(OWNER)
    assert _without_foreign_rows(found) == _without_foreign_rows(expected)
    assert take_snapshot(replica.tables, OWNER) == expected


@settings(max_examples=300)
@given(RANDOMS)
def test_what_is_as_it_was_meant_is_not_told(random: Random) -> None:
    _desired, database, changes = _case(random)
    replica = Replica(database)
    replica.view.expect(changes, replica.tables)
    after = apply(changes, database)

    replica.hear(after, random)
    replica.view.end_transaction(committed=True)

    assert replica.told.rows == set()
    # what got other external_ids, or has a name twice, is looked at once more
    relabelled = {change.content.name for change in changes if isinstance(change, SetUpdate) and change.relabels}
    assert replica.told.sets.keys() <= relabelled | _names_of_both_kinds(database, after)


def _names_of_both_kinds(*databases: Database) -> set[str]:
    keys = {(one.content.kind, one.content.name) for database in databases for one in database.sets.values()}
    return {name for _, name in keys if sum(other == name for _, other in keys) > 1}


@settings(max_examples=300)
@given(RANDOMS)
def test_what_somebody_does_meanwhile_is_told(random: Random) -> None:
    _desired, database, changes = _case(random)
    replica = Replica(database)
    replica.view.expect(changes, replica.tables)
    meant = apply(changes, database)
    after = make.meddle(random, meant, 9)

    replica.hear(after, random)
    replica.view.end_transaction(committed=True)

    rows, sets = _differing(meant, after)
    assert replica.told.rows >= rows
    assert replica.told.sets.keys() >= sets


@settings(max_examples=300)
@given(RANDOMS)
def test_a_set_that_was_changed_in_part_only_is_told(random: Random) -> None:
    _desired, database, changes = _case(random)
    updates = [one for one in changes if isinstance(one, SetUpdate) and len(one.add) + len(one.remove) > 1]
    assume(updates)
    change = random.choice(updates)
    replica = Replica(database)
    replica.view.expect(changes, replica.tables)

    replica.hear(_but_for_one_thing(random, change, apply(changes, database)), random)
    replica.view.end_transaction(committed=True)

    assert change.content.name in replica.told.sets


def _but_for_one_thing(random: Random, change: SetUpdate, meant: Database) -> Database:
    """A member, or the external_ids, of a set that is changed stayed as before."""
    stored = meant.sets[change.uuid]
    undone = random.choice([*change.add, *change.remove, *([""] if change.relabels else [])])
    if undone:
        content = replace(stored.content, members=stored.content.members ^ {undone})
    else:
        content = replace(stored.content, external_ids=change.external_ids_before)
    return replace(meant, sets={**meant.sets, change.uuid: replace(stored, content=content)})


@given(RANDOMS)
def test_after_a_reconnect_everything_of_ours_is_told(random: Random) -> None:
    _desired, database, _changes = _case(random)
    replica = Replica(database)

    replica.read_all()

    assert replica.told.rows == _rows(database).keys()
    assert replica.told.sets == {name: None for _, name in _sets(database)}
    assert replica.told.switches == set(THERE[0])
    assert replica.told.ports == set(THERE[1])


def _with_marks(random: Random, database: Database) -> Database:
    """The same, where some foreign rows set the mark of packets, and others no longer do."""
    rows = dict(database.rows)
    for uuid, row in rows.items():
        if not owns(OWNER, row.content.external_ids) and random.random() < 0.5:
            action = random.choice(({"mark": 42}, {"mark": 7}, {"dscp": 9}))
            rows[uuid] = replace(row, content=replace(row.content, action=action))
    return replace(database, rows=rows)


def _marks(database: Database) -> dict[str, set[tuple[str, str, int]]]:
    """By switch, the foreign rows that set marks."""
    found: dict[str, set[tuple[str, str, int]]] = {}
    for uuid, row in database.rows.items():
        if "mark" in row.content.action and not owns(OWNER, row.content.external_ids):
            for switch in row.switches:
                found.setdefault(switch, set()).add((uuid, row.content.match, row.content.action["mark"]))
    return found


@given(RANDOMS)
def test_rows_beside_foreign_marks_that_came_changed_or_went_are_told_and_part_has_the_marks(random: Random) -> None:
    desired, database, _changes = _case(random)
    before = _with_marks(random, database)
    replica = Replica(before)
    for _ in range(3):
        replica.hear(_with_marks(random, make.meddle(random, replica.database, 2)), random)

    old, new = _marks(before), _marks(replica.database)
    changed = {switch for switch in old.keys() | new.keys() if old.get(switch) != new.get(switch)}
    beside = {
        row.content.external_ids.get(ID_KEY, "")
        for row in replica.database.rows.values()
        if owns(OWNER, row.content.external_ids) and row.switches & changed
    }
    assert beside <= replica.told.beside_marks | replica.told.rows
    found = replica.view.part(_everything(desired), replica.tables)
    assert found == Replica(replica.database).view.part(_everything(desired), replica.tables)
    needed = {switch for row in desired.rows.values() for switch in row.switches}
    assert {row.uuid for row in found.foreign_rows} == {
        uuid for switch in needed for uuid, _match, _mark in new.get(switch, ())
    }
