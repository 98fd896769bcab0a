"""Render changes as OVSDB operations (RFC 7047), in transactions of bounded size that each leave every policy whole.

Before what is changed stands a `wait` that fails the transaction where it is not as it was planned for. Whether a
server takes the values is checked before anything is sent: clients of OVSDB only log and drop one that breaks the
schema, and a NUL in a string makes the server hang up.
"""

from __future__ import annotations

import sys
import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from ovnqos.errors import InvalidRow
from ovnqos.plan.changes import Change, RowDelete, RowInsert, RowUpdate, SetDelete, SetInsert, SetUpdate
from ovnqos.plan.snapshot import ROW_COLUMNS, SetKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ovnqos.model.owner import Owner
    from ovnqos.plan.snapshot import RowContent, Snapshot


Operation = dict[str, Any]
"""An `<operation>` of RFC 7047."""

_Json = list[Any]
PORT = "Logical_Switch_Port"
_ROW, _SWITCH = "QoS", "Logical_Switch"


def render(changes: Sequence[Change], snapshot: Snapshot, prefix: str = "row") -> list[Operation]:
    """The operations of one transaction that makes these changes.

    Rows come before the one mutation of each switch that binds and unbinds them: the database drops a row that no
    switch references when the transaction ends.

    Args:
        changes: of one plan.
        snapshot: what they were planned for.
        prefix: names of inserted rows within the transaction begin so (an `<id>`); others in it must not.
    """
    operations: list[Operation] = []
    bind: dict[str, list[_Json]] = defaultdict(list)  # by switch, rows
    unbind: dict[str, list[_Json]] = defaultdict(list)
    for number, change in enumerate(changes):
        if isinstance(change, RowInsert):
            name = f"{prefix}{number}"
            row = _row(change.content, ROW_COLUMNS)
            operations.append({"op": "insert", "table": _ROW, "row": row, "uuid-name": name})
            for switch in change.switches:
                bind[switch].append(["named-uuid", name])
        elif isinstance(change, RowUpdate):
            operations.extend(_row_update(change))
            for switch in change.bind:
                bind[switch].append(_uuid(change.uuid))
            for switch in change.unbind:
                unbind[switch].append(_uuid(change.uuid))
        elif isinstance(change, RowDelete):
            operations.append(_wait_for_row(change.uuid, change.content, ("external_ids",)))
            for switch in change.switches:
                unbind[switch].append(_uuid(change.uuid))
        elif isinstance(change, SetInsert):
            content = change.content
            members = _members(content.kind, content.members, snapshot)
            labels = {"name": content.name, "external_ids": _value(content.external_ids)}
            row = {**labels, content.kind.column: ["set", members]}
            operations.append({"op": "insert", "table": str(content.kind), "row": row})
        elif isinstance(change, SetDelete):
            operations.append(_wait_for_set(change.content.kind, change.uuid, change.content.external_ids, snapshot))
            operations.append(_on(change.content.kind, change.uuid, "delete"))
        else:
            operations.extend(_set_update(change, snapshot))
    operations.extend(_switch_mutations(bind, unbind, snapshot))
    return operations


def changes_members_only(changes: Iterable[Change], owner: Owner) -> bool:
    """Whether changes are of members alone, of sets that are the owner's: then `render_members` does."""
    return all(
        isinstance(change, SetUpdate) and not change.relabels and owner.owns(change.external_ids_before)
        for change in changes
    )


def render_members(changes: Iterable[Change], snapshot: Snapshot) -> list[Operation]:
    """The operations of changes of members alone: each counts no row where its set is not the owner's any more.

    A `wait` before each would double what the server and this process do for an event of a pod (measured).
    """
    return [
        {**_on(one.content.kind, one.uuid, "mutate", _claimed(snapshot.owner)), "mutations": _mutations(one, snapshot)}
        for one in changes
        if isinstance(one, SetUpdate)
    ]


def find_unchanged(operations: Iterable[Operation], results: Iterable[Mapping[str, Any]]) -> Operation | None:
    """The first operation of `render_members` that changed nothing."""
    pairs = zip(operations, results, strict=False)
    return next((one for one, result in pairs if one["op"] == "mutate" and not result["count"]), None)


