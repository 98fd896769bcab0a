"""What one policy compiles to, and what the compiler needs for it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ovnqos.compile.port_limits import PortLimits
from ovnqos.compile.rows import Direction
from ovnqos.compile.whole_traffic import WholeTraffic
from ovnqos.match import And, inport
from ovnqos.model.owner import OBJECT_KEY, PORT_KEY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovnqos.compile.inventory import Inventory
    from ovnqos.compile.rows import QosRow
    from ovnqos.compile.selections import Selections
    from ovnqos.compile.sets import SetDescription
    from ovnqos.compile.topology import Network
    from ovnqos.match import Match
    from ovnqos.model.owner import Owner
    from ovnqos.model.policy import NetworkQoS


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileContext:
    """What all policies of one run share."""

    inventory: Inventory
    selections: Selections
    owner: Owner
    port_limits: PortLimits = field(default_factory=PortLimits)
    whole_traffic: WholeTraffic = field(default_factory=WholeTraffic)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """In which direction a policy's shared rows are on the switches of one network.

    Attributes:
        direction: that of the network.
        straight: names of the switches on which they are in it.
        turned: names of those on which they are in from-lport instead, so that limits of receivers there hold as well.
        is_free: whether it depends on the pods' limits which switches are turned.
    """

    direction: Direction
    straight: frozenset[str]
    turned: frozenset[str]
    is_free: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PortRows:
    """Rows of which each source port has its own, so that each has its own meter.

    Attributes:
        row: the one row that would hold for all of the ports together; never written, but compared with others' rows.
        classifier: its match without the source.
        network: the ports' network.
        attachments: by which they came.
        stages: in which direction a row is on which switch.
    """

    row: QosRow
    classifier: Match
    network: Network
    attachments: frozenset[str]
    stages: Stages

    def identity(self, port: str) -> str:
        """The identity of a port's row."""
        return f"{self.row.identity}/{port}"

    def for_port(self, port: str, location: str, context: CompileContext) -> QosRow:
        """A port's row, bound to the switch that the port is on."""
        switch = context.inventory.topology.switch(self.network, location)
        namespace = self.row.external_ids[OBJECT_KEY].split("/")[1]
        is_turned = self.stages.is_free and context.port_limits.turns(switch, namespace)
        return replace(
            self.row,
            switches=frozenset([switch]),
            direction=Direction.FROM_LPORT if is_turned else self.row.direction,
            match=And.of(inport(port), self.classifier),
            identity=self.identity(port),
            external_ids={**self.row.external_ids, PORT_KEY: port},
        )


@dataclass(slots=True, kw_only=True)
class CompiledObject:
    """What an object wants of the database.

    Attributes:
        rows: by identity.
        port_groups: those that rows use, by name.
        address_sets: likewise.
        notes: remarks for its author.
        unwritten_groups: by name, groups that no row uses, but that tell which rows overlap.
    """

    rows: dict[str, QosRow] = field(default_factory=dict)
    port_groups: dict[str, SetDescription] = field(default_factory=dict)
    address_sets: dict[str, SetDescription] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    unwritten_groups: dict[str, SetDescription] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class CompiledPolicy(CompiledObject):
    """What a policy wants of the database.

    Attributes:
        policy: the policy.
        port_rows: how rows are made where each source port has its own; they are among `rows`.
        claims: the rows as far as it matters whether others overlap them: one for all ports, however many there are.
        stages: by network, in which direction the rows are on which switches.
    """

    policy: NetworkQoS
    port_rows: list[PortRows] = field(default_factory=list)
    claims: list[QosRow] = field(default_factory=list)
    stages: list[Stages] = field(default_factory=list)

    def add_port(self, port: str, attachment: str, location: str, context: CompileContext) -> Iterable[str]:
        """A source port came, or changed: make its rows. Returns their identities."""
        identities = []
        for one in self.port_rows:
            if attachment in one.attachments:
                row = one.for_port(port, location, context)
                self.rows[row.identity] = row
                identities.append(row.identity)
        return identities

    def remove_port(self, port: str) -> Iterable[str]:
        """A source port went: drop its rows. Returns their identities."""
        identities = [one.identity(port) for one in self.port_rows]
        return [identity for identity in identities if self.rows.pop(identity, None) is not None]
