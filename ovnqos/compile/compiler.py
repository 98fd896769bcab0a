"""The compiler that keeps up: an object that changes costs what depends on it, and yields only that.

A full run is "everything is dirty", by the same functions, so that the two cannot disagree.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from ovnqos.compile.compiled import CompileContext
from ovnqos.compile.delta import Delta
from ovnqos.compile.inventory import Inventory
from ovnqos.compile.live_pods import LivePods, PodChanges
from ovnqos.compile.live_policies import LivePolicies
from ovnqos.compile.live_selections import BothSelections
from ovnqos.compile.rows import DesiredState
from ovnqos.compile.sets_in_use import SetsInUse
from ovnqos.errors import InvalidObject
from ovnqos.model.networks import NetworkAttachmentDefinition
from ovnqos.model.owner import Owner
from ovnqos.model.policy import NetworkQoS
from ovnqos.model.workloads import Namespace, Pod

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from netaddr import IPNetwork

    from ovnqos.compile.compiled import CompiledPolicy
    from ovnqos.compile.inventory import PodRecord
    from ovnqos.compile.live_selections import LiveSelection, LiveSelections, Members
    from ovnqos.compile.rows import QosRow
    from ovnqos.compile.topology import Network, Topology
    from ovnqos.model.pod_qos import PodQos

_M = TypeVar("_M", bound="Members")


class Compiler:
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
        self._selections = BothSelections(self.inventory)
        self._context = CompileContext(inventory=self.inventory, selections=self._selections, owner=self.owner)
        self._sets = SetsInUse(self._selections, self.inventory)
        self._pods = LivePods(self._context, self._sets)
        self._policies = LivePolicies(self._context, self._selections, self._sets, self._pods)
        self._networks: dict[str, Network | None] = {}  # as rows were compiled for them
        self._pod_changes = PodChanges()  # that no delta has told of

    # What happens

    def apply(self, one: object) -> InvalidObject | None:
        """Take in a new or changed object: policy, pod, namespace, node or NAD, or one whose new version is not valid.

        Of an invalid one the last valid version stays in force; a policy without one keeps its rows in the database.
        Returns why a pod's interfaces cannot be read, unless that was known; the pod then counts as having none.
        """
        if isinstance(one, NetworkQoS):
            self._policies.put(one.key, one)
        elif isinstance(one, Pod):
            return self._change_pod(one, gone=False)
        elif isinstance(one, Namespace):
            before, qos = dict(self.inventory.namespace_labels(one.name)), self.inventory.namespace_qos(one.name)
            self.inventory.update(one)
            self._change_namespace(one.name, before, qos)
        elif isinstance(one, NetworkAttachmentDefinition):
            self._replace_attachment(one.key, one)
        elif isinstance(one, InvalidObject):
            if one.object.kind == "NetworkQoS":
                self._policies.invalid[one.object.key] = one
        else:
            self.inventory.update(one)
        return None

    def delete(self, kind: str, key: str) -> None:
        """Forget an object by its kind and key (`<namespace>/<name>`, or `<name>`); an unknown one is passed over."""
        namespace, _, name = key.rpartition("/")
        if kind == "NetworkQoS":
            self._policies.put(key, None)
        elif kind == "Pod":
            self._change_pod(Pod(namespace=namespace, name=name, node="", labels={}, annotations={}), gone=True)
        elif kind == "Namespace":
            before, qos = dict(self.inventory.namespace_labels(name)), self.inventory.namespace_qos(name)
            self.inventory.remove(Namespace(name=name, labels={}))
            self._change_namespace(name, before, qos)
        elif kind == "NetworkAttachmentDefinition":
            self._replace_attachment(key, None)

    def mark_dirty(self, *, rows: Iterable[str] = (), sets: Mapping[str, Iterable[str] | None] | None = None) -> None:
        """Have things compared with the database again: they were changed there.

        Args:
            rows: identities of rows.
            sets: names of port groups and address sets, with the members concerned, or None for the whole set.
        """
        self._policies.touch_rows(rows)
        for name, members in (sets or {}).items():
            self._sets.touch(name, members)

    # What is asked

    @property
    def invalid(self) -> Mapping[str, InvalidObject]:
        """By key, the policies whose present version is not valid or not supported."""
        return self._policies.invalid

    def conflicts(self, key: str) -> frozenset[str]:
        """The policies that have a row of equal priority that one packet can match as well: which wins is undefined."""
        return self._policies.conflicts(key)

    @property
    def policies(self) -> Mapping[str, NetworkQoS]:
        """By key, the last valid version of each policy."""
        return self._policies.latest

    def compiled(self, key: str) -> CompiledPolicy | None:
        """What a policy compiled to, as of the last `drain`; None when it did not compile."""
        return self._policies.compiled(key)

    def pod_notes(self, key: str) -> tuple[str, ...]:
        """What is to be said of a pod's own limits and mark (`<namespace>/<name>`), as of the last `drain`."""
        return self._pods.notes(key)

    def counts(self) -> dict[str, int]:
        """How many rows, port groups and address sets are wanted, as of the last `drain`."""
        return {"row": self._policies.row_count + self._pods.row_count, **self._sets.counts()}

    @property
    def is_dirty(self) -> bool:
        """Whether `drain` would have anything to say."""
        return self._policies.is_dirty or self._pods.is_dirty or self._sets.is_dirty or bool(self._pod_changes.pods)

    def compile_some(self, go_on: Callable[[], bool]) -> None:
        """Compile some of what is dirty while there is nothing better to do; the next `drain` tells of it.

        Args:
            go_on: asked before each policy whether to compile that one, too.
        """
        self._pods.compile(self._pod_changes)
        self._policies.touch_places(self._pod_changes.flipped)
        self._policies.compile(go_on)

    def drain(self) -> Delta:
        """Compile what is dirty and say what changed; nothing is dirty then."""
        policies, pods, rows = self._compile()
        sets = self._sets.drain()
        return Delta(rows=rows, sets=sets, desired=self._desired_part(rows, sets), policies=policies, pods=pods)

    def drain_all(self) -> Delta:
        """Compile what is dirty, but have everything compared: the delta names all rows and sets that are wanted."""
        policies, pods, _rows = self._compile()
        self._sets.drain()
        desired = self.desired()
        sets = dict.fromkeys((*desired.port_groups, *desired.address_sets))
        return Delta(rows=frozenset(desired.rows), sets=sets, desired=desired, policies=policies, pods=pods)

    def desired(self) -> DesiredState:
        """The whole desired state, as of the last `drain`: what a full pass compares."""
        rows = {**self._policies.rows(), **self._pods.rows()}
        groups, addresses = self._sets.resolve()
        return DesiredState(rows=rows, port_groups=groups, address_sets=addresses, retained=self._policies.retained())

    def _compile(self) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
        """Compile what is dirty. Returns the policies, the pods and the rows that this may have changed."""
        self.compile_some(lambda: True)
        changes, self._pod_changes = self._pod_changes, PodChanges()
        self._pods.compile(changes)  # some may have joined the rule of a policy that turned out not to be supported
        policies = self._policies.take_compiled()
        policies |= self._policies.check_conflicts(policies | self._sets.users_of_dirty())
        return policies, frozenset(changes.pods), frozenset(changes.rows | self._policies.take_rows())

    # How it follows

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

    def _move(self, selections: LiveSelections[_M], old: PodRecord | None, new: PodRecord | None) -> None:
        left: set[LiveSelection[_M]] = selections.selecting(old) if old is not None else set()
        if old is not None and new is not None and old.pod.labels == new.pod.labels:
            joined = left  # most pods that change keep their labels
        else:
            joined = selections.selecting(new) if new is not None else set()
        for kept in left | joined:
            self._replace(selections, kept, old if kept in left else None, new if kept in joined else None)

    def _replace(
        self,
        selections: LiveSelections[_M],
        kept: LiveSelection[_M],
        old: PodRecord | None,
        new: PodRecord | None,
    ) -> None:
        are_sources = selections is self._selections.of_sources
        reshaped = selections.replace(kept, old, new)
        if are_sources:
            self._policies.reshape(kept.selection, reshaped)
            self._policies.replace_ports(kept.selection, old, new)
        if old is not None and new is not None and old.interfaces == new.interfaces:
            return
        touched = {*_contributions(old, are_sources), *_contributions(new, are_sources)}
        self._sets.touch_following((are_sources, kept.selection), touched)

    def _change_namespace(self, name: str, before: Mapping[str, str], qos: PodQos) -> None:
        if self.inventory.namespace_qos(name) != qos:
            self._pods.touch_namespace(name)
        after = self.inventory.namespace_labels(name)
        if before == after:
            return
        self._move_namespace(self._selections.of_sources, name, before, after)
        self._move_namespace(self._selections.of_peers, name, before, after)
        for attachment in self.inventory.attachments_in(name):
            self._change_attachment(attachment)

    def _move_namespace(
        self, selections: LiveSelections[_M], name: str, before: Mapping[str, str], after: Mapping[str, str]
    ) -> None:
        for kept, joins in list(selections.moved_by_namespace(before, after)):
            for record in self.inventory.pods(kept.selection.pods, name):
                self._replace(selections, kept, None if joins else record, record if joins else None)

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
        if definition is not None and definition.ovn is None:
            self._policies.touch_selecting(definition)

    def _change_attachment(self, attachment: str) -> None:
        """A NAD came, changed or went, or its namespace's labels changed: other networks, other members."""
        self._change_versions(attachment)
        for selection in self._selections.of_peers.with_attachment(attachment):
            self._sets.touch_following((False, selection), None)

    def _change_versions(self, attachment: str) -> None:
        """The network behind an attachment is another, or carries other IP versions: rows of its policies change."""
        self._pods.touch_attachment(attachment)
        for selection in self._selections.of_sources.with_attachment(attachment):
            self._policies.touch_sources(selection)

    # How it answers

    def _desired_part(self, rows: frozenset[str], sets: Mapping[str, frozenset[str] | None]) -> DesiredState:
        wanted: dict[str, QosRow] = {}
        for identity in rows:
            row = self._policies.row(identity) or self._pods.row(identity)
            if row is not None:
                wanted[identity] = row
        groups, addresses = self._sets.resolve(sets)
        return DesiredState(rows=wanted, port_groups=groups, address_sets=addresses, retained=self._policies.retained())


def _contributions(record: PodRecord | None, are_sources: bool) -> Iterator[str]:
    for interface in record.interfaces if record is not None else ():
        if are_sources:
            yield interface.port
        else:
            yield from interface.addresses
