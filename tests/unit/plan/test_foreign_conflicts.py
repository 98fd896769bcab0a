"""Everybody else's rows beside ours."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ovnqos import Code, DesiredState, Direction, PortGroup, QosRow, Snapshot
from ovnqos import match as m
from ovnqos.controller import (
    ActualRow,
    ActualSet,
    RowContent,
    SetContent,
    SetKind,
    describe_conflicts,
    find_foreign_conflicts,
    upstream_rows,
)

GROUP = PortGroup(name="senders", ports=frozenset({"vm1"}))
ROW = QosRow(
    switches=frozenset({"lan", "wan"}),
    direction=Direction.TO_LPORT,
    priority=10_400,
    match=m.inport.in_group("senders") & m.ip4.dst.isin("10.0.0.0/8"),
    dscp=1,
    identity="NetworkQoS/shop/gold/0/default",
)
DESIRED = DesiredState.of(rows=[ROW], port_groups=[GROUP])
FOREIGN_SETS = {
    (kind, name): ActualSet(
        uuid="s", content=SetContent(kind=kind, name=name, members=frozenset(members), external_ids={})
    )
    for kind, name, members in (
        (SetKind.PORT_GROUP, "theirs", {"vm1", "vm2"}),
        (SetKind.PORT_GROUP, "others", {"vm3"}),
        (SetKind.ADDRESS_SET, "theirs", {"192.0.2.1"}),
    )
}


def foreign(
    match: str,
    *,
    priority: int = 10_400,
    direction: str = "to-lport",
    switch: str = "lan",
    owner: dict[str, str] | None = None,
) -> ActualRow:
    content = RowContent(
        direction=direction, priority=priority, match=match, action={"dscp": 2}, bandwidth={}, external_ids=owner or {}
    )
    return ActualRow(uuid="u", content=content, switches=frozenset({switch}))


@pytest.mark.parametrize(
    ("row", "meets"),
    [
        (foreign("ip4.dst == 10.1.0.0/16"), True),
        (foreign('inport == "vm1"'), True),
        (foreign('inport == "vm2"'), False),
        (foreign("ip4.dst == 192.168.0.0/16"), False),
        (foreign("ip4.dst == 10.1.0.0/16", priority=10_402), False),
        (foreign("ip4.dst == 10.1.0.0/16", direction="from-lport"), False),
        (foreign("ip4.dst == 10.1.0.0/16", switch="other"), False),
        (foreign("this does not parse &&"), True),
        (foreign("inport == @theirs"), True),
        (foreign("inport == @others"), False),
        (foreign("ip4.dst == $theirs"), False),
        (foreign("ip4.src == $theirs_ip4"), True),  # northd makes it from the group; its members are not known here
        (foreign("ip4.src == $missing"), False),
    ],
)
def test_a_row_of_equal_priority_that_may_match_the_same_packet_is_found(row: ActualRow, meets: bool) -> None:
    found = find_foreign_conflicts(DESIRED, Snapshot(foreign_rows=(row,), foreign_sets=FOREIGN_SETS))
    assert [(one.identity, one.switches, one.row) for one in found] == (
        [(ROW.identity, frozenset({"lan"}), row)] if meets else []
    )


def test_rows_of_ovn_kubernetes_own_controller_are_known() -> None:
    theirs = foreign("ip4", owner={"k8s.ovn.org/owner-type": "NetworkQoS", "k8s.ovn.org/name": "shop:gold"})
    other = foreign("ip4", owner={"k8s.ovn.org/owner-type": "EgressQoS"})
    assert upstream_rows(Snapshot(foreign_rows=(theirs, other))) == (theirs,)


def test_conflicts_are_told_once_an_object_and_rows_of_no_object_are_not() -> None:
    gold = replace(ROW, external_ids={"ovnqos.io/object": "NetworkQoS/shop/gold"})
    limit = replace(gold, identity="Pod/shop/a/egress", external_ids={"ovnqos.io/object": "Pod/shop/a"})
    desired = DesiredState.of(rows=[gold, limit, replace(ROW, identity="neighbour-discovery/x")], port_groups=[GROUP])
    rows = [
        replace(foreign("ip4"), uuid="1", switches=frozenset({"lan", "wan"})),
        replace(foreign("udp"), uuid="2"),
        foreign("ip4", priority=77, owner={"k8s.ovn.org/owner-type": "NetworkQoS", "k8s.ovn.org/name": "shop:gold"}),
    ]
    found = describe_conflicts(desired, Snapshot(foreign_rows=tuple(rows), foreign_sets=FOREIGN_SETS))
    assert [(str(one.object), one.code) for one in found] == [
        ("NetworkQoS shop/gold", Code.SECOND_CONTROLLER),
        ("NetworkQoS shop/gold", Code.FOREIGN_CONFLICT),
        ("Pod shop/a", Code.FOREIGN_CONFLICT),
    ]
    words = "conflicts with foreign row to-lport 10400 (ip4) dscp=2 on switch lan and 1 more, and with 1 more row: "
    assert {one.text for one in found[1:]} == {words + "equal priority and overlapping matches"}
