"""The changes a plan consists of, one value each; what they lack; and batches of them for transactions."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ovnqos.diagnostics import Code, Diagnostic, ObjectRef, listed
from ovnqos.model.owner import OBJECT_KEY
from ovnqos.plan.snapshot import ROW_COLUMNS, SetKind, references_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ovnqos.compile.rows import DesiredState, QosRow
    from ovnqos.model.owner import Owner
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


SWITCH, PORT = "logical switch", "logical switch port"


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingReference:
    """A logical switch or port that a row or set refers to and that the Northbound does not have (yet).

    Attributes:
        kind: `logical switch` or `logical switch port`.
        name: its name.
        needed_by: identity of the row, or name of the port group.
        objects: the objects (`<kind>/<namespace>/<name>`) whose rows need it, as far as the plan has these rows.
    """

    kind: str
    name: str
    needed_by: str
    objects: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind} {self.name} is not in the Northbound (needed by {self.needed_by})"

    @classmethod
    def of_row(cls, kind: str, name: str, row: QosRow) -> MissingReference:
        """A switch or port of a desired row."""
        owner = row.external_ids.get(OBJECT_KEY)
        return cls(kind=kind, name=name, needed_by=row.identity, objects=(owner,) if owner else ())


def missing_members(absent: Mapping[str, Iterable[str]], desired: DesiredState) -> list[MissingReference]:
    """The ports that the Northbound does not have, with the objects whose rows use their groups.

    Args:
        absent: the ports of each port group, by its name.
        desired: the rows.
    """
    objects: dict[str, set[str]] = defaultdict(set)
    for row in desired.rows.values() if absent else ():
        for name in references_in(str(row.match)) & absent.keys():
            objects[name].update(filter(None, [row.external_ids.get(OBJECT_KEY)]))
    return [
        MissingReference(kind=PORT, name=port, needed_by=name, objects=tuple(sorted(objects[name])))
        for name, ports in absent.items()
        for port in sorted(ports)
    ]


def describe_missing(missing: Iterable[MissingReference]) -> Iterator[Diagnostic]:
    """Say of each object which switches, and which ports of its pods, the Northbound does not have."""
    names: dict[tuple[str, str], set[str]] = defaultdict(set)
    for one in missing:
        for owner in one.objects or (one.needed_by,):
            names[owner, one.kind].add(one.name)
    for (owner, kind), found in sorted(names.items()):
        yield missing_switches(owner, found) if kind == SWITCH else missing_ports(owner, found)


def missing_switches(owner: str, names: Iterable[str]) -> Diagnostic:
    """Say that an object (`<kind>/<namespace>/<name>`) is not in force on these switches."""
    text = f"applied, except on logical switches that do not exist yet: {listed(names)}"
    return Diagnostic.warning(_ref(owner), Code.MISSING_SWITCH, text)


def missing_ports(owner: str, names: Iterable[str], *, none: bool = False) -> Diagnostic:
    """Say that an object is not in force for the pods whose ports these are.

    Args:
        owner: the object.
        names: the ports.
        none: whether the Northbound has the port of no pod at all: the topology may be another.
    """
    text = f"applied, except for pods whose logical switch ports do not exist yet: {listed(names)}"
    hint = "check the topology (--topology): the Northbound has no port of any pod" if none else ""
    return Diagnostic.warning(_ref(owner), Code.MISSING_PORT, text, hint=hint)


def _ref(owner: str) -> ObjectRef:
    parts = owner.split("/")
    if len(parts) != len(("kind", "namespace", "name")):
        return ObjectRef(kind="QoS row or port group", name=owner)  # of a caller that names no objects
    return ObjectRef(kind=parts[0], namespace=parts[1], name=parts[2])


TRANSACTION_WEIGHT = 20_000
"""Default bound: 5,000 rows with their sets stay one transaction, which takes a server less than a second."""
_MEMBERS_PER_WEIGHT = 25
_SWITCHES_PER_WEIGHT = 5
_CHARACTERS_PER_WEIGHT = 500


def batches(changes: Sequence[Change], owner: Owner, weight: int = TRANSACTION_WEIGHT) -> Iterator[tuple[Change, ...]]:
    """Cut changes into batches of at most `weight`.

    Rows and sets count 1; each 25 members of a set, 5 switches of a row and 500 characters of its match count 1 more.

    The rows of one object are never parted, and the sets they use are in the same batch or an earlier one, so that a
    policy is in force as a whole or not at all. A single object that is heavier than the bound has a batch to itself.
    """
    if sum(map(_weight, changes)) <= weight:
        if changes:
            yield tuple(changes)
        return
    batch: list[Change] = []
    load = 0
    for unit in _units(changes, owner):
        heavy = sum(map(_weight, unit))
        if batch and load + heavy > weight:
            yield tuple(batch)
            batch, load = [], 0
        batch.extend(unit)
        load += heavy
    yield tuple(batch)


def _weight(change: Change) -> int:
    if isinstance(change, SetInsert | SetDelete):
        return 1 + len(change.content.members) // _MEMBERS_PER_WEIGHT
    if isinstance(change, SetUpdate):
        return 1 + (len(change.add) + len(change.remove)) // _MEMBERS_PER_WEIGHT
    if isinstance(change, RowInsert):
        match, switches = change.content.match, len(change.switches)
    elif isinstance(change, RowUpdate):
        match, switches = change.after.match, len(change.bind) + len(change.unbind)
    else:
        match, switches = "", len(change.switches)
    return 1 + switches // _SWITCHES_PER_WEIGHT + len(match) // _CHARACTERS_PER_WEIGHT


def _units(changes: Sequence[Change], owner: Owner) -> Iterator[Sequence[Change]]:
    """What must stay together, in order: an object's rows with the sets they need first; other sets; deleted sets."""
    sets = {
        (change.content.kind, change.content.name): change
        for change in changes
        if isinstance(change, SetInsert | SetUpdate)
    }
    objects: dict[str, list[RowInsert | RowUpdate | RowDelete]] = {}
    for change in changes:
        if isinstance(change, RowInsert | RowUpdate | RowDelete):
            objects.setdefault(_object(change, owner), []).append(change)
    for rows in objects.values():
        keys = ((kind, name) for name in sorted(_needs(rows)) for kind in SetKind)
        needed = [sets.pop(key) for key in keys if key in sets]
        yield [*needed, *rows]
    yield from ([change] for change in sets.values())
    yield from ([change] for change in changes if isinstance(change, SetDelete))


def _object(change: RowInsert | RowUpdate | RowDelete, owner: Owner) -> str:
    content = change.after if isinstance(change, RowUpdate) else change.content
    return owner.object_of(content.external_ids) or change.identity


def _needs(rows: Iterable[RowInsert | RowUpdate | RowDelete]) -> set[str]:
    needed: set[str] = set()
    for change in rows:
        if isinstance(change, RowInsert):
            needed |= references_in(change.content.match)
        elif isinstance(change, RowUpdate):
            needed |= references_in(change.after.match)
    return needed
