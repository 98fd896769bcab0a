"""Totals of limits over time, on a real Northbound and the Southbound that northd makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import pytest

from ovnqos import DesiredState, Direction, Northbound, Owner, QosRow, match, plan_changes
from ovnqos.errors import NorthboundUnavailable
from ovnqos.sandbox import Central
from ovnqos.stats import Counters, LocalChassis, MeteredRule, RuleTotals, Totals
from ovnqos.stats.openflow import MeterStatistics

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

GOLD: Final = MeteredRule("NetworkQoS", "shop", "gold", "0", "to-lport", "net")
IDS: Final = {"ovnqos.io/object": "NetworkQoS/shop/gold", "ovnqos.io/rule": "0", "ovnqos.io/network": "net"}


class FakeChassis:
    """A chassis that has counted what the test says."""

    def __init__(self) -> None:
        self.meters: dict[str, MeterStatistics | None] = {}

    def read(self, _stages: Iterable[Iterable[str]]) -> Counters:
        return Counters(meters=dict(self.meters))


def meter(packets: int, dropped: int = 0) -> MeterStatistics:
    return MeterStatistics(
        meter=1,
        flows=1,
        packets=packets,
        octets=packets * 100,
        dropped_packets=dropped,
        dropped_octets=dropped * 100,
        seconds=1.0,
    )


@pytest.fixture(scope="module")
def central() -> Iterator[Central]:
    """A Northbound with rows of ours on two switches and a foreign one, and its Southbound."""
    with Central() as running:
        running.nbctl("ls-add", "lan", "--", "ls-add", "other")
        running.nbctl("lsp-add", "lan", "shop_web", "--", "lsp-add", "other", "shop_db")
        running.nbctl("qos-add", "lan", "to-lport", "7", "ip4", "rate=7000")
        rows = [
            QosRow(
                switches=frozenset({switch}),
                direction=Direction.TO_LPORT,
                priority=2000 + number,
                match=match.inport(port) & match.ip4.dst.isin("203.0.113.0/24"),
                rate_kbps=5_000,
                identity=f"NetworkQoS/shop/gold/0/{switch}",
                external_ids=IDS,
            )
            for number, (switch, port) in enumerate({"lan": "shop_web", "other": "shop_db"}.items())
        ]
        with Northbound.connect(running.northbound.remote) as northbound:
            northbound.apply(plan_changes(DesiredState.of(rows=rows), northbound.snapshot()))
        running.nbctl("--wait=sb", "sync")
        yield running


@pytest.fixture
def chassis() -> FakeChassis:
    return FakeChassis()


@pytest.fixture
def totals(central: Central, chassis: FakeChassis) -> Iterator[RuleTotals]:
    with RuleTotals(
        cast("LocalChassis", chassis),
        northbound=central.northbound.remote,
        southbound=central.southbound.remote,
        owner=Owner(),
    ) as found:
        yield found


def flow(central: Central, priority: int) -> str:
    conditions = f"priority={priority}", "external_ids:stage-name=ls_out_qos_meter"
    (uuid,) = central.sbctl("--bare", "--columns=_uuid", "find", "Logical_Flow", *conditions).split()
    return uuid


def test_a_rules_meters_are_added_up_and_foreign_ones_left_out(
    central: Central, chassis: FakeChassis, totals: RuleTotals
) -> None:
    chassis.meters = {flow(central, 2000): meter(10, 4), flow(central, 2001): meter(5), flow(central, 7): meter(99)}
    assert totals.read() == {GOLD: Totals(packets=15, octets=1500, dropped_packets=4, dropped_octets=400, unenforced=0)}


def test_a_meter_made_anew_counts_on(central: Central, chassis: FakeChassis, totals: RuleTotals) -> None:
    def read(*meters: tuple[int, MeterStatistics | None]) -> tuple[int, int]:
        chassis.meters = {flow(central, priority): one for priority, one in meters}
        found = totals.read()[GOLD]
        return found.packets, found.dropped_packets

    assert read((2000, meter(10, 4)), (2001, meter(5))) == (15, 4)
    assert read((2000, meter(12, 5)), (2001, meter(5))) == (17, 5)
    assert read((2000, meter(3, 1)), (2001, meter(6))) == (21, 6)
    assert read((2000, meter(3, 1))) == (21, 6)  # the other switch is not local any more
    assert read((2000, meter(4, 1)), (2001, meter(2))) == (24, 6)


def test_a_meter_that_the_switch_lacks_is_unenforced(
    central: Central, chassis: FakeChassis, totals: RuleTotals
) -> None:
    chassis.meters = {flow(central, 2000): None, flow(central, 2001): meter(5)}
    found = totals.read()[GOLD]
    assert (found.unenforced, found.packets) == (1, 5)
    chassis.meters = {flow(central, 2000): meter(1), flow(central, 2001): meter(5)}
    found = totals.read()[GOLD]
    assert (found.unenforced, found.packets) == (0, 6)


def test_a_meter_is_looked_up_once(
    central: Central, chassis: FakeChassis, totals: RuleTotals, monkeypatch: pytest.MonkeyPatch
) -> None:
    chassis.meters = {flow(central, 2000): meter(1)}
    totals.read()

    def query(*_: Any, **__: Any) -> None:
        raise AssertionError("a database was asked")

    monkeypatch.setattr(totals._southbound, "query", query)
    monkeypatch.setattr(totals._northbound, "query", query)
    chassis.meters = dict.fromkeys(chassis.meters, meter(2))
    assert totals.read()[GOLD].packets == 2


def test_a_flow_whose_row_is_gone_is_left_out(chassis: FakeChassis, totals: RuleTotals) -> None:
    chassis.meters = {"01234567-89ab-cdef-0123-456789abcdef": meter(1)}
    assert totals.read() == {}


def test_no_rule_is_lost_where_a_database_does_not_answer(
    central: Central, chassis: FakeChassis, tmp_path: Any
) -> None:
    chassis.meters = {flow(central, 2000): meter(1)}
    with RuleTotals(
        cast("LocalChassis", chassis),
        northbound=f"unix:{tmp_path}/none.sock",
        southbound=central.southbound.remote,
        owner=Owner(),
        timeout_s=0.3,
    ) as totals:
        for _ in range(2):
            with pytest.raises(NorthboundUnavailable):
                totals.read()
