"""Whether a match takes a packet: by the words of ovn-sb(5), and by what OVN does where they leave that open."""

from __future__ import annotations

from dataclasses import replace

import pytest
from netaddr import IPAddress

from ovnqos import match as m
from ovnqos.match.evaluate import evaluate
from ovnqos.match.named_sets import NamedSets
from ovnqos.match.packet import Packet, PacketProtocol
from ovnqos.match.verdict import Truth, Verdict

NAMES = NamedSets(
    address_sets={
        "ours": frozenset({"10.0.0.2", "172.16.0.0/12"}),
        "six": frozenset({"fd00::2"}),
        "none": frozenset(),
        "odd": frozenset({"nonsense", "10.0.0.2/8"}),
    },
    port_groups={"pg": frozenset({"p"}), "far": frozenset({"elsewhere"}), "empty": frozenset()},
    unknown_sets=frozenset({"derived"}),
    meanings={"ours": "destinations: our pods", "far": "sources: far pods"},
)
TCP = Packet(
    inport="p",
    outport="q",
    source=IPAddress("10.0.0.1"),
    destination=IPAddress("10.0.0.2"),
    protocol=PacketProtocol.TCP,
    source_port=1024,
    destination_port=80,
)
SIX = Packet(
    inport="p", outport="q", source=IPAddress("fd00::1"), destination=IPAddress("fd00::2"), protocol=PacketProtocol.ICMP
)
SOME = Packet(inport="p", source=IPAddress("10.0.0.1"), destination=IPAddress("10.0.0.2"))


def verdict(text: str, packet: Packet = TCP) -> Verdict:
    return evaluate(m.parse(text), packet, NAMES)


