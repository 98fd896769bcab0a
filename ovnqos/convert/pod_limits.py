"""Egress limits and marks of the pods of one namespace, and its defaults for them, to rules of NetworkQoS objects.

What is converted must have the same effect beside what is not. Three facts of OVN decide when it has:

- Of the rows of a direction one applies to a packet, from OVN 24.09 on mark and limit together. So a limit must not
  overlap marks of others, and limit and mark of one pod are one rule or not converted.
- The rows of an annotation's limit have the other direction, except on layer2 networks.
- A pod whose annotation is removed falls back on its namespace's default, where that is still an annotation.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ovnqos.convert.conversion import Part, effect_differs, may_take, not_converted, outside_blocks
from ovnqos.convert.label_selectors import PodLabels
from ovnqos.model.labels import EVERYTHING, LabelSelector
from ovnqos.model.policy import Classifier, NetworkQoS, Rule
from ovnqos.model.workloads import PodQos, merge

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from netaddr import IPNetwork

    from ovnqos.convert.conversion import NamespaceObjects, PodsNetwork
    from ovnqos.diagnostics import Diagnostic, ObjectRef

ANNOTATIONS: Final = "metadata.annotations"
DEFAULTS: Final = ""
"""Stands, among names of pods, for the namespace's defaults."""
_NEEDS_MARK_INSIDE = (
    "a NetworkQoS rule that limits all traffic marks all of it, also inside the cluster",
    "allow that (--dscp), or keep the annotation",
)
_NEEDS_CIDRS = ("applies only to traffic that leaves the cluster", "give the CIDRs of the cluster (--cluster-cidr)")
_NOTHING_OUTSIDE = ("applies only to traffic that leaves the cluster, and the given CIDRs are all addresses",)
_SHADOWS_LIMIT = ("on a layer2 network it would shadow the pod's egress limit, which is not converted",)
_NO_SELECTOR = ("no label selector distinguishes its pods from others of the namespace", "give them a label")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleOfPods:
    """What one NetworkQoS is to set: a rule, for the named pods by a selector that takes no other known one."""

    selector: LabelSelector
    rule: Rule
    names: tuple[str, ...]

    @property
    def is_default(self) -> bool:
        """Whether it is for all pods of the namespace."""
        return self.names == (DEFAULTS,)


@dataclass(frozen=True, slots=True, kw_only=True)
class _AnnotatedPod:
    """A pod, or the defaults (without labels): what its annotations set, and what applies to it."""

    own: PodQos
    merged: PodQos
    labels: Mapping[str, str] | None

    def has(self, part: Part) -> bool:
        return part.of(self.merged) is not None


_Reason = tuple[str, ...]
"""The text and the hint of a diagnostic; empty for none."""
_Reasons = dict[tuple[str, Part], _Reason]


