"""A plan from a part of a cluster ends no limit that the whole cluster keeps."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given, settings

from ovnqos import Owner, plan_changes
from ovnqos.match import NamedSets, can_overlap, parse
from ovnqos.plan.snapshot import SetKind
from tests.support import random_clusters as make
from tests.support.cluster import compiled
from tests.support.database import Database, apply, references

if TYPE_CHECKING:
    from random import Random

    from ovnqos import DesiredState, Pod, Snapshot
    from tests.support.policy_oracle import Cluster

OWNER = Owner()
Rule = tuple[str, str, str]


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
        for address in one.addresses:
            if one.port in database.ports:
                addresses[str(address)].add(one.port)
    return replace(database.snapshot(OWNER), addresses=dict(addresses))


def coverage(database: Database) -> tuple[dict[Rule, set[tuple[str, str]]], dict[Rule, set[str]]]:
    """Of each rule on each network: the switches and source ports it holds for, and its destination addresses.

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
        rule = known["ovnqos.io/object"], known["ovnqos.io/rule"], known["ovnqos.io/network"]
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
