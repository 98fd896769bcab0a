"""Whether one packet can match two expressions.

Errs on the safe side: what is not understood (`!=`, `<`, `!`, other fields) is taken to match. So False is certain, and
True says "can, as far as we see".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING

from ovnqos.match.address_blocks import AddressBlock
from ovnqos.match.syntax import (
    And,
    Boolean,
    Comparison,
    Constant,
    ConstantKind,
    Match,
    Or,
    Relation,
    Symbol,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_TERMS_MAXIMUM = 64
_FAMILIES = {"ip4": frozenset({4}), "ip6": frozenset({6}), "ip": frozenset({4, 6})}
_PROTOCOLS = frozenset({"tcp", "udp", "sctp", "icmp", "icmp4", "icmp6"})
_PORTS = frozenset({"inport", "outport"})
_ADDRESSES = frozenset({"ip4.src", "ip4.dst", "ip6.src", "ip6.dst"})

Members = Callable[[str], Iterable[str]]
"""The members of an address set or port group, by name; none for an unknown one."""

_Range = tuple[int, int]  # first and last address
_EVERY_ADDRESS: tuple[_Range, ...] = ((0, (1 << 128) - 1),)


class _Addresses:
    """Constants of an address field, not read before somebody must know: other fields often tell two rows apart."""

    __slots__ = ("_constants", "_members", "_ranges")

    def __init__(self, constants: Sequence[Constant], members: Members) -> None:
        self._constants = constants
        self._members = members
        self._ranges: tuple[_Range, ...] | None = None

    def __bool__(self) -> bool:
        """Whether there are any."""
        return any(True for _text in _texts(self._constants, self._members))

    @property
    def ranges(self) -> tuple[_Range, ...]:
        """Sorted ranges; every address when one of the constants cannot be read."""
        if self._ranges is None:
            found = [_range(str(text)) for text in _texts(self._constants, self._members)]
            read = [one for one in found if one is not None]
            self._ranges = tuple(sorted(read)) if len(read) == len(found) else _EVERY_ADDRESS
        return self._ranges

    def meets(self, other: _Addresses) -> bool:
        """Whether one address may be among both."""
        one, two = self.ranges, other.ranges
        first, second = 0, 0
        while first < len(one) and second < len(two):
            if one[first][1] < two[second][0]:
                first += 1
            elif two[second][1] < one[first][0]:
                second += 1
            else:
                return True
        return False


_Values = frozenset[object] | _Addresses
_Term = dict[str, _Values]

Alternatives = list[_Term] | None
"""What a packet that an expression matches may be, field by field; None: anything."""


def can_overlap(first: Match, second: Match, members: Members) -> bool:
    """Whether some packet may match both expressions, given the sets' members as they are now."""
    return may_meet(alternatives(first, members), alternatives(second, members))


def may_meet(left: Alternatives, right: Alternatives) -> bool:
    """Whether some packet may match two expressions of which these are the `alternatives`."""
    if left is None or right is None:
        return True
    return any(_compatible(one, other) for one in left for other in right)


def _compatible(one: _Term, other: _Term) -> bool:
    shared = one.keys() & other.keys()
    return all(_intersect(one[field], other[field]) for field in (*(shared - _ADDRESSES), *(shared & _ADDRESSES)))


def _intersect(one: _Values, other: _Values) -> bool:
    if isinstance(one, _Addresses) and isinstance(other, _Addresses):
        return one.meets(other)
    return not one.isdisjoint(other)  # type: ignore[union-attr,arg-type] # a field has one kind of values


def alternatives(match: Match, members: Members) -> Alternatives:
    """The expression as alternatives of what each field may be; None when there are too many.

    For who holds one expression against many: `can_overlap` makes them of both each time.
    """
    if isinstance(match, And):
        parts = [alternatives(operand, members) for operand in match.operands]
        if any(part is None for part in parts):
            return None
        found = [part for part in parts if part is not None]
        count = 1
        for part in found:
            count *= len(part)
        if count > _TERMS_MAXIMUM:
            return None
        joined = (_join(terms) for terms in product(*found))
        return [term for term in joined if term is not None]
    if isinstance(match, Or):
        choices = [alternatives(operand, members) for operand in match.operands]
        flat = [term for choice in choices if choice is not None for term in choice]
        return None if None in choices or len(flat) > _TERMS_MAXIMUM else flat
    if isinstance(match, Boolean):
        return [{}] if match.value else []
    if isinstance(match, Comparison):
        term = _comparison(match, members)
        return [term] if all(term.values()) else []  # an empty set matches nothing
    return [_symbol(match.name)] if isinstance(match, Symbol) else [{}]


def needed_ports(match: Match, members: Members) -> dict[str, frozenset[object]]:
    """The ports that a packet must enter (`inport`) or leave by (`outport`), where the expression asks for some.

    Of two expressions that ask for different ones nothing else need be looked at.
    """
    return {
        operand.field: frozenset(_texts(operand.constants, members))
        for operand in (match.operands if isinstance(match, And) else (match,))
        if isinstance(operand, Comparison) and operand.field in _PORTS and operand.relation is Relation.EQUAL
    }


def _join(terms: Iterable[_Term]) -> _Term | None:
    """All of the terms at once; None when a field cannot be two things."""
    joined: _Term = {}
    for term in terms:
        for field, values in term.items():
            known = joined.get(field)
            if known is None:
                joined[field] = values
            elif not _intersect(known, values):
                return None
            elif isinstance(known, frozenset) and isinstance(values, frozenset):
                joined[field] = known & values
    return joined


def _symbol(name: str) -> _Term:
    if name in _FAMILIES:
        return {"family": frozenset(_FAMILIES[name])}
    if name == "icmp4":
        return {"protocol": frozenset({"icmp"}), "family": frozenset({4})}
    if name == "icmp6":
        return {"protocol": frozenset({"icmp"}), "family": frozenset({6})}
    return {"protocol": frozenset({name})} if name in _PROTOCOLS else {}


def _comparison(match: Comparison, members: Members) -> _Term:
    field, _, _part = match.field.partition(".")
    term: _Term = dict(_symbol(field)) if field in _FAMILIES or field in _PROTOCOLS else {}
    if match.relation is not Relation.EQUAL:
        return term
    if match.field in _ADDRESSES:
        return {**term, match.field: _Addresses(match.constants, members)}
    if match.field in _PORTS or field in _PROTOCOLS:
        return {**term, match.field: frozenset(_texts(match.constants, members))}
    return term


def _texts(constants: Iterable[Constant], members: Members) -> Iterator[object]:
    for constant in constants:
        if constant.kind in {ConstantKind.ADDRESS_SET, ConstantKind.PORT_GROUP}:
            yield from members(constant.text)
        else:
            yield constant.text


@lru_cache(maxsize=1 << 14)  # a pod's address is in many sets
def _range(text: str) -> _Range | None:
    try:
        block = AddressBlock.parse(text)
    except ValueError:
        return None
    return block.first, block.last
