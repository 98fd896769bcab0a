"""Commands, files and measurements, shown as on a terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from rich import box
from rich.table import Table

from ovnqos.cli.output import EXIT_INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from rich.console import Console

    from ovnqos.sandbox import Central

Run: TypeAlias = "Callable[[Sequence[str]], int]"
"""Runs a command line of this program and returns its exit code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A line of the table: what is expected, what was measured, and the original's figure if it has one."""

    what: str
    expected: str
    measured: str
    good: bool
    original: str = ""


class Terminal:
    """Runs commands on one Northbound and shows them.

    Attributes:
        good: whether every command and check so far ended as expected.
        input_options: what names the input, e.g. `-f FOLDER`.
    """

    def __init__(self, run: Run, console: Console, central: Central) -> None:
        """Take how to run a command, where to show it, and whose Northbound it is for."""
        self._run = run
        self._console = console
        self._central = central
        self.input_options: list[str] = []
        self.good = True

    def section(self, title: str) -> None:
        """Show a rule with a title."""
        self._console.rule(title)

    def say(self, text: str) -> None:
        """Show a text as it is."""
        self._console.print(text, highlight=False, soft_wrap=True)

    def ovnqos(self, *words: str, exit_code: int = 0, with_input: bool = True) -> None:
        """Run a command of this program, which is to end with this exit code. Ctrl-C in it is Ctrl-C here."""
        command, *options = words
        given = self.input_options if with_input else ()
        self._prompt("ovnqos", command, *given, *options)
        ended = self._run([command, *given, *options, "--nb", self._central.northbound.remote])
        if ended == EXIT_INTERRUPTED:
            raise KeyboardInterrupt
        if ended != exit_code:
            self._console.print(f"exit code {ended} instead of {exit_code}", style="bold red")
            self.good = False

    def nbctl(self, *words: str) -> None:
        """Run ovn-nbctl."""
        self._prompt("ovn-nbctl", *words)
        self._write(self._central.nbctl(*words))

    def show_file(self, name: str, text: str) -> None:
        """Show a file as `cat` does."""
        self._prompt("cat", name)
        self._write(text)

    def check(self, measure: Callable[[], Iterable[Check]], *, original: str = "The guide") -> None:
        """Measure, and show a line for each check, with the original's figures where there are any."""
        with self._console.status("measuring"):
            checks = list(measure())
        with_original = any(check.original for check in checks)
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)  # as wide as a terminal of 80 columns
        for title in ("What", *([original] if with_original else []), "Expected here", "Measured", ""):
            table.add_column(title, overflow="fold")
        for check in checks:
            figure = [check.original] if with_original else []
            verdict = "[green]ok[/]" if check.good else "[bold red]FAILED[/]"
            table.add_row(check.what, *figure, check.expected, check.measured, verdict)
        self._console.print(table)
        self.good &= all(check.good for check in checks)

    def _prompt(self, *words: str) -> None:
        self._console.print(f"$ {' '.join(words)}", style="bold", markup=False, highlight=False, soft_wrap=True)
        self._console.file.flush()

    def _write(self, text: str) -> None:
        self._console.print(text, end="", markup=False, highlight=False, soft_wrap=True)


def near(what: str, expected: float, measured: float, *, original: str = "") -> Check:
    """A rate in bit/s that is to be within 5 % of what is expected."""
    good = abs(measured - expected) <= 0.05 * expected
    return Check(what=what, expected=f"{mega(expected)} ± 5 %", measured=mega(measured), good=good, original=original)


def at_most(what: str, most: float, measured: float, *, original: str = "") -> Check:
    """A rate in bit/s that is to exceed a maximum by no more than 5 %."""
    good = measured <= most * 1.05
    return Check(what=what, expected=f"at most {mega(most)}", measured=mega(measured), good=good, original=original)


def over(what: str, least: float, measured: float, *, original: str = "") -> Check:
    """A rate in bit/s that is to exceed a minimum."""
    expected = f"over {mega(least)}"
    return Check(what=what, expected=expected, measured=mega(measured), good=measured > least, original=original)


def marked(what: str, tos: int, seen: set[int] | frozenset[int], *, original: str = "") -> Check:
    """Packets all of which are to have this byte, which tcpdump calls tos."""
    measured = f"tos {_classes(seen)}" if seen else "no packet"
    return Check(what=what, expected=f"tos {tos:#x}", measured=measured, good=seen == {tos}, original=original)


def marked_twice(what: str, tos: int, outer: frozenset[int], inner: frozenset[int]) -> Check:
    """Packets that are to have this byte both in geneve's own header and inside of it, as the guide's have."""
    expected = f"{tos:#x}/{tos:#x}"
    measured = f"{_classes(outer)}/{_classes(inner)}" if inner else "no packet"
    return Check(what=what, expected=expected, measured=measured, good=outer == inner == {tos}, original=expected)


def _classes(seen: set[int] | frozenset[int]) -> str:
    return ", ".join(f"{one:#x}" for one in sorted(seen))


def mega(bits_per_second: float) -> str:
    """A rate as the tables have it."""
    if bits_per_second >= 1e9:
        return f"{bits_per_second / 1e9:.2f} Gbit/s"
    return f"{bits_per_second / 1e6:.2f} Mbit/s"
