"""Plans, carried out by a Northbound in memory: they end at what is desired, and touch nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given, settings

from ovnqos import Plan, plan_changes
from ovnqos.plan.changes import RowDelete, RowInsert, RowUpdate, SetDelete, SetInsert, SetUpdate, batches
from tests.support import random_states as make
from tests.support.database import ID_KEY, OBJECT_KEY, Database, apply, owns, references, stored
from tests.support.random_clusters import RANDOMS
from tests.support.random_states import OBJECTS, OWNER, THERE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

    from ovnqos import DesiredState
    from ovnqos.controller import ActualRow
    from ovnqos.plan.changes import Change
    from ovnqos.plan.snapshot import SetKind

ROW_CHANGES = (RowInsert, RowUpdate, RowDelete)


def _case(random: Random, *, retained: bool = False) -> tuple[DesiredState, Database, Plan]:
    desired = make.desired_state(random, retained=retained)
    earlier = desired if random.random() < 0.5 else make.desired_state(random)
    database = make.database(random, earlier)
    return desired, database, plan_changes(desired, database.snapshot(OWNER))


def _comparable(rows: Iterable[ActualRow]) -> list[str]:
    """Rows without uuids, in order."""
    return sorted(
        repr(
            (
                sorted(row.switches),
                row.content.direction,
                row.content.priority,
                row.content.match,
                sorted(row.content.action.items()),
                sorted(row.content.bandwidth.items()),
                sorted(row.content.external_ids.items()),
            )
        )
        for row in rows
    )


def _ours(database: Database) -> list[ActualRow]:
    return [row for row in database.rows.values() if owns(OWNER, row.content.external_ids)]


def _foreign(database: Database) -> dict[str, ActualRow]:
    return {uuid: row for uuid, row in database.rows.items() if not owns(OWNER, row.content.external_ids)}


def _our_sets(database: Database) -> dict[tuple[SetKind, str], tuple[frozenset[str], dict[str, str]]]:
    return {
        (one.content.kind, one.content.name): (one.content.members, dict(one.content.external_ids))
        for one in database.sets.values()
        if owns(OWNER, one.content.external_ids)
    }


@settings(max_examples=1_000)
@given(RANDOMS)
def test_applying_a_plan_ends_at_what_is_desired(random: Random) -> None:
    desired, database, plan = _case(random)
    after, wanted = apply(plan.changes, database), stored(desired, OWNER, *THERE)
    assert _comparable(_ours(after)) == _comparable(wanted.rows.values())
    assert _our_sets(after) == _our_sets(wanted)
    again = plan_changes(desired, after.snapshot(OWNER))
    assert again.is_empty
    assert again.missing == plan.missing


@settings(max_examples=300)
@given(RANDOMS)
def test_a_state_that_is_as_desired_needs_no_change(random: Random) -> None:
    desired = make.desired_state(random)
    plan = plan_changes(desired, stored(desired, OWNER, *THERE).snapshot(OWNER))
    assert plan.is_empty
    assert (plan.as_diff(), plan.summary()) == ("", "no changes")


@settings(max_examples=300)
@given(RANDOMS)
def test_rows_and_sets_of_others_are_in_no_change(random: Random) -> None:
    _, database, plan = _case(random, retained=random.random() < 0.5)
    after = apply(plan.changes, database)
    assert _foreign(after) == _foreign(database)
    touched = {change.uuid for change in plan.changes if not isinstance(change, RowInsert | SetInsert)}
    assert not touched & _foreign(database).keys()
    assert after.sets["fs"] == database.sets["fs"]


@settings(max_examples=500)
@given(RANDOMS)
def test_a_row_that_is_as_desired_is_not_touched_and_others_change_in_place(random: Random) -> None:
    desired, database, plan = _case(random)
    after, wanted = apply(plan.changes, database), stored(desired, OWNER, *THERE)
    for row in wanted.rows.values():
        identity = row.content.external_ids[ID_KEY]
        candidates = [one for one in _ours(database) if one.content.external_ids.get(ID_KEY) == identity]
        (kept,) = (one for one in _ours(after) if one.content.external_ids[ID_KEY] == identity)
        if candidates:
            assert kept.uuid in {one.uuid for one in candidates}
        same = {one.uuid for one in candidates if one.content == row.content}
        if same:  # of duplicates one stays that need not be rewritten, since its meter would start afresh
            assert kept.uuid in same
        exact = {one.uuid for one in candidates if (one.content, one.switches) == (row.content, row.switches)}
        if exact:
            assert kept.uuid in exact
            assert not any(isinstance(one, RowUpdate) and one.uuid == kept.uuid for one in plan.changes)


@settings(max_examples=500)
@given(RANDOMS)
def test_retained_objects_keep_their_rows_and_the_sets_that_these_use(random: Random) -> None:
    desired, database, plan = _case(random, retained=True)
    after = apply(plan.changes, database)
    kept = {
        uuid: row
        for uuid, row in database.rows.items()
        if owns(OWNER, row.content.external_ids)
        and row.content.external_ids.get(OBJECT_KEY) == OBJECTS[0]
        and row.content.external_ids.get(ID_KEY) not in desired.rows
    }
    assert {uuid: after.rows.get(uuid) for uuid in kept} == kept
    before, then = _our_sets(database), _our_sets(after)
    for row in kept.values():
        for key in references(row.content.match.replace('"$no @no"', "")) & before.keys():
            assert key in then
    wanted = stored(desired, OWNER, *THERE)
    others = [row for uuid, row in after.rows.items() if owns(OWNER, row.content.external_ids) and uuid not in kept]
    assert _comparable(others) == _comparable(wanted.rows.values())


@settings(max_examples=300)
@given(RANDOMS)
def test_what_is_missing_waits_and_is_named(random: Random) -> None:
    desired, _, plan = _case(random)
    assert {(one.kind, one.name, one.needed_by) for one in plan.missing} == {
        *(("logical switch", "later", key) for key, row in desired.rows.items() if "later" in row.switches),
        *(
            ("logical switch port", "p-later", name)
            for name, group in desired.port_groups.items()
            if "p-later" in group.ports
        ),
    }
    everything = replace(make.database(random, desired), switches=frozenset(make.SWITCHES), ports=frozenset(make.PORTS))
    assert not plan_changes(desired, everything.snapshot(OWNER)).missing


@settings(max_examples=200)
@given(RANDOMS)
def test_the_order_of_the_arguments_parts_does_not_matter(random: Random) -> None:
    desired, database, plan = _case(random, retained=random.random() < 0.5)
    rows, sets = list(desired.rows.items()), list(desired.address_sets.items())
    random.shuffle(rows)
    random.shuffle(sets)
    turned = replace(desired, rows=dict(rows), address_sets=dict(sets))
    stored_rows, stored_sets = list(database.rows.items()), list(database.sets.items())
    random.shuffle(stored_rows)
    random.shuffle(stored_sets)
    other = replace(database, rows=dict(stored_rows), sets=dict(stored_sets))
    again = plan_changes(turned, other.snapshot(OWNER))
    assert again.changes == plan.changes
    assert again.missing == plan.missing
    assert (again.as_diff(), again.as_nbctl(), again.as_json()) == (plan.as_diff(), plan.as_nbctl(), plan.as_json())


def _object(change: RowInsert | RowUpdate | RowDelete) -> str:
    content = change.after if isinstance(change, RowUpdate) else change.content
    return content.external_ids.get(OBJECT_KEY) or change.identity


def _needed(change: Change) -> set[tuple[SetKind, str]]:
    if isinstance(change, RowInsert | RowUpdate):
        content = change.content if isinstance(change, RowInsert) else change.after
        return references(content.match.replace('"$no @no"', ""))
    return set()


@settings(max_examples=500)
@given(RANDOMS)
def test_batches_hold_every_change_once_and_part_no_object(random: Random) -> None:
    _, database, plan = _case(random)
    weight = random.randint(1, 12)
    parts = list(batches(plan.changes, OWNER, weight))
    assert sorted(map(repr, plan.changes)) == sorted(repr(one) for part in parts for one in part)
    assert all(parts)
    place: dict[str, int] = {}
    for number, part in enumerate(parts):
        for change in part:
            if isinstance(change, ROW_CHANGES):
                assert place.setdefault(_object(change), number) == number
    after = database
    for part in parts:
        after = apply(part, after)
    assert _comparable(_ours(after)) == _comparable(_ours(apply(plan.changes, database)))
    assert _our_sets(after) == _our_sets(apply(plan.changes, database))


@settings(max_examples=500)
@given(RANDOMS)
def test_after_each_batch_the_rows_find_the_sets_they_use(random: Random) -> None:
    _, _, plan = _case(random)
    everything = [one for part in batches(plan.changes, OWNER, random.randint(1, 6)) for one in part]
    made_later: set[tuple[SetKind, str]] = {
        (one.content.kind, one.content.name) for one in everything if isinstance(one, SetInsert)
    }
    deleted: set[tuple[SetKind, str]] = set()
    for change in everything:
        if isinstance(change, SetInsert):
            made_later.discard((change.content.kind, change.content.name))
        if isinstance(change, SetDelete):
            deleted.add((change.content.kind, change.content.name))
        assert not _needed(change) & (made_later | deleted)
        if isinstance(change, ROW_CHANGES):
            assert not deleted, "sets go last, when no row uses them any more"


@settings(max_examples=200)
@given(RANDOMS)
def test_updates_of_members_come_with_or_before_the_rows_that_need_them(random: Random) -> None:
    _, _, plan = _case(random)
    seen: set[tuple[SetKind, str]] = set()
    everything = [one for part in batches(plan.changes, OWNER, random.randint(1, 6)) for one in part]
    later = {(one.content.kind, one.content.name) for one in everything if isinstance(one, SetUpdate)}
    for change in everything:
        if isinstance(change, SetUpdate):
            seen.add((change.content.kind, change.content.name))
        assert not _needed(change) & (later - seen)
