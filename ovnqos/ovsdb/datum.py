"""A column's value for `ovs` as plain Python values, where `ovs` wraps each of them in an object of its own.

A set of 50 addresses is 51 objects to `ovs`, each checked and hashed in Python: 200,000 of them take 0.5 s and 30 MB
(measured). A `PlainDatum` behaves to the rest of `ovs` as its `Datum` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ovs.db.data
import ovs.db.types
import ovs.ovsuuid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_Atom = ovs.db.data.Atom
_UUID = ovs.db.types.UuidType


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
            key_type, value_type = self.type.key.type, self.type.value.type
            return ["map", [[_wire(key_type, k), _wire(value_type, v)] for k, v in sorted(self.plain.items())]]
        members = sorted(self.plain)
        if self.type.key.type is _UUID:
            members = [ovs.ovsuuid.to_json(member) for member in members]
        return members[0] if len(members) == 1 else ["set", members]

    def conforms_to_type(self) -> bool:
        """Whether it has as many members as its type allows."""
        return bool(self.type.n_min <= len(self.plain) <= self.type.n_max)


def assign(row: Any, column: str, value: Any) -> None:
    """Assigns a column within a transaction, as `row.column = value` does, at a fraction of the cost and unchecked.

    Args:
        row: of `ovs`.
        column: its name.
        value: a scalar, a collection for a set, a mapping for a map; `NorthboundSchema.check` has passed it. References
            are rows or UUIDs.
    """
    schema = row._table.columns[column]  # noqa: SLF001  # ovs' rows have no other way
    if schema.type.is_map():
        plain = dict(value)
    elif schema.type.is_scalar():
        plain = {value: None}
    else:
        plain = dict.fromkeys(value)
    if schema.type.key.type is _UUID:
        plain = {getattr(key, "uuid", key): None for key in plain}
    row._idl.txn._write(row, schema, PlainDatum(schema.type, plain))  # noqa: SLF001  # same


def _wire(atomic_type: Any, value: Any) -> Any:
    return ovs.ovsuuid.to_json(value) if atomic_type is _UUID else value
