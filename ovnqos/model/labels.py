"""Label selectors, as Kubernetes defines them.

Source: Kubernetes API conventions, `metav1.LabelSelector`: requirements are and-ed; NotIn and DoesNotExist also match
an object that lacks the key; a selector without requirements matches everything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


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
        return all(requirement.matches(labels) for requirement in self.requirements)

    def __str__(self) -> str:
        """The selector in kubectl's words, e.g. `app=web,tier in (a,b)`; `{}` when it selects everything."""
        return ",".join(map(str, self.requirements)) or "{}"


EVERYTHING = LabelSelector()
