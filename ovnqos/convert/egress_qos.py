"""EgressQoS to the rules of NetworkQoS objects: there the first rule that matches wins, here the last of the first.

Source of what an EgressQoS does: ovn-kubernetes writes a row a rule on the node switches of the default network, in the
direction to-lport; a rule without dstCIDR takes any destination of either IP version.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from ovnqos.model.policy import RULES_MAXIMUM, Classifier, IPBlock, Rule

if TYPE_CHECKING:
    from ovnqos.model.labels import LabelSelector
    from ovnqos.sources.egress_qos import EgressQoS, EgressQoSRule


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRun:
    """Rules for one selector, the last of which wins: what one NetworkQoS says."""

    pod_selector: LabelSelector
    rules: tuple[Rule, ...]


def rule_runs(egress_qos: EgressQoS) -> tuple[RuleRun, ...]:
    """The rules as runs of which an earlier one wins over a later one, each as many as a NetworkQoS can hold."""
    runs = []
    for selector, group in groupby(egress_qos.rules, key=lambda rule: rule.pod_selector):
        rules = list(group)
        for start in range(0, len(rules), RULES_MAXIMUM):
            part = rules[start : start + RULES_MAXIMUM]
            runs.append(RuleRun(pod_selector=selector, rules=tuple(_rule(rule) for rule in reversed(part))))
    return tuple(runs)


def _rule(rule: EgressQoSRule) -> Rule:
    to = None if rule.destination is None else (IPBlock(cidr=rule.destination),)
    return Rule(dscp=rule.dscp, classifier=Classifier(destinations=to))
