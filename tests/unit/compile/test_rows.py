"""Rows, groups and sets of the lower level: what is taken and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from ovnqos import AddressSet, DesiredState, Direction, PortGroup
from ovnqos import match as m
from ovnqos.controller import InvalidRow
from tests.support.rows import qos_row


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"priority": 0}, "priority: 0 is out of range; use 1 to 32767"),
        ({"priority": -1}, "priority: -1 is out of range"),
        ({"priority": 32_768}, "priority: 32768 is out of range"),
        ({"dscp": 64}, "dscp: 64 is out of range; use 0 to 63"),
        ({"dscp": -1}, "dscp: -1 is out of range"),
        ({"rate_kbps": 0}, "rate_kbps: 0 is out of range; use 1 to 4294967295"),
        ({"rate_kbps": 4_294_967_296}, "rate_kbps: 4294967296 is out of range"),
        ({"rate_kbps": 1, "burst_kbit": 0}, "burst_kbit: 0 is out of range"),
        ({"rate_kbps": 1, "burst_kbit": 4_294_967_296}, "burst_kbit: 4294967296 is out of range"),
        ({"burst_kbit": 100}, "burst_kbit: needs rate_kbps"),
        ({"switches": frozenset()}, "switches: name at least one"),
        ({"dscp": None}, "dscp, rate_kbps, mark: give at least one"),
    ],
)
def test_what_ovn_would_drop_or_not_obey_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidRow, match=words):
        qos_row(**changes)
    with pytest.raises(ValueError, match=words):
        qos_row(**changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"priority": 1},
        {"priority": 32_767},
        {"dscp": 0},
        {"dscp": 63},
        {"dscp": None, "rate_kbps": 1},
        {"rate_kbps": 4_294_967_295, "burst_kbit": 4_294_967_295},
        {"rate_kbps": 1, "burst_kbit": 1},
    ],
)
def test_the_ends_of_the_ranges_are_taken(changes: dict[str, Any]) -> None:
    row = qos_row(**changes)
    assert {name: getattr(row, name) for name in changes} == changes


def test_columns_hold_what_is_given_and_no_more() -> None:
    assert (qos_row(dscp=0).action, qos_row(dscp=0).bandwidth) == ({"dscp": 0}, {})
    assert (qos_row(dscp=None, rate_kbps=5).action, qos_row(rate_kbps=5).bandwidth) == ({}, {"rate": 5})
    assert qos_row(rate_kbps=5, burst_kbit=7).bandwidth == {"rate": 5, "burst": 7}


def test_a_match_that_python_made_a_bool_is_refused() -> None:
    port: Any = m.tcp.dst
    with pytest.raises(InvalidRow, match="isin"):
        qos_row(match=port == 80)


def test_switches_may_be_any_collection() -> None:
    assert qos_row(switches=["a", "b", "a"]).switches == {"a", "b"}


def test_an_identity_that_is_not_given_follows_from_direction_priority_and_match() -> None:
    row = qos_row()
    assert row.identity.startswith("row/")
    assert qos_row(dscp=20, rate_kbps=9, switches=["other"], external_ids={"a": "b"}).identity == row.identity
    for changes in ({"direction": Direction.TO_LPORT}, {"priority": 1}, {"match": m.inport("vm2")}):
        assert qos_row(**changes).identity != row.identity
    assert qos_row(identity="mine").identity == "mine"


@pytest.mark.parametrize("make", [PortGroup, AddressSet])
@pytest.mark.parametrize("name", ["", "1a", "a-b", "a b", "é"])
def test_a_name_that_ovn_cannot_read_is_refused(make: type[PortGroup] | type[AddressSet], name: str) -> None:
    members: dict[str, Any] = {"ports" if make is PortGroup else "addresses": frozenset()}
    with pytest.raises(InvalidRow, match="cannot name"):
        make(name=name, **members)


def test_an_identity_of_a_set_is_its_name_unless_given() -> None:
    assert PortGroup(name="g", ports=frozenset()).identity == "set/g"
    assert AddressSet(name="s", addresses=frozenset(), identity="mine").identity == "mine"


def test_families_are_not_mixed_in_a_set() -> None:
    with pytest.raises(InvalidRow, match="must not share a set"):
        AddressSet(name="s", addresses=frozenset(("10.0.0.1", "fd00::1")))
    with pytest.raises(InvalidRow, match="must not share a set"):
        AddressSet.of("s", ["10.0.0.1", "fd00::1"])


def test_a_set_of_addresses_is_canonical_and_small() -> None:
    assert AddressSet.of("s", ["10.0.0.0/25", "10.0.0.128/25", "10.0.0.7", "192.0.2.9/32"]).addresses == {
        "10.0.0.0/24",
        "192.0.2.9",
    }
    assert AddressSet.of("s", ["FD00:0::1", "fd00::/127"]).addresses == {"fd00::/127"}
    assert AddressSet.of("s", []).addresses == frozenset()


@pytest.mark.parametrize("text", ["banana", "10.0.0.0/33", "10.0.0", "", "fe80::1%eth0"])
def test_text_that_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidRow, match="address set s: "):
        AddressSet.of("s", ["10.0.0.1", text])


def test_desired_state_is_indexed_by_identity_and_name() -> None:
    row, group = qos_row(identity="a"), PortGroup(name="g", ports=frozenset())
    one = AddressSet(name="s", addresses=frozenset())
    state = DesiredState.of(
        rows=[row, row], port_groups=[group, group], address_sets=[one], retained=["NetworkQoS/a/b"]
    )
    assert (state.rows, state.port_groups, state.address_sets) == ({"a": row}, {"g": group}, {"s": one})
    assert state.retained == {"NetworkQoS/a/b"}


def test_two_things_of_one_name_are_refused() -> None:
    for given, words in (
        ({"rows": [qos_row(identity="a"), qos_row(identity="a", dscp=11)]}, "QoS row 'a' is given twice"),
        ({"port_groups": [PortGroup(name="g", ports=frozenset(ports)) for ports in ("a", "b")]}, "port group 'g'"),
        ({"address_sets": [AddressSet.of("s", [text]) for text in ("10.0.0.1", "10.0.0.2")]}, "address set 's'"),
    ):
        arguments: dict[str, Any] = given
        with pytest.raises(InvalidRow, match=words):
            DesiredState.of(**arguments)
