"""Sections 2 to 4 of the guide, step by step."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ovnqos.cli.demo.checks import OFFERED, bandwidth, marks
from ovnqos.cli.demo.shell import Shell
from ovnqos.cli.demo.stage import Stage
from ovnqos.cli.demo.table import show_checks
from ovnqos.cli.exit_codes import EXIT_DRIFT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console


_ROWS_OF_GUIDE: Final = ("ovn.stream_ovn-worker", "ovn.stream_ovn-worker2")


def play(run: Callable[[Sequence[str]], int], console: Console, *, packets: bool, seconds: float) -> bool:
    """Play the guide; returns whether everything was as it should be.

    Args:
        run: runs a command line of this program and returns its exit code.
        console: where to show it.
        packets: with nodes and pods, which needs root; else the databases alone.
        seconds: how long each bandwidth check sends.

    Raises:
        SandboxError: OVN, or a measuring tool, is missing or does not start.
    """
    console.rule("A private OVN: Northbound, Southbound, northd" + (", two nodes, three pods" if packets else ""))
    with Stage(packets=packets) as stage, tempfile.TemporaryDirectory(prefix="ovnqos-demo-") as folder:
        manifests = Path(folder)
        stage.write_manifests(manifests)
        show = Shell(run, console, central=stage.central, input_options=["-f", folder])
        console.rule("Sections 2 and 3: the network and the policy, as the guide has them")
        good = show.ovnqos("diff", exit_code=0)
        good &= show.ovnqos("apply", exit_code=0)
        console.rule("The rows, as OVN shows them")
        for switch in _ROWS_OF_GUIDE:
            show.nbctl("qos-list", switch)
        good &= show.ovnqos("list", exit_code=0, with_input=False)
        if packets:
            console.rule("Section 4: bandwidth and marks, measured")
            stage.central.sync()
            good &= _measure(stage, console, seconds)
        console.rule("Drift: somebody lifts the limit by hand")
        row = stage.central.nbctl("--bare", "--columns=_uuid", "find", "QoS", "bandwidth:rate=20000").split()[0]
        show.nbctl("set", "QoS", row, "bandwidth:rate=4000000")
        good &= show.ovnqos("diff", "--exit-code", exit_code=EXIT_DRIFT)
        good &= show.ovnqos("apply", exit_code=0)
        good &= show.ovnqos("diff", "--exit-code", exit_code=0)
    if not packets:
        console.print("Without root there are no pods, so no packets were sent. As root the demo measures them too.")
    console.rule("All as it should be" if good else "NOT as it should be: see above")
    return good


def _measure(stage: Stage, console: Console, seconds: float) -> bool:
    with console.status("measuring"):
        checks = [*bandwidth(stage, seconds), *marks(stage)]
    good = show_checks(console, checks)
    console.print(
        "TCP stays far below the limit because the guide's burst of 100 kbit is too small for it: with rate 20000 it\n"
        "needs a burst of some 4000 kbit, or none given (OVN then takes one second of rate). UDP shows the limit:\n"
        f"{OFFERED / 1e6:g} Mbit/s are offered.\n"
        "Marks (tos) are read inside geneve, between the nodes. The guide's 31.9 Gbit/s is a kernel datapath; the OVN\n"
        "here runs in user space.",
        highlight=False,
        soft_wrap=True,
    )
    return good
