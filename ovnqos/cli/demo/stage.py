"""The cluster that the demo plays on: two nodes, three pods on two networks, with or without packets."""

from __future__ import annotations

import json
from contextlib import ExitStack
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, Self

from ovnqos.sandbox import Central, Layer3Network, Sandbox

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ovnqos.sandbox import Pod

NAD: Final = "default/ovn-stream"
NODES: Final = ("ovn-worker", "ovn-worker2")
LIMITED: Final = {"nqos-app": "bw-limited"}
PODS: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "pod0": ("ovn-worker", {}),
    "pod1": ("ovn-worker", LIMITED),
    "pod2": ("ovn-worker2", {"foo": "bar", **LIMITED}),
}
"""The guide's pods: node and labels."""


class Stage:
    """A private OVN with the guide's network and pods; a context manager.

    Attributes:
        sandbox: nodes and pods that can send packets; None without root.
        pods: those that can send, by name; empty without root.
    """

    def __init__(self, *, packets: bool) -> None:
        """Describe it; entering it starts it."""
        self.sandbox = Sandbox(NODES) if packets else None
        self.central = self.sandbox.central if self.sandbox else Central()
        self.pods: dict[str, Pod] = {}
        self._annotations: dict[str, str] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        stream = Layer3Network("ovn-stream", subnets=["10.245.0.0/16/24"], nad=NAD)
        with ExitStack() as stack:
            if self.sandbox:
                stack.enter_context(self.sandbox)
                self.sandbox.add_network(stream)
                for name, (node, _labels) in PODS.items():
                    self.pods[name] = self.sandbox.add_pod(name, node=node, networks=("default", NAD))
                    self._annotations[name] = self.pods[name].annotation
            else:
                stack.enter_context(self.central)
                self._wire_without_packets((Layer3Network(), stream))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def write_manifests(self, folder: Path) -> None:
        """Write the guide's manifests, as they are, and the pods as the API server would show them."""
        for name in ("nad.yaml", "nqos.yaml"):
            (folder / name).write_text(files(__package__).joinpath(name).read_text())
        (folder / "pods.json").write_text(json.dumps({"kind": "List", "items": [*map(self._pod, PODS)]}, indent=2))

    def _pod(self, name: str) -> dict[str, Any]:
        node, labels = PODS[name]
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "namespace": "default",
                "labels": {"name": name, **labels},
                "annotations": {"k8s.ovn.org/pod-networks": self._annotations[name]},
            },
            "spec": {"nodeName": node},
            "status": {"phase": "Running"},
        }

    def _wire_without_packets(self, networks: tuple[Layer3Network, ...]) -> None:
        commands = [command for network in networks for command in network.create(NODES)]
        for name, (node, _labels) in PODS.items():
            attachments = [network.attach(name, namespace="default", node=node) for network in networks]
            for network, attachment in zip(networks, attachments, strict=True):
                commands += network.port_commands(attachment, namespace="default")
            self._annotations[name] = json.dumps({one.network: one.annotation() for one in attachments})
        self.central.nbctl(*[word for command in commands for word in ("--", *command)][1:])
