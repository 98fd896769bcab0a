"""Sample packets for a row: those that its match takes, and if possible no row above it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from ovnqos.match import NamedSets, Truth, evaluate, references
from ovnqos.match.addresses import WIDTH
from ovnqos.match.packet import MembersByName
from ovnqos.match.terms import find_edges, find_terms
from ovnqos.verify.packets import packets_of_term

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

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
        packets: at most three that no row above takes; if there is none, one that a row above takes.
        reaches: whether they reach the row, past the rows above, as far as is known.
        sure: whether it is certain that the row's match takes them, and no row above does.
        shadowed_by: places of the rows above that take packets of the row.
    """

    packets: tuple[PacketPath, ...] = ()
    reaches: bool = False
    sure: bool = False
    shadowed_by: tuple[int, ...] = ()


def choose_samples(
    row: AnalysedMatch, switch: SwitchPorts, names: NamedSets, above: Sequence[AnalysedMatch], *, leaving: bool
) -> Samples:
    """Build packets that a match takes, if possible none that a row above takes.

    Args:
        row: the row's match.
        switch: the logical switch.
        names: what sets and groups stand for.
        above: the matches of the rows that are looked up before, or at the same priority, in their order.
        leaving: whether the row sees packets as they leave the switch (to-lport).
    """
    near = [(place, other) for place, other in enumerate(above) if row.terms.overlap(other.terms)]
    edges = [edge for _, other in near for edge in other.edges] + list(row.edges)
    # of a group OVN knows on a switch only the ports that are there
    named = frozenset().union(*(references(one.match).port_groups for one in (row, *(other for _, other in near))))
    groups = {name: switch.names.intersection(names.port_groups.get(name, ())) for name in named}
    reaching: dict[PacketPath, bool] = {}
    shadowed: dict[int, PacketPath] = {}
    every = (sample for term in row.terms.items for sample in packets_of_term(term, switch, edges, leaving=leaving))
    enough = _ENOUGH if near else _ENOUGH_ALONE
    for number, sample in enumerate(islice(every, PACKETS_MAXIMUM)):
        seen = NamedSets(address_sets=_members_for(sample.packet, names), port_groups=groups)
        found = _takes(row.match, sample, seen)
        if found is not False:
            first, certain = _first_that_takes(near, sample, seen)
            if first is not None:
                shadowed.setdefault(first, sample)
            else:
                reaching.setdefault(sample, bool(found) and certain)
        if reaching and number >= enough:
            break
    if not reaching:
        return Samples(packets=tuple(islice(shadowed.values(), 1)), shadowed_by=tuple(shadowed))
    sure = any(reaching.values())
    equal = [sample for sample, certain in reaching.items() if certain is sure]
    # the first is the most natural; should OVN drop it, one much like it fares no better
    packets = dict.fromkeys((equal[0], equal[len(equal) // 2], equal[-1]))
    return Samples(packets=tuple(packets), reaches=True, sure=sure, shadowed_by=tuple(shadowed))


def _first_that_takes(
    above: Sequence[tuple[int, AnalysedMatch]], sample: PacketPath, names: NamedSets
) -> tuple[int | None, bool]:
    """The place of the first row above that takes a packet (None for none), and whether that is certain."""
    certain = True
    for place, other in above:
        found = _takes(other.match, sample, names)
        if found:
            return place, certain
        certain = certain and found is False
    return None, certain


def _takes(match: Match, sample: PacketPath, names: NamedSets) -> bool | None:
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
