"""Rows that keep neighbour discovery from limits: where there is one, and that they come and go with the limits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ovnqos import (
    Bandwidth,
    BandwidthScope,
    Compiler,
    Direction,
    Owner,
    PodQos,
    PortMatch,
    Protocol,
    Rule,
    plan_changes,
)
from ovnqos.controller import EndedLimitsMaximum, find_shadowed_limits
from tests.support.cluster import block, compiled, pod, policy, rule
from tests.support.database import stored

CLIENT = pod("client", "10.0.0.1", "fd00::1")
LIMITED = replace(CLIENT, qos=PodQos(ingress=Bandwidth(rate_kbps=1000), egress=Bandwidth(rate_kbps=1000)))
TO, FROM = Direction.TO_LPORT, Direction.FROM_LPORT
V4, V6 = block("10.0.0.0/8"), block("fd00::/8")
UDP = PortMatch(protocol=Protocol.UDP, port=53)


def _places(compiler: Compiler) -> set[tuple[str, str]]:
    rows = compiler.desired().rows.values()
    found = [row for row in rows if row.external_ids["ovnqos.io/rule"] == "neighbour-discovery"]
    assert all((row.priority, row.rate_kbps, row.dscp) == (32_767, 4_294_967_295, None) for row in found)
    assert all(str(row.match) == "icmp6.type == {130, 131, 132, 133, 134, 135, 136, 137, 143}" for row in found)
    assert len(rows) == compiler.counts()["row"]
    return {(str(row.direction), switch) for row in found for switch in row.switches}


@pytest.mark.parametrize(
    ("given", "places"),
    [
        (rule(rate=1000), {(TO, "node1"), (FROM, "node1")}),
        (rule(rate=1000, destinations=(V6,)), {(TO, "node1")}),
        (rule(None, rate=1000), {(TO, "node1"), (FROM, "node1")}),
        (rule(46), set()),
        (rule(rate=1000, destinations=(V4,)), set()),
        (rule(rate=1000, ports=(UDP,)), set()),
    ],
)
def test_a_limit_that_would_take_it_has_one_beside_it(given: Rule, places: set[tuple[str, str]]) -> None:
    assert _places(compiled(policy(given), CLIENT)) == places


def test_a_network_of_ipv4_alone_has_none() -> None:
    assert _places(compiled(policy(rule(rate=1000)), pod("client", "10.0.0.1"))) == set()


def test_limits_of_pods_have_one_a_direction_and_switch() -> None:
    other = replace(LIMITED, name="other")
    far = replace(LIMITED, name="far", node="node2", qos=PodQos(ingress=Bandwidth(rate_kbps=5)))
    found = compiled([], LIMITED, other, far)
    assert _places(found) == {(FROM, "node1"), (TO, "node1"), (TO, "node2")}
    for name in ("client", "other"):
        found.delete("Pod", f"shop/{name}")
    assert _places(found) == {(TO, "node2")}


def test_it_is_dirty_when_it_comes_and_when_it_goes() -> None:
    found = compiled([], CLIENT)
    found.drain()
    found.apply(LIMITED)
    place = "neighbour-discovery/to-lport/node1"
    delta = found.drain()
    assert place in delta.rows
    assert delta.desired is not None
    assert place in delta.desired.rows
    found.apply(replace(LIMITED, name="other"))
    assert place not in found.drain().rows
    found.delete("Pod", "shop/client")
    assert place not in found.drain().rows
    found.delete("Pod", "shop/other")
    delta = found.drain()
    assert place in delta.rows
    assert delta.desired is not None
    assert place not in delta.desired.rows


def test_rows_of_single_ports_count_as_well() -> None:
    found = compiled(policy(rule(rate=1000), scope=BandwidthScope.POD), CLIENT)
    found.drain()
    found.apply(replace(CLIENT, name="other", node="node2"))
    assert _places(found) == {(way, node) for way in (TO, FROM) for node in ("node1", "node2")}
    found.delete("Pod", "shop/client")
    assert _places(found) == {(TO, "node2"), (FROM, "node2")}


def test_it_shadows_no_limit() -> None:
    found = compiled(policy(rule(rate=1000)), LIMITED)
    told = find_shadowed_limits(found.desired())
    assert all(one.by.external_ids["ovnqos.io/rule"] == "0" for one in told)


def test_it_is_no_limit_that_ends_and_stays_beside_limits_that_stay() -> None:
    found = compiled(policy(rule(rate=1000)), CLIENT)
    whole = found.desired()
    database = stored(whole, Owner(), {"node1"}, {"shop_client"})
    found.delete("NetworkQoS", "shop/gold")
    snapshot = database.snapshot(Owner())
    assert plan_changes(found.desired(), snapshot).is_empty  # the policy is not in the input, so it stays
    gone = plan_changes(replace(found.desired(), scope=None), snapshot)
    assert gone.ended == {"NetworkQoS/shop/gold": 1}
    assert len(gone.changes) == 6  # two rows in each direction, a port group and an address set
    gone.check(EndedLimitsMaximum(count=1))
