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
BOLD, RED, GREEN, YELLOW, CYAN = "1", "31", "32", "33", "36"
"""Styles of `styled`: SGR, ECMA-48."""
_STYLES: Final = {"error": f"{BOLD};{RED}", "warning": YELLOW, "info": ""}
_LAYOUT: Final = "\n\t"
_DIFF_STYLES: Final = {"---": BOLD, "+++": BOLD, "***": BOLD, "@@": CYAN, "-": RED, "+": GREEN}


class ReaderGone(Exception):  # noqa: N818 - says what happened, and is no error
    """The reader of our output (`| head`) has ended. Not an OSError, of which click makes an exit code of 1."""


class _Reports:
    """What one run reports, and what the runs within it do: those of the demo."""

    json: ClassVar[bool] = False
    colour: ClassVar[str] = "auto"
    depth: ClassVar[int] = 0
    pending: ClassVar[dict[tuple[str, str], dict[Diagnostic, None]]] = {}
    """Warnings by cause, for the end; a text without an object has no diagnostics."""
    warned: ClassVar[set[tuple[str, ...]]] = set()


@contextmanager
def reports() -> Iterator[None]:
    """Report on standard error as text, warnings at the end: grouped by cause, and by later runs only counted."""
    if _Reports.depth == 0:
        _Reports.warned.clear()
        _Reports.colour = "auto"
    _Reports.depth += 1
    _Reports.json = False
    try:
        yield
    finally:
        _Reports.depth -= 1
        print_warnings()


def report_json(enabled: bool) -> None:
    """Report on standard error as JSON, or as text."""
    _Reports.json = enabled


def colour(when: str) -> None:
    """Colour what is printed: `always`, `never`, or `auto`, as the stream and the environment say."""
    _Reports.colour = when


def result(text: str) -> None:
    """Print a result, what is not printable of it escaped; raises ReaderGone: it has no reader any more."""
    write(printable(text, keep=_LAYOUT))


def write(text: str) -> None:
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


def plan(planned: Plan, form: str, *, summary: bool = False) -> None:
    """Print a plan by `objects`, as a `diff`, for `nbctl` or as `json`, and what it leaves out on standard error."""
    missing(planned)
    if form in {"objects", "diff"}:
        _diff(planned.as_diff() if form == "diff" else planned.as_text(lines=not summary))
    else:
        result(planned.as_nbctl() if form == "nbctl" else planned.as_json())


def missing(planned: Plan) -> None:
    """Warn of what a plan leaves out because a switch or port is missing, and of what stays that it does not cover."""
    if planned.missing:
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


def error(message: object) -> None:
    """Print an error; each of its lines is complete by itself."""
    _lines("error", message)


def warning(message: object) -> None:
    """Print a warning at the end."""
    for line in str(message).rstrip("\n").split("\n"):
        _Reports.pending.setdefault(("", line), {})


def info(message: object) -> None:
    """Print what was done or found."""
    _lines("info", message)


def diagnostics(found: Iterable[Diagnostic], *, as_warnings: bool = False) -> None:
    """Print diagnostics: errors a line each; warnings at the end, those of one cause in a line that names five objects.

    Args:
        found: what to print.
        as_warnings: that errors are warnings here, because the command goes on.
    """
    for one in dict.fromkeys(found):
        if one.severity == "warning" or (as_warnings and one.severity == "error"):
            _Reports.pending.setdefault((str(one.code), one.message), {})[one] = None
        elif _Reports.json:
            _line(str(one.severity), one.text, **_fields(one))
        else:
            _line(str(one.severity), str(one))


def print_warnings() -> None:
    """Print what was warned of since the last time; what an earlier run of the demo has printed is only counted."""
    repeated = 0
    for (code, text), alike in _Reports.pending.items():
        names = listed([one.object for one in alike])
        if (code, text, names) in _Reports.warned:
            repeated += 1
            continue
        _Reports.warned.add((code, text, names))
        if _Reports.json and alike:
            for one in alike:
                _line("warning", one.text, **_fields(one))
        else:
            _line("warning", f"{names}: {text}" if alike else text)
    _Reports.pending.clear()
    if repeated:
        info(f"{count(repeated, 'warning')} repeated from above")


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
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    task = bar.add_task(title, total=None)
    timer = threading.Timer(_PATIENCE_S, bar.start)
    timer.daemon = True
    timer.start()
    try:
        yield lambda done, total: bar.update(task, completed=done, total=total, description=f"{title} {done}/{total}")
    finally:
        timer.cancel()
        timer.join()
        bar.stop()


def _diff(text: str) -> None:
    if not has_colour(sys.stdout):
        result(text)
        return
    for line in printable(text, keep=_LAYOUT).splitlines():
        style = next((style for start, style in _DIFF_STYLES.items() if line.lstrip().startswith(start)), "")
        write(f"{styled(line, style)}\n")


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
        line = (styled(word, _STYLES[severity]) if has_colour(sys.stderr) else word) + printable(text)
    sys.stderr.write(f"{line}\n")


def _fields(diagnostic: Diagnostic) -> dict[str, Any]:
    ref = diagnostic.object
    return {
        "code": diagnostic.code,
        "object": {one: getattr(ref, one) or None for one in ("kind", "namespace", "name", "origin")},
        "path": diagnostic.path or None,
        "hint": diagnostic.hint or None,
    }


def styled(text: str, style: str) -> str:
    """A text in a style, for a stream that `has_colour`."""
    return f"\x1b[{style}m{text}\x1b[0m" if style else text


def has_colour(stream: TextIO) -> bool:
    """Whether to colour what goes to a stream: as --color says, else NO_COLOR (no-color.org), else FORCE_COLOR."""
    if _Reports.colour != "auto":
        return _Reports.colour == "always"
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (stream.isatty() and os.environ.get("TERM") != "dumb")
