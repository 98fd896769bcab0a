"""An explanation as people read it, a pipeline stage after the other, and as a document for programs."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Any, Final

from ovnqos.cli import output, tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ovnqos.explain.explanation import Decision, Effect, Explanation, Lookup, Outcome, RowExplanation
    from ovnqos.explain.pod_packet import PodPacket
    from ovnqos.southbound.trace import Trace

_FORMAT: Final = "ovnqos.io/explanation/v1"
_MARK: Final = ""
_COLUMNS: Final = (_MARK, "OBJECT", "RULE", "PRIORITY", "DSCP", "RATE", "BURST", "VERDICT", tables.REASON)
_NO_MATCH: Final = "no match"
_UNMATCHED: Final = 5
_MARKS: Final = {"wins": "*", "undefined": "?", "may win": "?"}
_STYLES: Final = {
    "wins": f"{output.BOLD};{output.GREEN}",
    "undefined": f"{output.BOLD};{output.RED}",
    "may win": output.YELLOW,
}
_STAGES: Final = {"from-lport": "from-lport (enters the switch)", "to-lport": "to-lport (leaves the switch)"}


def print_text(
    sent: PodPacket, explanation: Explanation, trace: Trace | None, disagreements: Sequence[str], *, every: bool
) -> None:
    """Print the packet, then each stage: what it does to the packet, and its rows by priority, the winner marked.

    `every`: all rows, else those that may match and a few of the others.
    """
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    coloured = output.has_colour(sys.stdout)
    for line in lines(sent, explanation, trace, disagreements, width=width, coloured=coloured, every=every):
        output.write(f"{line}\n")


def lines(  # noqa: PLR0913 - keywords
    sent: PodPacket,
    explanation: Explanation,
    trace: Trace | None = None,
    disagreements: Sequence[str] = (),
    *,
    width: int | None,
    coloured: bool = False,
    every: bool = True,
) -> Iterator[str]:
    """The lines of `print_text`; `width` as in `tables.lines`."""
    choice = f" ({sent.choice})" if sent.choice else ""
    head = [
        ("packet", sent.flow),
        ("sent by", f"Pod {sent.pod}, port {sent.packet.inport} of switch {sent.switch}"),
        ("network", f"{sent.network}{choice}"),
        *_trace_lines(trace, disagreements),
    ]
    for title, text in head:
        first, *others = [*tables.wrapped([text], width=width, indent=" " * 11)]
        yield f"{title:<11}{first.lstrip()}"
        yield from others
    for lookup in explanation.lookups:
        yield ""
        yield f"{_STAGES[lookup.direction]}:"
        yield from tables.wrapped(_outcome_lines(lookup), width=width, indent="  ")
        shown = lookup.rows if every else _short_list(lookup.rows)
        rows = [_cells(one) for one in shown]
        styles = [_STYLES.get(one.verdict, "") for one in shown] if coloured else ()
        yield from tables.lines(_COLUMNS, rows, styles, width=width) if rows else ()
        if left := len(lookup.rows) - len(shown):
            yield f"   and {output.count(left, 'row')} more, without a match; -o wide shows them"


def _short_list(rows: Sequence[RowExplanation]) -> list[RowExplanation]:
    """The rows that may match, and the first of the others."""
    others = [one for one in rows if one.verdict.value == _NO_MATCH][_UNMATCHED:]
    return [one for one in rows if one not in others]


def _outcome_lines(lookup: Lookup) -> Iterator[str]:
    texts = {version: _outcome_text(outcome) for version, outcome in lookup.outcomes.items()}
    if len(set(texts.values())) == 1:
        yield next(iter(texts.values()))
    else:
        yield from (f"{version.releases}: {text}" for version, text in texts.items())


def _outcome_text(outcome: Outcome) -> str:
    if outcome.mark.rows == outcome.limit.rows:
        return _decision_text(outcome.mark, marks=True, limits=True, otherwise="no row applies")
    mark = _decision_text(outcome.mark, marks=True, otherwise="no mark") if outcome.mark.rows != (None,) else ""
    limit = _decision_text(outcome.limit, limits=True, otherwise="no limit") if outcome.limit.rows != (None,) else ""
    return "; ".join(filter(None, (mark, limit)))


def _decision_text(decision: Decision, *, marks: bool = False, limits: bool = False, otherwise: str) -> str:
    texts = [f"{row.effect(marks=marks, limits=limits)} by {row.name}" if row else otherwise for row in decision.rows]
    text = " or ".join(dict.fromkeys(texts))
    if decision.certain:
        return text
    action = "" if marks and limits else "mark " if marks else "limit "
    return f"{action}{'undefined' if decision.undefined else 'not certain'}: {text}"


def _trace_lines(trace: Trace | None, disagreements: Sequence[str]) -> Iterator[tuple[str, str]]:
    if trace is None:
        return
    for line in disagreements:
        yield "ovn-trace", f"differs: {line}"
    if not disagreements:
        yield "ovn-trace", "agrees" if trace.leaves else "agrees; the packet does not leave the switch"


def _cells(one: RowExplanation) -> dict[str, object]:
    row = one.row
    port = f" port {port}" if row.object and (port := row.name.partition(" port ")[2]) else ""
    return {
        _MARK: _MARKS.get(one.verdict, " "),
        "OBJECT": row.object or row.name,
        "RULE": f"{row.rule}{port}",
        "PRIORITY": row.priority,
        "DSCP": row.dscp,
        "RATE": row.rate_kbps,
        "BURST": row.burst_kbit,
        "VERDICT": one.verdict.value,
        tables.REASON: one.reason,
    }


def document(
    sent: PodPacket, explanation: Explanation, origin: str, trace: Trace | None, disagreements: Sequence[str]
) -> dict[str, Any]:
    """The explanation for programs; `origin` is `files`, `cluster` or `northbound`."""
    packet = explanation.packet
    made: dict[str, Any] = {
        "format": _FORMAT,
        "packet": {
            "pod": sent.pod,
            "network": sent.network,
            "network_choice": sent.choice or None,
            "switch": sent.switch,
            "inport": packet.inport,
            "outport": packet.outport,
            "source": str(packet.source),
            "destination": str(packet.destination),
            "receiver": sent.receiver or None,
            "protocol": packet.protocol,
            "destination_port": packet.destination_port,
        },
        "rows_from": origin,
        "certain": explanation.certain,
        "outcomes": [one for lookup in explanation.lookups for one in _outcomes(lookup)],
        "rows": [_row(row) for lookup in explanation.lookups for row in lookup.rows],
    }
    if trace is not None:
        agrees = not disagreements
        made["trace"] = {"agrees": agrees, "leaves_switch": trace.leaves, "differences": list(disagreements)}
    return made


def _outcomes(lookup: Lookup) -> Iterator[dict[str, Any]]:
    for version, outcome in lookup.outcomes.items():
        yield {
            "direction": lookup.direction,
            "pipeline_version": version,
            "certain": outcome.certain,
            "mark_by": [row and row.identity for row in outcome.mark.rows],
            "limit_by": [row and row.identity for row in outcome.limit.rows],
            "effects": sorted((_effect(effect) for effect in outcome.effects), key=str),
        }


def _effect(effect: Effect) -> dict[str, int | None]:
    return {"dscp": effect.dscp, "rate": effect.rate_kbps, "burst": effect.burst_kbit}


def _row(one: RowExplanation) -> dict[str, Any]:
    row = one.row
    return {
        "id": row.identity,
        "name": row.name,
        "direction": row.direction,
        "priority": row.priority,
        "match": str(row.match),
        "dscp": row.dscp,
        "rate": row.rate_kbps,
        "burst": row.burst_kbit,
        "matches": one.matches.truth,
        "verdict": one.verdict,
        "reason": one.reason or None,
    }
