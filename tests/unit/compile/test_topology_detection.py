"""Which topology is used: what a flag says, and what pods tell."""

from __future__ import annotations

import pytest

from ovnqos import Code, Pod, Severity
from ovnqos.compile.topologies.choice import (
    TopologyChoice,
    TopologyKind,
    detect_topology,
    make_topology,
    parse_topology_choice,
)
from ovnqos.compile.topologies.kube_ovn import KubeOvnTopology
from ovnqos.compile.topologies.static import StaticTopology
from ovnqos.compile.topology import OvnKubernetesTopology
from ovnqos.sources.topology_map import parse_topology_map
from tests.support import kube_ovn
from tests.support.cluster import pod

OURS = pod("a", "10.0.0.1")
KUBE_OVN = kube_ovn.pod("b", kube_ovn.interface("10.16.0.5"))
BARE = Pod(namespace="shop", name="c", node="n1", labels={}, annotations={})
ON_HOST = Pod(namespace="shop", name="d", node="n1", labels={}, annotations={}, host_network=True)
BOTH = Pod(namespace="x", name="e", node="n1", labels={}, annotations={**OURS.annotations, **KUBE_OVN.annotations})
MAP = parse_topology_map({"networks": {"lan": {"topology": "layer2", "switch": "lan"}}})


@pytest.mark.parametrize("text", ["auto", "ovn-kubernetes", "kube-ovn", "static:topology.yaml", "static:/a b/c:d.yaml"])
def test_a_choice_is_read_and_written_alike(text: str) -> None:
    choice = parse_topology_choice(text)
    assert str(choice) == text
    assert choice.file == text.partition("static:")[2]


@pytest.mark.parametrize(
    "text", ["", "static", "static:", "static:a\nb", "kubeovn", "Auto", " auto", "ovn-kubernetes:x"]
)
def test_another_word_is_refused_with_the_right_ones(text: str) -> None:
    with pytest.raises(ValueError, match="give auto, ovn-kubernetes, kube-ovn or static:FILE"):
        parse_topology_choice(text)


@pytest.mark.parametrize("pods", [[OURS], [ON_HOST, OURS, BARE]])
def test_ovn_kubernetes_is_told_by_its_annotation(pods: list[Pod]) -> None:
    assert detect_topology(pods) == (TopologyKind.OVN_KUBERNETES, None)


@pytest.mark.parametrize("pods", [[KUBE_OVN], [BARE, KUBE_OVN, ON_HOST]])
def test_kube_ovn_is_told_by_its_annotations(pods: list[Pod]) -> None:
    assert detect_topology(pods) == (TopologyKind.KUBE_OVN, None)


@pytest.mark.parametrize(
    ("pods", "words"),
    [
        ([OURS, KUBE_OVN], "there are pods of ovn-kubernetes and of Kube-OVN"),
        ([BOTH], "there are pods of ovn-kubernetes and of Kube-OVN"),
        ([ON_HOST, BARE], "no pod has an annotation of ovn-kubernetes or Kube-OVN"),
    ],
)
def test_what_is_not_certain_is_a_warning_that_says_how_to_choose(pods: list[Pod], words: str) -> None:
    kind, uncertain = detect_topology(pods)
    assert kind is TopologyKind.OVN_KUBERNETES
    assert uncertain is not None
    assert uncertain.code is Code.UNCERTAIN_TOPOLOGY
    assert uncertain.severity is Severity.WARNING
    assert words in uncertain.text
    assert "--topology" in uncertain.hint


@pytest.mark.parametrize("pods", [[], [ON_HOST]])
def test_without_pods_of_a_network_nothing_is_uncertain(pods: list[Pod]) -> None:
    assert detect_topology(pods) == (TopologyKind.OVN_KUBERNETES, None)


def test_a_choice_is_certain_whatever_the_pods_tell() -> None:
    for kind, expected in (
        (TopologyKind.OVN_KUBERNETES, OvnKubernetesTopology),
        (TopologyKind.KUBE_OVN, KubeOvnTopology),
        (TopologyKind.STATIC, StaticTopology),
    ):
        choice = TopologyChoice(kind=kind, file="x" if kind is TopologyKind.STATIC else "")
        topology, uncertain = make_topology(choice, pods=[OURS, KUBE_OVN], topology_map=MAP, zone_nodes={"n1"})
        assert type(topology) is expected
        assert uncertain is None
        assert topology.zone_nodes == frozenset({"n1"})


def test_auto_takes_what_the_pods_tell() -> None:
    topology, uncertain = make_topology(TopologyChoice(), pods=[KUBE_OVN])
    assert (type(topology), uncertain) == (KubeOvnTopology, None)
    topology, uncertain = make_topology(TopologyChoice(), pods=[BARE])
    assert type(topology) is OvnKubernetesTopology
    assert uncertain is not None


def test_a_static_topology_without_its_map_is_refused() -> None:
    with pytest.raises(ValueError, match="needs its map"):
        make_topology(TopologyChoice(kind=TopologyKind.STATIC, file="x"))
