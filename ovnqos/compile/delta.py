"""What a live compilation says changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovnqos.compile.rows import DesiredState


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """What changed since the last one: the parts of the desired state to hold against the database.

    Attributes:
        rows: identities of rows that may have come, changed or gone.
        sets: names of port groups and address sets likewise; with the members that may have come or gone, or None when
            the set as a whole is to be compared.
        desired: the rows and sets named above that are wanted; a set holds only the members named, unless None.
        policies: keys of the policies that were compiled anew, or whose rivals changed.
        pods: keys of the pods whose own limits and marks were compiled anew.
    """

    rows: frozenset[str]
    sets: Mapping[str, frozenset[str] | None]
    desired: DesiredState
    policies: frozenset[str]
    pods: frozenset[str] = frozenset()

    @property
    def is_empty(self) -> bool:
        """Whether nothing changed."""
        return not self.rows and not self.sets
