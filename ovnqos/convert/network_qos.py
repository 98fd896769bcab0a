"""Pod annotations and EgressQoS objects to NetworkQoS objects.

In each namespace the objects get the lowest priorities: those of an EgressQoS at the bottom, above them the namespace's
defaults, then what single pods have instead. That is how OVN ranks what they come from, and other NetworkQoS objects
stay above all of them, as they are above annotations and EgressQoS.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ovnqos.convert.conversion import NetworkQoSConversion, Remark, Replacement
from ovnqos.convert.default_networks import DEFAULT_PODS_NETWORK, may_take, network_of
from ovnqos.convert.egress_qos import rule_runs
from ovnqos.convert.label_selection import uses_transient_labels
from ovnqos.convert.outside import may_stay_inside
from ovnqos.convert.pod_limits import DEFAULTS, LimitWishes, PodLimits
from ovnqos.diagnostics import Code
from ovnqos.model.policy import PRIORITY_MAXIMUM, BandwidthScope, NetworkQoS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from netaddr import IPNetwork

    from ovnqos.convert.conversion import ClusterObjects, NamespaceObjects
    from ovnqos.convert.default_networks import PodsNetwork
    from ovnqos.convert.egress_qos import RuleRun
    from ovnqos.model.labels import LabelSelector
    from ovnqos.model.pod_qos import PodQos
    from ovnqos.sources.egress_qos import EgressQoS

_LEVELS = PRIORITY_MAXIMUM + 1
_SLUG_LENGTH = 40
_INGRESS = "NetworkQoS limits egress only: keep the annotation"
_SEVERAL_NETWORKS = "the namespace has several primary networks, so it is not known which one it is for"


def to_network_qos(
    objects: ClusterObjects, *, cluster_cidrs: Iterable[IPNetwork] = (), mark: int | None = None
) -> NetworkQoSConversion:
    """Convert what annotations and EgressQoS objects say, as far as NetworkQoS objects can say the same.

    With these objects in the cluster, and without what they replace, each packet of a known pod gets the same mark, the
    same limit and, of each pod, the same meter, beside all that was not converted. Where a limit and a mark become one
    rule, the mark is also set on packets that stay in the cluster.

    Args:
        objects: those to convert, and the pods and NetworkQoS objects beside which they are. Pods are told apart by
            their labels among the pods that are here.
        cluster_cidrs: the addresses in the cluster, outside of which a pod's DSCP is for. Empty: not known, and marks
            stay annotations.
        mark: the DSCP (0 to 63) of pods that have a limit and no mark, since a rule of NetworkQoS always marks. None:
            limits stay annotations.

    Returns:
        The objects, a remark for each thing that has no equivalent, and what the objects replace.
    """
    wishes = LimitWishes(cluster_cidrs=tuple(cluster_cidrs), mark=mark)
    found = [_Namespace(name, one, wishes).convert() for name, one in objects.by_namespace()]
    policies = tuple(policy for one in found for policy in one.policies)
    return NetworkQoSConversion(
        policies=policies,
        remarks=(*(remark for one in found for remark in one.remarks), *_hidden_ingress(objects, found)),
        replacements=tuple(replacement for one in found for replacement in one.replacements),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Converted:
    """One namespace's outcome; `hiding` are the objects that take packets to other pods in their stage of ingress."""

    policies: tuple[NetworkQoS, ...]
    remarks: tuple[Remark, ...]
    replacements: tuple[Replacement, ...]
    hiding: tuple[NetworkQoS, ...]


