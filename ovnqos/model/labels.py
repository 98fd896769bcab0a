"""Labels, label selectors as Kubernetes defines them, and indexes between the two.

Source: Kubernetes API conventions, `metav1.LabelSelector`: requirements are and-ed; NotIn and DoesNotExist also match
an object that lacks the key; a selector without requirements matches everything.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Set


class Operator(StrEnum):
    """How a requirement holds a label against its values."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One condition on one label key. `values` is empty for Exists and DoesNotExist."""

    key: str
    operator: Operator
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels fulfil the requirement."""
        value = labels.get(self.key)
        match self.operator:
            case Operator.IN:
                return value is not None and value in self.values
            case Operator.NOT_IN:
                return value is None or value not in self.values
            case Operator.EXISTS:
                return value is not None
            case Operator.DOES_NOT_EXIST:
                return value is None

    def __str__(self) -> str:
        match self.operator:
            case Operator.IN if len(self.values) == 1:
                return f"{self.key}={next(iter(self.values))}"
            case Operator.IN | Operator.NOT_IN:
                word = "in" if self.operator is Operator.IN else "notin"
                return f"{self.key} {word} ({','.join(sorted(self.values))})"
            case Operator.EXISTS:
                return self.key
            case Operator.DOES_NOT_EXIST:
                return f"!{self.key}"


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """A conjunction of requirements, kept sorted and without repeats, so that equal selectors compare equal."""

    requirements: tuple[Requirement, ...] = ()
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash(self.requirements))

    def __hash__(self) -> int:
        """Computed once: indexes ask for it with every pod that changes."""
        return self._hash

    @classmethod
    def of(cls, requirements: Iterable[Requirement]) -> LabelSelector:
        """Build the canonical selector of these requirements."""
        return cls(tuple(sorted(set(requirements), key=str)))

    @classmethod
    def from_labels(cls, labels: Mapping[str, str]) -> LabelSelector:
        """Build the selector that `matchLabels` means: each key has exactly that value."""
        return cls.of(
            Requirement(key=key, operator=Operator.IN, values=frozenset((value,))) for key, value in labels.items()
        )

    @property
    def selects_everything(self) -> bool:
        """Whether any object matches: the selector is `{}`."""
        return not self.requirements

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels is selected."""
        for requirement in self.requirements:  # noqa: SIM110 - all() of a generator takes twice as long
            if not requirement.matches(labels):
                return False
        return True

    def __str__(self) -> str:
        """The selector in kubectl's words, e.g. `app=web,tier in (a,b)`; `{}` when it selects everything."""
        return ",".join(map(str, self.requirements)) or "{}"


EVERYTHING = LabelSelector()

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
        self._bearers: dict[str, dict[str, set[str]]] = {}  # by key and value

    def add(self, name: str, labels: Mapping[str, str]) -> None:
        """Add a name that is not in the index."""
        known = self._bearers
        for key, value in labels.items():
            try:
                known[key][value].add(name)  # most labels are borne by another name already
            except KeyError:
                known.setdefault(key, {})[value] = {name}

    def discard(self, name: str, labels: Mapping[str, str]) -> None:
        """Remove a name that was added with these labels."""
        for key, value in labels.items():
            by_value = self._bearers[key]
            by_value[value].discard(name)
            if not by_value[value]:
                del by_value[value]
                if not by_value:
                    del self._bearers[key]

    def matching(self, selector: LabelSelector, every: Set[str]) -> Set[str]:
        """Those of the names that match a selector.

        Args:
            selector: what to match.
            every: all names that were added.
        """
        names = every
        for requirement in selector.requirements:
            by_value = self._bearers.get(requirement.key, {})
            values = requirement.values if requirement.operator in _VALUED else by_value
            bearers = [by_value.get(value, _NONE) for value in values]
            holders = bearers[0] if len(bearers) == 1 else _NONE.union(*bearers)
            if requirement.operator not in _WANTING:
                names = names - holders
            else:
                names = holders if names is every else names & holders
            if not names:
                break
        return names


class SelectorIndex(Generic[_Item]):
    """Items by their label selector. A look-up costs what could match the object's labels, not what is in the index.

    A selector is filed under the one requirement that excludes most: a value, else one of several, else a key; only a
    selector without any such requirement (`{}`, NotIn, DoesNotExist alone) is looked at for every object.
    """

    def __init__(self) -> None:
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
