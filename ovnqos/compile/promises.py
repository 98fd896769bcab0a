"""What objects promise to packets, rule by rule, whichever rows keep it; `verify` holds a Northbound against it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ovnqos.compile.classifiers import compile_classifier
from ovnqos.compile.compiled import CompiledObject
from ovnqos.compile.pod_qos import default_interface
from ovnqos.compile.rows import POLICY_KIND, network_qos_priority
from ovnqos.compile.selections import PodSelection
from ovnqos.compile.source_selection import find_sources
from ovnqos.diagnostics import ObjectRef
from ovnqos.match import FALSE, MatchText, NamedSets, ip
from ovnqos.model.owner import RULE_KEY
from ovnqos.model.policy import BandwidthScope
from ovnqos.model.workloads import Purpose, merge

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ovnqos.compile.compiled import CompileContext, SetDescription
    from ovnqos.compile.inventory import PodRecord
    from ovnqos.compile.source_selection import NetworkSources
    from ovnqos.match import Match
    from ovnqos.model.policy import Bandwidth, NetworkQoS


class PromiseKind(StrEnum):
    """Which promises exclude each other: of one kind the highest that takes a packet counts."""

    RULE = "rule"
    EGRESS = "egress"
    INGRESS = "ingress"
    DSCP = "dscp"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Promise:
    """What a rule of a NetworkQoS, or an annotation, promises to packets on one network.

    Attributes:
        kind: what it is of.
        object: whose it is.
        path: the rule or annotation, as diagnostics name it.
        network: the network's name; empty where no source pod is on one.
        priority: of two of one kind the higher counts.
        match: the packets, without the port.
        switches: the ports that they enter by, or for `INGRESS` leave by, with the names of their switches.
        dscp: the mark that they leave with; None for no promise.
        limit: what they are limited to; None for no promise.
        is_per_port: whether each port has a limit of its own.
    """

    kind: PromiseKind
    object: ObjectRef
    path: str
    network: str
    priority: int
    match: Match
    switches: Mapping[str, str] = field(default_factory=dict)
    dscp: int | None = None
    limit: Bandwidth | None = None
    is_per_port: bool = False

    @property
    def object_name(self) -> str:
        """The object as rows name it."""
        return f"{self.object.kind}/{self.object.key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Promises:
    """All promises of objects, sorted by object, and the sets that their matches name."""

    items: tuple[Promise, ...]
    names: NamedSets


def find_promises(policies: Iterable[NetworkQoS], pods: Iterable[CompiledObject], context: CompileContext) -> Promises:
    """Find what policies, and the annotations of pods, promise.

    Args:
        policies: valid ones.
        pods: what the pods of this zone that have limits or a mark compiled to.
        context: the cluster.
    """
    sets: dict[str, SetDescription] = {}
    found: list[Promise] = []
    for policy in policies:
        found.extend(_of_policy(policy, context, sets))
    for compiled in pods:
        record = context.inventory.record(compiled.object.namespace, compiled.object.name)
        if record is not None:
            sets |= compiled.sets
            found.extend(_of_pod(record, compiled, context))
    return Promises(
        items=tuple(sorted(found, key=lambda one: (one.object_name, one.priority, one.path, one.network))),
        names=NamedSets(
            address_sets={name: one.members.find(context) for name, one in sets.items() if not one.is_port_group},
            port_groups={name: one.members.find(context) for name, one in sets.items() if one.is_port_group},
        ),
    )


def _of_policy(policy: NetworkQoS, context: CompileContext, sets: dict[str, SetDescription]) -> Iterator[Promise]:
    ref = ObjectRef(kind=POLICY_KIND, namespace=policy.namespace, name=policy.name)
    members = context.sources.members(PodSelection.of_sources(policy))
    networks: tuple[NetworkSources | None, ...] = find_sources(
        policy.network_selectors, members, context.inventory, CompiledObject(object=ref)
    )
    for sources in networks or (None,):
        for index, rule in enumerate(policy.rules):
            if rule.dscp is None and rule.bandwidth is None:
                continue
            match: Match = ip
            switches: dict[str, str] = {}
            if sources is not None:
                compiled = compile_classifier(policy, index, sources.network, context.owner)
                match = FALSE if compiled is None else MatchText(compiled.text)
                sets |= {one.name: one for one in (compiled.sets if compiled is not None else ())}
                topology = context.inventory.topology
                for attachment in sources.attachments:
                    for port, location in members.ports[attachment].items():
                        switches[port] = topology.switch(sources.network, location)
            yield Promise(
                kind=PromiseKind.RULE,
                object=ref,
                path=f"spec.egress[{index}]",
                network=sources.network.name if sources is not None else "",
                priority=network_qos_priority(policy.priority, index),
                match=match,
                switches=switches,
                dscp=rule.dscp,
                limit=rule.bandwidth,
                is_per_port=policy.bandwidth_scope is BandwidthScope.POD,
            )


def _of_pod(record: PodRecord, compiled: CompiledObject, context: CompileContext) -> Iterator[Promise]:
    inventory = context.inventory
    qos = merge(record.pod.qos, inventory.namespace_qos(record.pod.namespace))
    interface = default_interface(record, inventory)
    network = inventory.network_of(interface.attachment) if interface is not None else None
    if interface is None or network is None:
        return
    switches = {interface.port: inventory.topology.switch(network, interface.location)}
    limits = ((PromiseKind.EGRESS, qos.egress), (PromiseKind.INGRESS, qos.ingress))
    of_pod: dict[str, Any] = {
        "object": compiled.object,
        "network": network.name,
        "priority": 0,
        "switches": switches,
    }
    for kind, limit in limits:
        if limit is not None:
            yield Promise(kind=kind, path=kind, match=ip, limit=limit, is_per_port=True, **of_pod)
    outside = next((row.match for row in compiled.rows.values() if row.external_ids[RULE_KEY] == Purpose.DSCP), None)
    if qos.dscp is not None and outside is not None:  # else which destinations are outside is not known
        yield Promise(kind=PromiseKind.DSCP, path=PromiseKind.DSCP, match=outside, dscp=qos.dscp, **of_pod)
