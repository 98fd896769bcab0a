"""NetworkQoS objects to annotations of pods and namespaces: the other way round, as far as annotations can say it.

Objects that share a pod go together, all or none: one that stays would go on taking the pod's packets.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ovnqos.convert.conversion import AnnotationConversion, LimitedObject, Remark, Replacement
from ovnqos.convert.default_networks import is_only_on_default, may_take, network_of, takes_only
from ovnqos.convert.label_selection import LabelIndex
from ovnqos.convert.outside import Reach, reach_of
from ovnqos.diagnostics import Severity
from ovnqos.model.pod_qos import PodQos, merge
from ovnqos.model.policy import BandwidthScope

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from netaddr import IPNetwork

    from ovnqos.convert.conversion import ClusterObjects, NamespaceObjects
    from ovnqos.model.policy import NetworkQoS, Rule
    from ovnqos.model.workloads import Pod

_RULE: Final = "spec.egress[0]"
_SCOPE: Final = "metadata.annotations[ovnqos.io/bandwidth-scope]"
_NETWORKS: Final = "spec.networkSelectors"
_PODS: Final = "spec.podSelector"


def to_annotations(objects: ClusterObjects, *, cluster_cidrs: Iterable[IPNetwork] = ()) -> AnnotationConversion:
    """Convert the NetworkQoS objects that say no more than annotations can.

    Those are objects of one rule, for the default network (or the namespace's primary one) alone, that limit each pod
    by itself, for all traffic, or only mark what leaves the cluster. With the annotations, and without the objects that
    they replace, each packet of a pod gets the same limit and meter, and the same mark if it leaves the cluster.

    Args:
        objects: the NetworkQoS objects, and the pods that get the annotations. An object that selects all pods becomes
            annotations of the namespace, for its later pods too.
        cluster_cidrs: the addresses in the cluster. Empty: not known, and no classifier is known to be for outside.

    Returns:
        The annotations, a remark for each thing that has no equivalent, and the objects that they replace.
    """
    cidrs = tuple(cluster_cidrs)
    annotated: list[LimitedObject] = []
    remarks: list[Remark] = []
    replacements: list[Replacement] = []
    for name, one in objects.by_namespace():
        if one.policies:
            found = _Namespace(name, one, cidrs)
            made = tuple(found.annotated())
            annotated.extend(made)
            remarks.extend(found.remarks())
            replacements.extend(found.replacements(made))
    return AnnotationConversion(annotated=tuple(annotated), remarks=tuple(remarks), replacements=tuple(replacements))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """What an object says, as annotations have it, and which packets its one rule takes."""

    policy: NetworkQoS
    rule: Rule
    reach: Reach
    pods: frozenset[str]

    @property
    def qos(self) -> PodQos:
        return PodQos(egress=self.rule.bandwidth, dscp=self.rule.dscp)

    @property
    def is_default(self) -> bool:
        return self.policy.pod_selector.selects_everything

    def hides(self, lower: _Said) -> bool:
        """Whether nothing of an object of lower priority holds for a pod of both, on any version of OVN.

        But for its mark inside the cluster, which is lost in any case.
        """
        return (self.rule.bandwidth is not None or lower.rule.bandwidth is None) and (
            self.rule.dscp is not None or lower.rule.dscp is None
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Obstacle:
    """Why an object cannot be converted: the field, and the reason."""

    field: str
    reason: str


class _Namespace:
    """The conversion of one namespace."""

    def __init__(self, name: str, objects: NamespaceObjects, cluster_cidrs: Sequence[IPNetwork]) -> None:
        self._name = name
        self._objects = objects
        self._cidrs = cluster_cidrs
        self._network = network_of(name, objects.attachments)
        self._pods = {pod.name: pod for pod in objects.sources()}
        index = LabelIndex({name: pod.labels for name, pod in self._pods.items()})
        self._selected = {policy.name: index.taken_by(policy.pod_selector) for policy in objects.policies}
        read = {policy.name: self._read(policy) for policy in objects.policies}
        self._obstacles = {name: one for name, one in read.items() if isinstance(one, _Obstacle)}
        self.convertible = self._compatible({name: one for name, one in read.items() if isinstance(one, _Said)})

    def annotated(self) -> Iterator[LimitedObject]:
        """The annotations to make, of the namespace first."""
        defaults = [said for said in self.convertible if said.is_default]
        inherited = self._objects.qos
        if defaults:
            qos = max(defaults, key=lambda said: said.policy.priority).qos
            inherited = merge(qos, inherited)
            yield LimitedObject(kind="Namespace", namespace="", name=self._name, qos=qos)
        for name, (effective, *_) in _ranked(self.convertible).items():
            present = merge(self._pods[name].qos, inherited)
            missing = PodQos(
                egress=effective.qos.egress if effective.qos.egress != present.egress else None,
                dscp=effective.qos.dscp if effective.qos.dscp != present.dscp else None,
            )
            if not missing.sets_nothing:
                yield LimitedObject(kind="Pod", namespace=self._name, name=name, qos=missing)

    def remarks(self) -> Iterator[Remark]:
        """What has no equivalent."""
        for policy in self._objects.policies:
            obstacle = self._obstacles.get(policy.name)
            if obstacle is not None:
                yield Remark(subject=_subject(policy), field=obstacle.field, reason=obstacle.reason)
        for said in self.convertible:
            if said.reach is Reach.ALL and said.rule.dscp is not None:
                reason = f"{said.rule.dscp} is not set any more on what stays in the cluster: no annotation does that"
                yield Remark(subject=_subject(said.policy), field=f"{_RULE}.dscp", reason=reason)

    def replacements(self, annotated: Iterable[LimitedObject]) -> Iterator[Replacement]:
        """The objects that go, each with where its pods' annotations are."""
        own = {one.name for one in annotated if one.kind == "Pod"}
        for said in self.convertible:
            inheriting = said.is_default or said.pods - own
            by = [f"Namespace {self._name}"] if inheriting else []
            by.extend(f"Pod {self._name}/{name}" for name in sorted(said.pods & own) if not said.is_default)
            yield Replacement(kind="NetworkQoS", namespace=self._name, name=said.policy.name, by=tuple(by))

    def _read(self, policy: NetworkQoS) -> _Said | _Obstacle:
        """What an object says, or why annotations cannot say it."""
        if len(policy.rules) != 1:
            reason = f"it has {len(policy.rules)} rules, and annotations say one limit and one mark"
            return _Obstacle(field="spec.egress", reason=reason)
        rule = policy.rules[0]
        reach = reach_of(rule.classifier, self._cidrs)
        if reach is None:
            known = "" if self._cidrs else "; which CIDRs are the cluster's is not given (--cluster-cidr)"
            reason = f"annotations limit all traffic of a pod, and mark what leaves the cluster{known}"
            return _Obstacle(field=f"{_RULE}.classifier", reason=reason)
        said = _Said(policy=policy, rule=rule, reach=reach, pods=self._selected[policy.name])
        return self._obstacle_of_rule(said) or self._obstacle_of_network(said) or self._obstacle_of_pods(said) or said

    def _obstacle_of_rule(self, said: _Said) -> _Obstacle | None:
        rule = said.rule
        if rule.bandwidth is None:
            return None if rule.dscp is not None else _Obstacle(field=_RULE, reason="it neither marks nor limits")
        if said.reach is Reach.OUTSIDE:
            reason = "it limits only what leaves the cluster, and an annotation limits all"
            return _Obstacle(field=f"{_RULE}.bandwidth", reason=reason)
        if said.policy.bandwidth_scope is not BandwidthScope.POD:
            reason = "the pods of a node share the limit, and an annotation limits each pod by itself: set pod"
            return _Obstacle(field=_SCOPE, reason=reason)
        return None

    def _obstacle_of_network(self, said: _Said) -> _Obstacle | None:
        if self._network is None:
            return _Obstacle(field=_NETWORKS, reason="the namespace has several primary networks")
        if said.policy.network_selectors is None and not self._network.is_primary:
            wired = [self._pods[name] for name in sorted(said.pods)]
            elsewhere = next((pod for pod in wired if not is_only_on_default(pod)), None)
            if elsewhere is None and not said.is_default:
                return None
            where = "later pods may be" if elsewhere is None else f"Pod {elsewhere.key} is, or may be,"
            reason = f"absent, so it takes all networks, and {where} on others than annotations are for"
            return _Obstacle(field=_NETWORKS, reason=f"{reason}: select DefaultNetwork")
        if takes_only(said.policy, self._network, self._name, self._objects):
            return None
        right = "the namespace's primary network" if self._network.is_primary else "the default network"
        return _Obstacle(field=_NETWORKS, reason=f"annotations of this namespace's pods are for {right} alone")

    def _obstacle_of_pods(self, said: _Said) -> _Obstacle | None:
        if not said.pods and not said.is_default:
            return _Obstacle(field=_PODS, reason="it selects no pod of the input, so there is nothing to annotate")
        if said.is_default:
            defaults = self._objects.qos
            obstacle = self._obstacle_of_present(said, f"Namespace {self._name}", defaults, defaults)
            obstacle = obstacle or self._obstacle_of_egress_qos(said, None)
            if obstacle is not None:
                return obstacle
        for name in sorted(said.pods):
            pod = self._pods[name]
            merged = merge(pod.qos, self._objects.qos)
            obstacle = self._obstacle_of_present(said, f"Pod {pod.key}", pod.qos, merged)
            obstacle = obstacle or self._obstacle_of_egress_qos(said, pod)
            if obstacle is not None:
                return obstacle
        return None

    def _obstacle_of_present(self, said: _Said, subject: str, own: PodQos, merged: PodQos) -> _Obstacle | None:
        """What annotations of the same subject say already, beside the object."""
        if any(one.severity is Severity.ERROR for one in own.diagnostics):
            return _Obstacle(field=_PODS, reason=f"{subject} has an annotation that is wrong; mend it first")
        if merged.egress is not None and said.rule.bandwidth is not None:
            return _Obstacle(field=f"{_RULE}.bandwidth", reason=f"{subject} has an egress limit already, and both hold")
        shares_stage = self._network is not None and self._network.shares_stage_with_limits
        if merged.egress is not None and shares_stage:
            return _Obstacle(field=_RULE, reason=f"it hides an egress limit of {subject}, which would hold without it")
        if merged.dscp is not None and (said.rule.dscp is None or shares_stage):
            return _Obstacle(field=_RULE, reason=f"{subject} has a dscp annotation already")
        return None

    def _obstacle_of_egress_qos(self, said: _Said, pod: Pod | None) -> _Obstacle | None:
        """Marks of others that the object hides from a pod, or (None) from any pod."""
        egress_qos = self._objects.egress_qos
        if egress_qos is None or not any(
            pod is None or rule.pod_selector.matches(pod.labels) for rule in egress_qos.rules
        ):
            return None
        if said.reach is Reach.OUTSIDE or (self._network is not None and self._network.is_primary):
            return None
        reason = f"it hides marks of EgressQoS {egress_qos.key} inside the cluster, which would hold without it"
        return _Obstacle(field=_RULE, reason=reason)

    def _compatible(self, left: dict[str, _Said]) -> list[_Said]:
        """Those that can go together, and beside what stays; of the others the obstacle is noted."""
        for name, ranked in _ranked(left.values()).items():
            for lower in ranked[1:]:
                if lower.policy.priority == ranked[0].policy.priority or not ranked[0].hides(lower):
                    for one, other in ((lower, ranked[0]), (ranked[0], lower)):
                        reason = f"Pod {self._name}/{name} has what NetworkQoS {other.policy.key} says too"
                        self._obstacles.setdefault(one.policy.name, _Obstacle(field=_PODS, reason=reason))
        while stuck := self._stuck(left):
            for name, rival in stuck.items():
                del left[name]
                reason = f"NetworkQoS {self._name}/{rival} takes packets of the same pods, and is not converted"
                self._obstacles.setdefault(name, _Obstacle(field=_PODS, reason=reason))
        return list(left.values())

    def _stuck(self, left: dict[str, _Said]) -> dict[str, str]:
        """Of those left the ones that cannot go, each with an object that stays; its own name where it is itself."""
        stuck = {name: name for name in left if name in self._obstacles}
        for rival in self._objects.policies:
            if rival.name in left or not rival.rules or (self._network and not may_take(rival, self._network)):
                continue
            for name, said in left.items():
                if said.is_default or said.pods & self._selected[rival.name]:
                    stuck.setdefault(name, rival.name)
        return stuck


def _ranked(among: Iterable[_Said]) -> dict[str, list[_Said]]:
    """Of each pod, by its name, the objects that take it: the one that wins first."""
    found: dict[str, list[_Said]] = defaultdict(list)
    for said in sorted(among, key=lambda said: -said.policy.priority):
        for name in said.pods:
            found[name].append(said)
    return {name: found[name] for name in sorted(found)}


def _subject(policy: NetworkQoS) -> str:
    return f"NetworkQoS {policy.key}"
