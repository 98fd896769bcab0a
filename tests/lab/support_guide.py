"""The NetworkQoS guide's own cluster: its network, its policy and its three pods, verbatim."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Final, cast

import yaml

from tests.lab.support_matrix import Destination

if TYPE_CHECKING:
    from ovnqos.sandbox import SandboxPod
    from tests.lab.support_cluster import Document, LabCluster

NETWORK: Final = "default/ovn-stream"

# Section 4.1 of the guide: `create_pod <name> <node> <labels>`
_PODS: Final = {
    "pod0": ("ovn-worker", {}),
    "pod1": ("ovn-worker", {"nqos-app": "bw-limited"}),
    "pod2": ("ovn-worker2", {"foo": "bar", "nqos-app": "bw-limited"}),
}


class Guide:
    """The guide's pods, each on the default network and on the guide's attachment.

    Attributes:
        cluster: its cluster.
        policy: the guide's NetworkQoS document.
    """

    def __init__(self, cluster: LabCluster) -> None:
        """Builds the network and the pods."""
        self.cluster = cluster
        self.policy = _document("nqos.yaml")
        cluster.add_network(_document("nad.yaml"))
        for name, (node, labels) in _PODS.items():
            networks = ("default", NETWORK)
            cluster.add_pod(name, node=node, namespace="default", networks=networks, labels={"name": name, **labels})

    def pod(self, name: str) -> SandboxPod:
        """`pod0`, `pod1` or `pod2`."""
        return self.cluster.pods[f"default/{name}"]

    def destination(self, name: str) -> Destination:
        """A pod's address on the guide's attachment."""
        pod = self.pod(name)
        return Destination(receiver=pod, address=pod.address_on(NETWORK))


def _document(name: str) -> Document:
    return cast("Document", yaml.safe_load((files("ovnqos.cli") / "demo" / name).read_text()))
