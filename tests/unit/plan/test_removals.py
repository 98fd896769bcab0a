"""Removals that nothing explains: what is kept back of a plan, and what goes on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovnqos import Bandwidth, Compiler, DesiredState, OvnKubernetesTopology, Owner, Plan, plan_changes
from ovnqos.controller import KnownRemovals, RowDelete, SetKind, count_desired_limits, find_removals
from ovnqos.model.policy import PodPeer
from ovnqos.model.workloads import PodQos
from tests.support.cluster import attachment, labels, pod, policy, rule
from tests.support.database import Database, apply, stored

BLUE = attachment("shop/blue", "10.1.0.0/16")
PODS = [
    pod(
        f"p{number}",
        f"10.0.0.{number}",
        networks={"shop/blue": [f"10.1.0.{number}"]},
        node=f"node{number % 2}",
        labels={"app": "db" if number > 7 else "web"},
    )
    for number in range(1, 11)
]
LIMITED = replace(PODS[0], qos=PodQos(egress=Bandwidth(rate_kbps=1000)))
TO_DB = rule(7, destinations=(PodPeer(pod_selector=labels(app="db"), namespace_selector=None),))
POLICIES = [policy(rule(5, rate=100), name="all"), policy(TO_DB, name="to-db", priority=20, pods=labels(app="web"))]
EVERYTHING = (BLUE, *PODS[1:], LIMITED, *POLICIES)


def desired(*objects: object) -> DesiredState:
    return replace(Compiler.of(objects, OvnKubernetesTopology()).desired(), scope=None)


FULL = desired(*EVERYTHING)
_SWITCHES = {name for row in FULL.rows.values() for name in row.switches}
_PORTS = {name for group in FULL.port_groups.values() for name in group.ports}
DATABASE = stored(FULL, Owner(), _SWITCHES, _PORTS)


def planned(*objects: object, database: Database = DATABASE) -> Plan:
    return plan_changes(desired(*objects), database.snapshot(Owner()))


def without(*gone: object) -> list[object]:
    return [one for one in EVERYTHING if one not in gone]


def test_what_ends_without_a_reason_is_counted_as_the_command_counts() -> None:
    plan = planned(*without(BLUE))
    found = find_removals(plan, KnownRemovals())
    assert found.ended == plan.ended
    assert sum(found.ended.values()) == 10 + 7
    assert found.rest.is_empty
    assert count_desired_limits(FULL) == 2 * (10 + 7) + 1


@given(st.sets(st.sampled_from(range(len(EVERYTHING)))))
def test_the_rest_of_a_plan_never_ends_a_limit(missing: set[int]) -> None:
    plan = planned(*(one for number, one in enumerate(EVERYTHING) if number not in missing))
    found = find_removals(plan, KnownRemovals())
    assert found.rest.ended == {}
    assert found.ended == plan.ended
    after = apply(found.rest.changes, DATABASE).snapshot(Owner())
    assert plan_changes(FULL, after).is_empty  # only removals were planned, and none was made


def test_what_comes_or_is_corrected_goes_on() -> None:
    broken = replace(PODS[9], labels={"app": "cache"})
    new = policy(rule(9), name="new", priority=30)
    changed = replace(POLICIES[0], priority=11)
    plan = planned(BLUE, *PODS[1:9], broken, changed, POLICIES[1], new)
    rest = find_removals(plan, KnownRemovals()).rest
    snapshot = apply(rest.changes, DATABASE).snapshot(Owner())
    identities = {Owner().identity(row.content.external_ids): row.content for row in snapshot.rows}
    assert any(one.startswith("NetworkQoS/shop/new/") for one in identities)
    assert {content.priority for one, content in identities.items() if "/all/" in one} == {10_440}
    assert any(one.startswith("Pod/shop/p1/") for one in identities)
    groups = [one for one in snapshot.sets.values() if one.content.kind is SetKind.PORT_GROUP]
    assert any("shop_p1" in one.content.members for one in groups)


def test_what_was_deleted_goes() -> None:
    plan = planned(*without(POLICIES[0], LIMITED))
    ports = {"shop_p1", "shop.blue_shop_p1"}
    known = KnownRemovals(
        objects={"NetworkQoS/shop/all", "Pod/shop/p1"}, ports=ports, addresses={"10.0.0.1", "10.1.0.1"}
    )
    found = find_removals(plan, known)
    assert not found
    assert found.rest is plan


def test_of_two_policies_that_go_the_one_that_was_deleted_does() -> None:
    plan = planned(*without(*POLICIES))
    found = find_removals(plan, KnownRemovals(objects={"NetworkQoS/shop/all"}))
    assert list(found.ended) == ["NetworkQoS/shop/to-db"]
    after = apply(found.rest.changes, DATABASE).snapshot(Owner())
    assert {Owner().object_of(row.content.external_ids) for row in after.rows} == {
        "NetworkQoS/shop/to-db",
        "Pod/shop/p1",
    }


def test_a_pod_without_a_port_ends_nothing() -> None:
    gone = {"shop_p1", "shop.blue_shop_p1"}
    database = stored(FULL, Owner(), _SWITCHES, _PORTS - gone)
    found = find_removals(planned(*without(LIMITED), database=database), KnownRemovals())
    assert not found


def test_addresses_that_others_replace_end_nothing_and_that_ports_still_have_do() -> None:
    renamed = [replace(pod(f"n{n}", f"10.0.9.{n}", labels={"app": "db"}), node="node0") for n in (1, 2, 3)]
    plan = planned(*without(*PODS[7:]), *renamed)
    removed = [name for kind, name in find_removals(plan, KnownRemovals()).members if kind is SetKind.ADDRESS_SET]
    assert len(removed) == 1  # on the network blue nothing came
    seen = replace(plan, snapshot=replace(plan.snapshot, addresses={"10.0.0.9": {"shop_p9"}}))
    members = find_removals(seen, KnownRemovals()).members
    assert [found for (kind, _), found in members.items() if kind is SetKind.ADDRESS_SET] == [{"10.0.0.9"}]


def test_what_another_writer_added_is_removed() -> None:
    plan = planned(*without(LIMITED))
    (name, members), *_ = ((name, found) for (_, name), found in find_removals(plan, KnownRemovals()).members.items())
    known = KnownRemovals(members={name: members}, rows={"Pod/shop/p1/egress"})
    found = find_removals(plan, known)
    assert name not in {one for _, one in found.members}
    assert not found.rows


@pytest.mark.parametrize("number", [1, 2], ids=["from one switch", "from both"])
def test_rows_for_receivers_with_a_limit_go_with_the_last_of_these(number: int) -> None:
    limited = [replace(one, qos=PodQos(ingress=Bandwidth(rate_kbps=1000))) for one in PODS[:2]]
    database = stored(desired(BLUE, *limited, *PODS[2:], *POLICIES), Owner(), _SWITCHES, _PORTS)
    changed = [*PODS[:number], *limited[number:]]
    plan = planned(BLUE, *changed, *PODS[2:], *POLICIES, database=database)
    assert plan.ended == {f"Pod/shop/{one.name}": 1 for one in PODS[:number]}
    known = KnownRemovals(objects={f"Pod/shop/{one.name}" for one in PODS[:number]})
    found = find_removals(plan, known)
    assert not found
    assert found.rest is plan


def test_what_keeps_neighbour_discovery_from_limits_stays_with_them() -> None:
    pods = [pod(f"p{number}", f"fd00::{number}", node="node1", labels={"app": "web"}) for number in range(3)]
    whole = desired(*pods, POLICIES[0])
    neighbours = {identity for identity in whole.rows if identity.startswith("neighbour-discovery/")}
    assert neighbours
    ports = {name for group in whole.port_groups.values() for name in group.ports}
    database = stored(whole, Owner(), {"node1"}, ports)
    plan = planned(POLICIES[0], database=database)
    assert neighbours <= {change.identity for change in plan.changes if isinstance(change, RowDelete)}
    assert find_removals(plan, KnownRemovals()).rest.is_empty
    known = KnownRemovals(objects={f"Pod/{one.key}" for one in pods}, ports=ports)
    assert find_removals(plan, known).rest is plan


def test_objects_are_new_changed_or_ended_by_their_rows_and_by_members_of_their_sets() -> None:
    def named(*objects: object, database: Database = DATABASE) -> dict[str, tuple[str, ...]]:
        return dict(planned(*objects, database=database).changed_objects())

    everything, to_db, limited = "NetworkQoS/shop/all", "NetworkQoS/shop/to-db", "Pod/shop/p1"
    empty = stored(DesiredState.of(rows=()), Owner(), _SWITCHES, _PORTS)
    assert named(*EVERYTHING) == {}
    assert named(*EVERYTHING, database=empty) == {"new": (everything, to_db, limited)}
    assert named() == {"ended": (everything, to_db, limited)}
    assert named(*without(POLICIES[1])) == {"ended": (to_db,)}
    assert named(*without(PODS[8])) == {"changed": (everything, to_db)}
    assert named(*without(LIMITED), PODS[0]) == {"ended": (limited,)}
    mark = policy(rule(5), name="all")
    joined = stored(desired(LIMITED, mark), Owner(), _SWITCHES, _PORTS)  # one row for both
    assert named(PODS[0], mark, database=joined) == {"changed": (everything,), "ended": (limited,)}
    assert named(LIMITED, database=joined) == {"changed": (limited,), "ended": (everything,)}
