"""The cluster of Calico's QoS lab on OVN: two nodes and four iperf pods, which run on while they are annotated."""

from __future__ import annotations

import json
from contextlib import ExitStack
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, Self

import yaml

from ovnqos.sandbox import Central, Layer3Network, Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from ovnqos.sandbox import Pod

NODES: Final = ("ovn-worker", "ovn-worker2")
LIMITED: Final = ("iperf-client-qos", "iperf-server-qos")
"""The pods that are limited: who sends, in the lab, and who receives."""
SERVICE_NAME: Final = "iperf-server-qos"
SERVICE: Final = "10.96.25.245"
"""The Service's address, as in the lab's output."""
PORT: Final = 5201
QOS_MANIFEST: Final = "iperf-qos.yaml"
"""The manifest of the pods that are limited."""
_NAMESPACE: Final = "default"
_FOLDER: Final = "calico_files"
_MANIFESTS: Final = ("iperf.yaml", QOS_MANIFEST)
_PREFIX: Final = "qos.projectcalico.org/"


class CalicoStage:
    """A private OVN with the lab's pods; a context manager.

    Attributes:
        sandbox: nodes and pods that can send packets; None without root.
        pods: those that can send, by name; empty without root.
        manifests: the lab's pods and Service as a user writes them, by file name.
    """

    def __init__(self, *, packets: bool) -> None:
        """Describe it; entering it starts it."""
        self.sandbox = Sandbox(NODES) if packets else None
        self.central = self.sandbox.central if self.sandbox else Central()
        self.pods: dict[str, Pod] = {}
        folder = files(__package__).joinpath(_FOLDER)
        self.manifests = {name: folder.joinpath(name).read_text() for name in _MANIFESTS}
        self._objects: dict[str, dict[str, Any]] = {
            document["metadata"]["name"]: document
            for manifest in self.manifests.values()
            for document in yaml.safe_load_all(manifest)
            if document["kind"] == "Pod"
        }
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            if self.sandbox:
                stack.enter_context(self.sandbox)
                self._wire(self.sandbox)
            else:
                stack.enter_context(self.central)
                self._wire_without_packets()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def annotate(self, names: Iterable[str], annotations: Mapping[str, str | None]) -> None:
        """Sets the limits of running pods, by the names of their keys without prefix; None takes one away."""
        for name in names:
            found = self._objects[name]["metadata"]["annotations"]
            for key, value in annotations.items():
                if value is None:
                    found.pop(f"{_PREFIX}{key}", None)
                else:
                    found[f"{_PREFIX}{key}"] = value

    def write_pods(self, folder: Path) -> None:
        """Write the pods as the API server shows them now."""
        document = {"apiVersion": "v1", "kind": "List", "items": list(self._objects.values())}
        (folder / "pods.json").write_text(json.dumps(document, indent=2))

    def _wire(self, sandbox: Sandbox) -> None:
        for name, one in self._objects.items():
            self.pods[name] = sandbox.add_pod(name, node=one["spec"]["nodeName"], namespace=_NAMESPACE)
            self._started(name, self.pods[name].annotation)
        backends = [self.pods[SERVICE_NAME].address(version=4)]
        sandbox.add_service(SERVICE_NAME, address=SERVICE, port=PORT, backends=backends)

    def _wire_without_packets(self) -> None:
        network = Layer3Network()
        commands = network.create(NODES)
        for name, one in self._objects.items():
            attachment = network.attach(name, namespace=_NAMESPACE, node=one["spec"]["nodeName"])
            commands += network.port_commands(attachment, namespace=_NAMESPACE)
            self._started(name, json.dumps({attachment.network: attachment.annotation()}))
        self.central.nbctl(*[word for command in commands for word in ("--", *command)][1:])

    def _started(self, name: str, wiring: str) -> None:
        """What the API server adds once a pod runs: its wiring by the CNI, and its phase."""
        metadata = self._objects[name]["metadata"]
        metadata["namespace"] = _NAMESPACE
        metadata.setdefault("annotations", {})["k8s.ovn.org/pod-networks"] = wiring
        self._objects[name]["status"] = {"phase": "Running"}
