"""Sections 2 to 4 of the guide to NetworkQoS: two nodes, three pods on two networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from ovnqos.cli.demo.scenario import Scenario, ScenarioPod, measured, ovn_kubernetes_wiring, read_file
from ovnqos.cli.demo.terminal import Check, at_most, marked_twice, mega, near, over
from ovnqos.cli.output import EXIT_DRIFT
from ovnqos.sandbox import Layer3Network, Probe, Stream, congestion_controls, read_marks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ovnqos.cli.demo.scenario import DemoEnvironment

_POLICY: Final = "nqos.yaml"
_NAD: Final = "default/ovn-stream"
_NODES: Final = ("ovn-worker", "ovn-worker2")
_SWITCHES: Final = ("ovn.stream_ovn-worker", "ovn.stream_ovn-worker2")
_LIMITED: Final = {"nqos-app": "bw-limited"}
_RATE: Final = 20e6
_BURST: Final = 100e3
_BURST_FOR_TCP: Final = _RATE / 5
_TCP_AT_LEAST: Final = 0.75
"""Of the rate, where the burst is large enough: a meter drops what is too much, so that TCP sends less for a while."""
_OFFERED: Final = 1.5 * _RATE
_MARK: Final = 0x50
"""DSCP 20 in the byte that tcpdump calls tos."""
_UNLIMITED: Final = 1.2 * _RATE
"""TCP faster than this is not held to the rate."""
_NOTES: Final = f"""\
TCP, by congestion control, stays far below the limit because the guide's burst of 100 kbit is too small for it:
with rate 20000 it needs some 4000 kbit, or no burst given (OVN then takes one second of rate).
UDP shows the limit: {_OFFERED / 1e6:g} Mbit/s are offered.
Marks (tos) are read between the nodes, of geneve's outer header and inside it (outer/inner). The outer one, which the
network between the nodes sees, has a mark only where a chassis has external_ids:ovn-encap-tos=inherit: the nodes
here have it. The guide's 31.9 Gbit/s is a kernel datapath; the OVN here runs in user space."""


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
        manifests=("nad.yaml", _POLICY),
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
        terminal.section("The same with a burst of a fifth of the rate, which TCP needs")
        environment.write_manifest(
            _POLICY, read_file(_POLICY).replace("burst: 100", f"burst: {_BURST_FOR_TCP / 1e3:.0f}")
        )
        terminal.ovnqos("apply")
        environment.sync()
        terminal.check(lambda: _bandwidth_with_burst(environment))
    terminal.section("Drift: the limit is changed by hand")
    limits = ("direction=to-lport", "bandwidth:rate=20000")
    row = environment.central.nbctl("--bare", "--columns=_uuid", "find", "QoS", *limits).split()[0]
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
    congestion_control: str | None = None

    @property
    def title(self) -> str:
        return f"{self.sender} to {self.receiver}, {self.congestion_control or self.protocol.upper()}"


_RUNS: Final = (
    _GuideRun(sender="pod0", receiver="pod1", protocol="udp", guide="-", limited=False),
    _GuideRun(sender="pod2", receiver="pod1", protocol="udp", guide="-", limited=True),
    _GuideRun(sender="pod0", receiver="pod1", protocol="tcp", guide="31.9 Gbit/s", limited=False),
)
_MARKS: Final = (("pod0", "pod2", 0), ("pod2", "pod0", _MARK), ("pod1", "pod2", _MARK), ("pod2", "pod1", _MARK))


def _bandwidth(environment: DemoEnvironment) -> Iterator[Check]:
    """Measure the guide's two streams, by UDP (what the limit is) and by TCP (what the guide does with it)."""
    for one in (*_RUNS, *_limited_tcp()):
        rate = _measured(environment, one)
        if one.protocol == "udp":
            expected = _RATE + _BURST / environment.seconds if one.limited else _OFFERED
            yield near(one.title, expected, rate, original=one.guide)
        elif one.limited:
            yield at_most(one.title, _RATE, rate, original=one.guide)
        else:
            yield over(one.title, _UNLIMITED, rate, original=one.guide)


def _bandwidth_with_burst(environment: DemoEnvironment) -> Iterator[Check]:
    """Measure the guide's TCP stream again."""
    for one in _limited_tcp():
        rate = _measured(environment, one)
        low, high = _TCP_AT_LEAST * _RATE, _RATE + _BURST_FOR_TCP / environment.seconds
        yield Check(
            what=one.title,
            expected=f"{low / 1e6:.1f} to {high / 1e6:.1f} Mbit/s",
            measured=mega(rate),
            good=low <= rate <= high,
            original=one.guide,
        )


def _limited_tcp() -> Iterator[_GuideRun]:
    for algorithm in congestion_controls():
        yield _GuideRun(
            sender="pod2",
            receiver="pod1",
            protocol="tcp",
            guide="17.4 Mbit/s",
            limited=True,
            congestion_control=algorithm,
        )


def _measured(environment: DemoEnvironment, run: _GuideRun) -> float:
    receiver = environment.pods[run.receiver]
    stream = Stream(
        sender=environment.pods[run.sender],
        receiver=receiver,
        address=receiver.address_on(_NAD),
        protocol=run.protocol,
        offered=_OFFERED,
        seconds=environment.seconds,
        payload=1200,
        congestion_control=run.congestion_control,
    )
    return measured(stream).bits_per_second


def _marks(environment: DemoEnvironment) -> Iterator[Check]:
    """Capture the guide's four directions of ping between the nodes; requests only, since a reply copies the mark."""
    assert environment.sandbox is not None
    for node in environment.sandbox.nodes.values():
        node.inherit_marks()
    environment.sync()
    for sender, receiver, mark in _MARKS:
        target = environment.pods[receiver]
        probe = Probe(sender=environment.pods[sender], receiver=target, address=target.address_on(_NAD), count=3)
        seen = read_marks(environment.sandbox, probe)
        yield marked_twice(f"{sender} to {receiver}, ping", mark, seen.outer, seen.wire)
