"""Indexes between labels and label selectors: which names match a selector, and which selectors match labels."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Generic, TypeVar

from ovnqos.model.labels import Operator

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Set

    from ovnqos.model.labels import LabelSelector

_Item = TypeVar("_Item")
_Label = tuple[str, str | None]  # key and value; None stands for any value
_Bucket = _Label | None  # None: any labels at all
_WANTING = {Operator.IN, Operator.EXISTS}
_VALUED = {Operator.IN, Operator.NOT_IN}
_NONE: frozenset[str] = frozenset()


class LabelIndex:
    """Names, each with the labels that it was added with. A look-up costs what it finds."""

    __slots__ = ("_bearers",)

    def __init__(self) -> None:
        """No name is known."""
        self._bearers: dict[_Label, set[str]] = {}

    def add(self, name: str, labels: Mapping[str, str]) -> None:
        """Add a name that is not in the index."""
        known = self._bearers
        for key, value in labels.items():
            for label in ((key, value), (key, None)):
                bearers = known.get(label)
                if bearers is None:
                    known[label] = {name}
                else:
                    bearers.add(name)

    def discard(self, name: str, labels: Mapping[str, str]) -> None:
        """Remove a name that was added with these labels."""
        for key, value in labels.items():
            for label in ((key, value), (key, None)):
                bearers = self._bearers[label]
                bearers.discard(name)
                if not bearers:
                    del self._bearers[label]

    def matching(self, selector: LabelSelector, every: Set[str]) -> Set[str]:
        """Those of the names that match a selector.

        Args:
            selector: what to match.
            every: all names that were added, or those of them that count.
        """
        names = every  # as the first operand it costs nothing: an intersection walks the smaller set
        for requirement in selector.requirements:
            values: Iterable[str | None] = requirement.values if requirement.operator in _VALUED else (None,)
            bearers = [self._bearers.get((requirement.key, value), _NONE) for value in values]
            holders = bearers[0] if len(bearers) == 1 else _NONE.union(*bearers)
            names = names & holders if requirement.operator in _WANTING else names - holders
            if not names:
                break
        return names


class SelectorIndex(Generic[_Item]):
    """Items by their label selector. A look-up costs what could match the object's labels, not what is in the index.

    A selector is filed under the one requirement that excludes most: a value, else one of several, else a key; only a
    selector without any such requirement (`{}`, NotIn, DoesNotExist alone) is looked at for every object.
    """

    def __init__(self) -> None:
        """No item is known."""
        self._buckets: dict[_Bucket, dict[LabelSelector, set[_Item]]] = defaultdict(dict)

    def add(self, selector: LabelSelector, item: _Item) -> None:
        """Add an item; again is no error."""
        for bucket in _buckets(selector):
            self._buckets[bucket].setdefault(selector, set()).add(item)

    def discard(self, selector: LabelSelector, item: _Item) -> None:
        """Remove an item, if it is there."""
        for bucket in _buckets(selector):
            filed = self._buckets.get(bucket, {})
            items = filed.get(selector)
            if items is not None:
                items.discard(item)
                if not items:
                    del filed[selector]
                if not filed:
                    del self._buckets[bucket]

    def matching(self, labels: Mapping[str, str], buckets: frozenset[_Bucket] | None = None) -> set[_Item]:
        """The items whose selector matches these labels.

        Args:
            labels: an object's.
            buckets: `buckets_of` these labels, where several indexes are asked about them.
        """
        found: set[_Item] = set()
        for bucket in self._buckets.keys() & (self.buckets_of(labels) if buckets is None else buckets):
            for selector, items in self._buckets[bucket].items():
                if selector.matches(labels):
                    found |= items
        return found

    @staticmethod
    def buckets_of(labels: Mapping[str, str]) -> frozenset[_Bucket]:
        """Where selectors that match these labels can be filed."""
        return frozenset((None, *labels.items(), *((key, None) for key in labels)))

    def __bool__(self) -> bool:
        return bool(self._buckets)


def _buckets(selector: LabelSelector) -> list[_Bucket]:
    single = [one for one in selector.requirements if one.operator is Operator.IN]
    if single:
        rarest = min(single, key=lambda one: len(one.values))
        return [(rarest.key, value) for value in rarest.values]
    for one in selector.requirements:
        if one.operator is Operator.EXISTS:
            return [(one.key, None)]
    return [None]
