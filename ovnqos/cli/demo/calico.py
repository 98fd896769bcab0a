"""Calico's QoS lab on OVN: four iperf3 pods, which run on while their annotations are set, changed and removed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

import yaml

from ovnqos.cli.demo.scenario import Scenario, ScenarioPod, measured, ovn_kubernetes_wiring, read_file
from ovnqos.cli.demo.terminal import Check, at_most, mega, near, over
from ovnqos.cli.output import EXIT_DRIFT
from ovnqos.sandbox import Layer3Network, Stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ovnqos.cli.demo.scenario import DemoEnvironment
    from ovnqos.sandbox import StreamResult

_NODES: Final = ("ovn-worker", "ovn-worker2")
_FREE: Final = ("iperf-client", "iperf-server")
_LIMITED: Final = ("iperf-client-qos", "iperf-server-qos")
"""The pods that are limited: the lab's sender and receiver."""
_SERVICE_NAME: Final = "iperf-server-qos"
_SERVICE: Final = "10.96.25.245"
"""The Service's address, as in the lab's output."""
_PORT: Final = 5201
_MANIFEST: Final = "calico_files/iperf-qos.yaml"
"""The manifest of the pods that are limited."""
_MANIFESTS: Final = ("calico_files/iperf.yaml", _MANIFEST)
_KEYS: Final = tuple(f"qos.projectcalico.org/{direction}Bandwidth" for direction in ("ingress", "egress"))

_RATE: Final = 10e6
"""The lab's `10M`, bit/s."""
_HIGHER: Final = 2 * _RATE
_SETTLED: Final = 2
"""Seconds after which the bucket, which holds one second of the rate, is empty."""
_OFFERED: Final = 1.5
"""How many times its limit UDP sends."""
_TCP_AT_LEAST: Final = 0.75
"""Of the rate: a meter drops what is too much, which TCP answers by sending less for a while."""
_UNLIMITED: Final = 10 * _RATE
"""TCP faster than this is not held to the rate; user-space switching on two busy cores gives more."""
_LAB_SECONDS: Final = (299, 10.5, 10.5, 10.5, 10.5)
"""Mbit/s in each second of the lab's limited run, section 5."""
_NOTES: Final = """\
TCP second by second, Mbit/s: the lab {lab}; here {here}.
In the first second the full bucket goes too. Here it holds one second of the rate; the annotations
egressBurst and ingressBurst choose another size."""


def calico_scenario() -> Scenario:
    """Make it, with the lab's own manifests."""
    documents: list[dict[str, Any]] = [one for name in _MANIFESTS for one in yaml.safe_load_all(read_file(name))]
    return Scenario(
        title="Northbound, Southbound, northd, two nodes, four pods",
        nodes=_NODES,
        networks=(Layer3Network(),),
        pods={
            document["metadata"]["name"]: ScenarioPod(
                node=document["spec"]["nodeName"],
                labels=document["metadata"]["labels"],
                annotations=document["metadata"].get("annotations", {}),
            )
            for document in documents
            if document["kind"] == "Pod"
        },
        wiring=ovn_kubernetes_wiring,
        script=_script,
        seconds_at_least=_SETTLED + 1,
    )


def _script(environment: DemoEnvironment) -> None:
    terminal = environment.terminal
    if environment.sandbox:
        backends = [environment.pods[_SERVICE_NAME].address(version=4)]
        environment.sandbox.add_service(_SERVICE_NAME, address=_SERVICE, port=_PORT, backends=backends)
    terminal.section("Section 2: the baseline, without limits")
    _check(environment, partial(_unlimited, environment, _FREE))
    terminal.section("Sections 3 to 5: the annotations, and what they do")
    terminal.show_file(_MANIFEST.rpartition("/")[2], read_file(_MANIFEST))
    _apply(environment)
    for node in _NODES:
        terminal.nbctl("qos-list", node)
    terminal.ovnqos("list", with_input=False)
    seconds: list[float] = []
    _check(environment, partial(_limited, environment, seconds))
    if seconds:
        terminal.say(_NOTES.format(lab=_listed(_LAB_SECONDS), here=_listed(seconds)))
    terminal.section("A change on the running pods: 20M")
    for name in _LIMITED:
        environment.annotate(name, dict.fromkeys(_KEYS, f"{_HIGHER / 1e6:.0f}M"))
    _apply(environment)
    _check(environment, partial(_changed, environment))
    terminal.section("Section 7: no annotations any more; the same pods")
    for name in _LIMITED:
        environment.annotate(name, {})
    _apply(environment, "--max-deletes", "100%")
    terminal.ovnqos("diff", "--exit-code")
    _check(environment, partial(_unlimited, environment, _LIMITED))


