"""Why a policy selects nothing: each cause has its own code, and follows what changes in the cluster."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from ovnqos import BandwidthScope, Code, Compiler, OvnKubernetesTopology, PortMatch, Protocol
from ovnqos.controller import PolicyCounts
from ovnqos.model.labels import EVERYTHING
from ovnqos.model.networks import ANY_NAD_SELECTOR, DEFAULT_NETWORK_SELECTOR
from tests.support.cluster import attachment, attachments_selector, compiled, labels, namespace, pod, policy, rule

if TYPE_CHECKING:
    from ovnqos import Pod

WEB = labels(app="web")
KEY = "shop/gold"
ON_BLUE = pod("web", networks={"default": ["10.0.0.1"], "shop/blue": ["10.1.0.1"]}, labels={"app": "web"})


def web(name: str = "web", **changes: Any) -> Pod:
    """A pod that the policy selects by its labels."""
    unwired = changes.pop("unwired", False)
    found = pod(name, "10.0.0.1", labels={"app": "web"}, **changes)
    return replace(found, annotations={}) if unwired else found


def causes(compiler: Compiler) -> list[Code]:
    return [one.code for one in compiler.diagnostics("NetworkQoS", KEY)]


def zone_compiler(*objects: object) -> Compiler:
    return compiled(policy(pods=WEB), *objects, topology=OvnKubernetesTopology(zone_nodes=["node1"]))


@pytest.mark.parametrize(
    ("objects", "cause"),
    [
        ([], Code.NO_POD_MATCHES),
        ([pod("db", "10.0.0.2", labels={"app": "db"})], Code.NO_POD_MATCHES),
        ([web(unwired=True)], Code.POD_NOT_WIRED),
        ([replace(web(unwired=True), node="")], Code.POD_NOT_WIRED),
        ([web(phase="Succeeded")], Code.POD_COMPLETED),
        ([web(host_network=True)], Code.POD_ON_HOST_NETWORK),
        ([web(node="node2")], Code.POD_IN_OTHER_ZONE),
        ([replace(web(), annotations={"k8s.ovn.org/pod-networks": "{"})], Code.POD_UNREADABLE),
    ],
)
def test_each_cause_has_its_code(objects: list[object], cause: Code) -> None:
    assert causes(zone_compiler(*objects)) == [cause]


def test_several_causes_are_all_said_and_name_their_pods() -> None:
    compiler = zone_compiler(web("a", unwired=True), web("b", host_network=True), web("c", host_network=True))
    found = compiler.diagnostics("NetworkQoS", KEY)
    assert [one.code for one in found] == [Code.POD_NOT_WIRED, Code.POD_ON_HOST_NETWORK]
    assert found[1].text.endswith("b, c")


def test_nothing_is_said_where_one_pod_is_selected() -> None:
    assert causes(zone_compiler(web("a"), web("b", host_network=True), web("c", node="node2"))) == []


@pytest.mark.parametrize(
    ("selector", "objects", "cause"),
    [
        (ANY_NAD_SELECTOR, [web()], Code.NO_NETWORK_MATCHES),
        (ANY_NAD_SELECTOR, [web(), attachment("shop/blue")], Code.NETWORK_NOT_ATTACHED),
        (
            DEFAULT_NETWORK_SELECTOR,
            [pod("web", networks={"shop/blue": ["10.1.0.1"]}, labels={"app": "web"}), attachment("shop/blue")],
            Code.NETWORK_NOT_ATTACHED,
        ),
    ],
)
def test_a_network_that_is_not_attached_or_not_there(selector: Any, objects: list[object], cause: Code) -> None:
    assert causes(compiled(policy(pods=WEB, networks=[selector]), *objects)) == [cause]


def test_a_missing_definition_is_named_and_nothing_else() -> None:
    only_blue = pod("web", networks={"shop/blue": ["10.1.0.1"]}, labels={"app": "web"})
    compiler = compiled(policy(pods=WEB), only_blue)
    assert causes(compiler) == [Code.UNKNOWN_NETWORK]


def test_a_policy_without_rules_has_no_other_cause() -> None:
    assert causes(compiled(replace(policy(pods=WEB), rules=()))) == []


def test_a_cause_is_told_anew_when_pods_come_go_and_change() -> None:
    compiler = zone_compiler()
    compiler.drain()
    seen = []
    for one in (
        web(unwired=True),
        web(host_network=True),
        replace(web(host_network=True), labels={"app": "db"}),
        web(phase="Failed"),
        web(node="node2"),
        web(),
        None,
    ):
        if one is None:
            compiler.delete("Pod", "shop/web")
        else:
            compiler.apply(one)
        assert KEY in compiler.drain().policies
        seen.append(causes(compiler))
    assert seen == [
        [Code.POD_NOT_WIRED],
        [Code.POD_ON_HOST_NETWORK],
        [Code.NO_POD_MATCHES],
        [Code.POD_COMPLETED],
        [Code.POD_IN_OTHER_ZONE],
        [],
        [Code.NO_POD_MATCHES],
    ]


def test_a_pod_elsewhere_that_changes_otherwise_has_nothing_looked_at_again() -> None:
    compiler = zone_compiler(web(node="node2"))
    compiler.drain()
    compiler.apply(replace(web(node="node2"), phase="Pending"))
    assert not compiler.drain().policies
    compiler.apply(pod("db", "10.0.0.9", node="node2", labels={"app": "db"}))
    assert not compiler.drain().policies


def test_a_cause_is_told_anew_when_networks_come_and_go() -> None:
    own = attachments_selector(labels(team="x"), EVERYTHING)
    compiler = compiled(policy(pods=WEB, networks=[own]), web())
    compiler.drain()
    seen = []
    for one in (attachment("shop/blue"), namespace("shop", team="x"), ON_BLUE):
        compiler.apply(one)
        assert KEY in compiler.drain().policies
        seen.append(causes(compiler))
    assert seen == [[Code.NO_NETWORK_MATCHES], [Code.NETWORK_NOT_ATTACHED], []]


# Counts


def test_counts_follow_pods_without_compiling_anew() -> None:
    compiler = compiled(policy(rule(1), rule(2), pods=WEB), web("a"), web("b", node="node2"))
    compiler.drain()
    assert compiler.policy_counts(KEY) == PolicyCounts(pods=2, rows=2, switches=2)
    compiler.apply(web("c"))
    delta = compiler.drain()
    assert delta.recounted == {KEY}
    assert not delta.policies
    assert compiler.policy_counts(KEY) == PolicyCounts(pods=3, rows=2, switches=2)
    compiler.delete("Pod", "shop/b")
    compiler.drain()
    assert compiler.policy_counts(KEY) == PolicyCounts(pods=2, rows=2, switches=1)


def test_a_pod_on_several_networks_counts_once_and_one_on_none_of_them_not_at_all() -> None:
    blue = attachment("shop/blue")
    both = compiled(policy(pods=WEB), ON_BLUE, web("b"), blue)
    both.drain()
    assert both.policy_counts(KEY) == PolicyCounts(pods=2, rows=2, switches=2)
    only_blue = compiled(policy(pods=WEB, networks=[ANY_NAD_SELECTOR]), ON_BLUE, web("b"), blue)
    only_blue.drain()
    assert only_blue.policy_counts(KEY) == PolicyCounts(pods=1, rows=1, switches=1)


def test_with_a_row_a_pod_rows_and_switches_follow_each_pod() -> None:
    each = policy(rule(rate=5, ports=(PortMatch(protocol=Protocol.TCP),)), pods=WEB, scope=BandwidthScope.POD)
    compiler = compiled(each, web("a"))
    compiler.drain()
    assert compiler.policy_counts(KEY) == PolicyCounts(pods=1, rows=1, switches=1)
    compiler.apply(web("b", node="node2"))
    compiler.drain()
    assert compiler.policy_counts(KEY) == PolicyCounts(pods=2, rows=2, switches=2)
    compiler.apply(web("a", node="node2"))
    compiler.drain()
    assert compiler.policy_counts(KEY) == PolicyCounts(pods=2, rows=2, switches=1)


def test_a_policy_that_is_not_there_counts_nothing() -> None:
    assert Compiler(OvnKubernetesTopology()).policy_counts(KEY) == PolicyCounts()


def test_source_nodes_are_those_of_all_zones_on_networks_that_are_taken() -> None:
    far = pod("far", networks={"shop/blue": ["10.1.0.2"]}, node="node2", labels={"app": "web"})
    objects = (ON_BLUE, web("b", node="node3"), far, attachment("shop/blue"))
    chosen = policy(pods=WEB, networks=[ANY_NAD_SELECTOR])
    compiler = compiled(chosen, *objects, topology=OvnKubernetesTopology(zone_nodes=["node9"]))
    assert compiler.source_nodes(KEY) == {"node1", "node2"}
    assert compiler.source_nodes("shop/none") == frozenset()
