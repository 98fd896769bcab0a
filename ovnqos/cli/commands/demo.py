"""`ovnqos demo`: the guide on a private OVN."""

from __future__ import annotations

import os

import click
from rich.console import Console

from ovnqos.cli.demo.guide import play
from ovnqos.cli.exit_codes import EXIT_INVALID
from ovnqos.cli.options import Seconds


@click.command
@click.option(
    "--seconds",
    type=Seconds(min=1),
    default=5.0,
    show_default=True,
    help="How long each bandwidth check sends.",
)
@click.pass_context
def demo(context: click.Context, seconds: float) -> None:
    """Play the NetworkQoS guide on a private OVN: plan, rows, packets, drift, repair.

    Starts Northbound, Southbound, northd and two nodes in a temporary folder and in namespaces of its own, and removes
    them at the end. Nothing else on this machine is touched. Without root it plays without packets.
    Needs Debian's ovn-central, ovn-host, openvswitch-switch, iperf3, tcpdump, ethtool, iproute2.

    \b
    Examples:
      sudo ovnqos demo
      ovnqos demo --seconds 1
    """  # noqa: D301 - \b keeps click from filling the lines
    if not play(context.obj, Console(), packets=os.geteuid() == 0, seconds=seconds):
        raise click.exceptions.Exit(EXIT_INVALID)
