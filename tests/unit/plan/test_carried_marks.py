"""What a foreign row does to packets that a row of ours takes: its mark is carried, all else is told."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ovnqos import (
    Bandwidth,
    Code,
    Compiler,
    OvnKubernetesTopology,
    Owner,
    PodQos,
    PortMatch,
    Protocol,
    Severity,
    plan_changes,
)
from ovnqos.controller import NetworkTopology
from ovnqos.model.networks import NetworkRole
from ovnqos.plan.foreign import carry_marks
from ovnqos.plan.snapshot import ActualRow, RowContent, Snapshot
from tests.support.cluster import attachment, compiled, pod, policy, rule
from tests.support.database import Database, apply, stored

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovnqos import DesiredState, QosRow

SERVED = "ip4.src == $served && ct.trk && ct.rpl"
LIMITED = replace(pod("client", "10.0.0.1"), qos=PodQos(egress=Bandwidth(rate_kbps=3000, burst_kbit=300)))
EGRESS = "Pod/shop/client/egress"
FLAT = attachment("shop/main", "10.3.0.0/16", topology=NetworkTopology.LAYER2, role=NetworkRole.PRIMARY)
ON_FLAT = pod("client", networks={"shop/main": ["10.3.0.1"]})
SWITCH = "main_ovn_layer2_switch"
TCP = (PortMatch(protocol=Protocol.TCP),)


def _foreign(
    match: str = SERVED,
    action: Mapping[str, int] | None = None,
    *,
    switches: tuple[str, ...] = ("node1",),
    direction: str = "from-lport",
    priority: int = 103,
    uuid: str = "foreign",
) -> ActualRow:
    content = RowContent(
        direction=direction,
        priority=priority,
        match=match,
        action={"mark": 42} if action is None else action,
        bandwidth={},
        external_ids={"k8s.ovn.org/owner-type": "EgressIP"},
    )
    return ActualRow(uuid=uuid, content=content, switches=frozenset(switches))


def _carried(desired: DesiredState, *foreign: ActualRow) -> dict[str, QosRow]:
    """By the identity of the row that they are for, the further rows."""
    found = carry_marks(desired, Snapshot(foreign_rows=foreign)).rows.values()
    return {row.external_ids["ovnqos.io/beside"]: row for row in found}


def test_a_limit_carries_the_mark_of_a_foreign_row_below_it() -> None:
    desired = compiled([], LIMITED).desired()
    (row,) = _carried(desired, _foreign()).values()
    assert row.action == {"mark": 42}
    assert row.bandwidth == {"rate": 3000, "burst": 300}
    assert str(row.match) == f'inport == "shop_client" && ip && {SERVED}'
    assert row.priority == desired.rows[EGRESS].priority + 1
    assert row.external_ids["ovnqos.io/object"] == "Pod/shop/client"


def test_rows_of_policies_carry_it_in_their_own_order() -> None:
    low, high = policy(rule(10), name="low", priority=1), policy(rule(20, ports=TCP), name="high", priority=2)
    limited = replace(ON_FLAT, qos=PodQos(egress=Bandwidth(rate_kbps=3000)))
    desired = compiled([low, high], limited, FLAT).desired()
    carried = _carried(desired, _foreign(switches=(SWITCH,)))
    assert carried.keys() == desired.rows.keys()
    assert [row.dscp for row in sorted(carried.values(), key=lambda row: row.priority)] == [10, 10, 20]
    assert all(row.priority > max(one.priority for one in desired.rows.values()) for row in carried.values())
    by_priority = sorted(desired.rows, key=lambda identity: desired.rows[identity].priority)
    assert by_priority == sorted(carried, key=lambda identity: carried[identity].priority)


def test_what_stays_in_to_lport_or_on_its_switch_carries_nothing() -> None:
    server = replace(pod("server", "10.0.0.9"), qos=PodQos(ingress=Bandwidth(rate_kbps=9)))
    desired = compiled(policy(rule(5, rate=100)), pod("client", "10.0.0.1", "fd00::1"), server).desired()
    assert len(desired.rows) > 2
    assert not _carried(desired, _foreign())


@pytest.mark.parametrize(
    "foreign",
    [
        _foreign(priority=5001),
        _foreign(switches=("node2",)),
        _foreign(direction="to-lport"),
        _foreign('inport == "shop_other" && ip4'),
        _foreign(action={"dscp": 3}),
    ],
    ids=["above", "on another switch", "in the other direction", "of another port", "without a mark"],
)
def test_other_foreign_rows_are_not_carried(foreign: ActualRow) -> None:
    assert not _carried(compiled([], LIMITED).desired(), foreign)


def test_rows_with_one_mark_are_carried_by_one_row_and_a_row_a_node_by_one_for_all_nodes() -> None:
    desired = compiled([], LIMITED).desired()
    (both,) = _carried(desired, _foreign(), _foreign(SERVED.replace("4", "6"), uuid="v6")).values()
    assert str(both.match) == f'inport == "shop_client" && ip && (({SERVED}) || ({SERVED.replace("4", "6")}))' or (
        str(both.match).count("ct.rpl") == 2
    )
    flat = compiled(policy(rule(1)), pod("a", "10.0.0.1"), pod("b", "10.0.0.2", node="node2"), ON_FLAT, FLAT).desired()
    rows = [replace(row, switches=frozenset({"x", "y"})) for row in flat.rows.values() if "layer2" in row.identity]
    alike = [_foreign(switches=(switch,), uuid=switch) for switch in ("x", "y")]
    wide = replace(flat, rows={row.identity: row for row in rows})
    assert [row.switches for row in _carried(wide, *alike).values()] == [{"x", "y"}]


def test_of_two_marks_the_higher_is_carried_and_the_other_told() -> None:
    found = carry_marks(
        compiled([], LIMITED).desired(),
        Snapshot(foreign_rows=(_foreign(), _foreign("ip4", {"mark": 7}, priority=200, uuid="other"))),
    )
    assert [row.mark for row in found.rows.values()] == [7]
    (told,) = found.diagnostics
    assert (str(told.object), told.code, told.severity) == (
        "Pod shop/client",
        Code.FOREIGN_ROW_SHADOWED,
        Severity.WARNING,
    )
    assert SERVED in told.text


@pytest.mark.parametrize(
    ("foreign", "severity"),
    [(_foreign("ip4 && ("), Severity.WARNING), (_foreign("ip4", {"dscp": 3}), Severity.INFO)],
    ids=["a match that cannot be read", "a DSCP"],
)
def test_what_cannot_be_carried_is_told(foreign: ActualRow, severity: Severity) -> None:
    found = carry_marks(compiled([], LIMITED).desired(), Snapshot(foreign_rows=(foreign,)))
    assert not found.rows
    assert [(str(one.object), one.severity) for one in found.diagnostics] == [("Pod shop/client", severity)]


def _database(desired: DesiredState) -> Database:
    return stored(desired, Owner(), {"node1"}, {"shop_client"})


def _with(database: Database, *foreign: ActualRow) -> Snapshot:
    return replace(database.snapshot(Owner()), foreign_rows=foreign)


def test_a_plan_adds_them_keeps_them_and_removes_them_and_no_limit_ends() -> None:
    compiler = Compiler.of([LIMITED], OvnKubernetesTopology())
    desired = replace(compiler.desired(), scope=None)
    plan = plan_changes(desired, _with(_database(desired), _foreign()))
    assert "mark=42" in plan.as_diff()
    assert '"mark"=42' in plan.as_nbctl()
    after = apply(plan.changes, _database(desired))
    assert len(after.rows) == len(desired.rows) + 1
    assert plan_changes(desired, _with(after, _foreign())).is_empty
    gone = plan_changes(desired, _with(after))
    assert len(gone.changes) == 1
    assert not gone.ended
    without = plan_changes(replace(desired, rows={}), _with(after, _foreign()))
    assert not apply(without.changes, after).rows
