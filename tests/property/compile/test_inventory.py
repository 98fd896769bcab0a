"""Selectors by Kubernetes' definition, and the inventory's label index against a look at every pod."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from ovnqos import LabelSelector, Namespace, NetworkAttachmentDefinition, OvnKubernetesTopology, Pod
from ovnqos.controller import Inventory, Operator, Requirement
from tests.support import random_clusters as make
from tests.support.cluster import POD_NETWORKS, kind_and_key, pod
from tests.support.label_oracle import selects

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from random import Random

KEYS = st.sampled_from(("app", "tier", "example.com/part-of"))
VALUES = st.sampled_from(("", "a", "b", "c"))
LABELS = st.dictionaries(KEYS, VALUES)
REQUIREMENTS = st.builds(
    Requirement,
    key=KEYS,
    operator=st.sampled_from((Operator.IN, Operator.NOT_IN)),
    values=st.frozensets(VALUES, min_size=1),
) | st.builds(Requirement, key=KEYS, operator=st.sampled_from((Operator.EXISTS, Operator.DOES_NOT_EXIST)))
ANY_REQUIREMENTS = st.builds(Requirement, key=KEYS, operator=st.sampled_from(Operator), values=st.frozensets(VALUES))
SELECTORS = st.lists(REQUIREMENTS, max_size=4).map(LabelSelector.of)


@given(SELECTORS, LABELS)
def test_a_selector_matches_by_the_definition_of_kubernetes(selector: LabelSelector, labels: dict[str, str]) -> None:
    assert selector.matches(labels) == selects(selector, labels)


@given(LABELS, LABELS)
def test_match_labels_ask_for_exactly_these_values(wanted: dict[str, str], labels: dict[str, str]) -> None:
    assert LabelSelector.from_labels(wanted).matches(labels) == (wanted.items() <= labels.items())


@given(st.lists(REQUIREMENTS, max_size=4), st.randoms())
def test_order_and_repeats_of_requirements_do_not_matter(requirements: list[Requirement], random: Random) -> None:
    shuffled = [*requirements, *requirements]
    random.shuffle(shuffled)
    assert LabelSelector.of(shuffled) == LabelSelector.of(requirements)


@given(SELECTORS, SELECTORS)
def test_only_equal_selectors_are_equal_in_words(one: LabelSelector, other: LabelSelector) -> None:
    assert (str(one) == str(other)) == (one == other)


@given(st.lists(ANY_REQUIREMENTS, max_size=2).map(LabelSelector.of), LABELS)
def test_the_index_agrees_with_the_selector_even_where_kubernetes_refuses_the_requirement(
    selector: LabelSelector, labels: dict[str, str]
) -> None:
    one = pod("p", "10.0.0.1", labels=labels)
    found = Inventory(OvnKubernetesTopology(), [one]).pods(selector, one.namespace)
    assert [record.pod for record in found] == ([one] if selector.matches(labels) else [])


def _change(random: Random) -> Pod | Namespace | NetworkAttachmentDefinition:
    one = random.choice((make.pod, make.pod, make.pod, make.namespace, make.nad))(random)
    if isinstance(one, Pod) and random.random() < 0.1:
        return pod(one.name, namespace=one.namespace, networks={"default": ["not an address"]})
    return one


def _key(one: Pod | Namespace | NetworkAttachmentDefinition) -> tuple[type[object], str]:
    return type(one), one.name if isinstance(one, Namespace) else one.key


def _changed(random: Random) -> tuple[Inventory, list[object]]:
    """An inventory after changes in any order, and the objects that are left."""
    inventory = Inventory(OvnKubernetesTopology())
    left: dict[object, object] = {}
    for _ in range(random.randint(5, 60)):
        one = _change(random)
        if random.random() < 0.35:
            inventory.delete(*kind_and_key(one))
            left.pop(_key(one), None)
        else:
            inventory.apply(one)
            left[_key(one)] = one
        if random.random() < 0.3:  # a query between the changes must not make the next ones stale
            list(inventory.pods(make.selector(random), make.namespace_selector(random)))
            inventory.network_of("lab/no-ipam")
    return inventory, list(left.values())


def _reachable(objects: Iterable[object]) -> list[Pod]:
    """Pods with interfaces of their own."""
    return [
        one
        for one in objects
        if isinstance(one, Pod)
        and not one.host_network
        and one.phase not in {"Succeeded", "Failed"}
        and one.annotations.get(POD_NETWORKS)
        and "not an address" not in one.annotations[POD_NETWORKS]
    ]


@settings(max_examples=200)
@given(make.RANDOMS)
def test_queries_find_what_a_look_at_every_pod_finds(random: Random) -> None:
    inventory, objects = _changed(random)
    labels: dict[str, Mapping[str, str]] = {
        name: {"kubernetes.io/metadata.name": name} for name in ("shop", "bank", "lab")
    }
    labels |= {one.name: {**one.labels, **labels[one.name]} for one in objects if isinstance(one, Namespace)}
    for _ in range(10):
        pods, namespaces = make.selector(random), make.namespace_selector(random)
        matching = [one for one in _reachable(objects) if selects(pods, one.labels)]
        for name in labels:
            found = [record.pod.key for record in inventory.pods(pods, name)]
            assert sorted(found) == sorted(one.key for one in matching if one.namespace == name)
        found = [record.pod.key for record in inventory.pods(pods, namespaces)]
        assert sorted(found) == sorted(one.key for one in matching if selects(namespaces, labels[one.namespace]))


@settings(max_examples=200)
@given(make.RANDOMS)
def test_an_inventory_after_changes_equals_a_fresh_one_of_what_is_left(random: Random) -> None:
    inventory, objects = _changed(random)
    random.shuffle(objects)
    fresh = Inventory(OvnKubernetesTopology(), objects)
    for pods, namespaces in [(make.selector(random), make.namespace_selector(random)) for _ in range(10)]:
        found, expected = ({one.pod.key: one for one in known.pods(pods, namespaces)} for known in (inventory, fresh))
        assert found == expected
    records = fresh.pods(LabelSelector(), LabelSelector())
    for attachment in {one.attachment for record in records for one in record.interfaces}:
        assert inventory.network_of(attachment) == fresh.network_of(attachment)
        assert inventory.attachment(attachment) == fresh.attachment(attachment)
    assert inventory.problems.keys() == fresh.problems.keys()
