"""Any sequence of events ends in what a full compile of the same objects gives."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from netaddr import IPNetwork

from ovnqos import (
    Compiler,
    DesiredState,
    InvalidObject,
    LabelSelector,
    Namespace,
    ObjectRef,
    OvnKubernetesTopology,
    Pod,
)
from ovnqos.model.pod_qos import PodQos
from tests.support import random_clusters as some
from tests.support.cluster import attachment, attachments_selector, pod, policy, rule
from tests.support.random_clusters import RANDOMS

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovnqos.controller import Delta

CLUSTER = [IPNetwork("10.0.0.0/8"), IPNetwork("10.96.5.0/24"), IPNetwork("fd00::/16")]
_MAKERS: tuple[Callable[[Random], Any], ...] = (
    *(some.pod, some.pod, some.pod, some.namespace, some.nad, some.policy, some.policy),
    *(some.tenant, some.tenant, some.tenant),
)


class Mirror:
    """What a database would hold that is only ever told deltas."""

    def __init__(self) -> None:
        self.rows: dict[str, Any] = {}
        self.sets: dict[str, Any] = {}

    def take_everything(self, delta: Delta) -> None:
        self.rows, self.sets = {}, {}
        self.take(delta)

    def take(self, delta: Delta) -> None:
        for identity in delta.rows:
            self._put(self.rows, identity, delta.desired.rows.get(identity))
        for name, touched in delta.sets.items():
            group, addresses = delta.desired.port_groups.get(name), delta.desired.address_sets.get(name)
            wanted = group or addresses
            if touched is None or wanted is None:
                self._put(self.sets, name, wanted)
                continue
            members = group.ports if group else addresses.addresses  # type: ignore[union-attr] # one of the two
            assert members <= touched, "only the members named may be in the delta"
            self.sets[name] = self._with_members(self.sets[name], touched, members)

    @staticmethod
    def _put(into: dict[str, Any], key: str, value: Any) -> None:
        if value is None:
            into.pop(key, None)
        else:
            into[key] = value

    @staticmethod
    def _with_members(old: Any, touched: frozenset[str], members: frozenset[str]) -> Any:
        column = "ports" if hasattr(old, "ports") else "addresses"
        fields = {name: getattr(old, name) for name in ("name", "identity", "external_ids")}
        return type(old)(**fields, **{column: getattr(old, column) - touched | members})


def _identity(one: Any) -> tuple[type, str]:
    return type(one), one.name if isinstance(one, Namespace) else one.key


def _everything(desired: DesiredState) -> tuple[dict[str, Any], dict[str, Any]]:
    return dict(desired.rows), {**desired.port_groups, **desired.address_sets}


def _full(objects: dict[Any, Any], zone: Any) -> DesiredState:
    return Compiler.of(objects.values(), OvnKubernetesTopology(zone_nodes=zone), cluster_cidrs=CLUSTER).desired()


@settings(max_examples=300, deadline=None)
@given(RANDOMS)
def test_deltas_add_up_to_a_full_compile(random: Random) -> None:
    zone = random.choice((None, ["node1", "node2"]))
    live = Compiler(OvnKubernetesTopology(zone_nodes=zone), cluster_cidrs=CLUSTER)
    mirror = Mirror()
    objects: dict[Any, Any] = {}
    for _ in range(random.randint(1, 6)):
        for _ in range(random.randint(1, 8)):
            if objects and random.random() < 0.25:
                gone = random.choice(sorted(objects, key=str))
                del objects[gone]
                live.delete(gone[0].__name__, gone[1])
            else:
                one = random.choice(_MAKERS)(random)
                objects[_identity(one)] = one
                live.apply(one)
            if random.random() < 0.1:
                live.compile_some(lambda: random.random() < 0.7)
        if random.random() < 0.2:
            mirror.take_everything(live.drain_all())
        else:
            mirror.take(live.drain())
        assert not live.is_dirty
        wanted = _everything(_full(objects, zone))
        assert (mirror.rows, mirror.sets) == wanted
        assert _everything(live.desired()) == wanted


@pytest.fixture
def live() -> Compiler:
    started = Compiler(OvnKubernetesTopology())
    random = Random(3)
    for _ in range(60):
        started.apply(random.choice(_MAKERS)(random))
    started.drain()
    return started


def test_the_same_object_again_dirties_nothing(live: Compiler) -> None:
    random = Random(3)
    latest: dict[Any, Any] = {}
    for _ in range(60):
        one = random.choice(_MAKERS)(random)
        latest[_identity(one)] = one
    for one in latest.values():
        live.apply(one)
    assert live.drain().is_empty


def test_a_namespace_whose_labels_change_selects_other_attachments() -> None:
    live = Compiler(OvnKubernetesTopology())
    selector = attachments_selector(LabelSelector.from_labels({"tenant": "a"}), LabelSelector())
    live.apply(attachment("nets/blue", "10.0.0.0/16"))
    live.apply(pod("p", networks={"nets/blue": ["10.0.0.5"]}))
    live.apply(policy(rule(dscp=10), networks=[selector]))
    assert not live.drain().desired.rows
    live.apply(Namespace(name="nets", labels={"tenant": "a"}))
    appeared = live.drain()
    assert appeared.rows == appeared.desired.rows.keys() != set()
    live.delete("Namespace", "nets")
    assert live.drain().rows == appeared.rows


def test_policies_of_equal_priority_conflict_while_they_share_a_pod() -> None:
    live = Compiler(OvnKubernetesTopology())
    live.apply(pod("a", "10.0.0.1", labels={"app": "a"}))
    live.apply(pod("b", "10.0.0.2", labels={"tier": "b"}))
    live.apply(policy(rule(dscp=1), name="one", pods=LabelSelector.from_labels({"app": "a"})))
    live.apply(policy(rule(dscp=2), name="two", pods=LabelSelector.from_labels({"tier": "b"})))
    live.drain()
    assert not live.conflicts("shop/one")
    live.apply(pod("both", "10.0.0.3", labels={"app": "a", "tier": "b"}))
    assert live.drain().policies == {"shop/one", "shop/two"}
    assert live.conflicts("shop/one") == {"shop/two"}
    live.apply(policy(rule(dscp=2), name="two", priority=11, pods=LabelSelector.from_labels({"tier": "b"})))
    live.drain()
    assert not live.conflicts("shop/one")
    assert not live.conflicts("shop/two")


@pytest.mark.parametrize("gained", [{"app": "a"}, {"tier": "b"}], ids=["of the first", "of the second"])
def test_a_pod_that_only_one_of_two_policies_gains_makes_them_conflict(gained: dict[str, str]) -> None:
    live = Compiler(OvnKubernetesTopology())
    both = {"app": "a", "tier": "b"}
    live.apply(pod("a", "10.0.0.1", labels={"app": "a"}))
    live.apply(pod("b", "10.0.0.2", labels={"tier": "b"}))
    live.apply(pod("x", "10.0.0.3", labels={key: value for key, value in both.items() if key not in gained}))
    for name, (key, value) in zip(("one", "two"), both.items(), strict=True):
        live.apply(policy(rule(dscp=1), name=name, pods=LabelSelector.from_labels({key: value})))
        live.drain()
    live.apply(pod("x", "10.0.0.3", labels=both))
    live.drain()
    assert live.conflicts("shop/one") == {"shop/two"}
    live.delete("NetworkQoS", "shop/two")
    live.drain()
    assert not live.conflicts("shop/one")


@settings(max_examples=200, deadline=None)
@given(RANDOMS)
def test_rivals_do_not_depend_on_the_order_of_events(random: Random) -> None:
    objects = {_identity(one): one for one in (random.choice(_MAKERS)(random) for _ in range(25))}
    expected: dict[str, frozenset[str]] | None = None
    for _ in range(2):
        live = Compiler(OvnKubernetesTopology())
        order = list(objects.values())
        random.shuffle(order)
        for one in order:
            live.apply(one)
            if random.random() < 0.5:
                live.drain()
        live.drain()
        found = {key: live.conflicts(key) for key in live.policies}
        assert all(key in found[rival] for key, rivals in found.items() for rival in rivals)
        assert expected is None or found == expected
        expected = found


def test_an_invalid_version_keeps_the_rows_of_the_last_valid_one(live: Compiler) -> None:
    key = next(key for key in live.policies if live.compiled(key) and live.compiled(key).rows)  # type: ignore[union-attr] # just tested
    before = live.desired()
    namespace, _, name = key.partition("/")
    fault = InvalidObject(ObjectRef(kind="NetworkQoS", namespace=namespace, name=name), [])
    live.apply(fault)
    assert live.drain().is_empty
    assert live.desired() == before
    assert live.invalid == {key: fault}
    live.delete("NetworkQoS", key)
    assert live.drain().rows
    assert not live.invalid


def test_an_invalid_object_that_was_never_valid_keeps_what_the_database_has(live: Compiler) -> None:
    live.apply(InvalidObject(ObjectRef(kind="NetworkQoS", namespace="shop", name="broken"), []))
    live.drain()
    assert live.desired().retained == {"NetworkQoS/shop/broken"}


def test_a_new_pod_on_a_node_with_others_compiles_no_policy_anew() -> None:
    live = Compiler(OvnKubernetesTopology())
    live.apply(pod("a", "10.0.0.1"))
    live.apply(policy())
    assert live.drain().policies == {"shop/gold"}
    live.apply(pod("b", "10.0.0.2"))
    delta = live.drain()
    assert not delta.policies
    assert not delta.rows
    assert [group.ports for group in delta.desired.port_groups.values()] == [{"shop_b"}]
    assert live.counts() == {"row": 1, "port_group": 1, "address_set": 0}


def test_what_was_compiled_ahead_is_told_by_the_next_drain() -> None:
    live = Compiler(OvnKubernetesTopology())
    live.apply(pod("a", "10.0.0.1"))
    live.apply(policy())
    live.apply(policy(name="silver", priority=3))
    turns = iter((True, False))
    live.compile_some(lambda: next(turns))
    assert live.compiled("shop/gold")
    assert not live.compiled("shop/silver")
    live.compile_some(lambda: True)
    assert live.is_dirty
    delta = live.drain()
    assert delta.policies == {"shop/gold", "shop/silver"}
    assert delta.rows == live.desired().rows.keys()
    assert len(delta.rows) == 2
    assert live.drain().is_empty


def test_limits_of_pods_that_were_compiled_ahead_are_told_by_the_next_drain() -> None:
    live = Compiler(OvnKubernetesTopology())
    live.apply(replace(pod("a", "10.0.0.1"), qos=PodQos(dscp=10)))
    live.compile_some(lambda: True)
    assert live.is_dirty
    assert live.drain().pods == {"shop/a"}
    assert not live.is_dirty


def test_everything_names_all_that_is_wanted(live: Compiler) -> None:
    delta = live.drain_all()
    assert delta.desired == live.desired()
    assert delta.rows == delta.desired.rows.keys()
    assert delta.sets.keys() == delta.desired.port_groups.keys() | delta.desired.address_sets.keys()
    assert not any(touched is not None for touched in delta.sets.values())
    assert live.drain().is_empty


def test_a_pod_of_no_policy_costs_nothing(live: Compiler) -> None:
    live.apply(Pod(namespace="elsewhere", name="p", node="node1", labels={"x": "y"}, annotations={}))
    assert live.drain().is_empty


def test_what_somebody_changed_in_the_database_is_compared_again(live: Compiler) -> None:
    desired = live.desired()
    row, group = next(iter(desired.rows)), next(iter(desired.port_groups))
    live.mark_dirty(rows=[row], sets={group: None})
    delta = live.drain()
    assert delta.desired.rows == {row: desired.rows[row]}
    assert delta.desired.port_groups == {group: desired.port_groups[group]}
    assert delta.sets == {group: None}


def test_what_was_only_marked_is_told_apart_from_what_compiling_changed() -> None:
    live = Compiler(OvnKubernetesTopology())
    live.apply(pod("web", "10.0.0.1", labels={"app": "web"}))
    live.apply(policy(rule(dscp=10)))
    first = live.drain()
    assert first.compiled_rows == first.rows
    assert first.compiled_sets == first.sets
    (row,), (group,) = first.rows, first.desired.port_groups
    live.mark_dirty(rows=[row], sets={group: ["other"]})
    live.apply(pod("new", "10.0.0.2", labels={"app": "web"}))
    assert live.is_dirty
    second = live.drain()
    assert second.rows == {row}
    assert not second.compiled_rows
    assert second.sets[group] == frozenset({"other", "shop_new"})
    assert second.compiled_sets == {group: frozenset({"shop_new"})}
    live.mark_dirty(sets={group: None})
    third = live.drain()
    assert third.sets == {group: None}
    assert not third.compiled_sets
    assert live.drain().is_empty
