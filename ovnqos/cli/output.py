"""What a command reports: results on standard output, all else on standard error, and the exit code.

Colour and progress are for terminals. With `-o json` each line on standard error is a JSON object, too.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Final, TextIO

from ovnqos.diagnostics import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from rich.table import Table

    from ovnqos.diagnostics import Diagnostic
    from ovnqos.plan.plan import Plan

EXIT_INVALID: Final = 1
"""The input is invalid, or the plan is refused."""
EXIT_DRIFT: Final = 2
"""`diff --exit-code` found differences."""
EXIT_UNREACHABLE: Final = 3
"""The database is unreachable, has another writer, or did not take or answer the transaction."""
EXIT_INTERRUPTED: Final = 130
"""Ctrl-C: 128 and the number of SIGINT, as shells have it."""

_PATIENCE_S: Final = 1.0
"""Seconds after which a progress bar shows."""
_LISTED: Final = 5
_NUMBERS: Final = frozenset({"PRIORITY", "DSCP", "RATE", "BURST", "PACKETS", "DROPPED", "SHARE", "NOW"})
"""The columns that are aligned to the right."""
_STYLED: Final = frozenset({"VERDICT", "DROPPED"})
_BOLD, _RED, _GREEN, _YELLOW, _CYAN = "1", "31", "32", "33", "36"  # SGR, ECMA-48
_STYLES: Final = {"error": f"{_BOLD};{_RED}", "warning": _YELLOW, "info": ""}
_LAYOUT: Final = "\n\t"
_DIFF_STYLES: Final = {"---": _BOLD, "+++": _BOLD, "***": _BOLD, "@@": _CYAN, "-": _RED, "+": _GREEN}


class ReaderGone(Exception):  # noqa: N818 - says what happened, and is no error
    """The reader of our output (`| head`) has ended. Not an OSError, of which click makes an exit code of 1."""


class _Reports:
    """What one run reports, and what the runs within it do: those of the demo."""

    json: ClassVar[bool] = False
    depth: ClassVar[int] = 0
    warnings: ClassVar[set[str]] = set()
    repeated: ClassVar[int] = 0


@contextmanager
def reports() -> Iterator[None]:
    """Report on standard error as text; a warning is printed once, and then counted."""
    if _Reports.depth == 0:
        _Reports.warnings.clear()
    _Reports.depth += 1
    _Reports.json, _Reports.repeated = False, 0
    try:
        yield
    finally:
        _Reports.depth -= 1
        if _Reports.repeated:
            info(f"{count(_Reports.repeated, 'warning')} repeated from above")


def report_json(enabled: bool) -> None:
    """Report on standard error as JSON, or as text."""
    _Reports.json = enabled


def result(text: str) -> None:
    """Print a result, what is not printable of it escaped; raises ReaderGone: it has no reader any more."""
    _write(printable(text, keep=_LAYOUT))


def _write(text: str) -> None:
    """Print what is safe for a terminal, as it is; raises as `result`."""
    try:
        sys.stdout.write(text)
    except BrokenPipeError:
        raise ReaderGone from None


def result_json(document: object, *, sort_keys: bool = False) -> None:
    """Print a result as JSON; raises as `result`."""
    result(json.dumps(document, indent=2, ensure_ascii=False, sort_keys=sort_keys) + "\n")


def result_yaml(documents: Sequence[object]) -> None:
    """Print results as YAML; raises as `result`."""
    import yaml

    text = yaml.safe_dump_all(documents, explicit_start=True, sort_keys=False, allow_unicode=True)
    if printable(text, keep=_LAYOUT) != text:  # YAML has escapes of its own
        text = yaml.safe_dump_all(documents, explicit_start=True, sort_keys=False)
    result(text)


def plan(planned: Plan, form: str) -> None:
    """Print a plan as a `diff`, for `nbctl` or as `json`, and what it leaves out on standard error."""
    missing(planned)
    if form == "diff":
        _diff(planned.as_diff())
    else:
        result(planned.as_nbctl() if form == "nbctl" else planned.as_json())


def missing(planned: Plan) -> None:
    """Warn of what a plan leaves out because a switch or port is missing, and of what stays that it does not cover."""
    from ovnqos.plan.changes import describe_missing

    diagnostics(describe_missing(planned.missing))
    if planned.kept:
        stay = f"{count(len(planned.kept), 'object')} that the input does not have"
        info(f"unchanged: {stay}: {listed(planned.kept)}; --prune removes them")


def ended(planned: Plan) -> None:
    """Name every object whose limits or marks end by a plan, and every one whose rows all go."""
    numbers = {**dict.fromkeys(planned.changed_objects().get("ended", ()), 0), **planned.ended}
    for name, number in sorted(numbers.items()):
        if not number:
            info(f"{name}: its rows go; no pod has a limit or mark by them")
        else:
            ends = "1 limit or mark of a pod ends" if number == 1 else f"{number} limits and marks of pods end"
            info(f"{name}: {ends}")


def changed_objects(planned: Plan) -> None:
    """Summarize a plan by object: which are new, changed and ended, a line each."""
    for word, names in planned.changed_objects().items():
        info(f"{word}: {listed(names)}")


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, styles: Sequence[str] = ()) -> None:
    """Print a table: as wide as the terminal, or with a line a row, however long, for grep; raises as `result`.

    Args:
        columns: their titles; the last column wraps on a terminal.
        rows: the cells.
        styles: on a terminal, rich's style for the columns VERDICT and DROPPED of each row.
        right: the titles of the columns that are aligned to the right, separated by spaces.
    """
    if sys.stdout.isatty():
        _write(_terminal_table(columns, rows, styles))
        return
    lines = [columns, *([printable(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    widths[-1] = 0
    align = [str.rjust if title in _NUMBERS else str.ljust for title in columns]
    for line in lines:
        result("  ".join(pad(cell, width) for pad, cell, width in zip(align, line, widths, strict=True)) + "\n")


def error(message: object) -> None:
    """Print an error; each of its lines is complete by itself."""
    _lines("error", message)


def warning(message: object) -> None:
    """Print a warning."""
    _lines("warning", message)


def info(message: object) -> None:
    """Print what was done or found."""
    _lines("info", message)


def diagnostics(found: Iterable[Diagnostic], *, as_warnings: bool = False) -> None:
    """Print diagnostics, a line each; warnings of the same cause are one line that names five of the objects.

    Args:
        found: what to print.
        as_warnings: that errors are warnings here, because the command goes on.
    """
    alike: dict[tuple[str, ...], list[Diagnostic]] = {}
    for one in dict.fromkeys(found):
        severity = "warning" if as_warnings and one.severity == "error" else str(one.severity)
        cause = (severity, one.code, one.message)
        alike.setdefault((*cause, str(one.object)) if _Reports.json or severity == "error" else cause, []).append(one)
    for (severity, *_), same in alike.items():
        if _Reports.json:
            _line(severity, same[0].text, **_fields(same[0]))
        else:
            _line(severity, f"{listed([one.object for one in same])}: {same[0].message}")


def listed(items: Iterable[object]) -> str:
    """The first five, and how many more there are."""
    words = list(dict.fromkeys(map(str, items)))
    more = f" and {len(words) - _LISTED} more" if len(words) > _LISTED else ""
    return ", ".join(words[:_LISTED]) + more


def count(number: int, noun: str) -> str:
    """A number with its noun: `1 object`, `2 objects`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


