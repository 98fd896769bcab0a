"""The desired rows and sets of all objects, and which of them are dirty: to be compared with the database."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ovnqos.compile.compiled import PeerAddresses, SourcePorts
from ovnqos.compile.network_qos import CompiledPolicy
from ovnqos.compile.precedence import Neighbours
from ovnqos.compile.rows import POLICY_KIND, AddressSet, Delta, DesiredState, PortGroup, object_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ovnqos.compile.compiled import CompileContext, CompiledObject, SetDescription
    from ovnqos.compile.rows import QosRow
    from ovnqos.compile.selections import Exchange, Selection
    from ovnqos.model.workloads import Pod


@dataclass(slots=True)
class _SetInUse:
    """A set, and the objects (`<kind>/<namespace>/<name>`) that use it."""

    description: SetDescription
    users: set[str] = field(default_factory=set)


class DesiredTable:
    """What objects compiled to, by `<kind>/<namespace>/<name>`. A set that none uses any more is dropped."""

    def __init__(self, context: CompileContext) -> None:
        """Start with no object; `context` is what they are compiled against."""
        self._context = context
        self._objects: dict[str, CompiledObject] = {}
        self._neighbours = Neighbours()
        self._sets: dict[str, _SetInUse] = {}
        self._dirty_rows: set[str] = set()
        self._dirty_sets: dict[str, set[str] | None] = {}
        self._marked_rows: set[str] = set()
        self._marked_sets: dict[str, set[str] | None] = {}
        self._changed_sets: set[str] = set()  # members of which changed since `take_users_of_changed_sets`
        self._counts = {"row": 0, "port_group": 0, "address_set": 0}

    # Queries

    def get(self, key: str) -> CompiledObject | None:
        """What an object compiled to; None when it did not compile."""
        return self._objects.get(key)

    def policy(self, key: str) -> CompiledPolicy | None:
        """What a policy (`<namespace>/<name>`) compiled to; None when it did not compile."""
        found = self._objects.get(f"{POLICY_KIND}/{key}")
        return found if isinstance(found, CompiledPolicy) else None

    def objects(self) -> Mapping[str, CompiledObject]:
        """All objects that compiled."""
        return self._objects

    def sets(self) -> Iterator[SetDescription]:
        """The sets in use."""
        return (use.description for use in self._sets.values())

    def row(self, identity: str) -> QosRow | None:
        """The desired row of this identity."""
        compiled = self._objects.get(object_of(identity))
        return self._neighbours.row(identity) if compiled is None else compiled.rows.get(identity)

    def members(self, name: str) -> frozenset[str]:
        """The members of a set; none of an unknown one."""
        use = self._sets.get(name)
        return use.description.members.find(self._context) if use is not None else frozenset()

    def takes(self, name: str, pod: Pod) -> bool:
        """Whether a set is of a selection that a pod is in by its labels and its namespace's."""
        use = self._sets.get(name)
        members = use.description.members if use is not None else None
        if not isinstance(members, SourcePorts | PeerAddresses):
            return False
        where, pods = members.selection
        if isinstance(where, str):
            return where == pod.namespace and pods.matches(pod.labels)
        return pods.matches(pod.labels) and where.matches(self._context.inventory.namespace_labels(pod.namespace))

    def counts(self) -> dict[str, int]:
        """How many rows, port groups and address sets are desired."""
        return {**self._counts, "row": self._counts["row"] + len(self._neighbours)}

    def names(self) -> tuple[set[str], set[str]]:
        """The identities of all rows, and the names of all sets that are written."""
        rows = {identity for compiled in self._objects.values() for identity in compiled.rows}
        rows.update(row.identity for row in self._neighbours.rows())
        return rows, {name for name, use in self._sets.items() if use.description.is_written}

    @property
    def is_dirty(self) -> bool:
        """Whether there is a row or set to be compared."""
        return bool(self._dirty_rows or self._dirty_sets or self._marked_rows or self._marked_sets)

    def whole(self, retained: frozenset[str]) -> DesiredState:
        """All that is desired; `retained` as `DesiredState` has it."""
        rows = {identity: row for compiled in self._objects.values() for identity, row in compiled.rows.items()}
        rows.update((row.identity, row) for row in self._neighbours.rows())
        return self._state(rows, dict.fromkeys(self._sets), retained)

    def part(
        self, rows: Iterable[str], sets: Mapping[str, frozenset[str] | None], retained: frozenset[str]
    ) -> DesiredState:
        """What is desired of these rows and sets, of a set only these members, unless None."""
        found = {identity: row for identity in rows if (row := self.row(identity)) is not None}
        return self._state(found, sets, retained)

    def _state(
        self, rows: dict[str, QosRow], sets: Mapping[str, frozenset[str] | None], retained: frozenset[str]
    ) -> DesiredState:
        groups: dict[str, PortGroup] = {}
        addresses: dict[str, AddressSet] = {}
        for name, members in sets.items():
            use = self._sets.get(name)
            if use is None or not use.description.is_written:
                continue
            resolved = use.description.resolve(self._context, members)
            if isinstance(resolved, PortGroup):
                groups[name] = resolved
            else:
                addresses[name] = resolved
        return DesiredState(rows=rows, port_groups=groups, address_sets=addresses, retained=retained)

    # Changes

    def replace(self, key: str, new: CompiledObject | None) -> None:
        """Exchange what an object compiled to; None removes it."""
        old = self._objects.pop(key, None)
        if new is not None:
            self._objects[key] = new
        old_rows, new_rows = old.rows if old else {}, new.rows if new else {}
        self._counts["row"] += len(new_rows) - len(old_rows)
        gone = self._neighbours.add(old_rows.values(), old.icmp6 if old else (), -1)
        self._dirty_rows |= gone ^ self._neighbours.add(new_rows.values(), new.icmp6 if new else (), 1)
        self._dirty_rows |= old_rows.keys() ^ new_rows.keys()
        self._dirty_rows.update(one for one in old_rows.keys() & new_rows.keys() if old_rows[one] != new_rows[one])
        sets = new.sets if new else {}
        for description in sets.values():
            self._use(description, key)
        for name in old.sets if old else ():
            if name not in sets:
                self._stop_using(name, key)

    def replace_row(self, compiled: CompiledObject, identity: str, row: QosRow | None) -> None:
        """Exchange one row of a compiled object; None removes it."""
        old = compiled.rows.pop(identity, None)
        if row is not None:
            compiled.rows[identity] = row
        self._counts["row"] += (row is not None) - (old is not None)
        gone = self._neighbours.add([] if old is None else [old], compiled.icmp6, -1)
        self._dirty_rows |= gone ^ self._neighbours.add([] if row is None else [row], compiled.icmp6, 1)
        self._dirty_rows.add(identity)

    def mark_rows(self, identities: Iterable[str]) -> None:
        """Mark rows dirty, whose desired content did not change."""
        self._marked_rows.update(identities)

    def mark_set(self, name: str, members: Iterable[str] | None) -> None:
        """Mark a set dirty, whose desired members did not change: these members of it, or (None) the whole."""
        _add(self._marked_sets, name, members)

    def change_members(self, selection: Selection[Any], members: Iterable[str] | None) -> None:
        """Mark the sets of a selection dirty, whose members changed: these, or (None) any."""
        self._changed_sets |= selection.sets
        for name in selection.sets:
            if self._sets[name].description.is_written:
                _add(self._dirty_sets, name, members)

    def change_set(self, name: str, members: Iterable[str]) -> None:
        """Mark a set dirty, if it is in use, whose members changed: these."""
        if name in self._sets:
            self._changed_sets.add(name)
            _add(self._dirty_sets, name, members)

    def replace_members(self, exchange: Exchange[Any]) -> None:
        """A pod was exchanged in a selection: mark what it adds to sets, or takes from them."""
        if exchange.selection.sets:
            self.change_members(exchange.selection, exchange.parts)

    def take_users_of_changed_sets(self) -> set[str]:
        """The objects that use a set whose members changed since this was asked."""
        names, self._changed_sets = self._changed_sets, set()
        return self.users(names)

    def users(self, names: Iterable[str]) -> set[str]:
        """The objects that use any of these sets."""
        return {user for name in names if (use := self._sets.get(name)) is not None for user in use.users}

    def drain(
        self, retained: frozenset[str], *, policies: frozenset[str], recounted: frozenset[str], pods: frozenset[str]
    ) -> Delta:
        """What is dirty; nothing is dirty then. The other arguments are as `Delta` and `DesiredState` have them."""
        compiled_rows, compiled_sets = frozenset(self._dirty_rows), _frozen(self._dirty_sets)
        rows, sets, marked = compiled_rows | self._marked_rows, compiled_sets, self._marked_sets
        if marked:
            for name, members in compiled_sets.items():
                _add(marked, name, members)
            sets = _frozen(marked)
        self.clean()
        return Delta(
            rows=rows,
            sets=sets,
            desired=self.part(rows, sets, retained),
            compiled_rows=compiled_rows,
            compiled_sets=compiled_sets,
            policies=policies,
            recounted=recounted,
            pods=pods,
        )

    def clean(self) -> None:
        """Forget what is dirty."""
        self._dirty_rows, self._dirty_sets, self._marked_rows, self._marked_sets = set(), {}, set(), {}

    def _use(self, description: SetDescription, user: str) -> None:
        name = description.name
        use = self._sets.get(name)
        if use is None:
            use = self._sets[name] = _SetInUse(description)
            self._count(description, 1)
            selection = self._selection(description)
            if selection is not None:
                selection.sets.add(name)
        elif use.description is not description and use.description != description:
            # of other attachments or CIDRs; the selection is part of the name
            use.description = description
            self._changed_sets.add(name)
            self._count(description, 0)
        use.users.add(user)

    def _stop_using(self, name: str, user: str) -> None:
        use = self._sets[name]
        use.users.discard(user)
        if not use.users:
            self._drop(use)

    def _drop(self, use: _SetInUse) -> None:
        description = use.description
        del self._sets[description.name]
        self._count(description, -1)
        selection = self._selection(description)
        if selection is not None:
            selection.sets.discard(description.name)
            of_ports = isinstance(description.members, SourcePorts)
            (self._context.sources if of_ports else self._context.peers).release(selection)

    def _count(self, description: SetDescription, step: int) -> None:
        if description.is_written:
            self._dirty_sets[description.name] = None
            self._counts["port_group" if description.is_port_group else "address_set"] += step

    def _selection(self, description: SetDescription) -> Selection[Any] | None:
        members = description.members
        if isinstance(members, SourcePorts):
            return self._context.sources.get(members.selection)
        return self._context.peers.get(members.selection) if isinstance(members, PeerAddresses) else None


def _add(sets: dict[str, set[str] | None], name: str, members: Iterable[str] | None) -> None:
    """Add a set to those dirty: these members of it, or (None) the whole."""
    known = sets.setdefault(name, set())
    if members is None:
        sets[name] = None
    elif known is not None:
        known.update(members)


def _frozen(sets: Mapping[str, set[str] | None]) -> dict[str, frozenset[str] | None]:
    return {name: None if members is None else frozenset(members) for name, members in sets.items()}
