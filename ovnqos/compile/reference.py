"""Compile a NetworkQoS into exactly the rows that ovn-kubernetes' own controller writes, faults included.

For audits: a difference then is a fault of that cluster, not of the comparison. Source: what the controller was seen to
write, and its sources of 2025. What is wrong in them stands in docs/semantics.md, third column.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovnqos.compile.compiled import CompiledPolicy
from ovnqos.compile.rows import Direction, QosRow
from ovnqos.compile.selections import PodSelection
from ovnqos.compile.sets import FixedMembers, PeerAddresses, SetDescription
from ovnqos.compile.sources_of_policy import NetworkSources, find_sources
from ovnqos.match import Verbatim
from ovnqos.model.networks import DEFAULT_NETWORK, DEFAULT_NETWORK_SELECTOR
from ovnqos.model.owner import (
    REFERENCE_CONTROLLER_KEY,
    REFERENCE_ID_KEY,
    REFERENCE_NAME_KEY,
    REFERENCE_NETWORK_KEY,
    REFERENCE_TYPE,
    REFERENCE_TYPE_KEY,
)
from ovnqos.model.policy import IPBlock, PodPeer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ovnqos.compile.compiled import CompileContext
    from ovnqos.model.policy import NetworkQoS, PortMatch, Rule

_BASE = 10_000
_STRIDE = 10  # rules of objects whose priorities are next to one another collide from the 11th on
_FNV_OFFSET = 0xCBF29CE484222325
_FNV_PRIME = 0x100000001B3


def compile_policy(policy: NetworkQoS, context: CompileContext) -> CompiledPolicy:
    """Compile one policy as ovn-kubernetes does. Absent networkSelectors mean the default network only."""
    selectors = policy.network_selectors or (DEFAULT_NETWORK_SELECTOR,)
    members = context.selections.sources(PodSelection.of_sources(policy))
    sources = find_sources(selectors, members, context.inventory)
    compiled = CompiledPolicy(policy=policy, notes=list(sources.notes))
    for one in sources.networks:
        _Network(policy, one, context, compiled).compile()
    return compiled


class _Network:
    """One policy on one network, as the reference's controller of that network sees it."""

    def __init__(
        self, policy: NetworkQoS, sources: NetworkSources, context: CompileContext, into: CompiledPolicy
    ) -> None:
        self._policy = policy
        self._sources = sources
        self._context = context
        self._into = into
        self._name = sources.network.name
        self._versions = sorted(sources.network.versions) or [4]
        self._controller = f"{self._name}-network-controller"

    def compile(self) -> None:
        self._add_sets("src", "0", self._source_addresses())
        source = self._in_set("src", "src", "0")
        for index, rule in enumerate(self._policy.rules):
            if rule.dscp is None and rule.bandwidth is None:  # no such rule passes its CRD
                continue
            classifier = self._classifier(index, rule)
            match = f"{source} && {classifier}" if classifier else source
            external_ids = {
                REFERENCE_CONTROLLER_KEY: self._controller,
                REFERENCE_TYPE_KEY: REFERENCE_TYPE,
                REFERENCE_NAME_KEY: f"{self._policy.namespace}:{self._policy.name}",
                "rule-index": str(index),
                REFERENCE_ID_KEY: self._identity(str(index)),
            }
            if self._name != DEFAULT_NETWORK:
                external_ids[REFERENCE_NETWORK_KEY] = self._name
            row = QosRow(
                switches=frozenset(self._sources.switches),
                direction=Direction.TO_LPORT,
                priority=_BASE + _STRIDE * self._policy.priority + index,
                match=Verbatim(match),
                dscp=rule.dscp,
                rate_kbps=rule.bandwidth.rate_kbps if rule.bandwidth else None,
                burst_kbit=rule.bandwidth.burst_kbit if rule.bandwidth else None,
                identity=self._identity(str(index)),
                external_ids=external_ids,
            )
            self._into.rows[row.identity] = row

    def _identity(self, *parts: str) -> str:
        return ":".join((self._controller, REFERENCE_TYPE, self._policy.namespace, self._policy.name, *parts))

    def _source_addresses(self) -> set[str]:
        return {
            address
            for record in self._context.inventory.pods(self._policy.pod_selector, self._policy.namespace)
            if self._context.inventory.topology.in_zone(record.pod.node)
            for interface in record.interfaces
            if interface.attachment in self._sources.attachments
            for address in interface.addresses
        }

    def _add_sets(self, rule: str, block: str, addresses: Iterable[str]) -> None:
        known = frozenset(addresses)
        for version in self._versions:
            identity = self._identity(rule, block, f"v{version}")
            one = SetDescription(
                name=set_name(identity),
                members=FixedMembers(
                    members=frozenset(address for address in known if (":" in address) == (version == 6))
                ),
                identity=identity,
                external_ids={
                    REFERENCE_CONTROLLER_KEY: self._controller,
                    REFERENCE_TYPE_KEY: REFERENCE_TYPE,
                    REFERENCE_NAME_KEY: f"{self._policy.namespace}:{self._policy.name}",
                    "rule-index": rule,
                    "ip-block-index": block,
                    "ip-family": f"v{version}",
                    REFERENCE_ID_KEY: identity,
                },
            )
            self._into.address_sets[one.name] = one

    def _addresses(self, selection: PodSelection, version: int) -> frozenset[str]:
        found = PeerAddresses(selection=selection, network=self._sources.network.key, version=version)
        return found.find(self._context.selections, self._context.inventory)

    def _in_set(self, side: str, rule: str, block: str) -> str:
        parts = [
            f"ip{version}.{side} == {{${set_name(self._identity(rule, block, f'v{version}'))}}}"
            for version in self._versions
        ]
        return parts[0] if len(parts) == 1 else f"({' || '.join(parts)})"

    def _classifier(self, index: int, rule: Rule) -> str:
        peers = rule.classifier.destinations or ()
        destinations = _union([self._destination(str(index), str(block), peer) for block, peer in enumerate(peers)])
        ports = _ports(rule.classifier.ports or ())
        # with ports alone the reference writes `SRC &&  && tcp`, which OVN cannot parse
        return f"{destinations} && {ports}" if ports else destinations

    def _destination(self, rule: str, block: str, peer: IPBlock | PodPeer) -> str:
        if isinstance(peer, IPBlock):
            field = f"ip{peer.cidr.version}.dst"
            match = f"{field} == {peer.cidr}"
            return f"{match} && {field} != {{{','.join(map(str, peer.excluded))}}}" if peer.excluded else match
        selection = PodSelection.of_peer(peer, self._policy.namespace)
        if selection is None:
            return "ip4.dst == 0.0.0.0/0 || ip6.dst == ::/0"
        self._add_sets(rule, block, (one for version in self._versions for one in self._addresses(selection, version)))
        return self._in_set("dst", rule, block)


