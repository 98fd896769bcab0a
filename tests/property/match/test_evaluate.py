"""What is said of a packet of which little is known holds of each that it can be; compiled matches are exact."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given, settings

from ovnqos.match.evaluate import evaluate
from ovnqos.match.named_sets import NamedSets
from ovnqos.match.packet import Packet, PacketProtocol
from ovnqos.match.verdict import Truth
from tests.support import random_clusters as make
from tests.support.cluster import compiled, names_of
from tests.support.packets import GROUP, matches
from tests.support.random_matches import ADDRESS_SETS, expression, random_packet

if TYPE_CHECKING:
    from random import Random

BROADCAST = 0xFFFFFFFFFFFF
NAMES = NamedSets(
    address_sets=ADDRESS_SETS, port_groups={"here": ["p"], "beside": ["q"], "elsewhere": ["far"], "empty": []}
)


def _forget(random: Random, packet: Packet) -> Packet:
    """The packet with less known of it."""
    forgotten: dict[str, object] = {}
    if random.random() < 0.5:
        forgotten |= {"destination_port": None}
    if random.random() < 0.5:
        forgotten |= {"source_port": None}
    if random.random() < 0.5:
        forgotten |= {"outport": None, "not_outports": frozenset({"p", "q"} - {packet.outport})}
    if random.random() < 0.3:
        forgotten |= {"protocol": None, "source_port": None, "destination_port": None}
    if random.random() < 0.3:
        forgotten |= {"switch_ports": frozenset()}
    return replace(packet, **forgotten)  # type: ignore[arg-type] # the names are the fields'


@settings(max_examples=1_500)
@given(make.RANDOMS)
def test_to_know_more_never_turns_yes_or_no_around(random: Random) -> None:
    match = expression(random, "p")
    packet = random_packet(random)
    less, more = evaluate(match, _forget(random, packet), NAMES), evaluate(match, packet, NAMES)
    assert less.truth in {Truth.UNKNOWN, more.truth}
    assert (less.reason == "") is (less.truth is Truth.YES)


@settings(max_examples=200)
@given(make.RANDOMS)
def test_of_compiled_matches_it_says_what_their_tree_says(random: Random) -> None:
    cluster = make.cluster(random)
    compiler = compiled(make.policies(random), *cluster.objects, nodes=cluster.zone_nodes)
    names = names_of(compiler)
    sets = NamedSets(address_sets=names.address_sets, port_groups=names.port_groups)
    for _ in range(8):
        drawn = make.packet(random, cluster)
        packet = Packet(
            inport=drawn.inport,
            outport="",
            source=drawn.source,
            destination=drawn.destination,
            protocol=PacketProtocol(drawn.protocol),
            destination_port=drawn.destination_port,
            next_hop=BROADCAST if drawn.next_hop == GROUP else int(drawn.next_hop.replace(":", ""), 16),
        )
        if drawn.source.version != drawn.destination.version:
            continue
        for row in compiler.desired().rows.values():
            if drawn.switch in row.switches and row.identity.startswith("NetworkQoS/"):
                assert (evaluate(row.match, packet, sets).truth is Truth.YES) is matches(row.match, drawn, names)
