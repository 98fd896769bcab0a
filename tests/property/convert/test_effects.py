"""What is converted has the same effect, beside all that is not: packet by packet, on both pipeline versions of OVN."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

from hypothesis import example, given, settings
from netaddr import IPAddress, IPNetwork

from ovnqos import Bandwidth, Code, Compiler, Direction, Manifests, Namespace, OvnKubernetesTopology, QosRow
from ovnqos import match as m
from ovnqos.convert import Part, to_annotations, to_network_qos
from ovnqos.model.labels import EVERYTHING
from ovnqos.model.workloads import PodQos, merge
from ovnqos.sources.egress_qos import EgressQoS, EgressQoSRule
from tests.support import random_clusters as make
from tests.support.cluster import names_of, pod
from tests.support.effects import Effect, TableLayout, UndefinedEffect, effect
from tests.support.label_oracle import selects
from tests.support.packets import GROUP, Packet
from tests.support.policy_oracle import Cluster, takes
from tests.support.random_conversions import Situation, for_annotations, for_network_qos

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ovnqos import NetworkQoS, Pod
    from ovnqos.convert import Replacement

PACKETS = 30


class Wire:
    """A cluster's rows, with those that ovn-kubernetes writes for EgressQoS; ingress limits are left out."""

    def __init__(
        self,
        cluster: Cluster,
        policies: Iterable[NetworkQoS],
        egress_qos: Iterable[EgressQoS],
        cluster_cidrs: tuple[IPNetwork, ...],
    ) -> None:
        topology = OvnKubernetesTopology(zone_nodes=cluster.zone_nodes)
        without_ingress = [replace(one, qos=replace(one.qos, ingress=None)) for one in cluster.pods]
        namespaces = [replace(one, qos=replace(one.qos, ingress=None)) for one in cluster.namespaces]
        objects = (*without_ingress, *namespaces, *cluster.attachments, *policies)
        compiler = Compiler.of(objects, topology, cluster_cidrs=cluster_cidrs)
        assert not any(one.code is Code.COMPILE_FAILED for one in compiler.all_diagnostics())
        self._inventory = compiler.inventory
        self._names = names_of(compiler)
        self._rows = [*compiler.desired().rows.values()]
        for one in egress_qos:
            self._rows.extend(_egress_qos_rows(one, cluster))

    def effect(self, packet: Packet, layout: TableLayout) -> Effect:
        return effect(self._rows, packet, self._names, layout)

    def marks_twice(self, packet: Packet, layout: TableLayout) -> bool:
        """Whether a packet is marked as it enters and again, maybe by a row of lower priority, as it leaves."""
        by_direction = ([row for row in self._rows if row.direction is one] for one in Direction)
        return all(effect(rows, packet, self._names, layout).mark is not None for rows in by_direction)

    def carries(self, packet: Packet, attachment: str) -> bool:
        """Whether anything on a network has addresses of the packet's IP version.

        Else a rule for all addresses of the other version is one for all traffic there, which a pod's limit joins, and
        nothing is promised of such a packet: it can have a false source only.
        """
        network = self._inventory.network_of(attachment)
        return network is None or network.may_carry(packet.version)


def _egress_qos_rows(egress_qos: EgressQoS, cluster: Cluster) -> Iterator[QosRow]:
    """As ovn-kubernetes has them: priority 1000 and one less a rule, on the nodes' switches, after routing."""
    for index, rule in enumerate(egress_qos.rules):
        ports = [
            one.port
            for one in cluster.interfaces
            if one.attachment == "default"
            and one.pod.namespace == egress_qos.namespace
            and selects(rule.pod_selector, one.pod.labels)
            and one.pod.node in (cluster.zone_nodes or make.NODES)
        ]
        if ports:
            match = m.Or.of(*map(m.inport, ports))
            if rule.destination is not None:
                side = m.ip4.dst if rule.destination.version == 4 else m.ip6.dst
                match = m.And.of(match, side.isin(str(rule.destination)))
            yield QosRow(
                switches=frozenset(make.NODES),
                direction=Direction.TO_LPORT,
                priority=1000 - index,
                match=match,
                dscp=rule.dscp,
            )


