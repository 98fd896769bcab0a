"""How an explanation is printed: sentences and a table for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ovnqos.explain.explanation import Effect, Part, Standing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from ovnqos.cli.explaining.question import Question
    from ovnqos.explain.explanation import Candidate, Choice, Explanation, JudgedRow, Outcome, Passage
    from ovnqos.southbound.ovn_trace import Trace

FORMAT: Final = "ovnqos.io/explanation/v1"
_COLUMNS: Final = ("DIRECTION", "PRIORITY", "OBJECT AND RULE", "DSCP", "RATE", "BURST", "VERDICT", "REASON")
_NUMBERS: Final = frozenset({"PRIORITY", "DSCP", "RATE", "BURST"})
_WIDE: Final = 10_000
"""Columns of output that is no terminal: a line stays a line for grep."""
_STYLES: Final = {Standing.WINS: "bold green", Standing.UNDEFINED: "bold red", Standing.MAY_WIN: "yellow"}


def as_text(
    question: Question, explanation: Explanation, *, trace: Trace | None = None, differences: Sequence[str] = ()
) -> str:
    """What happens to the packet in each direction, and below it every row.

    Args:
        question: what was asked.
        explanation: the answer.
        trace: what ovn-trace said; None where it was not asked.
        differences: where that differs from the explanation.
    """
    lines = [("packet", str(question)), *_sentences(explanation), *_traced(trace, differences)]
    width = max(len(title) for title, _ in lines)
    said = "".join(f"{title.ljust(width)}  {sentence}\n" for title, sentence in lines)
    rows = [row for passage in explanation.passages for row in passage.rows]
    return said + (f"\n{_table(rows)}" if rows else "")


def as_json(
    question: Question, explanation: Explanation, *, origin: str, trace: Trace | None, differences: Sequence[str]
) -> str:
    """The same for programs; `origin` says where the rows are from, the `files` or the `northbound`."""
    packet = explanation.packet
    document: dict[str, Any] = {
        "format": FORMAT,
        "packet": {
            "pod": question.pod,
            "network": question.network,
            "switch": question.switch,
            "inport": packet.inport,
            "outport": packet.outport,
            "source": str(packet.source),
            "destination": str(packet.destination),
            "protocol": packet.protocol,
            "destination_port": packet.destination_port,
        },
        "rows_from": origin,
        "certain": explanation.certain,
        "outcomes": [
            _outcome(passage, generation, outcome)
            for passage in explanation.passages
            for generation, outcome in passage.outcomes.items()
        ],
        "rows": [_row(row) for passage in explanation.passages for row in passage.rows],
    }
    if trace is not None:
        document["trace"] = {"agrees": not differences, "leaves_switch": trace.leaves, "differences": list(differences)}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _traced(trace: Trace | None, differences: Sequence[str]) -> Iterator[tuple[str, str]]:
    if trace is None:
        return
    for line in differences:
        yield "ovn-trace", f"differs: {line}"
    if not differences:
        short = "" if trace.leaves else ", as far as the packet comes: it does not leave the switch"
        yield "ovn-trace", f"agrees{short}"


def _outcome(passage: Passage, generation: str, outcome: Outcome) -> dict[str, Any]:
    return {
        "direction": passage.direction,
        "generation": generation,
        "certain": outcome.certain,
        "mark_by": [row and row.identity for row in outcome.mark.rows],
        "limit_by": [row and row.identity for row in outcome.limit.rows],
        "effects": sorted((_effect(effect) for effect in outcome.effects), key=str),
    }


def _effect(effect: Effect) -> dict[str, int | None]:
    return {"dscp": effect.dscp, "rate": effect.rate_kbps, "burst": effect.burst_kbit}


def _row(judged: JudgedRow) -> dict[str, Any]:
    row = judged.row
    return {
        "id": row.identity,
        "name": row.name,
        "direction": row.direction,
        "priority": row.priority,
        "match": str(row.match),
        "dscp": row.dscp,
        "rate": row.rate_kbps,
        "burst": row.burst_kbit,
        "matches": judged.verdict.truth,
        "verdict": judged.standing,
        "reason": judged.reason,
    }


def _sentences(explanation: Explanation) -> Iterator[tuple[str, str]]:
    for passage in explanation.passages:
        told = {generation: _sentence(outcome) for generation, outcome in passage.outcomes.items()}
        if len(set(told.values())) == 1:
            yield str(passage.direction), next(iter(told.values()))
        else:
            for generation, sentence in told.items():
                yield f"{passage.direction}, {generation.releases}", sentence


def _sentence(outcome: Outcome) -> str:
    mark, limit = outcome.mark, outcome.limit
    if mark.rows == limit.rows:
        return _choice(mark, tuple(Part), otherwise="no row applies")
    parts = ((mark, Part.MARK), (limit, Part.LIMIT))
    told = (_choice(choice, (part,), otherwise=f"no {part}") for choice, part in parts if choice.rows != (None,))
    return "; ".join(told)


def _choice(choice: Choice, parts: Collection[Part], *, otherwise: str) -> str:
    told = " or ".join(dict.fromkeys(_deed(row, parts) if row else otherwise for row in choice.rows))
    if choice.certain:
        return told
    what = "" if len(parts) > 1 else f"{''.join(parts)} "
    return f"{what}{'undefined' if choice.undefined else 'not certain'}: {told}"


def _deed(row: Candidate, parts: Collection[Part]) -> str:
    """What a row does to a packet of which it decides these parts."""
    limit = row if Part.LIMIT in parts and row.rate_kbps is not None else None
    effect = Effect(
        dscp=row.sets_mark if Part.MARK in parts else None,
        rate_kbps=limit.rate_kbps if limit else None,
        burst_kbit=limit.burst_kbit if limit else None,
    )
    return f"{effect} by {row.name}"


def _table(rows: Sequence[JudgedRow]) -> str:
    terminal = sys.stdout.isatty()
    table = Table(box=box.SIMPLE_HEAD if terminal else None, pad_edge=False, show_edge=False)
    for title in _COLUMNS:
        table.add_column(
            title, overflow="fold", no_wrap=title != "REASON", justify="right" if title in _NUMBERS else "left"
        )
    for judged in rows:
        row = judged.row
        numbers = ("-" if value is None else str(value) for value in (row.dscp, row.rate_kbps, row.burst_kbit))
        table.add_row(
            row.direction,
            str(row.priority),
            row.name,
            *numbers,
            Text(judged.standing, style=_STYLES.get(judged.standing, "")),
            judged.reason or "-",
        )
    console = Console(width=None if terminal else _WIDE, highlight=False, markup=False)
    with console.capture() as capture:
        console.print(table)
    return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())
