"""The syntax tree of a match expression, its constants, and its text.

Source: ovn-sb(5), Logical_Flow, match. OVN forbids `a && b || c` without parentheses; the text printed here always has
them where they are needed, and only there.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

from ovnqos.errors import InvalidRow
from ovnqos.match.addresses import check_number

if TYPE_CHECKING:
    from collections.abc import Iterator


_NAME: Final = re.compile(r"[A-Za-z_.][A-Za-z0-9_.]*\Z")
_FIELD: Final = re.compile(r"[A-Za-z_.][A-Za-z0-9_.]*(?:\[[0-9]+(?:\.\.[0-9]+)?\])?\Z")


class ConstantKind(StrEnum):
    """What a constant is, which decides how it is written."""

    NUMBER = "number"  # decimal, hexadecimal, IPv4, IPv6 or Ethernet, with or without a mask: `text` as is
    STRING = "string"
    ADDRESS_SET = "$"
    PORT_GROUP = "@"


@dataclass(frozen=True, slots=True)
class Constant:
    """One constant of a comparison: a number or address (its text), a string, `$set` or `@group` (their names).

    Raises InvalidRow for text that OVN does not read as a constant of this kind.
    """

    text: str
    kind: ConstantKind = ConstantKind.NUMBER

    def __post_init__(self) -> None:
        if self.kind is ConstantKind.NUMBER:
            check_number(self.text)
        elif self.kind is not ConstantKind.STRING:
            check_name(self.text)

    def __str__(self) -> str:
        match self.kind:
            case ConstantKind.NUMBER:
                return self.text
            case ConstantKind.STRING:
                return json.dumps(self.text)
            case _:
                return self.kind.value + self.text


def check_name(name: str) -> str:
    """Return a name that OVN can use in a match; raise InvalidRow for another (ovn-nb(5), Address_Set, name)."""
    if not _NAME.match(name):
        raise InvalidRow(
            f"{name!r} cannot name an address set or port group: use letters, digits, _ and ., and no digit first"
        )
    return name


def check_field(name: str) -> str:
    """Return the name of a field, predicate or function, as `ip4.src` or `reg0[0..3]`; raise InvalidRow for another."""
    if not _FIELD.match(name):
        raise InvalidRow(f"{name!r} is not a field of a match expression")
    return name


class Relation(StrEnum):
    """How a field is held against constants."""

    EQUAL = "=="
    NOT_EQUAL = "!="
    LESS = "<"
    LESS_OR_EQUAL = "<="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="


_OF_SETS = (Relation.EQUAL, Relation.NOT_EQUAL)


class Match:
    """Any match expression. `a & b`, `a | b` and `~a` combine; `str()` gives OVN's text."""

    __slots__ = ()

    @property
    def tree(self) -> Match:
        """The expression as a tree of the classes of this module; itself, but for one that is given by its text."""
        return self

    def __and__(self, other: Match) -> Match:
        return And.of(self, other)

    def __or__(self, other: Match) -> Match:
        return Or.of(self, other)

    def __invert__(self) -> Match:
        return Not(self)

    def text(self) -> str:
        """The expression as OVN reads it."""
        raise NotImplementedError

    def __str__(self) -> str:
        return self.text()


@dataclass(frozen=True, slots=True)
class Boolean(Match):
    """`1` matches every packet, `0` none."""

    value: bool

    def text(self) -> str:
        """`1` or `0`."""
        return "1" if self.value else "0"


TRUE = Boolean(True)
FALSE = Boolean(False)


@dataclass(frozen=True, slots=True, eq=False)
class Symbol(Match):
    """A predicate or a one-bit field on its own: `ip4`, `tcp`, `ct.est`."""

    name: str

    def __post_init__(self) -> None:
        check_field(self.name)

    def __eq__(self, other: object) -> bool:
        return self.name == other.name if isinstance(other, Symbol) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.name)

    def text(self) -> str:
        """The symbol's name."""
        return self.name


