"""A column's value as plain Python values, where `ovs` wraps each of them in an object of its own.

A set of 50 addresses is 51 objects to `ovs`, each checked and hashed in Python: 200,000 of them take 0.5 s and 30 MB
(measured). A `PlainDatum` holds what the JSON parser made, and behaves to the rest of `ovs` as its `Datum` does.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import ovs.db.data
import ovs.db.types
import ovs.ovsuuid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_Atom = ovs.db.data.Atom
_UUID = ovs.db.types.UuidType
_REAL = ovs.db.types.RealType


class PlainDatum(ovs.db.data.Datum):  # type: ignore[misc]  # ovs ships no types
    """A value of `type`. `plain` maps each key to its value, or to None in a set or scalar; it is never changed."""

    __slots__ = ("plain",)

    def __init__(self, type_: Any, plain: Mapping[Any, Any]) -> None:
        self.type = type_  # type: ignore[misc]  # a slot of the base class
        self.plain = plain

    @property
    def values(self) -> dict[Any, Any]:
        """The value as `ovs` has it: atom → atom or None."""
        key_type, value_type = self.type.key.type, self.type.value and self.type.value.type
        return {
            _Atom(key_type, key): None if value is None else _Atom(value_type, value)
            for key, value in self.plain.items()
        }

    __hash__ = None  # type: ignore[assignment]  # as its base class, it is not hashable

    def __eq__(self, other: object) -> bool:
        if isinstance(other, PlainDatum):
            return self.plain == other.plain
        return bool(super().__eq__(other))

    def __contains__(self, item: object) -> bool:
        return (item.value if isinstance(item, _Atom) else item) in self.plain

    def copy(self) -> PlainDatum:
        """Itself, for it does not change."""
        return self

    def is_default(self) -> bool:
        """Whether a new row has this value: an empty set or map. To `ovs` no scalar is, so those are always stored."""
        return self.type.n_min == 0 and not self.plain

    def diff(self, datum: Any) -> PlainDatum:
        """The value after a difference of the `update2` kind (ovsdb-server(7), section 4.1.15)."""
        change: Mapping[Any, Any] = _plain(datum)
        if self.type.n_max <= 1 and self.plain:
            return PlainDatum(self.type, change)
        result = dict(self.plain)
        for key, value in change.items():
            if key in result and result[key] == value:
                del result[key]
            else:
                result[key] = value
        return PlainDatum(self.type, result)

    def as_list(self) -> list[Any]:
        """Members of a set or scalar, or key and value pairs of a map."""
        return [list(pair) for pair in self.plain.items()] if self.type.is_map() else list(self.plain)

    def as_scalar(self) -> Any:
        """The only member, or None where there is none or more than one."""
        if len(self.plain) != 1:
            return None
        return self.as_list()[0]

    def to_python(self, uuid_to_row: Callable[[Any, Any], Any]) -> Any:
        """The value for readers; see `ovs.db.data.Datum.to_python`."""
        key_type = self.type.key
        if self.type.is_scalar():
            value = uuid_to_row(self.as_scalar(), key_type)
            return key_type.default() if value is None else value
        if self.type.is_map():
            pairs = ((uuid_to_row(k, key_type), uuid_to_row(v, self.type.value)) for k, v in self.plain.items())
            return {key: value for key, value in pairs if key is not None and value is not None}
        if key_type.type is not _UUID:
            return sorted(self.plain)
        return sorted({member for key in self.plain if (member := uuid_to_row(key, key_type)) is not None})

    def to_json(self) -> Any:
        """The value on the wire (RFC 7047, section 5.1, `<value>`)."""
        if self.type.is_map():
            value_type = self.type.value.type
            return [
                "map",
                [[_wire(self.type.key.type, k), _wire(value_type, v)] for k, v in sorted(self.plain.items())],
            ]
        members = sorted(self.plain)
        if self.type.key.type is _UUID:
            members = [ovs.ovsuuid.to_json(member) for member in members]
        return members[0] if len(members) == 1 else ["set", members]

    def conforms_to_type(self) -> bool:
        """Whether it has as many members as its type allows."""
        return bool(self.type.n_min <= len(self.plain) <= self.type.n_max)


def read_datum(type_: Any, json: Any) -> Any:
    """Reads a value that a server sent. It isn't checked: the schema whose constraints it meets is the server's own.

    Args:
        type_: the column's `ovs.db.types.Type`.
        json: a `<value>` of RFC 7047.

    Raises:
        ovs.db.error.Error: it is not a value of this kind.
    """
    key_type, value_type = type_.key.type, type_.value and type_.value.type
    if _REAL in (key_type, value_type) or (type_.is_map() and _UUID in (key_type, value_type)):
        return ovs.db.data.Datum.from_json(type_, json)
    match json:
        case ["map", list() as pairs] if value_type:
            return PlainDatum(type_, dict(pairs))
        case ["set", list() as members] if not value_type:
            return PlainDatum(type_, dict.fromkeys(map(_read_uuid, members) if key_type is _UUID else members))
        case ["uuid", str() as text] if key_type is _UUID:
            return PlainDatum(type_, {uuid.UUID(text): None})
        case str() | int() if key_type is not _UUID and not value_type:
            return PlainDatum(type_, {json: None})
    return ovs.db.data.Datum.from_json(type_, json)


def assign(row: Any, column: str, value: Any) -> None:
    """Assigns a column within a transaction, as `row.column = value` does, at a fraction of the cost and unchecked.

    Args:
        row: of `ovs`.
        column: its name.
        value: a scalar, a collection for a set, a mapping for a map; `NorthboundSchema.check` has passed it. References
            are rows or UUIDs.
    """
    table = row._table  # noqa: SLF001  # ovs' rows have no other way
    if column in table.rows.indexes:  # an index of ours has the name of its one column
        setattr(row, column, value)
        return
    schema = table.columns[column]
    if schema.type.is_map():
        plain = dict(value)
    elif schema.type.is_scalar():
        plain = {value: None}
    else:
        plain = dict.fromkeys(value)
    if schema.type.key.type is _UUID:
        plain = {getattr(key, "uuid", key): None for key in plain}
    row._idl.txn._write(row, schema, PlainDatum(schema.type, plain))  # noqa: SLF001  # same


def stored_scalar(row: Any, column: str) -> Any:
    """A scalar column as the database has it, whatever a transaction under way assigns."""
    return next(iter(_plain(row._data[column])))  # noqa: SLF001  # ovs' rows have no other way


def stored_members(row: Any, column: str) -> Iterable[Any]:
    """The members of a set as the database has them; references are `uuid.UUID`."""
    return _plain(row._data[column]).keys()  # noqa: SLF001  # same


def stored_has(row: Any, column: str, member: Any) -> bool:
    """Whether a set as the database has it holds a member, without walking over the set."""
    return member in _plain(row._data[column])  # noqa: SLF001  # same


def plain_members(datum: Any) -> Iterable[Any]:
    """The members of a set that was read; references are `uuid.UUID`."""
    return _plain(datum).keys()


def former_map(datum: Any) -> dict[Any, Any]:
    """A copy of a map that a column had before."""
    return dict(_plain(datum))


def stored_map(row: Any, column: str) -> dict[Any, Any]:
    """A copy of a map as the database has it."""
    return dict(_plain(row._data[column]))  # noqa: SLF001  # same


def _plain(datum: Any) -> Mapping[Any, Any]:
    if isinstance(datum, PlainDatum):
        return datum.plain
    return {key.value: None if value is None else value.value for key, value in datum.values.items()}


def _read_uuid(json: Any) -> uuid.UUID:
    return uuid.UUID(json[1])


def _wire(atomic_type: Any, value: Any) -> Any:
    return ovs.ovsuuid.to_json(value) if atomic_type is _UUID else value
