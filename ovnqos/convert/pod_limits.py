"""Egress limits and marks of the pods of one namespace, and its defaults for them, to rules of NetworkQoS objects.

What is converted must have the same effect beside what is not. Three facts of OVN decide when it has:

- Of one packet one row of a stage holds, from OVN 24.09 on mark and limit together. So a rule that limits must mark
  too, a limit must not meet marks of others, and limits and marks of one pod are one rule or cannot both be said.
- An annotation's limit has a stage of its own, except on layer2 networks.
- A pod whose annotation is removed falls back on its namespace's default, where that is still an annotation.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ovnqos.convert.conversion import Part, Remark
from ovnqos.convert.default_networks import may_take
from ovnqos.convert.label_selection import LabelIndex
from ovnqos.convert.outside import outside_blocks
from ovnqos.model.labels import EVERYTHING, LabelSelector
from ovnqos.model.pod_qos import PodQos, merge
from ovnqos.model.policy import Classifier, NetworkQoS, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from netaddr import IPNetwork

    from ovnqos.convert.conversion import NamespaceObjects
    from ovnqos.convert.default_networks import PodsNetwork
    from ovnqos.model.workloads import Pod

DEFAULTS: Final = ""
"""Stands, among names of pods, for the namespace's defaults."""
_NEEDS_MARK = "a NetworkQoS rule that limits must mark too: say with which DSCP (--dscp), or keep the annotation"
_NEEDS_MARK_INSIDE = (
    "a NetworkQoS rule that limits all traffic marks all of it, also inside the cluster: allow that (--dscp), "
    "or keep the annotation"
)
_NEEDS_CIDRS = "it is for what leaves the cluster: say which CIDRs are the cluster's (--cluster-cidr)"
_NOTHING_OUTSIDE = "it is for what leaves the cluster, and nothing is outside of the given CIDRs"
_HIDES_LIMIT = "on a layer2 network a NetworkQoS that marks would hide the pod's egress limit, which is kept"
_NO_SELECTOR = "no label selector tells its pods apart from others of the namespace that are limited otherwise"


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitWishes:
    """What whoever converts says beyond the objects: the cluster's CIDRs, and the mark of limits that have none."""

    cluster_cidrs: tuple[IPNetwork, ...] = ()
    mark: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitObject:
    """What one NetworkQoS shall say: a rule, for the named pods by a selector that takes no other known one."""

    selector: LabelSelector
    rule: Rule
    pods: tuple[str, ...]
    is_default: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Subject:
    """A pod, or the defaults (without labels): what its annotations say, and what holds for it."""

    own: PodQos
    merged: PodQos
    labels: Mapping[str, str] | None

    def has(self, part: Part) -> bool:
        return part.of(self.merged) is not None


_Reasons = dict[tuple[str, Part], str]


