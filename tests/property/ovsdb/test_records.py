"""Records against the rows of `ovs`: what a server sends reads and changes alike, and shows `ovs` the same values."""

from __future__ import annotations

import uuid
from typing import Any

import ovs.db.data
import ovs.db.types
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovnqos.ovsdb.ovs_rows import RecordColumns
from ovnqos.ovsdb.records import RecordTable, frozen

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
    table.take("u", {"insert": {"value": json}})
    return table


def shown_to_ovs(table: RecordTable) -> Any:
    return RecordColumns(table, table.records["u"])["value"]


def as_is(value: Any, _base: Any) -> Any:
    return value


def without_one(value: Any, _base: Any) -> Any:
    """Stands for a reference to a row that is not replicated."""
    return None if value == uuid.UUID(int=1) else value


def shown(datum: Any) -> dict[str, str]:
    return {
        "values": repr(sorted((k.value, v and v.value) for k, v in datum.values.items())),
        "to_json": repr(datum.to_json()),
        "to_python": repr(datum.to_python(as_is)),
        "dangling": repr(datum.to_python(without_one)) if not datum.type.is_scalar() else "",
        "as_list": repr(sorted(datum.as_list())),
        "as_scalar": repr(datum.as_scalar()),
        "is_default": repr(bool(datum.is_default())),
        "conforms": repr(datum.conforms_to_type()),
        "string": datum.to_string(),
    }


@given(types_and_values())
def test_a_value_reads_and_shows_as_that_of_ovs(case: tuple[Any, list[Any]]) -> None:
    type_, (json,) = case
    theirs = ovs.db.data.Datum.from_json(type_, json)

    ours = shown_to_ovs(table_of(type_, json))

    assert shown(ours) == shown(theirs)
    assert ours == theirs
    assert theirs == ours
    assert all(atom in ours for atom in theirs.values)


@given(types_and_values(values=2))
def test_equality_is_that_of_ovs(case: tuple[Any, list[Any]]) -> None:
    type_, (first, second) = case

    assert (shown_to_ovs(table_of(type_, first)) == shown_to_ovs(table_of(type_, second))) == (
        ovs.db.data.Datum.from_json(type_, first) == ovs.db.data.Datum.from_json(type_, second)
    )


@given(types_and_values())
def test_a_column_that_the_server_leaves_out_has_the_default_of_ovs(case: tuple[Any, list[Any]]) -> None:
    type_, _ = case
    table = RecordTable("T", {"value": type_})
    table.load({"u": {"initial": {}}})

    # ovsdb-server(7): none in what may be empty, else the atom's; no map of a Northbound must have a member
    atomic = type_.key.type
    atoms = {} if type_.n_min == 0 or type_.is_map() else {ovs.db.data.Atom(atomic, atomic.default): None}
    assert shown_to_ovs(table) == ovs.db.data.Datum(type_, atoms)


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

        change = table.take("u", {"modify": {"value": difference}})

        theirs = theirs.diff(ovs.db.data.Datum.from_json(type_, difference))
        assert shown(shown_to_ovs(table))["values"] == shown(theirs)["values"]
        assert before == copy
        assert change is not None
        if before is not None and "value" in change.moved:
            assert before ^ change.moved["value"] == frozen(table.records["u"], "value")


def test_a_row_that_goes_is_told_as_it_was_and_one_never_seen_is_not() -> None:
    table = table_of(ovs.db.types.Type.from_json("string"), "x")

    change = table.take("u", {"delete": None})

    assert change is not None
    assert (change.event, change.record.value) == ("delete", "x")
    assert table.take("u", {"delete": None}) is None
    assert table.records == {}


@pytest.mark.parametrize("update", [{"modify": {"value": ["set", []]}}, {}, {"initial": {"value": None}}])
def test_what_a_server_would_not_send_is_refused(update: Any) -> None:
    table = RecordTable("T", {"value": ovs.db.types.Type.from_json({"key": "uuid", "min": 0, "max": "unlimited"})})

    with pytest.raises((ValueError, TypeError)):
        table.take("u", update)
