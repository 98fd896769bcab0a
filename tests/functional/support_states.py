"""Random desired states, and Northbounds that other people work in too."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from ovnqos import AddressSet, DesiredState, Direction, Owner, PortGroup, QosRow, match
from ovnqos.sandbox import NorthboundServer
from tests.functional.support_database import (
    OWNER_KEY,
    Row,
    add_row,
    add_set,
    as_map,
    bindings,
    dump,
    unbind,
    update,
    wire,
)
from tests.support import random_clusters as make
from tests.support.cluster import compiled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from random import Random

OURS = Owner()
OTHERS: Sequence[dict[str, Any]] = (
    {
        "direction": "to-lport",
        "priority": 999,
        "match": "ip4.src == $a1234 && ip4.dst == 1.2.3.4/32",
        "action": {"dscp": 40},
        "external_ids": {"k8s.ovn.org/owner-type": "EgressQoS", "k8s.ovn.org/owner-controller": "default"},
    },
    {
        "direction": "from-lport",
        "priority": 103,
        "match": "ip4.src == $a99 && tcp",
        "action": {"dscp": 1},
        "external_ids": {"k8s.ovn.org/owner-type": "EgressIP"},
    },
    {
        "direction": "from-lport",
        "priority": 2002,
        "match": 'inport == "8b4b1f6e"',
        "bandwidth": {"rate": 1000, "burst": 800},
        "external_ids": {"neutron:port_id": "8b4b1f6e"},
    },
    {"direction": "to-lport", "priority": 5, "match": "ip4", "action": {"dscp": 3}, "external_ids": {}},
    {
        "direction": "to-lport",
        "priority": 10000,
        "match": "ip6",
        "action": {"dscp": 4},
        "external_ids": {OWNER_KEY: "another", "ovnqos.io/id": "NetworkQoS/shop/gold/0/default"},
    },
)
"""Rows of other writers, without their switches."""

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12) | st.sampled_from(
    [
        "",
        " ",
        "'",
        '"',
        "\\",
        "$HOME",
        "`id`",
        "a=b",
        "{a,b}",
        "[]",
        "-x",
        "ü 道 💡",
        "line\nbreak",
        "tab\t",
        "a,b",
        "!",
    ]
)
words = st.sampled_from(["lan", "wan", "a b", "it's", 'say "hi"', "äß", "-dash", "10", "abcd", "x=y,z"])
set_names = st.sampled_from(["one", "two_v4", "_3", "abcd", "dead.beef"])
matches = st.sampled_from(
    [
        match.ip4,
        match.inport('it\'s a "port"'),
        match.ip4.dst.in_set("one"),
        match.inport.in_group("two_v4"),
        match.Verbatim("ip4 &&  道"),
    ]
) | st.integers(1, 65535).map(match.tcp.dst.isin)
addresses = st.frozensets(st.integers(0, 9).map(lambda host: f"10.0.0.{host}") | st.just("10.1.0.0/16"), max_size=4)


@st.composite
def qos_rows(draw: st.DrawFn) -> QosRow:
    rate = draw(st.none() | st.integers(1, 2**32 - 1))
    return QosRow(
        switches=draw(st.frozensets(words, min_size=1, max_size=3)),
        direction=draw(st.sampled_from(Direction)),
        priority=draw(st.integers(1, 32767)),
        match=draw(matches),
        dscp=draw(st.integers(0, 63) if rate is None else st.none() | st.integers(0, 63)),
        rate_kbps=rate,
        burst_kbit=draw(st.none() | st.integers(1, 2**32 - 1)) if rate else None,
        identity=draw(st.sampled_from(["a", "b", "c d", "e'f", 'g"h', "i\\j", "道"])),
        external_ids=draw(st.dictionaries(texts, texts, max_size=3)),
    )


@st.composite
def states(draw: st.DrawFn) -> DesiredState:
    """Desired states in OVN's own terms, close enough together that one often changes the other."""
    labels = st.dictionaries(texts, texts, max_size=2)
    groups = st.builds(PortGroup, name=set_names, ports=st.frozensets(words, max_size=4), external_ids=labels)
    sets = st.builds(AddressSet, name=set_names, addresses=addresses, external_ids=labels)
    return DesiredState.of(
        rows=draw(st.lists(qos_rows(), max_size=5, unique_by=lambda row: row.identity)),
        port_groups=draw(st.lists(groups, max_size=3, unique_by=lambda one: one.name)),
        address_sets=draw(st.lists(sets, max_size=3, unique_by=lambda one: one.name)),
    )


def compiled_state(random: Random) -> DesiredState:
    """What random policies in a random cluster compile to."""
    cluster = make.cluster(random)
    return compiled(make.policies(random), *cluster.objects, nodes=cluster.zone_nodes).desired()


compiled_states = make.RANDOMS.map(lambda random: replace(compiled_state(random), scope=None))
"""Complete ones: what is not desired goes."""


@contextmanager
def inhabited(data: st.DataObject, *generations: DesiredState) -> Iterator[NorthboundServer]:
    """A Northbound with most of the switches and ports that are wanted, and with rows and sets of others."""
    switches = {name for one in generations for row in one.rows.values() for name in row.switches}
    ports = {name for one in generations for group in one.port_groups.values() for name in group.ports}
    absent = (
        data.draw(st.frozensets(st.sampled_from(sorted(switches | ports)), max_size=2)) if switches else frozenset()
    )
    present = sorted(switches - absent) or ["elsewhere"]
    with NorthboundServer() as server:
        wire(server, present, ports - absent)
        for other in OTHERS:
            add_row(server, data.draw(st.lists(st.sampled_from(present), min_size=1, unique=True)), **other)
        add_set(server, "Address_Set", name="others", addresses={"10.0.0.1", "10.0.0.2"}, external_ids={"a": "b"})
        add_set(server, "Port_Group", name="others", external_ids={OWNER_KEY: "another", "ovnqos.io/id": "x"})
        yield server


def damage(data: st.DataObject, server: NorthboundServer) -> None:
    """What people do to our rows and sets by hand."""
    found = dump(server)
    bound = bindings(found)
    for uuid, row in found["QoS"].items():
        if OURS.owns(as_map(row["external_ids"])):
            _damage_row(
                data.draw(st.sampled_from(("", "", "edit", "unbind", "double", "rename", "swap"))),
                server,
                uuid,
                row,
                bound[uuid],
            )
    for table, column in (("Port_Group", "ports"), ("Address_Set", "addresses")):
        for uuid, row in found[table].items():
            if OURS.owns(as_map(row["external_ids"])):
                match data.draw(st.sampled_from(("", "", "empty", "wipe", "label"))):
                    case "empty":
                        update(server, table, uuid, **{column: frozenset()})
                    case "wipe":
                        update(server, table, uuid, external_ids={})
                    case "label":
                        update(server, table, uuid, external_ids={OWNER_KEY: OURS.name, "x": "y"})


def _damage_row(how: str, server: NorthboundServer, uuid: str, row: Row, switches: set[str]) -> None:
    match how:
        case "edit":
            update(server, "QoS", uuid, bandwidth={"rate": 1, "burst": 2}, priority=7)
        case "unbind":
            unbind(server, min(switches), uuid)
        case "double":
            add_row(server, switches, **row)
        case "rename":
            update(server, "QoS", uuid, external_ids={OWNER_KEY: OURS.name})
        case "swap":
            unbind(server, min(switches), add_row(server, switches, **row))
