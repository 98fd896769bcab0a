"""Random clusters whose pods are limited in every way at once: annotations, EgressQoS and NetworkQoS objects.

The NADs are as ovn-kubernetes makes them: a primary network is of one namespace, and all of its pods are on it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from netaddr import IPNetwork

from ovnqos import Bandwidth, BandwidthScope, Classifier, IPBlock, Manifests, NetworkQoS, Pod, Rule
from ovnqos.controller import NetworkTopology
from ovnqos.convert.conversion import outside_blocks
from ovnqos.model.labels import EVERYTHING, LabelSelector
from ovnqos.model.networks import DEFAULT_NETWORK_SELECTOR, NetworkRole, NetworkSelectionType, NetworkSelector
from ovnqos.model.workloads import NO_POD_QOS, PodQos
from ovnqos.sources.egress_qos import EgressQoS, EgressQoSRule
from tests.support import random_clusters as make
from tests.support.cluster import POD_NETWORKS, attachment

if TYPE_CHECKING:
    from collections.abc import Callable, Set
    from random import Random

    from ovnqos import NetworkAttachmentDefinition
    from tests.support.policy_oracle import Cluster

CLUSTER_CIDRS = (
    (),
    (IPNetwork("10.0.0.0/29"), IPNetwork("fd00::/125")),
    (IPNetwork("10.0.0.0/29"), IPNetwork("fd00::/125")),
    (IPNetwork("10.0.0.0/29"), IPNetwork("10.0.0.4/30")),
    (IPNetwork("10.0.0.6/31"), IPNetwork("10.0.0.0/30"), IPNetwork("fd00::/126")),
    (IPNetwork("0.0.0.0/0"), IPNetwork("fd00::/125")),
    (IPNetwork("0.0.0.0/0"), IPNetwork("::/0")),
)
_ANY_PRIMARY = NetworkSelector(type=NetworkSelectionType.PRIMARY_USER_DEFINED_NETWORKS, namespace_selector=EVERYTHING)
MARKS = (None, 0, 46)
_LIMITS = (None, Bandwidth(rate_kbps=1_000), Bandwidth(rate_kbps=2_000), Bandwidth(rate_kbps=2_000, burst_kbit=400))


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """A cluster with its policies, and what a conversion is told beside it."""

    cluster: Cluster
    objects: Manifests
    cluster_cidrs: tuple[IPNetwork, ...]
    mark: int | None


def for_network_qos(random: Random) -> Situation:
    """A cluster with annotations and EgressQoS objects to convert, and sometimes other policies in the way."""
    cidrs = random.choice(CLUSTER_CIDRS)
    count = random.choice((0, 0, 0, 1, 2, 4))
    return _situation(random, cidrs, lambda _: [_other_policy(random) for _ in range(count)], limited=0.6)


def for_annotations(random: Random) -> Situation:
    """A cluster with policies to convert, mostly such as annotations can say, and few other things in the way."""
    cidrs = random.choice(CLUSTER_CIDRS)

    def policies(primary: Set[str]) -> list[NetworkQoS]:
        sayable = [_sayable_policy(random, cidrs, primary) for _ in range(random.randint(1, 4))]
        return [*sayable, *(_other_policy(random) for _ in range(random.choice((0, 0, 0, 1))))]

    return _situation(random, cidrs, policies, limited=random.choice((0.0, 0.0, 0.05, 0.3)))


def _situation(
    random: Random,
    cidrs: tuple[IPNetwork, ...],
    policies: Callable[[Set[str]], list[NetworkQoS]],
    *,
    limited: float,
) -> Situation:
    """A cluster; `limited` is the share of its pods and namespaces that have annotations.

    `policies` makes the policies, told which namespaces have a primary network.
    """

    def qos() -> PodQos:
        return pod_qos(random) if random.random() < limited else NO_POD_QOS

    drawn = make.cluster(random)
    attachments = [_secondary(nad) for nad in drawn.attachments]
    pods = [replace(pod, qos=qos()) for pod in drawn.pods]
    primary = set()
    for namespace in sorted({pod.namespace for pod in pods}):
        if random.random() < 0.3:
            primary.add(namespace)
            key = f"{namespace}/primary"
            attachments.append(
                attachment(
                    key,
                    "10.0.0.0/16",
                    network=f"{namespace}-primary",
                    topology=random.choice((NetworkTopology.LAYER2, NetworkTopology.LAYER3)),
                    role=NetworkRole.PRIMARY,
                )
            )
            pods = [_attached(pod, key) if pod.namespace == namespace else pod for pod in pods]
    cluster = replace(
        drawn,
        pods=tuple(pods),
        namespaces=tuple(replace(one, qos=qos()) for one in drawn.namespaces),
        attachments=tuple(attachments),
    )
    # in one order: a set's depends on the process, and so would what a seed draws
    marked = [namespace for namespace in sorted(set(make.NAMESPACES)) if random.random() < limited * 0.7]
    objects = Manifests(
        pods=cluster.pods,
        namespaces=cluster.namespaces,
        network_attachment_definitions=cluster.attachments,
        policies=tuple({one.key: one for one in policies(primary)}.values()),
        egress_qos=tuple(egress_qos(random, namespace) for namespace in marked),
    )
    return Situation(cluster=cluster, objects=objects, cluster_cidrs=cidrs, mark=random.choice(MARKS))


def _secondary(nad: NetworkAttachmentDefinition) -> NetworkAttachmentDefinition:
    return nad if nad.ovn is None else replace(nad, ovn=replace(nad.ovn, role=NetworkRole.SECONDARY))


def _attached(pod: Pod, key: str) -> Pod:
    networks = json.loads(pod.annotations.get(POD_NETWORKS, "{}"))
    networks[key] = {"ip_addresses": ["10.0.0.2/24"], "mac_address": "0a:58:0a:00:00:02"}
    return replace(pod, annotations={POD_NETWORKS: json.dumps(networks)})


def pod_qos(random: Random) -> PodQos:
    """One of a few, so that pods often have the same."""
    return PodQos(
        ingress=random.choice((*_LIMITS[:2], None, None)),
        egress=random.choice((None, *_LIMITS)),
        dscp=random.choice((None, None, 0, 10, 46)),
    )


def egress_qos(random: Random, namespace: str) -> EgressQoS:
    """A few rules, or seldom more of them than one NetworkQoS holds."""
    count = random.choice((1, 2, 3, 6, 45))
    selectors = [EVERYTHING, *(make.selector(random) for _ in range(2))]
    chosen = random.choice(selectors)
    rules = []
    for _ in range(count):
        if random.random() < 0.3:
            chosen = random.choice(selectors)
        destination = None if random.random() < 0.3 else IPNetwork(random.choice((*make.V4_CIDRS, *make.V6_CIDRS)))
        rules.append(EgressQoSRule(dscp=random.randint(0, 63), destination=destination, pod_selector=chosen))
    return EgressQoS(namespace=namespace, name="default", rules=tuple(rules))


def _other_policy(random: Random) -> NetworkQoS:
    """Any policy, of a priority that leaves room below it or not; often one that takes all that its pods send."""
    drawn = replace(make.policy(random), priority=random.choice((0, 1, 5, 60)))
    if random.random() < 0.5:
        return drawn
    rules = (replace(drawn.rules[0], classifier=Classifier()), *drawn.rules[1:])
    return replace(drawn, rules=rules, pod_selector=_selector(random), network_selectors=None)


def _selector(random: Random) -> LabelSelector:
    """A selector that often takes pods."""
    return random.choice((EVERYTHING, make.selector(random), LabelSelector.from_labels({"app": random.choice("ab")})))


def _sayable_policy(random: Random, cidrs: tuple[IPNetwork, ...], primary: Set[str]) -> NetworkQoS:
    """A policy that annotations can say but for a detail or two."""
    drawn = make.policy(random)
    everywhere = random.choice((("0.0.0.0/0", "::/0"), ("::/0", "0.0.0.0/1", "128.0.0.0/1")))
    classifier = random.choice(
        (
            Classifier(),
            Classifier(),
            Classifier(destinations=tuple(IPBlock(cidr=IPNetwork(text)) for text in everywhere)),
            Classifier(destinations=outside_blocks(cidrs)),
        )
    )
    bandwidth = random.choice(_LIMITS) if classifier.destinations is None or random.random() < 0.2 else None
    namespace = random.choice((*make.NAMESPACES, "shop", "shop"))
    fitting = (_ANY_PRIMARY,) if namespace in primary else (DEFAULT_NETWORK_SELECTOR,)
    return replace(
        drawn,
        namespace=namespace,
        priority=random.choice((0, 1, 5, 60)),
        rules=(Rule(dscp=random.choice((None, 0, 10, 46, 63)), bandwidth=bandwidth, classifier=classifier),),
        pod_selector=_selector(random),
        network_selectors=random.choice((fitting,) * 8 + (None, drawn.network_selectors)),
        bandwidth_scope=random.choice((BandwidthScope.POD,) * 6 + (BandwidthScope.POLICY,)),
    )
