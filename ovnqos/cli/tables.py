"""Tables for people: on a terminal as wide as it is, with each reason under its row; else a line a row, for grep."""

from __future__ import annotations

import shutil
import sys
import textwrap
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

from ovnqos.cli import output
from ovnqos.diagnostics import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

REASON: Final = "REASON"
"""The column that has texts of any length: one, or several in a tuple."""
_NUMBERS: Final = frozenset({"PRIORITY", "DSCP", "RATE", "BURST", "PACKETS", "DROPPED", "SHARE", "NOW"})
"""The columns that are aligned to the right."""
_WHOLE: Final = _NUMBERS | {"RULE", "DIRECTION", "VERDICT"}
"""The columns that are never folded."""
_STYLED: Final = frozenset({"VERDICT", "DROPPED"})
_LEAST: Final = 12
_GAP: Final = "  "
_INDENT: Final = "    "


def table(columns: Sequence[str], rows: Sequence[Mapping[str, object]], styles: Sequence[str] = ()) -> None:
    """Print a table; raises as `output.result`. Arguments as for `lines`."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in lines(columns, rows, styles if output.has_colour(sys.stdout) else (), width=width):
        output.write(f"{line}\n")


def lines(
    columns: Sequence[str], rows: Sequence[Mapping[str, object]], styles: Sequence[str] = (), *, width: int | None
) -> Iterator[str]:
    """The lines of a table.

    Args:
        columns: their titles, in order; the last may be `REASON`.
        rows: by column, the values; `-` stands for None and for an empty text.
        styles: the colours (SGR) of the columns VERDICT and DROPPED of each row.
        width: where names are folded, and reasons wrap under their row; None: a line a row, whatever its length.
    """
    shown = [one for one in columns if one != REASON or (width is None and any(row.get(one) for row in rows))]
    cells = [[_text(row.get(one)) for one in shown] for row in rows]
    widths = [max(map(len, column)) for column in zip(shown, *cells, strict=True)]
    if width is None:
        widths[-1] = 0 if shown[-1] not in _NUMBERS else widths[-1]
    else:
        _fold(shown, widths, width)
    yield from _row(shown, shown, widths)
    for index, (row, texts) in enumerate(zip(rows, cells, strict=True)):
        yield from _row(shown, texts, widths, styles[index] if styles else "")
        if width is not None:
            yield from wrapped(_reasons(row.get(REASON)), width=width)


def wrapped(texts: Iterable[str], *, width: int | None, indent: str = _INDENT) -> Iterator[str]:
    """Each text in lines of at most this width, the first indented, the others a little more."""
    for text in map(printable, texts):
        if width is None:
            yield indent + text
        else:
            yield from textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent + _GAP)


def _fold(columns: Sequence[str], widths: list[int], width: int) -> None:
    """Make the widest columns of names narrower until the row fits, if it can."""
    names = [index for index, title in enumerate(columns) if title not in _WHOLE]
    excess = sum(widths) + len(_GAP) * (len(widths) - 1) - width
    while excess > 0 and names and widths[widest := max(names, key=widths.__getitem__)] > _LEAST:
        widths[widest] -= 1
        excess -= 1


def _row(columns: Sequence[str], texts: Sequence[str], widths: Sequence[int], style: str = "") -> Iterator[str]:
    sized = zip(texts, widths, strict=True)
    folded = [_folded(text, size) if 0 < size < len(text) else [text] for text, size in sized]
    for line in zip_longest(*folded, fillvalue=""):
        cells = []
        for title, text, size in zip(columns, line, widths, strict=True):
            cell = text.rjust(size) if title in _NUMBERS else text.ljust(size)
            cells.append(output.styled(cell, style) if style and title in _STYLED and text else cell)
        yield _GAP.join(cells).rstrip()


def _folded(text: str, size: int) -> list[str]:
    """The text in lines of this size, broken after slashes and hyphens where it can be."""
    return [line.replace("/ ", "/") for line in textwrap.wrap(text.replace("/", "/ "), size)]


def _text(value: object) -> str:
    if isinstance(value, tuple):
        value = "; ".join(filter(None, value))
    return "-" if value in {None, ""} else printable(str(value))


def _reasons(value: object) -> Sequence[str]:
    return [str(one) for one in (value if isinstance(value, tuple) else (value,)) if one]
