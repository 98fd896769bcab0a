"""Compile a NetworkQoS into this project's own rows: source port groups, shared sets of destination addresses."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ovnqos.compile.classifiers import compile_classifier
from ovnqos.compile.compiled import CompiledPolicy, PortRows, Stages
from ovnqos.compile.priorities import network_qos_priority
from ovnqos.compile.rows import Direction, QosRow, name_hash
from ovnqos.compile.selections import PodSelection
from ovnqos.compile.sets import FixedMembers, PeerAddresses, SetDescription, SourcePorts
from ovnqos.compile.sources_of_policy import NetworkSources, find_sources
from ovnqos.match import FALSE, And, inport, references
from ovnqos.match.address_blocks import texts
from ovnqos.model.owner import NETWORK_KEY, OBJECT_KEY, RULE_KEY
from ovnqos.model.policy import BandwidthScope, PodPeer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ovnqos.compile.compiled import CompileContext
    from ovnqos.compile.sets import Members
    from ovnqos.compile.topology import Network
    from ovnqos.match import Match
    from ovnqos.match.address_blocks import AddressBlock
    from ovnqos.model.owner import Owner
    from ovnqos.model.policy import NetworkQoS, Rule

_BOTH = frozenset({4, 6})
_SWITCHES_NAMED = 3


def compile_policy(policy: NetworkQoS, context: CompileContext) -> CompiledPolicy:
    """Compile one valid policy: a row a rule and network, bound to the switches with source pods of this zone.

    On switches where that would hide limits of receivers it is another row, in from-lport; see `PortLimits.turns`.
    Where the bandwidth's scope is `pod` each source port has a row of its own instead, and thereby its own meter.
    """
    members = context.selections.sources(PodSelection.of_sources(policy))
    sources = find_sources(policy.network_selectors, members, context.inventory)
    compiled = CompiledPolicy(policy=policy, notes=list(sources.notes))
    for one in sources.networks:
        stages = _stages(policy, one, context)
        compiled.stages.append(stages)
        if stages.turned and any(_looks_at_destinations(rule) for rule in policy.rules):
            compiled.notes.append(_turned_note(stages.turned))
        _compile_network(policy, one, stages, context, compiled)
    if compiled.port_rows:
        for attachment, ports in members.ports.items():
            for port, location in ports.items():
                compiled.add_port(port, attachment, location, context)
    return compiled


def _stages(policy: NetworkQoS, sources: NetworkSources, context: CompileContext) -> Stages:
    topology = context.inventory.topology
    direction = topology.direction(sources.network)
    is_free = direction is Direction.TO_LPORT and topology.is_free_in_direction(sources.network)
    turns = context.port_limits.turns
    turned = frozenset(switch for switch in sources.switches if is_free and turns(switch, policy.namespace))
    return Stages(direction=direction, straight=frozenset(sources.switches - turned), turned=turned, is_free=is_free)


def _looks_at_destinations(rule: Rule) -> bool:
    return rule.classifier.destinations is not None or rule.classifier.ports is not None


def _turned_note(switches: frozenset[str]) -> str:
    named = ", ".join(sorted(switches)[:_SWITCHES_NAMED])
    further = len(switches) - _SWITCHES_NAMED
    return (
        f"on {named}{f' and {further} more' if further > 0 else ''}, where a pod has an ingress limit, its rules see "
        "packets before load balancing, so that both hold: what goes to a Service is judged by the Service's address "
        "and port until it is answered"
    )


def _compile_network(
    policy: NetworkQoS, sources: NetworkSources, stages: Stages, context: CompileContext, into: CompiledPolicy
) -> None:
    written = _source_group(policy, sources, context.owner)
    if not sources.network.versions and _selects_pods(policy):
        into.notes.append(
            f"network {sources.network.name}: OVN knows no addresses of its pods (no IPAM); "
            "podSelector and namespaceSelector select nothing on it"
        )
    for index, rule in enumerate(policy.rules):
        sets = _RuleSets(policy, index, sources.network, context)
        compiled = compile_classifier(rule.classifier, peer_set=sets.peer_set, block_set=sets.block_set)
        if compiled == FALSE:
            into.notes.append(f"spec.egress[{index}]: no packet can match its classifier, so it has no row")
        elif rule.dscp is not None or rule.bandwidth is not None:
            used = references(compiled).address_sets  # not all that were made: 0.0.0.0/0 beside a set swallows it
            into.address_sets.update({name: sets.made[name] for name in used})
            is_per_port = policy.bandwidth_scope is BandwidthScope.POD and rule.bandwidth is not None
            group = replace(written, name=f"{written.name}_each") if is_per_port else written
            (into.unwritten_groups if is_per_port else into.port_groups)[group.name] = group
            row = _row(policy, index, sources, stages.direction, And.of(inport.in_group(group.name), compiled))
            if is_per_port:
                into.claims.extend([row, *([_turned(row)] if stages.is_free else [])])
                into.port_rows.append(
                    PortRows(
                        row=row,
                        classifier=compiled,
                        network=sources.network,
                        attachments=frozenset(sources.attachments),
                        stages=stages,
                    )
                )
            else:
                rows = [row]
                if stages.turned:
                    rows = [replace(row, switches=stages.straight)] if stages.straight else []
                    rows.append(replace(_turned(row), switches=stages.turned))
                into.claims.extend(rows)
                into.rows.update({row.identity: row for row in rows})


def _selects_pods(policy: NetworkQoS) -> bool:
    return any(isinstance(peer, PodPeer) for rule in policy.rules for peer in rule.classifier.destinations or ())


def _row(policy: NetworkQoS, index: int, sources: NetworkSources, direction: Direction, match: Match) -> QosRow:
    rule = policy.rules[index]
    network = sources.network
    return QosRow(
        switches=frozenset(sources.switches),
        direction=direction,
        priority=network_qos_priority(policy.priority, index),
        match=match,
        dscp=rule.dscp,
        rate_kbps=rule.bandwidth.rate_kbps if rule.bandwidth else None,
        burst_kbit=rule.bandwidth.burst_kbit if rule.bandwidth else None,
        identity=f"NetworkQoS/{policy.key}/{index}/{network.key}",
        external_ids={OBJECT_KEY: f"NetworkQoS/{policy.key}", RULE_KEY: str(index), NETWORK_KEY: network.name},
    )


def _turned(row: QosRow) -> QosRow:
    """The same row where it is in from-lport."""
    return replace(row, direction=Direction.FROM_LPORT, identity=f"{row.identity}/{Direction.FROM_LPORT}")


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


class _RuleSets:
    """Names and makes the address sets that one rule uses on one network."""

    def __init__(self, policy: NetworkQoS, index: int, network: Network, context: CompileContext) -> None:
        self._policy = policy
        self._index = index
        self._network = network
        self._context = context
        self.made: dict[str, SetDescription] = {}

    def peer_set(self, peer: PodPeer, version: int) -> str | None:
        selection = PodSelection.of_peer(peer, self._policy.namespace)
        if selection is None or version not in (self._network.versions or _BOTH):
            return None
        return self._make(
            f"destinations: {selection} on {self._network.key} IPv{version}",
            "dst",
            version,
            PeerAddresses(selection=selection, network=self._network.key, version=version),
            {NETWORK_KEY: self._network.name},
        )

    def block_set(self, side: str, version: int, blocks: Sequence[AddressBlock]) -> str:
        return self._make(
            f"{side}: CIDRs of NetworkQoS/{self._policy.key} rule {self._index} IPv{version}",
            side,
            version,
            FixedMembers(members=frozenset(texts(blocks))),
            {OBJECT_KEY: f"NetworkQoS/{self._policy.key}", RULE_KEY: str(self._index)},
        )

    def _make(self, identity: str, side: str, version: int, members: Members, external_ids: Mapping[str, str]) -> str:
        name = f"ovnqos_{side}_{name_hash(self._context.owner.name, identity)}_v{version}"
        self.made[name] = SetDescription(name=name, identity=identity, external_ids=external_ids, members=members)
        return name