def _apply(environment: DemoEnvironment, *options: str) -> None:
    environment.terminal.ovnqos("diff", "--exit-code", exit_code=EXIT_DRIFT)
    environment.terminal.ovnqos("apply", *options)
    environment.sync()


def _check(environment: DemoEnvironment, measure: partial[Iterator[Check]]) -> None:
    if environment.sandbox:
        environment.terminal.check(measure, original="The lab")


def _unlimited(environment: DemoEnvironment, pair: tuple[str, str]) -> Iterator[Check]:
    """TCP from the first of two pods without limits to the second."""
    yield over(
        "TCP, without limits", _UNLIMITED, _run(environment, pair, "tcp").sustained(skip=0), original="9.44 Gbit/s"
    )


def _limited(environment: DemoEnvironment, seconds: list[float]) -> Iterator[Check]:
    """TCP from the limited client to the limited server, by its Service; `seconds` get Mbit/s in each second."""
    run = _run(environment, _LIMITED, "tcp")
    seconds.extend(rate / 1e6 for rate in run.rates)
    first_second = 2 * _RATE  # a full bucket, and what the rate lets through meanwhile
    yield at_most("TCP, second 1", first_second, run.rates[0], original="299 Mbit/s")
    yield _settled_tcp(run, _RATE, original="10.5 Mbit/s")
    whole = _RATE * (1 + 1 / len(run.rates))
    yield at_most(f"TCP, seconds 1 to {len(run.rates)}", whole, run.sustained(skip=0), original="60.4 Mbit/s")
    yield from _limited_udp(environment, _RATE)


def _changed(environment: DemoEnvironment) -> Iterator[Check]:
    """TCP and UDP after the limits of the running pods were changed."""
    yield _settled_tcp(_run(environment, _LIMITED, "tcp"), _HIGHER, original="new pods")
    yield from _limited_udp(environment, _HIGHER)


def _limited_udp(environment: DemoEnvironment, rate: float) -> Iterator[Check]:
    """UDP at 1.5 times the rate, both ways: egress of the one and ingress of the other."""
    for pair, direction in ((_LIMITED, "client to server"), (_LIMITED[::-1], "server to client")):
        settled = _run(environment, pair, "udp", _OFFERED * rate).sustained(skip=_SETTLED)
        yield near(f"UDP, {direction}", rate, settled, original="-")


def _settled_tcp(run: StreamResult, expected: float, *, original: str) -> Check:
    rate = run.sustained(skip=_SETTLED)
    low, high = _TCP_AT_LEAST * expected, expected * 1.05
    return Check(
        what=f"TCP, seconds {_SETTLED + 1} to {len(run.rates)}",
        expected=f"{low / 1e6:.1f} to {high / 1e6:.1f} Mbit/s",
        measured=mega(rate),
        good=low <= rate <= high,
        original=original,
    )


def _run(
    environment: DemoEnvironment, pair: tuple[str, ...], protocol: Literal["udp", "tcp"], offered: float = 0
) -> StreamResult:
    """A stream from one pod to another, by its Service if it has one."""
    sender, receiver = pair
    own = environment.pods[receiver].address(version=4)
    balanced = receiver == _SERVICE_NAME
    stream = Stream(
        sender=environment.pods[sender],
        receiver=environment.pods[receiver],
        address=_SERVICE if balanced else own,
        balanced_to=own if balanced else None,
        protocol=protocol,
        offered=offered,
        seconds=environment.seconds,
        port=_PORT,
        payload=1200,
        by_second=True,
    )
    return measured(stream)


def _listed(seconds: Sequence[float]) -> str:
    return " ".join(f"{rate:.1f}" if rate < 100 else f"{rate:.0f}" for rate in seconds)
