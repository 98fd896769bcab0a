"""The part of a match that looks at the packet, word by word."""

from __future__ import annotations

from typing import Any

import pytest

from ovnqos import Code, PodPeer, PortMatch, Protocol
from ovnqos.match import references
from ovnqos.model.labels import EVERYTHING
from tests.support.cluster import (
    attachment,
    block,
    codes,
    compiled,
    destination_sets,
    labels,
    only_row,
    pod,
    policy,
    rule,
)

CLIENT = pod("client", "10.0.0.1", "fd00::1")
TCP = Protocol.TCP
GUIDE = block("0.0.0.0/0", "10.11.12.13/32", "172.16.0.0/12", "192.168.0.0/16")


def _words(**classifier: Any) -> str:
    """The match of a rule behind its source group."""
    source, _, rest = str(only_row(compiled(policy(rule(**classifier)), CLIENT)).match).partition(" && ")
    assert source.startswith("inport == @ovnqos_src_")
    return rest


@pytest.mark.parametrize(
    ("classifier", "words"),
    [
        ({}, "ip"),
        ({"destinations": (block("10.0.0.0/8"),)}, "ip4.dst == 10.0.0.0/8"),
        ({"destinations": (block("10.0.0.0/30", "10.0.0.1/32"),)}, "ip4.dst == {10.0.0.0, 10.0.0.2/31}"),
        ({"destinations": (block("10.0.0.0/9"), block("10.128.0.0/9"))}, "ip4.dst == 10.0.0.0/8"),
        (
            {"destinations": (block("10.0.0.0/8", "10.0.0.0/9"), block("10.0.0.0/16"))},
            "ip4.dst == {10.0.0.0/16, 10.128.0.0/9}",
        ),
        ({"destinations": (block("0.0.0.0/0"),)}, "ip4"),
        ({"destinations": (block("::/0"),)}, "ip6"),
        ({"destinations": (block("0.0.0.0/0"), block("::/0"))}, "ip"),
        ({"destinations": (block("10.0.0.0/8"), block("fd00::/8"))}, "(ip4.dst == 10.0.0.0/8 || ip6.dst == fd00::/8)"),
        ({"sources": (block("10.0.0.0/8"),)}, "ip4.src == 10.0.0.0/8"),
        ({"sources": (block("10.0.0.0/8"),), "destinations": (block("0.0.0.0/0"),)}, "ip4.src == 10.0.0.0/8"),
        ({"sources": (block("0.0.0.0/0"),), "destinations": (block("0.0.0.0/0"),)}, "ip4"),
        (
            {"sources": (block("10.0.0.0/8"),), "destinations": (block("11.0.0.0/8"), block("::/0"))},
            "ip4.dst == 11.0.0.0/8 && ip4.src == 10.0.0.0/8",
        ),
        ({"ports": (PortMatch(protocol=TCP),)}, "tcp"),
        ({"ports": (PortMatch(port=53),)}, "(sctp.dst == 53 || tcp.dst == 53 || udp.dst == 53)"),
        (
            {"ports": (PortMatch(protocol=TCP, port=8000, end_port=8100),)},
            "tcp.dst >= 8000 && tcp.dst <= 8100",
        ),
        (
            {
                "ports": (
                    PortMatch(protocol=TCP, port=80, end_port=80),
                    PortMatch(protocol=TCP, port=81),
                    PortMatch(protocol=TCP, port=90, end_port=95),
                    PortMatch(protocol=TCP, port=93),
                    PortMatch(protocol=TCP, port=94, end_port=99),
                )
            },
            "(tcp.dst == {80, 81} || (tcp.dst >= 90 && tcp.dst <= 99))",
        ),
        ({"ports": (PortMatch(protocol=TCP, port=1, end_port=9), PortMatch(protocol=TCP))}, "tcp"),
        (
            {"destinations": (block("0.0.0.0/0"), block("::/0")), "ports": (PortMatch(protocol=TCP, port=80),)},
            "tcp.dst == 80",
        ),
        (
            {"destinations": (block("0.0.0.0/0"),), "ports": (PortMatch(protocol=TCP, port=80),)},
            "ip4 && tcp.dst == 80",
        ),
    ],
)
def test_a_classifier_is_written_as_short_as_it_can_be(classifier: dict[str, Any], words: str) -> None:
    assert _words(**classifier) == words


