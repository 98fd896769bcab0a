"""A plan from a part of a cluster ends no limit that the whole cluster keeps."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings

from ovnqos import Bandwidth, Owner, Pod, plan_changes
from ovnqos.compile.rows import object_of
from ovnqos.match import NamedSets, can_overlap, parse
from ovnqos.model.owner import JOINED_KEY
from ovnqos.model.workloads import PodQos
from ovnqos.plan.snapshot import SetKind
from tests.support import cluster as build
from tests.support import random_clusters as make
from tests.support.cluster import compiled
from tests.support.database import Database, apply, references
from tests.support.policy_oracle import Cluster

if TYPE_CHECKING:
    from random import Random

    from ovnqos import DesiredState, Snapshot

OWNER = Owner()
Rule = tuple[str, str, str, str]
NEIGHBOURS: Rule = ("", "neighbour-discovery", "", "")


def database_of(desired: DesiredState, cluster: Cluster) -> Database:
    """A Northbound of this cluster's zone in which everything is as desired."""
    in_zone = [one for one in cluster.interfaces if cluster.zone_nodes is None or one.pod.node in cluster.zone_nodes]
    switches = {one.switch for one in in_zone} | {name for row in desired.rows.values() for name in row.switches}
    empty = Database(
        rows={}, sets={}, switches=frozenset(switches), ports=frozenset(one.port for one in in_zone if one.pod.node)
    )
    whole = replace(desired, scope=None)
    return apply(plan_changes(whole, empty.snapshot(OWNER)).changes, empty)


def snapshot_of(database: Database, cluster: Cluster) -> Snapshot:
    addresses: dict[str, set[str]] = defaultdict(set)
    for one in cluster.interfaces:
        for address in (*one.addresses, one.mac):
            if one.port in database.ports:
                addresses[str(address)].add(one.port)
    return replace(database.snapshot(OWNER), addresses=dict(addresses))


def coverage(database: Database) -> tuple[dict[Rule, set[tuple[str, str]]], dict[Rule, set[str]]]:
    """Of each rule on each network and direction: the switches and source ports it holds for, and its destinations.

    A row whose sets are empty, so that no packet matches it, holds for none.
    """
    sets = {(one.content.kind, one.content.name): one.content.members for one in database.sets.values()}
    sources: dict[Rule, set[tuple[str, str]]] = defaultdict(set)
    destinations: dict[Rule, set[str]] = defaultdict(set)
    names = NamedSets(
        address_sets={name: members for (kind, name), members in sets.items() if kind is SetKind.ADDRESS_SET},
        port_groups={name: members for (kind, name), members in sets.items() if kind is SetKind.PORT_GROUP},
    )
    for row in database.rows.values():
        match = parse(row.content.match)
        if not can_overlap(match, match, names):
            continue
        known = row.content.external_ids
        if known["ovnqos.io/rule"] == "neighbour-discovery":
            sources[NEIGHBOURS] |= {(switch, row.content.direction) for switch in row.switches}
            continue
        rule = (known["ovnqos.io/object"], known["ovnqos.io/rule"], known["ovnqos.io/network"], row.content.direction)
        ports = {known["ovnqos.io/port"]} if "ovnqos.io/port" in known else set()
        for key in references(row.content.match):
            if key[0] is SetKind.PORT_GROUP:
                ports |= sets[key]
            else:
                destinations[rule] |= sets[key]
        sources[rule] |= {(switch, port) for switch in row.switches for port in ports}
    return sources, destinations


def _without_equal_addresses(cluster: Cluster) -> Cluster:
    """The pods on a node whose addresses no pod before has, as IPAM gives them."""
    pods, taken = [], set[object]()
    for pod in cluster.pods:
        found = {one for interface in replace_pods(cluster, [pod]).interfaces for one in interface.addresses}
        if pod.node and not found & taken:
            pods.append(pod)
            taken |= found
    return replace_pods(cluster, pods)


def replace_pods(cluster: Cluster, pods: list[Pod]) -> Cluster:
    return type(cluster)(
        pods=tuple(pods),
        namespaces=cluster.namespaces,
        attachments=cluster.attachments,
        zone_nodes=cluster.zone_nodes,
    )


@settings(max_examples=400)
@given(make.RANDOMS)
def test_a_part_of_the_input_ends_no_limit(random: Random) -> None:
    cluster, policies = _without_equal_addresses(make.cluster(random)), make.policies(random)
    objects = [*cluster.objects, *policies]
    whole = compiled(policies, *cluster.objects, nodes=cluster.zone_nodes).desired()
    database = database_of(whole, cluster)
    share = random.choice((0.0, 0.3, 0.7, 0.9))
    part = [one for one in objects if random.random() < share]
    desired = compiled(
        [one for one in policies if one in part],
        *[one for one in cluster.objects if one in part],
        nodes=cluster.zone_nodes,
    ).desired()

    after = apply(plan_changes(desired, snapshot_of(database, cluster)).changes, database)

    (sources, destinations), (sources_after, destinations_after) = coverage(database), coverage(after)
    assert all(held <= sources_after[rule] for rule, held in sources.items())
    assert all(held <= destinations_after[rule] for rule, held in destinations.items())


