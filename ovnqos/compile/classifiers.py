"""From a rule's classifier to the part of the match that looks at the packet, and the address sets that it names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netaddr import IPNetwork

from ovnqos.compile.compiled import FixedMembers, PeerAddresses, ReceiverAddresses, SetDescription
from ovnqos.compile.precedence import MAC, RECEIVERS
from ovnqos.compile.rows import POLICY_KIND, name_hash
from ovnqos.compile.selections import PodSelection
from ovnqos.match import (
    FALSE,
    And,
    Comparison,
    Constant,
    Match,
    Or,
    Relation,
    Symbol,
    eth,
    ip,
    ip4,
    ip6,
    is_fragment,
    sctp,
    tcp,
    udp,
)
from ovnqos.match.addresses import AddressBlock, Ranges, difference, texts, union
from ovnqos.model.owner import NETWORK_KEY, OBJECT_KEY, RULE_KEY
from ovnqos.model.policy import IPBlock, PodPeer, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from ovnqos.compile.compiled import CompileContext
    from ovnqos.compile.topology import Network
    from ovnqos.match.addresses import Range
    from ovnqos.match.build import Transport
    from ovnqos.model.owner import Owner
    from ovnqos.model.policy import Classifier, NetworkQoS, PortMatch, Rule

LITERAL_BLOCKS_MAXIMUM = 16
"""More CIDRs than this go into an address set: the match stays readable, and a change of them keeps its meter."""

_FIELDS = {("src", 4): ip4.src, ("src", 6): ip6.src, ("dst", 4): ip4.dst, ("dst", 6): ip6.dst}
_TRANSPORTS = {Protocol.SCTP: sctp, Protocol.TCP: tcp, Protocol.UDP: udp}
_NUMBERS = {Protocol.SCTP: 132, Protocol.TCP: 6, Protocol.UDP: 17}
_IPV6_FRAGMENT = 44
_VERSIONS = (4, 6)
_GROUPS = (IPNetwork("224.0.0.0/4"), IPNetwork("255.255.255.255/32"), IPNetwork("ff00::/8"))
_IN_SET = {MAC: eth.dst.in_set, "IPv4": ip4.dst.in_set, "IPv6": ip6.dst.in_set}
_CONNECTIONS = frozenset({Protocol.TCP, Protocol.SCTP})


def compile_classifier(
    classifier: Classifier,
    *,
    peer_set: Callable[[PodPeer, int], str | None],
    block_set: Callable[[str, int, Sequence[AddressBlock]], str],
    fragments: Collection[int] = (),
) -> Match:
    """Compile what a rule says of destinations, sources and ports; `0` when no packet can match.

    Args:
        classifier: the rule's classifier.
        peer_set: names the address set of a pod peer for an IP version; None when it selects nothing there.
        block_set: names a set for CIDRs that are too many to write out, given `src` or `dst`, the version, the CIDRs.
        fragments: the IP versions of which fragments count as sent to the rule's ports, whatever their own is.
    """

    def side(name: str, version: int, blocks: Sequence[IPBlock], sets: Sequence[str]) -> Match:
        covered = _covered(blocks, version)
        if len(covered) > LITERAL_BLOCKS_MAXIMUM:
            return _FIELDS[name, version].isin_merged((), address_sets=[*sets, block_set(name, version, covered)])
        return _FIELDS[name, version].isin_merged(covered, address_sets=sets)

    per_version: list[Match] = []
    carried = set(fragments)
    for version in _VERSIONS:
        sides = []
        if classifier.destinations is not None:
            blocks = [peer for peer in classifier.destinations if isinstance(peer, IPBlock)]
            peers = (peer_set(peer, version) for peer in classifier.destinations if isinstance(peer, PodPeer))
            sides.append(side("dst", version, blocks, [name for name in peers if name]))
        if classifier.sources is not None:
            sides.append(side("src", version, classifier.sources, ()))
        if sides:
            per_version.append(_both(sides))
            if FALSE in sides:
                carried.discard(version)
    addresses = _any_of(per_version) if per_version else ip
    if classifier.ports is None:
        return addresses
    ports = Or.of(_ports(classifier.ports), _fragments(classifier.ports, carried))
    return ports if addresses == ip else And.of(addresses, ports)  # a transport implies ip, but not its version


def may_take_groups(classifier: Classifier) -> bool:
    """Whether packets to several receivers may match: multicast, or broadcast to everybody or to a subnet.

    They are UDP or ICMP. A subnet's broadcast address can be in any IPv4 block of more than one address.
    """
    if classifier.ports is not None and all(one.protocol in _CONNECTIONS for one in classifier.ports):
        return False
    if classifier.destinations is None:
        return True
    blocks = [peer.cidr for peer in classifier.destinations if isinstance(peer, IPBlock)]
    return any(
        (block.version == 4 and block.prefixlen < 32) or any(block in group for group in _GROUPS) for block in blocks
    ) or any(group in block for group in _GROUPS for block in blocks)


def _covered(blocks: Iterable[IPBlock], version: int) -> tuple[AddressBlock, ...]:
    """The addresses of all blocks, each less its own exceptions.

    As equalities, because `!=` with several addresses explodes into thousands of flows (measured: 3 give 19,417).
    """
    parts = [
        difference((AddressBlock.of(block.cidr),), map(AddressBlock.of, block.excluded))
        for block in blocks
        if block.cidr.version == version
    ]
    return parts[0] if len(parts) == 1 else union(block for part in parts for block in part)


def _ports(ports: Sequence[PortMatch]) -> Match:
    """The union of the port matches: a protocol without port takes all of the protocol's ports."""
    wanted: dict[Protocol, list[Range] | None] = {}
    for one in ports:
        for protocol in (one.protocol,) if one.protocol else Protocol:
            if one.port is None:
                wanted[protocol] = None
            elif (ranges := wanted.setdefault(protocol, [])) is not None:
                ranges.append((one.port, one.port if one.end_port is None else one.end_port))
    return Or.of(*(_in_ranges(_TRANSPORTS[protocol], ranges) for protocol, ranges in sorted(wanted.items())))


