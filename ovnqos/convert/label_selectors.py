"""The label selector that takes exactly some of the pods that are known.

A selector is a conjunction of one condition a key, so the tightest one allows of each key just what the chosen pods
have. If that takes another pod as well, no selector tells them apart.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from ovnqos.model.labels import LabelIndex, LabelSelector, Operator, Requirement

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Set

_TRANSIENT_LABELS: Final = frozenset(
    {
        "batch.kubernetes.io/controller-uid",
        "batch.kubernetes.io/job-completion-index",
        "controller-revision-hash",
        "controller-uid",
        "pod-template-generation",
        "pod-template-hash",
    }
)
"""Labels that controllers give a pod, and its successor another value of: taken only where no other ones do."""

_RANKS = {Operator.IN: 0, Operator.DOES_NOT_EXIST: 1, Operator.NOT_IN: 2}


class PodLabels:
    """The labels of the pods of a namespace, by name."""

    def __init__(self, labels: Mapping[str, Mapping[str, str]]) -> None:
        self._labels = labels
        self._index = LabelIndex()
        self._values: dict[str, set[str]] = defaultdict(set)
        for name, own in labels.items():
            self._index.add(name, own)
            for key, value in own.items():
                self._values[key].add(value)

    def matching(self, selector: LabelSelector) -> Set[str]:
        """The names of the pods that a selector matches."""
        return self._index.matching(selector, self._labels.keys())

    def selector(self, names: Collection[str]) -> LabelSelector | None:
        """The selector of exactly the named pods; None when there is none, or only one that takes everything.

        All lasting labels that the pods have in common are in it, so that pods that are not known are the least likely
        to be taken by chance. Of other conditions only those are that are needed.
        """
        chosen = frozenset(names)
        common = frozenset.intersection(*(frozenset(self._labels[name].items()) for name in chosen))
        stable = LabelSelector.from_labels({key: value for key, value in common if key not in _TRANSIENT_LABELS})
        if not stable.selects_everything and self.matching(stable) == chosen:
            return stable
        return self._least(self._tightest(chosen), chosen)

    def _tightest(self, chosen: frozenset[str]) -> list[Requirement]:
        requirements = []
        for key, known in self._values.items():
            values = {self._labels[name].get(key) for name in chosen}
            own = frozenset(value for value in values if value is not None)
            others = frozenset(known - own)
            if None not in values:
                requirements.append(Requirement(key=key, operator=Operator.IN, values=own))
            elif not own:
                requirements.append(Requirement(key=key, operator=Operator.DOES_NOT_EXIST))
            elif others:
                requirements.append(Requirement(key=key, operator=Operator.NOT_IN, values=others))
        return requirements

    def _least(self, requirements: list[Requirement], chosen: frozenset[str]) -> LabelSelector | None:
        """Drop what is not needed, the least telling first; None if even all of them together take other pods."""
        taken_by = {one: self.matching(LabelSelector.of([one])) for one in requirements}
        if not requirements or _all_of(taken_by.values()) != chosen:
            return None
        for one in sorted((one for one in requirements if not _is_lasting_label(one)), key=_rank, reverse=True):
            rest = [taken for kept, taken in taken_by.items() if kept is not one]
            if rest and _all_of(rest) == chosen:
                del taken_by[one]
        return LabelSelector.of(taken_by)


def uses_transient_labels(selector: LabelSelector) -> bool:
    """Whether a selector holds only until the pods' controller makes new ones."""
    return any(one.key in _TRANSIENT_LABELS for one in selector.requirements)


def _all_of(sets: Collection[Set[str]]) -> frozenset[str]:
    return frozenset.intersection(*map(frozenset, sets))


def _is_lasting_label(requirement: Requirement) -> bool:
    is_label = requirement.operator is Operator.IN and len(requirement.values) == 1
    return is_label and requirement.key not in _TRANSIENT_LABELS


def _rank(requirement: Requirement) -> tuple[bool, int, int, str]:
    """How readily it is dropped: transient labels first, then what is not there, then the longest lists."""
    return (
        requirement.key in _TRANSIENT_LABELS,
        _RANKS[requirement.operator],
        len(requirement.values),
        requirement.key,
    )
