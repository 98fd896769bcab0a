"""Compile what a pod's annotations, or its namespace's, say of its traffic: rows of its own.

Egress is limited where the packet enters the switch, ingress where it leaves it, and the mark is set where it leaves
the source's switch. So no two of them have one direction and one packet, where OVN would apply only one of them. Where
an egress limit and a NetworkQoS both take all of the pod's traffic, one row does both; see `precedence`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from netaddr import IPAddress, IPNetwork

from ovnqos.compile.classifiers import LITERAL_BLOCKS_MAXIMUM
from ovnqos.compile.compiled import CompiledObject, FixedMembers, SetDescription
from ovnqos.compile.precedence import LimitedReceiver, has_both_directions
from ovnqos.compile.rows import (
    INGRESS_QOS_PRIORITY,
    POD_KIND,
    POD_MARK_PRIORITY,
    POD_QOS_PRIORITY,
    Direction,
    QosRow,
    joined_priority,
    name_hash,
)
from ovnqos.diagnostics import Code, ObjectRef, listed
from ovnqos.match import FALSE, MatchText, Or, ip4, ip6
from ovnqos.match.addresses import AddressBlock, difference
from ovnqos.model.networks import NetworkRole
from ovnqos.model.owner import JOINED_KEY, NETWORK_KEY, OBJECT_KEY, PORT_KEY, RULE_KEY
from ovnqos.model.policy import frame_advice
from ovnqos.model.workloads import Purpose, merge

if TYPE_CHECKING:
    from ovnqos.compile.compiled import CompileContext
    from ovnqos.compile.inventory import Inventory, PodRecord
    from ovnqos.compile.precedence import CatchAllRule
    from ovnqos.compile.topology import Network, PodInterface
    from ovnqos.match import Match
    from ovnqos.model.policy import Bandwidth
    from ovnqos.model.workloads import Pod, PodQos


_EVERYTHING = {4: IPNetwork("0.0.0.0/0"), 6: IPNetwork("::/0")}
_ADDRESSES = {4: ip4.dst, 6: ip6.dst}
_PRIORITY = {
    Purpose.INGRESS: INGRESS_QOS_PRIORITY,
    Purpose.EGRESS: POD_QOS_PRIORITY,
    Purpose.DSCP: POD_MARK_PRIORITY,
}
_SET_CIDRS = "set all CIDRs of the cluster's pods and Services (--cluster-cidr)"


@dataclass(slots=True, kw_only=True)
class CompiledPod(CompiledObject):
    """What a pod asks of the database.

    Attributes:
        receiver: its interface with an ingress limit, where policies need rows of their own for packets to it.
        unreadable: of which purposes an annotation cannot be read, and nothing else sets a limit or mark.
    """

    receiver: LimitedReceiver | None = None
    unreadable: frozenset[Purpose] = frozenset()


def compile_pod(record: PodRecord, context: CompileContext) -> CompiledPod:
    """Compile one pod of this zone: a row a limit and for the mark, on its default interface.

    That is its interface on the namespace's primary network, or else on the cluster's default network.
    """
    inventory, pod = context.inventory, record.pod
    qos = merge(pod.qos, inventory.namespace_qos(pod.namespace))
    compiled = CompiledPod(object=ObjectRef(kind=POD_KIND, namespace=pod.namespace, name=pod.name))
    compiled.diagnostics += pod.qos.diagnostics  # those of its namespace are the namespace's own
    compiled.unreadable = qos.unreadable
    if qos.sets_nothing:
        return compiled
    interface = default_interface(record, inventory)
    network = inventory.network_of(interface.attachment) if interface is not None else None
    if interface is not None and network is not None:
        _PodRows(pod=pod, interface=interface, network=network, qos=qos, context=context, into=compiled).compile()
    elif not pod.qos.sets_nothing:  # else its namespace's defaults, which are for those that have one
        compiled.warn(Code.NO_DEFAULT_INTERFACE, "no interface on a default or primary network; its limits have no row")
    return compiled


def default_interface(record: PodRecord, inventory: Inventory) -> PodInterface | None:
    """The interface that a pod's annotations are about: that on a primary network, else on the default network."""
    default = None
    for interface in record.interfaces:
        definition = inventory.attachment(interface.attachment)
        if definition is not None and definition.ovn is not None and definition.ovn.role is NetworkRole.PRIMARY:
            return interface
        if inventory.topology.is_default(interface.attachment):
            default = interface
    return default


@dataclass(frozen=True, slots=True, kw_only=True)
class _Effect:
    """What a row does: limit, mark, or both; and which rule of a NetworkQoS it has joined."""

    limit: Bandwidth | None = None
    dscp: int | None = None
    joined: CatchAllRule | None = None


def _tightness(limit: Bandwidth) -> tuple[int, int]:
    return limit.rate_kbps, limit.rate_kbps if limit.burst_kbit is None else limit.burst_kbit


