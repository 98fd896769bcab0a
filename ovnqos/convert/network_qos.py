"""Pod annotations and EgressQoS objects to NetworkQoS objects.

In each namespace the objects get the lowest priorities: those of an EgressQoS at the bottom, above them the namespace's
defaults, then what single pods have instead. That is how OVN ranks what they come from, and other NetworkQoS objects
stay above all of them, as they are above annotations and EgressQoS.

Source of what an EgressQoS does: ovn-kubernetes writes a row a rule on the node switches of the default network, in the
direction to-lport; a rule without dstCIDR takes any destination of either IP version. Of its rules the first that
matches holds, of a NetworkQoS the last.
"""

from __future__ import annotations

import re
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

from ovnqos.convert.conversion import (
    DEFAULT_PODS_NETWORK,
    NetworkQoSConversion,
    Replacement,
    by_namespace,
    may_take,
    network_of,
    not_converted,
    policy_ref,
)
from ovnqos.convert.label_selectors import uses_transient_labels
from ovnqos.convert.pod_limits import ANNOTATIONS, DEFAULTS, PodLimitConversion
from ovnqos.diagnostics import Code, Diagnostic, ObjectRef
from ovnqos.model.policy import PRIORITY_MAXIMUM, RULES_MAXIMUM, BandwidthScope, Classifier, IPBlock, NetworkQoS, Rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from netaddr import IPNetwork

    from ovnqos.convert.conversion import NamespaceObjects, PodsNetwork
    from ovnqos.model.labels import LabelSelector
    from ovnqos.model.workloads import PodQos
    from ovnqos.sources import Manifests
    from ovnqos.sources.egress_qos import EgressQoS, EgressQoSRule

_PRIORITIES = PRIORITY_MAXIMUM + 1
_SLUG_LENGTH = 40


def to_network_qos(
    manifests: Manifests, *, cluster_cidrs: Iterable[IPNetwork] = (), mark: int | None = None
) -> NetworkQoSConversion:
    """Convert what annotations and EgressQoS objects set, as far as NetworkQoS objects can set the same.

    With these objects in the cluster, and without what they replace, each packet of a known pod gets the same mark, the
    same limit and, of each pod, the same meter, beside all that was not converted. Where a limit and a mark become one
    rule, the mark is also set on packets that stay in the cluster. Of packets of an IP version without any address on
    their network (the source is false) nothing is promised.

    Args:
        manifests: the objects to convert, and the pods and NetworkQoS objects beside which they are. Pods are told
            apart by their labels among the pods that are here.
        cluster_cidrs: the addresses in the cluster, outside of which a pod's DSCP is for. Empty: not known, and marks
            stay annotations.
        mark: the DSCP (0 to 63) of pods that have a limit and no mark. None: their rules leave marks alone, and of pods
            with limit and mark the limits stay annotations.

    Returns:
        The objects, a diagnostic for each thing that has no equivalent, and what the objects replace.
    """
    cidrs = tuple(cluster_cidrs)
    found = [_AnnotationsToPolicies(objects, cidrs, mark) for objects in by_namespace(manifests)]
    return NetworkQoSConversion(
        policies=tuple(policy for one in found for policy in one.policies),
        diagnostics=tuple(diagnostic for one in found for diagnostic in one.diagnostics),
        replacements=tuple(replacement for one in found for replacement in one.replacements),
    )


