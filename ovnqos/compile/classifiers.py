"""From a rule's classifier to the part of the match that looks at the packet, and the address sets that it names."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from netaddr import IPNetwork

from ovnqos.compile.compiled import FixedMembers, PeerAddresses, ReceiverAddresses, SetDescription
from ovnqos.compile.precedence import MAC, RECEIVERS
from ovnqos.compile.rows import POLICY_KIND, name_hash
from ovnqos.compile.selections import PodSelection
from ovnqos.errors import InvalidRow
from ovnqos.match.addresses import WIDTH, join_ranges, range_texts, subtract_ranges
from ovnqos.model.owner import NETWORK_KEY, OBJECT_KEY, RULE_KEY
from ovnqos.model.policy import PORT_MAXIMUM, IPBlock, PodPeer, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from ovnqos.compile.compiled import CompileContext
    from ovnqos.compile.topology import Network
    from ovnqos.match.addresses import Range
    from ovnqos.model.owner import Owner
    from ovnqos.model.policy import Classifier, NetworkQoS, PortMatch, Rule

LITERAL_BLOCKS_MAXIMUM = 16
"""More CIDRs than this go into an address set: the match stays readable, and a change of them keeps its meter."""

_NUMBERS = {Protocol.SCTP: 132, Protocol.TCP: 6, Protocol.UDP: 17}
_IPV6_FRAGMENT = 44
_VERSIONS: tuple[int, ...] = (4, 6)
_GROUPS = (IPNetwork("224.0.0.0/4"), IPNetwork("255.255.255.255/32"), IPNetwork("ff00::/8"))
_DESTINATION_FIELDS = {MAC: "eth.dst", "IPv4": "ip4.dst", "IPv6": "ip6.dst"}
_CONNECTIONS = frozenset({Protocol.TCP, Protocol.SCTP})
_Bounds = tuple["Range", tuple["Range", ...]]  # of a CIDR, and of what is left out of it


class CompiledClassifier(NamedTuple):
    """What a rule says of packets, but for the port that they enter by.

    Attributes:
        text: in OVN's match language, ready to be and-ed to more: each `||` is in parentheses.
        sets: the address sets that it names.
        takes_icmp6: whether packets of ICMPv6 may match.
    """

    text: str
    sets: Sequence[SetDescription]
    takes_icmp6: bool


def compile_classifier(
    policy: NetworkQoS, index: int, network: Network, owner: Owner, *, fragments: Collection[int] = ()
) -> CompiledClassifier | None:
    """Compile what a rule says of destinations, sources and ports; None when no packet can match.

    Args:
        policy: the rule's.
        index: of the rule.
        network: where the packets are.
        owner: who the sets will belong to.
        fragments: the IP versions of which fragments count as sent to the rule's ports, whatever their own is.
    """
    classifier = policy.rules[index].classifier
    addresses, sets, versions = "ip", [], _VERSIONS
    if classifier.destinations is not None or classifier.sources is not None:
        rule = _RuleAddresses(policy, index, network, owner)
        alternatives = {version: text for version in _VERSIONS if (text := rule.compile(version))}
        addresses, sets, versions = any_of([*alternatives.values()]), rule.sets, tuple(alternatives)
        if addresses == "(ip4 || ip6)":
            addresses = "ip"
    if not addresses:
        return None
    if classifier.ports is None:
        return CompiledClassifier(addresses, sets, 6 in versions)
    carried = [version for version in fragments if version in versions]
    ports = any_of([*_ports(classifier.ports), *_fragments(classifier.ports, carried)])
    if not ports:
        return None
    # a transport implies ip, but not its version
    return CompiledClassifier(ports if addresses == "ip" else f"{addresses} && {ports}", sets, takes_icmp6=False)


def any_of(alternatives: Sequence[str]) -> str:
    """The disjunction of texts without strings in them, ready to be and-ed to more; empty where there are none."""
    if len(alternatives) < 2:
        return "".join(alternatives)
    return f"({' || '.join([f'({one})' if ' && ' in one else one for one in alternatives])})"


def _equals(field: str, constants: Sequence[str]) -> str:
    return f"{field} == {constants[0]}" if len(constants) == 1 else f"{field} == {{{', '.join(constants)}}}"


class _Side:
    """The destinations (`dst`) or sources (`src`) of a rule: CIDRs by IP version, and pods."""

    __slots__ = ("blocks", "name", "peers")

    def __init__(self, name: str, peers: Sequence[IPBlock | PodPeer]) -> None:
        self.name = name
        self.blocks: dict[int, list[_Bounds]] = {}
        self.peers: list[PodPeer] = []
        for one in peers:
            if isinstance(one, PodPeer):
                self.peers.append(one)
            else:
                self.blocks.setdefault(one.cidr.version, []).append(_bounds(one))


class _RuleAddresses:
    """What a rule says of addresses on a network.

    Attributes:
        sets: the address sets that the texts name, of the versions that were compiled.
    """

    def __init__(self, policy: NetworkQoS, index: int, network: Network, owner: Owner) -> None:
        self._policy = policy
        self._index = index
        self._network = network
        self._owner = owner
        classifier = policy.rules[index].classifier
        self._sides = [
            _Side(name, peers)
            for name, peers in (("dst", classifier.destinations), ("src", classifier.sources))
            if peers is not None
        ]
        self.sets: list[SetDescription] = []

    def compile(self, version: int) -> str:
        """Compile destinations and sources of an IP version; empty when no packet can match.

        The version's symbol is left out where a comparison implies it.
        """
        texts: list[str] = []
        sets: list[SetDescription] = []
        for side in self._sides:
            blocks = side.blocks.get(version)
            covered = _covered(version, tuple(blocks)) if blocks is not None else ()
            if covered is None:
                continue  # a set beside it adds no packets
            used = [found for one in side.peers if (found := self._peer_set(one, version))] if side.peers else []
            if len(covered) > LITERAL_BLOCKS_MAXIMUM:
                used.append(self._block_set(side.name, version, covered))
                covered = ()
            constants = [*dict.fromkeys([f"${one.name}" for one in used]), *covered] if used else covered
            if not constants:
                return ""
            texts.append(_equals(f"ip{version}.{side.name}", constants))
            sets += used
        self.sets += sets
        return " && ".join(texts) or f"ip{version}"

    def _peer_set(self, peer: PodPeer, version: int) -> SetDescription | None:
        """The set of a pod peer's addresses; None when it selects nothing of this IP version."""
        network = self._network
        selection = PodSelection.of_peer(peer, self._policy.namespace)
        if selection is None or not network.may_carry(version):
            return None
        return _describe_peers(selection, version, network.key, network.name, self._owner.name)

    def _block_set(self, side: str, version: int, cidrs: Iterable[str]) -> SetDescription:
        of_policy = f"{POLICY_KIND}/{self._policy.key}"
        identity = f"{side}: CIDRs of {of_policy} rule {self._index} IPv{version}"
        return SetDescription(
            name=_set_name(side, self._owner.name, identity, version),
            identity=identity,
            external_ids={OBJECT_KEY: of_policy, RULE_KEY: str(self._index)},
            members=FixedMembers(members=frozenset(cidrs)),
        )


