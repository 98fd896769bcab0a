"""The match language: what the builders write, what the parser reads, and what both refuse."""

from __future__ import annotations

import json
import re

import pytest

from ovnqos import match as m
from ovnqos.controller import InvalidRow
from ovnqos.match.addresses import AddressBlock
from ovnqos.match.syntax import ConstantKind, References

OVN_KUBERNETES = (
    "ip4.src == {$a6430668309535955215} && ip4.dst == 0.0.0.0/0"
    " && ip4.dst != {10.11.12.13/32,172.16.0.0/12,192.168.0.0/16}"
)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (m.inport("vm1"), 'inport == "vm1"'),
        (m.outport("a", "b", "a"), 'outport == {"a", "b"}'),
        (m.inport('say "hi" \\ é'), 'inport == "say \\"hi\\" \\\\ \\u00e9"'),
        (m.inport.in_group("pg.1"), "inport == @pg.1"),
        (m.ip4.src.isin("10.0.0.1"), "ip4.src == 10.0.0.1"),
        (m.ip4.dst.isin("10.0.0.77/8"), "ip4.dst == 10.0.0.0/8"),
        (m.ip4.dst.isin("10.1.0.0/16", "10.0.0.0/16"), "ip4.dst == 10.0.0.0/15"),
        (m.ip4.dst.isin(AddressBlock(4, 0x0A000000, 8)), "ip4.dst == 10.0.0.0/8"),
        (m.ip6.dst.isin("2001:DB8::/32", "fe80::1"), "ip6.dst == {2001:db8::/32, fe80::1}"),
        (m.ip6.dst.in_set("a1"), "ip6.dst == $a1"),
        (m.ip4.dst.isin_any(blocks=["10.0.0.0/8"], address_sets=["a", "b", "a"]), "ip4.dst == {$a, $b, 10.0.0.0/8}"),
        (m.ip4.dst.isin("0.0.0.0/0"), "ip4"),
        (m.ip6.src.isin("::/1", "8000::/1"), "ip6"),
        (m.ip4.dst.isin(), "0"),
        (m.tcp.dst.isin(443, 80, 443), "tcp.dst == {80, 443}"),
        (m.udp.src.isin(0, 65_535), "udp.src == {0, 65535}"),
        (m.sctp.dst.isin(), "0"),
        (m.chassis_resident("cr-lrp"), 'is_chassis_resident("cr-lrp")'),
        (m.tcp & m.ip4 & m.ip, "tcp && ip4 && ip"),
        (m.tcp | m.udp | m.sctp, "tcp || udp || sctp"),
        ((m.tcp | m.udp) & m.ip4, "(tcp || udp) && ip4"),
        ((m.tcp & m.ip4) | m.icmp4 | m.icmp6, "(tcp && ip4) || icmp4 || icmp6"),
        (~(m.tcp | m.udp), "!(tcp || udp)"),
        (~m.inport("a"), '!(inport == "a")'),
        (~m.chassis_resident("a"), '!is_chassis_resident("a")'),
        (m.tcp & m.TRUE, "tcp"),
        (m.tcp & m.FALSE, "0"),
        (m.tcp | m.FALSE, "tcp"),
        (m.tcp | m.TRUE, "1"),
        (m.And.of(), "1"),
        (m.Or.of(), "0"),
        (m.Verbatim("whatever && "), "whatever && "),
    ],
)
def test_builders_write_the_language_of_ovn(expression: m.Match, text: str) -> None:
    assert str(expression) == text


@pytest.mark.parametrize("bad", ["10.0.0.0/33", "10.0.0", "banana", "", "10.0.0.1; drop", "fe80::1%eth0"])
def test_text_that_is_no_address_is_refused(bad: str) -> None:
    with pytest.raises(InvalidRow, match=r"ip4\.dst: .* is not an IP address or CIDR"):
        m.ip4.dst.isin(bad)


def test_an_address_of_the_other_family_is_refused() -> None:
    with pytest.raises(InvalidRow, match=r"ip4\.src: fe80::/10 is IPv6"):
        m.ip4.src.isin("10.0.0.0/8", "fe80::/10")
    with pytest.raises(InvalidRow, match=r"ip6\.src: 10\.0\.0\.1 is IPv4"):
        m.ip6.src.isin("10.0.0.1")


@pytest.mark.parametrize("port", [-1, 65_536])
def test_a_number_that_is_no_port_is_refused(port: int) -> None:
    with pytest.raises(InvalidRow, match=f"tcp.dst: {port} is not a port"):
        m.tcp.dst.isin(80, port)


