"""Commands, run and shown as on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ovnqos.cli.exit_codes import EXIT_INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from ovnqos.sandbox import Central


class Shell:
    """Runs commands of ours and of OVN on one Northbound."""

    def __init__(
        self, run: Callable[[Sequence[str]], int], console: Console, *, central: Central, input_options: Sequence[str]
    ) -> None:
        """Nothing is run yet.

        Args:
            run: runs a command line of this program and returns its exit code.
            console: where to show it.
            central: whose Northbound it is.
            input_options: what names the input, e.g. `-f FOLDER`.
        """
        self._run = run
        self._console = console
        self._central = central
        self._input_options = tuple(input_options)

    def ovnqos(self, *words: str, exit_code: int, with_input: bool = True) -> bool:
        """Run a command of ours; returns whether it ended with this exit code. Ctrl-C in it is Ctrl-C here."""
        command, *options = words
        given = self._input_options if with_input else ()
        self._prompt("ovnqos", command, *given, *options)
        ended = self._run([command, *given, *options, "--nb", self._central.northbound.remote])
        if ended == EXIT_INTERRUPTED:
            raise KeyboardInterrupt
        if ended != exit_code:
            self._console.print(f"it ended with {ended} instead of {exit_code}", style="bold red")
        return ended == exit_code

    def nbctl(self, *words: str) -> None:
        """Run ovn-nbctl."""
        self._prompt("ovn-nbctl", *words)
        self._write(self._central.nbctl(*words))

    def show_file(self, name: str, text: str) -> None:
        """Show a file as `cat` does."""
        self._prompt("cat", name)
        self._write(text)

    def _prompt(self, *words: str) -> None:
        self._console.print(f"$ {' '.join(words)}", style="bold", markup=False, highlight=False, soft_wrap=True)
        self._console.file.flush()

    def _write(self, text: str) -> None:
        self._console.print(text, end="", markup=False, highlight=False, soft_wrap=True)