def set_name(identity: str) -> str:
    """Name of the address set with this `k8s.ovn.org/id`: `a` and its 64-bit FNV-1a hash in decimal."""
    value = _FNV_OFFSET
    for byte in identity.encode():
        value = (value ^ byte) * _FNV_PRIME & 0xFFFF_FFFF_FFFF_FFFF
    return f"a{value}"


def _union(parts: Sequence[str]) -> str:
    if len(parts) == 1:
        joined = parts[0]
    else:
        joined = " || ".join(f"({part})" if "||" in part or "&&" in part else part for part in parts)
    return f"({joined})" if "||" in joined else joined


def _ports(ports: Sequence[PortMatch]) -> str:
    """As the reference: an entry without protocol is dropped, and one with a port hides one without."""
    numbers: dict[str, list[str]] = {}
    for one in ports:
        if one.protocol:
            numbers.setdefault(one.protocol.lower(), []).extend([str(one.port)] if one.port is not None else [])
    parts = []
    for protocol, given in sorted(numbers.items()):
        if given:
            value = given[0] if len(given) == 1 else f"{{{','.join(given)}}}"
            parts.append(f"{protocol} && {protocol}.dst == {value}")
        else:
            parts.append(protocol)
    return parts[0] if len(parts) == 1 else f"(({') || ('.join(parts)}))" if parts else ""