@pytest.mark.parametrize(
    "text",
    [
        "1",
        "ip",
        "ip4",
        "tcp",
        "tcp == 1",
        "ip4 != 0",
        "ip.proto == {6, 17}",
        "eth.type == 0x800",
        'inport == "p"',
        'inport == {"x", "p"}',
        "inport == @pg",
        'outport == "q"',
        "ip4.dst == 10.0.0.0/8",
        "ip4.dst == 10.0.0.9/8",
        "ip4.dst == 0.0.0.2/0.0.0.255",
        "ip4.dst == {192.0.2.1, $ours}",
        "ip4.dst == $odd",
        "ip4.dst == 0x0a000002",
        "ip4.dst == ::/0",
        "ip4.dst != {10.0.0.3, 10.0.0.4}",
        "!(ip4.dst == {10.0.0.3, 10.0.0.4})",
        "ip4.dst < 10.0.0.3",
        "!(ip4.dst > 10.0.0.2)",
        "ip4.dst[0..7] == 2",
        "ip4.dst[0..7] != 18",
        "tcp.dst[4]",
        "tcp.dst == 0x50/0xf0",
        "!tcp.src[0]",
        "80 == tcp.dst",
        "tcp.dst >= 80 && tcp.dst <= 80",
        "udp || tcp.dst == {80, 443}",
        "80 <= tcp.dst < 81",
        "!(80 < tcp.dst <= 90)",
        "eth.type[0..15] == 0x800",
        "ip.proto[0..7] == 6",
        "tcp[0]",
        "!(!(tcp))",
        'is_chassis_resident("p")',
        "ip6 || ip4.dst == 10.0.0.2",
        # the other IP version too, as no constant is left to compare with
        "ip6.dst != $none",
        "udp != $none",
    ],
)
def test_it_takes_the_packet(text: str) -> None:
    assert verdict(text) == Verdict(truth=Truth.YES)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0", "its match takes no packet"),
        ("ip6", "the packet is IPv4, not IPv6"),
        ("ip6.src == fd00::/64", "the packet is IPv4, not IPv6"),
        ("udp", "the packet is tcp, not udp"),
        ("udp.dst == 80", "the packet is tcp, not udp"),
        ("icmp4", "the packet is tcp, not icmp4"),
        ("arp", "an IP packet is not arp"),
        ("tcp.dst == 443", "tcp.dst 80 is not 443"),
        ("tcp.dst == {443, 8443}", "tcp.dst 80 is not in {443, 8443}"),
        ("tcp.dst != 80", "tcp.dst 80 is excluded by 80"),
        ("tcp.dst > 80", "tcp.dst 80 is not > 80"),
        ("!(tcp.dst < 81)", "tcp.dst 80 is < 81"),
        ("ip4.dst == 192.0.2.0/24", "ip4.dst 10.0.0.2 is not in 192.0.2.0/24"),
        (
            "ip4.dst == {1.1.1.1, 2.2.2.2, 3.3.3.3, 4.4.4.4}",
            "ip4.dst 10.0.0.2 is not in {1.1.1.1, 2.2.2.2, 3.3.3.3, … (4 in all)}",
        ),
        ("ip4.dst != 10.0.0.0/8", "ip4.dst 10.0.0.2 is excluded by 10.0.0.0/8"),
        ("ip4.src == $ours", "ip4.src 10.0.0.1 is not in address set ours (destinations: our pods; 2 entries)"),
        ("ip4.dst == $none", "ip4.dst 10.0.0.2 is not in address set none (empty)"),
        ("tcp == $none", "tcp is compared with an empty address set"),
        ("79 < tcp.dst < 80", "tcp.dst 80 is not < 80"),
        ("eth.type[0..15] == 0x86dd", "eth.type[0..15] 2048 is not 0x86dd"),
        ('inport == "x"', "inport p is not x"),
        ('inport == "none"', "inport p is not none"),
        ('outport == "none"', "outport q is not none"),
        ("inport == @far", "inport p is not in port group far (sources: far pods)"),
        ("ip4 && inport == @far && udp", "inport p is not in port group far (sources: far pods)"),
        ("udp || tcp.dst == 443", "the packet is tcp, not udp; tcp.dst 80 is not 443"),
        # an alternative of the other IP version tells nobody anything
        ("ip4.dst == 192.0.2.1 || ip6.dst == $six", "ip4.dst 10.0.0.2 is not 192.0.2.1"),
        ("ip6.src == $six || ip6.dst == $six", "the packet is IPv4, not IPv6"),
        # a comparison keeps what it presupposes under a negation
        ("!(udp.dst == 443)", "the packet is tcp, not udp"),
        ("!(ip6.dst == fd00::9 && tcp.dst == 80)", "tcp.dst 80 is excluded by 80"),
        ('!is_chassis_resident("p")', "the packet enters on the chassis of this port"),
    ],
)
def test_it_does_not_take_the_packet_and_says_why(text: str, reason: str) -> None:
    found = verdict(text)
    assert (found.truth, found.reason) == (Truth.NO, reason)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("tcp || ip4.dst == $missing", "there is no address set missing"),
        ("tcp || inport == @missing", "there is no port group missing"),
        ("tcp || inport == @empty", "port group empty is empty"),
        ("!tcp", "tcp can only be tested positively"),
        ("tcp == 0", "tcp can only be tested positively"),
        ("0 && !ip4", "ip4 can only be tested positively"),
        ('inport != "x"', "inport can only be tested for equality"),
        ('!(inport == "x")', "inport can only be tested for equality"),
        ("ip.proto != 17", "ip.proto can only be tested for equality"),
        ("ip.proto[0] == 1", "ip.proto[0] is no part of ip.proto that can be selected"),
        ("tcp.dst[16] == 1", "tcp.dst[16] is no part of tcp.dst that can be selected"),
        ("tcp.dst == 70000", "a constant of 17 bits does not fit tcp.dst, which has 16"),
        ("tcp.dst == 10.0.0.80", "a constant of 32 bits does not fit tcp.dst, which has 16"),
        ("ip4.dst == fd00::2", "a constant of 128 bits does not fit ip4.dst, which has 32"),
        ("ip4.dst == {10.0.0.2, $six}", "a constant of 128 bits does not fit ip4.dst, which has 32"),
        ("ip4.dst < 10.0.0.0/8", "< takes no mask and no empty set"),
        ("ip4.dst < $none", "< takes no mask and no empty set"),
        ("tcp.dst == 80/0xff", "value and mask of 80/0xff have different formats"),
        ("tcp.dst", "tcp.dst is compared with nothing"),
        ("tcp.dst[0..3]", "tcp.dst[0..3] is compared with nothing"),
        ("eth.type[0..7] == 0", "eth.type[0..7] is no part of eth.type that can be selected"),
        ('ip4.dst == "x"', 'ip4.dst is a number, not "x"'),
        ("inport == 3", "inport is a port, not 3"),
        ("ct.est || ip4.dst == $missing", "there is no address set missing"),
    ],
)
def test_a_match_that_ovn_refuses_takes_nothing(text: str, cause: str) -> None:
    found = verdict(text)
    assert found.truth is Truth.NO
    assert found.reason == f"in force nowhere: OVN cannot parse its match ({cause})"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ct.est", "only if ct.est == 1"),
        ("!ct.est", "only if !(ct.est == 1)"),
        ("ip.ttl == 64", "only if ip.ttl == 64"),
        ('is_chassis_resident("x")', 'only if is_chassis_resident("x")'),
        ("ip4.src == $derived", "the members of address set derived are not known"),
        ("tcp && ct.est && reg0 == 1", "only if ct.est == 1 and only if reg0 == 1"),
        ("udp || ct.est || reg0 == 1", "only if ct.est == 1 or only if reg0 == 1"),
        # OVN knows a port group only on switches with one of its ports, and drops a whole match over an unknown one
        ("tcp || inport == @far", "in force only if port group far has a port on this switch"),
        ("ip4.dst <= $ours || tcp", "in force only if OVN takes <= with the CIDRs of a set"),
    ],
)
def test_what_cannot_be_known_is_said(text: str, reason: str) -> None:
    found = verdict(text)
    assert (found.truth, found.reason) == (Truth.UNKNOWN, reason)


