"""Sections 2 to 4 of the guide to NetworkQoS: two nodes, three pods on two networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from ovnqos.cli.demo.scenario import Scenario, ScenarioPod, measured, ovn_kubernetes_wiring
from ovnqos.cli.demo.terminal import Check, at_most, marked, near, over
from ovnqos.cli.output import EXIT_DRIFT
from ovnqos.sandbox import Layer3Network, Probe, Stream, read_marks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovnqos.cli.demo.scenario import DemoEnvironment

_NAD: Final = "default/ovn-stream"
_NODES: Final = ("ovn-worker", "ovn-worker2")
_SWITCHES: Final = ("ovn.stream_ovn-worker", "ovn.stream_ovn-worker2")
_LIMITED: Final = {"nqos-app": "bw-limited"}
_RATE: Final = 20e6
_BURST: Final = 100e3
_OFFERED: Final = 1.5 * _RATE
_MARK: Final = 0x50
"""DSCP 20 in the byte that tcpdump calls tos."""
_UNLIMITED: Final = 1.2 * _RATE
"""TCP faster than this is not held to the rate."""
_NOTES: Final = f"""\
TCP stays far below the limit because the guide's burst of 100 kbit is too small for it: with rate 20000 it
needs a burst of some 4000 kbit, or none given (OVN then takes one second of rate). UDP shows the limit:
{_OFFERED / 1e6:g} Mbit/s are offered.
Marks (tos) are read inside geneve, between the nodes. The guide's 31.9 Gbit/s is a kernel datapath; the OVN
here runs in user space."""


def guide_scenario() -> Scenario:
    """Make it, with the guide's own manifests."""

    def pod(name: str, node: str, **labels: str) -> ScenarioPod:
        return ScenarioPod(node=node, networks=("default", _NAD), labels={"name": name, **labels})

    return Scenario(
        title="Northbound, Southbound, northd, two nodes, three pods",
        nodes=_NODES,
        networks=(Layer3Network(), Layer3Network("ovn-stream", subnets=["10.245.0.0/16/24"], nad=_NAD)),
        pods={
            "pod0": pod("pod0", _NODES[0]),
            "pod1": pod("pod1", _NODES[0], **_LIMITED),
            "pod2": pod("pod2", _NODES[1], foo="bar", **_LIMITED),
        },
        wiring=ovn_kubernetes_wiring,
        script=_script,
        manifests=("nad.yaml", "nqos.yaml"),
    )


def _script(environment: DemoEnvironment) -> None:
    terminal = environment.terminal
    terminal.section("Sections 2 and 3: the network and the policy, as the guide has them")
    terminal.ovnqos("diff")
    terminal.ovnqos("apply")
    terminal.section("The rows, as OVN shows them")
    for switch in _SWITCHES:
        terminal.nbctl("qos-list", switch)
    terminal.ovnqos("list", with_input=False)
    if environment.sandbox:
        terminal.section("Section 4: bandwidth and marks, measured")
        environment.sync()
        terminal.check(lambda: [*_bandwidth(environment), *_marks(environment)])
        terminal.say(_NOTES)
    terminal.section("Drift: the limit is changed by hand")
    row = environment.central.nbctl("--bare", "--columns=_uuid", "find", "QoS", "bandwidth:rate=20000").split()[0]
    terminal.nbctl("set", "QoS", row, "bandwidth:rate=4000000")
    terminal.ovnqos("diff", "--exit-code", exit_code=EXIT_DRIFT)
    terminal.ovnqos("apply")
    terminal.ovnqos("diff", "--exit-code")


@dataclass(frozen=True, slots=True, kw_only=True)
class _GuideRun:
    """`iperf3 -c RECEIVER -R`: the server sends."""

    sender: str
    receiver: str
    protocol: Literal["udp", "tcp"]
    guide: str
    limited: bool


_RUNS: Final = (
    _GuideRun(sender="pod0", receiver="pod1", protocol="udp", guide="-", limited=False),
    _GuideRun(sender="pod2", receiver="pod1", protocol="udp", guide="-", limited=True),
    _GuideRun(sender="pod0", receiver="pod1", protocol="tcp", guide="31.9 Gbit/s", limited=False),
    _GuideRun(sender="pod2", receiver="pod1", protocol="tcp", guide="17.4 Mbit/s", limited=True),
)
_MARKS: Final = (("pod0", "pod2", 0), ("pod2", "pod0", _MARK), ("pod1", "pod2", _MARK), ("pod2", "pod1", _MARK))


def _bandwidth(environment: DemoEnvironment) -> Iterator[Check]:
    """Measure the guide's two streams, by UDP (what the limit is) and by TCP (what the guide does with it)."""
    for one in _RUNS:
        receiver = environment.pods[one.receiver]
        stream = Stream(
            sender=environment.pods[one.sender],
            receiver=receiver,
            address=receiver.address_on(_NAD),
            protocol=one.protocol,
            offered=_OFFERED,
            seconds=environment.seconds,
            payload=1200,
        )
        rate = measured(stream).bits_per_second
        what = f"{one.sender} to {one.receiver}, {one.protocol.upper()}"
        if one.protocol == "udp":
            expected = _RATE + _BURST / environment.seconds if one.limited else _OFFERED
            yield near(what, expected, rate, original=one.guide)
        elif one.limited:
            yield at_most(what, _RATE, rate, original=one.guide)
        else:
            yield over(what, _UNLIMITED, rate, original=one.guide)


def _marks(environment: DemoEnvironment) -> Iterator[Check]:
    """Capture the guide's four directions of ping between the nodes; requests only, since a reply copies the mark."""
    assert environment.sandbox is not None
    for sender, receiver, mark in _MARKS:
        target = environment.pods[receiver]
        probe = Probe(sender=environment.pods[sender], receiver=target, address=target.address_on(_NAD), count=3)
        seen = read_marks(environment.sandbox, probe).wire
        yield marked(f"{sender} to {receiver}, ping", mark, seen, original=f"tos {mark:#x}")
