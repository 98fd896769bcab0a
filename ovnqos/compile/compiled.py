"""What an object compiles to and against: rows, the sets that they use, diagnostics; and what the input covers.

A plan from a part of a cluster leaves the rest of the database as it is.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING

from ovnqos.compile.inventory import NAMESPACE_NAME_LABEL
from ovnqos.compile.rows import AddressSet, InputScope, PortGroup
from ovnqos.diagnostics import Diagnostic, Severity
from ovnqos.errors import InvalidObject
from ovnqos.model.labels import LabelSelector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ovnqos.compile.inventory import Inventory
    from ovnqos.compile.precedence import CatchAllRules, LimitedReceivers
    from ovnqos.compile.rows import QosRow
    from ovnqos.compile.selections import PeerMembers, PodSelection, Selections, SourceMembers
    from ovnqos.compile.topology import PodInterface, Topology
    from ovnqos.diagnostics import Code, ObjectRef
    from ovnqos.model.owner import Owner
    from ovnqos.model.policy import NetworkQoS


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyCounts:
    """How far a policy reaches.

    Attributes:
        pods: pods whose traffic it selects.
        rows: its rows of the table QoS.
        switches: logical switches with a source pod of it.
    """

    pods: int = 0
    rows: int = 0
    switches: int = 0

    @classmethod
    def total(cls, counts: Iterable[PolicyCounts]) -> PolicyCounts:
        """The sum of the counts of several zones: each has its own pods and its own Northbound."""
        found = tuple(counts)
        return cls(
            pods=sum(one.pods for one in found),
            rows=sum(one.rows for one in found),
            switches=sum(one.switches for one in found),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileContext:
    """What objects are compiled against.

    Attributes:
        inventory: the cluster.
        owner: who the rows will belong to.
        sources: the selections of source pods.
        peers: the selections of destination pods.
        receivers: the pods with an ingress limit, for whose packets policies have rows of their own.
        catch_all: the rules that a pod's own egress limit has to join.
    """

    inventory: Inventory
    owner: Owner
    sources: Selections[SourceMembers]
    peers: Selections[PeerMembers]
    receivers: LimitedReceivers
    catch_all: CatchAllRules


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedMembers:
    """Members that only the object itself decides: CIDRs."""

    members: frozenset[str]

    def find(self, context: CompileContext, among: frozenset[str] | None = None) -> frozenset[str]:  # noqa: ARG002 - the other kinds of members need it
        """The members: all, or those among these."""
        return self.members if among is None else self.members & among


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePorts:
    """The ports of a selection's source pods that came by these attachments."""

    selection: PodSelection
    attachments: frozenset[str]

    def find(self, context: CompileContext, among: frozenset[str] | None = None) -> frozenset[str]:
        """The members now: all, or those among these, at the cost of these."""
        ports = context.sources.members(self.selection).ports
        known = [ports[attachment] for attachment in self.attachments if attachment in ports]
        return _join(known, among)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerAddresses:
    """The addresses of one IP version that a selection's pods have on a network, named by its key."""

    selection: PodSelection
    network: str
    version: int

    def find(self, context: CompileContext, among: frozenset[str] | None = None) -> frozenset[str]:
        """The members now: all, or those among these, at the cost of these."""
        return _join(self._parts(context), among)

    def count(self, context: CompileContext) -> int:
        """How many members there are now, at most: an address that came by two attachments counts twice."""
        return sum(map(len, self._parts(context)))

    def _parts(self, context: CompileContext) -> list[Mapping[str, int]]:
        return [
            versions[self.version]
            for attachment, versions in context.peers.members(self.selection).addresses.items()
            if (network := context.inventory.network_of(attachment)) is not None and network.key == self.network
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverAddresses:
    """The addresses of one kind that pods with an ingress limit have on a network, named by its key."""

    network: str
    kind: str

    def find(self, context: CompileContext, among: frozenset[str] | None = None) -> frozenset[str]:
        """The members now: all, or those among these, at the cost of these."""
        return _join([context.receivers.addresses(self.network, self.kind)], among)


def _join(parts: Sequence[Mapping[str, object]], among: frozenset[str] | None) -> frozenset[str]:
    """The keys of the parts: all, or those among these, at the cost of these."""
    if among is None:
        return frozenset().union(*parts)
    return frozenset(chain.from_iterable([filter(part.__contains__, among) for part in parts]))


@dataclass(frozen=True, slots=True, kw_only=True)
class SetDescription:
    """A port group or address set without its members spelled out, so that describing it costs no walk over pods.

    Attributes:
        name: its name in the Northbound.
        identity: what it is; equal sets of two objects are one.
        external_ids: further keys to keep with it.
        members: where its members come from; ports make it a port group.
        is_written: False for a group that no row uses, but that tells which rows can overlap.
    """

    name: str
    identity: str
    external_ids: Mapping[str, str]
    members: FixedMembers | SourcePorts | PeerAddresses | ReceiverAddresses
    is_written: bool = True

    @property
    def is_port_group(self) -> bool:
        """Whether it is a port group, not an address set."""
        return isinstance(self.members, SourcePorts)

    def resolve(self, context: CompileContext, among: frozenset[str] | None = None) -> PortGroup | AddressSet:
        """The set with the members it has now: all, or those among these."""
        members, ids = self.members.find(context, among), self.external_ids
        if isinstance(self.members, SourcePorts):
            return PortGroup(name=self.name, ports=members, identity=self.identity, external_ids=ids)
        return AddressSet(name=self.name, addresses=members, identity=self.identity, external_ids=ids)


@dataclass(slots=True, kw_only=True)
class CompiledObject:
    """What an object asks of the database.

    Attributes:
        object: the object.
        rows: by identity.
        sets: by name, the port groups and address sets that rows use.
        diagnostics: what its author should know.
        icmp6: rules, each with the name of a network on which packets of ICMPv6 may match it.
    """

    object: ObjectRef
    rows: dict[str, QosRow] = field(default_factory=dict)
    sets: dict[str, SetDescription] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    icmp6: set[tuple[str, str]] = field(default_factory=set)

    def add_row(self, row: QosRow) -> None:
        """Ask for a row."""
        self.rows[row.identity] = row

    def add_set(self, one: SetDescription) -> None:
        """Ask for a set."""
        self.sets[one.name] = one

    def inform(self, code: Code, text: str, *, path: str = "", hint: str = "") -> None:
        """Add what needs no action."""
        self.diagnostics.append(
            Diagnostic(severity=Severity.INFO, code=code, object=self.object, text=text, path=path, hint=hint)
        )

    def warn(self, code: Code, text: str, *, path: str = "", hint: str = "") -> None:
        """Add a warning."""
        self.diagnostics.append(Diagnostic.warning(self.object, code, text, path=path, hint=hint))


def scope_of(
    inventory: Inventory,
    policies: Mapping[str, NetworkQoS],
    objects: Iterable[str],
    sets: Iterable[SetDescription],
) -> InputScope:
    """Find what the input covers, at the cost of a walk over the pods.

    Args:
        inventory: pods, namespaces and networks.
        policies: the valid policies, by key.
        objects: policies and pods beside those, whose present version is not valid.
        sets: the sets that are desired.
    """
    topology = inventory.topology
    known = {*objects, *(f"NetworkQoS/{key}" for key in policies), *(f"Pod/{key}" for key in inventory.problems)}
    ports: set[str] = set()
    interfaces: dict[str, list[PodInterface]] = defaultdict(list)  # by the name of their network
    unlabelled: dict[str, list[PodInterface]] = defaultdict(list)
    missing: set[str] = set()
    undeclared: dict[str, str] = {}
    elsewhere: dict[str, str] = {}
    unlabelled_ports: set[str] = set()
    by_labels = any(
        one.namespace_selector is not None and _needs_labels(one.namespace_selector)
        for policy in policies.values()
        for one in policy.network_selectors or ()
    )
    for record in inventory.all_pods():
        pod = record.pod
        known.add(f"Pod/{pod.key}")
        has_namespace = inventory.has_namespace(pod.namespace)
        if not has_namespace:
            missing.add(pod.namespace)
        for interface in record.interfaces:
            attachment, port = interface.attachment, interface.port
            network = inventory.network_of(attachment)
            if network is None and inventory.attachment(declared_by := topology.definition_key(attachment)) is None:
                undeclared[port] = declared_by
                continue
            if by_labels and not _is_labelled(attachment, inventory):
                unlabelled_ports.add(port)
                missing.add(topology.definition_key(attachment).partition("/")[0])
            elif network is not None and topology.is_of_other_zone(network, pod.node):
                elsewhere[port] = pod.node
            else:
                ports.add(port)
            if network is not None:
                interfaces[network.name].append(interface)
                if not has_namespace:
                    unlabelled[network.name].append(interface)
    finished: set[str] = set()
    for pod in inventory.pods_without_interfaces():
        known.add(f"Pod/{pod.key}")
        try:
            finished.update(interface.port for interface in topology.interfaces(pod))
        except InvalidObject:
            continue
    selections = [one.members.selection for one in sets if isinstance(one.members, PeerAddresses)]
    return InputScope(
        objects=frozenset(known),
        policies=bool(policies),
        pods=any(one.startswith("Pod/") for one in known),
        ports=frozenset(ports),
        ports_elsewhere=elsewhere,
        finished_ports=frozenset(finished),
        addresses=_addresses_of(interfaces, topology),
        unlabelled_addresses=_addresses_of(unlabelled, topology),
        missing_namespaces=tuple(sorted(missing)),
        unlabelled_sets=frozenset(
            one.name
            for one in sets
            if isinstance(one.members, PeerAddresses) and not _needs_labels(one.members.selection.namespaces)
        ),
        selects_namespaces=any(_needs_labels(one.namespaces) for one in selections),
        undeclared_ports=undeclared,
        unlabelled_ports=frozenset(unlabelled_ports),
        cluster_cidrs=bool(inventory.cluster_cidrs),
        all_nodes=topology.zone_nodes is None,
        topology=topology.name,
    )


def _addresses_of(interfaces: Mapping[str, list[PodInterface]], topology: Topology) -> Callable[[str], frozenset[str]]:
    """Gives the addresses of interfaces, by the name of their network. Most plans look at none."""

    @cache
    def find(network: str) -> frozenset[str]:
        found = interfaces.get(network, ())
        return frozenset(address for one in found for address in (*one.addresses, *topology.mac_addresses(one)))

    return find


def _is_labelled(attachment: str, inventory: Inventory) -> bool:
    """Whether the labels are known by which a policy may select the network behind an attachment."""
    if inventory.topology.is_default(attachment):
        return True
    return inventory.has_namespace(inventory.topology.definition_key(attachment).partition("/")[0])


def _needs_labels(namespaces: str | LabelSelector) -> bool:
    """Whether a selection depends on labels that only Namespace objects tell: not on their names alone."""
    return isinstance(namespaces, LabelSelector) and any(
        requirement.key != NAMESPACE_NAME_LABEL for requirement in namespaces.requirements
    )