@pytest.mark.parametrize(
    ("text", "truth", "reason"),
    [
        ("tcp", Truth.UNKNOWN, "only if it is tcp"),
        ("tcp.dst == {80, 443}", Truth.UNKNOWN, "only if tcp.dst == {80, 443}"),
        ("ip.proto == 6", Truth.UNKNOWN, "only if ip.proto == 6"),
        ("tcp && ip4.dst == 192.0.2.1", Truth.NO, "ip4.dst 10.0.0.2 is not 192.0.2.1"),
        ("icmp6", Truth.NO, "the packet is IPv4, not IPv6"),
        ('outport == "q"', Truth.UNKNOWN, "the port by which the packet leaves is not known"),
    ],
)
def test_a_packet_of_which_little_is_said(text: str, truth: Truth, reason: str) -> None:
    found = verdict(text, SOME)
    assert (found.truth, found.reason) == (truth, reason)


def test_a_port_by_which_the_packet_does_not_leave() -> None:
    packet = Packet(
        inport="p", source=TCP.source, destination=TCP.destination, not_outports=frozenset({"a", "elsewhere"})
    )
    assert verdict('outport == {"a", @far}', packet).truth is Truth.NO
    assert verdict('outport == {"a", "z"}', packet).truth is Truth.UNKNOWN


def test_nothing_is_known_of_the_way_out_before_it_is_decided() -> None:
    entering = Packet(inport="p", outport="", source=TCP.source, destination=TCP.destination)
    assert verdict('outport == "q"', entering).truth is Truth.NO
    assert verdict('outport == ""', entering).truth is Truth.YES
    assert verdict('outport == "none"', entering).truth is Truth.YES
    assert verdict('inport == "none"', entering).truth is Truth.NO


def test_a_port_known_to_be_on_the_switch_puts_its_group_there() -> None:
    packet = Packet(
        inport="p", source=TCP.source, destination=TCP.destination, switch_ports=frozenset({"p", "elsewhere"})
    )
    assert verdict("ip4 || inport == @far", packet).truth is Truth.YES


def test_a_packet_of_any_protocol_is_no_neighbour_discovery() -> None:
    some = replace(SIX, protocol=None)
    assert verdict("icmp6.type == {133, 134, 135, 136, 137}", some).truth is Truth.NO
    assert verdict("icmp6.type == 128", some).truth is Truth.UNKNOWN


def test_icmp_of_each_version() -> None:
    assert verdict("icmp && icmp6 && ip.proto == 58", SIX).truth is Truth.YES
    assert verdict("icmp4", SIX).truth is Truth.NO


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("icmp6.type == 128", Truth.YES),
        ("icmp6.type == {133, 134, 135, 136, 137}", Truth.NO),
        ("icmp6.code == 0", Truth.YES),
        ("ip.is_frag", Truth.NO),
        ("!ip.is_frag", Truth.YES),
        ("ip.frag == 0", Truth.YES),
    ],
)
def test_a_packet_of_icmp_is_a_ping_and_no_packet_is_a_fragment(text: str, truth: Truth) -> None:
    assert verdict(text, SIX).truth is truth


@pytest.mark.parametrize("text", ["", "ip4 && ", "ip4 &&  && tcp", "ip4.src == {}", "(ip4", "ip4.src == $ours && )"])
def test_a_match_that_lacks_an_operand_is_in_force_nowhere(text: str) -> None:
    found = evaluate(m.Verbatim(text), TCP, NAMES)
    assert (found.truth, found.reason.split(":")[0]) == (Truth.NO, "in force nowhere")


def test_text_that_is_no_expression_is_not_known() -> None:
    assert evaluate(m.Verbatim("0 < tcp.dst > 80"), TCP, NAMES).truth is Truth.UNKNOWN


def test_a_packet_is_of_one_ip_version() -> None:
    with pytest.raises(ValueError, match="not of one IP version"):
        Packet(inport="p", source=IPAddress("10.0.0.1"), destination=IPAddress("fd00::1"))
