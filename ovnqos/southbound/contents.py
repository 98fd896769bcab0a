"""What a Southbound holds of QoS at one moment, as plain values (ovn-sb(5))."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from netaddr import IPAddress

    from ovnqos.southbound.trace import Meter


def direction_of(stage: str) -> str:
    """In which direction a stage of a logical switch is passed, in the Northbound's words."""
    return "from-lport" if stage.startswith("ls_in_") else "to-lport"


@dataclass(frozen=True, slots=True, kw_only=True)
class QosFlow:
    """A logical flow of a QoS stage.

    Attributes:
        uuid: its own.
        stage: `ls_in_qos_mark` and its like; `ls_in_…` stands for from-lport, `ls_out_…` for to-lport.
        table: the stage's number in its pipeline.
        priority: the row's.
        match: the row's.
        dscp: the mark it sets; None if it leaves the mark alone.
        meter: the limit; None for none.
        datapaths: uuids of the datapaths that it is on.
        row_hint: the first 8 hexadecimal digits of the uuid of one of the QoS rows that it was made for.
    """

    uuid: str
    stage: str
    table: int
    priority: int
    match: str
    dscp: int | None
    meter: Meter | None
    datapaths: frozenset[str]
    row_hint: str

    @property
    def direction(self) -> str:
        """The row's: `from-lport` or `to-lport`."""
        return direction_of(self.stage)


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchPort:
    """A port binding on a logical switch.

    Attributes:
        name: the logical port's.
        kind: its type; empty for that of a VIF.
        mac: its Ethernet address; of a port to a router the router's; empty where OVN does not know it.
        addresses: its IP addresses, as far as OVN knows them.
        chassis: name of the chassis that has it; empty for none.
    """

    name: str
    kind: str = ""
    mac: str = ""
    addresses: tuple[IPAddress, ...] = ()
    chassis: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchDatapath:
    """What northd made of a logical switch: `uuid`, tunnel key, ports by name."""

    uuid: str
    tunnel_key: int
    ports: Mapping[str, SwitchPort] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chassis:
    """A chassis of this Southbound's own zone.

    Attributes:
        name: its system-id.
        hostname: of the machine; empty where it is not known.
        generation: the `nb_cfg` whose flows it has installed last.
    """

    name: str
    hostname: str
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SouthboundContents:
    """A Southbound at one moment.

    Attributes:
        generation: the `nb_cfg` that northd has worked off last.
        stages: names of the QoS stages that have flows at all, which tell OVN's generation.
        flows: the flows of QoS stages, but for those that only pass packets on.
        switches: by the uuid of their row in the Northbound.
        chassis: sorted by name.
        address_sets: members by name, those that northd derives from port groups included.
        port_groups: names of ports by the group's name.
    """

    generation: int
    stages: frozenset[str]
    flows: tuple[QosFlow, ...]
    switches: Mapping[str, SwitchDatapath]
    chassis: tuple[Chassis, ...]
    address_sets: Mapping[str, frozenset[str]]
    port_groups: Mapping[str, frozenset[str]]
