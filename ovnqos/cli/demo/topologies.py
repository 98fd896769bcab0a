"""Clusters of other topologies, with one policy: Kube-OVN's VPCs, and a switch that a topology map describes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from ovnqos.cli.demo.scenario import Scenario, ScenarioPod, measured, read_file
from ovnqos.cli.demo.terminal import Check, marked, near
from ovnqos.sandbox import Probe, Stream, read_marks
from ovnqos.sandbox.kube_ovn import KubeOvnSubnet, kube_ovn_annotations
from ovnqos.sandbox.network import StaticNetwork

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ovnqos.cli.demo.scenario import DemoEnvironment
    from ovnqos.sandbox import Attachment

_NODES: Final = ("worker1", "worker2")
_HERE, _THERE = _NODES
_BACKUP, _STORAGE = {"app": "backup"}, {"role": "storage"}
_TOS, _RATE, _BURST = 0x28, 20e6, 4e6
"""What the policy says of packets from `_BACKUP` to `_STORAGE`: the byte that tcpdump calls tos, bit/s, bit."""
_OFFERED: Final = 30e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """Whether the policy holds from a sender to a receiver; `measured`: whether the rate is measured, too."""

    sender: str
    receiver: str
    selected: bool = False
    measured: bool = False


def kube_ovn_scenario() -> Scenario:
    """Make two VPCs that use the same addresses; `box` has the address that `store` has in the other VPC."""
    subnets = (
        KubeOvnSubnet("apps", cidrs=["10.16.0.0/24", "fd00:10:16::/64"]),
        KubeOvnSubnet("storage", cidrs=["10.17.0.0/24", "fd00:10:17::/64"]),
        KubeOvnSubnet("tenant", cidrs=["10.17.0.0/24"], vpc="tenant-a"),
    )
    expectations = (
        Expectation(sender="backup", receiver="store", selected=True, measured=True),
        Expectation(sender="web", receiver="store", measured=True),
        Expectation(sender="guest", receiver="vault", selected=True, measured=True),
        Expectation(sender="guest", receiver="box", measured=True),
    )
    manifest = "kube_ovn_files/nqos.yaml"
    return Scenario(
        title="two VPCs, three Subnets, as Kube-OVN builds them",
        nodes=_NODES,
        networks=subnets,
        pods={
            "backup": ScenarioPod(node=_HERE, networks=("apps",), labels=_BACKUP),
            "web": ScenarioPod(node=_HERE, networks=("apps",)),
            "store": ScenarioPod(node=_THERE, networks=("storage",), labels=_STORAGE),
            "box": ScenarioPod(node=_THERE, networks=("tenant",)),
            "vault": ScenarioPod(node=_THERE, networks=("tenant",), labels=_STORAGE),
            "guest": ScenarioPod(node=_HERE, networks=("tenant",), labels=_BACKUP),
        },
        wiring=lambda _name, attachments: kube_ovn_annotations(attachments, subnets),
        script=partial(_script, expectations=expectations, shown=(manifest,)),
        manifests=(manifest,),
    )


def static_scenario() -> Scenario:
    """Make one switch; `appliance` has a port, and an address, that only the map names."""
    lan = StaticNetwork(
        "lan",
        subnets=["10.88.0.0/24"],
        port_template="vm-{namespace}.{name}",
        ports={"default/appliance": "appliance-7"},
    )

    def wiring(name: str, attachments: Sequence[Attachment]) -> Mapping[str, str]:
        return {} if name == "appliance" else {"example.com/addresses": ",".join(attachments[0].addresses)}

    expectations = (
        Expectation(sender="backup", receiver="store", selected=True, measured=True),
        Expectation(sender="backup", receiver="appliance", selected=True),
        Expectation(sender="backup", receiver="web"),
        Expectation(sender="web", receiver="store", measured=True),
    )
    topology_map, manifest = "static_files/topology.yaml", "static_files/nqos.yaml"
    return Scenario(
        title="one switch, with names of no known CNI",
        nodes=_NODES,
        networks=(lan,),
        pods={
            "backup": ScenarioPod(node=_HERE, networks=("lan",), labels=_BACKUP),
            "web": ScenarioPod(node=_HERE, networks=("lan",)),
            "store": ScenarioPod(node=_THERE, networks=("lan",), labels=_STORAGE),
            "appliance": ScenarioPod(node=_THERE, networks=("lan",), labels=_STORAGE),
        },
        wiring=wiring,
        script=partial(_script, expectations=expectations, shown=(topology_map, manifest)),
        manifests=(manifest,),
        topology_map=topology_map,
    )


def _script(environment: DemoEnvironment, *, expectations: Sequence[Expectation], shown: Sequence[str]) -> None:
    terminal = environment.terminal
    for name in shown:
        terminal.show_file(name.rpartition("/")[2], read_file(name))
    terminal.section("The plan, and the rows as OVN shows them")
    terminal.ovnqos("diff")
    terminal.ovnqos("apply")
    for switch in dict.fromkeys(one.switch for attachments in environment.attachments.values() for one in attachments):
        terminal.nbctl("qos-list", switch)
    if environment.sandbox:
        terminal.section("Marks and rates, measured")
        environment.sync()
        terminal.check(lambda: _checks(environment, expectations))
    terminal.ovnqos("diff", "--exit-code")


def _checks(environment: DemoEnvironment, expectations: Sequence[Expectation]) -> Iterator[Check]:
    assert environment.sandbox is not None
    for one in expectations:
        receiver = environment.pods[one.receiver]
        probe = Probe(
            sender=environment.pods[one.sender], receiver=receiver, address=receiver.address(version=4), count=3
        )
        marks = read_marks(environment.sandbox, probe)
        what = f"{one.sender} to {one.receiver} ({probe.address}), ping"
        yield marked(what, _TOS if one.selected else 0, marks.received | marks.wire)
    for one in expectations:
        if not one.measured:
            continue
        receiver = environment.pods[one.receiver]
        stream = Stream(
            sender=environment.pods[one.sender],
            receiver=receiver,
            address=receiver.address(version=4),
            offered=_OFFERED,
            seconds=environment.seconds,
            payload=1200,
        )
        expected = min(_OFFERED, _RATE + _BURST / environment.seconds) if one.selected else _OFFERED
        what = f"{one.sender} to {one.receiver} ({stream.address}), UDP"
        yield near(what, expected, measured(stream).bits_per_second)
