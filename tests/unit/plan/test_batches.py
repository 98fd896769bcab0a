"""A large plan cut into transactions."""

from __future__ import annotations

from ovnqos import AddressSet, DesiredState, PortGroup, QosRow, plan_changes
from ovnqos import match as m
from ovnqos.plan.changes import Change, RowInsert, SetDelete, SetInsert, batches
from tests.support.database import Database, stored
from tests.support.random_states import OWNER
from tests.support.rows import qos_row

EMPTY = Database(rows={}, sets={}, switches=frozenset(("lan",)), ports=frozenset())


def _changes(desired: DesiredState, database: Database = EMPTY) -> tuple[Change, ...]:
    return plan_changes(desired, database.snapshot(OWNER)).changes


def _object(name: str, rules: int, address_set: str = "") -> list[QosRow]:
    match = m.ip4.dst.in_set(address_set) if address_set else m.ip4
    return [
        qos_row(identity=f"{name}/{index}", match=match, external_ids={"ovnqos.io/object": f"NetworkQoS/ns/{name}"})
        for index in range(rules)
    ]


def _desired(*rows: QosRow, sets: tuple[AddressSet, ...] = ()) -> DesiredState:
    return DesiredState.of(rows=rows, address_sets=sets)


def _identities(parts: list[tuple[Change, ...]]) -> list[list[str]]:
    """Rows by identity, sets by name."""
    found: list[list[str]] = []
    for part in parts:
        found.append([])
        for one in part:
            if isinstance(one, RowInsert):
                found[-1].append(one.identity)
            elif isinstance(one, SetInsert):
                found[-1].append(one.content.name)
    return found


def test_no_changes_are_no_batches() -> None:
    assert list(batches((), OWNER)) == []


def test_what_fits_is_one_batch_in_the_order_of_the_plan() -> None:
    changes = _changes(_desired(*_object("a", 3, "s"), sets=(AddressSet.of("s", ["10.0.0.1"]),)))
    assert list(batches(changes, OWNER, 4)) == [changes]


def test_objects_are_not_parted_and_batches_stay_within_the_bound() -> None:
    changes = _changes(_desired(*_object("a", 2), *_object("b", 2), *_object("c", 1), *_object("d", 3)))
    parts = list(batches(changes, OWNER, 3))
    assert _identities(parts) == [["a/0", "a/1"], ["b/0", "b/1", "c/0"], ["d/0", "d/1", "d/2"]]


def test_an_object_heavier_than_the_bound_has_a_batch_to_itself() -> None:
    changes = _changes(_desired(*_object("a", 1), *_object("b", 5), *_object("c", 1)))
    assert [len(part) for part in batches(changes, OWNER, 2)] == [1, 5, 1]


def test_a_shared_set_comes_with_the_first_object_that_needs_it() -> None:
    sets = (AddressSet.of("s", ["10.0.0.1"]), AddressSet.of("unused", []))
    changes = _changes(_desired(*_object("a", 1), *_object("b", 1, "s"), *_object("c", 1, "s"), sets=sets))
    assert _identities(list(batches(changes, OWNER, 1))) == [["a/0"], ["s", "b/0"], ["c/0"], ["unused"]]


def test_a_group_and_a_set_of_one_name_are_both_kept() -> None:
    match = m.ip4.dst.in_set("x") & m.inport.in_group("x")
    desired = DesiredState.of(
        rows=[qos_row(match=match), qos_row(priority=1)],
        port_groups=[PortGroup(name="x", ports=frozenset())],
        address_sets=[AddressSet.of("x", [])],
    )
    changes = _changes(desired)
    parts = list(batches(changes, OWNER, 1))
    assert sorted(map(repr, changes)) == sorted(repr(one) for part in parts for one in part)
    assert len({one.content.kind for part in parts for one in part if isinstance(one, SetInsert)}) == 2


def test_sets_that_go_come_last() -> None:
    before = _desired(*_object("a", 1, "s"), *_object("b", 1), sets=(AddressSet.of("s", []),))
    changes = _changes(DesiredState.of(), stored(before, OWNER, ("lan",), ()))
    parts = list(batches(changes, OWNER, 1))
    assert len(parts) == 3
    assert [isinstance(one, SetDelete) for part in parts for one in part] == [False, False, True]


def test_members_switches_and_long_matches_weigh() -> None:
    addresses = [f"10.{net}.{host}.1" for net in range(10) for host in range(5)]
    for heavy in (
        [*_changes(DesiredState.of(address_sets=[AddressSet.of("s", addresses)]))],
        [
            *_changes(
                DesiredState.of(rows=[qos_row(switches=[f"s{number}" for number in range(10)])]),
                Database(rows={}, sets={}, switches=frozenset(f"s{number}" for number in range(10)), ports=frozenset()),
            )
        ],
        [*_changes(DesiredState.of(rows=[qos_row(match=m.ip4.dst.isin(*addresses[:50]) & m.inport("v" * 600))]))],
    ):
        (light,) = _changes(DesiredState.of(rows=[qos_row(identity="light")]))
        assert len(list(batches([*heavy, light], OWNER, 3))) == 2
        assert len(list(batches([*heavy, light], OWNER, 4))) == 1