def ports_needed(changes: Iterable[Change], snapshot: Snapshot) -> Iterator[str]:
    """Uuids of the ports that join groups. OVSDB takes a reference to one that is gone, and drops it silently."""
    for change in changes:
        if isinstance(change, RowInsert | RowUpdate | RowDelete | SetDelete):
            continue
        if change.content.kind is SetKind.PORT_GROUP:
            names = change.content.members if isinstance(change, SetInsert) else change.add
            yield from map(snapshot.ports.__getitem__, names)


def describe_stale(operation: Operation, *, written: str = "nothing was written") -> str:
    """The message for a `wait` that failed, or a mutation that changed nothing."""
    (_column, _function, (_uuid, uuid)), *_ = operation["where"]
    return f"{operation['table']} {uuid} has changed or is gone since the plan was made; {written}, plan again"


def describe_gone_port(uuid: str) -> str:
    """The message for a port that is gone; see `ports_needed`."""
    return f"{PORT} {uuid} is gone since the plan was made; nothing was written, plan again"


def _row_update(change: RowUpdate) -> Iterator[Operation]:
    yield _wait_for_row(change.uuid, change.before, ROW_COLUMNS)
    if columns := change.columns:
        yield {**_on(_ROW, change.uuid, "update"), "row": _row(change.after, columns)}


def _set_update(change: SetUpdate, snapshot: Snapshot) -> Iterator[Operation]:
    kind = change.content.kind
    yield _wait_for_set(kind, change.uuid, change.external_ids_before, snapshot)
    if change.relabels:
        yield {**_on(kind, change.uuid, "update"), "row": {"external_ids": _value(change.content.external_ids)}}
    if mutations := _mutations(change, snapshot):
        yield {**_on(kind, change.uuid, "mutate"), "mutations": mutations}


def _mutations(change: SetUpdate, snapshot: Snapshot) -> list[_Json]:
    kind = change.content.kind
    return [
        [kind.column, mutator, ["set", _members(kind, names, snapshot)]]
        for mutator, names in (("delete", change.remove), ("insert", change.add))
        if names
    ]


def _switch_mutations(
    bind: Mapping[str, list[_Json]], unbind: Mapping[str, list[_Json]], snapshot: Snapshot
) -> Iterator[Operation]:
    for switch in sorted(bind.keys() | unbind.keys()):
        uuid = snapshot.switches[switch]
        if switch in bind:  # a mutation of a switch that is gone would succeed, and bind nothing
            yield {**_on(_SWITCH, uuid, "wait"), **_WAIT, "columns": ["name"], "rows": [{"name": switch}]}
        mutations = [
            ["qos_rules", mutator, ["set", rows[switch]]]
            for mutator, rows in (("delete", unbind), ("insert", bind))
            if switch in rows
        ]
        yield {**_on(_SWITCH, uuid, "mutate"), "mutations": mutations}


_WAIT = {"timeout": 0, "until": "=="}

ADVANCE_SEQUENCE: Operation = {"op": "mutate", "table": "NB_Global", "where": [], "mutations": [["nb_cfg", "+=", 1]]}
"""Increments the Northbound's sequence number: northd and each chassis report it when they have caught up."""


def _wait_for_row(uuid: str, content: RowContent, columns: Sequence[str]) -> Operation:
    return {**_on(_ROW, uuid, "wait"), **_WAIT, "columns": list(columns), "rows": [_row(content, columns)]}


def _wait_for_set(kind: SetKind, uuid: str, external_ids: Mapping[str, str], snapshot: Snapshot) -> Operation:
    """Fails unless the set is still the owner's, or where it is taken over, as long as no owner has claimed it.

    Comparing all pairs takes 0.2 ms more in 20 sets (measured).
    """
    is_owned = snapshot.owner.owns(external_ids)
    held = _claimed(snapshot.owner) if is_owned else ["external_ids", "==", _value(external_ids)]
    return {**_on(kind, uuid, "wait", held), **_WAIT, "columns": [], "rows": [{}]}


def _claimed(owner: Owner) -> _Json:
    """The condition that a row is the owner's."""
    return ["external_ids", "includes", ["map", [list(owner.claim)]]]


def _on(table: str, uuid: str, operation: str, *further: _Json) -> Operation:
    return {"op": operation, "table": str(table), "where": [["_uuid", "==", _uuid(uuid)], *further]}


