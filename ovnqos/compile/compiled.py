"""What one policy compiles to, and what the compiler needs for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ovnqos.compile.inventory import Inventory
    from ovnqos.compile.peers import PeerAddresses
    from ovnqos.compile.rows import AddressSet, PortGroup, QosRow
    from ovnqos.model.owner import Owner
    from ovnqos.model.policy import NetworkQoS


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileContext:
    """What all policies of one run share."""

    inventory: Inventory
    addresses: PeerAddresses
    owner: Owner


@dataclass(slots=True, kw_only=True)
class CompiledPolicy:
    """The rows of one policy by identity, with the groups and sets they use by name, and notes for its author."""

    policy: NetworkQoS
    rows: dict[str, QosRow] = field(default_factory=dict)
    port_groups: dict[str, PortGroup] = field(default_factory=dict)
    address_sets: dict[str, AddressSet] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
