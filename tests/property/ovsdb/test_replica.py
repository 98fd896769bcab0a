"""Records against the values of `ovs`: what a server sends reads and changes alike."""

from __future__ import annotations

import uuid
from typing import Any

import ovs.db.data
import ovs.db.types
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovnqos.ovsdb.replica import RecordTable, frozen

ATOMS: dict[str, st.SearchStrategy[Any]] = {
    "string": st.text("abc\u00e9", max_size=2),
    "integer": st.integers(-3, 3),
    "boolean": st.booleans(),
    "real": st.sampled_from([0.5, 1.5, -2.25]),
    "uuid": st.sampled_from([["uuid", str(uuid.UUID(int=number))] for number in range(4)]),
}


@st.composite
def types_and_values(draw: st.DrawFn, values: int = 1) -> tuple[Any, list[Any]]:
    """A column's type, and some values of it as JSON."""
    key = draw(st.sampled_from(sorted(ATOMS)))
    value = draw(st.sampled_from([None, None, *sorted(ATOMS)]))
    low, high = draw(st.sampled_from([(1, 1), (0, 1), (0, "unlimited"), (1, "unlimited")]))
    type_json: dict[str, Any] = {"key": key, "min": low, "max": high}
    if value:
        type_json["value"] = value
    at_most = 1 if high == 1 else 4
    jsons = []
    for _ in range(values):
        members = draw(st.lists(ATOMS[key], min_size=low, max_size=at_most, unique_by=str))
        if value:
            jsons.append(["map", [[member, draw(ATOMS[value])] for member in members]])
        elif len(members) == 1 and (low == high == 1 or draw(st.booleans())):
            jsons.append(members[0])
        else:
            jsons.append(["set", members])
    return ovs.db.types.Type.from_json(type_json), jsons


def table_of(type_: Any, json: Any) -> RecordTable:
    """A table with one row that has this value."""
    table = RecordTable("T", {"value": type_})
    table.apply("u", {"insert": {"value": json}})
    return table


def plain(datum: Any) -> Any:
    """A value of `ovs` as a record has it."""

    def atom(value: Any) -> Any:
        return str(value) if isinstance(value, uuid.UUID) else value

    values = {atom(key.value): value and atom(value.value) for key, value in datum.values.items()}
    if datum.type.is_map():
        return values
    return next(iter(values)) if datum.type.is_scalar() else set(values)


@given(types_and_values())
def test_a_value_reads_as_that_of_ovs(case: tuple[Any, list[Any]]) -> None:
    type_, (json,) = case

    assert table_of(type_, json).records["u"].value == plain(ovs.db.data.Datum.from_json(type_, json))


@given(types_and_values())
def test_a_column_that_the_server_leaves_out_has_the_default_of_ovs(case: tuple[Any, list[Any]]) -> None:
    type_, _ = case
    table = RecordTable("T", {"value": type_})
    table.load({"u": {"initial": {}}})

    # ovsdb-server(7): none in what may be empty, else the atom's; no map of a Northbound must have a member
    atomic = type_.key.type
    atoms = {} if type_.n_min == 0 or type_.is_map() else {ovs.db.data.Atom(atomic, atomic.default): None}
    assert table.records["u"].value == plain(ovs.db.data.Datum(type_, atoms))


@given(types_and_values(values=4), st.lists(st.booleans(), min_size=3, max_size=3))
def test_differences_are_applied_as_ovs_applies_them_and_what_was_kept_stays(
    case: tuple[Any, list[Any]], keep: list[bool]
) -> None:
    type_, (json, *differences) = case
    table = table_of(type_, json)
    theirs = ovs.db.data.Datum.from_json(type_, json)
    is_set = not type_.is_map() and not type_.is_scalar()
    for difference, kept in zip(differences, keep, strict=True):
        before = frozen(table.records["u"], "value") if is_set and kept else None
        copy = None if before is None else set(before)

        change = table.apply("u", {"modify": {"value": difference}})

        theirs = theirs.diff(ovs.db.data.Datum.from_json(type_, difference))
        assert table.records["u"].value == plain(theirs)
        assert before == copy
        assert change is not None
        if before is not None and "value" in change.moved:
            assert before ^ change.moved["value"] == frozen(table.records["u"], "value")


def test_a_row_that_goes_is_told_as_it_was_and_one_never_seen_is_not() -> None:
    table = table_of(ovs.db.types.Type.from_json("string"), "x")

    change = table.apply("u", {"delete": None})

    assert change is not None
    assert (change.event, change.record.value) == ("delete", "x")
    assert table.apply("u", {"delete": None}) is None
    assert table.records == {}


@pytest.mark.parametrize("update", [{"modify": {"value": ["set", []]}}, {}, {"initial": {"value": None}}])
def test_what_a_server_would_not_send_is_refused(update: Any) -> None:
    table = RecordTable("T", {"value": ovs.db.types.Type.from_json({"key": "uuid", "min": 0, "max": "unlimited"})})

    with pytest.raises((ValueError, TypeError)):
        table.apply("u", update)
