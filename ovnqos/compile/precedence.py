"""How rows of policies, the limits of single pods, and neighbour discovery stay in force beside each other.

OVN applies one row of a direction to a packet. On a layer3 network a policy's rows are in `to-lport`, and so is the
ingress limit of a receiver on the same switch, which is above them; what policies do to packets for such a receiver is
done in `from-lport`. Where policies' rows and pods' egress limits share `from-lport`, a pod's limit joins the rule that
takes all of its traffic, so that both hold.

At a limit a pod would not find its neighbours; ARP is not limited either. The types of ICMPv6 cannot be left out of a
limit's own match: OVN tests them for equality only, so that it would be one flow for each of the 500 other types and
protocols, at each port. One row above all limits of a switch is nine flows.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from ovnqos.compile.rows import PRIORITY_MAXIMUM, Direction, QosRow, network_qos_priority
from ovnqos.match import MatchText
from ovnqos.model.labels import SelectorIndex
from ovnqos.model.owner import NEIGHBOUR_DISCOVERY, NETWORK_KEY, PORT_KEY, RULE_KEY
from ovnqos.model.policy import BANDWIDTH_MAXIMUM, BandwidthScope, IPBlock

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from ovnqos.compile.inventory import Inventory
    from ovnqos.compile.topology import Network, PodInterface
    from ovnqos.model.policy import NetworkQoS, Rule
    from ovnqos.model.workloads import Pod


RECEIVERS = "destinations: pods with an ingress limit"
"""Identities of the sets of limited receivers begin with this."""

_NONE: frozenset[str] = frozenset()
_BOTH = frozenset({4, 6})
MAC = "MAC"
"""Of the kinds of addresses; the others are `IPv4` and `IPv6`."""


def has_both_directions(network: Network, inventory: Inventory) -> bool:
    """Whether rows of policies are in `to-lport` on a network, and may be in `from-lport` as well."""
    topology = inventory.topology
    return topology.direction(network) is Direction.TO_LPORT and topology.allows_from_lport(network)


class LimitedReceiver(NamedTuple):
    """A pod's interface with an ingress limit: its switch, its network, and its addresses by kind."""

    switch: str
    network: str
    addresses: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, interface: PodInterface, network: Network, inventory: Inventory) -> LimitedReceiver:
        """The interface's MAC address tells it from everything on other switches; its IP addresses do not."""
        if inventory.topology.has_mac_addresses:
            addresses = {(MAC, one) for one in inventory.topology.mac_addresses(interface)}
        else:
            addresses = {("IPv6" if ":" in one else "IPv4", one) for one in interface.addresses}
        return cls(inventory.topology.switch(network, interface.location), network.key, frozenset(addresses))


class LimitedReceivers:
    """The pods with an ingress limit on networks with rows in both directions; and the policies with rows there."""

    def __init__(self) -> None:
        """No pod has a limit, no policy has rows."""
        self._on_switch: Counter[str] = Counter()
        self._addresses: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)  # by network and kind
        self._policies: dict[str, set[str]] = defaultdict(set)  # by switch
        self._switches: dict[str, set[str]] = {}  # by policy

    def is_on(self, switch: str) -> bool:
        """Whether a pod of this switch has an ingress limit."""
        return switch in self._on_switch

    def addresses(self, network: str, kind: str) -> Counter[str]:
        """The addresses of a kind on a network, by its key."""
        return self._addresses.get((network, kind), Counter())

    def replace(self, old: LimitedReceiver | None, new: LimitedReceiver | None) -> set[str]:
        """Exchange a pod's limited interface. Returns the policies with rows to add on its switch, or to remove."""
        changed: set[str] = set()
        for one, step in ((old, -1), (new, 1)):
            if one is None:
                continue
            for kind, address in one.addresses:
                _add(self._addresses[one.network, kind], address, step)
            if _add(self._on_switch, one.switch, step):
                changed ^= {one.switch}
        return set().union(*(self._policies.get(switch, _NONE) for switch in changed))

    def replace_policy(self, policy: str, switches: set[str]) -> None:
        """Set the switches where a policy's rows depend on limited receivers (`<namespace>/<name>`)."""
        for switch in self._switches.pop(policy, _NONE) - switches:
            self._policies[switch].discard(policy)
            if not self._policies[switch]:
                del self._policies[switch]
        if switches:
            self._switches[policy] = set()
            self.add_switches(policy, switches)

    def add_switches(self, policy: str, switches: Iterable[str]) -> None:
        """Add switches to those of a policy; none when it has no rows that depend on them."""
        known = self._switches.get(policy)
        if known is None:
            return
        for switch in switches:
            known.add(switch)
            self._policies[switch].add(policy)


