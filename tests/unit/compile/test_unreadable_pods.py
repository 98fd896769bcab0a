"""A running pod whose annotations become unreadable keeps what was read last: that must lift no limit."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ovnqos import (
    Bandwidth,
    Code,
    Compiler,
    KubeOvnTopology,
    Namespace,
    OvnKubernetesTopology,
    Pod,
    StaticTopology,
)
from ovnqos.controller import NetworkTopology, parse_pod
from ovnqos.model.networks import MappedNetwork, NameTemplate, TopologyMap
from ovnqos.model.workloads import ADDRESSES_MAXIMUM, ANNOTATION_LENGTH_MAXIMUM, INTERFACES_MAXIMUM
from ovnqos.sources.objects import parse_namespace
from tests.support.cluster import POD_NETWORKS, pod_networks, policy, rule

if TYPE_CHECKING:
    from ovnqos import DesiredState, Topology

EGRESS = "qos.projectcalico.org/egressBandwidth"
WIRED = {POD_NETWORKS: pod_networks({"default": ["10.0.0.5"]})}
KUBE_OVN = {
    "ovn.kubernetes.io/allocated": "true",
    "ovn.kubernetes.io/logical_switch": "subnet",
    "ovn.kubernetes.io/ip_address": "10.0.0.5",
}
MAP = TopologyMap(
    networks={
        "default": MappedNetwork(
            name="default",
            topology=NetworkTopology.LAYER3,
            direction="",
            switch=NameTemplate(text="{node}"),
            port=NameTemplate(text="{namespace}-{name}"),
            address_annotation="example.com/addresses",
        )
    },
    pods={},
)
TOO_MANY = {f"shop/net{index}": ["10.0.0.5"] for index in range(INTERFACES_MAXIMUM + 1)}


def read(annotations: dict[str, str], *, uid: str = "1", phase: str = "Running") -> Pod:
    return parse_pod(
        {
            "kind": "Pod",
            "metadata": {"namespace": "shop", "name": "web", "uid": uid, "annotations": annotations},
            "spec": {"nodeName": "node1"},
            "status": {"phase": phase},
        },
        also_keep=frozenset({"example.com/addresses"}),
    )


def compiler(*objects: object, topology: Topology | None = None) -> Compiler:
    return Compiler.of(objects, topology or OvnKubernetesTopology())


def content(desired: DesiredState) -> tuple[Any, ...]:
    groups = {name: one.ports for name, one in desired.port_groups.items()}
    return desired.rows, groups, {name: one.addresses for name, one in desired.address_sets.items()}


def said(found: Compiler, kind: str, key: str) -> set[tuple[Code, str]]:
    return {(one.code, one.path) for one in found.diagnostics(kind, key)}


@pytest.mark.parametrize(
    ("topology", "wired", "broken"),
    [
        (OvnKubernetesTopology(), WIRED, {POD_NETWORKS: "{"}),
        (OvnKubernetesTopology(), WIRED, {POD_NETWORKS: ""}),
        (OvnKubernetesTopology(), WIRED, {POD_NETWORKS: "{}"}),
        (OvnKubernetesTopology(), WIRED, {POD_NETWORKS: '{"default": {"ip_addresses": ["no"]}}'}),
        (OvnKubernetesTopology(), WIRED, {}),
        (OvnKubernetesTopology(), WIRED, {POD_NETWORKS: pod_networks({"default": ["10.0.0.5"], "a\nb": []})}),
        (OvnKubernetesTopology(), WIRED, {POD_NETWORKS: WIRED[POD_NETWORKS] + " " * ANNOTATION_LENGTH_MAXIMUM}),
        (OvnKubernetesTopology(), WIRED, {POD_NETWORKS: pod_networks(TOO_MANY)}),
        (
            OvnKubernetesTopology(),
            WIRED,
            {POD_NETWORKS: pod_networks({"default": [f"10.0.0.{index}" for index in range(ADDRESSES_MAXIMUM + 1)]})},
        ),
        (KubeOvnTopology(), KUBE_OVN, {**KUBE_OVN, "ovn.kubernetes.io/ip_address": "no"}),
        (KubeOvnTopology(), KUBE_OVN, {**KUBE_OVN, "ovn.kubernetes.io/logical_switch": "A B"}),
        (KubeOvnTopology(), KUBE_OVN, {**KUBE_OVN, "ovn.kubernetes.io/allocated": "false"}),
        (KubeOvnTopology(), KUBE_OVN, {}),
        (StaticTopology(MAP), {"example.com/addresses": "10.0.0.5"}, {"example.com/addresses": "no"}),
        (StaticTopology(MAP), {"example.com/addresses": "10.0.0.5"}, {}),
    ],
)
def test_its_interfaces_stay(topology: Topology, wired: dict[str, str], broken: dict[str, str]) -> None:
    rules = policy(rule(20, rate=1000))
    limit = {EGRESS: "3M"}
    found = compiler(rules, read({**wired, **limit}), topology=topology)
    before = content(found.desired())
    assert before[0]["Pod/shop/web/egress"].rate_kbps == 3000
    found.drain()
    found.apply(read({**broken, **limit}))
    delta = found.drain()
    assert not delta.rows
    assert not delta.sets
    assert content(found.desired()) == before
    codes = {code for code, _path in said(found, "Pod", "shop/web")}
    assert {Code.INVALID_FIELD, Code.LAST_VALID_VERSION} <= codes
    assert "shop/web" in delta.pods
    assert rules.key in delta.policies
    assert (Code.POD_UNREADABLE, "spec.podSelector") in said(found, "NetworkQoS", rules.key)
    assert found.unreadable_pods() == 1
    found.apply(read({**wired, **limit}))
    delta = found.drain()
    assert not delta.rows
    assert rules.key in delta.policies
    assert not said(found, "Pod", "shop/web")
    assert found.unreadable_pods() == 0


@pytest.mark.parametrize(
    "other",
    [read({POD_NETWORKS: "{"}, uid="2"), read({POD_NETWORKS: "{"}, phase="Succeeded"), read({}, uid="")],
    ids=["another pod", "completed", "no uid"],
)
def test_they_do_not_stay_for_another_pod_or_a_completed_one(other: Pod) -> None:
    found = compiler(policy(rule(20)), read(WIRED))
    found.apply(other)
    assert not found.desired().rows


def test_an_unreadable_pod_that_never_was_readable_keeps_its_rows_in_the_database() -> None:
    found = compiler(read({POD_NETWORKS: "{", EGRESS: "3M"}))
    assert found.desired().retained == {"Pod/shop/web"}
    found.delete("Pod", "shop/web")
    assert found.desired().retained == frozenset()


@pytest.mark.parametrize("broken", ["", "three", "0", "-1", "1e99"])
def test_a_limit_stays_when_its_annotation_becomes_unreadable(broken: str) -> None:
    found = compiler(read({**WIRED, EGRESS: "3M"}))
    before = content(found.desired())
    found.drain()
    found.apply(read({**WIRED, EGRESS: broken, "qos.projectcalico.org/ingressBandwidth": "1M"}))
    delta = found.drain()
    assert delta.compiled_rows == {"Pod/shop/web/ingress"}
    assert found.desired().rows["Pod/shop/web/egress"] == before[0]["Pod/shop/web/egress"]
    assert (Code.LAST_VALID_VERSION, "egress") in said(found, "Pod", "shop/web")
    assert found.desired().retained == frozenset()
    found.apply(read(WIRED))
    assert not found.desired().rows


def test_a_limit_that_never_was_readable_keeps_its_row_in_the_database() -> None:
    found = compiler(read({**WIRED, EGRESS: "three", "qos.projectcalico.org/ingressBandwidth": "1M"}))
    assert set(found.desired().rows) == {"Pod/shop/web/ingress"}
    assert found.desired().retained == {"Pod/shop/web/egress"}
    found.apply(read({**WIRED, EGRESS: "3M"}))
    assert found.desired().retained == frozenset()


def test_a_namespaces_default_holds_where_a_pods_own_annotation_was_never_readable() -> None:
    space = parse_namespace({"metadata": {"name": "shop", "uid": "1", "annotations": {EGRESS: "5M"}}})
    found = compiler(space, read({**WIRED, EGRESS: "three"}))
    assert found.desired().rows["Pod/shop/web/egress"].rate_kbps == 5000
    assert found.desired().retained == frozenset()


def test_a_namespaces_default_stays_when_it_becomes_unreadable() -> None:
    def space(text: str, uid: str = "1") -> Namespace:
        return parse_namespace({"metadata": {"name": "shop", "uid": uid, "annotations": {EGRESS: text}}})

    found = compiler(space("5M"), read(WIRED))
    before = content(found.desired())
    found.apply(space("five"))
    assert content(found.desired()) == before
    assert (Code.LAST_VALID_VERSION, "egress") in said(found, "Namespace", "shop")
    found.apply(space("five", uid="2"))
    assert not found.desired().rows


def test_a_burst_that_becomes_unreadable_leaves_the_rate() -> None:
    found = compiler(read({**WIRED, EGRESS: "3M", "qos.projectcalico.org/egressBurst": "1M"}))
    found.apply(read({**WIRED, EGRESS: "3M", "qos.projectcalico.org/egressBurst": "one"}))
    row = found.desired().rows["Pod/shop/web/egress"]
    assert Bandwidth(rate_kbps=3000) == Bandwidth(rate_kbps=row.rate_kbps or 0, burst_kbit=row.burst_kbit)


def test_what_is_kept_of_an_annotation_is_bounded() -> None:
    found = read({POD_NETWORKS: json.dumps("x" * 3 * ANNOTATION_LENGTH_MAXIMUM)})
    assert len(found.annotations[POD_NETWORKS]) == ANNOTATION_LENGTH_MAXIMUM + 1


def test_the_addresses_of_a_pod_that_is_readable_again_are_its_new_ones() -> None:
    found = compiler(policy(rule(20)), read(WIRED))
    found.apply(read({POD_NETWORKS: "{"}))
    moved = replace(read({POD_NETWORKS: pod_networks({"default": ["10.0.0.6"]})}), node="node2")
    found.apply(moved)
    assert {switch for row in found.desired().rows.values() for switch in row.switches} == {"node2"}