@dataclass(frozen=True, slots=True)
class FunctionCall(Match):
    """`is_chassis_resident("port")` and its like: a function of one string."""

    name: str
    argument: str

    def __post_init__(self) -> None:
        check_field(self.name)

    def text(self) -> str:
        """The call."""
        return f"{self.name}({json.dumps(self.argument)})"


@dataclass(frozen=True, slots=True)
class Comparison(Match):
    """`field relation constant`, or `field relation {constants}`. Several constants mean "any of" for `==`."""

    field: str
    relation: Relation
    constants: tuple[Constant, ...]

    def __post_init__(self) -> None:
        check_field(self.field)
        if not self.constants:
            raise InvalidRow(f"{self.field}: nothing to compare with; OVN cannot parse an empty set {{}}")
        if len(self.constants) > 1 and self.relation not in _OF_SETS:
            raise InvalidRow(f"{self.field}: only == and != compare with several constants, not {self.relation}")

    def text(self) -> str:
        """The comparison; braces only where there are several constants."""
        if len(self.constants) == 1:
            return f"{self.field} {self.relation} {self.constants[0]}"
        return f"{self.field} {self.relation} {{{', '.join(map(str, self.constants))}}}"


@dataclass(frozen=True, slots=True)
class Not(Match):
    """The opposite of `operand`."""

    operand: Match

    def __post_init__(self) -> None:
        object.__setattr__(self, "operand", self.operand.tree)

    def text(self) -> str:
        """The operand behind `!`, in parentheses unless it is a symbol or a call."""
        plain = isinstance(self.operand, Symbol | FunctionCall | Boolean)
        return f"!{self.operand.text()}" if plain else f"!({self.operand.text()})"


@dataclass(frozen=True, slots=True)
class Junction(Match):
    """Operands joined by one operator. Build it with `of`, which keeps it flat."""

    operands: tuple[Match, ...]

    operator: ClassVar[str]
    neutral: ClassVar[Boolean]

    def __post_init__(self) -> None:
        if len(self.operands) < 2:
            raise InvalidRow(f"{self.operator} joins two expressions or more, not {len(self.operands)}")
        object.__setattr__(self, "operands", tuple([one.tree for one in self.operands]))

    @classmethod
    def of(cls, *operands: Match) -> Match:
        """Join operands: flat, without the neutral constant; the other constant alone where it is among them."""
        kept: list[Match] = []
        for operand in (one.tree for one in operands):
            for part in operand.operands if isinstance(operand, cls) else (operand,):
                if not isinstance(part, Boolean):
                    kept.append(part)
                elif part.value is not cls.neutral.value:
                    return part
        return cls.neutral if not kept else kept[0] if len(kept) == 1 else cls(tuple(kept))

    def text(self) -> str:
        """The operands with the operator between; those of the other operator in parentheses."""
        return f" {self.operator} ".join(
            f"({one.text()})" if isinstance(one, Junction) and type(one) is not type(self) else one.text()
            for one in self.operands
        )


class And(Junction):
    """All operands match."""

    __slots__ = ()
    operator = "&&"
    neutral = TRUE


class Or(Junction):
    """Any operand matches."""

    __slots__ = ()
    operator = "||"
    neutral = FALSE


@dataclass(frozen=True, slots=True)
class Verbatim(Match):
    """Text that is kept as it is, parsed or not: what another controller wrote, faults included."""

    expression: str

    def text(self) -> str:
        """The text."""
        return self.expression


class References(NamedTuple):
    """The sets and groups that an expression uses, by name."""

    address_sets: frozenset[str]
    port_groups: frozenset[str]


def references(match: Match) -> References:
    """Which address sets and port groups the expression uses."""
    constants = list(_constants(match.tree))
    return References(
        frozenset(constant.text for constant in constants if constant.kind is ConstantKind.ADDRESS_SET),
        frozenset(constant.text for constant in constants if constant.kind is ConstantKind.PORT_GROUP),
    )


def _constants(match: Match) -> Iterator[Constant]:
    if isinstance(match, Comparison):
        yield from match.constants
    elif isinstance(match, Junction):
        for operand in match.operands:
            yield from _constants(operand)
    elif isinstance(match, Not):
        yield from _constants(match.operand)
