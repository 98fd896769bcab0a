"""What a person sees: results on standard output, everything else on standard error, colour only on a terminal."""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.style import Style
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ovnqos.diagnostics import Diagnostic

PATIENCE_S: Final = 1.0
"""Seconds after which a progress bar shows."""
_LISTED: Final = 5
_SEVERITY_STYLES: Final = {"error": "bold red", "warning": "yellow", "info": "cyan"}
_STYLES: Final = {
    "---": Style(bold=True),
    "+++": Style(bold=True),
    "***": Style(bold=True),
    "@@": Style(color="cyan"),
    "-": Style(color="red"),
    "+": Style(color="green"),
}


class ReaderGone(Exception):  # noqa: N818 - says what happened, and is no error
    """Whoever read our output (`| head`) has seen enough. Not an OSError, of which click makes an exit code of 1."""


def result(text: str) -> None:
    """Print a result as it is.

    Raises:
        ReaderGone: nobody reads it any more.
    """
    try:
        sys.stdout.write(text)
    except BrokenPipeError:
        raise ReaderGone from None


def diff(text: str) -> None:
    """Print a diff, coloured on a terminal; raises as `result`."""
    if not sys.stdout.isatty():
        result(text)
        return
    console = Console(soft_wrap=True, highlight=False, markup=False)
    for line in text.splitlines():
        style = next((style for start, style in _STYLES.items() if line.startswith(start)), Style())
        console.print(Text(line, style=style))


def error(message: object) -> None:
    """Print an error; each of its lines is complete by itself."""
    _say("error", "bold red", message)


def warning(message: object) -> None:
    """Print a warning."""
    _say("warning", "yellow", message)


def info(message: object) -> None:
    """Print what was done or found."""
    sys.stderr.write(f"{message}\n")


def diagnostics(found: Iterable[Diagnostic]) -> None:
    """Print diagnostics, a line each; of several objects with the same warning one line names five."""
    alike: dict[tuple[object, ...], list[Diagnostic]] = {}
    for one in found:
        cause = (one.severity, one.code, one.path, one.text, one.hint)
        alike.setdefault((*cause, one.object) if one.severity == "error" else cause, []).append(one)
    for same in alike.values():
        first = same[0]
        word, style = first.severity.value, _SEVERITY_STYLES[first.severity.value]
        _say(word, style, f"{listed([one.object for one in same])}: {first.message}")


def listed(items: Iterable[object]) -> str:
    """The first five, and how many more there are."""
    words = list(dict.fromkeys(map(str, items)))
    more = f" and {len(words) - _LISTED} more" if len(words) > _LISTED else ""
    return ", ".join(words[:_LISTED]) + more


def count(number: int, noun: str) -> str:
    """A number with its noun, e.g. `1 object`, `2 objects`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _say(word: str, style: str, message: object) -> None:
    notes = getattr(message, "__notes__", ())
    console = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    for line in [*str(message).splitlines(), *notes]:
        console.print(Text(f"{word}: ", style=style).append(Text(line, style="default")))


@contextmanager
def progress(title: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error, if that is a terminal and the work takes long. Yields what to report to."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    bar = Progress(
        TextColumn(title),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    task = bar.add_task(title, total=None)
    timer = threading.Timer(PATIENCE_S, bar.start)
    timer.daemon = True
    timer.start()
    try:
        yield lambda done, total: bar.update(task, completed=done, total=total)
    finally:
        timer.cancel()
        timer.join()
        bar.stop()
