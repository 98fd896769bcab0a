"""`ovnqos list` on rows as they are in a real Northbound."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ovnqos import DesiredState, Direction, Northbound, QosRow, match, plan_changes
from tests.functional.support_command import ovnqos
from tests.functional.support_database import add_row, dump, wire
from tests.functional.support_manifests import pod, policy, rule, write
from tests.functional.support_states import OTHERS

if TYPE_CHECKING:
    from pathlib import Path

    from ovnqos.sandbox import NorthboundServer

TCP = [{"protocol": "TCP"}]  # goes to no groups of receivers, so that a limit has one row
HEADER = ["OBJECT", "RULE", "NETWORK", "SWITCH", "DIRECTION", "PRIORITY", "DSCP", "RATE", "BURST"]
WIDE = [*HEADER, "OWNER", "UUID", "MATCH"]


@pytest.fixture
def server(northbound: NorthboundServer, tmp_path: Path) -> NorthboundServer:
    """A Northbound with rows of two policies, and rows of others."""
    wire(northbound, ["node1", "node2"], ["shop_a", "shop_b"])
    for other in OTHERS:
        add_row(northbound, ["node1"], **other)
    gold = policy("gold", rule(0, bandwidth={"rate": 1000}, ports=TCP), rule(46, ports=[{**TCP[0], "port": 443}]))
    lead = policy(
        "lead", rule(8, bandwidth={"rate": 5, "burst": 6}, ports=TCP), podSelector={"matchLabels": {"app": "web"}}
    )
    pods = [pod("a", "10.0.0.1", labels={"app": "web"}), pod("b", "10.0.0.2", node="node2")]
    write(tmp_path / "all.yaml", gold, lead, *pods)
    assert ovnqos("apply", "-f", tmp_path, "--nb", northbound.remote).code == 0
    return northbound


def test_the_table_has_a_line_for_each_row_and_switch(server: NorthboundServer) -> None:
    before = server.file.read_bytes()
    ended = ovnqos("list", "-o", "wide", "--nb", server.remote)
    assert (ended.code, ended.err) == (0, "")
    assert server.file.read_bytes() == before

    lines = [line.split(maxsplit=11) for line in ended.out.splitlines()]
    assert lines[0] == WIDE
    gold, lead = "NetworkQoS/shop/gold", "NetworkQoS/shop/lead"
    assert [line[:9] for line in lines[1:]] == [
        [gold, "0", "default", "node1", "to-lport", "10400", "0", "1000", "-"],
        [gold, "0", "default", "node2", "to-lport", "10400", "0", "1000", "-"],
        [gold, "1", "default", "node1", "to-lport", "10402", "46", "-", "-"],
        [gold, "1", "default", "node2", "to-lport", "10402", "46", "-", "-"],
        [lead, "0", "default", "node1", "to-lport", "10400", "8", "5", "6"],
    ]
    listed = server.nbctl("qos-list", "node2")
    assert all(f"({line[11]})" in listed for line in lines[1:] if line[3] == "node2")
    assert {line[9] for line in lines[1:]} == {"ovnqos"}

    narrow = ovnqos("list", "--nb", server.remote).out.splitlines()
    assert narrow[0].split() == HEADER
    assert "ovnqos_" not in "".join(narrow)  # no names of sets


def test_columns_are_aligned(server: NorthboundServer) -> None:
    lines = ovnqos("list", "--all", "--nb", server.remote).out.splitlines()
    for title in HEADER:
        at = lines[0].index(title)
        assert all(line[at - 2 : at].isspace() for line in lines if at)
    assert all(line == line.rstrip() for line in lines)


def test_rows_of_others_are_shown_on_request_without_an_object(server: NorthboundServer) -> None:
    shown = ovnqos("list", "--all", "--nb", server.remote).out.splitlines()
    foreign = [line.split(maxsplit=9) for line in shown if line.startswith("- ")]
    assert sorted(int(line[5]) for line in foreign) == sorted(other["priority"] for other in OTHERS)
    assert len(shown) == 1 + 5 + len(OTHERS)


def test_json_has_what_a_program_needs(server: NorthboundServer) -> None:
    document = json.loads(ovnqos("list", "-o", "json", "--nb", server.remote).out)
    assert document["format"] == "ovnqos.io/rows/v1"
    records = document["rows"]
    assert len(records) == 5
    first = records[0]
    row = dump(server)["QoS"][first["uuid"]]
    assert first == {
        "object": "NetworkQoS/shop/gold",
        "rule": "0",
        "network": "default",
        "switch": "node1",
        "direction": "to-lport",
        "priority": 10400,
        "dscp": 0,
        "mark": None,
        "rate": 1000,
        "burst": None,
        "owner": "ovnqos",
        "match": row["match"],
        "uuid": first["uuid"],
    }
    everyone = json.loads(ovnqos("list", "-a", "-o", "json", "--nb", server.remote).out)["rows"]
    assert len(everyone) == 5 + len(OTHERS)
    owners = {one["priority"]: one["owner"] for one in everyone if one["object"] is None}
    assert owners == {
        999: "ovn-kubernetes EgressQoS",
        103: "ovn-kubernetes EgressIP",
        2002: "neutron",
        5: None,
        10_000: "another",
    }


def test_rows_of_the_lower_level_have_no_object(northbound: NorthboundServer) -> None:
    wire(northbound, ["lan"])
    row = QosRow(switches=frozenset({"lan"}), direction=Direction.FROM_LPORT, priority=1, match=match.ip4, rate_kbps=9)
    with Northbound.connect(northbound.remote) as client:
        client.apply(plan_changes(DesiredState.of(rows=[row]), client.snapshot()))
    line = ovnqos("list", "--nb", northbound.remote).out.splitlines()[1]
    assert line.split() == ["-", "-", "-", "lan", "from-lport", "1", "-", "9", "-", "owner", "ovnqos:", "ip4"]


def test_another_owner_has_no_rows_and_an_empty_json_list(server: NorthboundServer) -> None:
    table = ovnqos("list", "--owner", "nobody", "--nb", server.remote)
    assert (table.code, table.out, table.err) == (0, "", "no rows\n")
    assert json.loads(ovnqos("list", "--owner", "nobody", "-o", "json", "--nb", server.remote).out)["rows"] == []


def test_upstream_rows_are_listed_with_their_objects(northbound: NorthboundServer) -> None:
    wire(northbound, ["node1"])
    add_row(
        northbound,
        ["node1"],
        action={"dscp": 20},
        external_ids={
            "k8s.ovn.org/owner-type": "NetworkQoS",
            "k8s.ovn.org/name": "shop:gold",
            "k8s.ovn.org/network": "blue",
            "rule-index": "3",
        },
    )
    ended = ovnqos("list", "--all", "--nb", northbound.remote)
    assert ended.out.splitlines()[1].split()[:3] == ["NetworkQoS/shop/gold", "3", "blue"]
