"""Pods whose annotations change while they run, in a sandbox of their own."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from netaddr import IPNetwork
from tenacity import retry, retry_if_exception_type, retry_if_result, stop_after_attempt, stop_after_delay, wait_fixed

from ovnqos import Northbound, parse_object
from ovnqos.controller import find_shadowed_limits
from ovnqos.sandbox import Stream, StreamError, measure
from tests.lab.support_cluster import LabCluster
from tests.lab.support_matrix import Destination
from tests.lab.support_networks import DEFAULT_NETWORK
from tests.lab.support_results import Cell
from tests.support.lab_sandbox import LabSandbox, ofctl

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ovnqos import Code
    from ovnqos.sandbox import Programs, SandboxNode, SandboxPod, StreamResult
    from tests.lab.support_cluster import Document

WORKER, WORKER2 = "ovn-worker", "ovn-worker2"
NAMESPACE: Final = "limits"
CLUSTER_CIDRS: Final = ("10.244.0.0/16", "fd10:244::/48", "10.151.0.0/16", "fd10:151::/64")
"""The default network's, and the layer2 network's of these tests."""
PREFIX: Final = "qos.projectcalico.org/"
OUTSIDE: Final = {4: "198.51.100.10", 6: "2001:db8:51::10"}
"""Addresses of the outside host, which every network leads to."""
BURST: Final = "1M"
"""`support_rates.BURST_KBIT` as an annotation has it."""
_HOST_BITS: Final = {4: 32, 6: 128}


class LimitedPods:
    """A cluster of pods that anybody may annotate; nobody restarts them.

    Attributes:
        cluster: its cluster.
    """

    def __init__(self, cluster: LabCluster) -> None:
        self.cluster = cluster
        cluster.compiler.inventory.cluster_cidrs = tuple(map(IPNetwork, CLUSTER_CIDRS))
        for version, address in OUTSIDE.items():
            cluster.sandbox.outside.add_address(f"{address}/{_HOST_BITS[version]}")
        self._labels: dict[str, Mapping[str, str]] = {}
        self._annotated_namespaces: set[str] = set()

    def add_pod(
        self,
        name: str,
        *,
        node: str,
        namespace: str = NAMESPACE,
        networks: Sequence[str] = ("default",),
        labels: Mapping[str, str] | None = None,
    ) -> SandboxPod:
        """Wires a pod and creates its object, without any QoS annotation."""
        pod = self.cluster.wire_pod(name, node=node, namespace=namespace, networks=networks)
        self._labels[pod.name] = labels or {}
        self.annotate(pod)
        return pod

    def annotate(self, pod: SandboxPod, annotations: Mapping[str, str] | None = None) -> None:
        """Gives the pod's object these QoS annotations, and no others, as `kubectl annotate` would."""
        namespace, _, name = pod.name.partition("/")
        metadata = {
            "name": name,
            "namespace": namespace,
            "labels": dict(self._labels[pod.name]),
            "annotations": {"k8s.ovn.org/pod-networks": pod.annotation, **(annotations or {})},
        }
        self._update({"kind": "Pod", "metadata": metadata, "spec": {"nodeName": pod.node}})

    def label(self, pod: SandboxPod, labels: Mapping[str, str]) -> None:
        """Gives the pod's object these labels, and no others; its QoS annotations go."""
        self._labels[pod.name] = labels
        self.annotate(pod)

    def annotate_namespace(self, name: str, annotations: Mapping[str, str]) -> None:
        """Gives a namespace's object these QoS annotations, and no others."""
        self._annotated_namespaces.add(name)
        self._update({"kind": "Namespace", "metadata": {"name": name, "annotations": dict(annotations)}})

    @contextmanager
    def cluster_cidrs(self, *cidrs: str) -> Iterator[None]:
        """Makes these the cluster's CIDRs, for annotations that are set meanwhile."""
        inventory = self.cluster.compiler.inventory
        inventory.cluster_cidrs = tuple(map(IPNetwork, cidrs))
        try:
            yield
        finally:
            inventory.cluster_cidrs = tuple(map(IPNetwork, CLUSTER_CIDRS))

    def apply(self, *policies: Document, expected: Code | None = None) -> None:
        """Makes the annotations and these NetworkQoS documents hold; returns when their rows are in force.

        For `expected` see `LabCluster.apply`.
        """
        self.cluster.apply(*policies, expected=expected)

    def hidden(self, *policies: Document) -> set[tuple[str, str]]:
        """The identities of the rows whose limits are told not to hold, each with that of the row that hides it."""
        desired = self.cluster.compile(*policies)
        found = find_shadowed_limits(desired)
        return {(one.limit.identity, one.by.identity) for one in found}

    def reset(self) -> None:
        """Removes all annotations and policies."""
        for pod in self.cluster.pods.values():
            self.annotate(pod)
        for name in self._annotated_namespaces:
            self.annotate_namespace(name, {})
        self.cluster.withdraw()

    def _update(self, document: Document) -> None:
        self.cluster.compiler.apply(parse_object({"apiVersion": "v1", **document}))


@contextmanager
def limited_pods(programs: Programs) -> Iterator[LimitedPods]:
    """Two nodes and no pods yet."""
    with (
        LabSandbox(nodes=(WORKER, WORKER2), programs=programs) as sandbox,
        Northbound.connect(sandbox.central.northbound.remote) as northbound,
    ):
        yield LimitedPods(LabCluster(sandbox, northbound))


def limits(*, egress: str | None = None, ingress: str | None = None, burst: str | None = None) -> dict[str, str]:
    """Annotations that limit a pod; `burst` of both directions, None for OVN's default: one second of the rate."""
    given = {"egress": egress, "ingress": ingress}
    annotations = {f"{PREFIX}{direction}Bandwidth": rate for direction, rate in given.items() if rate is not None}
    if burst is not None:
        annotations |= {f"{PREFIX}{direction}Burst": burst for direction, rate in given.items() if rate is not None}
    return annotations


def to_pod(pod: SandboxPod, *, network: str = "default", version: int = 4) -> Destination:
    """A pod as somebody who receives."""
    return Destination(receiver=pod, address=pod.address_on(network, version=version))


def to_outside(pods: LimitedPods, *, version: int = 4) -> Destination:
    """The host outside the cluster as somebody who receives."""
    return Destination(receiver=pods.cluster.sandbox.outside, address=OUTSIDE[version])


def cell(scene: str, place: str, outcome: str, *, network: str = DEFAULT_NETWORK.title, version: int = 4) -> Cell:
    """A cell of the report."""
    return Cell(network=network, place=place, version=version, scene=scene, sent="UDP", outcome=outcome)


@retry(retry=retry_if_exception_type(StreamError), stop=stop_after_attempt(3), reraise=True)
def by_second(stream: Stream) -> StreamResult:
    """What its receiver gets in each second; again if iperf3 lost the packet by which it starts."""
    return measure([replace(stream, by_second=True)])[0]


@retry(retry=retry_if_result(lambda drops: not drops), wait=wait_fixed(0.05), stop=stop_after_delay(5))
def wait_until_a_meter_drops(node: SandboxNode) -> bool:
    """Returns when a meter of this node has dropped packets, as it does once its bucket is empty."""
    bands = (line for line in ofctl(node, "meter-stats").splitlines() if line.startswith("0: packet_count:"))
    return any(not line.startswith("0: packet_count:0 ") for line in bands)