@dataclass(frozen=True, slots=True, kw_only=True)
class _PodRows:
    """The rows of one pod, on one of its interfaces."""

    pod: Pod
    interface: PodInterface
    network: Network
    qos: PodQos
    context: CompileContext
    into: CompiledPod

    def compile(self) -> None:
        port, qos, network = json.dumps(self.interface.port), self.qos, self.network
        if network.may_carry(6):
            self.into.icmp6.update((str(purpose), network.name) for purpose in (Purpose.EGRESS, Purpose.INGRESS))
        for purpose, limit in ((Purpose.EGRESS, qos.egress), (Purpose.INGRESS, qos.ingress)):
            if limit is not None and network.mtu is not None:
                advice = frame_advice(limit, self.into.object, str(purpose), network=network.name, mtu=network.mtu)
                self.into.diagnostics.extend([] if advice is None else [advice])
        if qos.egress is not None:
            self._add(
                Purpose.EGRESS, Direction.FROM_LPORT, MatchText(f"inport == {port} && ip"), self._egress(qos.egress)
            )
        if qos.ingress is not None:
            match = MatchText(f"outport == {port} && ip")
            self._add(Purpose.INGRESS, Direction.TO_LPORT, match, _Effect(limit=qos.ingress))
            if has_both_directions(network, self.context.inventory):
                self.into.receiver = LimitedReceiver.of(self.interface, network, self.context.inventory)
        if qos.dscp is None:
            return
        if not self.context.inventory.cluster_cidrs:
            text = "the DSCP mark is for traffic that leaves the cluster, whose CIDRs are unknown; it has no row"
            self.into.warn(Code.NO_CLUSTER_CIDRS, text, hint=_SET_CIDRS)
            return
        outside = self._outside()
        if outside != FALSE:
            self._add(
                Purpose.DSCP, Direction.TO_LPORT, MatchText(f"inport == {port}") & outside, _Effect(dscp=qos.dscp)
            )

    def _egress(self, own: Bandwidth) -> _Effect:
        """The pod's own limit, or that of a NetworkQoS's rule that it has to join if that is the lower."""
        joined = self.context.catch_all.joined(self.pod, self.interface, self.network, self.context.inventory)
        if joined is None:
            return _Effect(limit=own)
        theirs = joined.rule.bandwidth
        limit = own if theirs is None else min(own, theirs, key=_tightness)
        return _Effect(limit=limit, dscp=joined.rule.dscp, joined=joined)

    def _add(self, purpose: Purpose, direction: Direction, match: Match, effect: _Effect) -> None:
        name, limit, joined = f"{POD_KIND}/{self.pod.key}", effect.limit, effect.joined
        switch = self.context.inventory.topology.switch(self.network, self.interface.location)
        row = QosRow(
            switches=frozenset([switch]),
            direction=direction,
            priority=_PRIORITY[purpose] if joined is None else joined_priority(joined.priority),
            match=match,
            dscp=effect.dscp,
            rate_kbps=limit.rate_kbps if limit else None,
            burst_kbit=limit.burst_kbit if limit else None,
            identity=f"{name}/{purpose}",
            external_ids={
                OBJECT_KEY: name,
                RULE_KEY: purpose,
                NETWORK_KEY: self.network.name,
                PORT_KEY: self.interface.port,
                **({} if joined is None else {JOINED_KEY: str(joined)}),
            },
        )
        self.into.add_row(row)

    def _outside(self) -> Match:
        """The destinations that are not in the cluster; one set for all pods where there are many CIDRs.

        Inside are the cluster's CIDRs and the network's own. Of an IP version without any, no address is known to be
        outside.
        """
        cidrs = (*self.context.inventory.cluster_cidrs, *self.network.subnets)
        versions = []
        for version, everything in _EVERYTHING.items():
            inside = [AddressBlock.of(cidr) for cidr in cidrs if cidr.version == version]
            own = [one for one in self.interface.addresses if (":" in one) is (version == 6)]
            if own and not inside:
                text = f"no CIDR of the cluster is IPv{version}: the DSCP mark is not set on IPv{version} packets"
                self.into.warn(Code.NO_CLUSTER_CIDRS, text, hint=_SET_CIDRS)
            elif unknown := [one for one in own if not any(IPAddress(one) in cidr for cidr in cidrs)]:
                text = f"{listed(unknown)} is in no CIDR of the cluster, so packets to its like count as leaving it"
                self.into.warn(Code.ADDRESS_OUTSIDE_CLUSTER, text, hint=_SET_CIDRS)
            if not inside:
                continue
            outside = difference((AddressBlock.of(everything),), inside)
            if len(outside) <= LITERAL_BLOCKS_MAXIMUM:
                versions.append(_ADDRESSES[version].isin(*outside))
                continue
            identity = f"outside: not in {', '.join(sorted(map(str, inside)))}"
            name = f"ovnqos_out_{name_hash(self.context.owner.name, identity)}_v{version}"
            members = FixedMembers(members=frozenset(map(str, outside)))
            self.into.add_set(SetDescription(name=name, identity=identity, external_ids={}, members=members))
            versions.append(_ADDRESSES[version].in_set(name))
        return Or.of(*versions)


def describe_pod_row(row: QosRow) -> str:
    """What a row of a pod does, in a few words, e.g. `egress 10000 kbps, burst 500 kbit`."""
    purpose = row.external_ids[RULE_KEY]
    if purpose == Purpose.DSCP:
        return f"DSCP {row.dscp} on what leaves the cluster"
    words = [purpose]
    if row.rate_kbps is not None:
        words[0] += f" {row.rate_kbps} kbps"
    if row.burst_kbit is not None:
        words.append(f"burst {row.burst_kbit} kbit")
    if row.dscp is not None:
        words.append(f"DSCP {row.dscp}")
    if JOINED_KEY in row.external_ids:
        words.append(f"joined with {row.external_ids[JOINED_KEY]}")
    return ", ".join(words)