class Comparison:
    """Holds a cluster before a conversion against one after it. A meter before must be one meter after."""

    def __init__(
        self,
        cluster: Cluster,
        before: Wire,
        after: Wire,
        expected_mark: Callable[[Packet, int | None], int | None],
    ) -> None:
        self._cluster = cluster
        self._before = before
        self._after = after
        self._expected_mark = expected_mark
        self._meters: dict[str, str] = {}

    def hold(self, packet: Packet) -> None:
        sender = _sender(self._cluster, packet)
        if sender is not None and not self._before.carries(packet, sender[1]):
            return
        for layout in TableLayout:
            try:
                before = self._before.effect(packet, layout)
            except UndefinedEffect:  # two of the given policies contradict each other
                continue
            after = self._after.effect(packet, layout)
            if not self._is_marked_last_by_a_lower_row(packet, layout):
                assert after.mark == self._expected_mark(packet, before.mark), (layout, packet, before, after)
            assert after.limits == before.limits, (layout, packet, before, after)
            if len(before.meters) == 1:
                ((_, _, old),), ((_, _, new),) = before.meters, after.meters
                assert self._meters.setdefault(f"was {old}", new) == new
                assert self._meters.setdefault(f"is {new}", old) == old

    def _is_marked_last_by_a_lower_row(self, packet: Packet, layout: TableLayout) -> bool:
        """Whether a packet to several receivers may be, before or after: see docs/rows.md, "Groups once"."""
        return packet.next_hop == GROUP and any(one.marks_twice(packet, layout) for one in (self._before, self._after))


def _without(one: Pod | Namespace, replacements: dict[str, Replacement]) -> PodQos:
    """What is left of an object's annotations."""
    kind = type(one).__name__
    key = f"{one.namespace}/{one.name}" if hasattr(one, "namespace") else one.name
    found = replacements.get(f"{kind} {key}")
    parts = found.parts if found is not None else frozenset()
    return replace(
        one.qos,
        egress=None if Part.LIMIT in parts else one.qos.egress,
        dscp=None if Part.MARK in parts else one.qos.dscp,
    )


def _with_qos(cluster: Cluster, qos: Callable[[Pod | Namespace], PodQos]) -> Cluster:
    known = {one.name: one for one in cluster.namespaces}
    namespaces = {name: Namespace(name=name, labels={}) for name in make.NAMESPACES} | known
    return replace(
        cluster,
        pods=tuple(replace(one, qos=qos(one)) for one in cluster.pods),
        namespaces=tuple(replace(one, qos=qos(one)) for one in namespaces.values()),
    )


def _merged(cluster: Cluster, pod: Pod) -> PodQos:
    return merge(pod.qos, next((one.qos for one in cluster.namespaces if one.name == pod.namespace), PodQos()))


def _sender(cluster: Cluster, packet: Packet) -> tuple[Pod, str] | None:
    """The pod that sends a packet, and its attachment."""
    for one in cluster.interfaces:
        if (one.port, one.switch) == (packet.inport, packet.switch):
            return one.pod, one.attachment
    return None


def _annotated_attachment(objects: Manifests, namespace: str) -> str:
    primary = [one for one in objects.network_attachment_definitions if one.key == f"{namespace}/primary"]
    return primary[0].key if primary else "default"


def _to_network_qos(given_: Situation) -> tuple[Comparison, int]:
    objects, cluster, cidrs = given_.objects, given_.cluster, given_.cluster_cidrs
    made = to_network_qos(objects, cluster_cidrs=cidrs, mark=given_.mark)
    replaced = {str(one.object): one for one in made.replacements}
    after_cluster = _with_qos(cluster, lambda one: _without(one, replaced))
    old = {pod.key: _merged(cluster, pod) for pod in cluster.pods}
    new = {pod.key: _merged(after_cluster, pod) for pod in after_cluster.pods}

    def expected_mark(packet: Packet, mark: int | None) -> int | None:
        """Of a pod whose limit became a rule no packet is without its mark."""
        sender = _sender(cluster, packet)
        if mark is not None or sender is None or sender[1] != _annotated_attachment(objects, sender[0].namespace):
            return mark
        was = old[sender[0].key]
        if was.egress is None or new[sender[0].key].egress is not None or sender[0].node == "":
            return mark
        if cluster.zone_nodes is not None and sender[0].node not in cluster.zone_nodes:
            return mark
        return was.dscp if was.dscp is not None else given_.mark

    before = Wire(cluster, objects.policies, objects.egress_qos, cidrs)
    left = [one for one in objects.egress_qos if f"EgressQoS {one.key}" not in replaced]
    after = Wire(after_cluster, (*objects.policies, *made.policies), left, cidrs)
    return Comparison(cluster, before, after, expected_mark), len(made.policies)


