"""Arithmetic on address blocks, with netaddr's IPSet as the oracle."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st
from netaddr import AddrFormatError, IPAddress, IPNetwork, IPSet

from ovnqos import AddressSet
from ovnqos.match.addresses import AddressBlock, difference, union

if TYPE_CHECKING:
    from typing import Literal

WIDTH = {4: 32, 6: 128}
VERSIONS: st.SearchStrategy[Literal[4, 6]] = st.sampled_from((4, 6))


@st.composite
def networks(draw: st.DrawFn, versions: st.SearchStrategy[Literal[4, 6]] = VERSIONS) -> IPNetwork:
    """CIDRs that often touch, nest or repeat: near one another, or at an end of the address space."""
    version = draw(versions)
    width = WIDTH[version]
    near = (0x0A000000 if version == 4 else 0xFD00 << 112) + draw(st.integers(0, 40))
    value = draw(st.sampled_from((near, near, 0, (1 << width) - 1, 1 << (width - 1))))
    prefix = draw(st.integers(width - 6, width) | st.integers(width - 6, width) | st.integers(0, width))
    return IPNetwork(f"{IPAddress(value, version)}/{prefix}").cidr


NETWORKS = st.lists(networks(), max_size=8)


def _blocks(given_networks: list[IPNetwork]) -> list[AddressBlock]:
    return [AddressBlock.of(network) for network in given_networks]


def _oracle(kept: list[IPNetwork], dropped: list[IPNetwork]) -> list[str]:
    """The fewest CIDRs of what is left, by netaddr; single addresses without their prefix length."""
    return [
        str(one.ip) if one.prefixlen == WIDTH[one.version] else str(one)
        for one in (IPSet(kept) - IPSet(dropped)).iter_cidrs()
    ]


@settings(max_examples=300)
@given(NETWORKS)
def test_union_is_the_fewest_blocks_in_order(kept: list[IPNetwork]) -> None:
    assert [str(block) for block in union(_blocks(kept))] == _oracle(kept, [])


@settings(max_examples=300)
@given(NETWORKS, NETWORKS)
def test_difference_is_the_fewest_blocks_of_what_is_left(kept: list[IPNetwork], dropped: list[IPNetwork]) -> None:
    assert [str(block) for block in difference(_blocks(kept), _blocks(dropped))] == _oracle(kept, dropped)


@given(NETWORKS, NETWORKS)
def test_blocks_are_sorted_and_do_not_overlap(kept: list[IPNetwork], dropped: list[IPNetwork]) -> None:
    found = difference(_blocks(kept), _blocks(dropped))
    for one, following in pairwise(found):
        assert (one.version, one.last) < (following.version, following.first)


OCTETS = st.integers(0, 300).map(str) | st.sampled_from(("", "00", "08", "+1", "1_0", "٣", " 1", "0x1"))
LENGTHS = st.integers(-1, 140).map(str) | OCTETS | st.sampled_from(("255.255.0.0", "0.0.0.255", "ffff::", "8/8"))
ADDRESSES = (
    st.ip_addresses(v=4).map(str)
    | st.ip_addresses(v=6).map(str)
    | st.ip_addresses(v=6).map(lambda address: address.exploded.upper())
    | st.ip_addresses(v=4).map(lambda address: f"::ffff:{address}")
    | st.lists(OCTETS, min_size=1, max_size=5).map(".".join)
    | st.text(st.sampled_from("0123456789abcdef:.%/ \0é"), max_size=20)
)


@settings(max_examples=500)
@given(ADDRESSES | st.builds("{}/{}".format, ADDRESSES, LENGTHS))
def test_text_is_read_as_netaddr_reads_it(text: str) -> None:
    assert _parse(text) == _parse_by_netaddr(text)


def _parse(text: str) -> AddressBlock | None:
    try:
        return AddressBlock.parse(text)
    except ValueError:
        return None


def _parse_by_netaddr(text: str) -> AddressBlock | None:
    try:
        return AddressBlock.of(IPNetwork(text))
    except (AddrFormatError, ValueError):
        return None


@given(networks())
def test_a_block_is_written_as_netaddr_writes_it(network: IPNetwork) -> None:
    block = AddressBlock.of(network)
    assert IPNetwork(str(block)) == network
    assert (block.first, block.last) == (network.first, network.last)
    assert str(block) in {str(network), str(network.ip)}


@given(VERSIONS.flatmap(lambda version: st.lists(networks(st.just(version)), max_size=8)))
def test_an_address_set_of_text_covers_the_same_addresses(given_networks: list[IPNetwork]) -> None:
    one = AddressSet.of("set", map(str, given_networks))
    assert one.addresses == set(_oracle(given_networks, []))
