"""`ovnqos demo`: the guide, Calico's lab, or a cluster of another topology, on a private OVN."""

from __future__ import annotations

import os

import click

from ovnqos.cli.output import EXIT_INVALID
from ovnqos.cli.parameter_types import seconds as seconds_type


@click.command
@click.argument("scenario", type=click.Choice(["guide", "calico", "kube-ovn", "static"]), default="guide")
@click.option(
    "--seconds",
    type=seconds_type(1),
    default=5.0,
    show_default=True,
    help="How long each bandwidth check sends.",
)
@click.pass_context
def demo(context: click.Context, scenario: str, seconds: float) -> None:
    """Play the NetworkQoS guide on a private OVN: plan, rows, packets, drift, repair.

    SCENE is guide (the default); calico, Calico's lab of pods that annotations limit; or another topology: kube-ovn,
    VPCs with Subnets as Kube-OVN builds them; static, a switch that a topology map describes.

    Starts Northbound, Southbound, northd and two nodes in a temporary folder and in namespaces of its own, and removes
    them at the end. Nothing else on this machine is changed. Without root it sends no packets.
    Needs Debian's ovn-central, ovn-host, openvswitch-switch, iperf3, tcpdump, ethtool, iproute2.

    \b
    Examples:
      sudo ovnqos demo
      sudo ovnqos demo calico
      sudo ovnqos demo kube-ovn
      ovnqos demo --seconds 1
    """  # noqa: D301 - \b keeps click from filling the lines
    from rich.console import Console

    from ovnqos.cli.demo.calico import calico_scenario
    from ovnqos.cli.demo.guide import guide_scenario
    from ovnqos.cli.demo.scenario import run_scenario
    from ovnqos.cli.demo.topologies import kube_ovn_scenario, static_scenario

    scenarios = {
        "guide": guide_scenario,
        "calico": calico_scenario,
        "kube-ovn": kube_ovn_scenario,
        "static": static_scenario,
    }
    chosen = scenarios[scenario]()
    if seconds < chosen.seconds_at_least:
        least = chosen.seconds_at_least
        raise click.UsageError(f"{scenario} needs --seconds {least:g} or more: the first {least - 1:g} are the burst's")
    if not run_scenario(chosen, context.obj, Console(), packets=os.geteuid() == 0, seconds=seconds):
        raise click.exceptions.Exit(EXIT_INVALID)