@pytest.mark.parametrize("name", ["", "1a", "a-b", "a b", "a\n", "é", "a}", "$a"])
def test_a_name_that_ovn_cannot_read_is_refused(name: str) -> None:
    with pytest.raises(InvalidRow, match="cannot name"):
        m.inport.in_group(name)
    with pytest.raises(InvalidRow, match="cannot name"):
        m.ip4.dst.in_set(name)


@pytest.mark.parametrize("name", ["a", "_a", ".a", "A.b_9"])
def test_a_name_that_ovn_can_read_is_taken(name: str) -> None:
    assert m.references(m.ip4.dst.in_set(name) & m.inport.in_group(name)) == References(
        frozenset((name,)), frozenset((name,))
    )


def test_a_comparison_with_nothing_is_refused() -> None:
    with pytest.raises(InvalidRow, match="empty set"):
        m.inport()


@pytest.mark.parametrize("text", ["80 || tcp", "80}", "", "a", " 80"])
def test_a_constant_cannot_smuggle_in_an_expression(text: str) -> None:
    with pytest.raises(InvalidRow):
        m.Constant(text)


@pytest.mark.parametrize("name", ["ip4 || tcp", "", "1a", "ip4 ", "f(", "é"])
def test_a_field_cannot_smuggle_in_an_expression(name: str) -> None:
    for make in (
        lambda: m.Symbol(name),
        lambda: m.Comparison(name, m.Relation.EQUAL, (m.Constant("1"),)),
        lambda: m.FunctionCall(name, "x"),
    ):
        with pytest.raises(InvalidRow):
            make()


@pytest.mark.parametrize("kind", [m.And, m.Or])
def test_a_conjunction_or_disjunction_of_less_than_two_is_refused(kind: type[m.And] | type[m.Or]) -> None:
    for operands in ((), (m.tcp,)):
        with pytest.raises(InvalidRow):
            kind(operands)


