"""Catch-all rules: those that take all IP traffic of their pods. A pod's own egress limit joins one, so that both hold.

Where policies' rows and pods' egress limits share `from-lport`, OVN would apply only the policy's to a packet.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ovnqos.compile.label_index import SelectorIndex
from ovnqos.compile.rows import Direction, network_qos_priority
from ovnqos.model.policy import BandwidthScope, IPBlock

if TYPE_CHECKING:
    from ovnqos.compile.inventory import Inventory
    from ovnqos.compile.topology import Network
    from ovnqos.model.policy import NetworkQoS, Rule
    from ovnqos.model.workloads import Pod

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
