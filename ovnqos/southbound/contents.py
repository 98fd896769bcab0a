"""What a Southbound holds of QoS at one moment, as plain values, and how it is read (ovn-sb(5))."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from netaddr import AddrFormatError, IPNetwork

from ovnqos.explain.pipeline import QOS_STAGES
from ovnqos.southbound.trace import FlowEffect, Meter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from netaddr import IPAddress

    from ovnqos.explain.pipeline import PipelineVersion
    from ovnqos.ovsdb.protocol import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class QosFlow:
    """A logical flow of a QoS stage.

    Attributes:
        uuid: in the Southbound.
        effect: its stage, match and priority, and what it does.
        table: the stage's number in its pipeline.
        datapaths: uuids of the datapaths that it is on.
        row_hint: the first 8 hexadecimal digits of the uuid of one of the QoS rows that it was made for.
    """

    uuid: str
    effect: FlowEffect
    table: int
    datapaths: frozenset[str]
    row_hint: str


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

    @property
    def is_router(self) -> bool:
        """Whether it leads to a logical router."""
        return self.kind in {"patch", "l3gateway", "router"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchDatapath:
    """What northd made of a logical switch: `uuid` and ports by name."""

    uuid: str
    ports: Mapping[str, SwitchPort] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chassis:
    """A chassis of this Southbound's own zone.

    Attributes:
        name: its system-id.
        hostname: of the machine; empty where it is not known.
        nb_cfg: the Northbound's sequence number whose flows it has installed last.
    """

    name: str
    hostname: str
    nb_cfg: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SouthboundContents:
    """A Southbound at one moment.

    Attributes:
        nb_cfg: the Northbound's sequence number that northd has processed last.
        stages: names of the QoS stages that have any flows.
        flows: the flows of QoS stages, but for those that only pass packets on.
        switches: by the uuid of their row in the Northbound.
        chassis: sorted by name.
        address_sets: members by name, those that northd derives from port groups included.
        port_groups: names of ports by the group's name.
        default_flows: uuids of the flows that only pass packets on, by stage.
    """

    nb_cfg: int
    stages: frozenset[str]
    flows: tuple[QosFlow, ...]
    switches: Mapping[str, SwitchDatapath]
    chassis: tuple[Chassis, ...]
    address_sets: Mapping[str, frozenset[str]]
    port_groups: Mapping[str, frozenset[str]]
    default_flows: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def pipeline_versions(self) -> frozenset[PipelineVersion]:
        """The versions that its QoS stages are of; none where it has no such stage."""
        return frozenset(QOS_STAGES[stage] for stage in self.stages if stage in QOS_STAGES)


_TABLES: Final[Mapping[str, Sequence[str] | None]] = {
    "SB_Global": ("nb_cfg",),
    "Datapath_Binding": None,  # all columns: the one that names the switch differs by version
    "Logical_DP_Group": ("_uuid", "datapaths"),
    "Port_Binding": ("logical_port", "type", "mac", "datapath", "chassis", "options"),
    "Chassis": ("_uuid", "name", "hostname", "other_config"),
    "Chassis_Private": ("name", "nb_cfg"),
    "Address_Set": ("name", "addresses"),
    "Port_Group": ("name", "ports"),
}
_FLOW_COLUMNS: Final = (
    *("_uuid", "logical_datapath", "logical_dp_group", "table_id", "priority"),
    *("match", "actions", "external_ids"),
)
QUERIES: Final[Sequence[Mapping[str, Any]]] = (
    *(
        {"op": "select", "table": table, "where": [], **({"columns": list(columns)} if columns else {})}
        for table, columns in _TABLES.items()
    ),
    # asked by stage: asked by row, the server would search all flows once for each
    *(
        {
            "op": "select",
            "table": "Logical_Flow",
            "where": [["external_ids", "includes", ["map", [["stage-name", stage]]]]],
            "columns": list(_FLOW_COLUMNS),
        }
        for stage in QOS_STAGES
    ),
)
"""Operations of one transaction, whose results `read_contents` takes."""

_DSCP: Final = re.compile(r"\bip\.dscp = ([0-9]+);")
_METER: Final = re.compile(r"\bset_meter\(([0-9]+)(?:, ([0-9]+))?\);")
_MAC: Final = re.compile(r"[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){5}")
_GROUP: Final = re.compile(r"[0-9]+_(.+)", re.DOTALL)


def read_contents(results: Sequence[Row]) -> SouthboundContents:
    """Read the answers to `QUERIES`."""
    tables = {table: result.get("rows", []) for table, result in zip(_TABLES, results[: len(_TABLES)], strict=True)}
    flows = [row for result in results[len(_TABLES) :] for row in result.get("rows", [])]
    chassis_names = {_uuid(row["_uuid"]): str(row["name"]) for row in tables["Chassis"]}
    globals_ = tables["SB_Global"]
    return SouthboundContents(
        nb_cfg=int(globals_[0]["nb_cfg"]) if globals_ else 0,
        stages=frozenset(_map(row["external_ids"])["stage-name"] for row in flows),
        default_flows=_default_flows(flows),
        flows=tuple(_flows(sorted(flows, key=lambda row: _uuid(row["_uuid"])), tables["Logical_DP_Group"])),
        switches=_switches(tables["Datapath_Binding"], tables["Port_Binding"], chassis_names),
        chassis=tuple(sorted(_chassis(tables["Chassis"], tables["Chassis_Private"]), key=lambda one: one.name)),
        address_sets={row["name"]: frozenset(_set(row["addresses"])) for row in tables["Address_Set"]},
        port_groups=_port_groups(tables["Port_Group"]),
    )


def _flows(rows: Iterable[Row], groups: Iterable[Row]) -> Iterator[QosFlow]:
    members = {_uuid(row["_uuid"]): frozenset(map(_uuid, _set(row["datapaths"]))) for row in groups}
    for row in rows:
        known = _map(row["external_ids"])
        actions = row["actions"]
        dscp, meter = _DSCP.search(actions), _METER.search(actions)
        if _is_default(row):
            continue
        datapaths = frozenset(map(_uuid, _set(row["logical_datapath"])))
        for group in _set(row["logical_dp_group"]):
            datapaths |= members.get(_uuid(group), frozenset())
        meters = Meter(rate_kbps=int(meter[1]), burst_kbit=int(meter[2]) if meter[2] else None) if meter else None
        yield QosFlow(
            uuid=_uuid(row["_uuid"]),
            effect=FlowEffect(
                stage=known["stage-name"],
                match=row["match"],
                priority=int(row["priority"]),
                dscp=int(dscp[1]) if dscp else None,
                meter=meters,
            ),
            table=int(row["table_id"]),
            datapaths=datapaths,
            row_hint=known.get("stage-hint", ""),
        )


def _is_default(row: Row) -> bool:
    return bool(row["match"] == "1" and row["priority"] == 0)


def _default_flows(rows: Iterable[Row]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for row in filter(_is_default, rows):
        stage = _map(row["external_ids"])["stage-name"]
        found[stage] = (*found.get(stage, ()), _uuid(row["_uuid"]))
    return found


def _switches(
    datapaths: Iterable[Row], ports: Sequence[Row], chassis_names: Mapping[str, str]
) -> dict[str, SwitchDatapath]:
    macs = {row["logical_port"]: _mac(_set(row["mac"])) for row in ports}
    on: dict[str, dict[str, SwitchPort]] = defaultdict(dict)
    for row in ports:
        name, options = row["logical_port"], _map(row["options"])
        # a switch's port to a router has the word `router` for an address: the peer has the router's
        on[_uuid(row["datapath"])][name] = SwitchPort(
            name=name,
            kind=row["type"],
            mac=macs[name] or macs.get(options.get("peer", ""), ""),
            addresses=tuple(_addresses(_set(row["mac"]))),
            chassis=next((chassis_names.get(_uuid(one), "") for one in _set(row["chassis"])), ""),
        )
    found = {}
    for row in datapaths:
        identity = _map(row["external_ids"]).get("logical-switch") or _named_switch(row)
        uuid = _uuid(row["_uuid"])
        if identity:
            found[identity] = SwitchDatapath(uuid=uuid, ports=on[uuid])
    return found


def _named_switch(row: Row) -> str:
    """The switch's uuid where the Southbound has columns of its own for it, as from OVN 25.09."""
    if row.get("type") != "logical-switch":
        return ""
    return next(map(_uuid, _set(row.get("nb_uuid", ["set", []]))), "")


