"""An explanation as text: at 80 columns, and in a pipe."""

from __future__ import annotations

import pytest
from netaddr import IPAddress

from ovnqos import Direction
from ovnqos import match as m
from ovnqos.cli import explanations
from ovnqos.explain import CandidateRow, PodPacket, explain
from ovnqos.match import NamedSets, Packet, PacketProtocol

PACKET = Packet(
    inport="shop_web-7d9f5c6b8d-x2x7k",
    source=IPAddress("10.244.0.5"),
    destination=IPAddress("203.0.113.9"),
    protocol=PacketProtocol.TCP,
    destination_port=443,
)
SENT = PodPacket(
    pod="shop/web-7d9f5c6b8d-x2x7k",
    network="default",
    switch="worker-1.cluster.example",
    packet=PACKET,
    choice="of blue, default: the destination is on none; it is the default",
)
OBJECT = "NetworkQoS/a-namespace-with-a-long-name/gold-policy-of-the-payment-team"


def rows(unmatched: int) -> list[CandidateRow]:
    others = [
        CandidateRow(
            name=f"{OBJECT} rule {rule}",
            object=OBJECT,
            rule=str(rule),
            direction=Direction.TO_LPORT,
            priority=10_000 + rule,
            match=m.parse(f"udp.dst == {rule + 1}"),
            dscp=10,
            identity=str(rule),
        )
        for rule in range(unmatched)
    ]
    wins = CandidateRow(
        name="NetworkQoS/shop/lead rule 3",
        object="NetworkQoS/shop/lead",
        rule="3",
        direction=Direction.TO_LPORT,
        priority=20_000,
        match=m.parse("tcp.dst == 443"),
        dscp=46,
        rate_kbps=20_000,
        identity="wins",
    )
    return [wins, *others]


@pytest.mark.parametrize("width", [80, 100])
def test_each_stage_is_a_list_by_priority_with_its_winner_marked_and_fits(width: int) -> None:
    lines = [*explanations.lines(SENT, explain(PACKET, rows(2), NamedSets()), width=width)]
    assert all(len(line) <= width for line in lines)
    assert lines[0] == "packet     10.244.0.5 to 203.0.113.9, tcp port 443"
    assert (
        "network    default (of blue, default: the destination is on none; it is the default)" in lines or width == 80
    )
    at = lines.index("to-lport (leaves the switch):")
    assert lines[lines.index("from-lport (enters the switch):") + 1] == "  no row applies"
    assert lines[at + 1] == "  dscp 46 and 20000 kbps by NetworkQoS/shop/lead rule 3"
    assert [line.split() for line in lines[at:] if line.startswith("*")] == [
        ["*", "NetworkQoS/shop/lead", "3", "20000", "46", "20000", "-", "wins"]
    ]
    assert [line.strip() for line in lines].count("the packet is tcp, not udp") == 2


def test_rows_without_a_match_are_five_unless_all_are_asked_for() -> None:
    found = explain(PACKET, rows(30), NamedSets())
    short = [*explanations.lines(SENT, found, width=None, every=False)]
    whole = [*explanations.lines(SENT, found, width=None, every=True)]
    assert sum("no match" in line for line in short) == 5
    assert short[-1] == "   and 25 rows more, without a match; -o wide shows them"
    assert sum("no match" in line for line in whole) == 30


def test_in_a_pipe_nothing_is_cut() -> None:
    lines = [*explanations.lines(SENT, explain(PACKET, rows(1), NamedSets()), width=None)]
    (line,) = [line for line in lines if "no match" in line]
    assert line.split()[0] == OBJECT
    assert line.endswith("the packet is tcp, not udp")
