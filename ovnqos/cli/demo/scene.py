"""A small cluster of another topology: two nodes, a policy, what is to be measured; and how it is played."""

from __future__ import annotations

import json
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tenacity import retry, retry_any, retry_if_exception_type, retry_if_result, stop_after_attempt, wait_fixed

from ovnqos.cli.demo.checks import Check, mega
from ovnqos.cli.demo.shell import Shell
from ovnqos.cli.demo.table import show_checks
from ovnqos.sandbox import Central, Probe, Stream, StreamError, measure, read_marks
from ovnqos.sandbox.plain import PlainSandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rich.console import Console

    from ovnqos.sandbox import Attachment, Measured, Pod
    from ovnqos.sandbox.network import Network

NODES: Final = ("worker1", "worker2")
NAMESPACE: Final = "default"
OFFERED: Final = 30e6
_TOLERANCE: Final = 0.05
_OFFERED_AT_LEAST: Final = 0.98


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenePod:
    """A pod of a scene: its node, the key of its network, its labels."""

    node: str
    network: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What a sender's packets to a receiver are to carry.

    Attributes:
        sender: the pod that sends.
        receiver: the pod that receives.
        tos: the byte that tcpdump calls tos.
        rate: the limit of UDP in bit/s; None: none. Where a limit holds, and where one could be mistaken for it.
        burst: bit, of the limit.
        measured: whether the rate is measured, not only the mark.
    """

    sender: str
    receiver: str
    tos: int = 0
    rate: float | None = None
    burst: float = 0
    measured: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A cluster of another topology.

    Attributes:
        title: what is built.
        folder: where its files are, in this package.
        shown: its files that are shown first.
        manifests: those that are input, besides the pods.
        topology: the options that choose the topology, `{folder}` standing for where the files are.
        networks: the logical networks, each used for one play only.
        pods: by name.
        annotations: of a pod, by its name and attachment.
        expectations: what is measured.
    """

    title: str
    folder: str
    shown: tuple[str, ...]
    manifests: tuple[str, ...]
    topology: tuple[str, ...]
    networks: tuple[Network, ...]
    pods: Mapping[str, ScenePod]
    annotations: Callable[[str, Attachment], Mapping[str, str]]
    expectations: tuple[Expectation, ...]

    def text(self, name: str) -> str:
        """The text of one of its files."""
        return files(__package__).joinpath(self.folder, name).read_text()


def play_scene(
    scene: Scene, run: Callable[[Sequence[str]], int], console: Console, *, packets: bool, seconds: float
) -> bool:
    """Build it, show the plan, apply it, measure; returns whether everything was as it should be.

    Args:
        scene: what is played.
        run: runs a command line of this program and returns its exit code.
        console: where to show it.
        packets: with nodes and pods, which needs root; else the databases alone.
        seconds: how long each rate is measured.

    Raises:
        SandboxError: OVN, or a measuring tool, is missing or does not start.
    """
    console.rule(f"A private OVN: {scene.title}")
    with _built(scene, packets=packets) as stage, tempfile.TemporaryDirectory(prefix="ovnqos-demo-") as folder:
        _write_files(scene, stage, Path(folder))
        chosen = [word.format(folder=folder) for word in scene.topology]
        inputs = [word for name in (*scene.manifests, "pods.json") for word in ("-f", f"{folder}/{name}")]
        show = Shell(run, console, central=stage.central, input_options=[*inputs, *chosen])
        for name in scene.shown:
            show.show_file(name, scene.text(name))
        console.rule("What it takes, and how OVN shows it")
        good = show.ovnqos("diff", exit_code=0)
        good &= show.ovnqos("apply", exit_code=0)
        for switch in dict.fromkeys(one.switch for one in stage.attachments.values()):
            show.nbctl("qos-list", switch)
        if packets:
            console.rule("Marks and rates, measured")
            stage.central.sync()
            with console.status("measuring"):
                checks = list(_checks(scene, stage, seconds))
            good &= show_checks(console, checks)
        good &= show.ovnqos("diff", "--exit-code", exit_code=0)
    if not packets:
        console.print("Without root there are no pods, so no packets were sent. As root the demo measures them too.")
    console.rule("All as it should be" if good else "NOT as it should be: see above")
    return good


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    """What was built; `sandbox` and `pods` only with packets."""

    central: Central
    attachments: Mapping[str, Attachment]
    sandbox: PlainSandbox | None = None
    pods: Mapping[str, Pod] = field(default_factory=dict)


