"""Which QoS row applies to a packet, and why each other row of its switch does not.

How OVN chooses depends on its `PipelineVersion`. At equal priority it is undefined which matching row applies.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Final

from ovnqos.compile.rows import Direction
from ovnqos.explain.explanation import (
    CandidateRow,
    Decision,
    Effect,
    Explanation,
    Lookup,
    Outcome,
    QosAction,
    RowExplanation,
    RowVerdict,
)
from ovnqos.explain.pipeline import PipelineVersion
from ovnqos.match import Truth, Verdict, evaluate
from ovnqos.match.packet import NO_PORT
from ovnqos.match.verdict import no

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ovnqos.match import NamedSets, Packet

_NO_PORTS: Final[frozenset[str]] = frozenset()
_BY_WEIGHT: Final = (RowVerdict.WINS, RowVerdict.UNDEFINED, RowVerdict.MAY_WIN, RowVerdict.SHADOWED)
_ActionVerdicts = dict[QosAction | None, tuple[RowVerdict, str]]


def explain(
    packet: Packet,
    rows: Iterable[CandidateRow],
    names: NamedSets,
    *,
    versions: Sequence[PipelineVersion] = tuple(PipelineVersion),
) -> Explanation:
    """Explain what the rows of one switch do to a packet.

    Args:
        packet: as it leaves the switch.
        rows: of the switch that the packet enters, in both directions.
        names: the members of address sets and port groups.
        versions: pipeline versions of OVN to look rows up by.
    """
    candidates = list(rows)
    entering = replace(packet, outport=NO_PORT, not_outports=_NO_PORTS)
    return Explanation(
        packet=packet,
        lookups=tuple(
            _look_up(direction, seen, [one for one in candidates if one.direction is direction], names, versions)
            for direction, seen in ((Direction.FROM_LPORT, entering), (Direction.TO_LPORT, packet))
        ),
    )


def _look_up(
    direction: Direction,
    packet: Packet,
    rows: Sequence[CandidateRow],
    names: NamedSets,
    versions: Sequence[PipelineVersion],
) -> Lookup:
    if not rows:
        return _no_rows(direction, tuple(versions))
    ranked = sorted(rows, key=lambda row: (-row.priority, row.name, row.identity))
    matched = [(row, _match(row, packet, names)) for row in ranked]
    outcomes = {version: _outcome(matched, version) for version in versions}
    return Lookup(
        direction=direction,
        rows=tuple(_explain_row(row, verdict, outcomes) for row, verdict in matched),
        outcomes=outcomes,
    )


@cache
def _no_rows(direction: Direction, versions: tuple[PipelineVersion, ...]) -> Lookup:
    return Lookup(direction=direction, rows=(), outcomes={version: _outcome((), version) for version in versions})


def _match(row: CandidateRow, packet: Packet, names: NamedSets) -> Verdict:
    if row.priority == 0:
        return no("priority 0 is that of the stage's default flow, which takes every packet")
    return evaluate(row.match, packet, names)


def _outcome(matched: Sequence[tuple[CandidateRow, Verdict]], version: PipelineVersion) -> Outcome:
    decisions = {
        action: _decide([(row, verdict) for row, verdict in matched if row.is_looked_up(action, version)])
        for action in QosAction
    }
    mark, limit = decisions[QosAction.MARK], decisions[QosAction.LIMIT]
    pairs = (
        (marker, limiter)
        for marker in mark.rows
        for limiter in limit.rows
        if version is PipelineVersion.SPLIT or marker is limiter
    )
    return Outcome(mark=mark, limit=limit, effects=frozenset(_effect(*pair) for pair in pairs))


def _effect(marker: CandidateRow | None, limiter: CandidateRow | None) -> Effect:
    mark = marker.effect(marks=True, limits=False) if marker else Effect()
    limit = limiter.effect(marks=False, limits=True) if limiter else Effect()
    return Effect(dscp=mark.dscp, rate_kbps=limit.rate_kbps, burst_kbit=limit.burst_kbit)


def _decide(matched: Sequence[tuple[CandidateRow, Verdict]]) -> Decision:
    """Find the row that decides among those looked up, which are given the highest first."""
    possible: list[CandidateRow | None] = []
    for priority in dict.fromkeys(row.priority for row, _ in matched):
        level = [(row, verdict.truth) for row, verdict in matched if row.priority == priority]
        possible.extend(row for row, truth in level if truth is not Truth.NO)
        taking = [row for row, truth in level if truth is Truth.YES]
        if taking:
            return Decision(rows=tuple(possible), undefined=len(taking) > 1)
    return Decision(rows=(*possible, None))


def _explain_row(row: CandidateRow, matches: Verdict, outcomes: Mapping[PipelineVersion, Outcome]) -> RowExplanation:
    if matches.truth is Truth.NO:
        return RowExplanation(row=row, matches=matches, verdict=RowVerdict.NO_MATCH, reason=matches.reason)
    found = {version: _action_verdicts(row, outcome, version) for version, outcome in outcomes.items()}
    reasons = {version: _reason(one) for version, one in found.items()}
    reason = next(iter(reasons.values()))
    if len(set(reasons.values())) > 1:
        reason = "; ".join(f"{version.releases}: {words or RowVerdict.WINS}" for version, words in reasons.items())
    verdicts = {verdict for one in found.values() for verdict, _ in one.values()}
    verdict = next(one for one in _BY_WEIGHT if one in verdicts)
    if matches.truth is Truth.UNKNOWN:
        reason = f"{matches.reason}; even so, {reason}" if verdict is RowVerdict.SHADOWED else matches.reason
    return RowExplanation(row=row, matches=matches, verdict=verdict, reason=reason)


def _action_verdicts(row: CandidateRow, outcome: Outcome, version: PipelineVersion) -> _ActionVerdicts:
    """The verdict and its reason for each action that the row is looked up for; under None, of all at once."""
    actions = [action for action in QosAction if row.is_looked_up(action, version)]
    if not actions:
        return {None: (RowVerdict.SHADOWED, "it sets nothing")}
    verdicts: _ActionVerdicts = {
        action: _verdict(row, outcome.mark if action is QosAction.MARK else outcome.limit) for action in actions
    }
    if version is PipelineVersion.JOINED:
        return {None: verdicts[QosAction.MARK]}
    return verdicts


def _verdict(row: CandidateRow, decision: Decision) -> tuple[RowVerdict, str]:
    if decision.certain and decision.row is row:
        return RowVerdict.WINS, "" if row.sets_anything else "it sets nothing, and shadows the rows below"
    others = [one for one in decision.rows if one is not None and one is not row]
    if not any(one is row for one in decision.rows):
        return RowVerdict.SHADOWED, f"lower priority than {others[-1].name}"
    equal = [one for one in others if one.priority == row.priority]
    if decision.undefined and equal:
        return RowVerdict.UNDEFINED, f"conflicts with {equal[0].name}: equal priority, OVN applies either"
    unless = [*(one for one in others if one.priority > row.priority), *equal]
    return RowVerdict.MAY_WIN, f"unless {unless[0].name} matches the packet" if unless else ""


def _reason(verdicts: _ActionVerdicts) -> str:
    reasons = {reason for _, reason in verdicts.values()}
    if len(reasons) == 1:
        return reasons.pop()
    return "; ".join(f"{action}: {reason or verdict}" for action, (verdict, reason) in verdicts.items())
