"""Compile a NetworkQoS to rows: a row a rule and network, with source port groups and sets of destinations."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from ovnqos.compile.classifiers import (
    any_of,
    compile_classifier,
    for_receivers,
    fragment_advice,
    may_take_groups,
    takes_fragments,
)
from ovnqos.compile.compiled import CompiledObject, SetDescription, SourcePorts
from ovnqos.compile.precedence import has_both_directions
from ovnqos.compile.rows import POLICY_KIND, Direction, QosRow, name_hash, network_qos_priority
from ovnqos.compile.selections import PodSelection
from ovnqos.compile.source_selection import NetworkSources, find_sources
from ovnqos.diagnostics import Code, Diagnostic, ObjectRef
from ovnqos.errors import InvalidObject
from ovnqos.match import MatchText
from ovnqos.model.owner import BESIDE_KEY, NETWORK_KEY, OBJECT_KEY, PORT_KEY, RULE_KEY
from ovnqos.model.policy import MATCHES_MAXIMUM, MEMBERS_MAXIMUM, ROWS_MAXIMUM, BandwidthScope, PodPeer, frame_advice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovnqos.compile.compiled import CompileContext
    from ovnqos.compile.inventory import Inventory
    from ovnqos.compile.selections import SourceMembers
    from ovnqos.compile.topology import Network, PodInterface
    from ovnqos.model.owner import Owner
    from ovnqos.model.policy import NetworkQoS, Rule

_NONE: frozenset[str] = frozenset()
_TO_GROUPS = "eth.mcast"
_BESIDE_LENGTH = 200
"""More characters than a match has in a row for receivers or of a port, beyond that of the rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortRows:
    """A rule of which each source port has its own row, so that each has its own meter.

    Attributes:
        row: the one row that would hold for all of the ports together; never written, but compared with others' rows.
        classifier: its match without the source, as text.
        network: the ports' network.
        attachments: by which they came.
        of_receivers: whether a port has one only on a switch with a pod that has an ingress limit.
    """

    row: QosRow
    classifier: str
    network: Network
    attachments: frozenset[str]
    of_receivers: bool = False

    def identity(self, port: str) -> str:
        """The identity of a port's row."""
        return f"{self.row.identity}/{port}"

    def _beside(self, port: str) -> dict[str, str]:
        beside = self.row.external_ids.get(BESIDE_KEY)
        return {} if beside is None else {BESIDE_KEY: f"{beside}/{port}"}

    def has_row_for_receivers(self, interface: PodInterface, context: CompileContext) -> bool:
        """Whether an interface has one of the rows that only switches with limited receivers have."""
        if not self.of_receivers or interface.attachment not in self.attachments:
            return False
        return context.receivers.is_on(context.inventory.topology.switch(self.network, interface.location))

    def for_port(self, port: str, location: str, context: CompileContext) -> QosRow | None:
        """A port's row, bound to the switch that the port is on; None where it has none."""
        switch = context.inventory.topology.switch(self.network, location)
        if self.of_receivers and not context.receivers.is_on(switch):
            return None
        return replace(
            self.row,
            switches=frozenset([switch]),
            match=MatchText(f"inport == {json.dumps(port)} && {self.classifier}"),
            identity=self.identity(port),
            external_ids={**self.row.external_ids, PORT_KEY: port, **self._beside(port)},
        )


@dataclass(slots=True, kw_only=True)
class CompiledPolicy(CompiledObject):
    """What a policy asks of the database.

    Attributes:
        policy: the policy.
        port_rows: how rows are made where each source port has its own; they are among `rows`.
        claims: the rows as far as it matters whether others overlap them: one for all ports, however many there are.
        switches_of_receivers: the switches on which it has further rows when pods there have ingress limits.
        attachments: by which its source pods are on the networks that it takes.
        switches: the switches with these pods.
    """

    policy: NetworkQoS
    port_rows: list[PortRows] = field(default_factory=list)
    claims: list[QosRow] = field(default_factory=list)
    switches_of_receivers: set[str] = field(default_factory=set)
    attachments: set[str] = field(default_factory=set)
    switches: set[str] = field(default_factory=set)

    def find_switches(self, members: SourceMembers, inventory: Inventory) -> None:
        """Set `switches`, after source pods came to other places."""
        self.switches = {
            inventory.topology.switch(network, location)
            for attachment in self.attachments
            if (network := inventory.network_of(attachment)) is not None
            for location in members.locations.get(attachment, ())
        }

    def rows_of_port(self, port: str, attachment: str, location: str, context: CompileContext) -> Iterator[QosRow]:
        """The rows that a source port has of its own."""
        for one in self.port_rows:
            row = one.for_port(port, location, context) if attachment in one.attachments else None
            if row is not None:
                yield row