class PodLimitConversion:
    """The conversion of one namespace.

    Attributes:
        rules: what the NetworkQoS objects are to set.
    """

    def __init__(
        self,
        objects: NamespaceObjects,
        network: PodsNetwork,
        *,
        cluster_cidrs: Sequence[IPNetwork],
        mark: int | None,
        keep_all: _Reason = (),
    ) -> None:
        """Convert.

        Args:
            objects: what is in the namespace.
            network: the network that its pods' annotations apply to.
            cluster_cidrs: the addresses in the cluster.
            mark: the DSCP of limits that have none; None: these leave the mark alone.
            keep_all: why nothing can be converted; empty when something may be.
        """
        self._objects = objects
        self._network = network
        self._mark = mark
        self._cidrs = cluster_cidrs
        self._outside = outside_blocks(cluster_cidrs) if cluster_cidrs else ()
        self._egress_qos = None if network.is_primary else objects.egress_qos
        self._policies = [one for one in objects.policies if one.rules and may_take(one, network)]
        self._pods = dict(_annotated_pods(objects))
        self._labels = PodLabels({name: one.labels for name, one in self._pods.items() if one.labels is not None})
        self._forced: _Reasons = {}
        self._kept: _Reasons = {}
        if keep_all:
            self._keep_all(self._pods, keep_all)
        self.rules: tuple[RuleOfPods, ...] = self._convert()

    @property
    def priorities(self) -> int:
        """How many priorities the rules need: one for the default, one for all exceptions, which share no pod."""
        return len({one.is_default for one in self.rules})

    def diagnostics(self) -> Iterator[Diagnostic]:
        """What stays as it is, and why; what gets more effect than it had."""
        for name, one in self._pods.items():
            for part in Part:
                if (name, part) in self._kept and part.of(one.own) is not None:
                    text, *hint = self._kept[name, part]
                    yield not_converted(self.ref(name), ANNOTATIONS, f"{_part(one.own, part)}: {text}", *hint)
            if one.own.dscp is not None and self._converts(name, Part.LIMIT):
                text = f"{_part(one.own, Part.MARK)}: marks all its traffic, also inside the cluster, as its limit does"
                yield effect_differs(self.ref(name), ANNOTATIONS, text)

    def replaced(self) -> Iterator[tuple[str, frozenset[Part]]]:
        """Of each pod, and of the defaults, the parts whose annotations the rules replace."""
        for name, one in self._pods.items():
            parts = frozenset(part for part in Part if part.of(one.own) is not None and (name, part) not in self._kept)
            if parts:
                yield name, parts

    def conflicts(self) -> Iterator[NetworkQoS]:
        """The policies for the same pods: their priorities must stay the higher ones."""
        names = {name for one in self.rules for name in one.names}
        for policy in self._policies:
            if DEFAULTS in names or any(_selects(policy, self._pods[name]) for name in names):
                yield policy

    def kept_marks(self) -> Iterator[tuple[ObjectRef, Mapping[str, str] | None]]:
        """Whose marks stay annotations, with the labels of the pod; None of the defaults."""
        for name, one in self._pods.items():
            if (name, Part.MARK) in self._kept and not self._converts(name, Part.LIMIT):
                yield self.ref(name), one.labels

    def ref(self, name: str) -> ObjectRef:
        """A pod, or the namespace of the defaults."""
        return self._objects.pod(name) if name != DEFAULTS else self._objects.object

    def _convert(self) -> tuple[RuleOfPods, ...]:
        """Convert as much as has the same effect; each round keeps more of the annotations, until nothing changes."""
        while True:
            self._kept = self._reasons()
            if self._spread():
                continue
            rules: list[RuleOfPods] = []
            default = self._rule(DEFAULTS) if DEFAULTS in self._pods else None
            if default is not None:
                rules.append(RuleOfPods(selector=EVERYTHING, rule=default, names=(DEFAULTS,)))
            unselectable = False
            for rule, names in self._groups(default).items():
                selector = self._labels.selector(names)
                if selector is None:
                    unselectable = True
                    self._keep_all(names, _NO_SELECTOR)
                else:
                    rules.append(RuleOfPods(selector=selector, rule=rule, names=tuple(names)))
            if not unselectable:
                return tuple(rules)

    def _keep_all(self, names: Iterable[str], reason: _Reason) -> None:
        for name in names:
            for part in Part:
                self._forced.setdefault((name, part), reason)

    def _reasons(self) -> _Reasons:
        """Why which parts stay annotations, by what is given and what earlier rounds found."""
        reasons: _Reasons = {}
        for name, one in self._pods.items():
            if one.has(Part.LIMIT):
                reasons[name, Part.LIMIT] = self._forced.get((name, Part.LIMIT)) or self._limit_reason(one)
            if one.has(Part.MARK):
                keeps_limit = bool(reasons.get((name, Part.LIMIT)))
                reasons[name, Part.MARK] = self._forced.get((name, Part.MARK)) or self._mark_reason(
                    one, keeps_limit=keeps_limit
                )
        return {key: reason for key, reason in reasons.items() if reason}

    def _limit_reason(self, one: _AnnotatedPod) -> _Reason:
        if self._mark is None and one.merged.dscp is not None:
            return _NEEDS_MARK_INSIDE
        if self._egress_qos is not None and any(
            one.labels is None or rule.pod_selector.matches(one.labels) for rule in self._egress_qos.rules
        ):
            return (f"EgressQoS {self._egress_qos.key} marks the same packets, and one rule applies to a packet",)
        return self._conflict(one)

    def _mark_reason(self, one: _AnnotatedPod, *, keeps_limit: bool) -> _Reason:
        if one.merged.egress is not None and not keeps_limit:
            return ()
        if not self._cidrs:
            return _NEEDS_CIDRS
        if not self._outside:
            return _NOTHING_OUTSIDE
        if self._network.shares_direction_with_limits:
            return _SHADOWS_LIMIT if keeps_limit else self._conflict(one)
        return ()

    def _conflict(self, one: _AnnotatedPod) -> _Reason:
        for policy in self._policies:
            if _selects(policy, one):
                return (f"NetworkQoS {policy.key} takes the same packets, and one rule applies to a packet",)
        return ()

    def _spread(self) -> bool:
        """A default is converted for all pods or for none, and with it what they have instead of it."""
        spread = False
        for part in Part:
            if DEFAULTS not in self._pods or not self._pods[DEFAULTS].has(part):
                continue
            keeper = next((name for name in self._pods if (name, part) in self._kept), None)
            if keeper is None:
                continue
            reason = (f"that of {self.ref(keeper)} is not converted, and default and exceptions go together",)
            for name in self._pods:
                if (name, part) not in self._kept:
                    self._forced[name, part] = reason
                    spread = True
        return spread

    def _converts(self, name: str, part: Part) -> bool:
        return self._pods[name].has(part) and (name, part) not in self._kept

    def _rule(self, name: str) -> Rule | None:
        merged = self._pods[name].merged
        if self._converts(name, Part.LIMIT):
            mark = merged.dscp if merged.dscp is not None else self._mark
            return Rule(dscp=mark, bandwidth=merged.egress)
        if self._converts(name, Part.MARK):
            return Rule(dscp=merged.dscp, classifier=Classifier(destinations=self._outside))
        return None

    def _groups(self, default: Rule | None) -> dict[Rule, list[str]]:
        """The pods that need the same rule, less those that have it by default."""
        groups: dict[Rule, list[str]] = defaultdict(list)
        for name in self._pods:
            rule = self._rule(name) if name != DEFAULTS else None
            if rule is not None and rule != default:
                groups[rule].append(name)
        return groups


def _annotated_pods(objects: NamespaceObjects) -> Iterator[tuple[str, _AnnotatedPod]]:
    if objects.qos.egress is not None or objects.qos.dscp is not None:
        yield DEFAULTS, _AnnotatedPod(own=objects.qos, merged=objects.qos, labels=None)
    for pod in objects.sources():
        yield pod.name, _AnnotatedPod(own=pod.qos, merged=merge(pod.qos, objects.qos), labels=pod.labels)


def _selects(policy: NetworkQoS, one: _AnnotatedPod) -> bool:
    return one.labels is None or policy.pod_selector.matches(one.labels)


def _part(qos: PodQos, part: Part) -> str:
    if part is Part.LIMIT and qos.egress is not None:
        return f"egress limit of {qos.egress.rate_kbps} kbps"
    return f"dscp {qos.dscp}"