@settings(max_examples=300)
@given(make.RANDOMS)
def test_network_qos_does_what_annotations_and_egress_qos_did(random: Random) -> None:
    given_ = for_network_qos(random)
    comparison, _ = _to_network_qos(given_)
    for _ in range(PACKETS):
        comparison.hold(make.packet(random, given_.cluster))


@settings(max_examples=300)
@example(Random(2048))  # a packet to a group that a pod's own mark, below the rule, marks last
@given(make.RANDOMS)
def test_annotations_do_what_network_qos_did(random: Random) -> None:
    given_ = for_annotations(random)
    objects, cluster, cidrs = given_.objects, given_.cluster, given_.cluster_cidrs
    made = to_annotations(objects, cluster_cidrs=cidrs)
    replaced = {str(one.object) for one in made.replacements}
    annotations = {f"{one.object.kind} {one.object.namespace}/{one.object.name}": one.qos for one in made.annotated}
    gone = [one for one in objects.policies if f"NetworkQoS {one.key}" in replaced]

    def qos(one: Pod | Namespace) -> PodQos:
        key = f"{type(one).__name__} {getattr(one, 'namespace', '')}/{one.name}"
        return merge(annotations.get(key, PodQos()), one.qos)

    after_cluster = _with_qos(cluster, qos)

    def expected_mark(packet: Packet, mark: int | None) -> int | None:
        """No annotation marks what stays in the cluster, nor an IP version of which its addresses are not known."""
        sender = _sender(cluster, packet)
        own = [
            subnet
            for one in objects.network_attachment_definitions
            if sender is not None and one.key == sender[1] and one.ovn is not None
            for subnet in one.ovn.subnets
        ]
        known = [cidr for cidr in (*cidrs, *own) if cidr.version == packet.version]
        inside = not cidrs or not known or any(packet.destination in cidr for cidr in known)
        return None if inside and any(takes(policy, 0, packet, cluster) for policy in gone) else mark

    before = Wire(cluster, objects.policies, objects.egress_qos, cidrs)
    after = Wire(after_cluster, [one for one in objects.policies if one not in gone], objects.egress_qos, cidrs)
    comparison = Comparison(cluster, before, after, expected_mark)
    for _ in range(PACKETS):
        comparison.hold(make.packet(random, cluster))


def test_a_pod_on_a_network_of_one_ip_version_keeps_its_marks_there() -> None:
    """A rule for all of IPv6 is one for all traffic where only IPv6 is: the pod's limit joins it."""
    qos = PodQos(egress=Bandwidth(rate_kbps=1_000))
    client = replace(pod("p", "fd00::6", node="node3"), qos=qos)
    rules = (EgressQoSRule(dscp=47, destination=IPNetwork("::/0"), pod_selector=EVERYTHING),)
    marks = EgressQoS(namespace="shop", name="default", rules=rules)
    cluster = Cluster(pods=(client,), namespaces=(), attachments=(), zone_nodes=None)
    objects = Manifests(pods=cluster.pods, egress_qos=(marks,))
    comparison, made = _to_network_qos(Situation(cluster=cluster, objects=objects, cluster_cidrs=(), mark=None))
    assert made == 1
    for addresses in (("fd00::6", "2001:db8::9"), ("10.0.0.6", "10.0.0.1")):  # the second: a false source
        source, destination = map(IPAddress, addresses)
        comparison.hold(Packet(switch="node3", inport="shop_p", source=source, destination=destination, protocol="udp"))