def _add(counts: Counter[str], key: str, step: int) -> bool:
    """Add a step to a count. Returns whether the key is counted from now on, or no longer."""
    was = key in counts
    counts[key] += step
    if not counts[key]:
        del counts[key]
    return was != (key in counts)


class PortClaims:
    """Which pod's row a port has where several pods claim it, as two do that carry one virtual machine.

    A port has one row a purpose, for two equal ones would meet: that of the stricter limit, so that no pod lifts
    another's; of marks, and equal limits, that of the pod first by name.
    """

    def __init__(self) -> None:
        """No pod has a row."""
        self._claims: dict[tuple[str, str], dict[str, QosRow]] = {}  # by port and purpose, by the pod's key
        self._of_pod: dict[str, dict[tuple[str, str], QosRow]] = {}

    def replace(self, pod: str, rows: Iterable[QosRow]) -> set[str]:
        """Exchange the rows of a pod. Returns the other pods that claim a port on which something changed."""
        new = {(row.external_ids[PORT_KEY], row.external_ids[RULE_KEY]): row for row in rows}
        old = self._of_pod.pop(pod, {})
        if new:
            self._of_pod[pod] = new
        others: set[str] = set()
        for place in old.keys() | new.keys():
            if old.get(place) == new.get(place):
                continue
            claims = self._claims.setdefault(place, {})
            claims.pop(pod, None)
            others.update(claims)
            if place in new:
                claims[pod] = new[place]
            if not claims:
                del self._claims[place]
        return others

    def holder(self, row: QosRow) -> str:
        """The key of the pod whose row the port has."""
        claims = self._claims[row.external_ids[PORT_KEY], row.external_ids[RULE_KEY]]
        return min(claims, key=lambda pod: (_strictness(claims[pod]), pod))


def _strictness(row: QosRow) -> tuple[int, int]:
    rate = row.rate_kbps or 0
    return rate, rate if row.burst_kbit is None else row.burst_kbit


@dataclass(frozen=True, slots=True, kw_only=True)
class CatchAllRule:
    """A rule of a policy that takes all IP traffic of a pod on a network."""

    policy: NetworkQoS
    index: int

    @property
    def rule(self) -> Rule:
        """The rule itself."""
        return self.policy.rules[self.index]

    @property
    def priority(self) -> int:
        """OVN priority of its row."""
        return network_qos_priority(self.policy.priority, self.index)

    @property
    def can_be_joined(self) -> bool:
        """Whether one meter of one pod can keep its limit: it has none, or one for each pod."""
        return self.rule.bandwidth is None or self.policy.bandwidth_scope is BandwidthScope.POD

    def __str__(self) -> str:
        return f"NetworkQoS/{self.policy.key}/{self.index}"


class CatchAllRules:
    """The policies with a rule that may take all IP traffic, by the pods that they select."""

    def __init__(self) -> None:
        """No policy is known."""
        self._policies: dict[str, NetworkQoS] = {}
        self._of_namespace: dict[str, SelectorIndex[str]] = defaultdict(SelectorIndex)

    def replace(self, key: str, policy: NetworkQoS | None) -> None:
        """Add or replace a policy (`<namespace>/<name>`), or remove it (None)."""
        old = self._policies.pop(key, None)
        if old is not None:
            self._of_namespace[old.namespace].discard(old.pod_selector, key)
            if not self._of_namespace[old.namespace]:
                del self._of_namespace[old.namespace]
        if policy is not None and has_catch_all_rule(policy):
            self._policies[key] = policy
            self._of_namespace[policy.namespace].add(policy.pod_selector, key)

    def joined(self, pod: Pod, interface: PodInterface, network: Network, inventory: Inventory) -> CatchAllRule | None:
        """The rule that a pod's egress limit has to join on a network; None where both hold apart, or cannot both.

        It is the highest that takes all of the pod's IP traffic there, at least some of it in the direction of egress
        limits. One whose limit the pod shares with others cannot be joined: it would take a meter in a meter.

        Args:
            pod: of this zone.
            interface: by which it is on the network. Other pods' addresses do not count: what one brings to the network
                would end another's limit.
            network: where its limit is.
            inventory: the cluster.
        """
        index = self._of_namespace.get(pod.namespace)
        in_from_lport = inventory.topology.direction(network) is Direction.FROM_LPORT
        if index is None or not (in_from_lport or has_both_directions(network, inventory)):
            return None
        own = frozenset(6 if ":" in address else 4 for address in interface.addresses)
        versions = own or network.versions or _BOTH
        found = [
            CatchAllRule(policy=policy, index=number)
            for policy in (self._policies[key] for key in index.matching(pod.labels))
            if policy.network_selectors is None or inventory.selects(policy.network_selectors, interface.attachment)
            for number, rule in enumerate(policy.rules)
            if _may_take_all(rule) and all(_takes_all(rule, version) for version in versions)
        ]
        highest = max(found, key=lambda one: (one.priority, str(one)), default=None)
        return highest if highest is not None and highest.can_be_joined else None