def compile_policy(policy: NetworkQoS, context: CompileContext) -> CompiledPolicy:
    """Compile one valid policy: a row a rule and network, bound to the switches with source pods of this zone.

    On layer3 networks another row, in from-lport, is for packets to receivers with an ingress limit and to groups of
    receivers. Where the bandwidth's scope is `pod` each source port has rows of its own, and thereby its own meter.
    """
    ref = ObjectRef(kind=POLICY_KIND, namespace=policy.namespace, name=policy.name)
    compiled = CompiledPolicy(object=ref, policy=policy)
    members = context.sources.members(PodSelection.of_sources(policy))
    over_ipv6 = False
    for sources in find_sources(policy.network_selectors, members, context.inventory, compiled):
        compiled.attachments |= sources.attachments
        compiled.switches |= sources.switches
        over_ipv6 = over_ipv6 or sources.network.may_carry(6)
        _Network(policy, sources, context, compiled).compile()
    for index in range(len(policy.rules)) if compiled.claims else ():
        if said := fragment_advice(policy.rules, index, over_ipv6=over_ipv6):
            compiled.inform(Code.FRAGMENTS, said, path=f"spec.egress[{index}].classifier.ports")
    _check_rows(compiled, members)
    if compiled.port_rows:
        for attachment, ports in members.ports.items():
            for port, location in ports.items():
                for row in compiled.rows_of_port(port, attachment, location, context):
                    compiled.add_row(row)
    return compiled