@lru_cache(maxsize=1 << 10)
def _describe_peers(
    selection: PodSelection, version: int, network_key: str, network_name: str, owner: str
) -> SetDescription:
    """The set of a selection's addresses. Kept, since rules of one namespace have many in common."""
    identity = f"destinations: {selection} on {network_key} IPv{version}"
    return SetDescription(
        name=_set_name("dst", owner, identity, version),
        identity=identity,
        external_ids={NETWORK_KEY: network_name},
        members=PeerAddresses(selection=selection, network=network_key, version=version),
    )


def _set_name(side: str, owner: str, identity: str, version: int) -> str:
    return f"ovnqos_{side}_{name_hash(owner, identity)}_v{version}"


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


def _bounds(block: IPBlock) -> _Bounds:
    return (block.cidr.first, block.cidr.last), tuple([(one.first, one.last) for one in block.excluded])


@lru_cache(maxsize=1 << 10)
def _covered(version: int, blocks: Sequence[_Bounds]) -> tuple[str, ...] | None:
    """The fewest CIDRs of the addresses of all blocks, each less its own exceptions; None for all addresses.

    As equalities, because `!=` with several addresses explodes into thousands of flows (measured: 3 give 19,417).
    Many rules leave out the same addresses, the private ones.
    """
    ranges = [one for kept, dropped in blocks for one in subtract_ranges([kept], join_ranges(list(dropped)))]
    joined = join_ranges(ranges)
    return None if joined == [(0, (1 << WIDTH[version]) - 1)] else tuple(range_texts(joined, version))


