"""The changes a plan consists of, one value each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ovnqos.plan.snapshot import ROW_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovnqos.plan.snapshot import RowContent, SetContent


@dataclass(frozen=True, slots=True, kw_only=True)
class RowInsert:
    """A row to create, and the switches to bind it to (at least one, else the database drops it at once)."""

    identity: str
    content: RowContent
    switches: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowUpdate:
    """A row to change in place: its columns, or the switches it is bound to."""

    identity: str
    uuid: str
    before: RowContent
    after: RowContent
    switches: frozenset[str]
    bind: tuple[str, ...] = ()
    unbind: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns to assign; none when only bindings change."""
        return tuple(name for name in ROW_COLUMNS if getattr(self.before, name) != getattr(self.after, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class RowDelete:
    """A row to unbind from all its switches; the database then collects it."""

    identity: str
    uuid: str
    content: RowContent
    switches: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetInsert:
    """A port group or address set to create."""

    content: SetContent


@dataclass(frozen=True, slots=True, kw_only=True)
class SetUpdate:
    """Members to add and remove by mutation, and external_ids to assign where they differ."""

    uuid: str
    content: SetContent
    add: tuple[str, ...]
    remove: tuple[str, ...]
    external_ids_before: Mapping[str, str]

    @property
    def relabels(self) -> bool:
        """Whether external_ids change."""
        return self.external_ids_before != self.content.external_ids


@dataclass(frozen=True, slots=True, kw_only=True)
class SetDelete:
    """A port group or address set that no desired row uses."""

    uuid: str
    content: SetContent


Change = RowInsert | RowUpdate | RowDelete | SetInsert | SetUpdate | SetDelete


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingReference:
    """A logical switch or port that a row or set refers to and that the Northbound does not have (yet).

    Attributes:
        kind: `logical switch` or `logical switch port`.
        name: its name.
        needed_by: identity of the row, or name of the port group.
    """

    kind: str
    name: str
    needed_by: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name} is not in the Northbound (needed by {self.needed_by})"
