"""A trace is held against an explanation, and a packet is told to ovn-trace as it was explained."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from netaddr import IPAddress

from ovnqos import Direction
from ovnqos import match as m
from ovnqos.explain.explanation import CandidateRow
from ovnqos.explain.lookup import explain
from ovnqos.explain.pipeline import PipelineVersion
from ovnqos.match.named_sets import NamedSets
from ovnqos.match.packet import Packet, PacketProtocol
from ovnqos.southbound.contents import SouthboundContents, SwitchDatapath, SwitchPort
from ovnqos.southbound.packet_path import find_path, microflow
from ovnqos.southbound.trace import FlowEffect, Meter, Trace, find_disagreements

if TYPE_CHECKING:
    from ovnqos.explain.explanation import Explanation

PACKET = Packet(
    inport="p",
    source=IPAddress("10.0.0.1"),
    destination=IPAddress("10.0.0.2"),
    protocol=PacketProtocol.TCP,
    destination_port=80,
)
MAC = "0a:58:00:00:00:{:02x}"


def explained(*priorities: int) -> Explanation:
    rows = [
        CandidateRow(
            name=f"row {number}",
            identity=str(number),
            direction=Direction.TO_LPORT,
            priority=priority,
            match=m.ip4,
            dscp=number,
            rate_kbps=100,
        )
        for number, priority in enumerate(priorities)
    ]
    return explain(PACKET, rows, NamedSets(), versions=[PipelineVersion.SPLIT])


def trace(*hits: FlowEffect, leaves: bool = True) -> Trace:
    return Trace(text="", hits=hits, leaves=leaves)


def marked(dscp: int, stage: str = "ls_out_qos_mark") -> FlowEffect:
    return FlowEffect(stage=stage, match="ip4", priority=20, dscp=dscp, meter=None)


METERED = FlowEffect(stage="ls_out_qos_meter", match="ip4", priority=20, dscp=None, meter=Meter(rate_kbps=100))


def test_the_same_mark_and_limit_agree() -> None:
    assert find_disagreements(explained(20, 10), trace(marked(0), METERED)) == ()


@pytest.mark.parametrize(
    "hits", [(), (marked(1), METERED), (marked(0),), (METERED,)], ids=["nothing", "mark", "no limit", "no mark"]
)
def test_anything_else_differs(hits: tuple[FlowEffect, ...]) -> None:
    (line,) = find_disagreements(explained(20, 10), trace(*hits))
    assert line.startswith("to-lport: OVN applies ")
    assert line.endswith("explained: dscp 0 and 100 kbps")


def test_a_mark_in_the_other_direction_differs() -> None:
    (line,) = find_disagreements(explained(20), trace(marked(0, "ls_in_qos_mark"), marked(0), METERED))
    assert line == "from-lport: OVN applies dscp 0 by the row of priority 20 with match ip4; explained: nothing"


@pytest.mark.parametrize("dscp", [0, 1])
def test_of_what_is_undefined_ovn_may_do_either(dscp: int) -> None:
    assert find_disagreements(explained(20, 20), trace(marked(dscp), METERED)) == ()


def test_a_packet_that_does_not_leave_is_not_compared_where_it_would_leave() -> None:
    assert find_disagreements(explained(20), trace(leaves=False)) == ()


def test_a_packet_is_told_with_all_that_is_known() -> None:
    told = microflow(replace(PACKET, source_port=7), eth_src=MAC.format(1), eth_dst=MAC.format(2))
    assert told == (
        'inport == "p" && eth.src == 0a:58:00:00:00:01 && eth.dst == 0a:58:00:00:00:02 && '
        "ip4.src == 10.0.0.1 && ip4.dst == 10.0.0.2 && ip.ttl == 64 && tcp.src == 7 && tcp.dst == 80"
    )


def test_a_ping_is_an_echo_request() -> None:
    six = replace(PACKET, source=IPAddress("fd00::1"), destination=IPAddress("fd00::2"), destination_port=None)
    told = microflow(replace(six, protocol=PacketProtocol.ICMP), eth_src=MAC, eth_dst=MAC)
    assert told.endswith("ip6.src == fd00::1 && ip6.dst == fd00::2 && ip.ttl == 64 && icmp6.type == 128")


def test_a_packet_without_a_protocol_has_none() -> None:
    told = microflow(replace(PACKET, protocol=None, destination_port=None), eth_src=MAC, eth_dst=MAC)
    assert told.endswith("ip.ttl == 64")


def southbound(*ports: SwitchPort) -> SouthboundContents:
    away = SwitchDatapath(uuid="0", ports={"z": SwitchPort(name="z")})
    here = SwitchDatapath(uuid="1", ports={port.name: port for port in ports})
    return SouthboundContents(
        nb_cfg=0,
        stages=frozenset(),
        flows=(),
        switches={"away": away, "here": here},
        chassis=(),
        address_sets={},
        port_groups={},
    )


SENDER = SwitchPort(name="p", mac=MAC.format(1), addresses=(IPAddress("10.0.0.1"),))
RECEIVER = SwitchPort(name="q", mac=MAC.format(2), addresses=(IPAddress("10.0.0.2"),))
ROUTER = SwitchPort(name="r", kind="patch", mac=MAC.format(3), addresses=(IPAddress("10.0.0.254"),))
WIRE = SwitchPort(name="w", kind="localnet")


@pytest.mark.parametrize(
    ("ports", "outport", "eth_dst"),
    [
        ((SENDER, RECEIVER, ROUTER), "q", MAC.format(2)),
        ((SENDER, ROUTER, WIRE), "r", MAC.format(3)),
        ((SENDER, WIRE), "w", "02:00:00:00:00:02"),
        ((SENDER,), None, "02:00:00:00:00:02"),
        ((SENDER, ROUTER, replace(ROUTER, name="s")), None, "02:00:00:00:00:02"),
    ],
    ids=["receiver", "router", "localnet", "nobody", "two routers"],
)
def test_the_way_out_is_found_in_the_southbound(
    ports: tuple[SwitchPort, ...], outport: str | None, eth_dst: str
) -> None:
    way = find_path(southbound(*ports), PACKET)
    assert way is not None
    assert way.packet.outport == outport
    assert f"eth.src == {MAC.format(1)} && eth.dst == {eth_dst}" in way.microflow
    assert way.packet.switch_ports == {port.name for port in ports}


def test_the_receiver_known_before_is_kept() -> None:
    way = find_path(southbound(SENDER, ROUTER, replace(RECEIVER, addresses=())), replace(PACKET, outport="q"))
    assert way is not None
    assert way.packet.outport == "q"
    assert f"eth.dst == {MAC.format(2)}" in way.microflow


def test_a_port_that_no_switch_has_has_no_way() -> None:
    assert find_path(southbound(RECEIVER), PACKET) is None