def takes_fragments(rules: Sequence[Rule], index: int) -> bool:
    """Whether fragments count to a rule with ports: OVN knows no port of theirs, so that it might be any.

    They count where there is a limit, unless a lower rule of the object has a stricter one that takes them as well. A
    mark alone is not for them: it would take others' packets, from limits too.
    """
    rule = rules[index]
    limit = rule.bandwidth
    return (
        limit is not None
        and rule.classifier.ports is not None
        and not any(
            lower.bandwidth is not None
            and lower.bandwidth.rate_kbps < limit.rate_kbps
            and _covers(lower.classifier, rule.classifier)
            for lower in rules[:index]
        )
    )


def fragment_advice(rules: Sequence[Rule], index: int, *, over_ipv6: bool) -> str:
    """What becomes of fragments of a rule with ports; empty where it takes them. TCP sends none: it fits its path.

    Args:
        rules: the rules of an object.
        index: of the rule.
        over_ipv6: whether the packets may be of IPv6.
    """
    ports = rules[index].classifier.ports or ()
    takes = takes_fragments(rules, index)
    whole = _protocols(one for one in ports if one.port is None)
    some = _protocols(ports) - whole - {Protocol.TCP}
    if some:
        then = "those to the rule's destinations count to its limit, whatever their port is"
        return f"fragments of {' and '.join(sorted(some))} have no port in OVN: " + (
            then if takes else "the rule does not take them"
        )
    if whole - {Protocol.TCP} and over_ipv6 and not takes:
        return "of fragments over IPv6 only the first has a protocol in OVN: the rule does not take the others"
    return ""


def _covers(lower: Classifier, upper: Classifier) -> bool:
    """Whether a classifier certainly takes all fragments that may be another's."""
    return (
        lower.destinations in {None, upper.destinations}
        and lower.sources in {None, upper.sources}
        and (lower.ports is None or _protocols(upper.ports or ()) <= _protocols(lower.ports))
    )


def _protocols(ports: Iterable[PortMatch]) -> frozenset[Protocol]:
    return frozenset(protocol for one in ports for protocol in ((one.protocol,) if one.protocol else Protocol))


