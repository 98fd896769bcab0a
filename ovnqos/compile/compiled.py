"""What an object compiles to: rows, the sets that they use, and diagnostics; and what it is compiled against."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ovnqos.compile.rows import AddressSet, PortGroup
from ovnqos.diagnostics import Diagnostic

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ovnqos.compile.inventory import Inventory
    from ovnqos.compile.members import PeerMembers, PodSelection, SourceMembers
    from ovnqos.compile.precedence import CatchAllRules, RowDirections
    from ovnqos.compile.rows import QosRow
    from ovnqos.compile.selections import Selections
    from ovnqos.diagnostics import Code, ObjectRef
    from ovnqos.model.owner import Owner


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileContext:
    """What objects are compiled against.

    Attributes:
        inventory: the cluster.
        owner: who the rows will belong to.
        sources: the selections of source pods.
        peers: the selections of destination pods.
        directions: in which direction rows of policies are, by the pods' own limits.
        catch_all: the rules that a pod's own egress limit has to join.
    """

    inventory: Inventory
    owner: Owner
    sources: Selections[SourceMembers]
    peers: Selections[PeerMembers]
    directions: RowDirections
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
        known = [
            versions[self.version]
            for attachment, versions in context.peers.members(self.selection).addresses.items()
            if (network := context.inventory.network_of(attachment)) is not None and network.key == self.network
        ]
        return _join(known, among)


def _join(parts: Sequence[Mapping[str, object]], among: frozenset[str] | None) -> frozenset[str]:
    """The keys of the parts: all, or those among these, at the cost of these."""
    if among is None:
        return frozenset().union(*parts)
    return frozenset().union(*(filter(part.__contains__, among) for part in parts))


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
    members: FixedMembers | SourcePorts | PeerAddresses
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
    """

    object: ObjectRef
    rows: dict[str, QosRow] = field(default_factory=dict)
    sets: dict[str, SetDescription] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)

    def add_row(self, row: QosRow) -> None:
        """Ask for a row."""
        self.rows[row.identity] = row

    def add_set(self, one: SetDescription) -> None:
        """Ask for a set."""
        self.sets[one.name] = one

    def warn(self, code: Code, text: str, *, path: str = "", hint: str = "") -> None:
        """Add a warning."""
        self.diagnostics.append(Diagnostic.warning(self.object, code, text, path=path, hint=hint))
