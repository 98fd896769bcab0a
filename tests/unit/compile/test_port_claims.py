"""One port that several pods claim, as the launchers of one virtual machine of Kube-OVN do."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import TYPE_CHECKING

import pytest

from ovnqos import Bandwidth, Code, Compiler, KubeOvnTopology, PodQos
from tests.support.cluster import codes
from tests.support.kube_ovn import interface, pod

if TYPE_CHECKING:
    from ovnqos import Pod

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
