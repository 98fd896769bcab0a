"""A scenario of the demo and what it runs on: a private OVN with nodes and pods, or databases alone."""

from __future__ import annotations

import json
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from ovnqos.cli.demo.terminal import Terminal
from ovnqos.sandbox import Central, Sandbox, StreamError, measure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rich.console import Console

    from ovnqos.cli.demo.terminal import Run
    from ovnqos.sandbox import Attachment, SandboxPod, Stream, StreamResult
    from ovnqos.sandbox.network import SandboxNetwork

NAMESPACE: Final = "default"
_OFFERED_AT_LEAST: Final = 0.98
_PODS: Final = "pods.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioPod:
    """A pod of a scenario: its node, the keys of its networks, its labels and annotations."""

    node: str
    networks: tuple[str, ...] = ("default",)
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What is built, and what is done with it.

    Attributes:
        title: what is built.
        nodes: their names.
        networks: the logical networks, each used for one run only.
        pods: by name.
        wiring: what the CNI writes on a pod: its annotations, by its name and attachments.
        script: the commands and measurements.
        manifests: files of this package that are input, besides the pods.
        topology_map: a file of this package; empty: the topology is detected.
        seconds_at_least: how long each bandwidth check must send.
    """

    title: str
    nodes: tuple[str, ...]
    networks: tuple[SandboxNetwork, ...]
    pods: Mapping[str, ScenarioPod]
    wiring: Callable[[str, Sequence[Attachment]], Mapping[str, str]]
    script: Callable[[DemoEnvironment], None]
    manifests: tuple[str, ...] = ()
    topology_map: str = ""
    seconds_at_least: float = 1


def read_file(name: str) -> str:
    """The text of a file of this package."""
    return files(__package__).joinpath(name).read_text()


def ovn_kubernetes_wiring(_name: str, attachments: Sequence[Attachment]) -> dict[str, str]:
    """What ovn-kubernetes writes on a pod."""
    return {"k8s.ovn.org/pod-networks": json.dumps({one.network: one.annotation() for one in attachments})}


def measured(stream: Stream) -> StreamResult:
    """Measure a stream; again where it did not start, or the machine was too busy to send, never for what arrived.

    Raises:
        StreamError: it did not start in the last of three attempts.
    """
    for last in (False, False, True):
        try:
            found = measure([stream])[0]
        except StreamError:
            if last:
                raise
        else:
            if last or stream.protocol == "tcp" or found.offered >= _OFFERED_AT_LEAST * stream.offered:
                break
        time.sleep(1)
    return found


class DemoEnvironment:
    """A private OVN with a scenario's networks and pods; a context manager.

    Attributes:
        terminal: runs and shows commands.
        seconds: how long each bandwidth check sends.
        sandbox: nodes and pods that can send packets; None without root.
        pods: those that can send, by name; empty without root.
        attachments: of each pod, by name.
    """

    def __init__(self, scenario: Scenario, run: Run, console: Console, *, packets: bool, seconds: float) -> None:
        self.seconds = seconds
        self.sandbox = Sandbox(scenario.nodes, networks=()) if packets else None
        self.central = self.sandbox.central if self.sandbox else Central()
        self.terminal = Terminal(run, console, self.central)
        self.pods: dict[str, SandboxPod] = {}
        self.attachments: dict[str, Sequence[Attachment]] = {}
        self._folder = Path()
        self._scenario = scenario
        self._annotations = {name: dict(pod.annotations) for name, pod in scenario.pods.items()}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            private = self.sandbox or self.central
            stack.callback(private.close)  # an interrupt may come when it runs, and before the stack knows
            stack.enter_context(private)
            if self.sandbox:
                self._wire(self.sandbox)
            else:
                self._wire_without_packets()
            self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ovnqos-demo-")))
            self._write_files()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def annotate(self, name: str, annotations: Mapping[str, str]) -> None:
        """Set the annotations of a pod beside those of the CNI."""
        self._annotations[name] = dict(annotations)
        self._write_pods()

    def write_manifest(self, name: str, text: str) -> None:
        """Exchange the text of a manifest that is input."""
        (self._folder / "manifests" / name).write_text(text)

    def sync(self) -> None:
        """Wait until the chassis, if there are any, have caught up."""
        if self.sandbox:
            self.central.sync()

    def _wire(self, sandbox: Sandbox) -> None:
        for network in self._scenario.networks:
            sandbox.add_network(network)
        for name, pod in self._scenario.pods.items():
            self.pods[name] = sandbox.add_pod(name, node=pod.node, namespace=NAMESPACE, networks=pod.networks)
            self.attachments[name] = self.pods[name].attachments

    def _wire_without_packets(self) -> None:
        networks = {network.key: network for network in self._scenario.networks}
        commands = [command for network in networks.values() for command in network.create(self._scenario.nodes)]
        for name, pod in self._scenario.pods.items():
            of_pod = [networks[key] for key in pod.networks]
            self.attachments[name] = [one.attach(name, namespace=NAMESPACE, node=pod.node) for one in of_pod]
            for network, attachment in zip(of_pod, self.attachments[name], strict=True):
                commands += network.port_commands(attachment, namespace=NAMESPACE)
        self.central.nbctl(*[word for command in commands for word in ("--", *command)][1:])

    def _write_files(self) -> None:
        manifests = self._folder / "manifests"
        manifests.mkdir()
        for name in self._scenario.manifests:
            self.write_manifest(Path(name).name, read_file(name))
        self._write_pods()
        self.terminal.input_options = ["-f", str(manifests)]
        if self._scenario.topology_map:
            path = self._folder / "topology.yaml"
            path.write_text(read_file(self._scenario.topology_map))
            self.terminal.input_options += ["--topology", f"static:{path}"]

    def _write_pods(self) -> None:
        """Write the pods, and their namespaces, as the API server shows them now."""
        pods = [*map(self._pod, self._scenario.pods)]
        names = sorted({pod["metadata"]["namespace"] for pod in pods})
        namespaces = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in names]
        document = {"apiVersion": "v1", "kind": "List", "items": [*namespaces, *pods]}
        (self._folder / "manifests" / _PODS).write_text(json.dumps(document, indent=2))

    def _pod(self, name: str) -> dict[str, Any]:
        pod = self._scenario.pods[name]
        annotations = {**self._annotations[name], **self._scenario.wiring(name, self.attachments[name])}
        metadata = {"name": name, "namespace": NAMESPACE, "labels": dict(pod.labels), "annotations": annotations}
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": metadata,
            "spec": {"nodeName": pod.node},
            "status": {"phase": "Running"},
        }


def run_scenario(scenario: Scenario, run: Run, console: Console, *, packets: bool, seconds: float) -> bool:
    """Build and run a scenario; returns whether every command and measurement ended as expected.

    Args:
        scenario: what to run.
        run: runs a command line of this program and returns its exit code.
        console: where to show it.
        packets: with nodes and pods, which needs root; else the databases alone.
        seconds: how long each bandwidth check sends.

    Raises:
        SandboxError: OVN, or a measuring tool, is missing or does not start.
    """
    tempfile.gettempdir()  # its first call writes a file and removes it, unless Ctrl-C comes in between
    console.rule(f"A private OVN: {scenario.title}")
    with DemoEnvironment(scenario, run, console, packets=packets, seconds=seconds) as environment:
        scenario.script(environment)
    if not packets:
        console.print("Played without pods and packets; run it as root to measure them.")
    console.rule("All checks passed" if environment.terminal.good else "CHECKS FAILED: see above")
    return environment.terminal.good
