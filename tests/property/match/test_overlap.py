"""Rows that one packet matches are found to overlap; plain opposites are not."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings

from ovnqos import match
from ovnqos.match.terms import can_overlap
from tests.support import random_clusters as make
from tests.support.cluster import compiled, names_of
from tests.support.packets import matches
from tests.support.random_matches import ADDRESS_SETS, expression, random_packet, respell

if TYPE_CHECKING:
    from random import Random

RANDOM_NAMES = match.NamedSets(
    address_sets=ADDRESS_SETS, port_groups={"here": ["p"], "beside": ["q"], "elsewhere": ["far"], "empty": []}
)
NAMES = match.NamedSets(
    address_sets={
        "shop": ["10.0.0.1", "10.0.0.2"],
        "bank": ["10.0.1.0/24"],
        "six": ["fd00::1"],
        "odd": ["10.0.0.1", "nonsense"],
        "masked": ["10.0.0.1/255.0.255.255"],
        "empty": [],
    },
    port_groups={"left": ["a", "b"], "right": ["c"], "bank": ["d"], "nothing": []},
    unknown_sets={"derived"},
)


@settings(max_examples=300, deadline=None)
@given(make.RANDOMS)
def test_a_packet_that_two_rows_match_makes_them_overlap(random: Random) -> None:
    cluster, policies = make.cluster(random), make.policies(random)
    compiler = compiled(policies, *cluster.objects, nodes=cluster.zone_nodes)
    names = names_of(compiler)
    sets = match.NamedSets(address_sets=names.address_sets, port_groups=names.port_groups)
    entering = [row for row in compiler.desired().rows.values() if "outport" not in str(row.match)]
    for _ in range(20):
        packet = make.packet(random, cluster)
        taken = [row for row in entering if matches(row.match, packet, names)]
        for one, other in combinations(taken, 2):
            assert can_overlap(one.match, other.match, sets)


@settings(max_examples=1_500)
@given(make.RANDOMS)
def test_a_packet_that_two_random_expressions_take_makes_them_overlap(random: Random) -> None:
    one = expression(random, "p")
    other = expression(random, "p") if random.random() < 0.5 else respell(random, one)
    if can_overlap(one, other, RANDOM_NAMES):
        return
    for _ in range(30):
        packet = random_packet(random)
        taken = [match.evaluate(each, packet, RANDOM_NAMES).truth is match.Truth.YES for each in (one, other)]
        assert not all(taken), f"{packet}: {one}, {other}"


@settings(max_examples=1_500)
@given(make.RANDOMS)
def test_two_spellings_of_one_expression_overlap_with_the_same(random: Random) -> None:
    one, other = expression(random, "p"), expression(random, "p")
    respelt = respell(random, one)
    assert can_overlap(one, other, RANDOM_NAMES) == can_overlap(respelt, other, RANDOM_NAMES), str(respelt)
    packet = random_packet(random)
    verdicts = [match.evaluate(each, packet, RANDOM_NAMES).truth for each in (one, respelt)]
    assert verdicts[0] is verdicts[1], f"{packet}: {one}: {respelt}"


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("inport == @left", "inport == @right", False),
        ("inport == @left", 'inport == {"b", "x"}', True),
        ("ip4", "ip6", False),
        ("ip4.dst == $shop", "ip6", False),
        ("ip4.dst == $shop", "ip4.dst == $bank", False),
        ("ip4.dst == $shop", "ip4.dst == 10.0.0.0/30", True),
        ("ip4.dst == $shop", "ip4.src == $bank", True),
        ("tcp.dst == 80", "tcp.dst == {443, 8080}", False),
        ("tcp.dst == 80", "udp.dst == 80", False),
        ("tcp", "tcp.dst == {80, 443}", True),
        ("(tcp.dst == 80 || udp) && ip4", "udp.dst == 53 && ip", True),
        ("(tcp.dst == 80 || udp) && ip4", "udp.dst == 53 && ip6", False),
        ("ip4.dst == $nobody", "ip4", False),
        ("ip4.dst == 0xa000101", "ip4.dst == $bank", True),
        ("ip4.dst == 0xa000001", "ip4.dst == $bank", False),
        # one number in two spellings
        ("tcp.dst == 80", "tcp.dst == 0x50", True),
        ("tcp.dst == 80", "tcp.dst == 0x50/0xfff0", True),
        ("tcp.dst == 0x60", "tcp.dst == 0x50/0xfff0", False),
        ("tcp.dst == 0x10/0x10", "tcp.dst == 0x1/0x1", True),
        ("tcp.flags == 0x2/0x2", "tcp.flags == 0x10/0x10", True),
        ("tcp.flags == 2", "tcp.flags == 0x2", True),
        ("icmp4.type == 8", "icmp4.type == 0x8", True),
        ("icmp4.type == 8", "icmp4.type == 0", False),
        ("icmp6.type == {133, 134}", "icmp6.type == 0x86", True),
        ("tcp == 1", "tcp == 0x1", True),
        ("tcp == 1", "tcp", True),
        ("tcp != 0", "udp", False),
        ("tcp.dst[0..15] == 80", "tcp.dst == 443", False),
        ("tcp.dst[0..3] == 0", "tcp.dst == 80", True),
        ("tcp.dst[0..3] == 0", "udp.dst == 80", False),
        ("eth.src == 00:00:00:00:00:0a", "eth.src == 0xa", True),
        ("eth.type[0..15] == 0x800", "ip4", True),
        ("ip4.dst == 10.1.0.1/255.0.255.255", "ip4.dst == 10.2.0.1", True),
        ("ip4.dst == $masked", "ip4.dst == 10.2.0.1", True),
        ('outport == "none"', 'outport == ""', True),
        # no constant is left to compare with: every packet, of the other IP version too
        ("ip4.dst != $empty", "ip6", True),
        ("tcp.dst != $empty", "udp", True),
        ("udp != $empty", "tcp", True),
        ("udp == $empty", "udp", False),
        ("ip4.dst != $shop", "ip6", False),
        ("ip4.dst != {$empty, 10.0.0.1}", "ip6", False),
        # not known, or not of the field's width
        ("ip4.dst == $derived", "ip4.dst == 10.0.0.1", True),
        ("ip4.dst == $derived", "ip6", False),
        ("ip4.dst == $odd", "ip4.dst == 10.0.0.1", True),
        ("ip4.dst == $odd", "ip4.dst == 10.0.0.2", False),
        ("ip4.dst == $six", "ip4", False),
        ("tcp.dst == 70000", "tcp.dst == 70000", False),
        # a group and a set of one name
        ("inport == @bank", 'inport == "d"', True),
        # orders
        ("800 <= udp.dst <= 850", "udp.dst == 851", False),
        ("800 <= udp.dst <= 850", "udp.dst == 850", True),
        ("800 < udp.dst < 850", "udp.dst == {800, 850}", False),
        ("udp.dst < 10", "udp.dst > 8 && udp.dst < 11", True),
        ("udp.dst < 0", "udp", False),
        ("udp.dst > 65535", "udp", False),
        ("ip4.dst < $shop", "ip4.dst == 192.0.2.1", True),
        ("ip4.dst < $empty", "ip4", False),
        # several alternatives, and conjunctions that exclude each other
        ("ip4.dst == $shop && ip4.dst == $bank", "ip4", False),
        ("ip4.dst == 10.0.0.0/8 && ip4.dst == $shop", "ip4.dst == 10.0.0.3", False),
        ("tcp && udp", "1", False),
        ("arp", "ip", False),
        ("arp", "arp", True),
        ("ip4.mcast", "ip6", False),
        ("ct.est", "!ct.est", True),
        ("ip4.dst != $shop", "ip4.dst == $shop", True),
        ("icmp4", "icmp6", False),
        ("icmp4", "tcp", False),
        ("0", "1", False),
    ],
)
def test_expressions(one: str, other: str, expected: bool) -> None:
    assert can_overlap(match.parse(one), match.parse(other), NAMES) is expected
    assert can_overlap(match.parse(other), match.parse(one), NAMES) is expected


def test_what_cannot_be_parsed_may_take_any_packet() -> None:
    assert can_overlap(match.Verbatim("a && b || c"), match.ip4, NAMES)
    assert not can_overlap(match.Verbatim("a && b || c"), match.FALSE, NAMES)


def test_more_alternatives_than_are_looked_at_may_take_any_packet() -> None:
    many = match.Or.of(*(match.tcp.dst.isin(port) for port in range(100)))
    assert can_overlap(many, match.tcp.dst.isin(99), NAMES)
    assert can_overlap(many & match.ip4, match.udp, NAMES)
    assert not can_overlap(many, match.FALSE, NAMES)