UDP = Protocol.UDP
OTHER = (block("0.0.0.0/0"),)


@pytest.mark.parametrize(
    ("rules", "index", "words"),
    [
        (
            [rule(rate=9, ports=(PortMatch(protocol=UDP, port=53),))],
            0,
            "(udp.dst == 53 || (ip.is_frag && ip.proto == {17, 44}))",
        ),
        (
            [rule(rate=9, ports=(PortMatch(protocol=UDP, port=53),), destinations=OTHER)],
            0,
            "ip4 && (udp.dst == 53 || (ip.is_frag && ip.proto == 17))",
        ),
        ([rule(rate=9, ports=(PortMatch(protocol=UDP),))], 0, "(udp || (ip.is_frag && ip.proto == 44))"),
        ([rule(rate=9, ports=(PortMatch(protocol=UDP),), destinations=OTHER)], 0, "ip4 && udp"),
        ([rule(46, ports=(PortMatch(protocol=UDP, port=53),))], 0, "udp.dst == 53"),
        ([rule(rate=9), rule(rate=10, ports=(PortMatch(protocol=UDP, port=53),))], 1, "udp.dst == 53"),
        (
            [rule(rate=9, destinations=OTHER), rule(rate=10, ports=(PortMatch(protocol=UDP, port=53),))],
            1,
            "(udp.dst == 53 || (ip.is_frag && ip.proto == {17, 44}))",
        ),
        (
            [rule(rate=11), rule(rate=10, ports=(PortMatch(protocol=UDP, port=53),))],
            1,
            "(udp.dst == 53 || (ip.is_frag && ip.proto == {17, 44}))",
        ),
        (
            [
                rule(rate=9, ports=(PortMatch(protocol=TCP, port=53),)),
                rule(rate=10, ports=(PortMatch(protocol=UDP, port=53),)),
            ],
            1,
            "(udp.dst == 53 || (ip.is_frag && ip.proto == {17, 44}))",
        ),
    ],
)
def test_fragments_count_to_the_strictest_limit_that_may_be_theirs(rules: list[Any], index: int, words: str) -> None:
    rows = compiled(policy(*rules), CLIENT).desired().rows
    match = str(rows[f"NetworkQoS/shop/gold/{index}/default"].match)
    assert match.partition(" && ")[2].removesuffix(" && !eth.mcast") == words


def test_policies_of_different_ports_do_not_conflict_by_fragments() -> None:
    one, other = (
        policy(rule(rate=9, ports=(PortMatch(protocol=UDP, port=port),)), name=f"of-{port}") for port in (53, 54)
    )
    assert not compiled([one, other], CLIENT).conflicts("shop/of-53")
    same = policy(rule(rate=9, ports=(PortMatch(protocol=UDP, port=53),)), name="same")
    assert compiled([one, same], CLIENT).conflicts("shop/of-53") == {"shop/same"}


def test_the_guides_exceptions_become_an_equality_with_the_complement_in_a_set() -> None:
    found = compiled(policy(rule(destinations=(GUIDE,))), CLIENT)
    (one,) = destination_sets(found)
    assert str(only_row(found).match).endswith(f" && ip4.dst == ${one.name}")
    assert one.external_ids == {"ovnqos.io/object": "NetworkQoS/shop/gold", "ovnqos.io/rule": "0"}
    assert "10.11.12.12" in one.addresses
    assert "10.11.12.13" not in one.addresses
    assert "193.0.0.0/8" in one.addresses


