"""OVN priorities: a band for each object priority, so that two objects of different priority never mix.

Whose rows are where: EgressIP and EgressQoS of ovn-kubernetes up to 1000, Neutron's 2002 and 2003, limits and marks of
single pods 5000, NetworkQoS from 10000.
"""

from __future__ import annotations

from ovnqos.model.policy import RULES_MAXIMUM

NETWORK_QOS_BASE = 10_000
"""Lowest OVN priority of a NetworkQoS rule, as in ovn-kubernetes: above its EgressQoS rows (at most 1000)."""

POD_QOS = 5_000
"""OVN priority of the rows of pod annotations: below all NetworkQoS, so that a NetworkQoS wins where both match."""


_STEP = 2


def network_qos_priority(priority: int, rule_index: int) -> int:
    """OVN priority of rule `rule_index` (0 to 19) of an object of `priority` (0 to 100); a later rule wins.

    Always even: the next number is for a pod's own limit that has joined the rule.
    """
    return NETWORK_QOS_BASE + _STEP * (RULES_MAXIMUM * priority + rule_index)


def joined_priority(rule_priority: int) -> int:
    """OVN priority of a pod's row that does what a rule of this OVN priority does, and keeps to the pod's limit."""
    return rule_priority + 1