def _chassis(rows: Iterable[Row], private: Iterable[Row]) -> Iterator[Chassis]:
    known = {row["name"]: row for row in rows}
    for row in private:
        chassis = known.get(row["name"])
        # without one it is the trace of a chassis that is gone; a remote one answers to another zone's northd
        if chassis is not None and _map(chassis["other_config"]).get("is-remote") != "true":
            yield Chassis(name=row["name"], hostname=chassis["hostname"], nb_cfg=int(row["nb_cfg"]))


def _port_groups(rows: Iterable[Row]) -> dict[str, frozenset[str]]:
    """Groups by their name in the Northbound; the Southbound has a part for each datapath, with its key in front."""
    found: dict[str, frozenset[str]] = defaultdict(frozenset)
    for row in rows:
        part = _GROUP.fullmatch(row["name"])
        found[part[1] if part else row["name"]] |= frozenset(_set(row["ports"]))
    return dict(found)


def _mac(words: Iterable[str]) -> str:
    return next((found[0] for text in words if (found := _MAC.match(text))), "")


def _addresses(words: Iterable[str]) -> Iterator[IPAddress]:
    for text in words:
        for word in text.split()[1:] if _MAC.match(text) else ():
            try:
                yield IPNetwork(word).ip
            except (AddrFormatError, ValueError):
                continue


def _uuid(value: Sequence[Any]) -> str:
    return str(value[1])


def _set(value: Any) -> list[Any]:
    """Members of a set column: RFC 7047, section 5.1, writes a set of one as the member itself."""
    if isinstance(value, list) and value[0] == "set":
        return list(value[1])
    return [value]


def _map(value: Sequence[Any]) -> dict[str, str]:
    return dict(value[1])
