"""Read a match expression back into its tree.

Understood: the language of ovn-sb(5), Logical_Flow, match. Not understood: comments, and macros of ovn-northd.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import NamedTuple

from ovnqos.errors import InvalidRow
from ovnqos.match.syntax import (
    FALSE,
    TRUE,
    And,
    Boolean,
    Comparison,
    Constant,
    ConstantKind,
    FunctionCall,
    Match,
    Not,
    Or,
    Relation,
    Symbol,
    Verbatim,
)

_TOKEN = re.compile(
    r"""[ \t\r\n\f\v]*(?:
      (?P<string>"(?:[^"\\]|\\.)*")
    | (?P<address>[0-9A-Fa-f]*:[0-9A-Fa-f:.]+(?:/[0-9A-Fa-f:.]+)?)
    | (?P<number>[0-9][0-9A-Za-z.]*(?:/[0-9][0-9A-Za-z.]*)?)
    | (?P<reference>[$@][A-Za-z_.][A-Za-z0-9_.]*)
    | (?P<name>[A-Za-z_.][A-Za-z0-9_.]*(?:\[[0-9]+(?:\.\.[0-9]+)?\])?)
    | (?P<operator>&&|\|\||==|!=|<=|>=|[<>!(){},])
    )""",
    re.VERBOSE,
)
_SPACE = " \t\r\n\f\v"
_FLIPPED = {
    Relation.EQUAL: Relation.EQUAL,
    Relation.NOT_EQUAL: Relation.NOT_EQUAL,
    Relation.LESS: Relation.GREATER,
    Relation.LESS_OR_EQUAL: Relation.GREATER_OR_EQUAL,
    Relation.GREATER: Relation.LESS,
    Relation.GREATER_OR_EQUAL: Relation.LESS_OR_EQUAL,
}
_RELATIONS = frozenset(Relation)
_RISING = frozenset({Relation.LESS, Relation.LESS_OR_EQUAL})
_FALLING = frozenset({Relation.GREATER, Relation.GREATER_OR_EQUAL})
_DEPTH_MAXIMUM = 100


class MatchText(Match):
    """An expression given by its text, parsed when its tree is asked for.

    The text must be one that `parse` reads, with each `||` in parentheses, so that more can be and-ed to it.
    """

    __slots__ = ("_text", "_tree")

    def __init__(self, text: str) -> None:
        self._text = text
        self._tree: Match | None = None

    @property
    def tree(self) -> Match:
        """The tree of the expression."""
        if self._tree is None:
            self._tree = parse(self._text)
        return self._tree

    def text(self) -> str:
        """The text as given."""
        return self._text

    def __and__(self, other: Match) -> Match:
        if isinstance(other, Boolean):
            return super().__and__(other)
        return MatchText(f"{self._text} && {f'({other})' if isinstance(other, Or) else other}")

    def __eq__(self, other: object) -> bool:
        if isinstance(other, MatchText):
            return self._text == other._text
        return self.tree == other if isinstance(other, Match) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.tree)

    def __repr__(self) -> str:
        return f"MatchText({self._text!r})"


class _Token(NamedTuple):
    kind: str
    text: str
    position: int


def parse(text: str) -> Match:
    """Parse a match expression.

    Raises:
        InvalidRow: the text is not an expression, with the column where reading stopped.
    """
    return _Parser(text).whole()


@lru_cache(maxsize=10_000)
def read_match(text: str) -> Match:
    """Parse a match expression; one that cannot be parsed becomes `Verbatim`."""
    try:
        return parse(text)
    except InvalidRow:
        return Verbatim(text)


def find_syntax_error(text: str) -> str:
    """Why OVN certainly cannot parse a text: an operand or a parenthesis is missing; empty where it may be able to."""
    try:
        parse(text)
    except _Incomplete as error:
        return str(error)
    except InvalidRow:
        pass
    return ""


class _Incomplete(InvalidRow):
    """An operator, or the end, stands where OVN needs an operand or a parenthesis."""


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._scan(text)
        self._next = 0
        self._depth = 0

    def _scan(self, text: str) -> list[_Token]:
        tokens, position, end = [], 0, len(text.rstrip(_SPACE))
        while position < end:
            found = _TOKEN.match(text, position)
            if found is None or found.lastgroup is None:
                raise self._fault("cannot be read", position)
            tokens.append(_Token(found.lastgroup, found[found.lastgroup], found.start(found.lastgroup)))
            position = found.end()
        tokens.append(_Token("end", "", end))
        return tokens

    def _fault(self, what: str, position: int) -> InvalidRow:
        near = self._text[position : position + 20] or "the end"
        return InvalidRow(f"match expression, column {position + 1}: {near!r} {what}")

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._token
        self._next += 1
        return token

    def _expect(self, text: str) -> None:
        if self._token.text != text or self._token.kind != "operator":
            fault = self._fault(f"found where {text!r} belongs", self._token.position)
            raise _Incomplete(str(fault)) if self._token.kind == "end" else fault
        self._next += 1

    def _accept(self, text: str) -> bool:
        if self._token.kind == "operator" and self._token.text == text:
            self._next += 1
            return True
        return False

    def whole(self) -> Match:
        match = self._expression()
        if self._token.kind != "end":
            raise self._fault("is left over", self._token.position)
        return match

    def _expression(self) -> Match:
        self._depth += 1
        if self._depth > _DEPTH_MAXIMUM:
            raise self._fault(f"is nested deeper than {_DEPTH_MAXIMUM} levels", self._token.position)
        operands = [self._term()]
        operator = self._token.text
        while operator in {"&&", "||"} and self._accept(operator):
            operands.append(self._term())
        if self._token.text in {"&&", "||"} and self._token.kind == "operator":
            raise self._fault("needs parentheses: OVN does not mix && and || without them", self._token.position)
        self._depth -= 1
        if len(operands) == 1:
            return operands[0]
        return And(tuple(operands)) if operator == "&&" else Or(tuple(operands))

    def _term(self) -> Match:
        if self._accept("!"):
            return Not(self._negated())
        if self._accept("("):
            inner = self._expression()
            self._expect(")")
            return inner
        token = self._token
        if token.kind == "name":
            return self._field()
        if token.kind == "number" and token.text in {"0", "1"} and self._tokens[self._next + 1].text not in _RELATIONS:
            self._next += 1
            return TRUE if token.text == "1" else FALSE
        constants = self._constants()
        relation = self._relation()
        field = self._take()
        if field.kind != "name":
            raise self._fault("is not a field", field.position)
        comparison = self._comparison(field, _FLIPPED[relation], constants)
        if self._token.text not in _RELATIONS:
            return comparison
        end = self._token
        second = self._relation()
        if not any({relation, second} <= order for order in (_RISING, _FALLING)):
            raise self._fault(f"cannot follow {relation}: a range is `x < field < y` or `x > field > y`", end.position)
        return And((comparison, self._comparison(field, second, self._constants())))

    def _negated(self) -> Match:
        token = self._token
        operand = self._term() if token.text != "!" else None
        if operand is None or (isinstance(operand, Comparison | And) and token.text != "("):
            raise self._fault("needs parentheses: OVN negates a predicate or what is in parentheses", token.position)
        return operand

    def _field(self) -> Match:
        field = self._take()
        name = field.text
        if self._accept("("):
            argument = self._take()
            if argument.kind != "string":
                raise self._fault("is not a string", argument.position)
            self._expect(")")
            return FunctionCall(name, self._string(argument))
        if self._token.text in _RELATIONS:
            relation = self._relation()
            return self._comparison(field, relation, self._constants())
        return Symbol(name)

    def _comparison(self, field: _Token, relation: Relation, constants: tuple[Constant, ...]) -> Match:
        try:
            return Comparison(field.text, relation, constants)
        except InvalidRow as error:
            raise self._fault(f"cannot be compared ({error})", field.position) from None

    def _relation(self) -> Relation:
        token = self._take()
        if token.text not in _RELATIONS:
            raise self._fault("found where a comparison belongs", token.position)
        return Relation(token.text)

    def _constants(self) -> tuple[Constant, ...]:
        if not self._accept("{"):
            return (self._constant(),)
        constants = [self._constant()]
        self._accept(",")
        while not self._accept("}"):
            constants.append(self._constant())
            self._accept(",")
        return tuple(constants)

    def _constant(self) -> Constant:
        token = self._take()
        match token.kind:
            case "string":
                return Constant(self._string(token), ConstantKind.STRING)
            case "address" | "number":
                return self._number(token)
            case "reference":
                return Constant(token.text[1:], ConstantKind(token.text[0]))
        fault = self._fault("is not a constant", token.position)
        raise _Incomplete(str(fault)) if token.kind in {"operator", "end"} else fault

    def _number(self, token: _Token) -> Constant:
        try:
            return Constant(token.text)
        except InvalidRow:
            raise self._fault("is not a number or address", token.position) from None

    def _string(self, token: _Token) -> str:
        try:
            return str(json.loads(token.text))
        except ValueError:
            raise self._fault("is not a string", token.position) from None
