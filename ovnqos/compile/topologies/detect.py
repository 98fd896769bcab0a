"""Which CNI wired the pods, told by the annotations that it leaves on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ovnqos.compile.topologies.choice import TopologyKind
from ovnqos.compile.topologies.ovn_kubernetes import POD_NETWORKS
from ovnqos.compile.topology import Topology
from ovnqos.model.workloads import ALLOCATED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ovnqos.compile.topologies.choice import TopologyChoice
    from ovnqos.model.topology_map import TopologyMap
    from ovnqos.model.workloads import Pod

_HOW_TO_CHOOSE = "say which by --topology, ovn-kubernetes, kube-ovn or static:FILE"


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectedTopology:
    """What the pods tell; `doubt` says in one line why that is not certain, and is empty when it is."""

    kind: TopologyKind
    doubt: str = ""


def detect_topology(pods: Iterable[Pod]) -> DetectedTopology:
    """Tell the topology by the pods' annotations; of ovn-kubernetes when they do not decide it.

    Pods on the host's network and finished ones do not count: no CNI wires them. Without any other pod there is
    nothing to doubt.
    """
    ovn_kubernetes = kube_ovn = others = False
    for pod in pods:
        of_ovn_kubernetes = POD_NETWORKS in pod.annotations
        of_kube_ovn = any(key.endswith(ALLOCATED) for key in pod.annotations)
        ovn_kubernetes = ovn_kubernetes or of_ovn_kubernetes
        kube_ovn = kube_ovn or of_kube_ovn
        others = others or (not (of_ovn_kubernetes or of_kube_ovn) and pod.has_own_addresses)
        if ovn_kubernetes and kube_ovn:
            doubt = f"there are pods of ovn-kubernetes and of Kube-OVN; taken for ovn-kubernetes: {_HOW_TO_CHOOSE}"
            return DetectedTopology(kind=TopologyKind.OVN_KUBERNETES, doubt=doubt)
    if kube_ovn:
        return DetectedTopology(kind=TopologyKind.KUBE_OVN)
    doubt = ""
    if others and not ovn_kubernetes:
        doubt = f"no pod has an annotation of ovn-kubernetes or Kube-OVN; taken for ovn-kubernetes: {_HOW_TO_CHOOSE}"
    return DetectedTopology(kind=TopologyKind.OVN_KUBERNETES, doubt=doubt)


def make_topology(
    choice: TopologyChoice,
    *,
    pods: Iterable[Pod] = (),
    topology_map: TopologyMap | None = None,
    zone_nodes: Iterable[str] | None = None,
) -> tuple[Topology, str]:
    """The chosen topology, and a doubt about it as in `DetectedTopology`.

    Args:
        choice: what was asked for.
        pods: those known; only `auto` looks at them.
        topology_map: what `choice.file` holds; only `static` needs it.
        zone_nodes: as `Topology` has it.

    Raises:
        ValueError: `static` without a map.
    """
    kind, doubt = choice.kind, ""
    if kind is TopologyKind.AUTO:
        detected = detect_topology(pods)
        kind, doubt = detected.kind, detected.doubt
    if kind is TopologyKind.KUBE_OVN:
        return Topology.kube_ovn(zone_nodes=zone_nodes), doubt
    if kind is TopologyKind.STATIC:
        if topology_map is None:
            raise ValueError("a static topology needs its map")
        return Topology.static(topology_map, zone_nodes=zone_nodes), doubt
    return Topology.ovn_kubernetes(zone_nodes=zone_nodes), doubt
