"""What the readers of YAML and of JSON have in common: a parsed document, and the error of a text that is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ovnqos.diagnostics import Diagnostic


class UnreadableTextError(ValueError):
    """The text cannot be read. `line` and `column` count from 1; 0 where they are not known."""

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedDocument:
    """One document of a text: its value, the line it begins in, and an error for each key that it repeats."""

    value: object
    line: int
    errors: tuple[Diagnostic, ...] = ()