class _AnnotationsToPolicies:
    """The conversion of one namespace.

    Attributes:
        policies: by descending priority.
        diagnostics: what has no equivalent.
        replacements: what the policies replace.
    """

    def __init__(self, objects: NamespaceObjects, cluster_cidrs: Sequence[IPNetwork], mark: int | None) -> None:
        self._objects = objects
        known = network_of(objects)
        network = known or DEFAULT_PODS_NETWORK
        cidrs = (*cluster_cidrs, *network.subnets) if cluster_cidrs else ()
        self._convert_limits = partial(PodLimitConversion, objects, cluster_cidrs=cidrs, mark=mark)
        self._names = {policy.name for policy in objects.policies}
        self.diagnostics = list(_annotation_diagnostics(objects))
        self.replacements: list[Replacement] = []
        limits = self._limits(network, "" if known else "the namespace has several primary networks")
        marking = self._marking(known, limits)
        limiting = self._limiting(limits, network, len(marking))
        self.policies = sorted((*limiting, *marking), key=lambda policy: -policy.priority)

    def _limits(self, network: PodsNetwork, reason: str) -> PodLimitConversion:
        limits = self._convert_limits(network, keep_all=(reason,) if reason else ())
        lowest = _lowest(limits.conflicts())
        if lowest is not None and lowest.priority < limits.priorities:
            limits = self._convert_limits(network, keep_all=_no_priority(limits.priorities, lowest))
        self.diagnostics.extend(limits.diagnostics())
        return limits

    def _marking(self, network: PodsNetwork | None, limits: PodLimitConversion) -> list[NetworkQoS]:
        """The policies of the namespace's EgressQoS; none where it must stay."""
        egress_qos = self._objects.egress_qos
        if egress_qos is None or not egress_qos.rules:
            return []
        ref = ObjectRef(kind="EgressQoS", namespace=egress_qos.namespace, name=egress_qos.name)
        parts = list(_parts(egress_qos))
        needed = len(parts) + limits.priorities
        lowest = _lowest(one for one in self._objects.policies if one.rules and may_take(one, DEFAULT_PODS_NETWORK))
        reason = () if network is not None and network.is_primary else _kept_mark(egress_qos, limits)
        if not reason and needed > (_PRIORITIES if lowest is None else lowest.priority):
            reason = _no_priority(needed, lowest)
        if reason:
            self.diagnostics.append(not_converted(ref, "spec.egress", *reason))
            return []
        policies = [
            NetworkQoS(
                namespace=self._objects.name,
                name=self._free_name("egress-qos" if len(parts) == 1 else f"egress-qos-{index + 1}"),
                priority=len(parts) - 1 - index,
                rules=rules,
                pod_selector=selector,
                network_selectors=(DEFAULT_PODS_NETWORK.selector,),
            )
            for index, (selector, rules) in enumerate(parts)
        ]
        self.replacements.append(Replacement(object=ref, by=tuple(map(policy_ref, policies))))
        return policies

    def _limiting(self, limits: PodLimitConversion, network: PodsNetwork, lowest: int) -> list[NetworkQoS]:
        by: dict[str, NetworkQoS] = {}
        exceptions = lowest + any(one.is_default for one in limits.rules)
        policies = []
        for one in limits.rules:
            policy = NetworkQoS(
                namespace=self._objects.name,
                name=self._free_name("pod-qos-defaults" if one.is_default else f"pod-qos-{_slug(one.selector)}"),
                priority=lowest if one.is_default else exceptions,
                rules=(one.rule,),
                pod_selector=one.selector,
                network_selectors=(network.selector,),
                bandwidth_scope=BandwidthScope.POLICY if one.rule.bandwidth is None else BandwidthScope.POD,
            )
            policies.append(policy)
            by.update(dict.fromkeys(one.names, policy))
            if uses_transient_labels(one.selector):
                ref, text = policy_ref(policy), f"applies only while its pods have {one.selector}"
                hint = "give them a lasting label of their own"
                self.diagnostics.append(
                    Diagnostic.warning(ref, Code.TRANSIENT_LABELS, text, path="spec.podSelector", hint=hint)
                )
        for name, parts in limits.replaced():
            made = by[name] if name in by else by[DEFAULTS]
            self.replacements.append(Replacement(object=limits.ref(name), parts=parts, by=(policy_ref(made),)))
        return policies

    def _free_name(self, base: str) -> str:
        """A name that no other policy of the namespace has."""
        name = base
        number = 1
        while name in self._names:
            number += 1
            name = f"{base}-{number}"
        self._names.add(name)
        return name


def _parts(egress_qos: EgressQoS) -> Iterator[tuple[LabelSelector, tuple[Rule, ...]]]:
    """The rules by selector, as many as a NetworkQoS can hold, the first of which wins as the last."""
    for selector, group in groupby(egress_qos.rules, key=lambda rule: rule.pod_selector):
        rules = [_rule(rule) for rule in group]
        for start in range(0, len(rules), RULES_MAXIMUM):
            yield selector, tuple(reversed(rules[start : start + RULES_MAXIMUM]))


def _rule(rule: EgressQoSRule) -> Rule:
    to = None if rule.destination is None else (IPBlock(cidr=rule.destination),)
    return Rule(dscp=rule.dscp, classifier=Classifier(destinations=to))


def _lowest(policies: Iterable[NetworkQoS]) -> NetworkQoS | None:
    return min(policies, key=lambda policy: (policy.priority, policy.name), default=None)


def _no_priority(needed: int, lowest: NetworkQoS | None) -> tuple[str, ...]:
    """The text and the hint of a diagnostic."""
    if lowest is None:
        return f"needs {needed} priorities of {_PRIORITIES}", "order the rules by podSelector"
    count = "a priority" if needed == 1 else f"{needed} priorities"
    return f"needs {count} below {lowest.priority}, that of NetworkQoS {lowest.key}", "raise its priority"


def _kept_mark(egress_qos: EgressQoS, limits: PodLimitConversion) -> tuple[str, ...]:
    """The text of a diagnostic where an annotation that stays would lose against the converted rules."""
    for ref, labels in limits.kept_marks():
        if labels is None or any(rule.pod_selector.matches(labels) for rule in egress_qos.rules):
            return (f"would take precedence over the dscp annotation of {ref}, which is not converted",)
    return ()


def _annotation_diagnostics(objects: NamespaceObjects) -> Iterator[Diagnostic]:
    """What no NetworkQoS can express."""
    yield from _qos_diagnostics(objects.object, objects.qos)
    for pod in objects.pods:
        ref = objects.pod(pod.name)
        yield from _qos_diagnostics(ref, pod.qos)
        if pod.host_network and not pod.qos.sets_nothing:
            text = "neither annotations nor NetworkQoS apply to pods on the host's network"
            yield not_converted(ref, "spec.hostNetwork", text)


def _qos_diagnostics(ref: ObjectRef, qos: PodQos) -> Iterator[Diagnostic]:
    for diagnostic in qos.diagnostics:
        if diagnostic.code in {Code.INVALID_FIELD, Code.UNSUPPORTED_ANNOTATION}:
            yield diagnostic
    if qos.ingress is not None:
        text = f"NetworkQoS cannot express an ingress limit ({qos.ingress.rate_kbps} kbps)"
        yield not_converted(ref, ANNOTATIONS, text, "keep the annotation")


def _slug(selector: LabelSelector) -> str:
    """The labels of a selector as part of an object's name."""
    words = "-".join(
        word for one in selector.requirements for word in (one.key.rpartition("/")[2], *sorted(one.values))
    )
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")[:_SLUG_LENGTH].rstrip("-")
