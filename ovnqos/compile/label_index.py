"""Names by labels: which match a selector is found by set operations, not by asking one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovnqos.model.labels import Operator

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Set

    from ovnqos.model.labels import LabelSelector

_Label = tuple[str, str | None]  # key and value; None stands for any value
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
        """Take in a name that is not known."""
        known = self._bearers
        for key, value in labels.items():
            for label in ((key, value), (key, None)):
                bearers = known.get(label)
                if bearers is None:
                    known[label] = {name}
                else:
                    bearers.add(name)

    def discard(self, name: str, labels: Mapping[str, str]) -> None:
        """Forget a name that was added with these labels."""
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
