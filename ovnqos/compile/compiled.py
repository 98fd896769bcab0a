"""What one policy compiles to, and what the compiler needs for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ovnqos.compile.inventory import Inventory
    from ovnqos.compile.rows import QosRow
    from ovnqos.compile.selections import Selections
    from ovnqos.compile.sets import SetDescription
    from ovnqos.model.owner import Owner
    from ovnqos.model.policy import NetworkQoS


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileContext:
    """What all policies of one run share."""

    inventory: Inventory
    selections: Selections
    owner: Owner


@dataclass(slots=True, kw_only=True)
class CompiledPolicy:
    """The rows of one policy by identity, the groups and sets they use by name, and notes for its author."""

    policy: NetworkQoS
    rows: dict[str, QosRow] = field(default_factory=dict)
    port_groups: dict[str, SetDescription] = field(default_factory=dict)
    address_sets: dict[str, SetDescription] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