def test_references_are_found_wherever_they_are() -> None:
    expression = (m.ip4.src.in_set("s1") | ~(m.ip6.dst.in_set("s2") & m.inport.in_group("g"))) & m.inport("$no", "@no")
    assert m.references(expression) == References(frozenset(("s1", "s2")), frozenset(("g",)))
    assert m.references(m.tcp) == References(frozenset(), frozenset())


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("ip4", "ip4"),
        ("  (( tcp ))  ", "tcp"),
        ("ip4.src==10.0.0.1&&tcp", "ip4.src == 10.0.0.1 && tcp"),
        ("ip4\n\t&& tcp", "ip4 && tcp"),
        ("tcp && (udp && ip4)", "tcp && udp && ip4"),
        ("80 == tcp.dst", "tcp.dst == 80"),
        ("80 < tcp.dst", "tcp.dst > 80"),
        ("80 >= tcp.dst", "tcp.dst <= 80"),
        ("{80, 90} != tcp.dst", "tcp.dst != {80, 90}"),
        ("800 <= udp.dst <= 850", "udp.dst >= 800 && udp.dst <= 850"),
        ("850 > udp.dst >= 800", "udp.dst < 850 && udp.dst >= 800"),
        ("udp && 800 < udp.dst[0..15] < 0x352", "udp && udp.dst[0..15] > 800 && udp.dst[0..15] < 0x352"),
        ("tcp || 1 <= udp.dst < 9", "tcp || (udp.dst >= 1 && udp.dst < 9)"),
        ("!(1 <= udp.dst < 9)", "!(udp.dst >= 1 && udp.dst < 9)"),
        ("@g == inport", "inport == @g"),
        ('inport == {"p" "q"}', 'inport == {"p", "q"}'),
        ('inport == {"p", "q",}', 'inport == {"p", "q"}'),
        ('inport == "p\\u0041\\""', 'inport == "pA\\""'),
        ('inport == "a && b || \\\\"', 'inport == "a && b || \\\\"'),
        ("ip4.src == {$a}", "ip4.src == $a"),
        ("!ct.est", "!ct.est"),
        ("!(ip4.src == $a)", "!(ip4.src == $a)"),
        ('!is_chassis_resident("cr")', '!is_chassis_resident("cr")'),
        ("reg0[0..3] == 0x5", "reg0[0..3] == 0x5"),
        ("reg0[7]", "reg0[7]"),
        ("eth.src == 00:00:00:00:00:01", "eth.src == 00:00:00:00:00:01"),
        ("eth.dst == 01:00:00:00:00:00/01:00:00:00:00:00", "eth.dst == 01:00:00:00:00:00/01:00:00:00:00:00"),
        ("ip4.src == 10.0.0.1/255.0.255.0", "ip4.src == 10.0.0.1/255.0.255.0"),
        ("ip6.src == {::ffff:1.2.3.4, fe80::/10, ::/0}", "ip6.src == {::ffff:1.2.3.4, fe80::/10, ::/0}"),
        ("ip6.src == fe80::1/ffff::", "ip6.src == fe80::1/ffff::"),
        ("reg1 == 0x10/0xf0", "reg1 == 0x10/0xf0"),
        ("1 && 0", "1 && 0"),
        ("!1", "!1"),
    ],
)
def test_what_ovn_reads_is_read(text: str, normal: str) -> None:
    assert str(m.parse(text)) == normal


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "{}",
        "ip4.src == {}",
        "ip4 && ip6 || tcp",
        "tcp || udp && ip4",
        "ip4 &&",
        "&& ip4",
        "ip4 &&  && tcp",
        "(ip4",
        "ip4)",
        "ip4 tcp",
        "ip4 = 1",
        "ip4.src ==",
        "ip4.src == 10.0.0",
        "ip4.src == 10.0.0.256",
        "ip4.src == 10.0.0.1/33",
        "ip6.src == fe80::1%eth0",
        "ip6.src == fe80::1/129",
        "ip6.src == 1:2:3",
        "ip4.src == $",
        "ip4.src == $9",
        "tcp.dst == 80abc",
        "tcp.dst == 00080",
        "tcp.dst == 0x",
        "tcp.dst == 1.5",
        "tcp.dst == -1",
        "tcp.dst == (80)",
        "ip4.src < {10.0.0.1, 10.0.0.2}",
        "80",
        "80 == 90",
        "80 tcp.dst",
        "0 < tcp.dst > 80",
        "0 == tcp.dst == 80",
        "0 <= tcp.dst <= 80 <= 90",
        "0 <= tcp.dst <= {80, 90}",
        "! 0 <= tcp.dst <= 80",
        "ip6.dst == 18446744073709551616",
        "!!ip4",
        "!tcp == 0",
        "!" * 5_000 + "ip4",
        "(" * 5_000 + "ip4" + ")" * 5_000,
        "inport == 'p'",
        'inport == "p',
        'inport == "\\q"',
        "is_chassis_resident(p)",
        'is_chassis_resident("p"',
        "ip4\N{NO-BREAK SPACE}&& tcp",
        "ip4\N{NO-BREAK SPACE}",
        "tcp.dst == \N{ARABIC-INDIC DIGIT EIGHT}",
        "ip4; drop",
    ],
)
def test_what_ovn_does_not_read_is_refused_with_the_column(text: str) -> None:
    with pytest.raises(InvalidRow, match=r"^match expression, column \d+: "):
        m.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        OVN_KUBERNETES,
        "(ip4.src == {$a4} || ip6.src == {$a6})"
        " && (ip4.dst == {$d} || (ip4.dst == 10.0.0.0/8 && ip4.dst != {10.0.0.1}))",
        "ip4.src == {$a} && tcp && tcp.dst == {80,443}",
        "ip4.src == {$a} && ((sctp) || (tcp && tcp.dst == 80) || (udp && udp.dst == {53,5353}))",
        'inport == "a1b2-c3" && ip4.dst == 10.0.0.0/24 && udp.dst == 53',
        'outport == "ext" && is_chassis_resident("cr-lrp-ext") && ip4.dst == 192.0.2.10',
    ],
)
def test_what_other_controllers_write_is_read(text: str) -> None:
    assert _bare(str(m.parse(text))) == _bare(text)


def _bare(text: str) -> str:
    """Without spaces, braces and parentheses, of which this project writes fewer."""
    return re.sub(r"[\s(){}]", "", text)


def test_the_tree_of_a_row_of_ovn_kubernetes() -> None:
    tree = m.parse(OVN_KUBERNETES)
    assert isinstance(tree, m.And)
    source, destination, excluded = tree.operands
    assert source == m.ip4.src.in_set("a6430668309535955215")
    assert destination == m.Comparison("ip4.dst", m.Relation.EQUAL, (m.Constant("0.0.0.0/0"),))
    assert isinstance(excluded, m.Comparison)
    assert excluded.relation is m.Relation.NOT_EQUAL
    assert [one.text for one in excluded.constants] == ["10.11.12.13/32", "172.16.0.0/12", "192.168.0.0/16"]
    assert m.references(tree).address_sets == {"a6430668309535955215"}


def test_a_string_constant_is_json() -> None:
    name = 'pod "x"\\\t\N{SNOWMAN}'
    constant = m.Constant(name, ConstantKind.STRING)
    assert json.loads(str(constant)) == name
    assert m.parse(str(m.inport(name))) == m.inport(name)


def test_symbols_compare_by_name() -> None:
    assert m.Symbol("ip4") == m.ip4
    assert hash(m.Symbol("ip4")) == hash(m.ip4)
    assert m.Symbol("ip4") != m.ip6
    assert m.ip4 != "ip4"
