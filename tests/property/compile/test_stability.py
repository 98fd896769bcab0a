"""What must not move: rows while members come and go, and everything while only the order of the input changes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given, settings

from ovnqos import BandwidthScope, LabelSelector, Owner, PodPeer
from ovnqos.model.networks import ANY_NAD_SELECTOR
from ovnqos.model.workloads import NO_POD_QOS
from tests.support import random_clusters as make
from tests.support.cluster import attachment, compiled, kind_and_key, labels, pod, policy, rule

if TYPE_CHECKING:
    from random import Random

    from ovnqos import DesiredState, NetworkQoS, QosRow


@settings(max_examples=200)
@given(make.RANDOMS)
def test_the_order_of_the_input_does_not_matter(random: Random) -> None:
    cluster, policies = make.cluster(random), make.policies(random)
    objects = list(cluster.objects)
    first = compiled(policies, *objects).desired()
    random.shuffle(objects)
    random.shuffle(policies)
    assert compiled(policies, *objects).desired() == first


def _anchored(random: Random, policies: list[NetworkQoS]) -> list[object]:
    """Objects that keep every network, switch and family in being, whatever other pods come and go."""
    declared = [
        attachment("shop/blue", "10.0.0.0/16", network="blue", labels={"app": "a"}),
        attachment("lab/blue-too", "10.0.0.0/16", network="blue", labels={"app": "a"}),
        attachment("bank/dual", "10.0.0.0/16", "fd00::/64", network="dual/one-two"),
        attachment("lab/no-ipam", "10.0.0.0/16", "fd00::/64"),
    ]
    anchors = [
        pod(
            f"anchor-{node}",
            namespace=space,
            node=node,
            labels=labels_,
            networks={
                "default": ("10.9.0.1", "fd00:9::1"),
                **{f"{one.namespace}/{one.name}": ("10.9.0.2",) for one in declared},
            },
        )
        for space in {one.namespace for one in policies}
        for node in make.NODES
        for labels_ in [make.label_map(random)]
    ]
    return [*declared, *anchors]


def _of_policies(desired: DesiredState) -> dict[str, QosRow]:
    return {key: row for key, row in desired.rows.items() if key.startswith("NetworkQoS/")}


def _unmoving(row: QosRow) -> tuple[object, ...]:
    return (
        row.direction,
        row.priority,
        str(row.match),
        row.action,
        row.bandwidth,
        row.external_ids,
    )


@settings(max_examples=200)
@given(make.RANDOMS)
def test_rows_stay_as_they_are_while_pods_without_limits_come_and_go(random: Random) -> None:
    policies = [
        replace(one, pod_selector=labels(), bandwidth_scope=BandwidthScope.POLICY) for one in make.policies(random)
    ]
    changing = compiled(policies, *_anchored(random, policies))
    before = changing.desired()
    for _ in range(random.randint(1, 8)):
        one = replace(make.pod(random), qos=NO_POD_QOS)
        if random.random() < 0.3:
            changing.delete(*kind_and_key(one))
        else:
            changing.apply(one)
    after = changing.desired()
    assert {key: _unmoving(row) for key, row in _of_policies(after).items()} == {
        key: _unmoving(row) for key, row in _of_policies(before).items()
    }
    assert {key: row.switches for key, row in _of_policies(after).items()} == {
        key: row.switches for key, row in _of_policies(before).items()
    }
    assert (after.address_sets.keys(), after.port_groups.keys()) == (
        before.address_sets.keys(),
        before.port_groups.keys(),
    )


@settings(max_examples=100)
@given(make.RANDOMS)
def test_a_changed_policy_leaves_the_rows_of_the_others_alone(random: Random) -> None:
    cluster, policies = make.cluster(random), make.policies(random)
    changed = replace(policies[0], rules=(rule(63, rate=7),))
    before = _of_policies(compiled(policies, *cluster.objects).desired())
    after = _of_policies(compiled([changed, *policies[1:]], *cluster.objects).desired())
    own = f"NetworkQoS/{changed.key}"
    for rows in (before, after):
        for row in rows.values():
            assert row.external_ids["ovnqos.io/object"] in {own, *(f"NetworkQoS/{one.key}" for one in policies[1:])}
    assert {key: row for key, row in before.items() if row.external_ids["ovnqos.io/object"] != own} == {
        key: row for key, row in after.items() if row.external_ids["ovnqos.io/object"] != own
    }


@settings(max_examples=50)
@given(make.RANDOMS)
def test_two_owners_share_no_names(random: Random) -> None:
    cluster, policies = make.cluster(random), make.policies(random)
    one = compiled(policies, *cluster.objects, owner=Owner("one")).desired()
    other = compiled(policies, *cluster.objects, owner=Owner("other")).desired()
    assert not one.address_sets.keys() & other.address_sets.keys()
    assert not one.port_groups.keys() & other.port_groups.keys()
    assert one.rows.keys() == other.rows.keys()


def test_a_pod_on_a_second_attachment_of_the_network_changes_members_only() -> None:
    declared = [
        attachment("shop/blue", "10.1.0.0/16", network="blue"),
        attachment("lab/blue", "10.1.0.0/16", network="blue"),
    ]
    first = pod("a", networks={"shop/blue": ["10.1.0.1"]})
    second = pod("b", networks={"lab/blue": ["10.1.0.2"]})
    for networks in (None, (ANY_NAD_SELECTOR,)):
        one = policy(networks=networks)
        before = compiled(one, first, *declared).desired()
        after = compiled(one, first, second, *declared).desired()
        assert before.rows == after.rows
        (group,) = after.port_groups.values()
        assert group.ports == {"shop.blue_shop_a", "lab.blue_shop_b"}


def test_families_of_a_network_do_not_hang_on_which_of_its_attachments_is_seen_first() -> None:
    declared = [attachment("shop/blue", network="blue"), attachment("lab/blue", network="blue")]  # no subnets
    known = [pod(name, networks={"shop/blue": ["10.1.0.1"]}) for name in "abc"]
    bare = [pod(name, networks={"lab/blue": []}) for name in "xyz"]
    one = policy(rule(destinations=(PodPeer(pod_selector=LabelSelector()),)))
    expected = compiled(one, *known, *bare, *declared).desired()
    assert compiled(one, *bare, *known, *declared).desired() == expected
    assert [name[-3:] for name in expected.address_sets] == ["_v4"]
