"""Calico's QoS lab on OVN, step by step: baseline, annotations, limit, and its change and removal on running pods."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ovnqos.cli.demo.calico_checks import LAB_SECONDS, RATE, SETTLED, changed_tcp, limited_tcp, limited_udp, unlimited
from ovnqos.cli.demo.calico_stage import LIMITED, NODES, QOS_MANIFEST, CalicoStage
from ovnqos.cli.demo.shell import Shell
from ovnqos.cli.demo.table import show_checks
from ovnqos.cli.exit_codes import EXIT_DRIFT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from ovnqos.cli.demo.checks import Check

_FREE: Final = ("iperf-client", "iperf-server")
_KEYS: Final = ("ingressBandwidth", "egressBandwidth")
_HIGHER: Final = 2 * RATE
SECONDS_AT_LEAST: Final = SETTLED + 1
"""A check must send so long that something is left once the bucket is empty."""


def play_calico(run: Callable[[Sequence[str]], int], console: Console, *, packets: bool, seconds: float) -> bool:
    """Play the lab; returns whether everything was as it should be.

    Args:
        run: runs a command line of this program and returns its exit code.
        console: where to show it.
        packets: with nodes and pods, which needs root; else the databases alone.
        seconds: how long each bandwidth check sends, at least 3.

    Raises:
        SandboxError: OVN, or a measuring tool, is missing or does not start.
    """
    nodes = ", two nodes, four pods" if packets else ""
    console.rule(f"A private OVN: Northbound, Southbound, northd{nodes}")
    with CalicoStage(packets=packets) as stage, tempfile.TemporaryDirectory(prefix="ovnqos-demo-") as folder:
        good = _Lab(stage, Path(folder), run, console, seconds).play()
    if not packets:
        console.print("Without root there are no pods, so no packets were sent. As root the demo measures them too.")
    console.rule("All as it should be" if good else "NOT as it should be: see above")
    return good


class _Lab:
    """The lab's sections; each says whether all in it was as it should be."""

    def __init__(
        self,
        stage: CalicoStage,
        folder: Path,
        run: Callable[[Sequence[str]], int],
        console: Console,
        seconds: float,
    ) -> None:
        self._stage = stage
        self._folder = folder
        self._console = console
        self._seconds = seconds
        self._show = Shell(run, console, central=stage.central, input_options=["-f", str(folder)])

    def play(self) -> bool:
        played = [self._baseline(), self._limits(), self._change(), self._removal()]
        return all(played)

    def _baseline(self) -> bool:
        self._console.rule("Section 2: the baseline, without limits")
        return self._check(lambda: [unlimited(self._stage, _FREE, self._seconds)])

    def _limits(self) -> bool:
        self._console.rule("Sections 3 to 5: the annotations, and what they do")
        self._show.show_file(QOS_MANIFEST, self._stage.manifests[QOS_MANIFEST])
        good = self._apply()
        for node in NODES:
            self._show.nbctl("qos-list", node)
        good &= self._show.ovnqos("list", exit_code=0, with_input=False)
        seconds: list[float] = []

        def measure() -> list[Check]:
            tcp = limited_tcp(self._stage, self._seconds)
            seconds.extend(tcp.seconds)
            return [*tcp.checks, *limited_udp(self._stage, RATE, self._seconds)]

        good &= self._check(measure)
        if seconds:
            self._console.print(
                f"TCP second by second, Mbit/s: the lab {_listed(LAB_SECONDS)}; here {_listed(seconds)}.\n"
                "In the first second the full bucket goes too. Here it holds one second of the rate; the annotations\n"
                "egressBurst and ingressBurst choose another size.",
                highlight=False,
                soft_wrap=True,
            )
        return good

    def _change(self) -> bool:
        self._console.rule("A change on the running pods: 20M")
        self._stage.annotate(LIMITED, dict.fromkeys(_KEYS, f"{_HIGHER / 1e6:.0f}M"))
        good = self._apply()
        good &= self._check(
            lambda: [
                changed_tcp(self._stage, _HIGHER, self._seconds),
                *limited_udp(self._stage, _HIGHER, self._seconds),
            ]
        )
        return good

    def _removal(self) -> bool:
        self._console.rule("Section 7: no annotations any more; the same pods")
        self._stage.annotate(LIMITED, dict.fromkeys(_KEYS))
        good = self._apply()
        good &= self._show.ovnqos("diff", "--exit-code", exit_code=0)
        good &= self._check(lambda: [unlimited(self._stage, LIMITED, self._seconds)])
        return good

    def _apply(self) -> bool:
        self._stage.write_pods(self._folder)
        good = self._show.ovnqos("diff", "--exit-code", exit_code=EXIT_DRIFT)
        good &= self._show.ovnqos("apply", exit_code=0)
        if self._stage.sandbox:
            self._stage.central.sync()
        return good

    def _check(self, measure: Callable[[], list[Check]]) -> bool:
        """Measures and shows the table; without packets there is nothing to see."""
        if not self._stage.sandbox:
            return True
        with self._console.status("measuring"):
            checks = measure()
        return show_checks(self._console, checks, guide="The lab")


def _listed(seconds: Sequence[float]) -> str:
    return " ".join(f"{rate:.1f}" if rate < 100 else f"{rate:.0f}" for rate in seconds)