@contextmanager
def progress(title: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error, if that is a terminal and the work takes long. Yields what to report to."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    bar = Progress(
        TextColumn(title),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    task = bar.add_task(title, total=None)
    timer = threading.Timer(_PATIENCE_S, bar.start)
    timer.daemon = True
    timer.start()
    try:
        yield lambda done, total: bar.update(task, completed=done, total=total)
    finally:
        timer.cancel()
        timer.join()
        bar.stop()


def _diff(text: str) -> None:
    if not _has_colour(sys.stdout):
        result(text)
        return
    for line in printable(text, keep=_LAYOUT).splitlines():
        style = next((style for start, style in _DIFF_STYLES.items() if line.startswith(start)), "")
        _write(f"{_styled(line, style)}\n")


def _lines(severity: str, message: object) -> None:
    for line in [*str(message).rstrip("\n").split("\n"), *getattr(message, "__notes__", ())]:
        _line(severity, line)


def _line(severity: str, text: str, **fields: Any) -> None:
    if _Reports.json:
        line = printable(json.dumps({"severity": severity, **fields, "text": text}, ensure_ascii=False))
    elif severity == "info":
        line = printable(text)
    else:
        word = f"{severity}: "
        line = (_styled(word, _STYLES[severity]) if _has_colour(sys.stderr) else word) + printable(text)
    if severity == "warning" and line in _Reports.warnings:
        _Reports.repeated += 1
        return
    if severity == "warning":
        _Reports.warnings.add(line)
    sys.stderr.write(f"{line}\n")


def _fields(diagnostic: Diagnostic) -> dict[str, Any]:
    ref = diagnostic.object
    return {
        "code": diagnostic.code,
        "object": {"kind": ref.kind, "namespace": ref.namespace, "name": ref.name, "origin": ref.origin},
        "path": diagnostic.path,
        "hint": diagnostic.hint,
    }


def _styled(text: str, style: str) -> str:
    return f"\x1b[{style}m{text}\x1b[0m" if style else text


def _has_colour(stream: TextIO) -> bool:
    """Whether a stream is a terminal that shows colours, see no-color.org."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def rich_table(columns: Sequence[str], rows: Iterable[Sequence[str]], styles: Sequence[str] = ()) -> Table:
    """Make a table for a terminal; arguments as for `table`."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for title in columns:
        justify: Any = "right" if title in _NUMBERS else "left"
        shown.add_column(title, overflow="fold", no_wrap=title in {"DIRECTION", "VERDICT", *_NUMBERS}, justify=justify)
    for index, row in enumerate(rows):
        style = styles[index] if styles else ""
        cells = zip(columns, map(printable, row), strict=True)
        shown.add_row(*(Text(cell, style=style if title in _STYLED else "") for title, cell in cells))
    return shown


def _terminal_table(columns: Sequence[str], rows: Sequence[Sequence[str]], styles: Sequence[str]) -> str:
    from rich.console import Console

    shown = rich_table(columns, rows, styles)
    console = Console(highlight=False, markup=False)
    with console.capture() as capture:
        console.print(shown)
    return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())
