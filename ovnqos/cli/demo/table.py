"""The table of what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from ovnqos.cli.demo.checks import Check


def show_checks(console: Console, checks: Sequence[Check], *, guide: str = "The guide") -> bool:
    """Print a line a check, with the guide's figures where there are any; returns whether all are good."""
    with_guide = any(check.guide for check in checks)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)  # as wide as a terminal of 80 columns
    for title in ("What", *([guide] if with_guide else []), "Expected here", "Measured", ""):
        table.add_column(title, overflow="fold")
    for check in checks:
        verdict = "[green]ok[/]" if check.good else "[bold red]WRONG[/]"
        figure = [check.guide] if with_guide else []
        table.add_row(check.what, *figure, check.expected, check.measured, verdict)
    console.print(table)
    return all(check.good for check in checks)
