"""Parts of a conversion: selectors of exactly some pods; documents and annotations that are read as they were."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product
from typing import TYPE_CHECKING

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from netaddr import IPNetwork

from ovnqos import Bandwidth, Classifier, Manifests, Namespace, NetworkQoS, Pod, PodPeer, Rule
from ovnqos.controller import Operator, Requirement, parse_policy
from ovnqos.convert import network_qos_document, to_annotations, to_network_qos
from ovnqos.convert.documents import qos_annotations
from ovnqos.convert.label_selectors import PodLabels
from ovnqos.diagnostics import ObjectRef
from ovnqos.model.policy import BANDWIDTH_MAXIMUM
from ovnqos.model.workloads import PodQos
from ovnqos.sources.pod_annotations import read_pod_qos
from tests.support import random_clusters as make
from tests.support.label_oracle import selects

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

CIDRS = (IPNetwork("10.0.0.0/8"), IPNetwork("fd00::/8"))


def _conditions(key: str) -> Iterator[tuple[Requirement, ...]]:
    """All that a selector can say about a key whose values are those of `make`."""
    yield ()
    for operator in (Operator.EXISTS, Operator.DOES_NOT_EXIST):
        yield (Requirement(key=key, operator=operator),)
    for size in range(1, len(make.VALUES) + 1):
        for values in combinations(make.VALUES, size):
            for operator in (Operator.IN, Operator.NOT_IN):
                yield (Requirement(key=key, operator=operator, values=frozenset(values)),)


@settings(max_examples=25)
@given(make.RANDOMS)
def test_a_selector_takes_exactly_the_wanted_pods_or_there_is_none(random: Random) -> None:
    labels = {name: make.label_map(random) for name in "pqrstu"}
    wanted = set(random.sample(sorted(labels), random.randint(1, 4)))
    found = PodLabels(labels).selector(wanted)
    if found is not None:
        assert found.requirements
        assert {name for name, own in labels.items() if selects(found, own)} == wanted
        return
    for conditions in product(*map(list, map(_conditions, make.KEYS))):
        requirements = [one for several in conditions for one in several]
        taken = {name for name, own in labels.items() if all(one.matches(own) for one in requirements)}
        assert taken != wanted or not requirements


def _sayable(policy: NetworkQoS) -> NetworkQoS:
    """The policy as a document can have it: with marks, and without peers that select nothing."""

    def rule(one: Rule) -> Rule:
        to = one.classifier.destinations
        return Rule(
            dscp=one.dscp if one.dscp is not None else 0,
            bandwidth=one.bandwidth,
            classifier=Classifier(
                destinations=None if to is None else tuple(peer for peer in to if peer != PodPeer()),
                sources=one.classifier.sources,
                ports=one.classifier.ports,
            ),
        )

    return NetworkQoS(
        namespace=policy.namespace,
        name=policy.name,
        priority=policy.priority,
        rules=tuple(map(rule, policy.rules)),
        pod_selector=policy.pod_selector,
        network_selectors=policy.network_selectors,
        bandwidth_scope=policy.bandwidth_scope,
    )


@settings(max_examples=300)
@given(make.RANDOMS)
def test_a_policys_document_is_read_as_the_policy(random: Random) -> None:
    policy = _sayable(make.policy(random))
    document = yaml.safe_load(yaml.safe_dump(network_qos_document(policy)))
    assert parse_policy(document) == policy


LIMITS = st.none() | st.builds(
    Bandwidth,
    rate_kbps=st.integers(1, BANDWIDTH_MAXIMUM),
    burst_kbit=st.none() | st.integers(1, BANDWIDTH_MAXIMUM) | st.sampled_from((1_000, 20_000, 5_000_000)),
)


@given(st.builds(PodQos, ingress=LIMITS, egress=LIMITS, dscp=st.none() | st.integers(0, 63)))
def test_annotations_are_read_as_the_limits_they_are_made_of(qos: PodQos) -> None:
    pod = ObjectRef(kind="Pod", namespace="shop", name="web")
    assert replace(read_pod_qos(qos_annotations(qos), pod), diagnostics=()) == qos


def _pods(random: Random) -> tuple[Pod, ...]:
    """Pods of labels of their own, on the default network."""
    return tuple(
        Pod(
            namespace="shop",
            name=f"web-{number}",
            node="node1",
            labels={"app": "web", "number": str(number)},
            annotations={"k8s.ovn.org/pod-networks": '{"default": {"ip_addresses": ["10.0.0.1/24"]}}'},
            qos=_egress_qos(random),
        )
        for number in range(random.randint(1, 6))
    )


def _egress_qos(random: Random) -> PodQos:
    limit = Bandwidth(rate_kbps=random.choice((1_000, 2_000))) if random.random() < 0.7 else None
    return PodQos(egress=limit, dscp=random.choice((None, 0, 46)))


@settings(max_examples=200)
@given(make.RANDOMS)
def test_pods_that_labels_tell_apart_are_all_converted(random: Random) -> None:
    namespace = Namespace(name="shop", labels={}, qos=_egress_qos(random))
    objects = Manifests(pods=_pods(random), namespaces=(namespace,))
    made = to_network_qos(objects, cluster_cidrs=CIDRS, mark=0)
    limited = {pod.name: pod.qos for pod in objects.pods} | {namespace.name: namespace.qos}
    said = {part for name, qos in limited.items() for part in _parts(qos, name)}
    assert {(str(part), one.object.name) for one in made.replacements for part in one.parts} == said


def _parts(qos: PodQos, name: str) -> Iterator[tuple[str, str]]:
    if qos.egress is not None:
        yield "egress limit", name
    if qos.dscp is not None:
        yield "dscp", name


@settings(max_examples=200)
@given(make.RANDOMS)
def test_what_is_converted_comes_back(random: Random) -> None:
    """Pods and defaults end as they were but for marks that limits were given, and defaults that pods had overruled."""
    namespace = Namespace(name="shop", labels={}, qos=_egress_qos(random))
    objects = Manifests(pods=_pods(random), namespaces=(namespace,))
    made = to_network_qos(objects, cluster_cidrs=CIDRS, mark=0)
    bare = tuple(replace(pod, qos=PodQos()) for pod in objects.pods)
    back = to_annotations(Manifests(pods=bare, policies=made.policies), cluster_cidrs=CIDRS)
    assert {one.object.name for one in back.replacements} == {policy.name for policy in made.policies}
    given_back = {(one.object.kind, one.object.name): one.qos for one in back.annotated}
    defaults = given_back.get(("Namespace", "shop"), PodQos())
    for pod in objects.pods:
        own = given_back.get(("Pod", pod.name), PodQos())
        egress = pod.qos.egress or namespace.qos.egress
        mark = pod.qos.dscp if pod.qos.dscp is not None else namespace.qos.dscp
        assert (own.egress or defaults.egress) == egress
        expected = 0 if mark is None and egress is not None else mark
        assert (own.dscp if own.dscp is not None else defaults.dscp) == expected