def _members(kind: SetKind, names: Iterable[str], snapshot: Snapshot) -> _Json:
    if kind is SetKind.ADDRESS_SET:
        return list(names)
    return [_uuid(snapshot.ports[name]) for name in names]


def _uuid(uuid: str) -> _Json:
    return ["uuid", uuid]


def _row(content: RowContent, columns: Iterable[str]) -> dict[str, Any]:
    return {column: _value(getattr(content, column)) for column in columns}


def _value(value: Any) -> Any:
    """A column's value as a `<value>`; mappings become maps, whose pairs are tuples: in JSON they are arrays."""
    return value if isinstance(value, str | int) else ["map", [*value.items()]]


_Check = Callable[[Any], str | None]
_INT64: Final = range(-(2**63), 2**63)
_CHECKED_TOGETHER: Final = 1_000
"""Changes whose texts are checked in one piece; 155,000 addresses singly take 80 ms, together 5 (measured)."""


class SchemaChecks:
    """The constraints of the columns of one schema."""

    def __init__(self, types: Mapping[str, Mapping[str, Any]]) -> None:
        """For columns of these types, by table and column: `ovs.db.types.Type`, or what has its attributes."""
        columns = {(table, column): one for table, columns in types.items() for column, one in columns.items()}
        self._checks = {name: _column_check(of_type) for name, of_type in columns.items()}
        self._free = {name for name, of_type in columns.items() if _is_free(of_type)}

    def check_changes(self, changes: Sequence[Change]) -> None:
        """Raise InvalidRow where a change writes a value that the server would refuse."""
        for start in range(0, len(changes), _CHECKED_TOGETHER):
            for table, column, values in _written(changes[start : start + _CHECKED_TOGETHER]):
                self._check_all(table, column, values)

    def _check_all(self, table: str, column: str, values: Sequence[Any]) -> None:
        """Check the values of a column: texts without a constraint as one, others once each."""
        if values and (table, column) in self._free:
            try:
                self.check(table, column, _as_one(values))
                return
            except InvalidRow:
                pass  # which one is it?
        distinct = {tuple(one.items()) if isinstance(one, Mapping) else one: one for one in values}
        for value in distinct.values():
            self.check(table, column, value)

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


def _written(changes: Sequence[Change]) -> Iterator[tuple[str, str, list[Any]]]:
    """The values that changes write, but for references: table, column and values."""
    inserted = [change.content for change in changes if isinstance(change, RowInsert)]
    for column in ROW_COLUMNS if inserted else ():
        yield _ROW, column, [*map(attrgetter(column), inserted)]
    for change in changes:
        if isinstance(change, RowUpdate):
            yield from ((_ROW, column, [getattr(change.after, column)]) for column in change.columns)
    for kind in SetKind:
        sets = [one for one in changes if isinstance(one, SetInsert | SetUpdate) and one.content.kind is kind]
        new = [one.content for one in sets if isinstance(one, SetInsert)]
        relabelled = [one.content for one in sets if isinstance(one, SetUpdate) and one.relabels]
        yield kind, "name", [one.name for one in new]
        yield kind, "external_ids", [one.external_ids for one in (*new, *relabelled)]
        if kind is SetKind.ADDRESS_SET:
            added = (one.add for one in sets if isinstance(one, SetUpdate))
            yield kind, kind.column, [*(one.members for one in new), *added]


def _as_one(values: Sequence[Any]) -> Any:
    """A value that fits a column without constraints exactly if all of these do."""
    if isinstance(values[0], str):
        return "".join(values)
    if isinstance(values[0], Mapping):
        return {"".join(chain.from_iterable(values)): "".join(chain.from_iterable(one.values() for one in values))}
    return ["".join(chain.from_iterable(values))]


def _is_free(column_type: Any) -> bool:
    """Whether a column takes any texts, and any number of them."""
    bases = (column_type.key, *([column_type.value] if column_type.is_map() else []))
    is_limited = not column_type.is_scalar() and (column_type.n_min > 0 or column_type.n_max <= _CHECKED_TOGETHER)
    return not is_limited and all(
        one.type.name == "string" and one.enum is None and (one.min_length, one.max_length) == (0, sys.maxsize)
        for one in bases
    )


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