class _Namespace:
    """The conversion of one namespace."""

    def __init__(self, name: str, objects: NamespaceObjects, wishes: LimitWishes) -> None:
        self._name = name
        self._objects = objects
        self._wishes = wishes
        self._names = {policy.name for policy in objects.policies}
        self._remarks: list[Remark] = []
        self._replacements: list[Replacement] = []

    def convert(self) -> _Converted:
        network = network_of(self._name, self._objects.attachments)
        self._remarks.extend(_annotation_remarks(self._name, self._objects))
        limits = self._limits(network or DEFAULT_PODS_NETWORK, "" if network is not None else _SEVERAL_NETWORKS)
        levels = _levels(limits)
        runs = self._runs(network, limits, levels)
        marking = [self._marking(run, index, len(runs)) for index, run in enumerate(runs)]
        limiting = self._limiting(limits, network or DEFAULT_PODS_NETWORK, len(runs))
        if marking and self._objects.egress_qos is not None:
            said_by = tuple(map(_subject, marking))
            name = self._objects.egress_qos.name
            replaced = Replacement(kind="EgressQoS", namespace=self._name, name=name, by=said_by)
            self._replacements.append(replaced)
        in_stage_of_ingress = marking if network is None or network.shares_stage_with_limits else [*limiting, *marking]
        return _Converted(
            policies=tuple(sorted((*limiting, *marking), key=lambda policy: -policy.priority)),
            remarks=tuple(self._remarks),
            replacements=tuple(self._replacements),
            hiding=tuple(one for one in in_stage_of_ingress if self._stays_inside(one)),
        )

    def _limits(self, network: PodsNetwork, obstacle: str) -> PodLimits:
        limits = PodLimits(self._name, self._objects, network, self._wishes, obstacle=obstacle)
        lowest = _lowest(limits.rivals())
        if lowest is not None and lowest.priority < _levels(limits):
            reason = _no_room(_levels(limits), lowest)
            limits = PodLimits(self._name, self._objects, network, self._wishes, obstacle=reason)
        self._remarks.extend(limits.remarks())
        return limits

    def _runs(self, network: PodsNetwork | None, limits: PodLimits, levels: int) -> Sequence[RuleRun]:
        """The runs of the namespace's EgressQoS; none where it must stay."""
        egress_qos = self._objects.egress_qos
        if egress_qos is None or not egress_qos.rules:
            return ()
        runs = rule_runs(egress_qos)
        reason = ""
        if network is None or not network.is_primary:
            reason = _annotated_rival(egress_qos, limits)
        lowest = _lowest(one for one in self._objects.policies if one.rules and may_take(one, DEFAULT_PODS_NETWORK))
        room = _LEVELS if lowest is None else lowest.priority
        if not reason and len(runs) + levels > room:
            reason = _no_room(len(runs) + levels, lowest)
        if reason:
            self._remarks.append(Remark(subject=f"EgressQoS {egress_qos.key}", field="spec.egress", reason=reason))
            return ()
        return runs

    def _marking(self, run: RuleRun, index: int, count: int) -> NetworkQoS:
        return NetworkQoS(
            namespace=self._name,
            name=self._free_name("egress-qos" if count == 1 else f"egress-qos-{index + 1}"),
            priority=count - 1 - index,
            rules=run.rules,
            pod_selector=run.pod_selector,
            network_selectors=(DEFAULT_PODS_NETWORK.selector,),
        )

    def _limiting(self, limits: PodLimits, network: PodsNetwork, lowest: int) -> list[NetworkQoS]:
        by: dict[str, NetworkQoS] = {}
        exceptions = lowest + any(one.is_default for one in limits.objects)
        policies = []
        for one in limits.objects:
            policy = NetworkQoS(
                namespace=self._name,
                name=self._free_name("pod-qos-defaults" if one.is_default else f"pod-qos-{_slug(one.selector)}"),
                priority=lowest if one.is_default else exceptions,
                rules=(one.rule,),
                pod_selector=one.selector,
                network_selectors=(network.selector,),
                bandwidth_scope=BandwidthScope.POLICY if one.rule.bandwidth is None else BandwidthScope.POD,
            )
            policies.append(policy)
            by.update(dict.fromkeys((DEFAULTS,) if one.is_default else one.pods, policy))
            if uses_transient_labels(one.selector):
                reason = f"no lasting label tells its pods apart, so it holds only while they have {one.selector}"
                self._remarks.append(Remark(subject=_subject(policy), field="spec.podSelector", reason=reason))
        for name, parts in limits.replaced():
            said_by = (_subject(by[name] if name in by else by[DEFAULTS]),)
            if name == DEFAULTS:
                one_replaced = Replacement(kind="Namespace", namespace="", name=self._name, parts=parts, by=said_by)
            else:
                one_replaced = Replacement(kind="Pod", namespace=self._name, name=name, parts=parts, by=said_by)
            self._replacements.append(one_replaced)
        return policies

    def _free_name(self, wanted: str) -> str:
        """A name that no other policy of the namespace has."""
        free = wanted
        number = 1
        while free in self._names:
            number += 1
            free = f"{wanted}-{number}"
        self._names.add(free)
        return free

    def _stays_inside(self, policy: NetworkQoS) -> bool:
        return any(may_stay_inside(rule.classifier, self._wishes.cluster_cidrs) for rule in policy.rules)


