"""Counters of a chassis, by rule: which flow counts for which row, and what two readings differ by."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from ovnqos import Owner
from ovnqos.plan.snapshot import ActualRow, ActualSet, RowContent, SetContent, SetKind, Snapshot
from ovnqos.southbound.contents import QosFlow, SouthboundContents, SwitchDatapath
from ovnqos.southbound.trace import FlowEffect, Meter
from ovnqos.stats import Counters, MeterState, RuleStatistics, difference, rows_of_pod, rule_statistics
from ovnqos.stats.chassis import FlowCount
from ovnqos.stats.openflow import MeterStatistics

OWNER: Final = Owner()
MATCH: Final = "inport == @group && ip4"


def row(number: int = 1, *, switches: tuple[str, ...] = ("lan",), **changes: Any) -> ActualRow:
    content = RowContent(
        direction="to-lport",
        priority=10400,
        match=MATCH,
        action={"dscp": 20},
        bandwidth={"rate": 5000},
        external_ids=OWNER.stamp(
            f"NetworkQoS/shop/gold/0/{number}", {"ovnqos.io/object": "NetworkQoS/shop/gold", "ovnqos.io/rule": "0"}
        ),
    )
    return ActualRow(uuid=f"{number:08x}-row", content=replace(content, **changes), switches=frozenset(switches))


def flow(
    number: int, stage: str = "ls_out_qos", *, dscp: int | None = 20, rate: int | None = 5000, on: str = "lan"
) -> QosFlow:
    return QosFlow(
        uuid=f"{number:08x}-flow",
        effect=FlowEffect(
            stage=stage, match=MATCH, priority=10400, dscp=dscp, meter=None if rate is None else Meter(rate_kbps=rate)
        ),
        table=6,
        datapaths=frozenset({f"datapath of {on}"}),
        row_hint="",
    )


def southbound(*flows: QosFlow) -> SouthboundContents:
    return SouthboundContents(
        nb_cfg=0,
        stages=frozenset(one.effect.stage for one in flows),
        flows=flows,
        switches={f"uuid of {name}": SwitchDatapath(uuid=f"datapath of {name}") for name in ("lan", "other")},
        chassis=(),
        address_sets={},
        port_groups={},
    )


def snapshot(*rows: ActualRow, foreign: tuple[ActualRow, ...] = (), **changes: Any) -> Snapshot:
    switches = {name: f"uuid of {name}" for name in ("lan", "other", "gone")}
    return Snapshot(owner=OWNER, rows=rows, foreign_rows=foreign, switches=switches, **changes)


def meter(**changes: Any) -> MeterStatistics:
    counted = {"packets": 10, "octets": 1000, "dropped_packets": 4, "dropped_octets": 400, "seconds": 8.0}
    return MeterStatistics(meter=1, flows=1, **{**counted, **changes})


def test_a_limit_counts_what_its_meter_counts() -> None:
    counters = Counters(meters={flow(1).uuid: meter()}, flows={"00000001": FlowCount(packets=9, octets=900)})
    (found,) = rule_statistics(counters, southbound(flow(1)), snapshot(row()))
    assert (found.object, found.rule, found.switches, found.rows) == (
        "NetworkQoS/shop/gold",
        "0",
        ("lan",),
        (row().uuid,),
    )
    assert (found.meter, found.packets, found.dropped_packets) == (MeterState.ACTIVE, 10, 4)
    assert (found.dropped_share, found.bits_per_second) == (0.4, 600.0)


def test_of_two_tables_the_one_of_the_meter_counts() -> None:
    flows = flow(1, "ls_out_qos_mark", rate=None), flow(2, "ls_out_qos_meter", dscp=None)
    counters = Counters(
        meters={flows[1].uuid: meter()}, flows={"00000001": FlowCount(packets=99), "00000002": FlowCount()}
    )
    assert [one.packets for one in rule_statistics(counters, southbound(*flows), snapshot(row()))] == [10]


def test_a_mark_counts_what_its_flows_count() -> None:
    counters = Counters(flows={"00000001": FlowCount(packets=7, octets=70)})
    (found,) = rule_statistics(counters, southbound(flow(1, rate=None)), snapshot(row(bandwidth={})))
    assert (found.meter, found.packets, found.octets, found.seconds) == (MeterState.NO_LIMIT, 7, 70, None)


def test_a_meter_that_the_switch_does_not_have_is_missing() -> None:
    made_and_lost = Counters(meters={flow(1).uuid: None})
    never_made = Counters(flows={"00000001": FlowCount(packets=3)})
    for counters in (made_and_lost, never_made):
        (found,) = rule_statistics(counters, southbound(flow(1)), snapshot(row()))
        assert found.meter is MeterState.MISSING


def test_a_rule_without_flows_here_is_left_out() -> None:
    assert rule_statistics(Counters(), southbound(flow(1)), snapshot(row())) == ()


def test_rows_that_are_alike_on_several_switches_are_one_entry() -> None:
    both = replace(flow(1), datapaths=frozenset({"datapath of lan", "datapath of other"}))
    counters = Counters(meters={both.uuid: meter()})
    rows = row(1, switches=("lan", "gone")), row(2, switches=("other",))
    (found,) = rule_statistics(counters, southbound(both), snapshot(*rows))
    assert (found.switches, found.rows) == (("lan", "other"), tuple(one.uuid for one in rows))


def test_a_row_of_another_rate_or_switch_does_not_count() -> None:
    counters = Counters(meters={flow(1).uuid: meter()})
    others = row(1, bandwidth={"rate": 6000}), row(2, switches=("other",)), row(3, direction="from-lport")
    assert rule_statistics(counters, southbound(flow(1)), snapshot(*others)) == ()


def test_a_foreign_row_is_shown_as_such() -> None:
    counters = Counters(meters={flow(1).uuid: meter()})
    (found,) = rule_statistics(counters, southbound(flow(1)), snapshot(foreign=(row(external_ids={}),)))
    assert (found.foreign, found.object) == (True, "")


def test_most_drops_come_first() -> None:
    rows = row(1), row(2, priority=10401)
    flows = flow(1), replace(flow(2), effect=replace(flow(2).effect, priority=10401))
    counters = Counters(meters={flows[0].uuid: meter(), flows[1].uuid: meter(dropped_packets=5)})
    assert [one.priority for one in rule_statistics(counters, southbound(*flows), snapshot(*rows))] == [10401, 10400]


class TestDifference:
    def one(self, **changes: Any) -> RuleStatistics:
        counters = Counters(meters={flow(1).uuid: meter()})
        (found,) = rule_statistics(counters, southbound(flow(1)), snapshot(row()))
        return replace(found, **changes)

    def test_counts_are_those_in_between(self) -> None:
        (found,) = difference([self.one()], [self.one(packets=30, octets=3000, dropped_packets=9)], seconds=2.0)
        assert (found.packets, found.octets, found.dropped_packets, found.seconds) == (20, 2000, 5, 2.0)

    def test_a_meter_that_was_made_anew_counts_from_its_start(self) -> None:
        (found,) = difference([self.one(packets=50)], [self.one(packets=3, seconds=0.5)], seconds=2.0)
        assert (found.packets, found.seconds) == (3, 0.5)

    def test_a_rule_that_is_gone_is_not_in_it(self) -> None:
        assert difference([self.one()], [], seconds=1.0) == ()


def test_rows_of_a_pod_are_known_by_its_ports() -> None:
    group = ActualSet(
        uuid="g",
        content=SetContent(kind=SetKind.PORT_GROUP, name="group", members=frozenset({"net_shop_web"}), external_ids={}),
    )
    rows = (
        row(1),
        row(2, match='outport == "shop_web"'),
        row(3, match='inport == "web.shop.net1"'),
        row(4, match="ip4"),
        row(5, match='inport == "eshop_web"'),
    )
    found = rows_of_pod(snapshot(*rows, sets={(SetKind.PORT_GROUP, "group"): group}), "shop", "web")
    assert found == {one.uuid for one in rows[:3]}