def _ports(ports: Sequence[PortMatch]) -> Iterator[str]:
    """The alternatives of the port matches: a protocol without port takes all of the protocol's ports."""
    wanted: dict[Protocol, list[Range] | None] = {}
    for one in ports:
        for protocol in (one.protocol,) if one.protocol else Protocol:
            if one.port is None:
                wanted[protocol] = None
            elif (ranges := wanted.setdefault(protocol, [])) is not None:
                ranges.append((one.port, one.port if one.end_port is None else one.end_port))
    for protocol, found in sorted(wanted.items()):
        name = protocol.lower()
        if found is None:
            yield name
            continue
        single = {first for first, last in found if first == last}
        merged = join_ranges([bounds for bounds in found if bounds[0] != bounds[1]])
        if any(not 0 <= port <= PORT_MAXIMUM for bounds in found for port in bounds):
            raise InvalidRow(f"{name}.dst: {found} are not ports; use 0 to {PORT_MAXIMUM}")
        alone = [port for port in sorted(single) if not any(first <= port <= last for first, last in merged)]
        if alone:
            yield _equals(f"{name}.dst", [str(port) for port in alone])
        yield from (f"{name}.dst >= {first} && {name}.dst <= {last}" for first, last in merged)


def takes_fragments(rules: Sequence[Rule], index: int) -> bool:
    """Whether fragments count to a rule with ports: OVN knows no port of theirs, so that it might be any.

    They count where there is a limit, unless a lower rule of the object has a stricter one that takes them as well. A
    mark alone is not for them: it would take others' packets, from limits too.
    """
    rule = rules[index]
    limit = rule.bandwidth
    return (
        rule.classifier.ports is not None
        and limit is not None
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
    ports = rules[index].classifier.ports
    if not ports:
        return ""
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


def _fragments(ports: Sequence[PortMatch], versions: Collection[int]) -> Iterator[str]:
    """Match the fragments that may be sent to these ports.

    To OVS a fragment has port 0, the first one too. One of IPv6 that is not the first has the protocol 44 (measured).
    """
    if not versions:
        return
    some = _protocols(one for one in ports if one.port is not None) - _protocols(
        one for one in ports if one.port is None
    )
    numbers = [_NUMBERS[protocol] for protocol in some] + ([_IPV6_FRAGMENT] if 6 in versions else [])
    if numbers:
        yield f"ip.is_frag && {_equals('ip.proto', [str(number) for number in sorted(numbers)])}"


@lru_cache(maxsize=1 << 8)
def receiver_set(network: str, kind: str, owner: Owner) -> SetDescription:
    """The set of the addresses of one kind that limited receivers have on a network, by its name."""
    identity = f"{RECEIVERS} in namespaces (all) on {network} {kind}"
    return SetDescription(
        name=f"ovnqos_limited_{name_hash(owner.name, identity)}_{kind[-2:].lower()}",
        identity=identity,
        external_ids={NETWORK_KEY: network},
        members=ReceiverAddresses(network=network, kind=kind),
    )


def for_receivers(network: Network, context: CompileContext) -> dict[str, SetDescription]:
    """The matches of packets for the limited receivers on a network, alternatives, each with the set that it names."""
    has_macs = context.inventory.topology.has_mac_addresses
    kinds = [MAC] if has_macs else [f"IPv{version}" for version in _VERSIONS if network.may_carry(version)]
    sets = [(kind, receiver_set(network.key, kind, context.owner)) for kind in kinds]
    return {f"{_DESTINATION_FIELDS[kind]} == ${one.name}": one for kind, one in sets}
