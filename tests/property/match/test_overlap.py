"""Rows that one packet matches are found to overlap; plain opposites are not."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings

from ovnqos import match
from ovnqos.match.overlap import can_overlap
from tests.support import random_clusters as make
from tests.support.cluster import compiled, names_of
from tests.support.packets import matches

if TYPE_CHECKING:
    from random import Random

SETS = {"shop": ["10.0.0.1", "10.0.0.2"], "bank": ["10.0.1.0/24"], "left": ["a", "b"], "right": ["c"]}


@settings(max_examples=300, deadline=None)
@given(make.RANDOMS)
def test_a_packet_that_two_rows_match_makes_them_overlap(random: Random) -> None:
    cluster, policies = make.cluster(random), make.policies(random)
    compiler = compiled(policies, *cluster.objects, nodes=cluster.zone_nodes)
    names = names_of(compiler)
    members = {**names.address_sets, **names.port_groups}.__getitem__
    entering = [row for row in compiler.desired().rows.values() if "outport" not in str(row.match)]
    for _ in range(20):
        packet = make.packet(random, cluster)
        taken = [row for row in entering if matches(row.match, packet, names)]
        for one, other in combinations(taken, 2):
            assert can_overlap(one.match, other.match, members)


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
        ("ip4.dst == 0xa000001", "ip4.dst == $bank", True),
        ("ip4.dst != $shop", "ip4.dst == $shop", True),
        ("icmp4", "icmp6", False),
        ("icmp4", "tcp", False),
        ("0", "1", False),
    ],
)
def test_expressions(one: str, other: str, expected: bool) -> None:
    def members(name: str) -> list[str]:
        return SETS.get(name, [])

    assert can_overlap(match.parse(one), match.parse(other), members) is expected
    assert can_overlap(match.parse(other), match.parse(one), members) is expected
