"""Plans, one case at a time: repair, duplicates, take-over, what waits and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ovnqos import AddressSet, Bandwidth, Code, DesiredState, PodQos, PortGroup, Severity, plan_changes
from ovnqos import match as m
from ovnqos.compile.rows import InputScope
from ovnqos.controller import ActualRow, NameTaken, describe_missing
from ovnqos.plan.changes import RowDelete, RowInsert, RowUpdate, SetDelete, SetInsert, SetUpdate
from ovnqos.plan.snapshot import SetKind
from tests.support.cluster import block, compiled, pod, policy, rule
from tests.support.database import Database, apply, stored
from tests.support.random_states import OWNER
from tests.support.rows import qos_row

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovnqos import Plan

ROW = qos_row(identity="r", external_ids={"ovnqos.io/object": "NetworkQoS/a/b"}, rate_kbps=9, burst_kbit=9)
SET = AddressSet(name="s", addresses=frozenset(("10.0.0.1", "10.0.0.2")))
GROUP = PortGroup(name="g", ports=frozenset(("p1", "p2")))


def _database(desired: DesiredState) -> Database:
    return stored(desired, OWNER, ("lan", "wan"), ("p1", "p2", "p3"))


def _plan(desired: DesiredState, database: Database) -> Plan:
    return plan_changes(desired, database.snapshot(OWNER))


def _with_row(**columns: Any) -> tuple[DesiredState, Database, ActualRow]:
    """The row is wanted, and found with these columns edited by hand."""
    desired = DesiredState.of(rows=[ROW])
    database = _database(desired)
    (found,) = database.rows.values()
    edited = replace(found, content=replace(found.content, **columns))
    return desired, replace(database, rows={found.uuid: edited}), edited


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("direction", "to-lport"),
        ("priority", 1),
        ("match", "ip4"),
        ("match", "does not && parse"),
        ("action", {}),
        ("action", {"dscp": 11}),
        ("bandwidth", {}),
        ("bandwidth", {"rate": 9}),
        ("bandwidth", {"rate": 9, "burst": 10}),
    ],
)
def test_a_column_edited_by_hand_is_repaired_in_place(column: str, value: object) -> None:
    desired, database, found = _with_row(**{column: value})
    (change,) = _plan(desired, database).changes
    assert isinstance(change, RowUpdate)
    assert (change.uuid, change.columns, change.bind, change.unbind) == (found.uuid, (column,), (), ())
    assert _plan(desired, apply([change], database)).is_empty


@pytest.mark.parametrize("edit", [{"note": "x"}, {"ovnqos.io/object": "NetworkQoS/other/one"}])
def test_external_ids_edited_by_hand_are_repaired_in_place(edit: Mapping[str, str]) -> None:
    external_ids = {**_with_row()[2].content.external_ids, **edit}
    desired, database, found = _with_row(external_ids=external_ids)
    (change,) = _plan(desired, database).changes
    assert isinstance(change, RowUpdate)
    assert (change.uuid, change.columns) == (found.uuid, ("external_ids",))


def test_a_row_whose_identity_was_wiped_is_replaced_in_the_same_plan() -> None:
    desired, database, found = _with_row(external_ids={"ovnqos.io/owner": OWNER.name})
    insert, delete = _plan(desired, database).changes
    assert isinstance(insert, RowInsert)
    assert isinstance(delete, RowDelete)
    assert (insert.identity, delete.uuid) == ("r", found.uuid)


def test_a_row_whose_external_ids_were_wiped_is_known_by_what_it_does() -> None:
    desired, database, found = _with_row(external_ids={})
    (change,) = _plan(desired, database).changes
    assert isinstance(change, RowUpdate)
    assert (change.uuid, change.columns) == (found.uuid, ("external_ids",))
    assert _plan(desired, apply([change], database)).is_empty


@pytest.mark.parametrize("edit", [{"priority": 1}, {"bandwidth": {"rate": 1}}, {"external_ids": {"note": "mine"}}])
def test_a_row_without_external_ids_that_does_something_else_is_foreign(edit: dict[str, Any]) -> None:
    desired, database, found = _with_row(**{"external_ids": {}, **edit})
    (insert,) = _plan(desired, database).changes
    assert isinstance(insert, RowInsert)
    assert found.uuid in apply([insert], database).rows


def test_a_row_without_external_ids_that_is_not_desired_goes_if_it_uses_a_set_of_ours() -> None:
    match = m.parse("inport == @g")
    desired = DesiredState.of(rows=[qos_row(identity="r", match=match, priority=10_000)], port_groups=[GROUP])
    database = _database(desired)
    (found,) = database.rows.values()
    wiped = replace(found, content=replace(found.content, external_ids={}))
    changes = _plan(DesiredState.of(), replace(database, rows={found.uuid: wiped})).changes
    assert [type(one) for one in changes] == [RowDelete, SetDelete]
    in_scope = replace(DesiredState.of(), scope=InputScope())
    assert not _plan(in_scope, replace(database, rows={found.uuid: wiped})).count(RowDelete)


def test_a_row_bound_elsewhere_is_bound_where_it_belongs() -> None:
    desired, database, found = _with_row()
    database = replace(database, rows={found.uuid: replace(found, switches=frozenset(("wan",)))})
    (change,) = _plan(desired, database).changes
    assert isinstance(change, RowUpdate)
    assert (change.columns, change.bind, change.unbind) == ((), ("lan",), ("wan",))


@pytest.mark.parametrize("copy", ["a", "zz"])
def test_of_duplicates_the_one_that_is_as_wanted_stays(copy: str) -> None:
    desired, database, found = _with_row()
    edited = replace(found, uuid=copy, content=replace(found.content, priority=7))
    (change,) = _plan(desired, replace(database, rows={found.uuid: found, copy: edited})).changes
    assert isinstance(change, RowDelete)
    assert change.uuid == copy


@pytest.mark.parametrize("copy", ["a", "zz"])
def test_of_equal_duplicates_the_one_that_is_where_it_belongs_stays(copy: str) -> None:
    desired, database, found = _with_row()
    elsewhere = replace(found, uuid=copy, switches=frozenset(("wan",)))
    (change,) = _plan(desired, replace(database, rows={found.uuid: found, copy: elsewhere})).changes
    assert isinstance(change, RowDelete)
    assert change.uuid == copy


def test_a_row_whose_switches_are_all_gone_goes_and_waits() -> None:
    desired, database, found = _with_row()
    database = replace(
        database,
        switches=frozenset(("wan",)),
        rows={found.uuid: replace(found, switches=frozenset(("wan",)))},
    )
    plan = _plan(desired, database)
    (change,) = plan.changes
    assert isinstance(change, RowDelete)
    assert [(one.kind, one.name, one.needed_by) for one in plan.missing] == [("logical switch", "lan", "r")]
    (said,) = describe_missing(plan.missing)
    assert (said.severity, said.code, str(said.object)) == (Severity.WARNING, Code.MISSING_SWITCH, "NetworkQoS a/b")
    assert "lan" in said.text


def test_a_row_is_bound_to_the_switches_that_there_are() -> None:
    desired = DesiredState.of(rows=[replace(ROW, switches=frozenset(("lan", "later")))])
    plan = _plan(desired, _database(DesiredState.of()))
    (change,) = plan.changes
    assert isinstance(change, RowInsert)
    assert change.switches == ("lan",)
    assert [one.name for one in plan.missing] == ["later"]
    complete = replace(apply(plan.changes, _database(DesiredState.of())), switches=frozenset(("lan", "later")))
    (then,) = _plan(desired, complete).changes
    assert isinstance(then, RowUpdate)
    assert (then.columns, then.bind) == ((), ("later",))


def test_members_change_by_mutation_and_missing_ports_wait() -> None:
    before = DesiredState.of(address_sets=[SET], port_groups=[GROUP])
    after = DesiredState.of(
        address_sets=[replace(SET, addresses=frozenset(("10.0.0.2", "10.0.0.3")))],
        port_groups=[replace(GROUP, ports=frozenset(("p2", "p3", "later")))],
    )
    plan = _plan(after, _database(before))
    changes = [change for change in plan.changes if isinstance(change, SetUpdate)]
    assert [(change.content.name, change.add, change.remove, change.relabels) for change in changes] == [
        ("s", ("10.0.0.3",), ("10.0.0.1",), False),
        ("g", ("p3",), ("p1",), False),
    ]
    assert [(one.kind, one.name, one.needed_by) for one in plan.missing] == [("logical switch port", "later", "g")]


def test_a_missing_port_is_told_of_each_object_whose_rows_need_it() -> None:
    limited = replace(pod("b", "10.0.0.2"), qos=PodQos(egress=Bandwidth(rate_kbps=9)))
    objects = [policy(name="gold"), policy(name="tin", priority=3), pod("a", "10.0.0.1"), limited]
    desired = compiled([], *objects).desired()
    plan = _plan(desired, stored(DesiredState.of(), OWNER, ("node1",), ("shop_a",)))
    said = list(describe_missing(plan.missing))
    assert {(one.severity, one.code) for one in said} == {(Severity.WARNING, Code.MISSING_PORT)}
    assert [str(one.object) for one in said] == ["NetworkQoS shop/gold", "NetworkQoS shop/tin", "Pod shop/b"]
    assert all("shop_b" in one.text and "shop_a" not in one.text for one in said)


def _marked(database: Database, external_ids: Mapping[str, str]) -> Database:
    sets = {
        uuid: replace(one, content=replace(one.content, external_ids=external_ids))
        for uuid, one in database.sets.items()
    }
    return replace(database, sets=sets)


@pytest.mark.parametrize("left", [{}, {"note": "x"}, {"ovnqos.io/owner": OWNER.name}])
def test_a_set_whose_external_ids_were_wiped_is_taken_over(left: Mapping[str, str]) -> None:
    desired = DesiredState.of(address_sets=[SET], port_groups=[GROUP])
    database = _marked(_database(desired), left)
    plan = _plan(desired, database)
    assert [type(change) for change in plan.changes] == [SetUpdate, SetUpdate]
    assert _plan(desired, apply(plan.changes, database)).is_empty


@pytest.mark.parametrize("other", [{"ovnqos.io/owner": "other"}, {"k8s.ovn.org/owner-type": "EgressFirewall"}])
@pytest.mark.parametrize(
    ("desired", "words"),
    [
        (DesiredState.of(address_sets=[SET]), r"^address set s belongs to another owner \(wanted-set-Address_Set-s\)"),
        (DesiredState.of(port_groups=[GROUP]), r"^port group g belongs to another owner \(wanted-set-Port_Group-g\)"),
    ],
)
def test_a_set_of_another_owner_with_our_name_is_an_error(
    other: Mapping[str, str], desired: DesiredState, words: str
) -> None:
    with pytest.raises(NameTaken, match=words):
        _plan(desired, _marked(_database(desired), other))


def test_a_set_of_another_owner_is_no_concern_while_its_name_is_not_wanted() -> None:
    database = _marked(_database(DesiredState.of(address_sets=[SET])), {"ovnqos.io/owner": "other"})
    assert _plan(DesiredState.of(), database).is_empty


def test_retained_objects_keep_their_rows_and_sets_and_others_lose_theirs() -> None:
    mine = qos_row(identity="mine", match=m.ip4.dst.in_set("s"), external_ids={"ovnqos.io/object": "NetworkQoS/a/b"})
    gone = qos_row(identity="gone", match=m.inport.in_group("g"), external_ids={"ovnqos.io/object": "NetworkQoS/a/c"})
    database = _database(DesiredState.of(rows=[mine, gone], address_sets=[SET], port_groups=[GROUP]))
    row, group = _plan(DesiredState.of(retained=["NetworkQoS/a/b"]), database).changes
    assert isinstance(row, RowDelete)
    assert row.identity == "gone"
    assert isinstance(group, SetDelete)
    assert group.content.name == "g"


def test_sets_come_before_rows_and_go_after_them() -> None:
    desired = DesiredState.of(rows=[replace(ROW, match=m.ip4.dst.in_set("s"))], address_sets=[SET])
    empty = _database(DesiredState.of())
    assert [type(change) for change in _plan(desired, empty).changes] == [SetInsert, RowInsert]
    assert [type(change) for change in _plan(DesiredState.of(), _database(desired)).changes] == [RowDelete, SetDelete]


def test_the_summary_counts_what_comes_changes_and_goes() -> None:
    before = DesiredState.of(rows=[ROW, replace(ROW, identity="q")], address_sets=[SET])
    after = DesiredState.of(rows=[replace(ROW, dscp=1), replace(ROW, identity="n")], port_groups=[GROUP])
    plan = _plan(after, _database(before))
    assert plan.summary() == "rows: 1 new, 1 changed, 1 deleted; sets: 1 new, 1 deleted"
    assert (plan.count(RowInsert), plan.count(RowInsert, RowDelete), plan.desired_rows) == (1, 2, 2)
    assert _plan(before, _database(before)).summary() == "no changes"


def test_editing_the_exceptions_of_a_long_block_changes_members_and_leaves_the_row_alone() -> None:
    """A changed row would refill its meter's bucket."""
    client = pod("client", "10.0.0.1")
    few = block("0.0.0.0/0", "10.1.2.3/32")
    more = block("0.0.0.0/0", "10.1.2.3/32", "192.0.2.1/32")
    before = compiled(policy(rule(destinations=(few,))), client, owner=OWNER).desired()
    after = compiled(policy(rule(destinations=(more,))), client, owner=OWNER).desired()
    database = stored(before, OWNER, ("node1",), ("shop_client",))
    (change,) = _plan(after, database).changes
    assert isinstance(change, SetUpdate)
    assert change.content.kind is SetKind.ADDRESS_SET
    assert change.add
    assert change.remove