class PodLimits:
    """The conversion of one namespace.

    Args:
        namespace: its name.
        objects: what is in it.
        network: the network that its pods' annotations are for.
        wishes: what else is given.
        obstacle: why nothing can be converted; empty when something may be.
    """

    def __init__(
        self,
        namespace: str,
        objects: NamespaceObjects,
        network: PodsNetwork,
        wishes: LimitWishes,
        *,
        obstacle: str = "",
    ) -> None:
        self._namespace = namespace
        self._network = network
        self._wishes = wishes
        self._outside = outside_blocks(wishes.cluster_cidrs) if wishes.cluster_cidrs else ()
        self._egress_qos = None if network.is_primary else objects.egress_qos
        self._policies = [one for one in objects.policies if one.rules and may_take(one, network)]
        self._subjects = dict(_subjects(objects))
        self._index = LabelIndex({name: one.labels for name, one in self._subjects.items() if one.labels is not None})
        self._forced: _Reasons = {}
        self._kept: _Reasons = {}
        if obstacle:
            self._keep_all(self._subjects, obstacle)
        self.objects: tuple[LimitObject, ...] = self._convert()

    def remarks(self) -> Iterator[Remark]:
        """What is left as it is, and why; what becomes more than it was."""
        for name, one in self._subjects.items():
            subject = self.subject(name)
            for part in Part:
                if (name, part) in self._kept and part.of(one.own) is not None:
                    yield Remark(subject=subject, field=_field(one.own, part), reason=self._kept[name, part])
            if one.own.dscp is not None and self._says(name, Part.LIMIT):
                reason = "becomes the mark of all its traffic, also inside the cluster: limit and mark are one rule"
                yield Remark(subject=subject, field=_field(one.own, Part.MARK), reason=reason)

    def replaced(self) -> Iterator[tuple[str, frozenset[Part]]]:
        """Of each pod, and of the defaults, the parts whose annotations the objects make superfluous."""
        for name, one in self._subjects.items():
            parts = frozenset(part for part in Part if part.of(one.own) is not None and (name, part) not in self._kept)
            if parts:
                yield name, parts

    def rivals(self) -> Iterator[NetworkQoS]:
        """The policies beside which the objects are: they must stay the stronger ones."""
        names = {name for one in self.objects for name in one.pods}
        everything = any(one.is_default for one in self.objects)
        for policy in self._policies:
            if everything or any(_selects(policy, self._subjects[name]) for name in names):
                yield policy

    def kept_marks(self) -> Iterator[tuple[str, Mapping[str, str] | None]]:
        """Whose marks go on being annotations, with the labels of the pod; None of the defaults."""
        for name, one in self._subjects.items():
            if (name, Part.MARK) in self._kept and not self._says(name, Part.LIMIT):
                yield self.subject(name), one.labels

    def subject(self, name: str) -> str:
        """A pod, or the defaults, in words."""
        return f"Pod {self._namespace}/{name}" if name != DEFAULTS else f"Namespace {self._namespace}"

    def _convert(self) -> tuple[LimitObject, ...]:
        """Convert as much as has the same effect; each round keeps more of the annotations, until nothing changes."""
        while True:
            self._kept = self._reasons()
            if self._spread():
                continue
            objects: list[LimitObject] = []
            default = self._rule(DEFAULTS) if DEFAULTS in self._subjects else None
            if default is not None:
                objects.append(LimitObject(selector=EVERYTHING, rule=default, pods=(), is_default=True))
            unselectable = False
            for rule, names in self._groups(default).items():
                selector = self._index.selector(names)
                if selector is None:
                    unselectable = True
                    self._keep_all(names, _NO_SELECTOR)
                else:
                    objects.append(LimitObject(selector=selector, rule=rule, pods=tuple(names)))
            if not unselectable:
                return tuple(objects)

    def _keep_all(self, names: Mapping[str, _Subject] | list[str], reason: str) -> None:
        for name in names:
            for part in Part:
                self._forced.setdefault((name, part), reason)

    def _reasons(self) -> _Reasons:
        """Why which parts stay annotations, by what is given and what earlier rounds found."""
        reasons: _Reasons = {}
        for name, one in self._subjects.items():
            if one.has(Part.LIMIT):
                reasons[name, Part.LIMIT] = self._forced.get((name, Part.LIMIT)) or self._keeps_limit(one)
            if one.has(Part.MARK):
                keeps_limit = bool(reasons.get((name, Part.LIMIT)))
                reasons[name, Part.MARK] = self._forced.get((name, Part.MARK)) or self._keeps_mark(one, keeps_limit)
        return {key: reason for key, reason in reasons.items() if reason}

    def _keeps_limit(self, one: _Subject) -> str:
        if self._wishes.mark is None:
            return _NEEDS_MARK if one.merged.dscp is None else _NEEDS_MARK_INSIDE
        if self._egress_qos is not None and any(
            one.labels is None or rule.pod_selector.matches(one.labels) for rule in self._egress_qos.rules
        ):
            return f"EgressQoS {self._egress_qos.key} marks the same packets, and one rule holds for a packet"
        return self._rival(one)

    def _keeps_mark(self, one: _Subject, keeps_limit: bool) -> str:
        if one.merged.egress is not None and not keeps_limit:
            return ""
        if not self._wishes.cluster_cidrs:
            return _NEEDS_CIDRS
        if not self._outside:
            return _NOTHING_OUTSIDE
        if self._network.shares_stage_with_limits:
            return _HIDES_LIMIT if keeps_limit else self._rival(one)
        return ""

    def _rival(self, one: _Subject) -> str:
        for policy in self._policies:
            if _selects(policy, one):
                return f"NetworkQoS {policy.key} takes the same packets, and one rule holds for a packet"
        return ""

    def _spread(self) -> bool:
        """A default is converted for all pods or for none, and with it what they have instead of it."""
        spread = False
        for part in Part:
            if DEFAULTS not in self._subjects or not self._subjects[DEFAULTS].has(part):
                continue
            keeper = next((name for name in self._subjects if (name, part) in self._kept), None)
            if keeper is None:
                continue
            because = f"it is kept of {self.subject(keeper)}, and default and exceptions go together"
            for name in self._subjects:
                if (name, part) not in self._kept:
                    self._forced[name, part] = because
                    spread = True
        return spread

    def _says(self, name: str, part: Part) -> bool:
        return self._subjects[name].has(part) and (name, part) not in self._kept

    def _rule(self, name: str) -> Rule | None:
        merged = self._subjects[name].merged
        if self._says(name, Part.LIMIT):
            mark = merged.dscp if merged.dscp is not None else self._wishes.mark
            return Rule(dscp=mark, bandwidth=merged.egress)
        if self._says(name, Part.MARK):
            return Rule(dscp=merged.dscp, classifier=Classifier(destinations=self._outside))
        return None

    def _groups(self, default: Rule | None) -> dict[Rule, list[str]]:
        """The pods that need the same rule, less those that have it by default."""
        groups: dict[Rule, list[str]] = defaultdict(list)
        for name in self._subjects:
            rule = self._rule(name) if name != DEFAULTS else None
            if rule is not None and rule != default:
                groups[rule].append(name)
        return groups


def _subjects(objects: NamespaceObjects) -> Iterator[tuple[str, _Subject]]:
    if objects.qos.egress is not None or objects.qos.dscp is not None:
        yield DEFAULTS, _Subject(own=objects.qos, merged=objects.qos, labels=None)
    for pod in objects.sources():
        yield pod.name, _subject(pod, objects.qos)


def _subject(pod: Pod, defaults: PodQos) -> _Subject:
    return _Subject(own=pod.qos, merged=merge(pod.qos, defaults), labels=pod.labels)


def _selects(policy: NetworkQoS, one: _Subject) -> bool:
    return one.labels is None or policy.pod_selector.matches(one.labels)


def _field(qos: PodQos, part: Part) -> str:
    if part is Part.LIMIT and qos.egress is not None:
        return f"egress bandwidth {qos.egress.rate_kbps} kbps"
    return f"dscp {qos.dscp}"
