"""Which selectors match an object: by its labels, without asking every selector."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Generic, TypeVar

from ovnqos.model.labels import Operator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovnqos.model.labels import LabelSelector

_Item = TypeVar("_Item")
_Bucket = tuple[str, str | None] | None  # key and value, key and any value, or any labels at all


class SelectorIndex(Generic[_Item]):
    """Items filed under a label selector. A look-up costs what could match the object's labels, not what is filed.

    A selector is filed under the one requirement that excludes most: a value, else one of several, else a key; only a
    selector without any such requirement (`{}`, NotIn, DoesNotExist alone) is looked at for every object.
    """

    def __init__(self) -> None:
        """Nothing is filed."""
        self._buckets: dict[_Bucket, dict[LabelSelector, set[_Item]]] = defaultdict(dict)

    def add(self, selector: LabelSelector, item: _Item) -> None:
        """File an item; again is no error."""
        for bucket in _buckets(selector):
            self._buckets[bucket].setdefault(selector, set()).add(item)

    def discard(self, selector: LabelSelector, item: _Item) -> None:
        """Take an item out, if it is there."""
        for bucket in _buckets(selector):
            filed = self._buckets.get(bucket, {})
            items = filed.get(selector)
            if items is not None:
                items.discard(item)
                if not items:
                    del filed[selector]
                if not filed:
                    del self._buckets[bucket]

    def matching(self, labels: Mapping[str, str], places: frozenset[_Bucket] | None = None) -> set[_Item]:
        """The items whose selector matches these labels.

        Args:
            labels: an object's.
            places: what `places_of` says of them, where several indexes are asked about the same labels.
        """
        found: set[_Item] = set()
        for bucket in self._buckets.keys() & (self.places_of(labels) if places is None else places):
            for selector, items in self._buckets[bucket].items():
                if selector.matches(labels):
                    found |= items
        return found

    @staticmethod
    def places_of(labels: Mapping[str, str]) -> frozenset[_Bucket]:
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
