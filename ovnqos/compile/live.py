"""The compiler that keeps up: an object that changes costs what depends on it, and yields only that.

A full run is "everything is dirty", by the same functions, so that the two cannot disagree.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ovnqos.compile.compilation import address_set, port_group
from ovnqos.compile.compiled import CompileContext
from ovnqos.compile.conflicts import ConflictIndex, policy_of
from ovnqos.compile.inventory import Inventory
from ovnqos.compile.live_selections import LiveSelections
from ovnqos.compile.native import compile_policy
from ovnqos.compile.rows import AddressSet, DesiredState, PortGroup
from ovnqos.compile.selections import PodSelection, find_peer_members, find_source_members
from ovnqos.compile.sets import FixedMembers, SetDescription, SourcePorts
from ovnqos.errors import InvalidObject, Unsupported
from ovnqos.model.networks import NetworkAttachmentDefinition
from ovnqos.model.owner import Owner
from ovnqos.model.policy import NetworkQoS
from ovnqos.model.workloads import Namespace, Pod

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ovnqos.compile.compiled import CompiledPolicy
    from ovnqos.compile.inventory import PodRecord
    from ovnqos.compile.rows import QosRow
    from ovnqos.compile.selections import PeerMembers, SourceMembers
    from ovnqos.compile.topology import Network, Topology


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """What changed since the last one: the parts of the desired state to hold against the database.

    Attributes:
        rows: identities of rows that may have come, changed or gone.
        sets: names of port groups and address sets likewise; with the members that may have come or gone, or None when
            the set as a whole is to be compared.
        desired: the rows and sets named above that are wanted; a set holds only the members named, unless None.
        policies: keys of the policies that were compiled anew, or whose rivals changed.
    """

    rows: frozenset[str]
    sets: Mapping[str, frozenset[str] | None]
    desired: DesiredState
    policies: frozenset[str]

    @property
    def is_empty(self) -> bool:
        """Whether nothing changed."""
        return not self.rows and not self.sets


@dataclass(slots=True)
class _Use:
    """A set in use: what it is, of which kind, and the policies that use it."""

    described: SetDescription
    is_group: bool
    policies: set[str] = field(default_factory=set)


class _Selections:
    """Both uses of selections, as compilers ask for them."""

    def __init__(self, inventory: Inventory) -> None:
        self.of_sources: LiveSelections[SourceMembers] = LiveSelections(inventory, find_source_members)
        self.of_peers: LiveSelections[PeerMembers] = LiveSelections(inventory, find_peer_members)

    def sources(self, selection: PodSelection) -> SourceMembers:
        return self.of_sources.members(selection)

    def peers(self, selection: PodSelection) -> PeerMembers:
        return self.of_peers.members(selection)


class LiveCompilation:
    """Policies and cluster in, deltas of the desired state out. Not thread-safe: one thread uses it.

    Attributes:
        inventory: the cluster as known now; changed through `update` and `remove` only.
        owner: who the rows belong to.
    """

    def __init__(self, topology: Topology, owner: Owner | None = None) -> None:
        """Start with nothing.

        Args:
            topology: how ports, switches and addresses are found, and which nodes are this zone's.
            owner: who the rows will belong to; None: the default owner.
        """
        self.inventory = Inventory(topology)
        self.owner = owner or Owner()
        self._selections = _Selections(self.inventory)
        self._context = CompileContext(inventory=self.inventory, selections=self._selections, owner=self.owner)
        self._policies: dict[str, NetworkQoS] = {}
        self._compiled: dict[str, CompiledPolicy] = {}
        self._faults: dict[str, InvalidObject] = {}
        self._policies_of_sources: dict[PodSelection, set[str]] = defaultdict(set)
        self._uses: dict[str, _Use] = {}
        self._sets_of: dict[tuple[bool, PodSelection], set[str]] = defaultdict(set)
        self._networks: dict[str, Network | None] = {}  # as rows were compiled for them
        self._conflicts = ConflictIndex()
        self._row_count = 0
        self._group_count = 0
        self._dirty_policies: set[str] = set()
        self._dirty_rows: set[str] = set()
        self._dirty_sets: dict[str, set[str] | None] = {}

    # What happens

    def update(self, one: object) -> None:
        """Take in a new or changed object: policy, pod, namespace, node or NAD."""
        if isinstance(one, NetworkQoS):
            self._faults.pop(one.key, None)
            if self._policies.get(one.key) != one:
                self._policies[one.key] = one
                self._dirty_policies.add(one.key)
        elif isinstance(one, Pod):
            self._change_pod(one, gone=False)
        elif isinstance(one, Namespace):
            before = dict(self.inventory.namespace_labels(one.name))
            self.inventory.update(one)
            self._change_namespace(one.name, before)
        elif isinstance(one, NetworkAttachmentDefinition):
            if self.inventory.attachment(one.key) != one:
                self.inventory.update(one)
                self._change_attachment(one.key)
        else:
            self.inventory.update(one)

    def remove(self, one: object) -> None:
        """Forget an object; only its names are looked at."""
        if isinstance(one, NetworkQoS):
            self.remove_policy(one.key)
        elif isinstance(one, Pod):
            self._change_pod(one, gone=True)
        elif isinstance(one, Namespace):
            before = dict(self.inventory.namespace_labels(one.name))
            self.inventory.remove(one)
            self._change_namespace(one.name, before)
        else:
            self.inventory.remove(one)
            if isinstance(one, NetworkAttachmentDefinition):
                self._change_attachment(one.key)

    def forget(self, kind: str, key: str) -> None:
        """Forget an object by its kind and key (`<namespace>/<name>`, or `<name>`); an unknown one is passed over."""
        namespace, _, name = key.rpartition("/")
        if kind == "NetworkQoS":
            self.remove_policy(key)
        elif kind == "Pod":
            self.remove(Pod(namespace=namespace, name=name, node="", labels={}, annotations={}))
        elif kind == "Namespace":
            self.remove(Namespace(name=name, labels={}))
        elif kind == "NetworkAttachmentDefinition":
            self.remove(NetworkAttachmentDefinition(namespace=namespace, name=name, labels={}, plugin="", ovn=None))

    def remove_policy(self, key: str) -> None:
        """Forget a policy (`<namespace>/<name>`), valid or not."""
        self._policies.pop(key, None)
        self._faults.pop(key, None)
        self._dirty_policies.add(key)

    def hold(self, key: str, fault: InvalidObject) -> None:
        """Note that a policy's present version is not valid: the rows of its last valid version stay."""
        self._faults[key] = fault

    def touch(self, *, rows: Iterable[str] = (), sets: Mapping[str, Iterable[str] | None] | None = None) -> None:
        """Have things compared with the database again: somebody changed them there.

        Args:
            rows: identities of rows.
            sets: names of port groups and address sets, with the members concerned, or None for the whole set.
        """
        self._dirty_rows.update(rows)
        for name, members in (sets or {}).items():
            known = self._dirty_sets.setdefault(name, set())
            if members is None:
                self._dirty_sets[name] = None
            elif known is not None:
                known.update(members)

    def whole(self, delta: Delta, names: Iterable[str]) -> Delta:
        """The delta, but with these of its sets to be compared as a whole: the database turned out to lack them."""
        sets = {**delta.sets, **dict.fromkeys(names)}
        return replace(delta, sets=sets, desired=self._desired_part(delta.rows, sets))

    # What is asked

    @property
    def faults(self) -> Mapping[str, InvalidObject]:
        """By key, the policies whose present version is not valid or not supported."""
        return self._faults

    def rivals(self, key: str) -> frozenset[str]:
        """The policies that have a row of equal priority that one packet can match as well: which wins is undefined."""
        return self._conflicts.rivals(key)

    @property
    def policies(self) -> Mapping[str, NetworkQoS]:
        """By key, the last valid version of each policy."""
        return self._policies

    def compiled(self, key: str) -> CompiledPolicy | None:
        """What a policy compiled to, as of the last `drain`; None when it did not compile."""
        return self._compiled.get(key)

    def counts(self) -> dict[str, int]:
        """How many rows, port groups and address sets are wanted, as of the last `drain`."""
        groups = self._group_count
        return {"row": self._row_count, "port_group": groups, "address_set": len(self._uses) - groups}

    @property
    def is_dirty(self) -> bool:
        """Whether `drain` would have anything to say."""
        return bool(self._dirty_policies or self._dirty_rows or self._dirty_sets)

    def drain(self) -> Delta:
        """Compile what is dirty and say what changed; nothing is dirty then."""
        policies = frozenset(self._dirty_policies)
        self._dirty_policies.clear()
        for key in sorted(policies):
            self._compile(key)
        policies |= self._check_conflicts(policies)
        rows, sets = frozenset(self._dirty_rows), self._dirty_sets
        self._dirty_rows, self._dirty_sets = set(), {}
        frozen = {name: None if touched is None else frozenset(touched) for name, touched in sets.items()}
        return Delta(rows=rows, sets=frozen, desired=self._desired_part(rows, frozen), policies=policies)

    def desired(self) -> DesiredState:
        """The whole desired state, as of the last `drain`: what a full pass compares."""
        rows = {identity: row for compiled in self._compiled.values() for identity, row in compiled.rows.items()}
        groups, addresses = self._resolve(dict.fromkeys(self._uses))
        return DesiredState(rows=rows, port_groups=groups, address_sets=addresses, retained=self._retained())

    # How it follows

    def _retained(self) -> frozenset[str]:
        return frozenset(f"NetworkQoS/{key}" for key in self._faults if key not in self._compiled)

    def _change_pod(self, pod: Pod, *, gone: bool) -> None:
        old = self.inventory.record(pod.namespace, pod.name)
        if gone:
            self.inventory.remove(pod)
        else:
            self.inventory.update(pod)
        new = self.inventory.record(pod.namespace, pod.name)
        if old == new:
            return
        in_zone = self.inventory.topology.in_zone
        self._move(
            self._selections.of_sources,
            old if old is not None and in_zone(old.pod.node) else None,
            new if new is not None and in_zone(new.pod.node) else None,
        )
        self._move(self._selections.of_peers, old, new)
        for record in (old, new):
            for interface in record.interfaces if record is not None else ():
                self._check_network(interface.attachment)

    def _check_network(self, attachment: str) -> None:
        """Notice when the first or last address of an IP version comes or goes: it decides which sets rules have."""
        network = self.inventory.network_of(attachment)
        if self._networks.get(attachment) != network:
            self._networks[attachment] = network
            self._change_versions(attachment)

    def _move(
        self,
        selections: LiveSelections[SourceMembers] | LiveSelections[PeerMembers],
        old: PodRecord | None,
        new: PodRecord | None,
    ) -> None:
        left = selections.selecting(old) if old is not None else set()
        joined = selections.selecting(new) if new is not None else set()
        for selection in left | joined:
            self._replace(
                selections, selection, old if selection in left else None, new if selection in joined else None
            )

    def _replace(
        self,
        selections: LiveSelections[SourceMembers] | LiveSelections[PeerMembers],
        selection: PodSelection,
        old: PodRecord | None,
        new: PodRecord | None,
    ) -> None:
        are_sources = selections is self._selections.of_sources
        reshaped = selections.replace(selection, old, new)
        if are_sources and reshaped:
            self._dirty_policies |= self._policies_of_sources.get(selection, set())
        if old is not None and new is not None and old.interfaces == new.interfaces:
            return
        touched = {*_contributions(old, are_sources), *_contributions(new, are_sources)}
        for name in self._sets_of.get((are_sources, selection), ()):
            known = self._dirty_sets.setdefault(name, set())
            if known is not None:
                known |= touched

    def _change_namespace(self, name: str, before: Mapping[str, str]) -> None:
        after = self.inventory.namespace_labels(name)
        if before == after:
            return
        for selections in (self._selections.of_sources, self._selections.of_peers):
            for selection, joins in list(selections.moved_by_namespace(before, after)):
                for record in self.inventory.pods(selection.pods, name):
                    self._replace(selections, selection, None if joins else record, record if joins else None)
        for attachment in self.inventory.attachments_in(name):
            self._change_attachment(attachment)

    def _change_attachment(self, attachment: str) -> None:
        """A NAD came, changed or went, or its namespace's labels changed: other networks, other members."""
        self._change_versions(attachment)
        for selection in self._selections.of_peers.with_attachment(attachment):
            self._dirty_sets.update(dict.fromkeys(self._sets_of.get((False, selection), ())))

    def _change_versions(self, attachment: str) -> None:
        """The network behind an attachment is another, or carries other IP versions: rows of its policies change."""
        for selection in self._selections.of_sources.with_attachment(attachment):
            self._dirty_policies |= self._policies_of_sources.get(selection, set())

    # How it compiles

    def _compile(self, key: str) -> None:
        policy = self._policies.get(key)
        if policy is None:
            self._replace_compiled(key, None)
            return
        try:
            compiled = compile_policy(policy, self._context)
        except Unsupported as fault:
            self._faults[key] = fault
            if key in self._compiled:
                self._policies[key] = self._compiled[key].policy  # its last supported version lives on
            else:
                del self._policies[key]
            return
        self._replace_compiled(key, compiled)

    def _replace_compiled(self, key: str, new: CompiledPolicy | None) -> None:
        old = self._compiled.pop(key, None)
        if new is not None:
            self._compiled[key] = new
            self._policies_of_sources[PodSelection.of_sources(new.policy)].add(key)
            for name, described, is_group in _sets(new):
                self._use(name, described, is_group, key)
        old_rows = old.rows if old else {}
        new_rows = new.rows if new else {}
        self._row_count += len(new_rows) - len(old_rows)
        self._conflicts.replace(key, old_rows.values(), new_rows.values())
        self._dirty_rows.update(
            identity
            for identity in old_rows.keys() | new_rows.keys()
            if old_rows.get(identity) != new_rows.get(identity)
        )
        if old is not None:
            kept = {name for name, _described, _is_group in _sets(new)} if new is not None else set()
            for name, _described, _is_group in _sets(old):
                if name not in kept:
                    self._stop_using(name, key)
            selection = PodSelection.of_sources(old.policy)
            if new is None or PodSelection.of_sources(new.policy) != selection:
                self._policies_of_sources[selection].discard(key)
                self._forget_unused(True, selection)

    def _use(self, name: str, described: SetDescription, is_group: bool, policy: str) -> None:
        use = self._uses.get(name)
        if use is None:
            use = self._uses[name] = _Use(described, is_group)
            self._group_count += is_group
            self._dirty_sets[name] = None
            self._register(use)
        elif use.described != described:
            self._unregister(name, use)
            use.described = described
            self._dirty_sets[name] = None
            self._register(use)
        use.policies.add(policy)

    def _stop_using(self, name: str, policy: str) -> None:
        use = self._uses[name]
        use.policies.discard(policy)
        if not use.policies:
            del self._uses[name]
            self._group_count -= use.is_group
            self._dirty_sets[name] = None
            self._unregister(name, use)

    def _register(self, use: _Use) -> None:
        place = _place(use.described)
        if place is not None:
            self._sets_of[place].add(use.described.name)

    def _unregister(self, name: str, use: _Use) -> None:
        place = _place(use.described)
        if place is not None:
            self._sets_of[place].discard(name)
            self._forget_unused(*place)

    def _forget_unused(self, are_sources: bool, selection: PodSelection) -> None:
        if self._sets_of.get((are_sources, selection)):
            return
        self._sets_of.pop((are_sources, selection), None)
        if not are_sources:
            self._selections.of_peers.forget(selection)
        elif not self._policies_of_sources.get(selection):
            self._policies_of_sources.pop(selection, None)
            self._selections.of_sources.forget(selection)

    def _check_conflicts(self, compiled: frozenset[str]) -> frozenset[str]:
        """Look for rivals where rows or members changed. Returns the policies whose rivals changed."""
        concerned = set(compiled)
        for name in self._dirty_sets:
            use = self._uses.get(name)
            if use is not None:
                concerned |= use.policies
        changed: set[str] = set()
        for key in sorted(concerned):
            known = self._compiled.get(key)
            rows = known.rows.values() if known is not None else ()
            if self._conflicts.is_contested(key, rows):
                changed |= self._conflicts.check(key, rows, self._members_of)
        return frozenset(changed)

    def _members_of(self, name: str) -> frozenset[str]:
        use = self._uses.get(name)
        return use.described.members.find(self._selections, self.inventory) if use is not None else frozenset()

    # How it answers

    def _desired_part(self, rows: frozenset[str], sets: Mapping[str, frozenset[str] | None]) -> DesiredState:
        wanted: dict[str, QosRow] = {}
        for identity in rows:
            compiled = self._compiled.get(policy_of(identity))
            if compiled is not None and identity in compiled.rows:
                wanted[identity] = compiled.rows[identity]
        groups, addresses = self._resolve(sets)
        return DesiredState(rows=wanted, port_groups=groups, address_sets=addresses, retained=self._retained())

    def _resolve(self, sets: Mapping[str, frozenset[str] | None]) -> tuple[dict[str, PortGroup], dict[str, AddressSet]]:
        groups: dict[str, PortGroup] = {}
        addresses: dict[str, AddressSet] = {}
        for name, touched in sets.items():
            use = self._uses.get(name)
            if use is None:
                continue
            described = use.described
            if use.is_group:
                groups[name] = port_group(described, self._selections, self.inventory, touched)
            else:
                addresses[name] = address_set(described, self._selections, self.inventory, touched)
        return groups, addresses


def _sets(compiled: CompiledPolicy) -> Iterator[tuple[str, SetDescription, bool]]:
    for name, described in compiled.port_groups.items():
        yield name, described, True
    for name, described in compiled.address_sets.items():
        yield name, described, False


def _place(described: SetDescription) -> tuple[bool, PodSelection] | None:
    """Which selection's members the set follows, and as what; None for members that only the policy decides."""
    members = described.members
    if isinstance(members, FixedMembers):
        return None
    return isinstance(members, SourcePorts), members.selection


def _contributions(record: PodRecord | None, are_sources: bool) -> Iterator[str]:
    for interface in record.interfaces if record is not None else ():
        if are_sources:
            yield interface.port
        else:
            yield from interface.addresses
