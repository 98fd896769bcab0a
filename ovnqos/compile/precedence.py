"""How rows of policies and the limits of single pods stay in force beside each other.

OVN applies one row of a direction to a packet. Which direction a policy's rows have on layer3 networks, whose switches
allow both, is decided by the pods' own limits: in `to-lport` they would shadow the ingress limit of a receiver on the
same switch, and in `from-lport` the egress limit of a sender. Where policies' rows and pods' egress limits share
`from-lport` all the same, a pod's limit joins the rule that takes all of its traffic, so that both hold.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from ovnqos.compile.rows import Direction, network_qos_priority
from ovnqos.model.labels import SelectorIndex
from ovnqos.model.owner import OBJECT_KEY, RULE_KEY
from ovnqos.model.policy import BandwidthScope, IPBlock
from ovnqos.model.workloads import Purpose

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ovnqos.compile.inventory import Inventory
    from ovnqos.compile.rows import QosRow
    from ovnqos.compile.topology import Network
    from ovnqos.model.policy import NetworkQoS, Rule
    from ovnqos.model.workloads import Pod


_K = TypeVar("_K", bound=Hashable)
_NONE: frozenset[str] = frozenset()


class _Senders(NamedTuple):
    """The pods of a namespace on a switch."""

    switch: str
    namespace: str


class RowDirections:
    """How many pods of a switch have limits of their own, and which policies' rows there depend on it."""

    def __init__(self) -> None:
        """No pod has a limit, no policy has rows."""
        self._receiving: Counter[str] = Counter()  # ingress limits by switch
        self._sending: Counter[_Senders] = Counter()  # egress limits and marks
        self._policies: dict[str, dict[str, set[str]]] = defaultdict(dict)  # switch -> namespace -> keys
        self._switches: dict[str, set[str]] = {}  # by policy

    def is_from_lport(self, switch: str, namespace: str) -> bool:
        """Whether rows of a namespace's policies are in `from-lport` on a switch where they could be in either.

        They are where a pod of the switch has an ingress limit, and none of the namespace's an egress limit or mark: so
        all that concerns one sender stays in one direction, where priorities decide.
        """
        return switch in self._receiving and _Senders(switch, namespace) not in self._sending

    def replace_pod(self, old: Iterable[QosRow], new: Iterable[QosRow]) -> set[str]:
        """Exchange the rows of a pod. Returns the policies whose rows may have another direction now."""
        receiving, sending = Counter[str](), Counter[_Senders]()
        for rows, step in ((old, -1), (new, 1)):
            for row in rows:
                namespace = row.external_ids[OBJECT_KEY].split("/")[1]
                for switch in row.switches:
                    if row.external_ids[RULE_KEY] == Purpose.INGRESS:
                        receiving[switch] += step
                    else:
                        sending[_Senders(switch, namespace)] += step
        changed: set[str] = set()
        for switch in _add(self._receiving, receiving):
            changed.update(*self._policies.get(switch, {}).values())
        for switch, namespace in _add(self._sending, sending):
            if switch in self._receiving:
                changed |= self._policies.get(switch, {}).get(namespace, _NONE)
        return changed

    def replace_policy(self, policy: str, switches: set[str]) -> None:
        """Set the switches on which the direction of a policy's rows depends on limits (`<namespace>/<name>`)."""
        namespace = policy.partition("/")[0]
        for switch in self._switches.pop(policy, _NONE) - switches:
            keys = self._policies[switch][namespace]
            keys.discard(policy)
            if not keys:
                del self._policies[switch][namespace]
                if not self._policies[switch]:
                    del self._policies[switch]
        if switches:
            self._switches[policy] = set()
            self.add_switches(policy, switches)

    def add_switches(self, policy: str, switches: Iterable[str]) -> None:
        """Add switches to those of a policy; none when the direction of its rows is fixed."""
        known = self._switches.get(policy)
        if known is None:
            return
        namespace = policy.partition("/")[0]
        for switch in switches:
            known.add(switch)
            self._policies[switch].setdefault(namespace, set()).add(policy)


def _add(counts: Counter[_K], steps: Counter[_K]) -> Iterator[_K]:
    """Add steps to counts. Yields the keys that are counted from now on, or no longer."""
    for key, step in steps.items():
        was = key in counts
        counts[key] += step
        if not counts[key]:
            del counts[key]
        if was != (key in counts):
            yield key


_BOTH = frozenset({4, 6})


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

    def joined(self, pod: Pod, attachment: str, network: Network, inventory: Inventory) -> CatchAllRule | None:
        """The rule that a pod's egress limit has to join on a network; None where both hold apart, or cannot both.

        It is the highest that takes all of the pod's IP traffic there, in the direction of egress limits. One whose
        limit the pod shares with others cannot be joined: it would take a meter in a meter.

        Args:
            pod: of this zone.
            attachment: by which it is on the network.
            network: where its limit is.
            inventory: the cluster.
        """
        index = self._of_namespace.get(pod.namespace)
        if index is None or inventory.topology.direction(network) is not Direction.FROM_LPORT:
            return None
        versions = network.versions or _BOTH
        found = [
            CatchAllRule(policy=policy, index=number)
            for policy in (self._policies[key] for key in index.matching(pod.labels))
            if policy.network_selectors is None or inventory.selects(policy.network_selectors, attachment)
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
    return any(_takes_all(rule, version) for version in _BOTH)


def _takes_all(rule: Rule, version: int) -> bool:
    classifier = rule.classifier
    if classifier.sources is not None or classifier.ports is not None:
        return False
    return classifier.destinations is None or any(_is_everything(peer, version) for peer in classifier.destinations)


def _is_everything(peer: object, version: int) -> bool:
    return isinstance(peer, IPBlock) and peer.cidr.version == version and not peer.cidr.prefixlen and not peer.excluded
