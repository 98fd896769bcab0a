"""Sample packets of a row: each is the row's, and where any packet reaches the row one of them does."""

from __future__ import annotations

from functools import reduce
from itertools import product
from typing import TYPE_CHECKING, Final

from hypothesis import given
from hypothesis import strategies as st
from netaddr import IPAddress, IPNetwork, cidr_exclude

from ovnqos import match as m
from ovnqos.southbound.contents import SwitchPort
from ovnqos.verify.packets import SwitchPorts
from ovnqos.verify.samples import AnalysedMatch, Sampler
from tests.support.packets import Names, Packet, matches

if TYPE_CHECKING:
    from collections.abc import Iterator

PORTS: Final = ("a", "b", "c")
ROUTER: Final = "router"
SOURCES: Final = {port: f"10.0.0.{number}" for number, port in enumerate(PORTS, start=1)}
NEAR: Final = [str(address) for address in IPNetwork("203.0.113.0/28")]
OUTSIDE: Final = ["198.51.100.1", "203.0.113.16", "203.0.112.255", *SOURCES.values()]
PROTOCOLS: Final = ("tcp", "udp", "sctp", "icmp")
NUMBERS: Final = range(7, 14)
SETS: Final = {"one": frozenset({"203.0.113.1", "203.0.113.8/30"}), "none": frozenset[str]()}
GROUPS: Final = {"ab": frozenset({"a", "b"}), "c": frozenset({"c"})}

SWITCH: Final = SwitchPorts(
    {
        **{
            name: SwitchPort(name=name, mac=f"02:00:00:00:00:0{index}", addresses=(IPAddress(SOURCES[name]),))
            for index, name in enumerate(PORTS)
        },
        ROUTER: SwitchPort(name=ROUTER, kind="patch", mac="02:00:00:00:00:ff"),
    }
)
VALUES: Final = m.NamedSets(address_sets=SETS, port_groups=GROUPS)

_blocks = st.builds(
    lambda address, length: str(IPNetwork(f"{address}/{length}").cidr), st.sampled_from(NEAR), st.integers(27, 32)
)
_ports = st.one_of(
    st.builds(m.inport.in_group, st.sampled_from(sorted(GROUPS))),
    st.builds(lambda names: m.inport(*names), st.lists(st.sampled_from(PORTS), min_size=1, max_size=2)),
)
_destinations = st.one_of(
    st.builds(lambda blocks: m.ip4.dst.isin(*blocks), st.lists(_blocks, min_size=1, max_size=3)),
    st.builds(m.ip4.dst.in_set, st.sampled_from(sorted(SETS))),
)
_transports = st.one_of(
    st.sampled_from([m.tcp, m.udp, m.sctp, m.ip4]),
    st.builds(
        lambda transport, numbers: transport.dst.isin(*numbers),
        st.sampled_from([m.tcp, m.udp, m.sctp]),
        st.lists(st.sampled_from(NUMBERS), min_size=1, max_size=3),
    ),
)
_literals = st.one_of(_ports, _destinations, _transports)
_matches = st.recursive(
    _literals,
    lambda inner: st.one_of(
        st.builds(lambda parts: reduce(lambda one, other: one & other, parts), st.lists(inner, min_size=2, max_size=3)),
        st.builds(lambda parts: reduce(lambda one, other: one | other, parts), st.lists(inner, min_size=2, max_size=3)),
    ),
    max_leaves=6,
)


def every_packet() -> Iterator[Packet]:
    """One packet of each kind that some match here can tell from others."""
    for port, destination, protocol in product(PORTS, [*NEAR, *OUTSIDE], PROTOCOLS):
        for number in (1, *NUMBERS) if protocol != "icmp" else (None,):
            yield packet(port, SOURCES[port], destination, protocol, number)


def packet(port: str, source: str, destination: str, protocol: str, number: int | None) -> Packet:
    return Packet(
        switch="lan",
        inport=port,
        source=IPAddress(source),
        destination=IPAddress(destination),
        protocol=protocol,
        destination_port=number,
    )


