"""A plan's operations, carried out as RFC 7047 says, do what its changes say, or nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given

from ovnqos import plan_changes
from ovnqos.plan.changes import RowDelete, RowUpdate, SetDelete, SetUpdate
from ovnqos.plan.render_operations import render
from ovnqos.plan.snapshot import ROW_COLUMNS
from tests.support import random_states as make
from tests.support.database import Database, apply
from tests.support.ovsdb_interpreter import Aborted, Tables
from tests.support.random_clusters import RANDOMS
from tests.support.random_states import OWNER

if TYPE_CHECKING:
    from random import Random

    from ovnqos import Plan


def contents(database: Database) -> tuple[Any, ...]:
    """What a database holds, without the uuids of new rows."""
    rows: Counter[str] = Counter()
    for uuid, one in database.rows.items():
        columns = {name: getattr(one.content, name) for name in ROW_COLUMNS}
        shown = {name: sorted(value.items()) if isinstance(value, dict) else value for name, value in columns.items()}
        rows[repr((uuid.startswith("new-") or uuid, shown, sorted(one.switches)))] += 1
    sets = {
        (one.content.kind, one.content.name): (uuid.startswith("new-") or uuid, one.content)
        for uuid, one in database.sets.items()
    }
    return rows, sets, database.switches, database.ports


def case(random: Random) -> tuple[Database, Plan]:
    desired = make.desired_state(random)
    database = make.database(random, desired if random.random() < 0.5 else make.desired_state(random))
    return database, plan_changes(desired, database.snapshot(OWNER))


@given(RANDOMS)
def test_operations_lead_where_the_changes_lead(random: Random) -> None:
    database, plan = case(random)
    tables = Tables.of(database)

    tables.transact(render(plan.changes, plan.snapshot))

    assert contents(tables.database()) == contents(apply(plan.changes, database))


@given(RANDOMS)
def test_the_transactions_of_a_plan_lead_there_one_after_the_other(random: Random) -> None:
    database, plan = case(random)
    tables = Tables.of(database)

    batches = list(plan.operations(transaction_weight=2))
    for operations in batches:
        tables.transact(operations)

    assert contents(tables.database()) == contents(apply(plan.changes, database))
    assert bool(batches) == bool(plan.changes)


@given(RANDOMS)
def test_a_row_or_set_that_is_not_as_it_was_planned_for_stops_everything(random: Random) -> None:
    database, plan = case(random)
    operations = render(plan.changes, plan.snapshot)
    for change in plan.changes:
        if not isinstance(change, RowUpdate | RowDelete | SetUpdate | SetDelete):
            continue
        tables = Tables.of(database)
        table = "QoS" if isinstance(change, RowUpdate | RowDelete) else str(change.content.kind)
        row = tables.rows[table][change.uuid]
        if isinstance(change, RowUpdate) and random.random() < 0.5:
            row["bandwidth"] = {"rate": 999_999}
        else:
            row["external_ids"] = {**row["external_ids"], "ovnqos.io/owner": "another"}
        with pytest.raises(Aborted):
            tables.transact(operations)


@given(RANDOMS)
def test_a_switch_that_is_gone_or_renamed_stops_everything(random: Random) -> None:
    database, plan = case(random)
    operations = render(plan.changes, plan.snapshot)
    bound = {name for change in plan.changes for name in getattr(change, "bind", ())}
    bound |= {
        name for change in plan.changes if not hasattr(change, "uuid") for name in getattr(change, "switches", ())
    }
    for name in bound:
        tables = Tables.of(replace(database))
        tables.rows["Logical_Switch"][f"uuid-of-switch-{name}"]["name"] = "renamed"
        with pytest.raises(Aborted):
            tables.transact(operations)
