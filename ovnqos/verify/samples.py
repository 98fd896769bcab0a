"""Sample packets for a row: those that its match takes, and if possible no row above it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final

from ovnqos.match import NamedSets, Truth, evaluate, read_match, references
from ovnqos.match.addresses import WIDTH
from ovnqos.match.packet import MembersByName
from ovnqos.match.terms import find_edges, find_terms
from ovnqos.verify.candidates import Sample, candidates

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ovnqos.match import Match, Packet
    from ovnqos.match.terms import Term, Terms
    from ovnqos.verify.candidates import SwitchView

CANDIDATES_MAXIMUM: Final = 10_000
"""Packets held against a row and the rows above it."""
_ENOUGH: Final = 32
"""Where the row is reached soon, so many are held against the rows above all the same, to see which take a part."""

_ENOUGH_ALONE: Final = 8
"""The same where no row above meets it: enough for samples that differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysedMatch:
    """A match and what can be told from it.

    Attributes:
        match: the expression.
        terms: its terms.
        edges: each comparison by itself: where its values begin and end, the match changes.
    """

    match: Match
    terms: Terms
    edges: tuple[Term, ...]

    @classmethod
    def of(cls, match: Match, names: NamedSets) -> AnalysedMatch:
        """Analyse a match with these sets and groups."""
        return cls(match=match, terms=find_terms(match, names), edges=tuple(find_edges(match, names)))


class MatchAnalyser:
    """Analyses each match once.

    Attributes:
        names: what sets and groups stand for.
    """

    def __init__(self, names: NamedSets) -> None:
        self.names = names
        self._analysed: dict[str, AnalysedMatch] = {}

    def analyse(self, text: str) -> AnalysedMatch:
        """What can be told from a match."""
        if text not in self._analysed:
            self._analysed[text] = AnalysedMatch.of(read_match(text), self.names)
        return self._analysed[text]


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """The packets to trace for a row.

    Attributes:
        packets: at most three that no rival takes; if there is none, one that a rival takes.
        free: whether no rival takes them, as far as can be told.
        sure: whether it is certain that the row's match takes them, and no rival does.
        rivals: places of the rivals that take packets of the row's.
    """

    packets: tuple[Sample, ...] = ()
    free: bool = False
    sure: bool = False
    rivals: tuple[int, ...] = ()


def choose_samples(
    row: AnalysedMatch, switch: SwitchView, names: NamedSets, rivals: Sequence[AnalysedMatch], *, leaving: bool
) -> Samples:
    """Build packets that a match takes, if possible past its rivals.

    Args:
        row: the row's match.
        switch: the logical switch.
        names: what sets and groups stand for.
        rivals: the matches that are looked up before, or at the same priority, in their order.
        leaving: whether the row sees packets as they leave the switch (to-lport).
    """
    near = [(place, rival) for place, rival in enumerate(rivals) if row.terms.overlap(rival.terms)]
    edges = [edge for _, rival in near for edge in rival.edges] + list(row.edges)
    # of a group OVN knows on a switch only the ports that are there
    named = frozenset().union(*(references(one.match).port_groups for one in (row, *(rival for _, rival in near))))
    groups = {name: switch.names.intersection(names.port_groups.get(name, ())) for name in named}
    free: dict[Sample, bool] = {}
    taken: dict[int, Sample] = {}
    every = (sample for term in row.terms.items for sample in candidates(term, switch, edges, leaving=leaving))
    enough = _ENOUGH if near else _ENOUGH_ALONE
    for number, sample in enumerate(islice(every, CANDIDATES_MAXIMUM)):
        seen = NamedSets(address_sets=_members_for(sample.packet, names), port_groups=groups)
        found = _takes(row.match, sample, seen)
        if found is not False:
            winner, certain = _winner(near, sample, seen)
            if winner is not None:
                taken.setdefault(winner, sample)
            else:
                free.setdefault(sample, bool(found) and certain)
        if free and number >= enough:
            break
    if not free:
        return Samples(packets=tuple(islice(taken.values(), 1)), rivals=tuple(taken))
    sure = any(free.values())
    equal = [sample for sample, certain in free.items() if certain is sure]
    # the first is the most natural; should OVN drop it on its way, one much like it fares no better
    packets = dict.fromkeys((equal[0], equal[len(equal) // 2], equal[-1]))
    return Samples(packets=tuple(packets), free=True, sure=sure, rivals=tuple(taken))


def _winner(rivals: Sequence[tuple[int, AnalysedMatch]], sample: Sample, names: NamedSets) -> tuple[int | None, bool]:
    """The place of the first rival that takes a packet; and whether that, or that there is none, is certain."""
    certain = True
    for place, rival in rivals:
        found = _takes(rival.match, sample, names)
        if found:
            return place, certain
        certain = certain and found is False
    return None, certain


def _takes(match: Match, sample: Sample, names: NamedSets) -> bool | None:
    truth = evaluate(match, sample.packet, names).truth
    return None if truth is Truth.UNKNOWN else truth is Truth.YES


def _members_for(packet: Packet, names: NamedSets) -> MembersByName:
    """Address sets as one packet sees them: of each, what decides whether its addresses are members.

    Holding a packet against all members of a set of 5,000 takes milliseconds, and there are many packets.
    """

    def find(name: str) -> Collection[str]:
        members = names.address_sets[name]
        ranges = names.ranges(name, WIDTH[packet.version])
        if ranges is None:
            return members
        ends = (packet.source, packet.destination)
        return {str(one) for one in ends if int(one) in ranges} or tuple(islice(members, 1))

    return MembersByName(find)