def rows_maximum(compiled: CompiledPolicy) -> int:
    """How many rows an object may have: fewer where their matches are long."""
    longest = max((len(str(row.match)) for row in compiled.claims), default=0)
    return min(ROWS_MAXIMUM, MATCHES_MAXIMUM // (longest + _BESIDE_LENGTH))


def _check_rows(compiled: CompiledPolicy, members: SourceMembers) -> None:
    """Raise InvalidObject where an object would have more rows than it may have."""
    ports = {attachment: len(found) for attachment, found in members.ports.items()}
    of_ports = sum(ports.get(attachment, 0) for one in compiled.port_rows for attachment in one.attachments)
    count, maximum = len(compiled.rows) + of_ports, rows_maximum(compiled)
    if count > maximum:
        said = too_many_rows(compiled.object, count, maximum, per_pod=bool(compiled.port_rows))
        raise InvalidObject(compiled.object, [said])


def too_many_members(ref: ObjectRef) -> Diagnostic:
    """Say that the sets of an object's destinations would have more addresses than they may have."""
    text = f"the pods in its destinations have more than {MEMBERS_MAXIMUM} addresses, those of each selector counted"
    hint = "use fewer selectors, or ipBlock"
    return Diagnostic.error(ref, Code.TOO_MANY_MEMBERS, f"{text}; its present rows stay", path="spec.egress", hint=hint)


def too_many_rows(ref: ObjectRef, count: int, maximum: int, *, per_pod: bool) -> Diagnostic:
    """Say that an object would have more rows than it may have.

    Args:
        ref: the object.
        count: of the rows.
        maximum: how many it may have, by the length of their matches.
        per_pod: whether each pod has its own.
    """
    text = f"{count} rows, one a {'pod' if per_pod else 'network'} and rule, are above the maximum of {maximum}"
    text += "; its present rows stay"
    path, hint = "spec.networkSelectors", "select fewer networks, or write shorter rules"
    if per_pod:
        path, hint = "metadata.annotations[ovnqos.io/bandwidth-scope]", "select fewer pods, or use scope policy"
    return Diagnostic.error(ref, Code.TOO_MANY_ROWS, text, path=path, hint=hint)


class _Network:
    """One policy on one network."""

    def __init__(
        self, policy: NetworkQoS, sources: NetworkSources, context: CompileContext, into: CompiledPolicy
    ) -> None:
        self._policy = policy
        self._sources = sources
        self._network = sources.network
        self._network_key = sources.network.key
        self._object = f"{POLICY_KIND}/{policy.key}"
        self._context = context
        self._into = into
        topology, switches = context.inventory.topology, frozenset(sources.switches)
        self._direction = topology.direction(self._network)
        self._has_both = has_both_directions(self._network, context.inventory)
        if self._has_both:
            into.switches_of_receivers |= switches
        self._switches = switches
        self._switches_of_receivers = frozenset(filter(context.receivers.is_on, switches)) if self._has_both else _NONE
        self._group = _source_group(policy, sources, context.owner)

    @cached_property
    def _receivers(self) -> dict[str, SetDescription]:
        return for_receivers(self._network, self._context)

    def compile(self) -> None:
        """Compile each rule."""
        rules, network = self._policy.rules, self._network
        if self._is_before_load_balancing and any(_looks_at_destinations(rule) for rule in rules):
            text = (
                f"network {network.name}: rules apply before load balancing; until a connection through a Service is "
                "answered they match it by the Service's address and port, not by those of its pods"
            )
            hint = "to mark or limit one-packet flows through it, add the Service's address as an ipBlock"
            self._into.inform(Code.BEFORE_LOAD_BALANCING, text, hint=hint)
        if not network.versions and any(
            isinstance(peer, PodPeer) for rule in rules for peer in rule.classifier.destinations or ()
        ):
            self._into.warn(
                Code.NO_POD_ADDRESSES,
                f"network {network.name} has no IPAM, so podSelector and namespaceSelector match nothing on it",
                hint="use ipBlock",
            )
        for index, rule in enumerate(rules):
            self._compile_rule(index, rule)
            if rule.bandwidth is not None and network.mtu is not None:
                path = f"spec.egress[{index}].bandwidth.burst"
                advice = frame_advice(rule.bandwidth, self._into.object, path, network=network.name, mtu=network.mtu)
                self._into.diagnostics.extend([] if advice is None else [advice])

    def _compile_rule(self, index: int, rule: Rule) -> None:
        policy, network, into = self._policy, self._network, self._into
        fragments = takes_fragments(policy.rules, index)
        classifier = compile_classifier(
            policy,
            index,
            network,
            self._context.owner,
            fragments=[one for one in (4, 6) if network.may_carry(one)] if fragments else (),
        )
        if classifier is None:
            text = "no packet can match the classifier; the rule has no row"
            into.warn(Code.NEVER_MATCHES, text, path=f"spec.egress[{index}]")
            return
        if rule.dscp is None and rule.bandwidth is None:
            return
        for one in classifier.sets:
            into.add_set(one)
        is_per_port = policy.bandwidth_scope is BandwidthScope.POD and rule.bandwidth is not None
        group = self._group
        if is_per_port:
            group = replace(group, name=f"{group.name}_each", is_written=False)
        into.add_set(group)
        source, part = f"inport == @{group.name}", classifier.text
        row = self._row(index, f"{source} && {part}")
        into.claims.append(row)
        if classifier.takes_icmp6 and network.may_carry(6):
            into.icmp6.add((row.external_ids[RULE_KEY], network.name))
        # on a network with rows in both directions to-lport would meter a packet to a group of receivers once a copy,
        # and the ingress limit of a receiver on the same switch is above it there: from-lport is for these
        in_group = self._has_both and rule.bandwidth is not None and may_take_groups(rule.classifier)
        if in_group:
            of_one = f"{part} && !{_TO_GROUPS}"
            self._add(self._row(index, f"{source} && {of_one}"), of_one, is_per_port=is_per_port)
        else:
            self._add(row, part, is_per_port=is_per_port)
        limited = self._switches_of_receivers
        if not in_group and not limited and not (self._has_both and is_per_port):
            return
        receivers = self._receivers
        beside = f"{part} && {any_of([_TO_GROUPS, *receivers] if in_group else [*receivers])}"
        switches = self._switches if in_group or is_per_port else limited
        self._add(
            self._row(index, f"{source} && {beside}", beside=row.identity, switches=switches),
            beside,
            is_per_port=is_per_port,
            of_receivers=not in_group,
        )
        for one in receivers.values() if in_group or limited else ():
            into.add_set(one)

    def _add(self, row: QosRow, part: str, *, is_per_port: bool, of_receivers: bool = False) -> None:
        """Add a row, or one for each port, of which `part` is the match without the source."""
        if not is_per_port:
            self._into.add_row(row)
            return
        attachments = frozenset(self._sources.attachments)
        self._into.port_rows.append(
            PortRows(
                row=row, classifier=part, network=self._network, attachments=attachments, of_receivers=of_receivers
            )
        )

    @property
    def _is_before_load_balancing(self) -> bool:
        """Whether its rows see packets before load balancing, on a network that has Services."""
        inventory = self._context.inventory
        return self._direction is Direction.FROM_LPORT and any(map(inventory.has_services, self._sources.attachments))

    def _row(self, index: int, match: str, *, beside: str = "", switches: frozenset[str] | None = None) -> QosRow:
        """A rule's row; or the one in from-lport beside that of an identity, which may be on fewer switches."""
        policy, rule = self._policy, self._policy.rules[index]
        identity = f"{self._object}/{index}/{self._network_key}"
        external_ids = {OBJECT_KEY: self._object, RULE_KEY: str(index), NETWORK_KEY: self._network.name}
        direction = self._direction
        if beside:
            direction = Direction.FROM_LPORT
            identity = f"{identity}/{direction}"
            external_ids[BESIDE_KEY] = beside
        return QosRow(
            switches=self._switches if switches is None else switches,
            direction=direction,
            priority=network_qos_priority(policy.priority, index),
            match=MatchText(match),
            dscp=rule.dscp,
            rate_kbps=rule.bandwidth.rate_kbps if rule.bandwidth else None,
            burst_kbit=rule.bandwidth.burst_kbit if rule.bandwidth else None,
            identity=identity,
            external_ids=external_ids,
        )


def _looks_at_destinations(rule: Rule) -> bool:
    return rule.classifier.destinations is not None or rule.classifier.ports is not None


def _source_group(policy: NetworkQoS, sources: NetworkSources, owner: Owner) -> SetDescription:
    """The group of the source ports, shared by all policies that take the same ones by the same words."""
    selection = PodSelection.of_sources(policy)
    identity = f"sources: {selection} on {sources.network.key}"
    if policy.network_selectors is not None:
        identity += f" by {', '.join(sorted(set(map(str, policy.network_selectors))))}"
    return SetDescription(
        name=f"ovnqos_src_{name_hash(owner.name, identity)}",
        identity=identity,
        external_ids={NETWORK_KEY: sources.network.name},
        members=SourcePorts(selection=selection, attachments=frozenset(sources.attachments)),
    )
