"""Sections 2 to 4 of the guide, step by step."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich import box
from rich.table import Table

from ovnqos.cli.demo.checks import OFFERED, bandwidth, marks
from ovnqos.cli.demo.stage import Stage
from ovnqos.cli.exit_codes import EXIT_DRIFT, EXIT_INTERRUPTED

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
        show = _Shell(run, console, stage, manifests)
        console.rule("Sections 2 and 3: the network and the policy, as the guide has them")
        good = show.ovnqos("diff", exit_code=0)
        good &= show.ovnqos("apply", exit_code=0)
        console.rule("The rows, as OVN shows them")
        for switch in _ROWS_OF_GUIDE:
            show.nbctl("qos-list", switch)
        good &= show.ovnqos("list", exit_code=0, manifests=False)
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


class _Shell:
    """Runs commands and shows them as a terminal would."""

    def __init__(self, run: Callable[[Sequence[str]], int], console: Console, stage: Stage, manifests: Path) -> None:
        self._run = run
        self._console = console
        self._stage = stage
        self._manifests = manifests

    def ovnqos(self, *words: str, exit_code: int, manifests: bool = True) -> bool:
        """Run a command of ours; returns whether it ended with this exit code. Ctrl-C in it is Ctrl-C here."""
        command, *options = words
        files = ["-f", str(self._manifests)] if manifests else []
        self._prompt("ovnqos", command, *files, *options)
        ended = self._run([command, *files, *options, "--nb", self._stage.remote])
        if ended == EXIT_INTERRUPTED:
            raise KeyboardInterrupt
        if ended != exit_code:
            self._console.print(f"it ended with {ended} instead of {exit_code}", style="bold red")
        return ended == exit_code

    def nbctl(self, *words: str) -> None:
        self._prompt("ovn-nbctl", *words)
        self._write(self._stage.central.nbctl(*words))

    def _prompt(self, *words: str) -> None:
        self._console.print(f"$ {' '.join(words)}", style="bold", markup=False, highlight=False, soft_wrap=True)
        self._console.file.flush()

    def _write(self, text: str) -> None:
        self._console.print(text, end="", markup=False, highlight=False, soft_wrap=True)


def _measure(stage: Stage, console: Console, seconds: float) -> bool:
    with console.status("measuring"):
        checks = [*bandwidth(stage, seconds), *marks(stage)]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)  # as wide as a terminal of 80 columns
    for title in ("What", "The guide", "Expected here", "Measured", ""):
        table.add_column(title, overflow="fold")
    for check in checks:
        verdict = "[green]ok[/]" if check.good else "[bold red]WRONG[/]"
        table.add_row(check.what, check.guide, check.expected, check.measured, verdict)
    console.print(table)
    console.print(
        "TCP stays far below the limit because the guide's burst of 100 kbit is too small for it: with rate 20000 it\n"
        "needs a burst of some 4000 kbit, or none given (OVN then takes one second of rate). UDP shows the limit:\n"
        f"{OFFERED / 1e6:g} Mbit/s are offered.\n"
        "Marks (tos) are read inside geneve, between the nodes. The guide's 31.9 Gbit/s is a kernel datapath; the OVN\n"
        "here runs in user space.",
        highlight=False,
        soft_wrap=True,
    )
    return all(check.good for check in checks)
