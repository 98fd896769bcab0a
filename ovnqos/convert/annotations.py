"""NetworkQoS objects to annotations of pods and namespaces: the other way round, as far as annotations can express it.

Objects that share a pod are converted together or not at all: one that stays would go on taking the pod's packets.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ovnqos.convert.conversion import (
    AnnotatedObject,
    AnnotationConversion,
    Reach,
    Replacement,
    by_namespace,
    effect_differs,
    is_only_on_default,
    may_take,
    network_of,
    not_converted,
    policy_ref,
    reach_of,
    takes_only,
)
from ovnqos.convert.label_selectors import PodLabels
from ovnqos.diagnostics import Diagnostic, Severity
from ovnqos.model.policy import BandwidthScope
from ovnqos.model.workloads import PodQos, merge

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence, Set

    from netaddr import IPNetwork

    from ovnqos.convert.conversion import NamespaceObjects
    from ovnqos.diagnostics import ObjectRef
    from ovnqos.model.policy import NetworkQoS, Rule
    from ovnqos.model.workloads import Pod
    from ovnqos.sources import Manifests

_RULE: Final = "spec.egress[0]"
_SCOPE: Final = "metadata.annotations[ovnqos.io/bandwidth-scope]"
_NETWORKS: Final = "spec.networkSelectors"
_PODS: Final = "spec.podSelector"


def to_annotations(manifests: Manifests, *, cluster_cidrs: Iterable[IPNetwork] = ()) -> AnnotationConversion:
    """Convert the NetworkQoS objects that express no more than annotations can.

    Those are objects of one rule, for the default network (or the namespace's primary one) alone, that limit each pod
    by itself, for all traffic, or only mark what leaves the cluster. With the annotations, and without the objects that
    they replace, each packet of a pod gets the same limit and meter, and the same mark if it leaves the cluster.

    Args:
        manifests: the NetworkQoS objects, and the pods that get the annotations. An object that selects all pods
            becomes annotations of the namespace, for its later pods too.
        cluster_cidrs: the addresses in the cluster. Empty: not known, and no classifier is known to be for outside.

    Returns:
        The annotations, a diagnostic for each thing that has no equivalent, and the objects that they replace.
    """
    cidrs = tuple(cluster_cidrs)
    found = [_PoliciesToAnnotations(objects, cidrs) for objects in by_namespace(manifests) if objects.policies]
    return AnnotationConversion(
        annotated=tuple(made for one in found for made in one.annotated),
        diagnostics=tuple(diagnostic for one in found for diagnostic in one.diagnostics()),
        replacements=tuple(replacement for one in found for replacement in one.replacements()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _PolicyOfOneRule:
    """What a policy sets, as annotations have it, and which packets its one rule takes."""

    policy: NetworkQoS
    rule: Rule
    reach: Reach
    pods: Set[str]

    @property
    def qos(self) -> PodQos:
        return PodQos(egress=self.rule.bandwidth, dscp=self.rule.dscp)

    @property
    def is_default(self) -> bool:
        return self.policy.pod_selector.selects_everything

    def shadows(self, lower: _PolicyOfOneRule) -> bool:
        """Whether nothing of a policy of lower priority applies to a pod of both, on any version of OVN.

        But for its mark inside the cluster, which is lost in any case.
        """
        return (self.rule.bandwidth is not None or lower.rule.bandwidth is None) and (
            self.rule.dscp is not None or lower.rule.dscp is None
        )


class _PoliciesToAnnotations:
    """The conversion of one namespace; `annotated` are the annotations to set, of the namespace first."""

    def __init__(self, objects: NamespaceObjects, cluster_cidrs: Sequence[IPNetwork]) -> None:
        self._objects = objects
        self._network = network_of(objects)
        subnets = self._network.subnets if self._network is not None else ()
        self._cidrs = (*cluster_cidrs, *subnets) if cluster_cidrs else ()
        self._pods = {pod.name: pod for pod in objects.sources()}
        labels = PodLabels({name: pod.labels for name, pod in self._pods.items()})
        self._selected = {policy.name: labels.matching(policy.pod_selector) for policy in objects.policies}
        read = {policy.name: self._read(policy) for policy in objects.policies}
        self._kept = {name: one for name, one in read.items() if isinstance(one, Diagnostic)}
        self._converted = self._compatible({name: one for name, one in read.items() if not isinstance(one, Diagnostic)})
        self.annotated = tuple(self._annotated())

    def _annotated(self) -> Iterator[AnnotatedObject]:
        defaults = [one for one in self._converted if one.is_default]
        inherited = self._objects.qos
        if defaults:
            qos = max(defaults, key=lambda one: one.policy.priority).qos
            inherited = merge(qos, inherited)
            yield AnnotatedObject(object=self._objects.object, qos=qos)
        for name, (effective, *_) in _ranked(self._converted).items():
            present = merge(self._pods[name].qos, inherited)
            missing = PodQos(
                egress=effective.qos.egress if effective.qos.egress != present.egress else None,
                dscp=effective.qos.dscp if effective.qos.dscp != present.dscp else None,
            )
            if not missing.sets_nothing:
                yield AnnotatedObject(object=self._objects.pod(name), qos=missing)

    def diagnostics(self) -> Iterator[Diagnostic]:
        """What has no equivalent."""
        for policy in self._objects.policies:
            if policy.name in self._kept:
                yield self._kept[policy.name]
        for one in self._converted:
            if one.reach is Reach.ALL and one.rule.dscp is not None:
                text = f"{one.rule.dscp} is no longer set on traffic inside the cluster, which no annotation marks"
                yield effect_differs(policy_ref(one.policy), f"{_RULE}.dscp", text)

    def replacements(self) -> Iterator[Replacement]:
        """The policies to remove, each with where its pods' annotations are."""
        own = {one.object.name for one in self.annotated if one.object.kind == "Pod"}
        for one in self._converted:
            inheriting = one.is_default or one.pods - own
            by = [self._objects.object] if inheriting else []
            by.extend(self._objects.pod(name) for name in sorted(one.pods & own) if not one.is_default)
            yield Replacement(object=policy_ref(one.policy), by=tuple(by))

    def _read(self, policy: NetworkQoS) -> _PolicyOfOneRule | Diagnostic:
        """What a policy sets, or why annotations cannot express it."""
        if len(policy.rules) != 1:
            text = f"annotations express one limit and one mark, not {len(policy.rules)} rules"
            return not_converted(policy_ref(policy), "spec.egress", text)
        rule = policy.rules[0]
        reach = reach_of(rule.classifier, self._cidrs)
        if reach is None:
            text = "annotations limit all traffic of a pod, and mark all that leaves the cluster"
            hint = "" if self._cidrs else "give the CIDRs of the cluster (--cluster-cidr)"
            return not_converted(policy_ref(policy), f"{_RULE}.classifier", text, hint)
        one = _PolicyOfOneRule(policy=policy, rule=rule, reach=reach, pods=self._selected[policy.name])
        reason = self._rule_reason(one) or self._network_reason(one) or self._pods_reason(one)
        return not_converted(policy_ref(policy), *reason) if reason else one

    def _rule_reason(self, one: _PolicyOfOneRule) -> tuple[str, ...]:
        """The path, the text and the hint of a diagnostic; empty if annotations can express the rule."""
        if one.rule.bandwidth is None:
            return () if one.rule.dscp is not None else (_RULE, "neither marks nor limits")
        if one.reach is Reach.OUTSIDE:
            return (f"{_RULE}.bandwidth", "limits only traffic that leaves the cluster; an annotation limits all")
        if one.policy.bandwidth_scope is not BandwidthScope.POD:
            return (_SCOPE, "the pods of a node share the limit; an annotation limits each pod by itself", "set pod")
        return ()

    def _network_reason(self, one: _PolicyOfOneRule) -> tuple[str, ...]:
        """The same of its networks."""
        if self._network is None:
            return (_NETWORKS, "the namespace has several primary networks")
        if one.policy.network_selectors is None and not self._network.is_primary:
            elsewhere = next((name for name in sorted(one.pods) if not is_only_on_default(self._pods[name])), None)
            if elsewhere is None and not one.is_default:
                return ()
            pods = "later pods" if elsewhere is None else str(self._objects.pod(elsewhere))
            text = f"absent, so it selects all networks; {pods} may be on others than annotations apply to"
            return (_NETWORKS, text, "select DefaultNetwork")
        if takes_only(one.policy, self._network, self._objects):
            return ()
        network = "the namespace's primary network" if self._network.is_primary else "the default network"
        return (_NETWORKS, f"annotations of this namespace's pods apply to {network} only")

    def _pods_reason(self, one: _PolicyOfOneRule) -> tuple[str, ...]:
        """The same of its pods, and what their annotations set already."""
        if not one.pods and not one.is_default:
            return (_PODS, "selects no pod of the input, so there is nothing to annotate")
        defaults = self._objects.qos
        subjects: list[tuple[ObjectRef, PodQos, PodQos, Pod | None]] = []
        if one.is_default:
            subjects.append((self._objects.object, defaults, defaults, None))
        for name in sorted(one.pods):
            pod = self._pods[name]
            subjects.append((self._objects.pod(name), pod.qos, merge(pod.qos, defaults), pod))
        for ref, own, merged, owner in subjects:
            reason = self._present_reason(one, ref, own, merged) or self._egress_qos_reason(one, owner)
            if reason:
                return reason
        return ()

    def _present_reason(self, one: _PolicyOfOneRule, ref: ObjectRef, own: PodQos, merged: PodQos) -> tuple[str, ...]:
        """What annotations of an object set already, beside the policy."""
        if any(diagnostic.severity is Severity.ERROR for diagnostic in own.diagnostics):
            return (_PODS, f"{ref} has an invalid annotation", "correct it first")
        if merged.egress is not None and one.rule.bandwidth is not None:
            return (f"{_RULE}.bandwidth", f"{ref} already has an egress limit, and both apply")
        shares_direction = self._network is not None and self._network.shares_direction_with_limits
        if merged.egress is not None and shares_direction:
            return (_RULE, f"shadows an egress limit of {ref}, which would apply without it")
        if merged.dscp is not None and (one.rule.dscp is None or shares_direction):
            return (_RULE, f"{ref} already has a dscp annotation")
        return ()

    def _egress_qos_reason(self, one: _PolicyOfOneRule, pod: Pod | None) -> tuple[str, ...]:
        """Marks of an EgressQoS that the policy shadows for a pod, or (None) for any pod."""
        egress_qos = self._objects.egress_qos
        if egress_qos is None or not any(
            pod is None or rule.pod_selector.matches(pod.labels) for rule in egress_qos.rules
        ):
            return ()
        if one.reach is Reach.OUTSIDE or (self._network is not None and self._network.is_primary):
            return ()
        return (_RULE, f"shadows marks of EgressQoS {egress_qos.key} inside the cluster, which would apply without it")

    def _compatible(self, left: dict[str, _PolicyOfOneRule]) -> list[_PolicyOfOneRule]:
        """Those that can be converted together, and beside what stays; the others are kept."""
        for name, (first, *others) in _ranked(left.values()).items():
            for lower in others:
                if lower.policy.priority == first.policy.priority or not first.shadows(lower):
                    for one, other in ((lower, first), (first, lower)):
                        text = f"NetworkQoS {other.policy.key} applies to {self._objects.pod(name)} too"
                        self._keep(one, text, "let one policy select the pod")
        while stuck := self._stuck(left):
            for name, remaining in stuck.items():
                text = f"NetworkQoS {self._objects.name}/{remaining}, which is not converted, applies to the same pods"
                self._keep(left.pop(name), text)
        return list(left.values())

    def _keep(self, one: _PolicyOfOneRule, text: str, hint: str = "") -> None:
        self._kept.setdefault(one.policy.name, not_converted(policy_ref(one.policy), _PODS, text, hint))

    def _stuck(self, left: dict[str, _PolicyOfOneRule]) -> dict[str, str]:
        """Of those left the ones that must stay, each with a policy that stays; its own name where it is itself."""
        stuck = {name: name for name in left if name in self._kept}
        for other in self._objects.policies:
            if other.name in left or not other.rules or (self._network and not may_take(other, self._network)):
                continue
            for name, one in left.items():
                if one.is_default or one.pods & self._selected[other.name]:
                    stuck.setdefault(name, other.name)
        return stuck


def _ranked(among: Iterable[_PolicyOfOneRule]) -> dict[str, list[_PolicyOfOneRule]]:
    """Of each pod, by its name, the policies that take it, by descending priority."""
    found: dict[str, list[_PolicyOfOneRule]] = defaultdict(list)
    for one in sorted(among, key=lambda one: -one.policy.priority):
        for name in one.pods:
            found[name].append(one)
    return {name: found[name] for name in sorted(found)}
