"""Which QoS row applies to a packet, and why each other row of its switch does not.

How OVN chooses is said at `Generation`; at equal priority it is undefined which of the rows that take a packet it is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ovnqos.compile.generation import Generation
from ovnqos.compile.rows import Direction
from ovnqos.explain.explanation import (
    Candidate,
    Choice,
    Effect,
    Explanation,
    JudgedRow,
    Outcome,
    Part,
    Passage,
    Standing,
)
from ovnqos.match.evaluate import evaluate
from ovnqos.match.verdict import Truth, Verdict, no

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ovnqos.match.packet import NamedSets, Packet

_NO_PORTS: Final[frozenset[str]] = frozenset()
_BY_WEIGHT: Final = (Standing.WINS, Standing.UNDEFINED, Standing.MAY_WIN, Standing.LOSES)
_Fates = dict[Part | None, tuple[Standing, str]]


def explain(
    packet: Packet,
    rows: Iterable[Candidate],
    names: NamedSets,
    *,
    generations: Sequence[Generation] = tuple(Generation),
) -> Explanation:
    """Hold the rows of one switch against a packet.

    Args:
        packet: as it leaves the switch.
        rows: of the switch that the packet enters, in both directions.
        names: what address sets and port groups stand for.
        generations: of OVN, whose ways of looking rows up are to be told.
    """
    candidates = list(rows)
    entering = replace(packet, outport="", not_outports=_NO_PORTS)
    return Explanation(
        packet=packet,
        passages=tuple(
            _passage(direction, seen, [one for one in candidates if one.direction is direction], names, generations)
            for direction, seen in ((Direction.FROM_LPORT, entering), (Direction.TO_LPORT, packet))
        ),
    )


def _passage(
    direction: Direction,
    packet: Packet,
    rows: Iterable[Candidate],
    names: NamedSets,
    generations: Sequence[Generation],
) -> Passage:
    ranked = sorted(rows, key=lambda row: (-row.priority, row.name, row.identity))
    judged = [(row, _verdict(row, packet, names)) for row in ranked]
    outcomes = {generation: _outcome(judged, generation) for generation in generations}
    return Passage(
        direction=direction,
        rows=tuple(_judge(row, verdict, outcomes) for row, verdict in judged),
        outcomes=outcomes,
    )


def _verdict(row: Candidate, packet: Packet, names: NamedSets) -> Verdict:
    if row.priority == 0:
        return no("priority 0 loses to the flow that passes all packets on")
    return evaluate(row.match, packet, names)


def _outcome(judged: Sequence[tuple[Candidate, Verdict]], generation: Generation) -> Outcome:
    choices = {
        part: _choice([(row, verdict) for row, verdict in judged if row.is_looked_up(part, generation)])
        for part in Part
    }
    marks, limits = choices[Part.MARK].rows, choices[Part.LIMIT].rows
    pairs = ((mark, limit) for mark in marks for limit in limits if generation is Generation.SPLIT or mark is limit)
    return Outcome(
        mark=choices[Part.MARK],
        limit=choices[Part.LIMIT],
        effects=frozenset(
            Effect(
                dscp=mark.sets_mark if mark else None,
                rate_kbps=limit.rate_kbps if limit else None,
                burst_kbit=limit.burst_kbit if limit and limit.rate_kbps is not None else None,
            )
            for mark, limit in pairs
        ),
    )


def _choice(judged: Sequence[tuple[Candidate, Verdict]]) -> Choice:
    """The row that decides among those looked up, which are given the highest first."""
    possible: list[Candidate | None] = []
    for priority in dict.fromkeys(row.priority for row, _ in judged):
        level = [(row, verdict.truth) for row, verdict in judged if row.priority == priority]
        possible.extend(row for row, truth in level if truth is not Truth.NO)
        taking = [row for row, truth in level if truth is Truth.YES]
        if taking:
            return Choice(rows=tuple(possible), undefined=len(taking) > 1)
    return Choice(rows=(*possible, None))


def _judge(row: Candidate, verdict: Verdict, outcomes: Mapping[Generation, Outcome]) -> JudgedRow:
    if verdict.truth is Truth.NO:
        return JudgedRow(row=row, verdict=verdict, standing=Standing.NO_MATCH, reason=verdict.reason)
    fates = {generation: _fates(row, outcome, generation) for generation, outcome in outcomes.items()}
    told = {generation: _told(one) for generation, one in fates.items()}
    reason = next(iter(told.values()))
    if len(set(told.values())) > 1:
        reason = "; ".join(f"{generation.releases}: {words or Standing.WINS}" for generation, words in told.items())
    standings = {standing for one in fates.values() for standing, _ in one.values()}
    standing = next(one for one in _BY_WEIGHT if one in standings)
    if verdict.truth is Truth.UNKNOWN:
        reason = f"{verdict.reason}; even so, {reason}" if standing is Standing.LOSES else verdict.reason
    return JudgedRow(row=row, verdict=verdict, standing=standing, reason=reason)


def _fates(row: Candidate, outcome: Outcome, generation: Generation) -> _Fates:
    """What became of each part that the row is looked up for, and why; under None, of a row that sets nothing."""
    parts = [part for part in Part if row.is_looked_up(part, generation)]
    if not parts:
        return {None: (Standing.LOSES, "it sets nothing")}
    fates: _Fates = {part: _fate(row, outcome.mark if part is Part.MARK else outcome.limit) for part in parts}
    if generation is Generation.JOINED:
        return {None: fates[Part.MARK]}
    return fates


def _fate(row: Candidate, choice: Choice) -> tuple[Standing, str]:
    if choice.certain and choice.row is row:
        return Standing.WINS, "" if row.sets_anything else "it keeps the rows below from the packet, and sets nothing"
    higher = [one for one in choice.rows if one is not None and one.priority > row.priority]
    equal = [one for one in choice.rows if one is not None and one.priority == row.priority and one is not row]
    if not any(one is row for one in choice.rows):
        others = [one for one in choice.rows if one is not None]
        return Standing.LOSES, f"lower priority than {others[-1].name}"
    if choice.undefined and equal:
        return Standing.UNDEFINED, f"equal priority as {equal[0].name}: which of them OVN applies is undefined"
    rivals = [*higher, *equal]
    return Standing.MAY_WIN, f"unless {rivals[0].name} takes the packet" if rivals else ""


def _told(fates: _Fates) -> str:
    reasons = {reason for _, reason in fates.values()}
    if len(reasons) == 1:
        return reasons.pop()
    return "; ".join(f"{part}: {reason or standing}" for part, (standing, reason) in fates.items())
