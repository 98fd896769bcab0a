"""Limits and marks of single pods: which rows they become, and which namespace's defaults hold."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from netaddr import IPAddress, IPNetwork

from ovnqos import Bandwidth, Compiler, Direction, Namespace, OvnKubernetesTopology, parse_object
from ovnqos.controller import NetworkTopology, parse_pod
from ovnqos.diagnostics import Code, Diagnostic, ObjectRef
from ovnqos.match import NamedSets, Packet, Truth, evaluate
from ovnqos.model.networks import NetworkRole
from ovnqos.model.workloads import PodQos
from tests.support.cluster import POD_NETWORKS, attachment, codes, compiled, pod, pod_networks, policy

if TYPE_CHECKING:
    from ovnqos import Pod

FAST, SLOW = Bandwidth(rate_kbps=50_000), Bandwidth(rate_kbps=10_000, burst_kbit=4_000)
ALL = PodQos(ingress=FAST, egress=SLOW, dscp=46)
CLUSTER = (IPNetwork("10.0.0.0/8"), IPNetwork("fd00::/8"))


def _limited(qos: PodQos, name: str = "web", **given: Any) -> Pod:
    return replace(pod(name, "10.0.0.5", **given), qos=qos)


def _compiled(*objects: object, cidrs: tuple[IPNetwork, ...] = CLUSTER, nodes: list[str] | None = None) -> Compiler:
    return compiled([], *objects, nodes=nodes, cluster_cidrs=cidrs)


def test_each_limit_and_the_mark_is_a_row_in_a_stage_that_hides_no_other() -> None:
    rows = _compiled(_limited(ALL)).desired().rows
    assert {identity: (row.direction, row.dscp, row.rate_kbps, row.burst_kbit) for identity, row in rows.items()} == {
        "Pod/shop/web/egress": (Direction.FROM_LPORT, None, 10_000, 4_000),
        "Pod/shop/web/ingress": (Direction.TO_LPORT, None, 50_000, None),
        "Pod/shop/web/dscp": (Direction.TO_LPORT, 46, None, None),
    }
    assert {identity.rpartition("/")[2]: row.priority for identity, row in rows.items()} == {
        "egress": 5_000,
        "ingress": 15_000,
        "dscp": 4_990,
    }
    assert {tuple(row.switches) for row in rows.values()} == {("node1",)}
    assert str(rows["Pod/shop/web/egress"].match) == 'inport == "shop_web" && ip'
    assert str(rows["Pod/shop/web/ingress"].match) == 'outport == "shop_web" && ip'
    assert rows["Pod/shop/web/egress"].external_ids == {
        "ovnqos.io/object": "Pod/shop/web",
        "ovnqos.io/rule": "egress",
        "ovnqos.io/network": "default",
        "ovnqos.io/port": "shop_web",
    }


def test_the_mark_is_for_what_leaves_the_cluster() -> None:
    match = str(_compiled(_limited(PodQos(dscp=10))).desired().rows["Pod/shop/web/dscp"].match)
    assert match.startswith('inport == "shop_web" && (ip4.dst == {0.0.0.0/5, 8.0.0.0/7, 11.0.0.0/8, ')
    assert " || ip6.dst == {::/1, " in match


def test_an_ip_version_without_a_cidr_of_the_cluster_is_not_marked() -> None:
    found = _compiled(replace(pod("web", "10.0.0.5", "fd00::5"), qos=PodQos(dscp=10)), cidrs=CLUSTER[:1])
    assert "ip6" not in str(found.desired().rows["Pod/shop/web/dscp"].match)
    assert codes(found) == [("Pod/shop/web", "", Code.NO_CLUSTER_CIDRS)]


def test_an_ip_version_that_the_pod_does_not_have_needs_no_cidr() -> None:
    found = _compiled(_limited(PodQos(dscp=10)), cidrs=CLUSTER[:1])
    assert "ip6" not in str(found.desired().rows["Pod/shop/web/dscp"].match)
    assert codes(found) == []


def test_a_pod_whose_address_is_in_no_cidr_of_the_cluster_is_told() -> None:
    found = _compiled(_limited(PodQos(dscp=10)), cidrs=(IPNetwork("10.128.0.0/14"),))
    assert "Pod/shop/web/dscp" in found.desired().rows
    assert codes(found) == [("Pod/shop/web", "", Code.ADDRESS_OUTSIDE_CLUSTER)]


def test_a_burst_below_a_frame_of_the_pods_network_is_told() -> None:
    nad = attachment("shop/main", "10.3.0.0/16", role=NetworkRole.PRIMARY, mtu=9000)
    annotations = {POD_NETWORKS: pod_networks({"shop/main": ["10.3.0.5"]})}
    limit = Bandwidth(rate_kbps=50_000, burst_kbit=72)
    web = replace(_limited(PodQos(ingress=limit)), annotations=annotations)
    assert codes(_compiled(web, nad)) == [("Pod/shop/web", "ingress", Code.BURST_BELOW_FRAME)]


def test_a_networks_own_subnets_are_inside() -> None:
    nad = attachment("shop/main", "172.16.0.0/16", "2001:db8::/64", role=NetworkRole.PRIMARY)
    annotations = {POD_NETWORKS: pod_networks({"shop/main": ["172.16.0.5", "2001:db8::5"]})}
    web = replace(_limited(PodQos(dscp=10)), annotations=annotations)
    found = _compiled(web, nad, cidrs=CLUSTER[:1])
    row = found.desired().rows["Pod/shop/web/dscp"]
    names = NamedSets(address_sets={name: one.addresses for name, one in found.desired().address_sets.items()})

    def is_marked(destination: str) -> bool:
        to = IPAddress(destination)
        source = IPAddress("172.16.0.5" if to.version == 4 else "2001:db8::5")
        packet = Packet(inport="shop.main_shop_web", source=source, destination=to)
        return evaluate(row.match, packet, names).truth is Truth.YES

    assert not any(map(is_marked, ("172.16.3.4", "10.1.1.1", "2001:db8::7")))
    assert all(map(is_marked, ("172.17.0.1", "2001:db8:1::1")))
    assert codes(found) == []


def test_many_addresses_of_the_cluster_go_into_a_set_that_pods_share() -> None:
    cidrs = tuple(IPNetwork(f"10.{number}.7.0/24") for number in range(5))
    found = _compiled(_limited(PodQos(dscp=10)), _limited(PodQos(dscp=20), "other"), cidrs=cidrs).desired()
    (name,) = found.address_sets
    assert all(f"ip4.dst == ${name}" in str(row.match) for row in found.rows.values())
    assert not any(address in cidr for address in found.address_sets[name].addresses for cidr in cidrs)


def test_without_the_clusters_addresses_a_mark_is_told_to_have_no_row() -> None:
    found = _compiled(_limited(ALL), cidrs=())
    assert set(found.desired().rows) == {"Pod/shop/web/egress", "Pod/shop/web/ingress"}
    assert codes(found) == [("Pod/shop/web", "", Code.NO_CLUSTER_CIDRS)]


def test_a_namespaces_limits_are_for_its_pods_that_have_none() -> None:
    defaults = Namespace(name="shop", labels={}, qos=PodQos(ingress=SLOW, egress=SLOW))
    rows = _compiled(defaults, _limited(PodQos(egress=FAST)), pod("plain", "10.0.0.6")).desired().rows
    assert {identity: row.rate_kbps for identity, row in rows.items()} == {
        "Pod/shop/web/egress": 50_000,
        "Pod/shop/web/ingress": 10_000,
        "Pod/shop/plain/egress": 10_000,
        "Pod/shop/plain/ingress": 10_000,
    }


def test_what_is_wrong_is_told_of_whom_said_it_and_the_rest_holds() -> None:
    web, shop = ObjectRef(kind="Pod", namespace="shop", name="web"), ObjectRef(kind="Namespace", name="shop")
    wrong = Diagnostic.error(web, Code.INVALID_FIELD, '"10Q" is not a rate', path="metadata.annotations[x]")
    odd = Diagnostic.warning(shop, Code.UNSUPPORTED_ANNOTATION, "has no effect", path="metadata.annotations[y]")
    defaults = Namespace(name="shop", labels={}, qos=PodQos(diagnostics=(odd,)))
    found = _compiled(defaults, _limited(PodQos(ingress=FAST, diagnostics=(wrong,))))
    assert set(found.desired().rows) == {"Pod/shop/web/ingress"}
    assert list(found.all_diagnostics()) == [odd, wrong]


def test_a_primary_network_has_the_pods_limits() -> None:
    nad = attachment(
        "shop/main", "10.3.0.0/16", network="shop_main", topology=NetworkTopology.LAYER2, role=NetworkRole.PRIMARY
    )
    annotations = {POD_NETWORKS: pod_networks({"default": ["10.0.0.5"], "shop/main": ["10.3.0.5"]})}
    rows = _compiled(replace(_limited(ALL), annotations=annotations), nad).desired().rows
    assert {tuple(row.switches) for row in rows.values()} == {("shop_main_ovn_layer2_switch",)}
    assert {row.external_ids["ovnqos.io/port"] for row in rows.values()} == {"shop.main_shop_web"}


def test_pods_of_other_zones_have_no_rows() -> None:
    assert not _compiled(_limited(ALL, node="node2"), nodes=["node1"]).desired().rows


def test_the_labs_annotations_are_read_off_a_pod() -> None:
    web = parse_object(
        {
            "kind": "Pod",
            "metadata": {
                "name": "web",
                "namespace": "shop",
                "annotations": {
                    POD_NETWORKS: pod_networks({"default": ["10.0.0.5"]}),
                    "qos.projectcalico.org/ingressBandwidth": "10M",
                    "kubernetes.io/egress-bandwidth": "1Gi",
                },
            },
            "spec": {"nodeName": "node1"},
        }
    )
    rows = _compiled(web).desired().rows
    assert {identity: row.rate_kbps for identity, row in rows.items()} == {
        "Pod/shop/web/ingress": 10_000,
        "Pod/shop/web/egress": 1_073_742,
    }


@pytest.fixture
def compiler() -> Compiler:
    started = Compiler(OvnKubernetesTopology(), cluster_cidrs=CLUSTER)
    started.apply(_limited(PodQos(egress=SLOW)))
    started.apply(pod("plain", "10.0.0.6"))
    started.apply(policy())
    started.drain()
    return started


def test_a_change_on_a_running_pod_costs_its_rows_only(compiler: Compiler) -> None:
    compiler.apply(_limited(PodQos(egress=FAST)))
    changed = compiler.drain()
    assert {identity: row.rate_kbps for identity, row in changed.desired.rows.items()} == {
        "Pod/shop/web/egress": 50_000
    }
    assert changed.pods == {"shop/web"}
    assert not changed.policies
    assert not changed.sets
    compiler.apply(_limited(PodQos()))
    gone = compiler.drain()
    assert gone.rows == {"Pod/shop/web/egress"}
    assert not gone.desired.rows


def test_a_namespaces_new_default_takes_its_pods(compiler: Compiler) -> None:
    compiler.apply(Namespace(name="shop", labels={}, qos=PodQos(ingress=SLOW)))
    limits = {"Pod/shop/web/ingress", "Pod/shop/plain/ingress"}
    to_limited = "NetworkQoS/shop/gold/0/default/from-lport"
    assert set(compiler.drain().desired.rows) == {*limits, to_limited}
    assert compiler.counts()["row"] == 5
    compiler.delete("Namespace", "shop")
    assert compiler.drain().rows == {*limits, to_limited}


def test_what_is_to_be_said_of_a_pod_is_kept(compiler: Compiler) -> None:
    web = ObjectRef(kind="Pod", namespace="shop", name="web")
    wrong = Diagnostic.error(web, Code.INVALID_FIELD, "is wrong", path="metadata.annotations[x]")
    compiler.apply(_limited(PodQos(diagnostics=(wrong,))))
    assert compiler.drain().pods == {"shop/web"}
    assert compiler.diagnostics("Pod", "shop/web") == (wrong,)
    assert compiler.diagnostics("Pod", "shop/plain") == ()


def _of_annotations(**values: str) -> PodQos:
    annotations = {f"qos.projectcalico.org/{key}": value for key, value in values.items()}
    return parse_pod({"metadata": {"namespace": "shop", "name": "web", "annotations": annotations}}).qos


def test_a_burst_too_small_for_tcp_is_advised_on() -> None:
    qos = _of_annotations(egressBandwidth="10M", egressBurst="100k")
    assert tuple(_compiled(_limited(qos)).all_diagnostics()) == qos.diagnostics
    assert [one.code for one in qos.diagnostics] == [Code.BURST_LIMITS_TCP]


def test_a_namespaces_burst_is_advised_on_once_whatever_pods_it_has() -> None:
    small = _of_annotations(ingressBandwidth="10M", ingressBurst="100k")
    pods = [replace(pod(name, "10.0.0.5"), qos=PodQos()) for name in ("a", "b")]
    found = _compiled(Namespace(name="shop", labels={}, qos=small), *pods)
    assert tuple(found.all_diagnostics()) == small.diagnostics


def test_a_pod_without_a_default_interface_is_told_of_only_if_it_asked_itself() -> None:
    annotations = {POD_NETWORKS: pod_networks({"shop/x": ["10.3.0.5"]})}
    nad = attachment("shop/x", "10.3.0.0/16")
    own = replace(_limited(PodQos(egress=FAST)), annotations=annotations)
    defaults = Namespace(name="shop", labels={}, qos=PodQos(egress=SLOW))
    assert codes(_compiled(own, nad)) == [("Pod/shop/web", "", Code.NO_DEFAULT_INTERFACE)]
    assert not codes(_compiled(replace(own, qos=pod("p").qos), defaults, nad))