@contextmanager
def _built(scene: Scene, *, packets: bool) -> Iterator[_Stage]:
    with ExitStack() as stack:
        if packets:
            sandbox = stack.enter_context(PlainSandbox(NODES))
            for network in scene.networks:
                sandbox.add_network(network)
            pods = {
                name: sandbox.add_pod(name, node=one.node, namespace=NAMESPACE, networks=(one.network,))
                for name, one in scene.pods.items()
            }
            attachments = {name: pod.attachments[0] for name, pod in pods.items()}
            yield _Stage(central=sandbox.central, attachments=attachments, sandbox=sandbox, pods=pods)
        else:
            central = stack.enter_context(Central())
            yield _Stage(central=central, attachments=_wire_without_packets(scene, central))


def _wire_without_packets(scene: Scene, central: Central) -> dict[str, Attachment]:
    networks = {network.key: network for network in scene.networks}
    commands = [command for network in scene.networks for command in network.create(NODES)]
    attachments = {}
    for name, one in scene.pods.items():
        network = networks[one.network]
        attachments[name] = network.attach(name, namespace=NAMESPACE, node=one.node)
        commands += network.port_commands(attachments[name], namespace=NAMESPACE)
    central.nbctl(*[word for command in commands for word in ("--", *command)][1:])
    return attachments


def _write_files(scene: Scene, stage: _Stage, folder: Path) -> None:
    for name in {*scene.shown, *scene.manifests}:
        (folder / name).write_text(scene.text(name))
    items = [_document(name, one, scene.annotations(name, stage.attachments[name])) for name, one in scene.pods.items()]
    (folder / "pods.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=2))


def _document(name: str, pod: ScenePod, annotations: Mapping[str, str]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE, "labels": dict(pod.labels), "annotations": dict(annotations)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"nodeName": pod.node},
        "status": {"phase": "Running"},
    }


def _checks(scene: Scene, stage: _Stage, seconds: float) -> Iterator[Check]:
    for one in scene.expectations:
        yield _mark(one, stage)
    for one in scene.expectations:
        if one.measured:
            yield _rate(one, stage, seconds)


def _mark(one: Expectation, stage: _Stage) -> Check:
    assert stage.sandbox is not None
    receiver = stage.pods[one.receiver]
    probe = Probe(sender=stage.pods[one.sender], receiver=receiver, address=receiver.address(version=4), count=3)
    marks = read_marks(stage.sandbox, probe)
    seen = marks.received | marks.wire
    return Check(
        what=f"{one.sender} to {one.receiver} ({probe.address}), ping",
        expected=f"tos {one.tos:#x}",
        measured="tos " + ", ".join(f"{tos:#x}" for tos in sorted(seen)) if seen else "no packet",
        good=seen == {one.tos},
    )


def _rate(one: Expectation, stage: _Stage, seconds: float) -> Check:
    sender, receiver = stage.pods[one.sender], stage.pods[one.receiver]
    stream = Stream(
        sender=sender,
        receiver=receiver,
        address=receiver.address(version=4),
        offered=OFFERED,
        seconds=seconds,
        payload=1200,
    )
    found = _measure(stream).bits_per_second
    wanted = OFFERED if one.rate is None else min(OFFERED, one.rate + one.burst / seconds)
    return Check(
        what=f"{one.sender} to {one.receiver} ({stream.address}), UDP",
        expected=f"{mega(wanted)} ± 5 %",
        measured=mega(found),
        good=abs(found - wanted) <= _TOLERANCE * wanted,
    )


@retry(
    retry=retry_any(
        retry_if_exception_type(StreamError), retry_if_result(lambda found: found.offered < _OFFERED_AT_LEAST * OFFERED)
    ),
    stop=stop_after_attempt(3),
    wait=wait_fixed(1),
    retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
)
def _measure(stream: Stream) -> Measured:
    """Measures; again where the machine was too busy to send, never for what was received."""
    return measure([stream])[0]