def has_catch_all_rule(policy: NetworkQoS) -> bool:
    """Whether a policy has a rule that may take all IP traffic of a pod."""
    return any(_may_take_all(rule) for rule in policy.rules)


def _may_take_all(rule: Rule) -> bool:
    """Whether a rule takes all packets of one IP version at least, and has an effect on them."""
    if rule.dscp is None and rule.bandwidth is None:
        return False
    return _takes_all(rule, 4) or _takes_all(rule, 6)


def _takes_all(rule: Rule, version: int) -> bool:
    classifier = rule.classifier
    if classifier.sources is not None or classifier.ports is not None:
        return False
    return classifier.destinations is None or any(_is_everything(peer, version) for peer in classifier.destinations)


def _is_everything(peer: object, version: int) -> bool:
    return isinstance(peer, IPBlock) and peer.cidr.version == version and not peer.cidr.prefixlen and not peer.excluded


_NEIGHBOUR_MATCH: Final = MatchText("icmp6.type == {130, 131, 132, 133, 134, 135, 136, 137, 143}")
"""Multicast listener discovery; router and neighbour discovery, redirects (RFC 2710, 3810, 4861)."""
_Pipeline = tuple[Direction, str]  # and switch


class Neighbours:
    """One row a direction and switch, where there is a limit that would take neighbour discovery.

    It limits to the most that OVN takes, since up to 24.03 a row without a limit keeps no other row's away.
    """

    def __init__(self) -> None:
        """No limit is known."""
        self._limits: Counter[_Pipeline] = Counter()

    def add(self, rows: Iterable[QosRow], icmp6: Collection[tuple[str, str]], step: int) -> set[str]:
        """Count rows of an object (step 1), or no longer (-1). Returns the identities of rows that come or go.

        Args:
            rows: the object's.
            icmp6: as `CompiledObject` has it.
            step: 1 or -1.
        """
        changed: set[str] = set()
        for row in rows if icmp6 else ():
            if row.rate_kbps is None or (row.external_ids[RULE_KEY], row.external_ids[NETWORK_KEY]) not in icmp6:
                continue
            for switch in row.switches:
                place = row.direction, switch
                before = self._limits[place]
                self._limits[place] += step
                if not before or not self._limits[place]:
                    changed ^= {_neighbour_identity(place)}
                if not self._limits[place]:
                    del self._limits[place]
        return changed

    def rows(self) -> Iterator[QosRow]:
        """All of them."""
        return map(_neighbour_row, self._limits)

    def row(self, identity: str) -> QosRow | None:
        """The row of this identity, if it is needed."""
        kind, _, place = identity.partition("/")
        direction, _, switch = place.partition("/")
        if kind != NEIGHBOUR_DISCOVERY or (Direction(direction), switch) not in self._limits:
            return None
        return _neighbour_row((Direction(direction), switch))

    def __len__(self) -> int:
        return len(self._limits)


def neighbour_rows(switch: str) -> tuple[str, ...]:
    """The identities of the rows that a switch has, where it has limits; no plan says that they lack the switch."""
    return tuple(_neighbour_identity((direction, switch)) for direction in Direction)


def _neighbour_identity(place: _Pipeline) -> str:
    return f"{NEIGHBOUR_DISCOVERY}/{place[0]}/{place[1]}"


def _neighbour_row(place: _Pipeline) -> QosRow:
    direction, switch = place
    return QosRow(
        switches=frozenset([switch]),
        direction=direction,
        priority=PRIORITY_MAXIMUM,
        match=_NEIGHBOUR_MATCH,
        rate_kbps=BANDWIDTH_MAXIMUM,
        identity=_neighbour_identity(place),
        external_ids={RULE_KEY: NEIGHBOUR_DISCOVERY},
    )
