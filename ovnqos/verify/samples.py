"""Sample packets for a row: those that its match takes, and if possible no row above it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from ovnqos.match import NamedSets, Truth, evaluate, references
from ovnqos.match.addresses import WIDTH
from ovnqos.match.packet import NO_PORT, MembersByName
from ovnqos.match.terms import find_edges, find_terms
from ovnqos.verify.packets import packets_of_term

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from ovnqos.match import Match, Packet
    from ovnqos.match.terms import Term, Terms
    from ovnqos.southbound.packet_path import PacketPath
    from ovnqos.verify.packets import SwitchPorts

PACKETS_MAXIMUM: Final = 10_000
"""Packets that are held against a row and the rows above it."""
_ENOUGH: Final = 32
"""Packets that are held against the rows above even if one is found early, to see which rows shadow it in part."""

_ENOUGH_ALONE: Final = 8
"""The same where no row above overlaps: enough for samples that differ."""


class AnalysedMatch(NamedTuple):
    """A match with its terms, and each comparison by itself: where its values begin and end, the match changes."""

    match: Match
    terms: Terms
    edges: tuple[Term, ...]

    @classmethod
    def of(cls, match: Match, names: NamedSets) -> AnalysedMatch:
        """Analyse a match with these sets and groups."""
        return cls(match, find_terms(match, names), tuple(find_edges(match, names)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """The packets to trace for a row.

    Attributes:
        packets: at most three that no row above takes, and if possible no later one; if there is none, one that a row
            above takes.
        reaches: whether they reach the row, past the rows above, as far as is known.
        sure: whether it is certain that the row's match takes them, and no row above does.
        shadowed_by: places of the rows above that take packets of the row.
        re_marked_by: places of the later rows that take packets that reach the row.
    """

    packets: tuple[PacketPath, ...] = ()
    reaches: bool = False
    sure: bool = False
    shadowed_by: tuple[int, ...] = ()
    re_marked_by: tuple[int, ...] = ()


class Sampler:
    """Chooses packets of one switch for rows of one direction."""

    def __init__(self, switch: SwitchPorts, names: NamedSets, versions: Collection[int], *, leaving: bool) -> None:
        """Prepare for a switch.

        Args:
            switch: the logical switch.
            names: what sets and groups stand for.
            versions: the IP versions of the packets.
            leaving: whether rows see packets as they leave the switch (to-lport).
        """
        self._switch = switch
        self._names = names
        self._versions = versions
        self._leaving = leaving

    def choose(
        self, row: AnalysedMatch, above: Sequence[AnalysedMatch] = (), later: Sequence[AnalysedMatch] = ()
    ) -> Samples:
        """Build packets that a match takes, if possible none that a row above takes.

        Args:
            row: the row's match.
            above: the matches of the rows that are looked up before, in their order.
            later: the matches of rows that see the packets afterwards, as they leave the switch.
        """
        near, behind = _overlapping(row, above), _overlapping(row, later)
        seen = self._names_for(row, *(other for _, other in (*near, *behind)))
        edges = [edge for _, other in (*near, *behind) for edge in other.edges] + list(row.edges)
        reaching: dict[PacketPath, bool] = {}
        shadowed: dict[int, PacketPath] = {}
        re_marked: dict[PacketPath, int] = {}
        every = (sample for term in row.terms.items for sample in self._packets(term, edges))
        enough = _ENOUGH if near or behind else _ENOUGH_ALONE
        for number, sample in enumerate(islice(every, PACKETS_MAXIMUM)):
            names, packet = seen(sample.packet), self._seen(sample)
            found = _takes(row.match, packet, names)
            if found is not False:
                first, certain = _first_that_takes(near, packet, names)
                place, _ = _first_that_takes(behind, sample.packet, names)
                if first is not None:
                    shadowed.setdefault(first, sample)
                else:
                    reaching.setdefault(sample, bool(found) and certain)
                    if place is not None:
                        re_marked.setdefault(sample, place)
            if len(reaching) > len(re_marked) and number >= enough:
                break
        if not reaching:
            return Samples(packets=tuple(islice(shadowed.values(), 1)), shadowed_by=tuple(shadowed))
        usable = {sample: sure for sample, sure in reaching.items() if sample not in re_marked} or reaching
        sure = any(usable.values())
        equal = [sample for sample, certain in usable.items() if certain is sure]
        # the first is the most natural; should OVN drop it, one much like it fares no better
        return Samples(
            packets=tuple(dict.fromkeys((equal[0], equal[len(equal) // 2], equal[-1]))),
            reaches=True,
            sure=sure,
            shadowed_by=tuple(shadowed),
            re_marked_by=tuple(dict.fromkeys(re_marked.values())),
        )

    def find_tie(
        self, row: AnalysedMatch, other: AnalysedMatch, above: Sequence[AnalysedMatch] = ()
    ) -> PacketPath | None:
        """Find a packet that two matches certainly take, and no row above; None where none is found."""
        near = _overlapping(row, above)
        seen = self._names_for(row, other, *(one for _, one in near))
        edges = [*row.edges, *other.edges, *(edge for _, one in near for edge in one.edges)]
        both = (one.join(two) for one in row.terms.items for two in other.terms.items)
        every = (sample for term in both if term is not None for sample in self._packets(term, edges))
        for sample in islice(every, PACKETS_MAXIMUM):
            names, packet = seen(sample.packet), self._seen(sample)
            if _takes(row.match, packet, names) and _takes(other.match, packet, names):
                first, certain = _first_that_takes(near, packet, names)
                if first is None and certain:
                    return sample
        return None

    def _packets(self, term: Term, edges: Sequence[Term]) -> Iterator[PacketPath]:
        return packets_of_term(term, self._switch, edges, self._versions, leaving=self._leaving)

    def _seen(self, sample: PacketPath) -> Packet:
        """A packet as rows of this direction see it."""
        return sample.packet if self._leaving else replace(sample.packet, outport=NO_PORT)

    def _names_for(self, *matches: AnalysedMatch) -> Callable[[Packet], NamedSets]:
        """What sets and groups stand for where a packet is held against these matches."""
        # of a group OVN knows on a switch only the ports that are there
        named = frozenset[str]().union(*(references(one.match).port_groups for one in matches))
        groups = {name: self._switch.names.intersection(self._names.port_groups.get(name, ())) for name in named}
        return lambda packet: replace(names_for(packet, self._names), port_groups=groups)


def _overlapping(row: AnalysedMatch, others: Sequence[AnalysedMatch]) -> list[tuple[int, AnalysedMatch]]:
    """Of other matches, each with its place, those that may take a packet of the row."""
    return [(place, other) for place, other in enumerate(others) if row.terms.overlap(other.terms)]


def _first_that_takes(
    others: Sequence[tuple[int, AnalysedMatch]], packet: Packet, names: NamedSets
) -> tuple[int | None, bool]:
    """The place of the first match that takes a packet (None for none), and whether that is certain."""
    certain = True
    for place, other in others:
        found = _takes(other.match, packet, names)
        if found:
            return place, certain
        certain = certain and found is False
    return None, certain


def _takes(match: Match, packet: Packet, names: NamedSets) -> bool | None:
    truth = evaluate(match, packet, names).truth
    return None if truth is Truth.UNKNOWN else truth is Truth.YES


def names_for(packet: Packet, names: NamedSets) -> NamedSets:
    """Sets and groups as one packet sees them: of an address set, what decides whether its addresses are members.

    Holding a packet against all members of a set of 5,000 takes milliseconds, and there are many packets.
    """

    def find(name: str) -> Collection[str]:
        members = names.address_sets[name]
        ranges = names.ranges(name, WIDTH[packet.version])
        if ranges is None:
            return members
        ends = (packet.source, packet.destination)
        return {str(one) for one in ends if int(one) in ranges} or tuple(islice(members, 1))

    return replace(names, address_sets=MembersByName(find))
