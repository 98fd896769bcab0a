"""The annotation `ovnqos.io/bandwidth-scope: pod`: a row and a meter for each pod."""

from __future__ import annotations

from ovnqos import BandwidthScope, Compiler, OvnKubernetesTopology
from tests.support.cluster import attachment, compiled, labels, pod, policy, rule

EACH = BandwidthScope.POD


def test_each_pod_has_its_own_row_of_a_limit_on_its_own_switch() -> None:
    pods = [pod(f"p{number}", f"10.0.0.{number}", node=f"node{number}") for number in (1, 2)]
    found = compiled(policy(rule(10, rate=1000, burst=50), scope=EACH), *pods).desired()
    assert not found.port_groups
    (receivers,) = found.address_sets
    to_some = f"(eth.mcast || eth.dst == ${receivers})"
    assert {identity: (set(row.switches), str(row.match)) for identity, row in found.rows.items()} == {
        "NetworkQoS/shop/gold/0/default/shop_p1": ({"node1"}, 'inport == "shop_p1" && ip && !eth.mcast'),
        "NetworkQoS/shop/gold/0/default/from-lport/shop_p1": ({"node1"}, f'inport == "shop_p1" && ip && {to_some}'),
        "NetworkQoS/shop/gold/0/default/shop_p2": ({"node2"}, 'inport == "shop_p2" && ip && !eth.mcast'),
        "NetworkQoS/shop/gold/0/default/from-lport/shop_p2": ({"node2"}, f'inport == "shop_p2" && ip && {to_some}'),
    }
    one = found.rows["NetworkQoS/shop/gold/0/default/shop_p1"]
    assert (one.dscp, one.rate_kbps, one.burst_kbit, one.priority) == (10, 1000, 50, 10_400)
    assert one.external_ids["ovnqos.io/port"] == "shop_p1"


def test_rules_without_a_limit_keep_one_row_for_all() -> None:
    found = compiled(policy(rule(1), rule(2, rate=5), scope=EACH), pod("p", "10.0.0.1")).desired()
    assert set(found.rows) == {
        "NetworkQoS/shop/gold/0/default",
        "NetworkQoS/shop/gold/1/default/shop_p",
        "NetworkQoS/shop/gold/1/default/from-lport/shop_p",
    }
    assert [group.ports for group in found.port_groups.values()] == [{"shop_p"}]


def test_a_pod_that_joins_or_goes_costs_its_own_rows_only() -> None:
    compiler = Compiler(OvnKubernetesTopology())
    for number in range(5):
        compiler.apply(pod(f"p{number}", f"10.0.0.{number}", node=f"node{number}"))
    compiler.apply(policy(rule(1, rate=5), scope=EACH))
    assert len(compiler.drain().rows) == 10
    compiler.apply(pod("new", "10.0.0.9", node="elsewhere"))
    joined = compiler.drain()
    assert not joined.policies
    assert not joined.sets
    assert {name: set(row.switches) for name, row in joined.desired.rows.items()} == {
        "NetworkQoS/shop/gold/0/default/shop_new": {"elsewhere"},
        "NetworkQoS/shop/gold/0/default/from-lport/shop_new": {"elsewhere"},
    }
    assert compiler.counts() == {"row": 12, "port_group": 0, "address_set": 1}
    compiler.delete("Pod", "shop/new")
    gone = compiler.drain()
    assert gone.rows == joined.rows
    assert not gone.desired.rows
    assert not gone.policies
    assert compiler.counts()["row"] == 10


def test_a_limit_a_pod_and_one_for_all_at_equal_priority_conflict_while_they_share_a_pod() -> None:
    compiler = Compiler(OvnKubernetesTopology())
    compiler.apply(pod("a", "10.0.0.1", labels={"app": "a"}))
    compiler.apply(policy(rule(1, rate=5), name="each", scope=EACH, pods=labels(app="a")))
    compiler.apply(policy(rule(2, rate=9), name="all", pods=labels(tier="b")))
    compiler.drain()
    assert not compiler.conflicts("shop/each")
    compiler.apply(pod("b", "10.0.0.2", node="node7", labels={"app": "a", "tier": "b"}))
    compiler.drain()
    assert compiler.conflicts("shop/each") == {"shop/all"}


def test_a_scope_that_changes_replaces_the_rows() -> None:
    compiler = Compiler(OvnKubernetesTopology())
    compiler.apply(pod("a", networks={"lab/x": ["10.0.0.1"]}))
    compiler.apply(attachment("lab/x", "10.0.0.0/16"))
    compiler.apply(policy(rule(1, rate=5), scope=EACH))
    compiler.drain()
    compiler.apply(policy(rule(1, rate=5)))
    changed = compiler.drain()
    all_ports = {"NetworkQoS/shop/gold/0/x", "NetworkQoS/shop/gold/0/x/from-lport"}
    assert changed.rows == all_ports | {f"{identity}/lab.x_shop_a" for identity in all_ports}
    assert set(changed.desired.rows) == all_ports
    assert len(changed.sets) == 1
