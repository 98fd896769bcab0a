"""The topology that a user chose, or that the annotations of pods tell."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from ovnqos.diagnostics import Code, Diagnostic, ObjectRef
from ovnqos.model.workloads import ALLOCATED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovnqos.compile.topology import Topology
    from ovnqos.model.networks import TopologyMap
    from ovnqos.model.workloads import Pod


_STATIC_PREFIX: Final = "static:"


class TopologyKind(StrEnum):
    """Which CNI named the switches and ports; `auto`: detected by the pods' annotations."""

    AUTO = "auto"
    OVN_KUBERNETES = "ovn-kubernetes"
    KUBE_OVN = "kube-ovn"
    STATIC = "static"


@dataclass(frozen=True, slots=True, kw_only=True)
class TopologyChoice:
    """A topology to be used. `file` is the path of the topology map of kind `static`, and empty otherwise."""

    kind: TopologyKind = TopologyKind.AUTO
    file: str = ""

    def __str__(self) -> str:
        """As `parse_topology_choice` reads it."""
        return f"{_STATIC_PREFIX}{self.file}" if self.kind is TopologyKind.STATIC else str(self.kind)


def parse_topology_choice(text: str) -> TopologyChoice:
    """Read a choice. Raises ValueError, whose text says what would be right."""
    if text.startswith(_STATIC_PREFIX) and text != _STATIC_PREFIX and text.isprintable():
        return TopologyChoice(kind=TopologyKind.STATIC, file=text.removeprefix(_STATIC_PREFIX))
    if text in {TopologyKind.AUTO, TopologyKind.OVN_KUBERNETES, TopologyKind.KUBE_OVN}:
        return TopologyChoice(kind=TopologyKind(text))
    raise ValueError("give auto, ovn-kubernetes, kube-ovn or static:FILE, where FILE is a topology map")


_HINT: Final = "choose with --topology: ovn-kubernetes, kube-ovn or static:FILE"


def _uncertain(text: str) -> Diagnostic:
    return Diagnostic.warning(
        ObjectRef(kind="Pod"), Code.UNCERTAIN_TOPOLOGY, f"{text}; ovn-kubernetes is assumed", hint=_HINT
    )


def detect_topology(pods: Iterable[Pod]) -> tuple[TopologyKind, Diagnostic | None]:
    """Tell the topology by the pods' annotations; ovn-kubernetes when they do not decide it.

    Pods on the host's network and finished ones do not count: no CNI wires them.

    Returns the kind, and a warning where that is not certain; None when it is, or when there is no pod to tell.
    """
    from ovnqos.compile.topology import POD_NETWORKS  # noqa: PLC0415 # see make_topology

    ovn_kubernetes = kube_ovn = others = False
    for pod in pods:
        of_ovn_kubernetes = POD_NETWORKS in pod.annotations
        of_kube_ovn = any(key.endswith(ALLOCATED) for key in pod.annotations)
        ovn_kubernetes = ovn_kubernetes or of_ovn_kubernetes
        kube_ovn = kube_ovn or of_kube_ovn
        others = others or (not (of_ovn_kubernetes or of_kube_ovn) and pod.has_own_addresses)
        if ovn_kubernetes and kube_ovn:
            return TopologyKind.OVN_KUBERNETES, _uncertain("there are pods of ovn-kubernetes and of Kube-OVN")
    if kube_ovn:
        return TopologyKind.KUBE_OVN, None
    if others and not ovn_kubernetes:
        return TopologyKind.OVN_KUBERNETES, _uncertain("no pod has an annotation of ovn-kubernetes or Kube-OVN")
    return TopologyKind.OVN_KUBERNETES, None


def make_topology(
    choice: TopologyChoice,
    *,
    pods: Iterable[Pod] = (),
    topology_map: TopologyMap | None = None,
    zone_nodes: Iterable[str] | None = None,
) -> tuple[Topology, Diagnostic | None]:
    """The chosen topology, and a warning where it is not certain, as `detect_topology` has it.

    Args:
        choice: what was asked for.
        pods: those known; only `auto` looks at them.
        topology_map: what `choice.file` holds; only `static` needs it.
        zone_nodes: as `Topology` has it.

    Raises:
        ValueError: `static` without a map.
    """
    # completion and --help parse a choice: they load no netaddr
    from ovnqos.compile.topologies.kube_ovn import KubeOvnTopology  # noqa: PLC0415
    from ovnqos.compile.topologies.static import StaticTopology  # noqa: PLC0415
    from ovnqos.compile.topology import OvnKubernetesTopology  # noqa: PLC0415

    kind, uncertain = choice.kind, None
    if kind is TopologyKind.AUTO:
        kind, uncertain = detect_topology(pods)
    if kind is TopologyKind.KUBE_OVN:
        return KubeOvnTopology(zone_nodes=zone_nodes), uncertain
    if kind is TopologyKind.STATIC:
        if topology_map is None:
            raise ValueError("a static topology needs its map")
        return StaticTopology(topology_map, zone_nodes=zone_nodes), uncertain
    return OvnKubernetesTopology(zone_nodes=zone_nodes), uncertain