def _fragments(ports: Sequence[PortMatch], versions: Collection[int]) -> Match:
    """The fragments that may be sent to these ports.

    To OVS a fragment has port 0, the first one too. One of IPv6 that is not the first has the protocol 44 (measured).
    """
    if not versions:
        return FALSE
    some = _protocols(one for one in ports if one.port is not None) - _protocols(
        one for one in ports if one.port is None
    )
    numbers = [_NUMBERS[protocol] for protocol in some] + ([_IPV6_FRAGMENT] if 6 in versions else [])
    if not numbers:
        return FALSE
    constants = tuple(Constant(str(number)) for number in sorted(numbers))
    return And.of(is_fragment, Comparison("ip.proto", Relation.EQUAL, constants))


def _in_ranges(transport: Transport, ranges: Sequence[Range] | None) -> Match:
    """The packets of a transport to these ports; None: to every port."""
    if ranges is None:
        return transport
    single = {first for first, last in ranges if first == last}
    merged = Ranges.of(bounds for bounds in ranges if bounds[0] != bounds[1])
    return Or.of(
        transport.dst.isin(*(port for port in single if port not in merged)),
        *(transport.dst.between(first, last) for first, last in merged.bounds),
    )


def _both(sides: Sequence[Match]) -> Match:
    """The conjunction of the sides of one IP version, without the version's symbol where the other side implies it."""
    specific = [side for side in sides if not isinstance(side, Symbol)]
    return And.of(*(specific or sides[:1]))


def _any_of(operands: Sequence[Match]) -> Match:
    return ip if list(operands) == [ip4, ip6] else Or.of(*operands)


class RuleSets:
    """Names and makes the address sets that one rule uses on one network."""

    def __init__(self, policy: NetworkQoS, index: int, network: Network, context: CompileContext) -> None:
        self._policy = policy
        self._index = index
        self._network = network
        self._context = context
        self.made: dict[str, SetDescription] = {}

    def peer_set(self, peer: PodPeer, version: int) -> str | None:
        """Name the set of a pod peer's addresses; None when it selects nothing of this IP version."""
        selection = PodSelection.of_peer(peer, self._policy.namespace)
        if selection is None or not self._network.may_carry(version):
            return None
        return self._make(
            f"destinations: {selection} on {self._network.key} IPv{version}",
            "dst",
            version,
            PeerAddresses(selection=selection, network=self._network.key, version=version),
            {NETWORK_KEY: self._network.name},
        )

    def block_set(self, side: str, version: int, blocks: Sequence[AddressBlock]) -> str:
        """Name the set of these CIDRs; `side` is `src` or `dst`."""
        return self._make(
            f"{side}: CIDRs of {POLICY_KIND}/{self._policy.key} rule {self._index} IPv{version}",
            side,
            version,
            FixedMembers(members=frozenset(texts(blocks))),
            {OBJECT_KEY: f"{POLICY_KIND}/{self._policy.key}", RULE_KEY: str(self._index)},
        )

    def _make(
        self,
        identity: str,
        side: str,
        version: int,
        members: FixedMembers | PeerAddresses,
        external_ids: Mapping[str, str],
    ) -> str:
        name = f"ovnqos_{side}_{name_hash(self._context.owner.name, identity)}_v{version}"
        self.made[name] = SetDescription(name=name, identity=identity, external_ids=external_ids, members=members)
        return name


def receiver_set(network: str, kind: str, owner: Owner) -> SetDescription:
    """The set of the addresses of one kind that limited receivers have on a network, by its name."""
    identity = f"{RECEIVERS} in namespaces (all) on {network} {kind}"
    return SetDescription(
        name=f"ovnqos_limited_{name_hash(owner.name, identity)}_{kind[-2:].lower()}",
        identity=identity,
        external_ids={NETWORK_KEY: network},
        members=ReceiverAddresses(network=network, kind=kind),
    )


def for_receivers(network: Network, context: CompileContext) -> tuple[Match, tuple[SetDescription, ...]]:
    """Match packets for the limited receivers on a network; with the sets that the match uses."""
    has_macs = context.inventory.topology.has_mac_addresses
    kinds = [MAC] if has_macs else [f"IPv{version}" for version in _VERSIONS if network.may_carry(version)]
    sets = {kind: receiver_set(network.key, kind, context.owner) for kind in kinds}
    return Or.of(*(_IN_SET[kind](one.name) for kind, one in sets.items())), tuple(sets.values())
