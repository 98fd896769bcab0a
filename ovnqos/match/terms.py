"""A match expression as alternatives of what the fields of a sample packet may be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice, product
from typing import TYPE_CHECKING, Final

from ovnqos.errors import InvalidRow
from ovnqos.match import And, Boolean, Comparison, Match, Not, Or, Relation, Symbol, Verbatim, parse
from ovnqos.match.packet import TRANSPORTS, Protocol
from ovnqos.match.ranges import Ranges, SetValues, numbers

if TYPE_CHECKING:
    from collections.abc import Iterator

TERMS_MAXIMUM: Final = 64
"""Alternatives looked at; what lies beyond them gets no sample of its own."""

_PROTOCOLS: Final = frozenset(map(str, Protocol))


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """What one alternative demands; None stands for no demand. Demands of other kinds are left to `evaluate`.

    Attributes:
        inports: names of ports.
        outports: names of ports.
        versions: of IP.
        protocols: of `Protocol`.
        source: IP addresses, of the one version that is left.
        destination: likewise.
        source_ports: numbers.
        destination_ports: numbers.
    """

    inports: frozenset[str] | None = None
    outports: frozenset[str] | None = None
    versions: frozenset[int] = frozenset({4, 6})
    protocols: frozenset[str] = _PROTOCOLS
    source: Ranges | None = None
    destination: Ranges | None = None
    source_ports: Ranges | None = None
    destination_ports: Ranges | None = None

    @property
    def possible(self) -> bool:
        """Whether some packet may fulfil it."""
        demands = (self.inports, self.outports, self.source, self.destination, self.source_ports)
        given = (one for one in (*demands, self.destination_ports) if one is not None)
        return bool(self.versions and self.protocols) and all(given)

    def meets(self, other: Term) -> bool:
        """Whether some packet may fulfil both."""
        pairs = (
            (self.inports, other.inports),
            (self.outports, other.outports),
            (self.source, other.source),
            (self.destination, other.destination),
            (self.source_ports, other.source_ports),
            (self.destination_ports, other.destination_ports),
        )
        return bool(self.versions & other.versions and self.protocols & other.protocols) and all(
            one & two  # type: ignore[operator]  # a demand is of one kind on both sides
            for one, two in pairs
            if one is not None and two is not None
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A match and what can be told from it.

    Attributes:
        match: the expression.
        terms: the alternatives that a packet can fulfil, at most `TERMS_MAXIMUM`; none when nothing can match.
        edges: each comparison by itself as if it were an equality: where its numbers begin and end, the match changes.
    """

    match: Match
    terms: tuple[Term, ...]
    edges: tuple[Term, ...]

    @classmethod
    def of(cls, match: Match, names: SetValues) -> Reading:
        """Read a match with these sets and groups."""
        edges = (_with_comparison(_with_prerequisite(Term(), one.field), one, names) for one in _comparisons(match))
        return cls(match=match, terms=tuple(terms_of(match, names)), edges=tuple(edges))


class Readings:
    """Matches, each read once.

    Attributes:
        values: what sets and groups stand for.
    """

    def __init__(self, values: SetValues) -> None:
        """Nothing is read yet."""
        self.values = values
        self._read: dict[str, Reading] = {}

    def of(self, text: str) -> Reading:
        """What can be told from a match."""
        if text not in self._read:
            self._read[text] = Reading.of(read_match(text), self.values)
        return self._read[text]


@lru_cache(maxsize=10_000)
def read_match(text: str) -> Match:
    """The tree of a match; what cannot be read stays as it is."""
    try:
        return parse(text)
    except InvalidRow:
        return Verbatim(text)


def terms_of(match: Match, names: SetValues) -> list[Term]:
    """The alternatives that a packet can fulfil, at most `TERMS_MAXIMUM`; none when nothing can match."""
    found = (_term(literals, names) for literals in islice(_alternatives(match), TERMS_MAXIMUM))
    return [term for term in found if term.possible]


def _alternatives(match: Match) -> Iterator[tuple[Match, ...]]:
    """The expression's disjunctive form, one conjunction of literals after another."""
    if isinstance(match, Or):
        for operand in match.operands:
            yield from _alternatives(operand)
    elif isinstance(match, And):
        for parts in product(*(tuple(islice(_alternatives(operand), TERMS_MAXIMUM)) for operand in match.operands)):
            yield tuple(literal for part in parts for literal in part)
    elif not (isinstance(match, Boolean) and not match.value):
        yield (match,)


def _comparisons(match: Match) -> Iterator[Comparison]:
    if isinstance(match, Comparison):
        yield Comparison(match.field, Relation.EQUAL, match.constants)
    elif isinstance(match, Not):
        yield from _comparisons(match.operand)
    elif isinstance(match, And | Or):
        for operand in match.operands:
            yield from _comparisons(operand)


def _term(literals: tuple[Match, ...], names: SetValues) -> Term:
    term = Term()
    for literal in literals:
        if isinstance(literal, Symbol):
            term = _with_symbol(term, literal.name)
        elif isinstance(literal, Comparison):
            term = _with_comparison(_with_prerequisite(term, literal.field), literal, names)
    return term


def _with_symbol(term: Term, name: str) -> Term:
    if name in {"ip4", "ip6", "icmp4", "icmp6"}:
        term = replace(term, versions=term.versions & {int(name[-1])})
    if name in _PROTOCOLS or name in {"icmp4", "icmp6"}:
        term = replace(term, protocols=term.protocols & {name.rstrip("46")})
    return term


def _with_prerequisite(term: Term, field: str) -> Term:
    """What a field presupposes by itself: `ip4` for `ip4.src` (ovn-sb(5))."""
    scope, dot, _ = field.partition(".")
    return _with_symbol(term, scope) if dot else term


def _with_comparison(term: Term, literal: Comparison, names: SetValues) -> Term:
    if literal.relation is not Relation.EQUAL:
        return term
    scope, _, end = literal.field.partition(".")
    if scope == "inport":
        ports = names.ports(literal)
        return replace(term, inports=ports if term.inports is None else term.inports & ports)
    if scope == "outport":
        ports = names.ports(literal)
        return replace(term, outports=ports if term.outports is None else term.outports & ports)
    if scope in {"ip4", "ip6"} and end in {"src", "dst"}:
        addresses = names.addresses(literal, int(scope[-1]))
        if end == "src":
            return replace(term, source=_both(term.source, addresses))
        return replace(term, destination=_both(term.destination, addresses))
    if scope in TRANSPORTS and end == "src":
        return replace(term, source_ports=_both(term.source_ports, numbers(literal)))
    if scope in TRANSPORTS and end == "dst":
        return replace(term, destination_ports=_both(term.destination_ports, numbers(literal)))
    return term


def _both(one: Ranges | None, other: Ranges | None) -> Ranges | None:
    if one is None or other is None:
        return other if one is None else one
    return one & other