def _subject(policy: NetworkQoS) -> str:
    return f"NetworkQoS {policy.key}"


def _levels(limits: PodLimits) -> int:
    """How many priorities the objects need: one for the default, one for all exceptions, which share no pod."""
    return len({one.is_default for one in limits.objects})


def _lowest(policies: Iterable[NetworkQoS]) -> NetworkQoS | None:
    return min(policies, key=lambda policy: (policy.priority, policy.name), default=None)


def _no_room(needed: int, lowest: NetworkQoS | None) -> str:
    if lowest is None:
        return f"its rules need {needed} priorities, and there are {_LEVELS}: put rules of equal podSelector together"
    words = "a priority" if needed == 1 else f"{needed} priorities"
    return f"it needs {words} below NetworkQoS {lowest.key}, whose priority is {lowest.priority}: raise that"


def _annotated_rival(egress_qos: EgressQoS, limits: PodLimits) -> str:
    for subject, labels in limits.kept_marks():
        if labels is None or any(rule.pod_selector.matches(labels) for rule in egress_qos.rules):
            return f"the dscp annotation of {subject}, which is kept, would not win over it any more"
    return ""


def _annotation_remarks(namespace: str, objects: NamespaceObjects) -> Iterator[Remark]:
    """What no NetworkQoS can say."""
    yield from _qos_remarks(f"Namespace {namespace}", objects.qos)
    for pod in objects.pods:
        subject = f"Pod {pod.key}"
        yield from _qos_remarks(subject, pod.qos)
        if pod.host_network and not pod.qos.sets_nothing:
            reason = "its pod is on the host's network, where annotations and NetworkQoS hold nothing"
            yield Remark(subject=subject, field="spec.hostNetwork", reason=reason)


def _qos_remarks(subject: str, qos: PodQos) -> Iterator[Remark]:
    for diagnostic in qos.diagnostics:
        if diagnostic.code in {Code.INVALID_FIELD, Code.UNSUPPORTED_ANNOTATION}:
            yield Remark.of(diagnostic)
    if qos.ingress is not None:
        yield Remark(subject=subject, field=f"ingress bandwidth {qos.ingress.rate_kbps} kbps", reason=_INGRESS)


def _hidden_ingress(objects: ClusterObjects, found: Iterable[_Converted]) -> Iterator[Remark]:
    limited = [f"Pod {pod.key}" for pod in objects.pods if pod.qos.ingress is not None and pod.has_own_addresses]
    limited.extend(f"pods of Namespace {one.name}" for one in objects.namespaces if one.qos.ingress is not None)
    if not limited:
        return
    words = limited[0] if len(limited) == 1 else f"{limited[0]} and {len(limited) - 1} more"
    reason = f"from OVN 24.09 on what its pods send to pods on their own node passes by the ingress limits of {words}"
    for one in found:
        for policy in one.hiding:
            yield Remark(subject=_subject(policy), field="spec.egress", reason=reason)


def _slug(selector: LabelSelector) -> str:
    """The labels of a selector as part of an object's name."""
    words = "-".join(
        word for one in selector.requirements for word in (one.key.rpartition("/")[2], *sorted(one.values))
    )
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")[:_SLUG_LENGTH].rstrip("-")
