"""The compiler: objects in, desired state of a Northbound out, whole or as what changed.

An object that changes costs what depends on it. Compiling everything is the same work with everything dirty, so the
order in which objects come does not matter.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ovnqos.compile.compiled import CompileContext, scope_of
from ovnqos.compile.desired_table import DesiredTable
from ovnqos.compile.dirty_objects import PodCompiler, PolicyCompiler
from ovnqos.compile.inventory import Inventory
from ovnqos.compile.precedence import CatchAllRules, LimitedReceivers
from ovnqos.compile.promises import Promises, find_promises
from ovnqos.compile.rows import POD_KIND, POLICY_KIND, Delta
from ovnqos.compile.selections import PeerMembers, Selections, SourceMembers
from ovnqos.compile.source_selection import find_non_source
from ovnqos.errors import InvalidObject
from ovnqos.model.networks import NetworkAttachmentDefinition
from ovnqos.model.owner import Owner
from ovnqos.model.policy import NetworkQoS
from ovnqos.model.workloads import NO_POD_QOS, Namespace, Node, Pod

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from collections.abc import Set as AbstractSet

    from netaddr import IPNetwork

    from ovnqos.compile.compiled import CompiledObject, PolicyCounts
    from ovnqos.compile.inventory import PodRecord
    from ovnqos.compile.rows import DesiredState
    from ovnqos.compile.topology import Network, PodInterface, Topology
    from ovnqos.diagnostics import Diagnostic

_NAMESPACE_KIND = "Namespace"
_NAD_KIND = "NetworkAttachmentDefinition"
_NAMESPACED = (Pod, NetworkQoS, NetworkAttachmentDefinition)
_HAVE_NO_ROWS = frozenset({POD_KIND, _NAMESPACE_KIND, _NAD_KIND, "Node"})  # as far as it is known of an unnamed one


class Compiler:
    """Compiles NetworkQoS objects, and the annotations of pods and namespaces, against a cluster.

    Not thread-safe: one thread uses it.

    Attributes:
        inventory: the cluster as known now; changed through `apply` and `delete` only.
        owner: who the rows belong to.
    """

    def __init__(
        self, topology: Topology, owner: Owner | None = None, *, cluster_cidrs: Iterable[IPNetwork] = ()
    ) -> None:
        """Start with no object.

        Args:
            topology: how ports, switches and addresses are found, and which nodes are this zone's.
            owner: who the rows will belong to; None: the default owner.
            cluster_cidrs: the addresses inside the cluster: a pod's DSCP mark is for traffic to others.
        """
        self.inventory = Inventory(topology, cluster_cidrs=cluster_cidrs)
        self.owner = owner or Owner()
        self._invalid: dict[str, dict[str, InvalidObject]] = {POLICY_KIND: {}}  # by kind and key
        self._context = CompileContext(
            inventory=self.inventory,
            owner=self.owner,
            sources=Selections(self.inventory, SourceMembers, of_zone=True),
            peers=Selections(self.inventory, PeerMembers, of_zone=False),
            receivers=LimitedReceivers(),
            catch_all=CatchAllRules(),
        )
        self._desired = DesiredTable(self._context)
        self._pods = PodCompiler(self._context, self._desired)
        self._policies = PolicyCompiler(self._context, self._desired)
        self._networks: dict[str, Network | None] = {}  # as rows were compiled for them

    @classmethod
    def of(
        cls,
        objects: Iterable[object],
        topology: Topology,
        owner: Owner | None = None,
        *,
        cluster_cidrs: Iterable[IPNetwork] = (),
    ) -> Compiler:
        """A compiler with these objects, as `apply` takes them; the other arguments as `__init__`."""
        compiler = cls(topology, owner, cluster_cidrs=cluster_cidrs)
        for one in objects:
            compiler.apply(one)
        return compiler

    # Objects

    def apply(self, one: object) -> None:
        """Add or replace an object.

        Args:
            one: a NetworkQoS, Pod, Namespace, Node or NetworkAttachmentDefinition; or an InvalidObject, whose last
                valid version stays in force. Without a valid version the rows in the database stay: see
                `DesiredState.retained`. None, which `parse_object` gives for kinds that are not read, is passed over.

        Raises:
            InvalidObject: the one given, when it may be a policy and has no valid kind or name: whose rows to keep is
                then unknown.
            TypeError: an object of another kind.
        """
        if isinstance(one, _NAMESPACED):
            self._replace(type(one).__name__, one.key, one)
        elif isinstance(one, Namespace):
            self._replace(_NAMESPACE_KIND, one.name, one)
        elif isinstance(one, InvalidObject):
            self._apply_invalid(one)
        elif one is not None and not isinstance(one, Node):
            raise TypeError(f"{type(one).__name__} objects are not compiled")

    def delete(self, kind: str, key: str) -> None:
        """Remove an object by its kind and key (`<namespace>/<name>`, or `<name>`), valid or not, if it is there."""
        self._replace(kind, key, None)

    def mark_dirty(self, *, rows: Iterable[str] = (), sets: Mapping[str, Iterable[str] | None] | None = None) -> None:
        """Have the next `drain` name rows and sets that were changed in the database.

        Args:
            rows: identities of rows.
            sets: names of port groups and address sets, with the members concerned, or None for the whole set.
        """
        self._desired.mark_rows(rows)
        for name, members in (sets or {}).items():
            self._desired.mark_set(name, members)

    # Desired state

    def desired(self) -> DesiredState:
        """The desired state of the objects applied, with its scope. What changed is still for `drain` to name."""
        desired = self._whole()
        invalid = (f"{kind}/{key}" for kind in (POLICY_KIND, POD_KIND) for key in self._invalid.get(kind, ()))
        return replace(desired, scope=scope_of(self.inventory, self.policies, invalid, tuple(self._desired.sets())))

    @property
    def is_dirty(self) -> bool:
        """Whether `drain` would name anything."""
        return (
            self._policies.is_dirty
            or self._pods.is_dirty
            or self._desired.is_dirty
            or bool(self._policies.changed or self._policies.recounted or self._pods.changed)
        )

    def drain(self) -> Delta:
        """What changed since the last time; nothing is dirty then."""
        self._compile()
        policies, recounted, pods = self._take_changed()
        return self._desired.drain(self._retained(), policies=policies, recounted=recounted, pods=pods)

    def drain_all(self) -> Delta:
        """As `drain`, but with all desired rows and sets named, for a full comparison: what is not desired is extra."""
        desired = self._whole()
        self._desired.clean()
        policies, recounted, pods = self._take_changed()
        return Delta(
            rows=frozenset(desired.rows),
            sets=dict.fromkeys((*desired.port_groups, *desired.address_sets)),
            desired=desired,
            policies=policies,
            recounted=recounted,
            pods=pods,
        )

    def check_bounds(self) -> None:
        """Hold objects to the bounds that other objects' changes bring them to, at the cost of a walk over all.

        `desired` and `drain_all` do so, too; who drains for long calls it now and then.
        """
        self._policies.check_members()

    def names(self) -> tuple[set[str], set[str]]:
        """The identities of all desired rows, and the names of all desired sets."""
        return self._desired.names()

    def compile_some(self, go_on: Callable[[], bool]) -> None:
        """Compile some of what is dirty while there is nothing better to do; the next `drain` names it.

        Args:
            go_on: asked before each policy whether to compile that one, too.
        """
        self._policies.mark_dirty(self._pods.compile())
        self._policies.compile(go_on)

    def objects_using(self, sets: Iterable[str]) -> set[str]:
        """The objects (`<kind>/<namespace>/<name>`) that use any of these sets, as of the last `drain`."""
        return self._desired.users(sets)

    def counts(self) -> dict[str, int]:
        """How many rows, port groups and address sets are desired, as of the last `drain`."""
        return self._desired.counts()

    def promises(self) -> Promises:
        """What the objects applied promise to packets, whichever rows keep it."""
        self._compile()
        pods = (one for one in self._desired.objects().values() if one.object.kind == POD_KIND)
        return find_promises(self.policies.values(), pods, self._context)

    # Objects and what is to be said of them

    @property
    def invalid(self) -> Mapping[str, InvalidObject]:
        """By key, the policies whose present version is not valid."""
        return self._invalid[POLICY_KIND]

    @property
    def policies(self) -> Mapping[str, NetworkQoS]:
        """By key, the last valid version of each policy."""
        return self._policies.latest

    def compiled(self, key: str) -> CompiledObject | None:
        """What a policy compiled to, as of the last `drain`; None when it did not compile."""
        return self._desired.policy(key)

    def unreadable_pods(self) -> int:
        """How many pods have networks that cannot be read, of all zones."""
        return len(self.inventory.problems)

    @property
    def never_read_pods(self) -> AbstractSet[str]:
        """The keys of this zone's pods that were unreadable in all versions known: nothing is desired of them."""
        return self._pods.unwired

    def may_be_of(self, name: str, pod: Pod) -> bool:
        """Whether a desired set is of source pods, or of destinations, that a pod is among by its labels."""
        return self._desired.takes(name, pod)

    def pod_effect(self, key: str) -> str:
        """What the rows of a pod's annotations do, in one line, as of the last `drain`; empty without rows."""
        return self._pods.effect(key)

    def policy_counts(self, key: str) -> PolicyCounts:
        """How far a policy reaches, as of the last `drain`; nothing where it did not compile."""
        return self._policies.counts(key)

    def source_nodes(self, key: str) -> frozenset[str]:
        """The nodes with source pods of a policy's last valid version, those of other zones too."""
        return self._policies.source_nodes(key)

    def conflicts(self, key: str) -> frozenset[str]:
        """The policies with a row of equal priority that one packet can match as well as one of this policy's."""
        self._compile()
        return self._policies.conflicts(key)

    def diagnostics(self, kind: str, key: str) -> tuple[Diagnostic, ...]:
        """What is to be said of an object (`<namespace>/<name>`, or `<name>`), first of a version that is not valid."""
        self._compile()
        found: list[Diagnostic] = []
        invalid = self._invalid.get(kind, {}).get(key)
        if invalid is not None:
            found.extend((*invalid.diagnostics, *invalid.warnings))
        if kind == POLICY_KIND:
            found.extend(self._policies.diagnostics(key))
        elif kind == POD_KIND:
            if (problem := self.inventory.problems.get(key)) is not None:
                found.extend((*problem.diagnostics, *problem.warnings))
            found.extend(self._pods.diagnostics(key))
        elif kind == _NAMESPACE_KIND:
            found.extend(self.inventory.namespace_qos(key).diagnostics)
        elif kind == _NAD_KIND and (definition := self.inventory.attachment(key)) is not None:
            found.extend(definition.diagnostics)
        return tuple(dict.fromkeys(found))  # an invalid version may have the warnings of the last valid one

    def all_diagnostics(self) -> Iterator[Diagnostic]:
        """What is to be said of all objects, by kind and key."""
        self._compile()
        objects = {(kind, key) for kind, invalid in self._invalid.items() for key in invalid}
        objects.update((one.object.kind, one.object.key) for one in self._desired.objects().values())
        objects.update((POLICY_KIND, key) for key in self.policies)
        objects.update((_NAD_KIND, one.key) for one in self.inventory.attachments())
        objects.update((POD_KIND, key) for key in (*self._pods.failed, *self.inventory.problems))
        objects.update(
            (POD_KIND, one.key) for one in self.inventory.pods_without_interfaces() if one.qos is not NO_POD_QOS
        )
        objects.update((_NAMESPACE_KIND, name) for name in self.inventory.annotated_namespaces())
        for kind, key in sorted(objects):
            yield from self.diagnostics(kind, key)

    # How it compiles

    def _compile(self) -> None:
        self.compile_some(lambda: True)
        self._policies.check_conflicts()

    def _whole(self) -> DesiredState:
        self._compile()
        self._policies.check_members()
        self._compile()
        return self._desired.whole(self._retained())

    def _take_changed(self) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
        """The policies that changed, those with other counts, and the pods that changed since this was asked."""
        policies, self._policies.changed = frozenset(self._policies.changed), set()
        recounted, self._policies.recounted = frozenset(self._policies.recounted), set()
        pods, self._pods.changed = frozenset(self._pods.changed), set()
        return policies, recounted, pods

    def _retained(self) -> frozenset[str]:
        """The objects that have nothing compiled to stand for their rows in the database."""
        of_pods = self._pods.failed or self._pods.unreadable or self._pods.unwired
        if not (any(self._invalid.values()) or self._policies.failed or of_pods):
            return frozenset()
        found = {f"{kind}/{key}" for kind in (POLICY_KIND, POD_KIND) for key in self._invalid.get(kind, ())}
        found.update(f"{POLICY_KIND}/{key}" for key in self._policies.failed)
        found.update(f"{POD_KIND}/{key}" for key in self._pods.failed)
        found = {one for one in found if self._desired.get(one) is None}
        found.update(self._pods.unreadable, map(f"{POD_KIND}/{{}}".format, self._pods.unwired))
        for key in self._invalid.get(_NAD_KIND, ()):
            if self.inventory.attachment(key) is None:  # no valid version: rows on its network cannot be compiled
                selections = self._context.sources.with_attachment(key)
                found.update(f"{POLICY_KIND}/{policy}" for one in selections for policy in one.policies)
        return frozenset(found)

    def _apply_invalid(self, invalid: InvalidObject) -> None:
        kind, key = invalid.object.kind, invalid.object.key
        if invalid.object.name:
            self._invalid.setdefault(kind, {})[key] = invalid
            self._mark_changed(kind, key)
        elif kind not in _HAVE_NO_ROWS:
            raise invalid

    def _replace(self, kind: str, key: str, new: Any) -> None:
        if kind == POD_KIND:
            self._replace_pod(key, new)
        elif kind == POLICY_KIND:
            self._replace_policy(key, new)
        elif kind == _NAMESPACE_KIND:
            self._replace_namespace(key, new)
        elif kind == _NAD_KIND:
            self._replace_attachment(key, new)
        if (invalid := self._invalid.get(kind)) and invalid.pop(key, None) is not None:
            self._mark_changed(kind, key)

    def _mark_changed(self, kind: str, key: str) -> None:
        if kind == POLICY_KIND:
            self._policies.changed.add(key)
        elif kind == POD_KIND:
            self._pods.changed.add(key)

    def _replace_policy(self, key: str, new: NetworkQoS | None) -> None:
        old = self._policies.put(key, new)
        if old == new:
            return
        for policy in (old, new):
            if policy is not None:
                self._pods.mark_selected(policy)

    def _replace_pod(self, key: str, new: Pod | None) -> None:
        inventory = self.inventory
        namespace, _, name = key.partition("/")
        has_sources = bool(self._context.sources)  # none while a cluster is read before its policies
        old = inventory.record(namespace, name)
        before = find_non_source(namespace, name, inventory) if has_sources else None
        was_unreadable = key in inventory.problems
        if new is not None:
            inventory.apply(new)
        else:
            inventory.delete(POD_KIND, key)
        record = inventory.record(namespace, name)
        if has_sources:
            after = find_non_source(namespace, name, inventory)
            if before is None or after is None or before.differs(after):
                for one in filter(None, (before, after)):
                    self._policies.mark_non_source(one.pod)
        self._pods.check_wiring(key)
        if record is not None and was_unreadable != (key in inventory.problems):
            for selection in self._context.sources.selecting(record.pod):
                self._policies.changed |= selection.policies
            self._pods.changed.add(key)
        if old == record:
            return
        self._replace_record(old, record)
        if (record is not None and inventory.is_limited(record)) or (old is not None and inventory.is_limited(old)):
            self._pods.mark_pod(key)
        for other in inventory.pods_with_ports_of(key):
            self._replace_pod(other.key, other)
            if inventory.topology.in_zone(other.node):
                self._mark_changed(POD_KIND, other.key)

    def _replace_record(self, old: PodRecord | None, new: PodRecord | None) -> None:
        for of_sources in self._context.sources.replace_pod(old, new):
            self._policies.replace_sources(of_sources)
            self._desired.replace_members(of_sources)
        for of_peers in self._context.peers.replace_pod(old, new):
            self._desired.replace_members(of_peers)
        for record in (old, new):
            if record is not None:
                self._check_networks(record.interfaces)

    def _check_networks(self, interfaces: Iterable[PodInterface]) -> None:
        """Notice when the first or last address of an IP version comes or goes: it decides which sets rules have."""
        for interface in interfaces:
            attachment = interface.attachment
            network, known = self.inventory.network_of(attachment), self._networks.get(attachment)
            if known is not network and known != network:
                self._networks[attachment] = network
                self._change_network(attachment)

    def _replace_namespace(self, name: str, new: Namespace | None) -> None:
        inventory = self.inventory
        before, qos = dict(inventory.namespace_labels(name)), inventory.namespace_qos(name)
        if new is not None:
            inventory.apply(new)
        else:
            inventory.delete(_NAMESPACE_KIND, name)
        if inventory.namespace_qos(name) != qos:
            self._pods.mark_namespace(name)
        after = inventory.namespace_labels(name)
        if before == after:
            return
        for exchange in self._context.peers.move_namespace(name, before, after):
            self._desired.replace_members(exchange)
        for attachment in inventory.attachments_in(name):
            self._change_attachment(attachment)
        self._policies.mark_without_network()

    def _replace_attachment(self, key: str, new: NetworkAttachmentDefinition | None) -> None:
        inventory = self.inventory
        old = inventory.attachment(key)
        if old == new:
            return
        networks = {one.ovn.network for one in (old, new) if one is not None and one.ovn is not None}
        layouts = {name: inventory.layouts(name) for name in networks}
        if new is not None:
            inventory.apply(new)
        else:
            inventory.delete(_NAD_KIND, key)
        for definition in (old, new):
            if definition is not None and definition.ovn is None:  # its policies have a diagnostic on it
                self._policies.mark_selecting(definition)
        self._change_attachment(key)
        self._policies.mark_without_network()
        for name, before in layouts.items():
            if len(before | inventory.layouts(name)) > 1:  # its NADs begin or cease to disagree
                for sibling in inventory.attachments_of_network(name):
                    self._change_network(sibling)

    def _change_attachment(self, attachment: str) -> None:
        """A NAD was added, changed or removed, or its namespace's labels changed: other networks, other members."""
        self._change_network(attachment)
        for selection in self._context.peers.with_attachment(attachment):
            self._desired.change_members(selection, None)

    def _change_network(self, attachment: str) -> None:
        """The network behind an attachment is another, or carries other IP versions: rows of its policies change."""
        self._pods.mark_attachment(attachment)
        for selection in self._context.sources.with_attachment(attachment):
            self._policies.mark_dirty(selection.policies)