@given(make.RANDOMS)
def test_the_whole_input_is_complete_and_changes_nothing(random: Random) -> None:
    cluster, policies = make.cluster(random), make.policies(random)
    desired = compiled(policies, *cluster.objects, nodes=cluster.zone_nodes).desired()
    database = database_of(desired, cluster)

    for prune in (False, True):
        plan = plan_changes(desired, snapshot_of(database, cluster), prune=prune)
        assert plan.is_empty
        assert not plan.ended
        assert not plan.kept


@settings(max_examples=200)
@given(make.RANDOMS)
def test_a_plan_of_one_namespace_or_object_changes_its_rows_as_the_whole_plan_does_and_no_others(
    random: Random,
) -> None:
    cluster, policies = make.cluster(random), make.policies(random)
    old = [one for one in policies if random.random() < 0.7]
    before = compiled(old, *cluster.objects, nodes=cluster.zone_nodes).desired()
    database = database_of(before, cluster)
    policies = [one for one in (*policies, *make.policies(random)) if random.random() < 0.7]
    policies = list({one.key: one for one in policies}.values())
    desired = compiled(policies, *cluster.objects, nodes=cluster.zone_nodes).desired()
    assert desired.scope is not None
    namespace = random.choice([one.namespace for one in (*policies, *old)] or ["a"])
    only = None
    if random.random() < 0.5:
        only = frozenset(f"NetworkQoS/{one.key}" for one in policies if random.random() < 0.5)
    scope = replace(desired.scope, namespace=namespace, only=only)
    prune = random.random() < 0.5
    snapshot = snapshot_of(database, cluster)

    whole = apply(plan_changes(desired, snapshot, prune=prune).changes, database)
    limited = apply(plan_changes(replace(desired, scope=scope), snapshot, prune=prune).changes, database)

    for identity in {*whole_rows(database), *whole_rows(whole)}:
        if identity.startswith("neighbour-discovery/"):  # no object's: it stays where there may be a limit
            assert identity in whole_rows(limited) or identity not in whole_rows(database).keys() & whole_rows(whole)
            continue
        joined = (joined_with(state, identity) for state in (database, whole))
        inside = scope.may_change(object_of(identity), *joined)
        assert whole_rows(limited).get(identity) == whole_rows(whole if inside else database).get(identity)
        for key in references_of(limited, identity) if inside else ():
            assert members_of(limited)[key] == members_of(whole)[key]
    assert all(members_of(limited).keys() >= references_of(limited, identity) for identity in whole_rows(limited))


def whole_rows(database: Database) -> dict[str, tuple[object, frozenset[str]]]:
    """Content and switches of each row, by identity."""
    return {OWNER.identity(row.content.external_ids): (row.content, row.switches) for row in database.rows.values()}


def joined_with(database: Database, identity: str) -> str:
    """The policy whose rule is joined with a pod's own limit in a row; empty for none."""
    known = (row.content.external_ids for row in database.rows.values())
    return next(
        (object_of(one[JOINED_KEY]) for one in known if JOINED_KEY in one and OWNER.identity(one) == identity), ""
    )


def references_of(database: Database, identity: str) -> set[tuple[SetKind, str]]:
    return {
        key
        for row in database.rows.values()
        if OWNER.identity(row.content.external_ids) == identity
        for key in references(row.content.match)
    }


def members_of(database: Database) -> dict[tuple[SetKind, str], frozenset[str]]:
    return {(one.content.kind, one.content.name): one.content.members for one in database.sets.values()}


@pytest.mark.parametrize("missing", [("far-server",), ("server", "far-server")])
def test_rows_for_limited_receivers_stay_where_a_receiver_is_missing_from_the_input(missing: tuple[str, ...]) -> None:
    limit = PodQos(ingress=Bandwidth(rate_kbps=9))
    pods = (
        build.pod("client", "10.0.0.1"),
        build.pod("far-client", "10.0.1.1", node="node2"),
        replace(build.pod("server", "10.0.0.2", namespace="bank"), qos=limit),
        replace(build.pod("far-server", "10.0.1.2", namespace="bank", node="node2"), qos=limit),
    )
    cluster = Cluster(pods=pods, namespaces=(build.namespace("shop"), build.namespace("bank")), attachments=())
    policies = [build.policy(build.rule(7))]
    database = database_of(compiled(policies, *cluster.objects).desired(), cluster)
    part = [one for one in cluster.objects if not isinstance(one, Pod) or one.name not in missing]
    plan = plan_changes(compiled(policies, *part).desired(), snapshot_of(database, cluster))
    assert coverage(apply(plan.changes, database)) == coverage(database)
    assert plan.incomplete
