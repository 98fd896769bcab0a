"""One port that several pods claim, as the launchers of one virtual machine of Kube-OVN do."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import permutations
from typing import TYPE_CHECKING

import pytest

from ovnqos import Bandwidth, Code, Compiler, KubeOvnTopology, OvnKubernetesTopology, Pod, PodQos, Severity
from tests.support.cluster import codes, labels, policy, rule
from tests.support.kube_ovn import interface, pod

if TYPE_CHECKING:
    from ovnqos import Topology

STRICT, LOOSE = Bandwidth(rate_kbps=1_000), Bandwidth(rate_kbps=5_000)


def _launcher(name: str, qos: PodQos, node: str = "node1") -> Pod:
    return replace(pod(name, interface("10.16.0.5", machine="vm"), node=node), qos=qos)


def _compiled(*pods: Pod) -> Compiler:
    return Compiler.of(pods, KubeOvnTopology())


def _rates(compiler: Compiler) -> dict[str, int | None]:
    return {identity: row.rate_kbps for identity, row in compiler.desired().rows.items()}


OLD = _launcher("a-old", PodQos(egress=LOOSE))
NEW = _launcher("b-new", PodQos(egress=STRICT, ingress=LOOSE), node="node2")
THIRD = _launcher("c-third", PodQos(egress=STRICT, dscp=10), node="node3")


@pytest.mark.parametrize("pods", list(permutations((OLD, NEW, THIRD))))
def test_the_stricter_limit_applies_whatever_the_order(pods: tuple[Pod, ...]) -> None:
    found = _compiled(*pods)
    assert _rates(found) == {"Pod/shop/b-new/egress": 1_000, "Pod/shop/b-new/ingress": 5_000}
    claimed = [(key, path) for key, path, code in codes(found) if code is Code.PORT_CLAIMED]
    assert claimed == [("Pod/shop/a-old", "egress"), ("Pod/shop/c-third", "egress")]


def test_a_launcher_that_is_gone_leaves_its_port_to_the_other() -> None:
    found = _compiled(OLD, NEW)
    found.drain()
    found.delete("Pod", "shop/b-new")
    assert found.drain().rows == {"Pod/shop/a-old/egress", "Pod/shop/b-new/egress", "Pod/shop/b-new/ingress"}
    assert _rates(found) == {"Pod/shop/a-old/egress": 5_000}
    assert codes(found) == []
    found.apply(replace(NEW, phase="Succeeded"))
    assert _rates(found) == {"Pod/shop/a-old/egress": 5_000}


def test_a_change_of_one_limit_changes_whose_applies() -> None:
    found = _compiled(OLD, NEW)
    found.apply(replace(NEW, qos=PodQos(egress=Bandwidth(rate_kbps=9_000))))
    assert _rates(found) == {"Pod/shop/a-old/egress": 5_000}
    found.apply(replace(OLD, qos=PodQos()))
    assert _rates(found) == {"Pod/shop/b-new/egress": 9_000}


def test_pods_with_ports_of_their_own_keep_their_rows() -> None:
    other = replace(pod("other", interface("10.16.0.6")), qos=PodQos(egress=LOOSE))
    assert _rates(_compiled(OLD, other)) == {"Pod/shop/a-old/egress": 5_000, "Pod/shop/other/egress": 5_000}


VICTIM = replace(pod("web", interface("10.16.0.7"), labels={"app": "web"}), qos=PodQos(egress=LOOSE))
THIEF = replace(
    pod("thief", interface("10.16.0.7", machine="web"), labels={"app": "thief"}),
    qos=PodQos(egress=STRICT, ingress=STRICT),
)


@pytest.mark.parametrize("pods", list(permutations((VICTIM, THIEF))))
def test_an_annotation_that_names_another_pods_port_moves_nothing_of_that_pod(pods: tuple[Pod, ...]) -> None:
    """A port has the name of its pod; only of a virtual machine is it another one that carries it."""
    strict = policy(rule(10, rate=1_000), pods=labels(app="thief"), name="strict")
    found = _compiled(*pods)
    found.apply(strict)
    assert _rates(found) == {"Pod/shop/web/egress": 5_000}
    assert not found.desired().port_groups
    (said,) = found.diagnostics("Pod", "shop/thief")
    assert (said.severity, said.code) == (Severity.ERROR, Code.PORT_CLAIMED)
    assert "shop/web" in said.text
    assert found.diagnostics("Pod", "shop/web") == ()
    assert [one.code for one in found.diagnostics("NetworkQoS", "shop/strict")] == [Code.PORT_CLAIMED]


def test_the_owner_of_a_port_is_followed_as_it_comes_and_goes() -> None:
    found = _compiled(THIEF)
    assert set(_rates(found)) == {"Pod/shop/thief/egress", "Pod/shop/thief/ingress"}
    found.drain()
    found.apply(VICTIM)
    delta = found.drain()
    assert "shop/thief" in delta.pods
    assert set(_rates(found)) == {"Pod/shop/web/egress"}
    found.apply(replace(VICTIM, phase="Succeeded"))
    assert set(_rates(found)) == {"Pod/shop/thief/egress", "Pod/shop/thief/ingress"}
    assert found.diagnostics("Pod", "shop/thief") == ()
    found.delete("Pod", "shop/thief")
    assert _rates(found) == {}


def test_two_pods_that_name_each_others_ports_have_none() -> None:
    swapped = [
        replace(pod(name, interface(f"10.16.0.{number}", machine=other)), qos=PodQos(egress=LOOSE))
        for number, (name, other) in enumerate((("a", "b"), ("b", "a")), start=1)
    ]
    mixed = [
        replace(
            pod(name, interface(f"10.16.0.{number}", machine=machine), interface(provider="fast.shop.ovn")),
            qos=PodQos(egress=LOOSE),
        )
        for number, (name, machine) in enumerate((("a", ""), ("b", "a")), start=1)
    ]
    assert set(_rates(_compiled(*swapped))) == {"Pod/shop/a/egress", "Pod/shop/b/egress"}  # each has one port, once
    assert set(_rates(_compiled(*mixed))) == {"Pod/shop/a/egress"}


@pytest.mark.parametrize("topology", [OvnKubernetesTopology(), KubeOvnTopology()])
def test_no_annotation_names_a_port_of_another_namespace(topology: Topology) -> None:
    networks = {key: {"ip_addresses": ["10.0.0.1"]} for key in ("default", "shop/blue", "other/web", "other_web")}
    annotations = {"k8s.ovn.org/pod-networks": json.dumps(networks)}
    for machine in ("web", "web.other", "other"):
        annotations |= interface("10.0.0.1", machine=machine)
        given = Pod(namespace="shop", name="thief", node="n1", labels={}, annotations=annotations)
        found = topology.interfaces(given)
        assert found
        for one in found:
            assert one.port.endswith(("_shop_thief", ".shop")) or one.port == "shop_thief"