EVERY: Final = tuple(every_packet())
NAMES: Final = Names(address_sets=SETS, port_groups=GROUPS)


@given(_matches, st.lists(_matches, max_size=4), st.booleans())
def test_samples_are_the_rows_own_and_complete(row: m.Match, above: list[m.Match], leaving: bool) -> None:
    sampler = Sampler(SWITCH, VALUES, {4, 6}, leaving=leaving)
    samples = sampler.choose(AnalysedMatch.of(row, VALUES), [AnalysedMatch.of(other, VALUES) for other in above])
    for sample in samples.packets:
        one = sample.packet
        seen = packet(one.inport, str(one.source), str(one.destination), str(one.protocol), one.destination_port)
        assert matches(row, seen, NAMES), sample
        assert any(matches(other, seen, NAMES) for other in above) is not samples.reaches, sample
    assert all(
        any(matches(row, one, NAMES) and matches(above[place], one, NAMES) for one in EVERY)
        for place in samples.shadowed_by
    )
    if not samples.reaches:
        reached = [
            one for one in EVERY if matches(row, one, NAMES) and not any(matches(other, one, NAMES) for other in above)
        ]
        assert not reached, reached[0]
    if not samples.packets:
        assert not any(matches(row, one, NAMES) for one in EVERY)
    assert samples.sure is samples.reaches


@given(_matches, _matches, st.lists(_matches, max_size=2), st.booleans())
def test_a_tie_is_found_where_one_packet_is_in_two_rows(
    row: m.Match, other: m.Match, above: list[m.Match], leaving: bool
) -> None:
    analysed = [AnalysedMatch.of(match, VALUES) for match in (row, other, *above)]
    found = Sampler(SWITCH, VALUES, {4, 6}, leaving=leaving).find_tie(analysed[0], analysed[1], analysed[2:])
    in_both = [
        one
        for one in EVERY
        if matches(row, one, NAMES)
        and matches(other, one, NAMES)
        and not any(matches(match, one, NAMES) for match in above)
    ]
    assert (found is not None) is bool(in_both), (found, in_both[:1])


@given(_matches, st.lists(_matches, min_size=1, max_size=3))
def test_samples_leave_with_the_rows_mark_where_any_packet_does(row: m.Match, later: list[m.Match]) -> None:
    sampler = Sampler(SWITCH, VALUES, {4, 6}, leaving=False)
    row &= m.inport(*PORTS)  # not what comes from the router
    samples = sampler.choose(AnalysedMatch.of(row, VALUES), later=[AnalysedMatch.of(other, VALUES) for other in later])
    own = [one for one in EVERY if matches(row, one, NAMES)]
    kept = [one for one in own if not any(matches(other, one, NAMES) for other in later)]
    for sample in samples.packets:
        one = sample.packet
        seen = packet(one.inport, str(one.source), str(one.destination), str(one.protocol), one.destination_port)
        assert any(matches(other, seen, NAMES) for other in later) is not bool(kept), sample


@given(_blocks, st.data())
def test_the_one_packet_that_rows_above_leave_is_found(block: str, data: st.DataObject) -> None:
    """Between them they take all other addresses, and at this one all other ports."""
    hole = data.draw(st.sampled_from([str(address) for address in IPNetwork(block)]))
    number = data.draw(st.sampled_from(NUMBERS))
    others = [m.ip4.dst.isin(rest) for rest in cidr_exclude(block, hole)]
    others += [m.ip4.dst.isin(hole) & m.tcp.dst.isin(other) for other in NUMBERS if other != number]
    above = data.draw(st.permutations(others))
    row = m.inport("a", "b") & m.ip4.dst.isin(block) & m.tcp.dst.isin(*NUMBERS)

    sampler = Sampler(SWITCH, VALUES, {4, 6}, leaving=False)
    samples = sampler.choose(AnalysedMatch.of(row, VALUES), [AnalysedMatch.of(other, VALUES) for other in above])
    assert samples.reaches
    assert {(str(one.packet.destination), one.packet.destination_port) for one in samples.packets} == {(hole, number)}
