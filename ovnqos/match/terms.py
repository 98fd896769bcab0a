"""A match as terms: alternatives, each a restriction of some fields of a packet.

They err on the safe side: a packet that the match takes meets one of its terms at least, and what is not understood
(`!`, `!=`, other fields) restricts nothing. So of two matches whose terms exclude each other no packet matches both.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final, NamedTuple

from ovnqos.match.addresses import WIDTH, Ranges
from ovnqos.match.named_sets import NO_NUMBER, read_range
from ovnqos.match.packet import (
    ANY_PROTOCOL,
    FIELDS,
    NO_PORT,
    NO_PORT_NAME,
    PORT_FIELDS,
    PREDICATES,
    SUBFIELD,
    PacketProtocol,
)
from ovnqos.match.syntax import And, Boolean, Comparison, ConstantKind, Match, Not, Or, Relation, Symbol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ovnqos.match.addresses import Range
    from ovnqos.match.named_sets import NamedSets
    from ovnqos.match.packet import Packet
    from ovnqos.match.syntax import Constant

TERMS_MAXIMUM: Final = 64
"""Terms of one match that are looked at."""

_VERSION: Final = "ip"
_PROTOCOL: Final = "protocol"
_VERSIONS: Final[frozenset[object]] = frozenset(WIDTH)
_PROTOCOLS: Final[frozenset[object]] = frozenset(PacketProtocol)


class Numbers:
    """Values of a numeric field, read when they are needed: other fields often decide."""

    __slots__ = ("_ranges", "_read")

    def __init__(self, read: Callable[[], Ranges | None]) -> None:
        """Take what reads the values; None stands for any."""
        self._read: Callable[[], Ranges | None] | None = read
        self._ranges: Ranges | None = None

    @property
    def ranges(self) -> Ranges | None:
        """The values; None for any."""
        if self._read is not None:
            self._ranges = self._read()
            self._read = None
        return self._ranges

    def isdisjoint(self, other: Numbers) -> bool:
        """Whether no value is in both."""
        one, two = self.ranges, other.ranges
        return one is not None and two is not None and one.isdisjoint(two)

    def __and__(self, other: Numbers) -> Numbers:
        one, two = self.ranges, other.ranges
        if one is None or two is None:
            return other if one is None else self
        return Numbers(lambda: one & two)


class Term(NamedTuple):
    """What fields of a packet may be; a field that is not here may be anything.

    Attributes:
        nominal: values of `inport`, `outport`, `ip` (the version) and `protocol`.
        ordinal: values of numeric fields, by OVN's names.
    """

    nominal: Mapping[str, frozenset[object]]
    ordinal: Mapping[str, Numbers]

    @property
    def versions(self) -> tuple[int, ...]:
        """IP versions of its packets."""
        allowed = self.nominal.get(_VERSION, _VERSIONS)
        return tuple(version for version in WIDTH if version in allowed)

    @property
    def protocols(self) -> tuple[PacketProtocol, ...]:
        """Protocols of its packets."""
        allowed = self.nominal.get(_PROTOCOL, _PROTOCOLS)
        return tuple(protocol for protocol in PacketProtocol if protocol in allowed)

    def ports(self, field: str) -> frozenset[str] | None:
        """The ports that `inport` or `outport` may be; None for any."""
        ports = self.nominal.get(field)
        return None if ports is None else frozenset(map(str, ports))

    def ranges(self, field: str) -> Ranges | None:
        """The values that a numeric field may have; None for any."""
        numbers = self.ordinal.get(field)
        return None if numbers is None else numbers.ranges

    def may_take(self, packet: Packet) -> bool:
        """Whether a packet may fit. False is certain, True is not."""
        known = {
            "inport": packet.inport,
            "outport": packet.outport,
            _VERSION: packet.version,
            _PROTOCOL: packet.protocol,
        }
        for field, values in self.nominal.items():
            if known[field] is not None and known[field] not in values:
                return False
        for field, numbers in self.ordinal.items():
            value, allowed = FIELDS[field].value(packet), numbers.ranges
            if value is not None and allowed is not None and value not in allowed:
                return False
        return True

    def overlaps(self, other: Term) -> bool:
        """Whether a packet may fit both."""
        others: Mapping[str, frozenset[object]] = other.nominal
        for field, values in self.nominal.items():
            if field in others and values.isdisjoint(others[field]):
                return False
        return not any(
            field in other.ordinal and numbers.isdisjoint(other.ordinal[field])
            for field, numbers in self.ordinal.items()
        )

    def join(self, other: Term) -> Term | None:
        """The packets that fit both; None if there are none."""
        nominal, ordinal = dict(self.nominal), dict(self.ordinal)
        for field, values in other.nominal.items():
            nominal[field] = both = values & nominal[field] if field in nominal else values
            if not both:
                return None
        for field, numbers in other.ordinal.items():
            if field not in ordinal:
                ordinal[field] = numbers
            elif numbers.isdisjoint(ordinal[field]):
                return None
            else:
                ordinal[field] = numbers & ordinal[field]
        return Term(nominal, ordinal)


ANY_PACKET: Final = Term({}, {})


class Terms(NamedTuple):
    """The terms of a match; no packet matches where there are none.

    Attributes:
        items: `TERMS_MAXIMUM` at most.
        complete: whether there are no more.
    """

    items: tuple[Term, ...]
    complete: bool = True

    def __bool__(self) -> bool:
        """Whether some packet may match."""
        return bool(self.items)

    def may_take(self, packet: Packet) -> bool:
        """Whether the match may take a packet. False is certain, True is not."""
        return not self.complete or any(one.may_take(packet) for one in self.items)

    def overlap(self, other: Terms) -> bool:
        """Whether some packet may match both expressions."""
        if not (self.complete and other.complete):
            return bool(self) and bool(other)
        return any(one.overlaps(two) for one in self.items for two in other.items)


_ANY: Final = Terms((ANY_PACKET,))
_NONE: Final = Terms(())


def can_overlap(first: Match, second: Match, names: NamedSets) -> bool:
    """Whether some packet may match both expressions. False is certain, True is not."""
    return find_terms(first, names).overlap(find_terms(second, names))


def find_terms(match: Match, names: NamedSets) -> Terms:
    """The terms of a match, for holding it against many others."""
    tree = match.tree
    match tree:
        case Comparison():
            return _comparison(tree, names)
        case And():
            joined = _ANY
            for operand in tree.operands:
                joined = _joined(joined, find_terms(operand, names))
            return joined
        case Or():
            parts = [find_terms(operand, names) for operand in tree.operands]
            return _cut([term for part in parts for term in part.items], complete=all(part.complete for part in parts))
        case Symbol():
            return Terms((_bit(tree.name, 1) or _field(tree.name)[2],))
        case Not(operand=Symbol(name=name)):
            return Terms((_bit(name, 0) or ANY_PACKET,))
        case Boolean():
            return _ANY if tree.value else _NONE
    return _ANY


def find_edges(match: Match, names: NamedSets) -> Iterator[Term]:
    """Each comparison by itself, as if it were an equality: where its values begin and end, the match changes."""
    tree = match.tree
    if isinstance(tree, Comparison):
        yield from _comparison(Comparison(tree.field, Relation.EQUAL, tree.constants), names).items
    elif isinstance(tree, Not):
        yield from find_edges(tree.operand, names)
    elif isinstance(tree, And | Or):
        for operand in tree.operands:
            yield from find_edges(operand, names)


def _joined(one: Terms, other: Terms) -> Terms:
    if one is _ANY:
        return other
    if len(one.items) == len(other.items) == 1:
        term = one.items[0].join(other.items[0])
        return _NONE if term is None else Terms((term,), one.complete and other.complete)
    both = [joined for left in one.items for right in other.items if (joined := left.join(right)) is not None]
    return _cut(both, complete=one.complete and other.complete)


def _cut(terms: list[Term], *, complete: bool) -> Terms:
    return Terms(tuple(terms[:TERMS_MAXIMUM]), complete and len(terms) <= TERMS_MAXIMUM)


def _comparison(comparison: Comparison, names: NamedSets) -> Terms:
    name, constants = comparison.field, comparison.constants
    if name in PORT_FIELDS:
        if comparison.relation is not Relation.EQUAL:
            return _ANY  # which OVN refuses
        ports = _ports(constants, names)
        return Terms((Term({name: ports}, {}),)) if ports else _NONE
    base, bits, required = _field(name)
    if not bits:
        return Terms((required,)) if any(one.kind is ConstantKind.NUMBER for one in constants) else _ANY
    if not _have_numbers(constants, bits, names):
        # nothing to compare with: `!=` takes every packet, of other protocols too; everything else takes none
        return _ANY if comparison.relation is Relation.NOT_EQUAL else _NONE
    if not base or comparison.relation is Relation.NOT_EQUAL:
        return Terms((required,))
    if comparison.relation is Relation.EQUAL:
        numbers = Numbers(partial(_read_ranges, constants, bits, names))
    elif constants[0].kind is ConstantKind.NUMBER:
        limits = _limits(comparison.relation, constants[0].text, bits)
        if not limits:
            return _NONE
        numbers = Numbers(lambda: limits)
    else:
        return Terms((required,))
    return Terms((Term(required.nominal, {base: numbers}),))


def _bit(name: str, value: int) -> Term | None:
    """The packets with this value of a field of one bit; None for another field."""
    known = FIELDS.get(name)
    if known is None or known.width != 1:
        return None
    return Term(_required(known.requires).nominal, {name: Numbers(lambda: Ranges(((value, value),)))})


@lru_cache(maxsize=1_000)
def _field(name: str) -> tuple[str, int, Term]:
    """What is known of a field or predicate.

    Returns:
        Its name without a selection of all its bits, or empty where its values are not looked at: a predicate, a
        selection of some bits. The width of its constants in bits; 0 where it is not known. What it demands of a
        packet by itself: `ip4.src` demands `ip4` (ovn-sb(5)).
    """
    part = SUBFIELD.fullmatch(name)
    base = name if part is None else part["name"]
    known = FIELDS.get(base)
    if known is None:
        bits = 1 if base in PREDICATES else 0
        return "", bits, _required(base if bits else base.partition(".")[0])
    is_whole = part is None or (int(part["low"]), int(part["high"] or part["low"])) == (0, known.width - 1)
    return base if is_whole else "", known.width, _required(known.requires)


def _required(name: str) -> Term:
    """What a predicate demands of a packet; nothing where it is not understood."""
    if name not in PREDICATES:
        return ANY_PACKET
    version, protocol = PREDICATES[name]
    if protocol is None:  # no IP
        return Term({_VERSION: frozenset({name})}, {})
    versions: Mapping[str, frozenset[object]] = {_VERSION: _VERSIONS if version is None else frozenset({version})}
    return Term(versions if protocol == ANY_PROTOCOL else {**versions, _PROTOCOL: frozenset({protocol})}, {})


def _ports(constants: Iterable[Constant], names: NamedSets) -> frozenset[str]:
    ports: set[str] = set()
    for one in constants:
        if one.kind is ConstantKind.PORT_GROUP:
            ports.update(names.port_groups.get(one.text, ()))
        elif one.kind is ConstantKind.STRING:
            ports.add(NO_PORT if one.text == NO_PORT_NAME else one.text)
    return frozenset(ports)


def _have_numbers(constants: Iterable[Constant], bits: int, names: NamedSets) -> bool:
    """Whether some constant stands for a number that a field of so many bits can be."""
    for one in constants:
        if one.kind is ConstantKind.ADDRESS_SET:
            if names.has_numbers(one.text, bits):
                return True
        elif one.kind is ConstantKind.NUMBER and read_range(one.text, bits) != NO_NUMBER:
            return True
    return False


def _limits(relation: Relation, constant: str, bits: int) -> Ranges:
    """The values of a field of so many bits that are less or greater than a constant; OVN refuses one with a mask."""
    value, last = read_range(constant, bits) or (0, (1 << bits) - 1)
    maximum = (1 << bits) - 1
    limits = {
        Relation.LESS: (0, last - 1),
        Relation.LESS_OR_EQUAL: (0, last),
        Relation.GREATER: (value + 1, maximum),
        Relation.GREATER_OR_EQUAL: (value, maximum),
    }
    first, last = limits[relation]
    return Ranges(((first, last),) if first <= last else ())


def _read_ranges(constants: Iterable[Constant], bits: int, names: NamedSets) -> Ranges | None:
    found: list[Range] = []
    for one in constants:
        if one.kind is ConstantKind.ADDRESS_SET:
            members = names.ranges(one.text, bits)
            if members is None:
                return None
            found += members.bounds
        elif one.kind is ConstantKind.NUMBER:
            literal = read_range(one.text, bits)
            if literal is None:
                return None
            if literal != NO_NUMBER:
                found.append(literal)
    return Ranges.of(found)
