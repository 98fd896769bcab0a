"""The compiler that keeps up: an object that changes costs what depends on it, and yields only that.

A full run is "everything is dirty", by the same functions, so that the two cannot disagree.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from ovnqos.compile.compiled import CompileContext
from ovnqos.compile.conflicts import ConflictIndex, policy_of
from ovnqos.compile.delta import Delta
from ovnqos.compile.inventory import Inventory
from ovnqos.compile.live_pods import LivePods, PodChanges
from ovnqos.compile.live_selections import LiveSelections
from ovnqos.compile.live_stages import LiveStages
from ovnqos.compile.native import compile_policy
from ovnqos.compile.network_selection import takes
from ovnqos.compile.rows import DesiredState
from ovnqos.compile.selections import PodSelection, find_peer_members, find_source_members
from ovnqos.compile.sets_in_use import SetsInUse
from ovnqos.compile.whole_traffic import has_whole_rule
from ovnqos.errors import InvalidObject, Unsupported
from ovnqos.model.networks import NetworkAttachmentDefinition
from ovnqos.model.owner import Owner
from ovnqos.model.policy import NetworkQoS
from ovnqos.model.workloads import Namespace, Pod

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from netaddr import IPNetwork

    from ovnqos.compile.compiled import CompiledPolicy
    from ovnqos.compile.inventory import PodRecord
    from ovnqos.compile.rows import QosRow
    from ovnqos.compile.selections import PeerMembers, SourceMembers
    from ovnqos.compile.topology import Network, Topology
    from ovnqos.model.networks import NetworkSelector
    from ovnqos.model.pod_qos import PodQos

_K = TypeVar("_K")


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

    def __init__(
        self, topology: Topology, owner: Owner | None = None, *, cluster_cidrs: Iterable[IPNetwork] = ()
    ) -> None:
        """Start with nothing.

        Args:
            topology: how ports, switches and addresses are found, and which nodes are this zone's.
            owner: who the rows will belong to; None: the default owner.
            cluster_cidrs: the addresses inside the cluster: a pod's DSCP mark is for traffic to others.
        """
        self.inventory = Inventory(topology, cluster_cidrs=cluster_cidrs)
        self.owner = owner or Owner()
        self._selections = _Selections(self.inventory)
        self._context = CompileContext(inventory=self.inventory, selections=self._selections, owner=self.owner)
        self._policies: dict[str, NetworkQoS] = {}
        self._compiled: dict[str, CompiledPolicy] = {}
        self._faults: dict[str, InvalidObject] = {}
        self._policies_of_sources: dict[PodSelection, set[str]] = defaultdict(set)
        self._per_port: dict[PodSelection, set[str]] = defaultdict(set)  # of those, policies with a row a source port
        self._by_selector: dict[NetworkSelector, set[str]] = defaultdict(set)
        self._sets = SetsInUse(self._selections, self.inventory)
        self._pods = LivePods(self._context, self._sets)
        self._stages = LiveStages()
        self._networks: dict[str, Network | None] = {}  # as rows were compiled for them
        self._conflicts = ConflictIndex()
        self._row_count = 0
        self._dirty_policies: set[str] = set()
        self._dirty_rows: set[str] = set()

    # What happens

    def update(self, one: object) -> InvalidObject | None:
        """Take in a new or changed object: policy, pod, namespace, node or NAD.

        Returns why a pod's interfaces cannot be read, unless that was known; the pod then counts as having none.
        """
        if isinstance(one, NetworkQoS):
            self._faults.pop(one.key, None)
            if self._policies.get(one.key) != one:
                self._put_policy(one.key, one)
                self._dirty_policies.add(one.key)
        elif isinstance(one, Pod):
            return self._change_pod(one, gone=False)
        elif isinstance(one, Namespace):
            before, qos = dict(self.inventory.namespace_labels(one.name)), self.inventory.namespace_qos(one.name)
            self.inventory.update(one)
            self._change_namespace(one.name, before, qos)
        elif isinstance(one, NetworkAttachmentDefinition):
            self._replace_attachment(one.key, one)
        else:
            self.inventory.update(one)
        return None

    def remove(self, one: object) -> None:
        """Forget an object; only its names are looked at."""
        if isinstance(one, NetworkQoS):
            self.remove_policy(one.key)
        elif isinstance(one, Pod):
            self._change_pod(one, gone=True)
        elif isinstance(one, Namespace):
            before, qos = dict(self.inventory.namespace_labels(one.name)), self.inventory.namespace_qos(one.name)
            self.inventory.remove(one)
            self._change_namespace(one.name, before, qos)
        elif isinstance(one, NetworkAttachmentDefinition):
            self._replace_attachment(one.key, None)
        else:
            self.inventory.remove(one)

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
        self._put_policy(key, None)
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
            self._sets.touch(name, members)

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

    def pod_notes(self, key: str) -> tuple[str, ...]:
        """What is to be said of a pod's own limits and mark (`<namespace>/<name>`), as of the last `drain`."""
        return self._pods.notes(key)

    def counts(self) -> dict[str, int]:
        """How many rows, port groups and address sets are wanted, as of the last `drain`."""
        return {"row": self._row_count + self._pods.row_count, **self._sets.counts()}

    @property
    def is_dirty(self) -> bool:
        """Whether `drain` would have anything to say."""
        return bool(self._dirty_policies or self._dirty_rows or self._pods.is_dirty or self._sets.is_dirty)

    def drain(self) -> Delta:
        """Compile what is dirty and say what changed; nothing is dirty then."""
        changes = PodChanges()
        self._pods.compile(changes)
        self._dirty_policies.update(self._stages.policies_at(changes.flipped))
        policies = frozenset(self._dirty_policies)
        self._dirty_policies.clear()
        for key in sorted(policies):
            self._compile(key)
        self._pods.compile(changes)  # some may have joined the rule of a policy that turned out not to be supported
        policies |= self._check_conflicts(policies)
        rows, sets = frozenset(changes.rows | self._dirty_rows), self._sets.drain()
        self._dirty_rows = set()
        desired, pods = self._desired_part(rows, sets), frozenset(changes.pods)
        return Delta(rows=rows, sets=sets, desired=desired, policies=policies, pods=pods)

    def desired(self) -> DesiredState:
        """The whole desired state, as of the last `drain`: what a full pass compares."""
        rows = {identity: row for compiled in self._compiled.values() for identity, row in compiled.rows.items()}
        rows.update(self._pods.rows())
        groups, addresses = self._sets.resolve()
        return DesiredState(rows=rows, port_groups=groups, address_sets=addresses, retained=self._retained())

    # How it follows

    def _put_policy(self, key: str, new: NetworkQoS | None) -> None:
        """Exchange a policy's version; limits of pods of their own may join it, or leave it."""
        old = self._policies.pop(key, None)
        if new is not None:
            self._policies[key] = new
        self._context.whole_traffic.replace(key, new)
        for policy in (old, new):
            if policy is not None and has_whole_rule(policy):
                for record in self.inventory.pods(policy.pod_selector, policy.namespace):
                    if self.inventory.is_limited(record):
                        self._pods.touch_pod(record.pod.key)

    def _retained(self) -> frozenset[str]:
        return frozenset(f"NetworkQoS/{key}" for key in self._faults if key not in self._compiled)

    def _change_pod(self, pod: Pod, *, gone: bool) -> InvalidObject | None:
        old = self.inventory.record(pod.namespace, pod.name)
        problem = None
        if gone:
            self.inventory.remove(pod)
        else:
            problem = self.inventory.update(pod)
        new = self.inventory.record(pod.namespace, pod.name)
        if old != new:
            self._replace_record(old, new)
            if any(one is not None and self.inventory.is_limited(one) for one in (old, new)):
                self._pods.touch_pod(pod.key)
        return problem

    def _replace_record(self, old: PodRecord | None, new: PodRecord | None) -> None:
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
        if are_sources:
            if reshaped:
                followers = self._policies_of_sources.get(selection, set())
                anew = any(reshaped.values())
                self._dirty_policies |= followers if anew else followers - self._without_shared_rows(selection)
            self._replace_ports(selection, old, new)
        if old is not None and new is not None and old.interfaces == new.interfaces:
            return
        touched = {*_contributions(old, are_sources), *_contributions(new, are_sources)}
        self._sets.touch_following((are_sources, selection), touched)

    def _without_shared_rows(self, selection: PodSelection) -> set[str]:
        """The policies of which each source port has its own rows: another location changes none of the others'."""
        return {key for key in self._per_port.get(selection, ()) if not self._compiled[key].port_groups}

    def _replace_ports(self, selection: PodSelection, old: PodRecord | None, new: PodRecord | None) -> None:
        """Exchange a pod's own rows in the policies of a selection that give each source port its own."""
        if old is not None and new is not None and old.interfaces == new.interfaces:
            return
        changed = [one for record in (old, new) if record is not None for one in record.interfaces]
        for key in self._per_port.get(selection, ()):
            if key in self._dirty_policies:
                continue  # all of its rows will be made anew
            compiled = self._compiled[key]
            ports = self._selections.of_sources.members(selection).ports
            before = len(compiled.rows)
            for interface in changed:
                self._dirty_rows.update(compiled.remove_port(interface.port))
            for interface in changed:
                location = ports.get(interface.attachment, {}).get(interface.port)
                if location is not None:  # of the new pod, or of another that carries the same virtual machine
                    added = compiled.add_port(interface.port, interface.attachment, location, self._context)
                    self._dirty_rows.update(added)
                    self._stages.add(key, (switch for one in added for switch in compiled.rows[one].switches))
            self._row_count += len(compiled.rows) - before

    def _change_namespace(self, name: str, before: Mapping[str, str], qos: PodQos) -> None:
        if self.inventory.namespace_qos(name) != qos:
            self._pods.touch_namespace(name)
        after = self.inventory.namespace_labels(name)
        if before == after:
            return
        for selections in (self._selections.of_sources, self._selections.of_peers):
            for selection, joins in list(selections.moved_by_namespace(before, after)):
                for record in self.inventory.pods(selection.pods, name):
                    self._replace(selections, selection, None if joins else record, record if joins else None)
        for attachment in self.inventory.attachments_in(name):
            self._change_attachment(attachment)

    def _replace_attachment(self, key: str, new: NetworkAttachmentDefinition | None) -> None:
        old = self.inventory.attachment(key)
        if old == new:
            return
        networks = {one.ovn.network for one in (old, new) if one is not None and one.ovn is not None}
        layouts = {name: self.inventory.layouts(name) for name in networks}
        self._change_not_ovn(old)
        if new is not None:
            self.inventory.update(new)
        elif old is not None:
            self.inventory.remove(old)
        self._change_not_ovn(new)
        self._change_attachment(key)
        for name, before in layouts.items():
            if len(before | self.inventory.layouts(name)) > 1:  # its NADs begin or cease to disagree
                for sibling in self.inventory.attachments_of_network(name):
                    self._change_versions(sibling)

    def _change_not_ovn(self, definition: NetworkAttachmentDefinition | None) -> None:
        """A NAD that another CNI plugin wires came, went or changed: the policies that select it have a note on it."""
        if definition is None or definition.ovn is not None:
            return
        labels = self.inventory.namespace_labels(definition.namespace)
        for selector, policies in self._by_selector.items():
            if takes(selector, definition, labels):
                self._dirty_policies |= policies

    def _change_attachment(self, attachment: str) -> None:
        """A NAD came, changed or went, or its namespace's labels changed: other networks, other members."""
        self._change_versions(attachment)
        for selection in self._selections.of_peers.with_attachment(attachment):
            self._sets.touch_following((False, selection), None)

    def _change_versions(self, attachment: str) -> None:
        """The network behind an attachment is another, or carries other IP versions: rows of its policies change."""
        self._pods.touch_attachment(attachment)
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
            known = self._compiled.get(key)
            self._put_policy(key, known.policy if known is not None else None)  # its last supported version lives on
            return
        self._replace_compiled(key, compiled)

    def _replace_compiled(self, key: str, new: CompiledPolicy | None) -> None:
        old = self._compiled.pop(key, None)
        if new is not None:
            self._compiled[key] = new
            self._policies_of_sources[PodSelection.of_sources(new.policy)].add(key)
            if new.port_rows:
                self._per_port[PodSelection.of_sources(new.policy)].add(key)
            for selector in new.policy.network_selectors or ():
                self._by_selector[selector].add(key)
        unfollowed = self._sets.replace(key, old, new)
        old_rows = old.rows if old else {}
        new_rows = new.rows if new else {}
        self._row_count += len(new_rows) - len(old_rows)
        self._conflicts.replace(key, old.claims if old else (), new.claims if new else ())
        self._stages.replace(key, new)
        self._dirty_rows.update(
            identity
            for identity in old_rows.keys() | new_rows.keys()
            if old_rows.get(identity) != new_rows.get(identity)
        )
        if old is not None:
            self._unfile(key, old, new)
        for are_sources, selection in unfollowed:
            self._forget_unused(are_sources, selection)

    def _unfile(self, key: str, old: CompiledPolicy, new: CompiledPolicy | None) -> None:
        """Take a policy out of the places where its former version was filed and its new one is not."""
        kept = (new.policy.network_selectors or ()) if new is not None else ()
        for selector in old.policy.network_selectors or ():
            if selector not in kept:
                _discard(self._by_selector, selector, key)
        selection = PodSelection.of_sources(old.policy)
        moved = new is None or PodSelection.of_sources(new.policy) != selection
        if moved or (new is not None and not new.port_rows):
            _discard(self._per_port, selection, key)
        if moved:
            self._policies_of_sources[selection].discard(key)
            self._forget_unused(True, selection)

    def _forget_unused(self, are_sources: bool, selection: PodSelection) -> None:
        if not are_sources:
            self._selections.of_peers.forget(selection)
        elif not self._policies_of_sources.get(selection):
            self._policies_of_sources.pop(selection, None)
            self._selections.of_sources.forget(selection)

    def _check_conflicts(self, compiled: frozenset[str]) -> frozenset[str]:
        """Look for rivals where rows or members changed. Returns the policies whose rivals changed."""
        changed: set[str] = set()
        for key in sorted(compiled | self._sets.users_of_dirty()):
            known = self._compiled.get(key)
            claims = known.claims if known is not None else ()
            if self._conflicts.is_contested(key, claims):
                changed |= self._conflicts.check(key, claims, self._sets.members)
        return frozenset(changed)

    # How it answers

    def _desired_part(self, rows: frozenset[str], sets: Mapping[str, frozenset[str] | None]) -> DesiredState:
        wanted: dict[str, QosRow] = {}
        for identity in rows:
            compiled = self._compiled.get(policy_of(identity))
            row = compiled.rows.get(identity) if compiled is not None else self._pods.row(identity)
            if row is not None:
                wanted[identity] = row
        groups, addresses = self._sets.resolve(sets)
        return DesiredState(rows=wanted, port_groups=groups, address_sets=addresses, retained=self._retained())


def _discard(index: dict[_K, set[str]], place: _K, key: str) -> None:
    keys = index.get(place)
    if keys is not None:
        keys.discard(key)
        if not keys:
            del index[place]


def _contributions(record: PodRecord | None, are_sources: bool) -> Iterator[str]:
    for interface in record.interfaces if record is not None else ():
        if are_sources:
            yield interface.port
        else:
            yield from interface.addresses
