"""What a plan says by object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovnqos import AddressSet, DesiredState, Direction, PortGroup, plan_changes
from ovnqos import match as m
from tests.support.database import Database, stored
from tests.support.random_states import OWNER
from tests.support.rows import qos_row

if TYPE_CHECKING:
    from ovnqos import Plan, QosRow

SWITCHES = tuple(f"node{number}" for number in range(7))
GROUP = PortGroup(name="src", ports=frozenset(["a", "b"]))
SHARED = AddressSet.of("dst", [f"10.{number}.0.1" for number in range(30)])


def row_of(name: str, rule: int, *switches: str, dscp: int = 1, group: bool = False) -> QosRow:
    match = m.inport.in_group("src") if group else m.tcp.dst.isin(rule + 1)
    return qos_row(
        switches=switches,
        direction=Direction.TO_LPORT,
        priority=100 + rule,
        match=match,
        dscp=dscp,
        identity=f"{name}/{rule}",
        external_ids={"ovnqos.io/object": name, "ovnqos.io/rule": str(rule)},
    )


def plan_of(before: DesiredState, after: DesiredState) -> Plan:
    return plan_changes(after, stored(before, OWNER, SWITCHES, ("a", "b", "c")).snapshot(OWNER))


def test_an_object_has_a_heading_and_lines_of_equal_switches_once() -> None:
    rows = [row_of("NetworkQoS/shop/gold", 0, *SWITCHES), row_of("NetworkQoS/shop/gold", 1, "node1")]
    plan = plan_of(DesiredState.of(), DesiredState.of(rows=rows))
    assert plan.as_text().splitlines() == [
        "NetworkQoS shop/gold (new): 2 rules on 7 switches",
        "  on 7 switches: node0, node1, node2, node3, node4 and 2 more",
        "    + to-lport   100 (tcp.dst == 1) dscp=1",
        "  on switch node1",
        "    + to-lport   101 (tcp.dst == 2) dscp=1",
    ]
    assert plan.as_text(lines=False) == "NetworkQoS shop/gold (new): 2 rules on 7 switches\n"


def test_what_changes_is_taken_off_and_added_and_what_ends_is_taken_off() -> None:
    before = [row_of("NetworkQoS/shop/gold", 0, "node1", "node2"), row_of("Pod/shop/db", 0, "node1")]
    after = [row_of("NetworkQoS/shop/gold", 0, "node1", "node2", dscp=2)]
    assert plan_of(DesiredState.of(rows=before), DesiredState.of(rows=after)).as_text().splitlines() == [
        "NetworkQoS shop/gold (changed): 1 rule on 2 switches",
        "  on 2 switches: node1, node2",
        "    - to-lport   100 (tcp.dst == 1) dscp=1",
        "    + to-lport   100 (tcp.dst == 1) dscp=2",
        "Pod shop/db (ended): 1 rule on 1 switch",
        "  on switch node1",
        "    - to-lport   100 (tcp.dst == 1) dscp=1",
    ]


def test_a_row_that_moves_is_shown_where_it_comes_and_goes() -> None:
    before, after = (row_of("Pod/shop/db", 0, "node1", switch) for switch in ("node2", "node3"))
    assert plan_of(DesiredState.of(rows=[before]), DesiredState.of(rows=[after])).as_text().splitlines()[1:] == [
        "  on switch node2",
        "    - to-lport   100 (tcp.dst == 1) dscp=1",
        "  on switch node3",
        "    + to-lport   100 (tcp.dst == 1) dscp=1",
    ]


def test_a_set_is_told_with_the_object_that_uses_it_and_a_shared_one_for_all() -> None:
    gold, lead = (row_of(f"NetworkQoS/shop/{name}", 0, "node1", group=True) for name in ("gold", "lead"))
    alone = DesiredState.of(rows=[gold], port_groups=[GROUP])
    more = DesiredState.of(rows=[gold], port_groups=[PortGroup(name="src", ports=frozenset(["b", "c"]))])
    assert plan_of(alone, more).as_text().splitlines() == [
        "NetworkQoS shop/gold (changed): members of 1 set",
        "  port group src: set/src",
        "    - 1 member: a",
        "    + 1 member: c",
    ]
    both = plan_of(DesiredState.of(), DesiredState.of(rows=[gold, lead], port_groups=[GROUP])).as_text().splitlines()
    assert both[-3:] == [
        "sets of several objects, or of none: members of 1 set",
        "  new port group src: set/src",
        "    + 2 members: a, b",
    ]


def test_twenty_members_are_named_and_the_others_counted() -> None:
    text = plan_of(DesiredState.of(), DesiredState.of(address_sets=[SHARED])).as_text()
    assert text.endswith("10.18.0.1, 10.19.0.1 and 10 more\n")
    assert "+ 30 members: 10.0.0.1, 10.1.0.1" in text


def test_no_changes_are_no_text() -> None:
    empty = Database(rows={}, sets={}, switches=frozenset(), ports=frozenset())
    assert plan_changes(DesiredState.of(), empty.snapshot(OWNER)).as_text() == ""
