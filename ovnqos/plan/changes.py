"""The changes a plan consists of, one value each, and whether a server's schema takes what they write."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ovnqos.errors import InvalidRow
from ovnqos.plan.snapshot import ROW_COLUMNS, SetKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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


_Check = Callable[[Any], str | None]
_INT64: Final = range(-(2**63), 2**63)
_CHECKED_TOGETHER: Final = 10_000


class SchemaChecks:
    """The constraints of the columns of one schema."""

    def __init__(self, types: Mapping[str, Mapping[str, Any]]) -> None:
        """For columns of these types, by table and column: `ovs.db.types.Type`, or what has its attributes."""
        self._checks = {
            (table, column): _column_check(of_type)
            for table, columns in types.items()
            for column, of_type in columns.items()
        }

    def check_changes(self, changes: Iterable[Change]) -> None:
        """Raise InvalidRow where a change writes a value that the server would refuse."""
        addresses: list[str] = []
        for change in changes:
            if isinstance(change, RowInsert):
                for column in ROW_COLUMNS:
                    self.check("QoS", column, getattr(change.content, column))
            elif isinstance(change, RowUpdate):
                for column in change.columns:
                    self.check("QoS", column, getattr(change.after, column))
            elif isinstance(change, SetInsert | SetUpdate):
                addresses += self._check_set(change)
            if len(addresses) > _CHECKED_TOGETHER:
                self._check_addresses(addresses)
                addresses = []
        self._check_addresses(addresses)

    def _check_addresses(self, addresses: Sequence[str]) -> None:
        try:
            self.check(SetKind.ADDRESS_SET, "addresses", ["".join(addresses)])  # 155,000 singly take 80 ms (measured)
        except InvalidRow:
            self.check(SetKind.ADDRESS_SET, "addresses", addresses)  # says which one
            raise

    def _check_set(self, change: SetInsert | SetUpdate) -> Collection[str]:
        """Check all but the addresses that it adds. Returns these."""
        content = change.content
        if isinstance(change, SetInsert):
            self.check(content.kind, "name", content.name)
        if isinstance(change, SetInsert) or change.relabels:
            self.check(content.kind, "external_ids", content.external_ids)
        if content.kind is SetKind.PORT_GROUP:
            return ()
        return content.members if isinstance(change, SetInsert) else change.add

    def check(self, table: str, column: str, value: object) -> None:
        """Check a value before it is written.

        Args:
            table: its table.
            column: its column.
            value: a scalar, a collection of scalars for a set, a mapping for a map; references are `uuid.UUID`.

        Raises:
            InvalidRow: the server would refuse the value, or there is no such column.
        """
        check = self._checks.get((table, column))
        if check is None:
            raise InvalidRow(f"{table}.{column} is not a column in use")
        if problem := check(value):
            raise InvalidRow(f"{table}.{column}: {problem}")


def _column_check(column_type: Any) -> _Check:
    key = _atom_check(column_type.key)
    if column_type.is_scalar():
        return key
    value = _atom_check(column_type.value) if column_type.is_map() else None
    low, high = column_type.n_min, column_type.n_max

    def check(given: object) -> str | None:
        if value is not None:
            if not isinstance(given, Mapping):
                return f"a map is needed, not {given!r}"
            for name, content in given.items():
                if problem := value(content):
                    return f"{name}: {problem}"
        elif not isinstance(given, Collection) or isinstance(given, str | bytes | Mapping):
            return f"a set is needed, not {given!r}"
        for member in given:
            if problem := key(member):
                return problem if value is None else f"key {problem}"
        return None if low <= len(given) <= high else f"{len(given)} members where {low} to {high} are allowed"

    return check


def _atom_check(base: Any) -> _Check:
    """The check of one scalar against its base type and its enum, range or length."""
    if base.enum is not None:
        allowed = frozenset(atom.value for atom in base.enum.values)
        words = ", ".join(sorted(map(str, allowed)))
        return lambda given: None if given in allowed else f"{given!r} is not one of {words}"
    name = base.type.name
    if name == "string":
        return lambda given: _check_string(given, base)
    if name == "integer":
        return lambda given: _check_integer(given, base)
    python_type = {"uuid": uuid.UUID, "boolean": bool}.get(name, float)
    return lambda given: None if isinstance(given, python_type) else f"{given!r} is not a {name}"


def _check_string(given: object, base: Any) -> str | None:
    if not isinstance(given, str):
        return f"{given!r} is not a string"
    if not base.min_length <= len(given) <= base.max_length:
        return f"{given!r} has {len(given)} characters; {base.min_length} to {base.max_length} are allowed"
    if "\0" in given:
        return f"{given!r} holds a NUL"
    if not given.isascii():
        try:
            given.encode("utf-8")
        except UnicodeEncodeError:
            return f"{given!r} is not valid Unicode"
    return None


def _check_integer(given: object, base: Any) -> str | None:
    if not isinstance(given, int) or isinstance(given, bool):
        return f"{given!r} is not an integer"
    low = _INT64[0] if base.min is None else base.min
    high = _INT64[-1] if base.max is None else base.max
    return None if low <= given <= high else f"{given} is not in the range {low} to {high}"
