"""Random match trees: written and read back they are the same, and mean the same."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from netaddr import IPAddress

from ovnqos import match as m
from ovnqos.controller import InvalidRow
from ovnqos.match.syntax import ConstantKind
from tests.support.packets import Names, Packet, matches

ADDRESSES = {4: ("10.0.0.1", "10.0.0.2", "192.0.2.1"), 6: ("fd00::1", "fd00::2", "2001:db8::1")}
CIDRS = {4: ("10.0.0.0/30", "10.0.0.2", "192.0.2.0/24", "0.0.0.0/0"), 6: ("fd00::/64", "fd00::1", "::/0")}
NAMES = Names(
    address_sets={
        "s4": frozenset(("10.0.0.1", "192.0.2.0/24")),
        "empty": frozenset(),
        "s6": frozenset(("fd00::/64", "2001:db8::1")),
    },
    port_groups={"g": frozenset(("p1", 'p"2')), "none": frozenset()},
)
SETS = {4: ("s4", "empty"), 6: ("s6", "empty")}
PORTS = st.sampled_from(("p1", 'p"2', "p\\3", "$s4", "&& ||", "\N{SNOWMAN}"))


@st.composite
def address_matches(draw: st.DrawFn) -> m.Match:
    version = draw(st.sampled_from((4, 6)))
    scope = m.ip4 if version == 4 else m.ip6
    return draw(st.sampled_from((scope.src, scope.dst))).isin_any(
        blocks=draw(st.lists(st.sampled_from(CIDRS[version]), max_size=3)),
        address_sets=draw(st.lists(st.sampled_from(SETS[version]), max_size=2)),
    )


LEAVES = (
    st.sampled_from((m.ip, m.ip4, m.ip6, m.tcp, m.udp, m.sctp, m.TRUE, m.FALSE))
    | address_matches()
    | st.builds(lambda one, ports: one.dst.isin(*ports), st.sampled_from((m.tcp, m.udp)), st.sets(st.integers(1, 3)))
    | st.builds(lambda ports: m.inport(*ports), st.lists(PORTS, min_size=1, max_size=3))
    | st.builds(m.inport.in_group, st.sampled_from(("g", "none")))
)
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, min_size=2, max_size=3).map(lambda operands: m.And.of(*operands))
        | st.lists(inner, min_size=2, max_size=3).map(lambda operands: m.Or.of(*operands))
        | inner.map(m.Not)
    ),
    max_leaves=12,
)


@st.composite
def packets(draw: st.DrawFn) -> Packet:
    version = draw(st.sampled_from((4, 6)))
    addresses = st.sampled_from(ADDRESSES[version]).map(IPAddress)
    protocol = draw(st.sampled_from(("tcp", "udp", "sctp", "icmp")))
    return Packet(
        switch="s",
        inport=draw(PORTS),
        source=draw(addresses),
        destination=draw(addresses),
        protocol=protocol,
        destination_port=None if protocol == "icmp" else draw(st.integers(1, 4)),
    )


@settings(max_examples=300)
@given(TREES)
def test_a_tree_is_read_back_as_it_was_written(tree: m.Match) -> None:
    assert m.parse(str(tree)) == tree


@given(TREES, TREES)
def test_a_text_is_the_tree_that_it_says(one: m.Match, other: m.Match) -> None:
    text = m.MatchText(f"({one})" if isinstance(one, m.Or) else str(one))
    assert text.tree == one
    assert text == one
    assert hash(text) == hash(one)
    for joined, tree in ((text & other, one & other), (other & text, other & one), (text | other, one | other)):
        assert str(joined) == str(tree)
        assert joined == tree
    assert str(~text) == str(~one)
    assert m.references(text) == m.references(one)


@given(TREES, TREES, packets())
def test_operators_mean_what_they_say(one: m.Match, other: m.Match, packet: Packet) -> None:
    first, second = matches(one, packet, NAMES), matches(other, packet, NAMES)
    assert matches(one & other, packet, NAMES) == (first and second)
    assert matches(one | other, packet, NAMES) == (first or second)
    assert matches(m.parse(str(~one)), packet, NAMES) == (not first)


@given(st.sampled_from((4, 6)), st.data(), packets())
def test_an_address_match_takes_the_addresses_of_its_blocks_and_sets(
    version: int, data: st.DataObject, packet: Packet
) -> None:
    blocks = data.draw(st.lists(st.sampled_from(CIDRS[version]), max_size=3))
    sets = data.draw(st.lists(st.sampled_from(SETS[version]), max_size=2))
    scope = m.ip4 if version == 4 else m.ip6
    each = [scope.dst.isin(block) for block in blocks] + [scope.dst.in_set(name) for name in sets]
    expected = any(matches(one, packet, NAMES) for one in each)
    assert matches(scope.dst.isin_any(blocks=blocks, address_sets=sets), packet, NAMES) == expected


@settings(max_examples=500)
@given(
    st.text()
    | st.lists(st.sampled_from(("ip4", "&&", "||", "!", "(", ")", "==", "{", "}", "$a", "80", '"p"', ","))).map(
        " ".join
    )
)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        tree = m.parse(text)
    except InvalidRow:
        return
    assert m.parse(str(tree)) == m.parse(str(m.parse(str(tree))))
    assert str(m.parse(str(tree))) == str(tree)


@given(st.text(), st.sampled_from(ConstantKind))
def test_no_constant_can_leave_its_place(text: str, kind: ConstantKind) -> None:
    try:
        tree = m.And.of(m.Comparison("inport", m.Relation.EQUAL, (m.Constant(text, kind),)), m.tcp)
    except InvalidRow:
        return
    try:
        assert m.parse(str(tree)) == tree
    except InvalidRow:  # a number that is none: refused as a whole, not read as something else
        assert kind is ConstantKind.NUMBER