def test_up_to_16_blocks_are_written_out_and_more_go_into_a_set() -> None:
    many = [block(f"10.{2 * number}.0.0/16") for number in range(17)]
    assert _words(destinations=tuple(many[:16])).count("/16") == 16
    assert "$" not in _words(destinations=tuple(many[:16]))
    assert "$" in _words(destinations=tuple(many))
    assert "$ovnqos_src_" in _words(sources=tuple(many))


@pytest.mark.parametrize(
    "classifier",
    [
        {"destinations": ()},
        {"sources": ()},
        {"ports": ()},
        {"destinations": (block("10.0.0.0/8", "10.0.0.0/8"),)},
        {"destinations": (block("10.0.0.0/8", "10.0.0.0/9", "10.128.0.0/9"),)},
        {"destinations": (block("10.0.0.0/8"),), "sources": (block("fd00::/8"),)},
        {"destinations": (), "ports": (PortMatch(protocol=TCP),)},
    ],
)
def test_a_rule_that_no_packet_can_match_has_no_row_but_a_note(classifier: dict[str, Any]) -> None:
    found = compiled(policy(rule(**classifier), rule(7)), CLIENT)
    assert [row.external_ids["ovnqos.io/rule"] for row in found.desired().rows.values()] == ["1"]
    assert not found.desired().address_sets
    assert codes(found) == [("NetworkQoS/shop/gold", "spec.egress[0]", Code.NEVER_MATCHES)]


def test_a_set_that_an_all_embracing_block_swallows_is_not_made() -> None:
    peer = PodPeer(pod_selector=EVERYTHING)
    found = compiled(policy(rule(destinations=(peer, block("0.0.0.0/0")))), pod("client", "10.0.0.1"))
    assert str(only_row(found).match).endswith(" && ip4")
    assert not found.desired().address_sets


def test_rules_and_objects_that_select_alike_share_their_sets() -> None:
    peer = PodPeer(pod_selector=labels(app="db"))
    found = compiled(
        (
            policy(rule(1, destinations=(peer,)), rule(2, destinations=(peer, block("10.0.0.0/8"))), name="a"),
            policy(rule(3, destinations=(PodPeer(pod_selector=labels(app="db")),)), name="b"),
        ),
        pod("client", "10.0.0.1"),
    )
    assert len(found.desired().rows) == 3
    assert len(found.desired().address_sets) == 1
    assert len(found.desired().port_groups) == 1


def test_an_own_namespace_and_the_same_namespace_by_label_are_two_selections() -> None:
    peers = [
        PodPeer(pod_selector=labels(app="db")),
        PodPeer(pod_selector=labels(app="db"), namespace_selector=EVERYTHING),
    ]
    found = compiled(policy(rule(destinations=tuple(peers))), pod("client", "10.0.0.1"))
    assert len(found.desired().address_sets) == 2


def test_long_lists_of_two_rules_and_of_two_objects_have_a_set_each() -> None:
    one, other = block("0.0.0.0/0", "10.1.2.3/32"), block("0.0.0.0/0", "192.0.2.1/32")
    found = compiled(
        (
            policy(rule(1, destinations=(one,)), rule(2, destinations=(other,)), name="a"),
            policy(rule(3, destinations=(other,)), name="b"),
        ),
        CLIENT,
    )
    desired = found.desired()
    absent = {
        row.dscp: {text for text in ("10.1.2.2", "192.0.2.0") if text not in desired.address_sets[name].addresses}
        for row in desired.rows.values()
        for name in references(row.match).address_sets
    }
    assert absent == {1: {"192.0.2.0"}, 2: {"10.1.2.2"}, 3: {"10.1.2.2"}}
    assert len(found.desired().address_sets) == 3


def test_on_a_network_whose_families_are_not_known_both_are_matched() -> None:
    one = policy(rule(destinations=(PodPeer(pod_selector=EVERYTHING),)))
    found = compiled(one, attachment("shop/flat"), pod("client", networks={"shop/flat": []}))
    assert [one.name[-3:] for one in destination_sets(found)] == ["_v4", "_v6"]
