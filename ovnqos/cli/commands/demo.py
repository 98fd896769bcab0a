"""`ovnqos demo`: the guide, or a cluster of another topology, on a private OVN."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console

from ovnqos.cli.demo.calico import SECONDS_AT_LEAST, play_calico
from ovnqos.cli.demo.guide import play
from ovnqos.cli.demo.kube_ovn import kube_ovn_scene
from ovnqos.cli.demo.scene import play_scene
from ovnqos.cli.demo.static import static_scene
from ovnqos.cli.exit_codes import EXIT_INVALID
from ovnqos.cli.options import Seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from ovnqos.cli.demo.scene import Scene

_GUIDE: Final = "guide"
_CALICO: Final = "calico"
_SCENES: Final[dict[str, Callable[[], Scene]]] = {"kube-ovn": kube_ovn_scene, "static": static_scene}


@click.command
@click.argument("scene", type=click.Choice([_GUIDE, _CALICO, *_SCENES]), default=_GUIDE)
@click.option(
    "--seconds",
    type=Seconds(min=1),
    default=5.0,
    show_default=True,
    help="How long each bandwidth check sends.",
)
@click.pass_context
def demo(context: click.Context, scene: str, seconds: float) -> None:
    """Play the NetworkQoS guide on a private OVN: plan, rows, packets, drift, repair.

    SCENE is guide (the default); calico, Calico's lab of pods that annotations limit; or another topology: kube-ovn,
    VPCs with Subnets as Kube-OVN builds them; static, a switch that a topology map describes.

    Starts Northbound, Southbound, northd and two nodes in a temporary folder and in namespaces of its own, and removes
    them at the end. Nothing else on this machine is touched. Without root it plays without packets.
    Needs Debian's ovn-central, ovn-host, openvswitch-switch, iperf3, tcpdump, ethtool, iproute2.

    \b
    Examples:
      sudo ovnqos demo
      sudo ovnqos demo calico
      sudo ovnqos demo kube-ovn
      ovnqos demo --seconds 1
    """  # noqa: D301 - \b keeps click from filling the lines
    run, console, packets = context.obj, Console(), os.geteuid() == 0
    if scene == _GUIDE:
        good = play(run, console, packets=packets, seconds=seconds)
    elif scene == _CALICO:
        if seconds < SECONDS_AT_LEAST:
            raise click.UsageError(f"calico needs --seconds {SECONDS_AT_LEAST} or more: the first two are the burst's")
        good = play_calico(run, console, packets=packets, seconds=seconds)
    else:
        good = play_scene(_SCENES[scene](), run, console, packets=packets, seconds=seconds)
    if not good:
        raise click.exceptions.Exit(EXIT_INVALID)
