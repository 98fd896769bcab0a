"""Sandboxes that are wired as Kube-OVN does it, or as a topology map says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ovnqos import Compiler, KubeOvnTopology, StaticTopology, Topology, parse_object
from ovnqos.sandbox.kube_ovn import KubeOvnSubnet, kube_ovn_annotations
from ovnqos.sources.topology_map import parse_topology_map
from tests.lab.support_cluster import LabCluster

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ovnqos import Northbound
    from ovnqos.sandbox import SandboxPod
    from tests.support.lab_sandbox import LabSandbox

ADDRESSES = "example.com/addresses"


class _OtherCluster(LabCluster):
    """A cluster of another topology than ovn-kubernetes'."""

    def __init__(self, sandbox: LabSandbox, northbound: Northbound, topology: Topology) -> None:
        super().__init__(sandbox, northbound)
        self.compiler = Compiler(topology)

    def annotations(self, pod: SandboxPod) -> Mapping[str, str]:
        """What the CNI writes on a wired pod."""
        raise NotImplementedError

    def show_pod(
        self, pod: SandboxPod, labels: Mapping[str, str], annotations: Mapping[str, str] | None = None
    ) -> None:
        """Creates or changes a wired pod's object."""
        namespace, _, name = pod.name.partition("/")
        metadata = {
            "name": name,
            "namespace": namespace,
            "labels": dict(labels),
            "annotations": {**self.annotations(pod), **(annotations or {})},
        }
        document = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"nodeName": pod.node}}
        self.compiler.apply(parse_object(document, also_keep=frozenset({ADDRESSES})))


class KubeOvnCluster(_OtherCluster):
    """Subnets in VPCs; pods go by the names of Subnets."""

    def __init__(self, sandbox: LabSandbox, northbound: Northbound) -> None:
        super().__init__(sandbox, northbound, KubeOvnTopology())
        self._subnets: list[KubeOvnSubnet] = []

    def add_subnet(self, name: str, *cidrs: str, **options: str) -> None:
        """Builds a Subnet; `options` as in `KubeOvnSubnet`."""
        subnet = KubeOvnSubnet(name, cidrs=cidrs, **options)
        self._subnets.append(subnet)
        self.sandbox.add_network(subnet)

    def annotations(self, pod: SandboxPod) -> Mapping[str, str]:
        return kube_ovn_annotations(pod.attachments, self._subnets)


class StaticCluster(_OtherCluster):
    """A topology map, given as YAML would; pods have an annotation with the addresses of their first interface."""

    def __init__(self, sandbox: LabSandbox, northbound: Northbound, topology_map: dict[str, Any]) -> None:
        super().__init__(sandbox, northbound, StaticTopology(parse_topology_map(topology_map)))

    def annotations(self, pod: SandboxPod) -> Mapping[str, str]:
        return {ADDRESSES: ",".join(pod.attachments[0].addresses)}
