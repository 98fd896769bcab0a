"""Everybody else's rows beside ours."""

from __future__ import annotations

import pytest

from ovnqos import DesiredState, Direction, PortGroup, QosRow, Snapshot
from ovnqos import match as m
from ovnqos.controller import (
    ActualRow,
    ActualSet,
    RowContent,
    SetContent,
    SetKind,
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
    assert [(one.identity, one.switch, one.row) for one in found] == ([(ROW.identity, "lan", row)] if meets else [])


def test_rows_of_ovn_kubernetes_own_controller_are_known() -> None:
    theirs = foreign("ip4", owner={"k8s.ovn.org/owner-type": "NetworkQoS", "k8s.ovn.org/name": "shop:gold"})
    other = foreign("ip4", owner={"k8s.ovn.org/owner-type": "EgressQoS"})
    assert upstream_rows(Snapshot(foreign_rows=(theirs, other))) == (theirs,)
