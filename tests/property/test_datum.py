"""A plain datum against the one of `ovs`: whatever `ovs` asks of a value, both give the same."""

from __future__ import annotations

import uuid
from typing import Any

import ovs.db.data
import ovs.db.error
import ovs.db.types
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovnqos.northbound.datum import PlainDatum, read_datum

UUIDS = st.uuids()
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
        elif len(members) == 1 and draw(st.booleans()):
            jsons.append(members[0])
        else:
            jsons.append(["set", members])
    return ovs.db.types.Type.from_json(type_json), jsons


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

    ours = read_datum(type_, json)

    assert shown(ours) == shown(theirs)
    assert ours == theirs
    assert theirs == ours
    assert all(atom in ours for atom in theirs.values)


@given(types_and_values(values=2))
def test_equality_is_that_of_ovs(case: tuple[Any, list[Any]]) -> None:
    type_, (first, second) = case

    assert (read_datum(type_, first) == read_datum(type_, second)) == (
        ovs.db.data.Datum.from_json(type_, first) == ovs.db.data.Datum.from_json(type_, second)
    )


@given(types_and_values(values=2))
def test_a_difference_is_applied_as_ovs_applies_it_and_leaves_the_old_value(case: tuple[Any, list[Any]]) -> None:
    type_, (json, difference) = case
    expected = ovs.db.data.Datum.from_json(type_, json).diff(ovs.db.data.Datum.from_json(type_, difference))
    before = read_datum(type_, json)
    old = before.copy()

    after = before.diff(read_datum(type_, difference))

    assert shown(after)["values"] == shown(expected)["values"]
    if isinstance(before, PlainDatum):
        assert old == read_datum(type_, json)


@pytest.mark.parametrize("json", [["map", []], ["set"], ["uuid", "x"], {}, None, ["named-uuid", "a"], [], ["x", []]])
def test_what_is_no_value_is_refused(json: Any) -> None:
    type_ = ovs.db.types.Type.from_json({"key": "uuid", "min": 0, "max": "unlimited"})

    with pytest.raises((ovs.db.error.Error, ValueError)):
        read_datum(type_, json)
