"""Any sequence of events ends in what the same objects give at once."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from netaddr import IPNetwork

from ovnqos import (
    Code,
    Compiler,
    DesiredState,
    Diagnostic,
    InvalidObject,
    LabelSelector,
    Namespace,
    ObjectRef,
    OvnKubernetesTopology,
    Pod,
)
from ovnqos.controller import policy_of
from ovnqos.match.named_sets import NamedSets
from ovnqos.match.terms import can_overlap
from ovnqos.model.workloads import PodQos
from tests.support import random_clusters as some
from tests.support.cluster import attachment, attachments_selector, pod, policy, rule
from tests.support.random_clusters import RANDOMS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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


def _invalid(random: Random) -> tuple[tuple[type, str], InvalidObject]:
    """A version of an object that is not valid, whether there was a valid one before or not."""
    kind, key = _identity(random.choice(_MAKERS)(random))
    namespace, _, name = key.rpartition("/")
    ref = ObjectRef(kind=kind.__name__, namespace=namespace, name=name)
    return (kind, key), InvalidObject(ref, [Diagnostic.error(ref, Code.INVALID_FIELD, "is wrong")])


@settings(max_examples=300, deadline=None)
@given(RANDOMS)
def test_deltas_add_up_to_a_full_compile(random: Random) -> None:
    zone = random.choice((None, ["node1", "node2"]))
    compiler = Compiler(OvnKubernetesTopology(zone_nodes=zone), cluster_cidrs=CLUSTER)
    mirror = Mirror()
    valid: dict[Any, Any] = {}  # the last valid versions
    invalid: dict[Any, InvalidObject] = {}
    for _ in range(random.randint(1, 6)):
        for _ in range(random.randint(1, 8)):
            if valid and random.random() < 0.25:
                gone = random.choice(sorted(valid, key=str))
                valid.pop(gone)
                invalid.pop(gone, None)
                compiler.delete(gone[0].__name__, gone[1])
            elif random.random() < 0.15:
                identity, error = _invalid(random)
                invalid[identity] = error
                compiler.apply(error)
            else:
                one = random.choice(_MAKERS)(random)
                valid[_identity(one)] = one
                invalid.pop(_identity(one), None)
                compiler.apply(one)
            if random.random() < 0.1:
                compiler.compile_some(lambda: random.random() < 0.7)
        if random.random() < 0.2:
            mirror.take_everything(compiler.drain_all())
        else:
            mirror.take(compiler.drain())
        assert not compiler.is_dirty
        at_once = random.sample(sorted(valid.values(), key=str), len(valid)) + list(invalid.values())
        full = Compiler.of(at_once, OvnKubernetesTopology(zone_nodes=zone), cluster_cidrs=CLUSTER)
        assert (mirror.rows, mirror.sets) == _everything(full.desired())
        assert compiler.desired() == full.desired()
        assert list(compiler.all_diagnostics()) == list(full.all_diagnostics())
        assert compiler.counts() == full.counts()


@pytest.fixture
def compiler() -> Compiler:
    started = Compiler(OvnKubernetesTopology())
    random = Random(3)
    for _ in range(60):
        started.apply(random.choice(_MAKERS)(random))
    started.drain()
    return started


def test_the_same_object_again_dirties_nothing(compiler: Compiler) -> None:
    random = Random(3)
    latest: dict[Any, Any] = {}
    for _ in range(60):
        one = random.choice(_MAKERS)(random)
        latest[_identity(one)] = one
    for one in latest.values():
        compiler.apply(one)
    assert compiler.drain().is_empty


def test_a_namespace_whose_labels_change_selects_other_attachments() -> None:
    compiler = Compiler(OvnKubernetesTopology())
    selector = attachments_selector(LabelSelector.from_labels({"tenant": "a"}), LabelSelector())
    compiler.apply(attachment("nets/blue", "10.0.0.0/16"))
    compiler.apply(pod("p", networks={"nets/blue": ["10.0.0.5"]}))
    compiler.apply(policy(rule(dscp=10), networks=[selector]))
    assert not compiler.drain().desired.rows
    compiler.apply(Namespace(name="nets", labels={"tenant": "a"}))
    appeared = compiler.drain()
    assert appeared.rows == appeared.desired.rows.keys() != set()
    compiler.delete("Namespace", "nets")
    assert compiler.drain().rows == appeared.rows


def test_policies_of_equal_priority_conflict_while_they_share_a_pod() -> None:
    compiler = Compiler(OvnKubernetesTopology())
    compiler.apply(pod("a", "10.0.0.1", labels={"app": "a"}))
    compiler.apply(pod("b", "10.0.0.2", labels={"tier": "b"}))
    compiler.apply(policy(rule(dscp=1), name="one", pods=LabelSelector.from_labels({"app": "a"})))
    compiler.apply(policy(rule(dscp=2), name="two", pods=LabelSelector.from_labels({"tier": "b"})))
    compiler.drain()
    assert not compiler.conflicts("shop/one")
    compiler.apply(pod("both", "10.0.0.3", labels={"app": "a", "tier": "b"}))
    assert compiler.drain().policies == {"shop/one", "shop/two"}
    assert compiler.conflicts("shop/one") == {"shop/two"}
    compiler.apply(policy(rule(dscp=2), name="two", priority=11, pods=LabelSelector.from_labels({"tier": "b"})))
    compiler.drain()
    assert not compiler.conflicts("shop/one")
    assert not compiler.conflicts("shop/two")


@pytest.mark.parametrize("gained", [{"app": "a"}, {"tier": "b"}], ids=["of the first", "of the second"])
def test_a_pod_that_only_one_of_two_policies_gains_makes_them_conflict(gained: dict[str, str]) -> None:
    compiler = Compiler(OvnKubernetesTopology())
    both = {"app": "a", "tier": "b"}
    compiler.apply(pod("a", "10.0.0.1", labels={"app": "a"}))
    compiler.apply(pod("b", "10.0.0.2", labels={"tier": "b"}))
    compiler.apply(pod("x", "10.0.0.3", labels={key: value for key, value in both.items() if key not in gained}))
    for name, (key, value) in zip(("one", "two"), both.items(), strict=True):
        compiler.apply(policy(rule(dscp=1), name=name, pods=LabelSelector.from_labels({key: value})))
        compiler.drain()
    compiler.apply(pod("x", "10.0.0.3", labels=both))
    compiler.drain()
    assert compiler.conflicts("shop/one") == {"shop/two"}
    compiler.delete("NetworkQoS", "shop/two")
    compiler.drain()
    assert not compiler.conflicts("shop/one")


@settings(max_examples=200, deadline=None)
@given(RANDOMS)
def test_conflicts_do_not_depend_on_the_order_of_events(random: Random) -> None:
    objects = {_identity(one): one for one in (random.choice(_MAKERS)(random) for _ in range(25))}
    expected: dict[str, frozenset[str]] | None = None
    for _ in range(2):
        compiler = Compiler(OvnKubernetesTopology())
        order = list(objects.values())
        random.shuffle(order)
        for one in order:
            compiler.apply(one)
            if random.random() < 0.5:
                compiler.drain()
        compiler.drain()
        found = {key: compiler.conflicts(key) for key in compiler.policies}
        assert all(key in found[other] for key, others in found.items() for other in others)
        assert expected is None or found == expected
        expected = found
        assert all(other in found[one] for one, other in _overlapping(compiler.desired()))


def _overlapping(desired: DesiredState) -> Iterator[tuple[str, str]]:
    """The policies with two rows of one switch, direction and priority that one packet can match, row by row."""
    names = NamedSets(
        address_sets={name: one.addresses for name, one in desired.address_sets.items()},
        port_groups={name: one.ports for name, one in desired.port_groups.items()},
    )
    for one, other in permutations(desired.rows.values(), 2):
        policies = policy_of(one.identity), policy_of(other.identity)
        if (
            all(policies)
            and policies[0] != policies[1]
            and (one.direction, one.priority) == (other.direction, other.priority)
            and one.switches & other.switches
            and can_overlap(one.match, other.match, names)
        ):
            yield policies


def test_an_invalid_version_keeps_the_rows_of_the_last_valid_one(compiler: Compiler) -> None:
    key = next(key for key in compiler.policies if compiler.compiled(key) and compiler.compiled(key).rows)  # type: ignore[union-attr] # just tested
    before = compiler.desired()
    namespace, _, name = key.partition("/")
    fault = InvalidObject(ObjectRef(kind="NetworkQoS", namespace=namespace, name=name), [])
    compiler.apply(fault)
    assert compiler.drain().is_empty
    assert compiler.desired() == before
    assert compiler.invalid == {key: fault}
    compiler.delete("NetworkQoS", key)
    assert compiler.drain().rows
    assert not compiler.invalid


def test_an_invalid_object_that_was_never_valid_keeps_what_the_database_has(compiler: Compiler) -> None:
    compiler.apply(InvalidObject(ObjectRef(kind="NetworkQoS", namespace="shop", name="broken"), []))
    compiler.drain()
    assert compiler.desired().retained == {"NetworkQoS/shop/broken"}


def test_a_new_pod_on_a_node_with_others_compiles_no_policy_anew() -> None:
    compiler = Compiler(OvnKubernetesTopology())
    compiler.apply(pod("a", "10.0.0.1"))
    compiler.apply(policy())
    assert compiler.drain().policies == {"shop/gold"}
    compiler.apply(pod("b", "10.0.0.2"))
    delta = compiler.drain()
    assert not delta.policies
    assert not delta.rows
    assert [group.ports for group in delta.desired.port_groups.values()] == [{"shop_b"}]
    assert compiler.counts() == {"row": 1, "port_group": 1, "address_set": 0}


def test_what_was_compiled_ahead_is_told_by_the_next_drain() -> None:
    compiler = Compiler(OvnKubernetesTopology())
    compiler.apply(pod("a", "10.0.0.1"))
    compiler.apply(policy())
    compiler.apply(policy(name="silver", priority=3))
    turns = iter((True, False))
    compiler.compile_some(lambda: next(turns))
    assert compiler.compiled("shop/gold")
    assert not compiler.compiled("shop/silver")
    compiler.compile_some(lambda: True)
    assert compiler.is_dirty
    delta = compiler.drain()
    assert delta.policies == {"shop/gold", "shop/silver"}
    assert delta.rows == compiler.desired().rows.keys()
    assert len(delta.rows) == 2
    assert compiler.drain().is_empty


def test_limits_of_pods_that_were_compiled_ahead_are_told_by_the_next_drain() -> None:
    compiler = Compiler(OvnKubernetesTopology())
    compiler.apply(replace(pod("a", "10.0.0.1"), qos=PodQos(dscp=10)))
    compiler.compile_some(lambda: True)
    assert compiler.is_dirty
    assert compiler.drain().pods == {"shop/a"}
    assert not compiler.is_dirty


def test_everything_names_all_that_is_wanted(compiler: Compiler) -> None:
    delta = compiler.drain_all()
    assert delta.desired == compiler.desired()
    assert delta.rows == delta.desired.rows.keys()
    assert delta.sets.keys() == delta.desired.port_groups.keys() | delta.desired.address_sets.keys()
    assert not any(touched is not None for touched in delta.sets.values())
    assert compiler.drain().is_empty


def test_a_pod_of_no_policy_costs_nothing(compiler: Compiler) -> None:
    compiler.apply(Pod(namespace="elsewhere", name="p", node="node1", labels={"x": "y"}, annotations={}))
    assert compiler.drain().is_empty


def test_what_somebody_changed_in_the_database_is_compared_again(compiler: Compiler) -> None:
    desired = compiler.desired()
    row, group = next(iter(desired.rows)), next(iter(desired.port_groups))
    compiler.mark_dirty(rows=[row], sets={group: None})
    delta = compiler.drain()
    assert delta.desired.rows == {row: desired.rows[row]}
    assert delta.desired.port_groups == {group: desired.port_groups[group]}
    assert delta.sets == {group: None}


def test_what_was_only_marked_is_told_apart_from_what_compiling_changed() -> None:
    compiler = Compiler(OvnKubernetesTopology())
    compiler.apply(pod("web", "10.0.0.1", labels={"app": "web"}))
    compiler.apply(policy(rule(dscp=10)))
    first = compiler.drain()
    assert first.compiled_rows == first.rows
    assert first.compiled_sets == first.sets
    (row,), (group,) = first.rows, first.desired.port_groups
    compiler.mark_dirty(rows=[row], sets={group: ["other"]})
    compiler.apply(pod("new", "10.0.0.2", labels={"app": "web"}))
    assert compiler.is_dirty
    second = compiler.drain()
    assert second.rows == {row}
    assert not second.compiled_rows
    assert second.sets[group] == frozenset({"other", "shop_new"})
    assert second.compiled_sets == {group: frozenset({"shop_new"})}
    compiler.mark_dirty(sets={group: None})
    third = compiler.drain()
    assert third.sets == {group: None}
    assert not third.compiled_sets
    assert compiler.drain().is_empty
