"""Compile what a pod's annotations, or its namespace's, say of its traffic: rows of its own.

Egress is limited where the packet enters the switch, ingress where it leaves it, and the mark is set where it leaves
the source's switch. So the three never meet in one stage, where OVN would apply only one of them to a packet. Where an
egress limit meets a NetworkQoS that takes all of the pod's traffic, one row does both; see `WholeTraffic.joined`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from netaddr import IPNetwork

from ovnqos.compile.classifiers import LITERAL_BLOCKS_MAXIMUM
from ovnqos.compile.compiled import CompiledObject
from ovnqos.compile.priorities import POD_QOS, joined_priority
from ovnqos.compile.rows import Direction, QosRow, name_hash
from ovnqos.compile.sets import FixedMembers, SetDescription
from ovnqos.match import And, Or, inport, ip, ip4, ip6, outport
from ovnqos.match.address_blocks import AddressBlock, difference
from ovnqos.model.networks import NetworkRole
from ovnqos.model.owner import JOINED_KEY, NETWORK_KEY, OBJECT_KEY, PORT_KEY, RULE_KEY
from ovnqos.model.pod_qos import Purpose, merge

if TYPE_CHECKING:
    from ovnqos.compile.compiled import CompileContext
    from ovnqos.compile.inventory import Inventory, PodRecord
    from ovnqos.compile.topology import PodInterface
    from ovnqos.compile.whole_traffic import WholeRule
    from ovnqos.match import Match
    from ovnqos.model.pod_qos import PodQos
    from ovnqos.model.policy import Bandwidth

POD_KIND = "Pod"
"""Rows of pods have identities and objects that begin with this: `Pod/<namespace>/<name>`."""
_EVERYTHING = {4: IPNetwork("0.0.0.0/0"), 6: IPNetwork("::/0")}
_ADDRESSES = {4: ip4.dst, 6: ip6.dst}


def compile_pod(record: PodRecord, context: CompileContext) -> CompiledObject:
    """Compile one pod of this zone: a row a limit and for the mark, on its default interface.

    That is its interface on the namespace's primary network, or else on the cluster's default network.
    """
    inventory = context.inventory
    qos = merge(record.pod.qos, inventory.namespace_qos(record.pod.namespace))
    compiled = CompiledObject(
        notes=[one.message for one in record.pod.qos.diagnostics]
    )  # a namespace's are told of the namespace
    if qos.sets_nothing:
        return compiled
    found = _default_interface(record, inventory)
    if found is None and record.pod.qos.sets_nothing:
        return compiled  # its namespace's defaults are for those that have one
    if found is None:
        compiled.notes.append("it has no interface on a default or primary network, so its limits have no row")
        return compiled
    _PodRows(record, found, qos, context, compiled).compile()
    return compiled


def _default_interface(record: PodRecord, inventory: Inventory) -> PodInterface | None:
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
    """What a row does: limit, mark, or both; and for which rule of a NetworkQoS as well."""

    limit: Bandwidth | None = None
    dscp: int | None = None
    joined: WholeRule | None = None


def _tightness(limit: Bandwidth) -> tuple[int, int]:
    return limit.rate_kbps, limit.rate_kbps if limit.burst_kbit is None else limit.burst_kbit


class _PodRows:
    """The rows of one pod."""

    def __init__(
        self, record: PodRecord, interface: PodInterface, qos: PodQos, context: CompileContext, into: CompiledObject
    ) -> None:
        self._pod = record.pod
        self._object = f"{POD_KIND}/{record.pod.key}"
        self._interface = interface
        self._qos = qos
        self._context = context
        self._into = into

    def compile(self) -> None:
        port, qos = self._interface.port, self._qos
        if qos.egress is not None:
            self._add(Purpose.EGRESS, Direction.FROM_LPORT, And.of(inport(port), ip), self._egress(qos.egress))
        if qos.ingress is not None:
            self._add(Purpose.INGRESS, Direction.TO_LPORT, And.of(outport(port), ip), _Effect(limit=qos.ingress))
        if qos.dscp is None:
            return
        if not self._context.inventory.cluster_cidrs:
            self._into.notes.append(
                "dscp marks what leaves the cluster, and the cluster's CIDRs are not given, so it has no row"
            )
            return
        self._add(Purpose.DSCP, Direction.TO_LPORT, And.of(inport(port), self._outside()), _Effect(dscp=qos.dscp))

    def _egress(self, own: Bandwidth) -> _Effect:
        """The pod's own limit, or that of a NetworkQoS's rule that it has to join if that is the lower."""
        inventory, attachment = self._context.inventory, self._interface.attachment
        network = inventory.network_of(attachment)
        if network is None:
            return _Effect(limit=own)
        joined = self._context.whole_traffic.joined(self._pod, attachment, network, inventory)
        if joined is None:
            return _Effect(limit=own)
        theirs = joined.rule.bandwidth
        limit = own if theirs is None else min(own, theirs, key=_tightness)
        return _Effect(limit=limit, dscp=joined.rule.dscp, joined=joined)

    def _add(self, purpose: Purpose, direction: Direction, match: Match, effect: _Effect) -> None:
        inventory = self._context.inventory
        network = inventory.network_of(self._interface.attachment)
        if network is None:
            return
        limit, joined = effect.limit, effect.joined
        row = QosRow(
            switches=frozenset([inventory.topology.switch(network, self._interface.location)]),
            direction=direction,
            priority=POD_QOS if joined is None else joined_priority(joined.priority),
            match=match,
            dscp=effect.dscp,
            rate_kbps=limit.rate_kbps if limit else None,
            burst_kbit=limit.burst_kbit if limit else None,
            identity=f"{self._object}/{purpose}",
            external_ids={
                OBJECT_KEY: self._object,
                RULE_KEY: purpose,
                NETWORK_KEY: network.name,
                PORT_KEY: self._interface.port,
                **({} if joined is None else {JOINED_KEY: str(joined)}),
            },
        )
        self._into.rows[row.identity] = row

    def _outside(self) -> Match:
        """The destinations that are not in the cluster; one set for all pods where there are many CIDRs."""
        cidrs = self._context.inventory.cluster_cidrs
        versions = []
        for version, everything in _EVERYTHING.items():
            inside = [AddressBlock.of(cidr) for cidr in cidrs if cidr.version == version]
            outside = difference((AddressBlock.of(everything),), inside)
            if len(outside) <= LITERAL_BLOCKS_MAXIMUM:
                versions.append(_ADDRESSES[version].isin(*outside))
                continue
            identity = f"outside: not in {', '.join(sorted(map(str, inside)))}"
            name = f"ovnqos_out_{name_hash(self._context.owner.name, identity)}_v{version}"
            members = FixedMembers(members=frozenset(map(str, outside)))
            self._into.address_sets[name] = SetDescription(
                name=name, identity=identity, external_ids={}, members=members
            )
            versions.append(_ADDRESSES[version].in_set(name))
        return Or.of(*versions)
