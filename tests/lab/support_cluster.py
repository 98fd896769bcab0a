"""A sandbox as a Kubernetes cluster: documents go in, this library puts their rows into its Northbound."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest

from ovnqos import Code, Compiler, DesiredState, OvnKubernetesTopology, parse_object, plan_changes
from ovnqos.controller import describe_missing, parse_policy
from ovnqos.sandbox import Layer3Network
from tests.support.flat_networks import Layer2Network, LocalnetNetwork, PrimaryLayer2Network
from tests.support.match_checker import unparsed_matches

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ovnqos import Northbound
    from ovnqos.controller import Applied
    from ovnqos.sandbox import SandboxPod
    from tests.support.lab_sandbox import LabSandbox

Document = dict[str, Any]

_NETWORKS: Final = {
    ("layer3", "secondary"): Layer3Network,
    ("layer2", "secondary"): Layer2Network,
    ("layer2", "primary"): PrimaryLayer2Network,
    ("localnet", "secondary"): LocalnetNetwork,
}


class LabCluster:
    """Keeps the cluster's objects, as an API server would, and applies policies to the sandbox's Northbound.

    Attributes:
        sandbox: carries the packets.
        northbound: the one connection of this cluster.
        compiler: what the library knows of the cluster; all of it was parsed from documents.
        pods: the wired pods, by `<namespace>/<name>`.
    """

    def __init__(self, sandbox: LabSandbox, northbound: Northbound) -> None:
        self.sandbox = sandbox
        self.northbound = northbound
        self.compiler = Compiler(OvnKubernetesTopology())
        self.pods: dict[str, SandboxPod] = {}

    def add_namespace(self, name: str, labels: Mapping[str, str]) -> None:
        """Creates a namespace object."""
        self._create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(labels)}})

    def add_network(self, definition: Document) -> None:
        """Creates a NetworkAttachmentDefinition, and the network that its configuration describes."""
        config = json.loads(definition["spec"]["config"])
        kind = _NETWORKS[config["topology"], config.get("role", "secondary")]
        subnets = [subnet for subnet in config.get("subnets", "").split(",") if subnet]
        network = kind(config["name"], subnets=subnets, nad=config["netAttachDefName"])
        self.sandbox.add_network(network)
        self._create(definition)

    def add_pod(
        self,
        name: str,
        *,
        node: str,
        namespace: str,
        networks: Sequence[str],
        labels: Mapping[str, str] | None = None,
    ) -> SandboxPod:
        """Wires a pod and creates its object."""
        pod = self.wire_pod(name, node=node, namespace=namespace, networks=networks)
        self.show_pod(pod, labels or {})
        return pod

    def wire_pod(self, name: str, *, node: str, namespace: str, networks: Sequence[str]) -> SandboxPod:
        """Wires a pod that the library does not see yet."""
        pod = self.sandbox.add_pod(name, node=node, namespace=namespace, networks=networks)
        self.pods[pod.name] = pod
        return pod

    def show_pod(
        self, pod: SandboxPod, labels: Mapping[str, str], annotations: Mapping[str, str] | None = None
    ) -> None:
        """Creates or changes a wired pod's object."""
        namespace, _, name = pod.name.partition("/")
        annotations = {"k8s.ovn.org/pod-networks": pod.annotation, **(annotations or {})}
        metadata = {"name": name, "namespace": namespace, "labels": dict(labels), "annotations": annotations}
        self._create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"nodeName": pod.node}})

    def remove_pod(self, pod: SandboxPod) -> None:
        """Takes a pod's object and wiring away."""
        self.compiler.delete("Pod", pod.name)
        self.sandbox.remove_pod(self.pods.pop(pod.name))

    def apply(self, *documents: Document, expected: Code | None = None) -> Applied:
        """Makes these NetworkQoS documents the cluster's only ones and returns when their rows are in force.

        The test fails if one cannot be compiled, if something that it needs is missing, or if OVN refuses a match.
        The library's diagnostics must be of the code `expected`, one at least; None: there must be none.
        """
        return self.apply_desired(self.compile(*documents, expected=expected))

    def apply_desired(self, desired: DesiredState) -> Applied:
        """As `apply`, of rows in OVN's own terms."""
        applied = self._write(desired)
        self.sandbox.central.sync()
        switch, port = next((pod.attachments[0].switch, pod.attachments[0].port) for pod in self.pods.values())
        unparsed = unparsed_matches(self.sandbox.central.southbound, switch=switch, port=port)
        if unparsed:
            pytest.fail(f"OVN does not accept {unparsed}", pytrace=False)
        return applied

    def write(self, *documents: Document) -> Applied:
        """As `apply`, but returns when the Northbound has taken the changes, without a question to anybody else."""
        return self._write(self.compile(*documents))

    def compile(self, *documents: Document, expected: Code | None = None) -> DesiredState:
        """What these documents mean in this cluster; for `expected` see `apply`."""
        policies = {one.key: one for one in map(parse_policy, documents)}
        for key in self.compiler.policies.keys() - policies.keys():
            self.compiler.delete("NetworkQoS", key)
        for one in policies.values():
            self.compiler.apply(one)
        # what is measured here is UDP, and what flows through Services is looked at by itself
        ignored = {Code.BURST_LIMITS_TCP, Code.BEFORE_LOAD_BALANCING, Code.FRAGMENTS}
        found = [one for one in self.compiler.all_diagnostics() if one.code not in ignored]
        if {one.code for one in found} != ({expected} if expected else set()):
            pytest.fail(f"expected diagnostics: {expected}; found: {'; '.join(map(str, found))}", pytrace=False)
        return replace(self.compiler.desired(), scope=None)  # complete: a policy that is not given is gone

    def _write(self, desired: DesiredState) -> Applied:
        self.northbound.refresh()
        plan = plan_changes(desired, self.northbound.snapshot())
        if plan.missing:
            pytest.fail("; ".join(map(str, describe_missing(plan.missing))), pytrace=False)
        return self.northbound.apply(plan)

    def withdraw(self) -> None:
        """Removes all policies."""
        self.write()
        self.sandbox.central.sync()

    def _create(self, document: Document) -> None:
        self.compiler.apply(parse_object(document))


def network_qos(
    name: str,
    rules: Sequence[Document],
    *,
    namespace: str,
    priority: int = 10,
    pods: Mapping[str, str] | None = None,
    networks: Sequence[Document] | None = None,
    annotations: Mapping[str, str] | None = None,
) -> Document:
    """A NetworkQoS document; `pods` are the labels that its podSelector wants, `networks` its networkSelectors."""
    spec: Document = {"priority": priority, "podSelector": {"matchLabels": dict(pods or {})}, "egress": list(rules)}
    if networks is not None:
        spec["networkSelectors"] = list(networks)
    metadata = {"name": name, "namespace": namespace, "annotations": dict(annotations or {})}
    return {"apiVersion": "k8s.ovn.org/v1alpha1", "kind": "NetworkQoS", "metadata": metadata, "spec": spec}


def rule(
    dscp: int, classifier: Document | None = None, *, rate_kbps: int | None = None, burst_kbit: int | None = None
) -> Document:
    """An egress rule of a NetworkQoS document."""
    written: Document = {"dscp": dscp}
    if classifier is not None:
        written["classifier"] = classifier
    if rate_kbps is not None:
        written["bandwidth"] = {"rate": rate_kbps} | ({"burst": burst_kbit} if burst_kbit is not None else {})
    return written


def udp_ports(*ports: int) -> list[Document]:
    """`classifier.ports` for UDP ports."""
    return [{"protocol": "UDP", "port": port} for port in ports]
